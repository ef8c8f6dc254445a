package integration

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// A port of several names: each leads to it, is moved with it, and goes with it.
func TestSeveralLinks(t *testing.T) {
	d := newDesk(t)
	s := serve(t, &rfc2217test.Server{})
	// DIR itself is the ordinary user's.
	sub := filepath.Join(d.dir, "directory")
	if d.credential != nil {
		if err := os.Chown(sub, ordinary, ordinary); err != nil {
			t.Fatal(err)
		}
	}
	names := []string{"tty,with a comma", "directory/second", "third"}
	p := d.start([]string{"VCOMD_LINK=ignored"}, "--link", names[0], "-l", names[1], "--link="+names[2], "--on-loss", "hangup",
		"--retry", "10ms", "--retry-max", "10ms", s.addr)
	v := &vcomd{process: p}
	leads := func() (target string) {
		t.Helper()
		for i, name := range names {
			now, err := os.Readlink(filepath.Join(d.dir, name))
			if err != nil || i > 0 && now != target {
				t.Fatalf("%s leads to %q, %v; the others to %q", name, now, err, target)
			}
			target = now
		}
		return target
	}
	first := leads()
	if left, err := os.ReadDir(filepath.Join(d.run, "lock")); err != nil || len(left) != len(names) {
		t.Errorf("locks: %v, %v; want one a link", left, err)
	}
	if _, err := os.Lstat(filepath.Join(d.dir, "ignored")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the variable counts beside flags: %v", err)
	}
	total := 0
	for _, name := range names {
		f := openTTY(t, filepath.Join(d.dir, name))
		if _, err := f.WriteString("x"); err != nil {
			t.Error(err)
		}
		total++
		s.awaitBytes(t, total)
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	// Another process may have none of them.
	for _, name := range names {
		if _, stderr, code := d.execute("vcomd --link new --link '" + name + "' sim:echo"); code != 1 {
			t.Errorf("%s is taken twice: exit status %d, %s", name, code, stderr)
		}
	}
	if _, err := os.Lstat(filepath.Join(d.dir, "new")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a link was made beside one that is taken: %v", err)
	}

	// A hang-up moves all.
	f := openTTY(t, filepath.Join(d.dir, names[1]))
	s.awaitServer(t, "a session", func(st rfc2217test.Stats) bool { return st.Active == 1 })
	s.Disconnect()
	v.waitEvent("hung-up")
	if second := leads(); second == first {
		t.Errorf("the links still lead to %s after a hang-up", second)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	// One whose directory goes does not cost the port.
	moved := filepath.Join(d.dir, "moved")
	if err := os.Rename(sub, moved); err != nil {
		t.Fatal(err)
	}
	f = openTTY(t, filepath.Join(d.dir, names[0]))
	s.awaitServer(t, "a session", func(st rfc2217test.Stats) bool { return st.Active == 1 })
	s.Disconnect()
	v.waitEvent("name-failed")
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	f = openTTY(t, filepath.Join(d.dir, names[2]))
	if _, err := f.WriteString("y"); err != nil {
		t.Error(err)
	}
	s.awaitBytes(t, total+1)
	if err := os.Rename(moved, sub); err != nil {
		t.Fatal(err)
	}
	v.waitEvent("name-restored")
	leads()

	p.stop(syscall.SIGTERM)
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit status %d after SIGTERM", code)
	}
	for _, name := range names {
		if _, err := os.Lstat(filepath.Join(d.dir, name)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s is left: %v", name, err)
		}
	}
	if left, err := os.ReadDir(filepath.Join(d.run, "lock")); err != nil || len(left) != 0 {
		t.Errorf("locks left: %v, %v", left, err)
	}
}
