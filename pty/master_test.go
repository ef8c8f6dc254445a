package pty

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestOpenLooksLikeAnIdleUART(t *testing.T) {
	for _, mode := range lockModes {
		t.Run(mode.name, func(t *testing.T) {
			m := openMaster(t, mode.locked)
			if hung, err := m.Hung(); !hung || err != nil {
				t.Errorf("Hung() = %v, %v; want true before the first open", hung, err)
			}
			mustStatus(t, m, 0)
			p := openProgram(t, m)
			got := p.termios()
			if want := uint32(unix.B9600 | unix.CS8 | unix.CREAD | unix.HUPCL | unix.CLOCAL); got.Cflag != want {
				t.Errorf("c_cflag %#o, want %#o", got.Cflag, want)
			}
			if got.Iflag != 0 || got.Oflag != 0 || got.Lflag != unix.EXTPROC {
				t.Errorf("not raw: c_iflag %#o c_oflag %#o c_lflag %#o", got.Iflag, got.Oflag, got.Lflag)
			}
			if got.Ispeed != 9600 || got.Ospeed != 9600 {
				t.Errorf("speeds %d %d, want 9600", got.Ispeed, got.Ospeed)
			}
			if seen := observe(t, m); seen.Lflag&unix.EXTPROC != 0 {
				t.Error("Observe shows EXTPROC")
			}
			if hung, err := m.Hung(); hung || err != nil {
				t.Errorf("Hung() = %v, %v while a program has the port open", hung, err)
			}
		})
	}
}

func TestOpenOwnerAndMode(t *testing.T) {
	need(t, os.Geteuid() == 0, "only root may give a terminal away")
	m, err := Open(Options{UID: 1, GID: 2, Mode: 0o640})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var st unix.Stat_t
	if err := unix.Stat(m.Path(), &st); err != nil {
		t.Fatal(err)
	}
	if st.Uid != 1 || st.Gid != 2 || st.Mode&0o777 != 0o640 {
		t.Errorf("owner %d:%d mode %#o, want 1:2 0640", st.Uid, st.Gid, st.Mode&0o777)
	}
}

func TestReadDataStatusAndErrors(t *testing.T) {
	m := openPort(t)
	buf := make([]byte, MaxRead+1)
	if _, _, err := m.Read(buf); !errors.Is(err, ErrHangup) {
		t.Fatalf("before the first open: %v, want ErrHangup", err)
	}
	p := openProgram(t, m)
	if _, _, err := m.Read(buf); !errors.Is(err, ErrWouldBlock) {
		t.Fatalf("nothing written: %v, want ErrWouldBlock", err)
	}
	p.write("data \x00\xff")
	waitFor(t, m.Fd(), unix.POLLIN)
	if n, err := m.Readable(); n != 7 || err != nil {
		t.Errorf("Readable() = %d, %v; want 7", n, err)
	}
	mustStatus(t, m, 0) // never data
	data, st, err := m.Read(buf)
	if string(data) != "data \x00\xff" || st != 0 || err != nil {
		t.Fatalf("Read = %q, %v, %v", data, st, err)
	}
	if len(data) > 0 && &data[0] != &buf[1] {
		t.Error("data do not alias the buffer")
	}

	p.change(speed(4800))
	data, st, err = m.Read(buf)
	if len(data) != 0 || st != StatusIoctl || err != nil {
		t.Fatalf("after tcsetattr: %q, %v, %v; want IOCTL", data, st, err)
	}
	for arg, want := range map[int]Status{unix.TCIFLUSH: StatusFlushRead, unix.TCOFLUSH: StatusFlushWrite, unix.TCIOFLUSH: StatusFlushRead | StatusFlushWrite} {
		if err := unix.IoctlSetInt(p.fd, unix.TCFLSH, arg); err != nil {
			t.Fatal(err)
		}
		mustStatus(t, m, want)
	}
	for _, step := range []struct {
		arg  int
		want Status
	}{{unix.TCOOFF, StatusStop}, {unix.TCOON, StatusStart}} {
		if err := unix.IoctlSetInt(p.fd, unix.TCXONC, step.arg); err != nil {
			t.Fatal(err)
		}
		mustStatus(t, m, step.want)
	}

	p.write("last words")
	p.close()
	if data, _, err := m.Read(buf); string(data) != "last words" || err != nil {
		t.Fatalf("after the last close: %q, %v", data, err)
	}
	if _, _, err := m.Read(buf); !errors.Is(err, ErrHangup) {
		t.Fatalf("then %v, want ErrHangup", err)
	}
	if _, _, err := m.Read(buf[:1]); err == nil || errors.Is(err, ErrWouldBlock) {
		t.Errorf("one byte of room: %v, want an error", err)
	}
}

