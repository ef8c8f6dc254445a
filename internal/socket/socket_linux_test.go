package socket

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func ours(dir string) Socket {
	return Socket{RunDir: dir, Name: "tty.sock", UID: -1, GID: -1, Mode: 0o660}
}

// leave makes a socket that nobody listens on, as a killed vcomd leaves it.
func leave(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestListen: what is in the way is replaced only if it is a socket that nobody
// listens on.
func TestListen(t *testing.T) {
	for _, c := range []struct {
		name  string
		there func(t *testing.T, path string)
		says  string // empty: it is replaced
		kind  error
	}{
		{name: "nothing"},
		{name: "stale", there: leave},
		{name: "a file", there: func(t *testing.T, path string) {
			t.Helper()
			if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, says: "something else is there"},
		{name: "a link to a stale one", there: func(t *testing.T, path string) {
			t.Helper()
			leave(t, filepath.Join(filepath.Dir(path), "other"))
			if err := os.Symlink("other", path); err != nil {
				t.Fatal(err)
			}
		}, says: "something else is there"},
		{name: "a live one", there: func(t *testing.T, path string) {
			t.Helper()
			ln, err := net.Listen("unix", path)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = ln.Close() })
		}, says: "the name is taken by process " + strconv.Itoa(os.Getpid()) + "; choose another with --name", kind: ErrNameTaken},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := shortDir(t)
			path := filepath.Join(dir, "tty.sock")
			if c.there != nil {
				c.there(t, path)
			}
			before, _ := os.Lstat(path)
			l, err := ours(dir).Listen(t.Context())
			if c.says == "" {
				if err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(l.Close(), l.Close()); err != nil {
					t.Error(err)
				}
				if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
					t.Errorf("after the end: %v", err)
				}
				return
			}
			if err == nil {
				_ = l.Close()
				t.Fatal("it was replaced")
			}
			socket, ok := errors.AsType[*Error](err)
			if !ok || !strings.Contains(err.Error(), c.says) || !errors.Is(err, socket.Kind) && socket.Kind != nil || !errors.Is(socket.Kind, c.kind) {
				t.Errorf("%v, want %q and %v", err, c.says, c.kind)
			}
			if after, err := os.Lstat(path); err != nil || !os.SameFile(before, after) {
				t.Errorf("what was there is not there any more: %v", err)
			}
		})
	}
}

// shortDir is for sockets that a test makes with an address of its own.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "control-") //nolint:usetesting // t.TempDir is too long for an address
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// TestLongPath: an address has 107 bytes, a path may have more.
func TestLongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("long/", 40), "run")
	s := ours(dir)
	s.Name = strings.Repeat("n", 200)
	l, err := s.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c, err := Dial(t.Context(), filepath.Join(dir, s.Name), false)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.Close()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	s.Name = strings.Repeat("n", 300)
	if l, err = s.Listen(t.Context()); err == nil {
		_ = l.Close()
		t.Error("a name of 300 bytes is none")
	}
	if left, err := os.ReadDir(filepath.Join(dir, "lock")); err != nil || len(left) > 0 {
		t.Errorf("left in the locked directory: %v, %v", left, err)
	}
}

// TestPermissions: as the tty's.
func TestPermissions(t *testing.T) {
	for _, c := range []struct {
		tty  fs.FileMode
		gid  int
		want fs.FileMode
	}{
		{0o600, -1, 0o600}, {0o660, -1, 0o660}, {0o666, -1, 0o660}, {0o640, -1, 0o600}, {0o660, 20, 0o660},
	} {
		if c.gid >= 0 && os.Geteuid() != 0 {
			continue
		}
		dir := t.TempDir()
		l, err := Socket{RunDir: dir, Name: "tty.sock", UID: -1, GID: c.gid, Mode: c.tty}.Listen(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(dir, "tty.sock"), &st); err != nil {
			t.Fatal(err)
		}
		if got := fs.FileMode(st.Mode & 0o777); got != c.want {
			t.Errorf("tty %v: the socket has %v, want %v", c.tty, got, c.want)
		}
		if c.gid >= 0 && int(st.Gid) != c.gid {
			t.Errorf("group %d, want %d", st.Gid, c.gid)
		}
		_ = l.Close()
	}
}

// TestOneOfManyListens: of many that find a stale socket at once, exactly one gets
// the name, and it can be reached.
func TestOneOfManyListens(t *testing.T) {
	for range 20 {
		dir := shortDir(t)
		leave(t, filepath.Join(dir, "tty.sock"))
		const many = 8
		listeners := make([]*Listener, many)
		var wg sync.WaitGroup
		for i := range many {
			wg.Go(func() {
				l, err := ours(dir).Listen(context.Background())
				if err != nil && !errors.Is(err, ErrNameTaken) {
					t.Error(err)
				}
				listeners[i] = l
			})
		}
		wg.Wait()
		n := 0
		for _, l := range listeners {
			if l == nil {
				continue
			}
			n++
			c, err := Dial(t.Context(), filepath.Join(dir, "tty.sock"), false)
			if err != nil {
				t.Fatal(err)
			}
			_ = c.Close()
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
		if n != 1 {
			t.Fatalf("%d got the name, want 1", n)
		}
	}
}

// TestAnothersSocketIsLeftAlone at the end.
func TestAnothersSocketIsLeftAlone(t *testing.T) {
	dir := t.TempDir()
	first, err := ours(dir).Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, "tty.sock")); err != nil {
		t.Fatal(err)
	}
	second, err := ours(dir).Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	c, err := Dial(t.Context(), filepath.Join(dir, "tty.sock"), false)
	if err != nil {
		t.Fatalf("the second socket: %v", err)
	}
	_ = c.Close()
}

// TestUnsafeDirectories are refused.
func TestUnsafeDirectories(t *testing.T) {
	for _, c := range []struct {
		name      string
		run, lock fs.FileMode
		says      string
	}{
		{"others may write", 0o777, 0, "writable by others"},
		{"a lock that others may read", 0o755, 0o755, "others could change"},
	} {
		dir := filepath.Join(t.TempDir(), "run")
		for path, mode := range map[string]fs.FileMode{dir: c.run, filepath.Join(dir, "lock"): c.lock} {
			if mode == 0 {
				continue
			}
			if err := errors.Join(os.MkdirAll(path, 0o755), os.Chmod(path, mode)); err != nil {
				t.Fatal(err)
			}
		}
		l, err := ours(dir).Listen(t.Context())
		if err == nil {
			_ = l.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
