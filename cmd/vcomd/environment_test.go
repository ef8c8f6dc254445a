package main

import (
	"io"
	"slices"
	"testing"
)

// TestMisspeltVariables: a slip is told; what may be somebody else's, and the flags of all
// commands, are not.
func TestMisspeltVariables(t *testing.T) {
	got := misspelt([]string{
		"VCOMD_ON_LOS=hangup", "VCOMD_SPED=1", "VCOMD_RETRYS=1", "VCOMD_LINK=/dev/x", "VCOMD_LISTEN=:1", "VCOMD_NO_NEW_PRIVS=false",
		"VCOMD_SERVICE_HOST=10.0.0.1", "VCOMD_PORT=tcp://10.0.0.1:2217", "VCOMD_TEST_REQUIRE=all", "XVCOMD_ON_LOS=1", "VCOMD_", "PATH=/bin",
	}, allFlags(newApp(io.Discard, io.Discard)))
	want := [][2]string{{"VCOMD_ON_LOS", "VCOMD_ON_LOSS"}, {"VCOMD_RETRYS", "VCOMD_RETRY"}}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