func TestWriteUntilFull(t *testing.T) {
	m := openPort(t)
	p := openProgram(t, m)
	chunk := []byte(strings.Repeat("0123456789abcdef", 64))
	var sent int
	for {
		n, err := m.Write(chunk)
		if errors.Is(err, ErrWouldBlock) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if sent += n; sent > 1<<20 {
			t.Fatal("a pseudo-terminal that never fills")
		}
	}
	got := p.read(sent)
	if want := strings.Repeat(string(chunk), sent/len(chunk)+1)[:sent]; got != want {
		t.Error("what was read differs from what was written")
	}
	if n, err := m.Write(nil); n != 0 || err != nil {
		t.Errorf("empty write: %d, %v", n, err)
	}
}

func TestClosedMaster(t *testing.T) {
	m, err := Open(Options{UID: -1, GID: -1})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 8)
	calls := map[string]func() error{
		"Close":      m.Close,
		"Read":       func() error { _, _, err := m.Read(buf); return err },
		"ReadStatus": func() error { _, err := m.ReadStatus(); return err },
		"Write":      func() error { _, err := m.Write(buf); return err },
		"Observe":    func() error { _, err := m.Observe(); return err },
		"Show":       func() error { return m.Show(unix.Termios{}) },
		"Hung":       func() error { _, err := m.Hung(); return err },
		"Readable":   func() error { _, err := m.Readable(); return err },
		"Reclaim":    m.Reclaim,
		"FlushInput": m.FlushInput,
		"Hangup":     m.Hangup,
	}
	for name, call := range calls {
		var op *OpError
		if err := call(); !errors.Is(err, os.ErrClosed) || !errors.As(err, &op) {
			t.Errorf("%s: %v, want an OpError that is os.ErrClosed", name, err)
		}
	}
	if m.Fd() != -1 {
		t.Errorf("Fd() = %d after Close", m.Fd())
	}
}

func TestHotPathDoesNotAllocate(t *testing.T) {
	m := openPort(t)
	p := openProgram(t, m)
	buf := make([]byte, 64)
	one := []byte{'x'}
	round := func() {
		if _, err := unix.Write(p.fd, one); err != nil {
			t.Fatal(err)
		}
		for {
			if _, _, err := m.Read(buf); err == nil {
				break
			}
		}
		if _, _, err := m.Read(buf); !errors.Is(err, ErrWouldBlock) {
			t.Fatal(err)
		}
		if _, err := m.Write(one); err != nil {
			t.Fatal(err)
		}
		if _, err := m.ReadStatus(); err != nil {
			t.Fatal(err)
		}
		if _, err := m.Observe(); err != nil {
			t.Fatal(err)
		}
		unix.Read(p.fd, buf)
	}
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations a round", n)
	}
}

func TestStatusString(t *testing.T) {
	for st, want := range map[Status]string{
		0:                                  "none",
		StatusIoctl:                        "IOCTL",
		StatusFlushRead | StatusFlushWrite: "FLUSHREAD|FLUSHWRITE",
		0xff:                               "FLUSHREAD|FLUSHWRITE|STOP|START|NOSTOP|DOSTOP|IOCTL|0x80",
	} {
		if got := st.String(); got != want {
			t.Errorf("Status(%#x) = %q, want %q", uint8(st), got, want)
		}
	}
}
