package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// The requests of these tests (include/uapi/asm-generic/ioctls.h).
const (
	tcsbrk     = 0x5409
	tiocmiwait = 0x545c
)

// startWaiting has a program under vcomd run open a tty, as fd, and wait for any of its modem
// lines; what it makes of the call is in p.value("ended").
func startWaiting(p *pythonProcess, path string) {
	p.t.Helper()
	p.do("ended = {}")
	p.do("exec(%q)", `
def call(name, request, argument):
    try: ended[name] = fcntl.ioctl(fd, request, argument)
    except OSError as e: ended[name] = e.strerror
def begin(name, request, argument):
    threading.Thread(target=call, args=(name, request, argument), daemon=True).start()
def counts():
    return struct.unpack('20i', fcntl.ioctl(fd, 0x545d, bytes(80)))[:4]
`)
	p.do("fd = os.open(%q, os.O_RDWR | os.O_NOCTTY)", path)
	p.do("begin('lines', %d, 0x1e0)", tiocmiwait)
	time.Sleep(50 * time.Millisecond) // nothing tells that the call has reached vcomd
}

// A hang-up ends what waits on the port: TIOCMIWAIT fails, whatever the lines do afterwards.
// So it does where the tty stays and only programs are hung up.
func TestRunHangupEndsCalls(t *testing.T) {
	for _, tt := range []struct {
		name string
		hang func(t *testing.T, s *simulated, v *vcomd)
	}{
		{"the connection is lost", func(t *testing.T, s *simulated, _ *vcomd) {
			t.Helper()
			s.Disconnect()
		}},
		{"an operator's reconnect", func(t *testing.T, _ *simulated, v *vcomd) {
			t.Helper()
			if out, code := v.command("reconnect", filepath.Base(v.link)); code != 0 {
				t.Fatal(out)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{}})
			s.uart.SetModem(comport.ModemCTS | comport.ModemDSR)
			v := start(t, s.addr, "--on-loss", "hangup", "--pace", "--connect", "always")
			v.waitEvent("modem-state")
			p := startPythonBy(t, v.runOn(), "fcntl", "os", "struct", "termios", "threading")
			startWaiting(p, v.link)
			p.do("a = termios.tcgetattr(fd); a[4] = a[5] = termios.B300; termios.tcsetattr(fd, termios.TCSANOW, a)")
			p.do("os.write(fd, bytes(200))") // seven seconds
			p.do("begin('drain', %d, 1)", tcsbrk)
			time.Sleep(50 * time.Millisecond)
			if got := p.value("ended"); got != "{}" {
				t.Fatalf("before: %s", got)
			}
			tt.hang(t, s, v)
			v.waitEvent("hung-up")
			eventually(t, "TIOCMIWAIT fails", func() bool { return p.value("ended.get('lines')") == "'Input/output error'" })
			eventually(t, "tcdrain ends", func() bool { return p.value("'drain' in ended") == "True" })
			// A program that opens it again waits for the lines of now.
			p.do("os.close(fd); fd = os.open(%q, os.O_RDWR | os.O_NOCTTY)", v.link)
			v.waitEvents("connected", 2)
			eventually(t, "the lines are told", func() bool {
				return p.value("struct.unpack('I', fcntl.ioctl(fd, 0x5415, bytes(4)))[0] & 0x1e0") == "288" // CTS, DSR
			})
			p.do("begin('again', %d, 0x40)", tiocmiwait)
			time.Sleep(50 * time.Millisecond)
			s.uart.SetModem(comport.ModemCTS | comport.ModemDSR | comport.ModemDCD)
			eventually(t, "it wakes", func() bool { return p.value("ended.get('again')") == "0" })
		})
	}
}

// With hold a program on a port sees nothing of an outage: no line moves, no wait ends, unless
// a line is not what it was when the connection is back.
func TestRunOutageWakesNobody(t *testing.T) {
	s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}})
	s.uart.SetModem(comport.ModemCTS | comport.ModemDCD)
	v := start(t, s.addr, "--connect", "always")
	v.waitEvent("modem-state")
	p := startPythonBy(t, v.runOn(), "fcntl", "os", "struct", "threading")
	startWaiting(p, v.link)
	counts := p.value("counts()")
	const lines = "struct.unpack('I', fcntl.ioctl(fd, 0x5415, bytes(4)))[0]"
	before := p.value(lines)
	for outage := range 3 {
		s.Disconnect()
		v.waitEvents("disconnected", outage+1)
		if got := p.value(lines); got != before {
			t.Errorf("in outage %d the lines read as %s, want %s", outage, got, before)
		}
		p.do("fcntl.ioctl(fd, 0x5417, struct.pack('I', 0))") // any change has the state told anew
		v.waitEvents("connected", outage+2)
		// The server tells the levels before anything that it is asked.
		p.do("os.write(fd, b'x')")
		s.awaitBytes(t, outage+1)
		if got, after := p.value("ended"), p.value("counts()"); got != "{}" || after != counts {
			t.Fatalf("outage %d: the wait ended: %s; counts %s, want %s", outage, got, after, counts)
		}
	}
	s.uart.SetModem(comport.ModemCTS)
	eventually(t, "DCD wakes it", func() bool { return p.value("ended.get('lines')") == "0" })
}

// The serving vcomd is killed, and with it the tty: what waits for a line fails when another
// one serves the port; until then a program's other terminals have nothing to wait for.
func TestRunWaitsWhileTheDaemonIsAway(t *testing.T) {
	s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}})
	dir := t.TempDir()
	link, runDir := filepath.Join(dir, "tty"), filepath.Join(dir, "run")
	serveLink := func() *process {
		p := spawnCmd(t, exec.Command(binary, "--link", link, "--run-dir", runDir, "--connect", "always", "--log-level", "debug", s.addr))
		eventually(t, "the lines are told", func() bool { return strings.Contains(p.out.String(), `"modem-state"`) })
		return p
	}
	s.uart.SetModem(comport.ModemCTS)
	first := serveLink()
	p := startPythonBy(t, []string{binary, "run", "--link", link, "--run-dir", runDir, "--"}, "fcntl", "os", "pty", "struct", "termios", "threading")
	startWaiting(p, link)
	first.stop(syscall.SIGKILL)
	if err := os.Remove(filepath.Join(runDir, "tty.run")); err != nil {
		t.Fatal(err) // so that it is known to be away
	}
	// Each of them used to wait for three seconds, more than patience together.
	p.do("exec(%q)", `
for n in range(30):
    master, slave = pty.openpty()
    termios.tcgetattr(slave)
    os.close(master), os.close(slave)
`)
	serveLink()
	eventually(t, "it fails", func() bool { return p.value("ended.get('lines')") == "'Input/output error'" })
	p.do("fd = os.open(%q, os.O_RDWR | os.O_NOCTTY)", link)
	if got := p.value("struct.unpack('I', fcntl.ioctl(fd, 0x5415, bytes(4)))[0] & 0x20"); got != "32" {
		t.Errorf("on the new tty CTS reads as %s", got)
	}
}
