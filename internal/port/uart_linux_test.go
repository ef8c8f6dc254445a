package port

import (
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// newUART is a rig whose program's ioctls are seen: attached and connected.
func newUART(t *testing.T, change func(*Config)) (*rig, *os.File) {
	t.Helper()
	r := newRig(t, rfc2217test.Faults{}, change)
	r.do(r.port.Attach)
	f := r.program()
	r.await(KindConnected)
	return r, f
}

func (r *rig) look() (u UART) {
	r.do(func() { u = r.port.UART() })
	return u
}

// set does what the supervisor does at a TCSETS.
func (r *rig) set(change func(*unix.Termios)) {
	r.t.Helper()
	var err error
	r.do(func() {
		u := r.port.UART()
		change(&u.Termios)
		err = r.port.SetTermios(u.Termios)
	})
	if err != nil {
		r.t.Fatal(err)
	}
}

// TestExactSettings: what a pseudo-terminal strips reaches the UART, and is what
// the program reads back; a program that is not supervised leaves it alone.
func TestExactSettings(t *testing.T) {
	r, f := newUART(t, nil)
	r.set(func(tio *unix.Termios) {
		tio.Cflag = tio.Cflag&^frameBits | unix.CS7 | unix.PARENB | unix.PARODD | unix.CSTOPB
	})
	r.eventually("7O2", func() bool {
		s := r.uart.State()
		return s.DataSize == 7 && s.Parity == comport.ParityOdd && s.StopSize == comport.StopSize2
	})
	if got := r.look().Termios.Cflag & (frameBits | unix.PARODD | unix.CSTOPB); got != unix.CS7|unix.PARENB|unix.PARODD|unix.CSTOPB {
		t.Errorf("read back: %#o", got)
	}
	r.setSpeed(f, 19200)
	r.eventually("the speed", func() bool { return r.uart.State().BaudRate == 19200 })
	if s := r.uart.State(); s.DataSize != 7 || s.Parity != comport.ParityOdd {
		t.Errorf("after a plain tcsetattr the UART is %v", s)
	}
	r.set(func(tio *unix.Termios) { tio.Cflag = tio.Cflag&^(frameBits|unix.PARODD|unix.CSTOPB) | unix.CS8 })
	r.eventually("8N1", func() bool {
		s := r.uart.State()
		return s.DataSize == 8 && s.Parity == comport.ParityNone && s.StopSize == 1
	})
}

// TestExactOrder: every byte leaves with the settings that were in force when it
// was written.
func TestExactOrder(t *testing.T) {
	r, f := newUART(t, func(cfg *Config) { cfg.Settle = 0 })
	for i := range 300 {
		rate := uint32(1200 + i)
		if _, err := f.WriteString("abc"); err != nil {
			t.Fatal(err)
		}
		r.set(func(tio *unix.Termios) {
			tio.Cflag = tio.Cflag&^(unix.CBAUD|unix.CBAUDEX) | unix.BOTHER
			tio.Ispeed, tio.Ospeed = rate, rate
		})
	}
	r.eventually("the last speed", func() bool { return r.uart.State().BaudRate == 1499 })
	var rates []uint32
	for _, e := range r.uart.Journal() {
		if e.Kind == rfc2217test.EntryData {
			for range e.Data {
				rates = append(rates, e.State.BaudRate)
			}
		}
		if e.Kind == rfc2217test.EntrySpoiled {
			for range e.Count {
				rates = append(rates, 0)
			}
		}
	}
	if len(rates) != 900 {
		t.Fatalf("%d bytes left, want 900", len(rates))
	}
	for i, rate := range rates {
		if want := uint32(1200 + i/3 - 1); i >= 3 && rate != want {
			t.Fatalf("byte %d left at %d bit/s, want %d", i, rate, want)
		}
	}
}

// TestUARTLines: both are up after the first open, edges are sent each, also those
// that change nothing, and come back after a loss.
func TestUARTLines(t *testing.T) {
	r, _ := newUART(t, nil)
	if u := r.look(); !u.DTR || !u.RTS {
		t.Errorf("after the open: %+v", u)
	}
	r.eventually("raised at the server", func() bool { return len(r.asked()) == 2 })
	const on, off = comport.ControlDTROn, comport.ControlDTROff
	for _, c := range []comport.Control{off, on, on, off} {
		r.do(func() {
			if err := r.port.DriveLines(c, 0); err != nil {
				t.Error(err)
			}
		})
	}
	r.do(func() { _ = r.port.DriveLines(0, comport.ControlRTSOff) })
	want := []comport.Control{on, comport.ControlRTSOn, off, on, on, off, comport.ControlRTSOff}
	r.eventually("each edge", func() bool { return slices.Equal(r.asked(), want) })
	if u := r.look(); u.DTR || u.RTS {
		t.Errorf("both down, and read as %+v", u)
	}
	r.server.Disconnect()
	r.eventually("down after a loss, too", func() bool {
		s := r.uart.State()
		return len(r.of(KindConnected)) == 2 && s.DTR == off && s.RTS == comport.ControlRTSOff
	})
}

// TestUARTBreak lasts as long as asked, between what was written before and after.
func TestUARTBreak(t *testing.T) {
	const length = 80 * time.Millisecond
	r, f := newUART(t, nil)
	if _, err := f.WriteString("before"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	begin := time.Now()
	r.do(func() { r.port.SendBreak(length, func(err error) { done <- err }) })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < length {
		t.Errorf("it took %v, want %v", took, length)
	}
	if _, err := f.WriteString("after"); err != nil {
		t.Fatal(err)
	}
	r.eventually("all of it", func() bool { return string(r.uart.Sent()) == "beforeafter" })
	var seen []string
	var at []time.Time
	for _, e := range r.uart.Journal() {
		switch e.Kind {
		case rfc2217test.EntryData:
			seen = append(seen, string(e.Data))
		case rfc2217test.EntryBreak:
			seen = append(seen, e.Message.String())
			at = append(at, e.Time)
		default:
		}
	}
	on, off := comport.SetControl{Control: comport.ControlBreakOn}, comport.SetControl{Control: comport.ControlBreakOff}
	if want := []string{"before", on.String(), off.String(), "after"}; !slices.Equal(seen, want) {
		t.Errorf("the UART saw %q, want %q", seen, want)
	}
	if len(at) == 2 && at[1].Sub(at[0]) < length*9/10 {
		t.Errorf("the break lasted %v", at[1].Sub(at[0]))
	}
}

// TestBreakIsCancelled with its program: the line does not stay broken.
func TestBreakIsCancelled(t *testing.T) {
	r, _ := newUART(t, nil)
	var cancel func()
	r.do(func() { cancel = r.port.SendBreak(time.Hour, func(error) { t.Error("it ended by itself") }) })
	r.eventually("the break", func() bool { return r.uart.State().Break == comport.ControlBreakOn })
	r.do(cancel)
	r.eventually("its end", func() bool { return r.uart.State().Break == comport.ControlBreakOff })
}

// TestBreaksDoNotOverlap: each of several that are asked for at once has its whole length,
// but for one that is given up while it waits.
func TestBreaksDoNotOverlap(t *testing.T) {
	const length = 40 * time.Millisecond
	r, _ := newUART(t, nil)
	done := make(chan error, 2)
	begin := time.Now()
	r.do(func() {
		r.port.SendBreak(length, func(err error) { done <- err })
		cancel := r.port.SendBreak(time.Hour, func(error) { t.Error("it was given up") })
		r.port.SendBreak(length, func(err error) { done <- err })
		cancel()
	})
	for range 2 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if took := time.Since(begin); took < 2*length {
		t.Errorf("both took %v, want %v", took, 2*length)
	}
	r.eventually("the end", func() bool { return r.uart.State().Break == comport.ControlBreakOff })
	var seen []comport.Control
	for _, e := range r.uart.Journal() {
		if m, ok := e.Message.(comport.SetControl); ok && e.Kind == rfc2217test.EntryBreak {
			seen = append(seen, m.Control)
		}
	}
	on, off := comport.ControlBreakOn, comport.ControlBreakOff
	if want := []comport.Control{on, off, on, off}; !slices.Equal(seen, want) {
		t.Fatalf("%v, want %v", seen, want)
	}
}

// TestUARTCounts: what TIOCGICOUNT tells.
func TestUARTCounts(t *testing.T) {
	r, f := newUART(t, nil)
	r.eventually("the mask", func() bool {
		return slices.Contains(r.server.Messages(), comport.Message(lineErrors))
	})
	r.eventually("the lines of a device that is there", func() bool {
		return r.look().Modem == comport.ModemDCD|comport.ModemDSR|comport.ModemCTS
	})
	before := r.look().Counts
	r.uart.SetModem(comport.ModemCTS | comport.ModemRI)
	r.eventually("RI up, DCD and DSR down", func() bool { return r.look().Modem == comport.ModemCTS|comport.ModemRI })
	r.uart.SetModem(comport.ModemDCD | comport.ModemDSR)
	r.eventually("DCD and DSR up, CTS and RI down", func() bool { return r.look().Modem == comport.ModemDCD|comport.ModemDSR })
	r.uart.LineError(comport.LineBreak)
	r.uart.LineError(comport.LineFramingError | comport.LineParityError | comport.LineOverrunError)
	r.uart.Receive([]byte("12345"))
	if _, err := f.WriteString("123"); err != nil {
		t.Fatal(err)
	}
	// RI has risen and fallen: one trailing edge.
	want := Counts{
		CTS: before.CTS + 1, DSR: before.DSR + 2, RNG: before.RNG + 1, DCD: before.DCD + 2,
		RX: 5, TX: 3, Frame: 1, Parity: 1, Overrun: 1, Brk: 1,
	}
	r.eventually("the counts", func() bool { return r.look().Counts == want })
}

// TestWhenSent: done when nothing waits any more, not before.
func TestWhenSent(t *testing.T) {
	r, f := newUART(t, nil)
	if _, err := f.WriteString("all of it"); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	r.do(func() { r.port.WhenSent(func() { close(done) }) })
	<-done
	r.eventually("it arrives", func() bool { return string(r.uart.Sent()) == "all of it" })
	r.server.SetFaults(rfc2217test.Faults{IgnoreComPort: true})
	r.server.Disconnect()
	r.await(KindDisconnected)
	var cancel func()
	late := false
	if _, err := f.WriteString("later"); err != nil {
		t.Fatal(err)
	}
	r.do(func() { cancel = r.port.WhenSent(func() { late = true }) })
	r.do(func() {
		if late {
			t.Error("done without a connection")
		}
	})
	r.do(cancel)
}

// TestUARTFlush: both queues, by default.
func TestUARTFlush(t *testing.T) {
	r, _ := newUART(t, nil)
	for _, q := range [][2]bool{{true, false}, {false, true}, {true, true}} {
		r.do(func() {
			if err := r.port.Flush(q[0], q[1]); err != nil {
				t.Error(err)
			}
		})
	}
	r.eventually("the purges", func() bool { return slices.Equal(r.purges(), []comport.Purge{1, 2, 3}) })
}

// TestLinesDropAfterTheSupervisor: the close drops what the open has raised, also
// when the supervisor was quicker to go.
func TestLinesDropAfterTheSupervisor(t *testing.T) {
	r, f := newUART(t, func(cfg *Config) { cfg.Connect = ConnectAlways })
	r.eventually("raised", func() bool { return r.uart.State().DTR == comport.ControlDTROn && len(r.asked()) >= 2 })
	r.do(r.port.Detach)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	r.eventually("dropped", func() bool { return r.uart.State().DTR == comport.ControlDTROff })
}

// TestNoRoomForEdges: more edges than are kept are refused, and taken when the
// server takes what waits; a break that ends meanwhile does not stay.
func TestNoRoomForEdges(t *testing.T) {
	r, _ := newUART(t, nil)
	r.server.Send(comport.FlowControlSuspend{})
	r.await(KindSuspended)
	n := 0
	var err error
	r.do(func() {
		for ; err == nil && n < 10_000; n++ {
			err = r.port.DriveLines([]comport.Control{comport.ControlDTROff, comport.ControlDTROn}[n%2], 0)
		}
	})
	if !errors.Is(err, ErrBusy) {
		t.Fatalf("after %d edges: %v, want ErrBusy", n, err)
	}
	ended, room := make(chan error, 1), make(chan struct{})
	r.do(func() {
		r.port.endBreak(func(err error) { ended <- err })
		r.port.WhenRoom(func() { close(room) })
	})
	r.server.Send(comport.FlowControlResume{})
	<-room
	if err := <-ended; err != nil {
		t.Error(err)
	}
	r.eventually("the end of the break", func() bool {
		return slices.Contains(r.server.Messages(), comport.Message(comport.SetControl{Control: comport.ControlBreakOff}))
	})
}
