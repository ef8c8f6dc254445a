package integration

import (
	"strings"
	"testing"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// What stty sets on the link is set at the server's UART, although stty has the
// port open for no longer than a moment.
func TestSttyArrives(t *testing.T) {
	need(t, "stty")
	s := serve(t, &rfc2217test.Server{})
	v := start(t, s.addr)
	stty := func(args ...string) string {
		t.Helper()
		return mustRun(t, "stty", append([]string{"-F", v.link}, args...)...)
	}

	stty("19200")
	s.awaitSpeed(t, 19200)
	stty("cstopb")
	s.awaitStop(t, comport.StopSize2)
	stty("-cstopb", "115200")
	s.awaitStop(t, comport.StopSize1)
	s.awaitSpeed(t, 115200)
	stty("crtscts")
	s.awaitFlow(t, comport.ControlFlowHardware)
	stty("-crtscts", "ixon", "ixoff")
	s.awaitFlow(t, comport.ControlFlowXonXoff)
	stty("-ixon", "-ixoff")
	s.awaitFlow(t, comport.ControlFlowNone)

	// And what it shows is what is set.
	if got := stty("speed"); strings.TrimSpace(got) != "115200" {
		t.Errorf("stty shows speed %q, want 115200", got)
	}
	stty("raw", "-echo", "57600")
	s.awaitSpeed(t, 57600)
	// Zero is not a speed but the two lines going down.
	// stty says that it failed, and does so on every tty: the C library shows an
	// input speed of 0 as the output speed.
	run(t, "stty", "-F", v.link, "0")
	s.awaitState(t, "DTR and RTS off", func(u comport.State) bool {
		return u.DTR == comport.ControlDTROff && u.RTS == comport.ControlRTSOff
	})
	if got := s.uart.State().BaudRate; got != 57600 {
		t.Errorf("after speed 0 the UART is at %d bit/s, want 57600 still", got)
	}
	stty("57600")
	s.awaitState(t, "DTR and RTS on", func(u comport.State) bool {
		return u.DTR == comport.ControlDTROn && u.RTS == comport.ControlRTSOn
	})
}

// A program that builds its termios from zero and asks for even parity succeeds,
// and so does the next one. The kernel strips the parity from a pseudo-terminal's
// termios, and the C library reports failure when nothing else has changed; a
// port makes sure that at the first time after each open something does. (Within
// one open a second, identical request fails as on any pseudo-terminal.)
func TestEvenParityFromZeroTwice(t *testing.T) {
	need(t, python)
	s := serve(t, &rfc2217test.Server{})
	v := start(t, s.addr)
	// The python module goes through the C library's tcsetattr.
	const program = `
import os, sys, termios
fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
cc = [b"\0"] * 32
cc[termios.VMIN] = 1
termios.tcsetattr(fd, termios.TCSANOW, [
    0, 0, termios.CS8 | termios.PARENB | termios.CREAD | termios.CLOCAL, 0,
    termios.B9600, termios.B9600, cc])
`
	for round := range 4 {
		if out, code := run(t, python, "-c", program, v.link); code != 0 {
			t.Errorf("round %d: exit status %d\n%s", round, code, out)
		}
		// What a port is set back to at its last close is what is tested.
		v.waitEvents("closed", round+1)
	}
	s.awaitSpeed(t, 9600)

	// It can fail: on a plain pseudo-terminal the second one does.
	plain := newDevice(t)
	_, first := run(t, python, "-c", program, plain.path)
	out, second := run(t, python, "-c", program, plain.path)
	if first != 0 || second == 0 {
		t.Errorf("on a plain pseudo-terminal: exit status %d, then %d; want 0, then failure\n%s", first, second, out)
	}
}

// Neither cat nor head configures anything by reading a port: the server is
// asked, never told.
func TestReadingProgramsOnlyQuery(t *testing.T) {
	need(t, "cat", "head")
	s := serve(t, &rfc2217test.Server{})
	v := start(t, s.addr, "--close-delay", "10ms")

	cat := spawn(t, "cat", v.link)
	v.waitEvent("connected")
	s.uart.Receive([]byte("text\n"))
	eventually(t, "cat prints", func() bool { return cat.out.String() == "text\n" })
	cat.stop(15)

	v.waitEvents("stopped", 1)
	head := spawn(t, "head", "-c", "4", v.link)
	v.waitEvents("connected", 2)
	s.uart.Receive([]byte("head"))
	if code := head.wait(); code != 0 || head.out.String() != "head" {
		t.Errorf("head ended with %d after %q", code, head.out.String())
	}
	v.waitEvents("stopped", 2)

	if len(s.Messages()) == 0 {
		t.Error("the server was not even asked for its settings")
	}
	for _, m := range s.Messages() {
		if !comport.IsQuery(m) {
			t.Errorf("%v was sent, and nobody had asked for it", m)
		}
	}
}
