package pty

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestClaimLinkRunDir: a run directory that other users can change is refused,
// and nothing is made in it.
func TestClaimLinkRunDir(t *testing.T) {
	const somebody = 65534
	for _, c := range []struct {
		name  string
		mode  os.FileMode // of the run directory
		lock  os.FileMode // of the directory of locks in it; 0: there is none
		owner int         // of the directory of locks, or else of the run directory
		link  bool        // the run directory is a symbolic link to such a one
		found string      // what the error says; "": there is none
	}{
		{name: "our own", mode: 0o755, owner: -1},
		{name: "our group may write", mode: 0o775, owner: -1},
		{name: "like /tmp", mode: 0o777 | os.ModeSticky, owner: -1},
		{name: "our locks", mode: 0o755, lock: 0o700, owner: -1},
		{name: "others may write", mode: 0o777, owner: -1, found: "writable by others"},
		{name: "another user's", mode: 0o755, owner: somebody, found: "belongs to user 65534"},
		{name: "a symbolic link", mode: 0o755, owner: -1, link: true, found: "is a symbolic link"},
		{name: "another user's locks", mode: 0o777 | os.ModeSticky, lock: 0o700, owner: somebody, found: "belongs to user 65534"},
		{name: "locks that others may write", mode: 0o755, lock: 0o777, owner: -1, found: "writable by others"},
		{name: "locks that the group may write", mode: 0o755, lock: 0o770, owner: -1, found: "writable by others"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.owner != -1 && os.Geteuid() != 0 {
				t.Skip("only root can give a directory away")
			}
			dir := t.TempDir()
			run := filepath.Join(dir, "run")
			given := makeDirectory(t, run, c.mode)
			if c.lock != 0 {
				given = makeDirectory(t, filepath.Join(run, "lock"), c.lock)
			}
			if c.owner != -1 {
				if err := os.Chown(given, c.owner, -1); err != nil {
					t.Fatal(err)
				}
			}
			if c.link {
				if err := os.Symlink(run, filepath.Join(dir, "to-run")); err != nil {
					t.Fatal(err)
				}
				run = filepath.Join(dir, "to-run")
			}
			l, err := ClaimLink(filepath.Join(dir, "tty"), run)
			if c.found == "" {
				if err != nil {
					t.Fatal(err)
				}
				release(t, l)
				return
			}
			if !errors.Is(err, ErrLinkUnusable) || !strings.Contains(err.Error(), c.found) {
				t.Fatalf("error %v, want one that says %q", err, c.found)
			}
			if files, _ := filepath.Glob(filepath.Join(run, "lock", "*")); len(files) != 0 {
				t.Errorf("it has made %q", files)
			}
		})
	}
}

// makeDirectory makes one with exactly these permissions.
func makeDirectory(t *testing.T, path string, mode os.FileMode) string {
	t.Helper()
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}
