package port

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

func (r *rig) setLine(line comport.State) {
	r.t.Helper()
	var err error
	r.do(func() { err = r.port.SetLine(line) })
	if err != nil {
		r.t.Fatal(err)
	}
}

// sevenEven is 2400-7E2.
var sevenEven = comport.State{BaudRate: 2400, DataSize: 7, Parity: comport.ParityEven, StopSize: comport.StopSize2}

// TestSetLineUnderAProgram: the UART has it, between what was written before and
// after, the tty shows it, and the program's next tcsetattr changes only what a
// pseudo-terminal can carry.
func TestSetLineUnderAProgram(t *testing.T) {
	r := newRig(t, rfc2217test.Faults{}, nil)
	f := r.program()
	r.await(KindConnected)
	if _, err := f.WriteString("before"); err != nil {
		t.Fatal(err)
	}
	r.setLine(sevenEven)
	if _, err := f.WriteString("after"); err != nil {
		t.Fatal(err)
	}
	r.eventually("all bytes", func() bool { return string(r.uart.Sent()) == "beforeafter" })
	for _, e := range r.uart.Journal() {
		if e.Kind != rfc2217test.EntryData {
			continue
		}
		if is := e.State.Line() == sevenEven.Line(); is != (string(e.Data) == "after") {
			t.Errorf("%q left at %s", e.Data, e.State.Line())
		}
	}
	tio, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS2)
	if err != nil {
		t.Fatal(err)
	}
	if tio.Ospeed != 2400 || tio.Cflag&unix.CSTOPB == 0 {
		t.Errorf("the tty shows %d bit/s, flags %#o", tio.Ospeed, tio.Cflag)
	}
	r.setSpeed(f, 19200)
	r.eventually("the speed", func() bool { return r.uart.State().BaudRate == 19200 })
	if s := r.uart.State(); s.Line() != "19200-7E2" {
		t.Errorf("after a tcsetattr of another speed the UART is at %s", s.Line())
	}
}

// TestSetLineAsksForNothingElse: what nobody has named is not touched.
func TestSetLineAsksForNothingElse(t *testing.T) {
	r := newRig(t, rfc2217test.Faults{}, func(c *Config) { c.Connect = ConnectAlways })
	r.await(KindConnected)
	r.setLine(comport.State{BaudRate: 2400})
	r.eventually("the speed", func() bool { return r.uart.State().BaudRate == 2400 })
	for _, e := range r.uart.Journal() {
		if e.Kind == rfc2217test.EntrySetting && e.Message != (comport.SetBaudRate{Rate: 2400}) {
			t.Errorf("the server was asked for %v", e.Message)
		}
	}
}

// TestSetLineIsStored until there is a connection, and told at each.
func TestSetLineIsStored(t *testing.T) {
	r := newRig(t, rfc2217test.Faults{}, nil)
	r.do(func() {
		if err := r.port.Settable(); !errors.Is(err, ErrNotConnected) {
			t.Errorf("settable without a connection: %v", err)
		}
	})
	r.setLine(sevenEven)
	r.program()
	r.await(KindConnected)
	r.eventually("the line", func() bool { return r.uart.State().Line() == sevenEven.Line() })
	r.do(func() {
		if err := r.port.Settable(); err != nil {
			t.Errorf("settable with a connection: %v", err)
		}
	})
	r.server.Disconnect()
	r.eventually("the line after a loss", func() bool {
		return len(r.of(KindConnected)) == 2 && r.uart.State().Line() == sevenEven.Line()
	})
}

// TestSetLineOfAUART: programs whose ioctls are seen read the new frame.
func TestSetLineOfAUART(t *testing.T) {
	r, _ := newUART(t, nil)
	r.set(func(tio *unix.Termios) { tio.Cflag = tio.Cflag&^frameBits | unix.CS8 })
	r.setLine(sevenEven)
	r.eventually("the line", func() bool { return r.uart.State().Line() == sevenEven.Line() })
	const flags = frameBits | unix.PARODD | unix.CSTOPB
	if got, want := r.look().Termios.Cflag&flags, uint32(unix.CS7|unix.PARENB|unix.CSTOPB); got != want {
		t.Errorf("read back: %#o, want %#o", got, want)
	}
}

// TestPlainServerIsNotSettable: Telnet carries no settings.
func TestPlainServerIsNotSettable(t *testing.T) {
	r := newRig(t, rfc2217test.Faults{RefuseComPort: true}, func(c *Config) { c.Connect = ConnectAlways })
	r.await(KindConnected)
	r.do(func() {
		if err := r.port.Settable(); !errors.Is(err, ErrPlain) {
			t.Errorf("settable without RFC 2217: %v", err)
		}
	})
}

// TestRawRemoteIsNeverSettable: what is asked for is not kept for a connection that
// cannot carry it either.
func TestRawRemoteIsNeverSettable(t *testing.T) {
	r := newRig(t, rfc2217test.Faults{}, func(c *Config) { c.Remote.Protocol = rfc2217client.ProtocolRaw })
	r.do(func() {
		if err := r.port.Settable(); !errors.Is(err, ErrPlain) {
			t.Errorf("settable: %v", err)
		}
	})
}

// TestSetLineOrder: what was written before leaves with the old settings, each
// time.
func TestSetLineOrder(t *testing.T) {
	r := newRig(t, rfc2217test.Faults{}, func(c *Config) { c.Settle = 0 })
	f := r.program()
	r.await(KindConnected)
	const rounds = 300
	for i := range rounds {
		// On the loop, so that it cannot have read the byte before.
		r.do(func() {
			if _, err := f.WriteString("x"); err != nil {
				t.Error(err)
			}
			if err := r.port.SetLine(comport.State{BaudRate: uint32(1200 + i)}); err != nil {
				t.Error(err)
			}
		})
	}
	r.eventually("all bytes", func() bool { return len(r.uart.Sent()) == rounds })
	next := uint32(1200 - 1)
	for _, e := range r.uart.Journal() {
		if e.Kind != rfc2217test.EntryData {
			continue
		}
		for range e.Data {
			if next >= 1200 && e.State.BaudRate != next {
				t.Fatalf("a byte left at %d bit/s, want %d", e.State.BaudRate, next)
			}
			next++
		}
	}
}
