package pty

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// alive and gone are what a link may point to.
const alive = "/dev/null"

func gone(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "no-such-pts")
}

func claim(t *testing.T, path, run string) *Link {
	t.Helper()
	l, err := ClaimLink(path, run)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func release(t *testing.T, l *Link) {
	t.Helper()
	if err := l.Release(); err != nil {
		t.Fatal(err)
	}
}

func mustPointTo(t *testing.T, path, want string) {
	t.Helper()
	if got, err := os.Readlink(path); got != want || err != nil {
		t.Fatalf("link is %q, %v; want %q", got, err, want)
	}
}

func mustNotExist(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%s is there (%v)", path, err)
	}
}

// mustHold checks a directory's names: no temporary ones stay behind.
func mustHold(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]string, 0, len(entries))
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("%s holds %q, want %q", dir, got, want)
	}
}

func TestLinkLife(t *testing.T) {
	dir, run := t.TempDir(), filepath.Join(t.TempDir(), "deep", "run")
	path := filepath.Join(dir, "tty")
	l := claim(t, path, run)
	mustNotExist(t, path)
	if l.Path() != path || l.Target() != "" {
		t.Errorf("Path() = %q, Target() = %q", l.Path(), l.Target())
	}
	for _, target := range []string{alive, "/dev/zero", gone(t), alive} {
		if err := l.Point(target); err != nil {
			t.Fatal(err)
		}
		mustPointTo(t, path, target)
		if l.Target() != target {
			t.Errorf("Target() = %q, want %q", l.Target(), target)
		}
		mustHold(t, dir, "tty")
	}
	b, err := os.ReadFile(filepath.Join(run, "lock", lockName(path)))
	if err != nil {
		t.Fatal(err)
	}
	if r, err := parseRecord(b); err != nil || !r.owns(path, alive) || r.PID != os.Getpid() || len(r.Targets) != 1 {
		t.Errorf("record %+v, %v", r, err)
	}
	release(t, l)
	mustHold(t, dir)
	mustHold(t, filepath.Join(run, "lock"))
	release(t, claim(t, path, run)) // and again
}

// A program that looks at the link at any moment finds it.
func TestPointLeavesNoGap(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tty")
	l := claim(t, path, t.TempDir())
	if err := l.Point(alive); err != nil {
		t.Fatal(err)
	}
	stop, missing := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				missing <- n
				return
			default:
				if _, err := os.Stat(path); err != nil {
					n++
				}
			}
		}
	}()
	for i := range 500 {
		if err := l.Point([]string{"/dev/zero", alive}[i%2]); err != nil {
			t.Fatal(err)
		}
	}
	close(stop)
	if n := <-missing; n != 0 {
		t.Errorf("the link was missing %d times", n)
	}
	release(t, l)
}

func TestClaimWhatMayBeReplaced(t *testing.T) {
	const stalePTS = "/dev/zero" // alive, so only the record tells that the link is stale
	cases := []struct {
		name  string
		setUp func(t *testing.T, path, run string)
	}{
		{"nothing", func(*testing.T, string, string) {}},
		{"a dangling link", func(t *testing.T, path, _ string) {
			t.Helper()
			symlink(t, gone(t), path)
		}},
		{"a link left by a killed process, its number in use again", func(t *testing.T, path, run string) {
			t.Helper()
			symlink(t, stalePTS, path)
			leaveRecord(t, run, record{Version: recordVersion, Link: path, Targets: []string{stalePTS}, PID: 1})
		}},
		{"a link left by a process killed while it moved it", func(t *testing.T, path, run string) {
			t.Helper()
			symlink(t, stalePTS, path)
			leaveRecord(t, run, record{Version: recordVersion, Link: path, Targets: []string{stalePTS, "/dev/pts/99"}, PID: 1})
		}},
		{"a temporary name left by a killed process", func(t *testing.T, path, _ string) {
			t.Helper()
			symlink(t, gone(t), path)
			symlink(t, stalePTS, filepath.Join(filepath.Dir(path), ".vcomd-"+lockName(path)[:16]))
		}},
		{"a record that is no record", func(t *testing.T, path, run string) {
			t.Helper()
			leaveBytes(t, run, path, []byte("\x00\xff{{{"))
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir, run := t.TempDir(), t.TempDir()
			path := filepath.Join(dir, "tty")
			c.setUp(t, path, run)
			l := claim(t, path, run)
			if err := l.Point(alive); err != nil {
				t.Fatal(err)
			}
			mustPointTo(t, path, alive)
			mustHold(t, dir, "tty")
			release(t, l)
			mustHold(t, dir)
		})
	}
}

