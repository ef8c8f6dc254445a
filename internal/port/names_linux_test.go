package port

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/vcomd/vcomd/pty"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// A name whose directory has gone does not cost the port; it is told once, tried
// again, and comes back by itself.
func TestNameThatCannotBeMoved(t *testing.T) {
	dir := t.TempDir()
	stays, goes := filepath.Join(dir, "stays"), filepath.Join(dir, "gone", "goes")
	if err := os.Mkdir(filepath.Dir(goes), 0o700); err != nil {
		t.Fatal(err)
	}
	r := newRig(t, rfc2217test.Faults{}, func(cfg *Config) {
		cfg.Links, cfg.RunDir = []string{goes, stays}, filepath.Join(dir, "run")
	})
	if err := os.RemoveAll(filepath.Dir(goes)); err != nil {
		t.Fatal(err)
	}
	why := errors.New("the test wants another")
	for range 3 {
		r.do(func() { r.port.replaceTTY(why) })
	}
	s := r.status()
	if target, err := os.Readlink(stays); err != nil || target != s.TTY {
		t.Errorf("the link that could be moved leads to %q, %v; the tty is %s", target, err, s.TTY)
	}
	told := r.of(KindNameFailed)
	if len(told) != 1 || told[0].Old != goes || !errors.Is(told[0].Err, pty.ErrLinkUnusable) {
		t.Errorf("told %+v; want once, of %s", told, goes)
	}
	if n := len(r.of(KindTTYFailed)); n != 0 {
		t.Errorf("%d failures of the tty", n)
	}
	f := r.program()
	if _, err := f.WriteString("still here"); err != nil {
		t.Error(err)
	}
	r.eventually("what the program writes arrives", func() bool { return string(r.uart.Sent()) == "still here" })

	if err := os.Mkdir(filepath.Dir(goes), 0o700); err != nil {
		t.Fatal(err)
	}
	r.await(KindNameRestored)
	if target, err := os.Readlink(goes); err != nil || target != s.TTY {
		t.Errorf("the link that came back leads to %q, %v; the tty is %s", target, err, s.TTY)
	}
	r.do(func() {
		if r.port.names.timer != nil {
			t.Error("a name is still tried again")
		}
	})
}

// All names are taken, or none.
func TestNamesAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	taken := filepath.Join(dir, "taken")
	if err := os.WriteFile(taken, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	first := filepath.Join(dir, "first")
	cfg := Config{Name: "test", UID: -1, GID: -1, RunDir: filepath.Join(dir, "run"), Links: []string{first, taken}}
	if _, err := Open(cfg, nil, nil); !errors.Is(err, pty.ErrLinkTaken) {
		t.Errorf("error %v, want ErrLinkTaken", err)
	}
	if _, err := os.Lstat(first); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the first link is there: %v", err)
	}
	if left, err := os.ReadDir(filepath.Join(dir, "run", "lock")); err != nil || len(left) != 0 {
		t.Errorf("locks left: %v, %v", left, err)
	}
}
