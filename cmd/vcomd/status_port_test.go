package main

import (
	"testing"

	"github.com/vcomd/vcomd/internal/control"
)

// TestConfirmed: what nobody has asked for needs no confirmation.
func TestConfirmed(t *testing.T) {
	for _, tt := range []struct {
		wanted, reported         string
		wantedFlow, reportedFlow string
		want                     bool
	}{
		{"9600-8N1", "9600-8N1", "", "", true},
		{"9600-8N1", "9600-8N1", "none", "none", true},
		{"9600-8N1", "9600-8N1", "none", "", true},
		{"9600-8N1", "9600-8N1", "hardware", "none", false},
		{"19200-??1", "19200-8N1", "none", "none", true},
		{"9600-?N1", "9600-8N1", "", "", true},
		{"5N1.5", "9600-5N1.5", "", "", true},
		{"9600", "9600-8N1", "", "", true},
		{"9600", "4800-8N1", "", "", false},
		{"9600-7E1", "9600-8N1", "", "", false},
		{"9600-?N2", "9600-8N1", "", "", false},
		{"9600-5N1", "9600-5N1.5", "", "", false},
		{"9600-5N1.5", "9600-5N1", "", "", false},
		{"9600-7E1", "9600", "", "", false},
	} {
		wanted, reported := control.Settings{Line: tt.wanted, Flow: tt.wantedFlow}, control.Settings{Line: tt.reported, Flow: tt.reportedFlow}
		if got := confirmed(wanted, reported); got != tt.want {
			t.Errorf("%+v confirmed by %+v: %v, want %v", wanted, reported, got, tt.want)
		}
	}
}
