package integration

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// monotonic is the time that Python's time.monotonic tells.
func monotonic(t *testing.T) float64 {
	t.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		t.Fatal(err)
	}
	return float64(ts.Nano()) / 1e9
}

// seconds is the value of an expression that is a number of seconds.
func (p *pythonProcess) seconds(expression string) float64 {
	p.t.Helper()
	var n float64
	if _, err := fmt.Sscan(p.value(expression), &n); err != nil {
		p.t.Fatal(err)
	}
	return n
}

// What waits for output to leave, as lines of Python: s is a serial.Serial.
var drains = map[string]string{
	"tcdrain":   "termios.tcdrain(s.fd)",
	"TCSADRAIN": "termios.tcsetattr(s.fd, termios.TCSADRAIN, termios.tcgetattr(s.fd))",
	"TCSAFLUSH": "termios.tcsetattr(s.fd, termios.TCSAFLUSH, termios.tcgetattr(s.fd))",
	"TCSBRK 1":  "fcntl.ioctl(s.fd, 0x5409, 1)",
}

// Without a server output cannot leave: tcdrain and its relatives return when it is
// there, and not before.
func TestRunDrainWaitsForTheServer(t *testing.T) {
	for name, call := range drains {
		t.Run(name, func(t *testing.T) {
			port := freePort(t)
			v := start(t, "127.0.0.1:"+port, "--connect", "always", "--retry", "50ms", "--retry-max", "50ms")
			p := startPythonBy(t, v.runOn(), "serial", "termios", "time", "fcntl", "threading")
			p.do("s = serial.Serial(%q, 9600)", v.link)
			p.do("drained = threading.Event(); at = []")
			p.do("drain = lambda: (%s, at.append(time.monotonic()), drained.set())", call)
			p.do("s.write(b'all of it'); threading.Thread(target=drain).start()")
			time.Sleep(50 * time.Millisecond) // nothing tells that the call has reached vcomd
			begin := monotonic(t)
			ln, err := net.Listen("tcp", "127.0.0.1:"+port)
			if err != nil {
				t.Fatal(err)
			}
			s := serveOn(t, ln, &rfc2217test.Server{})
			p.do("assert drained.wait(20)")
			if at := p.seconds("at[0]"); at < begin {
				t.Errorf("it returned %.3f s before there was a server", begin-at)
			}
			s.awaitSent(t, "all of it")
		})
	}
}

// With --pace output has left when the UART has sent it.
func TestRunDrainKeepsToThePace(t *testing.T) {
	const (
		speed = 1200 // bit/s
		count = 60
	)
	least := float64(count-1) * 10 / speed // the last character may be under way
	for name, call := range drains {
		t.Run(name, func(t *testing.T) {
			s := serve(t, &rfc2217test.Server{})
			v := start(t, s.addr, "--connect", "always", "--pace")
			v.waitEvent("connected")
			p := startPythonBy(t, v.runOn(), "serial", "termios", "time", "fcntl")
			p.do("s = serial.Serial(%q, %d)", v.link, speed)
			s.awaitSpeed(t, speed)
			p.do("begin = time.monotonic(); s.write(b'x' * %d); %s; took = time.monotonic() - begin", count, call)
			if took := p.seconds("took"); took < least {
				t.Errorf("%d characters at %d bit/s were drained after %.3f s, want at least %.3f", count, speed, took, least)
			}
			s.awaitBytes(t, count)
		})
	}
}

// TCSADRAIN keeps what was received, TCSAFLUSH drops it; what was written before
// leaves with the old settings.
func TestRunDrainAndFlush(t *testing.T) {
	s, v, p := startRun(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}}, "serial", "termios")
	p.do("s = serial.Serial(%q, 9600)", v.link)
	v.waitEvent("connected")
	p.do("def change(when, bits): a = termios.tcgetattr(s.fd); a[2] = a[2] & ~termios.CSIZE | bits; termios.tcsetattr(s.fd, when, a)")
	s.uart.Receive([]byte("received"))
	eventually(t, "8 bytes wait", func() bool { return p.value("s.in_waiting") == "8" })
	p.do("s.write(b'eight'); change(termios.TCSADRAIN, termios.CS7)")
	if got := p.value("s.in_waiting"); got != "8" {
		t.Errorf("after TCSADRAIN %s bytes wait, want 8", got)
	}
	purge := comport.PurgeData{What: comport.PurgeReceive}
	purges := s.count(purge)
	p.do("s.write(b'seven'); change(termios.TCSAFLUSH, termios.CS6)")
	if got := p.value("s.in_waiting"); got != "0" {
		t.Errorf("after TCSAFLUSH %s bytes wait, want 0", got)
	}
	s.awaitState(t, "6 data bits", func(u comport.State) bool { return u.DataSize == 6 })
	for _, e := range s.uart.Journal() {
		for text, size := range map[string]comport.DataSize{"eight": 8, "seven": 7} {
			if e.Kind == rfc2217test.EntryData && strings.Contains(string(e.Data), text) && e.State.DataSize != size {
				t.Errorf("%q left as %v", e.Data, e.State)
			}
		}
	}
	s.awaitCount(t, purge, purges+1)
}
