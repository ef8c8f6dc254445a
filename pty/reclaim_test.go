package pty

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReclaim(t *testing.T) {
	for _, mode := range lockModes {
		t.Run(mode.name, func(t *testing.T) {
			m := openMaster(t, mode.locked)
			p := openProgram(t, m)
			p.change(func(t *unix.Termios) { t.Cflag &^= unix.HUPCL; speed(4800)(t) })
			if os.Geteuid() == 0 { // others cannot undo it: TestExclusiveModeNobodyCanClear
				if err := unix.IoctlSetInt(p.fd, unix.TIOCEXCL, 0); err != nil {
					t.Fatal(err)
				}
			}
			write(t, m, strings.Repeat("stale ", 1500)) // more than the line discipline holds
			p.write("kept")
			p.close()
			if hung, err := m.Hung(); !hung || err != nil {
				t.Fatalf("Hung() = %v, %v", hung, err)
			}
			if err := m.Reclaim(); err != nil {
				t.Fatal(err)
			}
			// The program's own status and data are still there.
			mustStatus(t, m, StatusIoctl)
			buf := make([]byte, 64)
			if data, _, err := m.Read(buf); string(data) != "kept" || err != nil {
				t.Errorf("Read: %q, %v", data, err)
			}
			if got := observe(t, m); got.Ospeed != 4800 || got.Cflag&unix.HUPCL == 0 {
				t.Errorf("observed %+v; want 4800 with HUPCL", got)
			}
			if hung, err := m.Hung(); !hung || err != nil {
				t.Errorf("Hung() = %v, %v after Reclaim", hung, err)
			}
			withoutCapabilities(t, func() {
				p = openProgram(t, m) // EBUSY if exclusive mode were still on
			})
			if n := p.waiting(); n != 0 {
				t.Errorf("the next program finds %d stale bytes", n)
			}
			write(t, m, "fresh")
			if got := p.read(5); got != "fresh" {
				t.Errorf("the next program reads %q", got)
			}
			mustStatus(t, m, 0)
		})
	}
}

func TestReclaimWithNothingToDoRaisesNothing(t *testing.T) {
	m := openPort(t)
	for range 3 {
		if err := m.Reclaim(); err != nil {
			t.Fatal(err)
		}
		mustStatus(t, m, 0)
		if m.Pending() {
			t.Fatal("a status is pending")
		}
	}
}

func TestExclusiveModeNobodyCanClear(t *testing.T) {
	m := openMaster(t, false)
	p := openProgram(t, m)
	if err := unix.IoctlSetInt(p.fd, unix.TIOCEXCL, 0); err != nil {
		t.Fatal(err)
	}
	write(t, m, "stale")
	p.close()
	withoutCapabilities(t, func() {
		if err := m.Reclaim(); !errors.Is(err, ErrBusy) {
			t.Errorf("Reclaim: %v, want ErrBusy", err)
		}
		if err := m.FlushInput(); !errors.Is(err, ErrBusy) {
			t.Errorf("FlushInput: %v, want ErrBusy", err)
		}
	})
	need(t, os.Geteuid() == 0, "only CAP_SYS_ADMIN opens a port in exclusive mode")
	if err := m.Reclaim(); err != nil {
		t.Errorf("with the capability: %v", err)
	}
}

// A program that has opened the port again is not disturbed.
func TestReclaimAfterReopen(t *testing.T) {
	m := openPort(t)
	p := openProgram(t, m)
	write(t, m, "for p")
	if err := m.Reclaim(); err != nil { // nothing has been hung up
		t.Fatal(err)
	}
	if got := p.read(5); got != "for p" {
		t.Fatalf("program read %q", got)
	}
	write(t, m, "stale")
	p.close()
	if hung, err := m.Hung(); !hung || err != nil {
		t.Fatalf("Hung() = %v, %v", hung, err)
	}
	q := openProgram(t, m)
	q.change(func(t *unix.Termios) { t.Cflag &^= unix.HUPCL })
	mustStatus(t, m, StatusIoctl)
	if err := m.Reclaim(); err != nil {
		t.Fatal(err)
	}
	if n := q.waiting(); n != 0 {
		t.Errorf("%d stale bytes", n)
	}
	if q.termios().Cflag&unix.HUPCL != 0 {
		t.Error("the program's setting was changed")
	}
	write(t, m, "fresh")
	if err := m.Reclaim(); err != nil {
		t.Fatal(err)
	}
	if got := q.read(5); got != "fresh" {
		t.Errorf("read %q", got)
	}
}

func TestFlushInput(t *testing.T) {
	m := openPort(t)
	p := openProgram(t, m)
	for {
		if _, err := m.Write([]byte(strings.Repeat("x", 1024))); err != nil {
			break
		}
	}
	p.write("other way")
	p.change(speed(1200))
	if err := m.FlushInput(); err != nil {
		t.Fatal(err)
	}
	mustStatus(t, m, StatusIoctl) // the program's, without our FLUSHREAD
	write(t, m, "new")
	if got := p.read(3); got != "new" {
		t.Errorf("program read %q", got)
	}
	if n := p.waiting(); n != 0 {
		t.Errorf("%d bytes more", n)
	}
	buf := make([]byte, 64)
	if data, _, err := m.Read(buf); string(data) != "other way" || err != nil {
		t.Errorf("Read: %q, %v", data, err)
	}
}

// Two hundred programs one after the other: each is seen to open and to close,
// and none reads what was meant for another.
func TestReopens(t *testing.T) {
	m := openPort(t)
	w := newWatcher(t)
	wakes := 0
	if err := w.Add(m, func() { wakes++ }); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, MaxRead+1)
	for i := range 200 {
		wakes = 0
		p := openProgram(t, m)
		waitFor(t, w.Fd(), unix.POLLIN)
		dispatch(t, w)
		if hung, err := m.Hung(); wakes != 1 || hung || err != nil {
			t.Fatalf("open %d: %d wakes, hung %v, %v", i, wakes, hung, err)
		}
		write(t, m, "unread")
		p.write("x")
		p.close()
		waitFor(t, m.Fd(), unix.POLLHUP)
		if data, _, err := m.Read(buf); string(data) != "x" || err != nil {
			t.Fatalf("read %q, %v", data, err)
		}
		if _, _, err := m.Read(buf); !errors.Is(err, ErrHangup) {
			t.Fatalf("close %d: %v", i, err)
		}
		if err := m.Reclaim(); err != nil {
			t.Fatal(err)
		}
		dispatch(t, w)
		q := openProgram(t, m)
		if n := q.waiting(); n != 0 {
			t.Fatalf("round %d: %d stale bytes", i, n)
		}
		q.close()
		dispatch(t, w)
	}
}