func TestClaimWhatMustBeKept(t *testing.T) {
	cases := []struct {
		name  string
		setUp func(t *testing.T, path, run string)
		found string
	}{
		{"a regular file", func(t *testing.T, path, _ string) {
			t.Helper()
			if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "a regular file is there"},
		{"a directory", func(t *testing.T, path, _ string) {
			t.Helper()
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, "a directory is there"},
		{
			"another program's live link", func(t *testing.T, path, _ string) {
				t.Helper()
				symlink(t, alive, path)
			},
			"a link to /dev/null is there, made by another program",
		},
		{"a live link that the record does not know", func(t *testing.T, path, run string) {
			t.Helper()
			symlink(t, alive, path)
			leaveRecord(t, run, record{Version: recordVersion, Link: path, Targets: []string{"/dev/pts/99"}})
		}, "a link to /dev/null is there, made by another program"},
		{"a live link under a record of another version", func(t *testing.T, path, run string) {
			t.Helper()
			symlink(t, alive, path)
			leaveRecord(t, run, record{Version: recordVersion + 1, Link: path, Targets: []string{alive}})
		}, "a link to /dev/null is there, made by another program"},
		{"a link that loops", func(t *testing.T, path, _ string) {
			t.Helper()
			symlink(t, path, path)
		}, "made by another program"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir, run := t.TempDir(), t.TempDir()
			path := filepath.Join(dir, "tty")
			c.setUp(t, path, run)
			before := lstat(t, path)
			for range 2 { // a refused claim must not make the next one succeed
				_, err := ClaimLink(path, run)
				var le *LinkError
				if !errors.Is(err, ErrLinkTaken) || !errors.As(err, &le) {
					t.Fatalf("%v, want ErrLinkTaken", err)
				}
				if le.Path != path || le.Op != "claim" || !strings.Contains(le.Found, c.found) || le.Advice == "" {
					t.Errorf("error %+v", le)
				}
			}
			if after := lstat(t, path); !os.SameFile(before, after) || !before.ModTime().Equal(after.ModTime()) {
				t.Error("what was there has changed")
			}
			mustHold(t, dir, "tty")
		})
	}
}

func TestClaimErrors(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), "missing")
	for _, c := range []struct{ name, path, run, want string }{
		{"empty path", "", t.TempDir(), `cannot make the link "": the path is empty; give the path of the link`},
		{"no directory", missing + "/tty", t.TempDir(), "cannot make the link " + missing + "/tty: directory " + missing +
			": no such file or directory; make it or choose another name"},
		{"file for directory", file + "/tty", t.TempDir(), "cannot make the link " + file + "/tty: " + file +
			" is not a directory; choose another name"},
		{"run directory is a file", filepath.Join(t.TempDir(), "tty"), file, "its lock in " + file + "/lock cannot be taken"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := ClaimLink(c.path, c.run)
			if !errors.Is(err, ErrLinkUnusable) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got  %v\nwant %s", err, c.want)
			}
		})
	}
	t.Run("unwritable directory", func(t *testing.T) {
		dir := t.TempDir()
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		withoutCapabilities(t, func() {
			_, err := ClaimLink(filepath.Join(dir, "tty"), t.TempDir())
			if !errors.Is(err, ErrLinkUnusable) || !errors.Is(err, fs.ErrPermission) {
				t.Errorf("%v, want a permission error", err)
			}
		})
	})
}

func TestPointAndReleaseRespectOthers(t *testing.T) {
	dir, run := t.TempDir(), t.TempDir()
	path := filepath.Join(dir, "tty")
	l := claim(t, path, run)
	if err := l.Point(alive); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := l.Point("/dev/zero"); err != nil { // a link that somebody removed comes back
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	symlink(t, "/dev/full", path)
	for range 3 {
		if err := l.Point(alive); !errors.Is(err, ErrLinkTaken) {
			t.Fatalf("Point over another's link: %v", err)
		}
	}
	if len(l.lock.record.Targets) != 1 {
		t.Errorf("record grows: %v", l.lock.record.Targets)
	}
	release(t, l)
	mustPointTo(t, path, "/dev/full")
	mustHold(t, filepath.Join(run, "lock"))
}

// A link served by a living process is refused, one that a SIGKILL has left
// behind is not, although its target is still alive.
func TestLinkOfAnotherProcess(t *testing.T) {
	base := t.TempDir()
	path, run := filepath.Join(base, heldLink), filepath.Join(base, heldRun)
	dir := filepath.Dir(path)
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Dir = base
	cmd.Env = append(os.Environ(), holdLinkEnv+"=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stdin.Close()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if line != "ready\n" {
		t.Fatalf("the other process says %q, %v", line, err)
	}
	mustPointTo(t, path, heldLinkGoes)
	_, err = ClaimLink(path, run)
	if !errors.Is(err, ErrLinkServed) || !strings.Contains(err.Error(), "served by process "+strconv.Itoa(cmd.Process.Pid)+";") {
		t.Errorf("%v, want ErrLinkServed with the process", err)
	}
	mustPointTo(t, path, heldLinkGoes)

	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, stdout)
	_ = cmd.Wait() // "signal: killed"
	l := claim(t, path, run)
	if err := l.Point("/dev/zero"); err != nil {
		t.Fatal(err)
	}
	mustPointTo(t, path, "/dev/zero")
	mustHold(t, dir, "tty")
	release(t, l)
	mustHold(t, dir)
}

func symlink(t *testing.T, target, path string) {
	t.Helper()
	if err := os.Symlink(target, path); err != nil {
		t.Fatal(err)
	}
}

func lstat(t *testing.T, path string) fs.FileInfo {
	t.Helper()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func leaveRecord(t *testing.T, run string, r record) {
	t.Helper()
	b, err := r.marshal()
	if err != nil {
		t.Fatal(err)
	}
	leaveBytes(t, run, r.Link, b)
}

func leaveBytes(t *testing.T, run, link string, b []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(run, "lock"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(run, "lock", lockName(link)), b, 0o600); err != nil {
		t.Fatal(err)
	}
}
