package integration

import (
	"os"
	"path/filepath"
	"testing"
)

// traversable lets other users reach what lies in this test's directories:
// some programs become another user before they open the port.
func traversable(t *testing.T) {
	t.Helper()
	// All directories of one test lie in one, which is closed to others.
	if err := os.Chmod(filepath.Dir(t.TempDir()), 0o755); err != nil {
		t.Fatal(err)
	}
}
