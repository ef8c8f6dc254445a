package integration

import (
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// Closed by another thread while they wait in TIOCMIWAIT and tcdrain: as on a real tty
// the calls go on, and end when a line moves and the output has left. The program, and
// others, go on using the port.
func TestRunClosedDuringTheCall(t *testing.T) {
	t.Parallel()
	const speed, count = 1200, 120 // one second
	for _, tt := range []struct {
		name, closes string
		open         bool // the port still is, then
	}{
		{"closed", "os.close(fd)", false},
		{"another file in its place", "null = os.open('/dev/null', os.O_RDWR); os.dup2(null, fd)", false},
		{"a duplicate is left", "again = os.dup(fd); os.close(fd)", true},
		{"it is open again", "again = os.open(path, os.O_RDWR | os.O_NOCTTY); os.close(fd)", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			need(t, "stty")
			s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{}})
			s.uart.SetModem(comport.ModemCTS)
			v := start(t, s.addr, "--pace", "--connect", "always")
			v.waitEvent("modem-state")
			p := startPythonBy(t, v.runOn(), "fcntl", "os", "struct", "subprocess", "termios", "threading")
			p.do("path = %q", v.link)
			startWaiting(p, v.link)
			p.do("begin('more', %d, 0x40)", tiocmiwait)
			p.do("a = termios.tcgetattr(fd); a[4] = a[5] = termios.B%d; termios.tcsetattr(fd, termios.TCSANOW, a)", speed)
			s.awaitSpeed(t, speed)
			p.do("os.write(fd, bytes(%d))", count)
			p.do("begin('drain', %d, 1)", tcsbrk)
			time.Sleep(50 * time.Millisecond) // nothing tells that the call has reached vcomd
			p.do("%s", tt.closes)
			if !tt.open {
				v.waitEvent("closed")
			}
			if got := p.value("ended"); got != "{}" {
				t.Errorf("after the close: %s", got)
			}
			s.uart.SetModem(comport.ModemCTS | comport.ModemDCD)
			eventually(t, "all calls end", func() bool { return p.value("len(ended)") == "3" })
			if got := p.value("sorted(ended.items())"); got != "[('drain', 0), ('lines', 0), ('more', 0)]" {
				t.Errorf("the calls ended with %s", got)
			}
			s.awaitBytes(t, count)

			p.do("fd = os.open(path, os.O_RDWR | os.O_NOCTTY)")
			eventually(t, "both lines up, CTS and DCD on", func() bool {
				return p.value("struct.unpack('I', fcntl.ioctl(fd, 0x5415, bytes(4)))[0] & 0x1ff") == "102"
			})
			p.do("subprocess.run(['stty', '-F', path, '19200', 'cs7', 'parenb'], check=True)")
			s.awaitState(t, "19200-7E1", func(u comport.State) bool {
				return u.BaudRate == 19200 && u.DataSize == 7 && u.Parity == comport.ParityEven
			})
		})
	}
}

// Calls on descriptors that are closed meanwhile leave nothing behind in vcomd run,
// nor in the vcomd that serves the port.
func TestRunClosedCallsLeaveNothing(t *testing.T) {
	t.Parallel()
	s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}})
	s.uart.SetModem(0)
	v := start(t, s.addr, "--connect", "always")
	v.waitEvent("connected")
	p := startPythonBy(t, v.runOn(), "fcntl", "os", "threading")
	p.do("ended = {}")
	p.do("exec(%q)", fmt.Sprintf(`
def wait(i, fd, begun):
    begun.set()
    try: ended[i] = fcntl.ioctl(fd, %d, 0x40)
    except OSError as e: ended[i] = e.errno
def several(n, path):
    ended.clear()
    fds = [os.open(path, os.O_RDWR | os.O_NOCTTY) for i in range(n)]
    for i, fd in enumerate(fds):
        begun = threading.Event()
        threading.Thread(target=wait, args=(i, fd, begun), daemon=True).start()
        begun.wait()
    for fd in fds: os.close(fd)
`, tiocmiwait))
	const rounds, each = 20, 20
	var before, served, waited int
	level := comport.ModemDCD
	for round := range rounds {
		p.do("several(%d, %q)", each, v.link)
		eventually(t, "all calls have ended", func() bool {
			s.uart.SetModem(level)
			level ^= comport.ModemDCD
			return p.value("len(ended)") == strconv.Itoa(each)
		})
		// EBADF: the descriptor was closed before its call. The others have waited for DCD.
		if got := p.value("set(ended.values()) - {0, 9}"); got != "set()" {
			t.Fatalf("round %d: calls ended with %s", round, got)
		}
		if p.value("0 in ended.values()") == "True" {
			waited++
		}
		if round == 0 {
			before, served = p.descriptors(), v.descriptors()
		}
	}
	if waited == 0 {
		t.Error("no call had begun when its descriptor was closed")
	}
	eventually(t, "vcomd run has no more descriptors than before", func() bool { return p.descriptors() <= before })
	eventually(t, "nor has the vcomd that serves", func() bool { return v.descriptors() <= served })
}
