package port

import (
	"bytes"
	"errors"
	"io"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/pty"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// unmarked are the flags that say what a program reads of damaged characters and breaks.
const unmarked = unix.IGNBRK | unix.BRKINT | unix.IGNPAR | unix.PARMRK | unix.INPCK | unix.ISTRIP

// readUART reads n bytes, and no more if nothing comes for a moment.
func readUART(t *testing.T, f *os.File, n int) []byte {
	t.Helper()
	if err := f.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, n)
	k, err := io.ReadFull(f, got)
	if err != nil {
		t.Errorf("read: %v", err)
	}
	return got[:k]
}

// TestMarks: a program reads of a damaged character what its settings ask for (termios(3)).
func TestMarks(t *testing.T) {
	const parity, framing, brk = comport.LineParityError, comport.LineFramingError, comport.LineBreak
	for _, tt := range []struct {
		name   string
		iflag  uint32
		damage comport.LineState
		want   string // for "a", what the damage is told of, "b\xffc"
	}{
		{"not checked", 0, parity, "axb\xffc"},
		{"not checked, marks asked for", unix.PARMRK, parity, "axb\xff\xffc"},
		{"checked: NUL", unix.INPCK, parity, "a\x00b\xffc"},
		{"checked and marked", unix.INPCK | unix.PARMRK, parity, "a\xff\x00xb\xff\xffc"},
		{"a framing error as well", unix.INPCK | unix.PARMRK, framing, "a\xff\x00xb\xff\xffc"},
		{"both are one", unix.INPCK | unix.PARMRK, framing | parity, "a\xff\x00xb\xff\xffc"},
		{"checked and ignored", unix.INPCK | unix.IGNPAR, parity, "ab\xffc"},
		{"ignored goes before marked", unix.INPCK | unix.IGNPAR | unix.PARMRK, parity, "ab\xff\xffc"},
		{"a mark cannot pass ISTRIP", unix.INPCK | unix.PARMRK | unix.ISTRIP, parity, "a\x00b\x7fc"},
		{"an overrun is counted, no more", unix.INPCK | unix.PARMRK, comport.LineOverrunError, "axb\xff\xffc"},
		{"a break is NUL", 0, brk, "a\x00xb\xffc"},
		{"a marked break", unix.PARMRK, brk, "a\xff\x00\x00xb\xff\xffc"},
		{"a break is a framing error, too", unix.PARMRK | unix.INPCK, brk | framing, "a\xff\x00\x00xb\xff\xffc"},
		{"an ignored break", unix.IGNBRK | unix.PARMRK, brk, "axb\xff\xffc"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, f := newUART(t, nil)
			r.set(func(t *unix.Termios) { t.Iflag = t.Iflag&^unmarked | tt.iflag })
			r.eventually("the mask", func() bool { return r.lineMask() })
			r.uart.Receive([]byte("a"))
			got := readUART(t, f, 1) // else the server may tell of the error before
			r.uart.LineError(tt.damage)
			r.uart.Receive([]byte("xb\xffc"))
			if got = append(got, readUART(t, f, len(tt.want)-1)...); string(got) != tt.want {
				t.Errorf("it reads %q, want %q", got, tt.want)
			}
		})
	}
}

// lineMask reports whether the server was asked for line errors.
func (r *rig) lineMask() bool {
	return slices.Contains(r.server.Messages(), comport.Message(lineErrors))
}

// TestMarksWithoutRoom: marks that do not fit at once are written in pieces, each once.
func TestMarksWithoutRoom(t *testing.T) {
	m, err := pty.Open(pty.Options{UID: -1, GID: -1, Mode: 0o600})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = m.Close() }()
	fd, err := unix.Open(m.Path(), unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	asked := m.Settings()
	asked.Iflag = asked.Iflag&^unmarked | unix.INPCK | unix.PARMRK
	if err := m.Show(asked); err != nil {
		t.Fatal(err)
	}
	tty := &terminal{master: m, exact: func() bool { return true }}
	var got, want []byte
	buf := make([]byte, 1000)
	read := func() (n int) {
		n, err := unix.Read(fd, buf)
		if err != nil && !errors.Is(err, unix.EAGAIN) {
			t.Fatal(err)
		}
		n = max(n, 0)
		got = append(got, buf[:n]...)
		return n
	}
	short := 0
	for i := range 20000 {
		tty.damaged(comport.LineParityError)
		some := bytes.Repeat([]byte{byte(i), 0xff}, 1+i%5)
		want = append(want, 0xff, 0, some[0])
		for _, c := range some[1:] {
			if want = append(want, c); c == 0xff {
				want = append(want, c)
			}
		}
		for len(some) > 0 {
			n, err := tty.Write(some)
			if err != nil {
				t.Fatal(err)
			}
			if some = some[n:]; len(some) > 0 {
				short++
				read()
			}
		}
	}
	for deadline := time.Now().Add(10 * time.Second); len(got) < len(want) && time.Now().Before(deadline); {
		if read() == 0 {
			time.Sleep(time.Millisecond) // the kernel hands it on in its own time
		}
	}
	if !bytes.Equal(got, want) {
		i := 0
		for i < min(len(got), len(want)) && got[i] == want[i] {
			i++
		}
		t.Errorf("%d bytes, want %d; they differ from %d on", len(got), len(want), i)
	}
	if short == 0 {
		t.Error("there was always room")
	}
}

// TestMarksAreNotForTheNextProgram, nor for those who have flushed their input, nor for ports
// without a supervisor, whose server is not asked either.
func TestMarksAreNotForTheNextProgram(t *testing.T) {
	check := func(t *testing.T, r *rig, f *os.File) {
		t.Helper()
		r.uart.Receive([]byte("x"))
		if got := readUART(t, f, 1); string(got) != "x" {
			t.Errorf("it reads %q, want %q", got, "x")
		}
	}
	asks := func(t *unix.Termios) { t.Iflag = t.Iflag&^unmarked | unix.INPCK | unix.PARMRK }
	damaged := func(r *rig) {
		r.eventually("the mask", func() bool { return r.lineMask() })
		r.uart.LineError(comport.LineParityError)
		r.eventually("it is counted", func() bool { return r.look().Counts.Parity == 1 })
	}
	t.Run("a close", func(t *testing.T) {
		r, f := newUART(t, func(cfg *Config) { cfg.Connect = ConnectAlways })
		r.set(asks)
		damaged(r)
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		r.await(KindClosed)
		r.do(func() { // and while it is closed
			r.port.lineState(comport.LineParityError)
			r.port.lineState(comport.LineBreak)
		})
		f = r.program()
		r.set(asks)
		check(t, r, f)
	})
	t.Run("a flush", func(t *testing.T) {
		r, f := newUART(t, nil)
		r.set(asks)
		damaged(r)
		r.do(func() {
			if err := r.port.Flush(true, false); err != nil {
				t.Error(err)
			}
		})
		check(t, r, f)
	})
	t.Run("no supervisor", func(t *testing.T) {
		r := newRig(t, rfc2217test.Faults{}, nil)
		f := r.program()
		r.await(KindConnected)
		r.set(asks)
		r.do(func() { r.port.lineState(comport.LineParityError) })
		check(t, r, f)
	})
}
