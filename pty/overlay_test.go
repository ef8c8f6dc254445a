package pty

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// privateMounts gives this test a mount namespace of its own and a directory in
// it that may hold device nodes: whatever the test leaves mounted goes with its
// thread.
func privateMounts(t *testing.T) (dir string) {
	t.Helper()
	need(t, hasSysAdmin(), "mounting is not permitted (CAP_SYS_ADMIN)")
	runtime.LockOSThread() // for good: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	if err := unix.Mount("nodes", dir, "tmpfs", 0, "mode=755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// node makes a device node that is never opened.
func node(t *testing.T, path string, mode uint32, major, minor uint32) string {
	t.Helper()
	if err := unix.Mknod(path, mode|0o600, int(unix.Mkdev(major, minor))); err != nil {
		t.Fatal(err)
	}
	return path
}

// serialNode is /dev/ttyS0's twin.
func serialNode(t *testing.T, dir string) string {
	t.Helper()
	_, ok, err := driverOf(4, 64)
	if err != nil {
		t.Fatal(err)
	}
	need(t, ok, "the kernel has no driver for /dev/ttyS0")
	return node(t, filepath.Join(dir, "ttyS0"), unix.S_IFCHR, 4, 64)
}

func deviceOf(t *testing.T, path string) uint64 {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return uint64(st.Rdev) //nolint:unconvert // 32 bits on some machines
}

func claimOverlay(t *testing.T, path, run string) *Overlay {
	t.Helper()
	o, err := ClaimOverlay(path, run)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func locksIn(t *testing.T, run string) int {
	t.Helper()
	left, err := os.ReadDir(filepath.Join(run, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	return len(left)
}

func TestOverlay(t *testing.T) {
	for _, c := range []struct {
		name      string
		stackOnly bool
	}{{"beneath", false}, {"stacked", true}} {
		t.Run(c.name, func(t *testing.T) {
			dir := privateMounts(t)
			run := filepath.Join(dir, "run")
			tty := serialNode(t, dir)
			original := deviceOf(t, tty)
			byID := filepath.Join(dir, "by-id")
			if err := os.Symlink("ttyS0", byID); err != nil {
				t.Fatal(err)
			}
			o := claimOverlay(t, byID, run)
			o.stackOnly = c.stackOnly
			if o.Path() != tty || deviceOf(t, tty) != original {
				t.Fatalf("claimed %s; want %s, untouched", o.Path(), tty)
			}
			if other, err := ClaimOverlay(tty, run); !errors.Is(err, ErrLinkServed) {
				t.Fatalf("claimed twice: %v, %v", other, err)
			}
			for range 3 {
				m := openPort(t)
				if err := o.Point(m.Path()); err != nil {
					t.Fatal(err)
				}
				if deviceOf(t, tty) != deviceOf(t, m.Path()) || o.Target() != m.Path() {
					t.Fatalf("%s is not %s", tty, m.Path())
				}
				fd, err := unix.Open(byID, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
				if err != nil {
					t.Fatal(err)
				}
				mustHang(t, m, false)
				unix.Close(fd)
			}
			mounts, err := mountsAt(tty)
			if err != nil {
				t.Fatal(err)
			}
			if want := map[bool]int{false: 1, true: 3}[o.stackOnly]; len(mounts) != want {
				t.Errorf("%d mounts, want %d", len(mounts), want)
			}
			if o.stackOnly != c.stackOnly {
				t.Log("this kernel cannot mount beneath")
			}
			if err := o.Release(); err != nil {
				t.Fatal(err)
			}
			if deviceOf(t, tty) != original || locksIn(t, run) != 0 {
				t.Error("something is left after Release")
			}
		})
	}
}

// At no moment does a program that opens the node fail, or get the node itself.
func TestOverlayMovesWithoutAGap(t *testing.T) {
	dir := privateMounts(t)
	// A terminal of the test's own: to open it by mistake does no harm.
	tty := openPort(t).Path()
	original := deviceOf(t, tty)
	o := claimOverlay(t, tty, filepath.Join(dir, "run"))
	// All masters stay: an open that has found a terminal just before it is replaced
	// fails if that is closed before the open has come to its end.
	if err := o.Point(openPort(t).Path()); err != nil {
		t.Fatal(err)
	}
	var opens, wrong atomic.Int64
	var stop atomic.Bool
	var ended sync.WaitGroup
	ns, err := unix.Open("/proc/thread-self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(ns)
	ended.Go(func() {
		runtime.LockOSThread() // for good
		if err := errors.Join(unix.Unshare(unix.CLONE_FS), unix.Setns(ns, unix.CLONE_NEWNS)); err != nil {
			t.Error(err)
			return
		}
		for !stop.Load() {
			fd, err := unix.Open(tty, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
			var st unix.Stat_t
			if err == nil {
				err = errors.Join(unix.Fstat(fd, &st), unix.Close(fd))
			}
			if err != nil || uint64(st.Rdev) == original { //nolint:unconvert // see deviceOf
				wrong.Add(1)
			}
			opens.Add(1)
		}
	})
	const moves = 200
	for n := 0; n < moves || opens.Load() < moves && n < 3*moves; n++ {
		if err := o.Point(openPort(t).Path()); err != nil {
			t.Fatal(err)
		}
	}
	stop.Store(true)
	ended.Wait()
	if err := o.Release(); err != nil {
		t.Error(err)
	}
	if opens.Load() < moves || wrong.Load() != 0 {
		t.Errorf("%d of %d opens failed or met the node itself", wrong.Load(), opens.Load())
	}
	t.Logf("%d moves, %d opens", moves, opens.Load())
}

func TestOverlayRefusals(t *testing.T) {
	dir := privateMounts(t)
	run := filepath.Join(dir, "run")
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, err := range []error{
		os.WriteFile(at("file"), nil, 0o600),
		os.Mkdir(at("directory"), 0o700),
		os.Symlink("file", at("to file")),
		os.Symlink("nowhere", at("dangling")),
		os.Symlink("loop", at("loop")),
		unix.Mkfifo(at("pipe"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	node(t, at("null"), unix.S_IFCHR, 1, 3)
	node(t, at("disk"), unix.S_IFBLK, 4, 64)
	node(t, at("ptmx"), unix.S_IFCHR, 5, 2)
	node(t, at("console"), unix.S_IFCHR, 5, 1)
	for _, c := range []struct {
		name  string
		kind  error
		found string
	}{
		{"file", ErrNotTTY, "a regular file"},
		{"to file", ErrNotTTY, "a regular file"},
		{"directory", ErrNotTTY, "a directory"},
		{"pipe", ErrNotTTY, "a named pipe"},
		{"null", ErrNotTTY, "not a tty"},
		{"disk", ErrNotTTY, "a block device"},
		{"ptmx", ErrNotTTY, "/dev/ptmx"},
		{"console", ErrNotTTY, "/dev/console"},
		{"missing", os.ErrNotExist, "no such file"},
		{"dangling", os.ErrNotExist, "no such file"},
		{"loop", ErrLinkUnusable, "cannot be looked at"},
		{"file/tty", ErrLinkUnusable, "cannot be looked at"},
	} {
		_, err := ClaimOverlay(at(c.name), run)
		var e *OverlayError
		if !errors.As(err, &e) || !errors.Is(err, c.kind) || !strings.Contains(err.Error(), c.found) || e.Advice == "" {
			t.Errorf("%s: %v; want %v, saying %q", c.name, err, c.kind, c.found)
		}
	}
	tty := serialNode(t, dir)
	withoutCapabilities(t, func() {
		if _, err := ClaimOverlay(tty, run); !errors.Is(err, ErrNotPermitted) {
			t.Errorf("without the capability: %v", err)
		}
	})
	if _, err := os.Stat(run); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a run directory was made for refused ones: %v", err)
	}
	// Somebody else's pseudo-terminal.
	m := openPort(t)
	if err := unix.Mount(m.Path(), tty, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	if _, err := ClaimOverlay(tty, run); !errors.Is(err, ErrLinkTaken) || !strings.Contains(err.Error(), m.Path()) {
		t.Errorf("over another's: %v", err)
	}
	if mounts, err := mountsAt(tty); len(mounts) != 1 || err != nil || locksIn(t, run) != 0 {
		t.Errorf("what is another's was touched: %v, %v", mounts, err)
	}
}

// What a killed process leaves is taken off under the lock, all of it.
func TestOverlayLeftBehind(t *testing.T) {
	dir := privateMounts(t)
	run := filepath.Join(dir, "run")
	tty := serialNode(t, dir)
	original := deviceOf(t, tty)
	killed := claimOverlay(t, tty, run)
	killed.stackOnly = true
	masters := make([]*Master, 0, 3)
	for range 3 {
		m, err := Open(Options{UID: -1, GID: -1})
		if err != nil {
			t.Fatal(err)
		}
		masters = append(masters, m)
		if err := killed.Point(m.Path()); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range masters[:2] { // of the last one, programs still keep the terminal
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	defer masters[2].Close()
	if err := killed.lock.f.Close(); err != nil { // that is all the kernel does
		t.Fatal(err)
	}
	o := claimOverlay(t, tty, run)
	if deviceOf(t, tty) != original {
		t.Fatal("the node is still covered")
	}
	m := openPort(t)
	if err := o.Point(m.Path()); err != nil {
		t.Fatal(err)
	}
	// Covered by another's mount it stays, and on record.
	if err := unix.Mount("/dev/null", tty, "", unix.MS_BIND, ""); err != nil {
		t.Fatal(err)
	}
	if err := o.Point(masters[2].Path()); !errors.Is(err, ErrLinkTaken) {
		t.Errorf("Point beneath another's mount: %v", err)
	}
	if err := o.Release(); !errors.Is(err, ErrLinkTaken) {
		t.Errorf("Release beneath another's mount: %v", err)
	}
	if err := umount(tty); err != nil {
		t.Fatal(err)
	}
	if deviceOf(t, tty) != deviceOf(t, m.Path()) {
		t.Error("not what was there before")
	}
	o = claimOverlay(t, tty, run)
	if deviceOf(t, tty) != original {
		t.Error("the node is still covered")
	}
	// What somebody has taken off is no error.
	if err := errors.Join(o.Point(m.Path()), umount(tty), o.Release()); err != nil {
		t.Error(err)
	}
	if locksIn(t, run) != 0 {
		t.Error("a lock is left")
	}
}
