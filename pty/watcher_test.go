package pty

import (
	"encoding/binary"
	"errors"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

func newWatcher(t *testing.T) *Watcher {
	t.Helper()
	w, err := NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return w
}

func dispatch(t *testing.T, w *Watcher) {
	t.Helper()
	if err := w.Dispatch(); err != nil {
		t.Fatal(err)
	}
}

func TestWatcherWakesTheRightPortOnce(t *testing.T) {
	w := newWatcher(t)
	a, b := openPort(t), openPort(t)
	woken := map[*Master]int{}
	for _, m := range []*Master{a, b} {
		if err := w.Add(m, func() { woken[m]++ }); err != nil {
			t.Fatal(err)
		}
	}
	dispatch(t, w) // nothing waits: returns at once
	for range 3 {
		openProgram(t, a).close()
	}
	dispatch(t, w)
	if woken[a] != 1 || woken[b] != 0 {
		t.Fatalf("woken %d and %d times, want 1 and 0", woken[a], woken[b])
	}
	// Through a link, and the other port.
	link := t.TempDir() + "/tty"
	if err := os.Symlink(b.Path(), link); err != nil {
		t.Fatal(err)
	}
	fd, err := unix.Open(link, unix.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	dispatch(t, w)
	if woken[b] != 1 {
		t.Errorf("open through a link: woken %d times, want 1", woken[b])
	}
	unix.Close(fd)
	dispatch(t, w)
	if woken[b] != 2 || woken[a] != 1 {
		t.Errorf("close: woken %d and %d times, want 1 and 2", woken[a], woken[b])
	}

	w.Remove(a)
	w.Remove(a)
	openProgram(t, a).close()
	dispatch(t, w)
	if woken[a] != 1 {
		t.Error("woken after Remove")
	}
}

func TestWatcherSurvivesAMasterThatCloses(t *testing.T) {
	w := newWatcher(t)
	m, err := Open(Options{UID: -1, GID: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Add(m, func() {}); err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	dispatch(t, w)
	w.Remove(m)
	// The number is likely to be given out again: a new port, a new watch.
	next := openPort(t)
	woken := 0
	if err := w.Add(next, func() { woken++ }); err != nil {
		t.Fatal(err)
	}
	openProgram(t, next).close()
	dispatch(t, w)
	if woken != 1 {
		t.Errorf("woken %d times, want 1", woken)
	}
}

// What Reclaim does itself must not wake a loop that answers a wake-up with
// Reclaim.
func TestWatcherDoesNotReportReclaim(t *testing.T) {
	w := newWatcher(t)
	m := openPort(t)
	woken := 0
	if err := w.Add(m, func() { woken++ }); err != nil {
		t.Fatal(err)
	}
	expect := func(what string, want int) {
		t.Helper()
		woken = 0
		dispatch(t, w)
		if woken != want {
			t.Errorf("%s: %d wakes, want %d", what, woken, want)
		}
	}
	twice := func(f func() error) {
		t.Helper()
		if err := errors.Join(f(), f()); err != nil {
			t.Fatal(err)
		}
	}
	if hung, err := m.Hung(); !hung || err != nil {
		t.Fatal(hung, err)
	}
	twice(m.Reclaim)
	expect("Reclaim", 0)
	twice(m.FlushInput)
	expect("FlushInput", 0)

	openProgram(t, m).close()
	twice(m.Reclaim)
	expect("a program, then Reclaim", 1)

	twice(m.Reclaim)
	p := openProgram(t, m)
	expect("Reclaim, then a program", 1)
	write(t, m, "x")
	twice(m.FlushInput)
	dispatch(t, w)
	p.close()
	expect("its close", 1)

	// A program that only reads makes the very events that Reclaim makes.
	twice(m.Reclaim)
	fd, err := unix.Open(m.Path(), unix.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	unix.Close(fd)
	twice(m.Reclaim)
	expect("a program that only reads, between two Reclaims", 1)
	expect("nothing", 0)
}

func TestWatcherRemoveInsideWake(t *testing.T) {
	w := newWatcher(t)
	a, b := openPort(t), openPort(t)
	woken := 0
	wake := func() {
		woken++
		w.Remove(a)
		w.Remove(b)
	}
	for _, m := range []*Master{a, b} {
		if err := w.Add(m, wake); err != nil {
			t.Fatal(err)
		}
		openProgram(t, m).close()
	}
	dispatch(t, w)
	if woken != 1 {
		t.Errorf("%d wakes, want 1: the first removes both", woken)
	}
}

func TestWatcherOverflowWakesAll(t *testing.T) {
	w := newWatcher(t)
	woken := 0
	for range 3 {
		if err := w.Add(openPort(t), func() { woken++ }); err != nil {
			t.Fatal(err)
		}
	}
	event := make([]byte, unix.SizeofInotifyEvent)
	binary.NativeEndian.PutUint32(event[0:4], 0xffffffff) // wd is -1, inotify(7)
	binary.NativeEndian.PutUint32(event[4:8], unix.IN_Q_OVERFLOW)
	w.parse(event)
	dispatchDue(w)
	if woken != 3 {
		t.Errorf("%d wakes, want 3", woken)
	}
}

// dispatchDue makes the wakes of what parse has marked.
func dispatchDue(w *Watcher) {
	for _, p := range w.due {
		p.wake()
	}
}

func TestWatcherClosed(t *testing.T) {
	w, err := NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("second Close: %v", err)
	}
	if err := w.Dispatch(); !errors.Is(err, os.ErrClosed) {
		t.Errorf("Dispatch: %v", err)
	}
}

// The kernel's bytes are trusted, but a parser is a parser.
func FuzzWatcherParse(f *testing.F) {
	f.Add(make([]byte, unix.SizeofInotifyEvent))
	f.Add([]byte("\x01\x00\x00\x00\x20\x00\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		w := &Watcher{ports: map[int32]*watchedPort{1: {master: &Master{}, wd: 1, wake: func() {}}}}
		w.parse(b)
	})
}
