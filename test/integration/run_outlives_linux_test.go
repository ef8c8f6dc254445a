package integration

import (
	"fmt"
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

// outliving is what a program does to a port whose vcomd is killed, as Python: what a call
// ends with is its error, 0 if none, and when that was.
const outliving = `
ended, asked, over = {}, set(), False
doing = {
    'TIOCMSET': lambda: fcntl.ioctl(fd, 0x5418, bytes(4)),
    'TCSETS': lambda: termios.tcsetattr(fd, termios.TCSANOW, settings),
    'TCSETSW': lambda: termios.tcsetattr(fd, termios.TCSADRAIN, settings),
    'tcdrain': lambda: termios.tcdrain(fd),
    'TCFLSH': lambda: termios.tcflush(fd, termios.TCIOFLUSH),
    'TIOCSBRK': lambda: fcntl.ioctl(fd, 0x5427),
    'TCSBRK': lambda: fcntl.ioctl(fd, 0x5409, 0),
    'TIOCOUTQ': lambda: fcntl.ioctl(fd, 0x5411, bytes(4)),
}
asking = [
    lambda: fcntl.ioctl(fd, 0x5415, bytes(4)), # TIOCMGET
    lambda: termios.tcgetattr(fd),
    lambda: fcntl.ioctl(fd, 0x545d, bytes(80)), # TIOCGICOUNT
    lambda: fcntl.ioctl(fd, 0x541e, bytes(72)), # TIOCGSERIAL
]
def error(call):
    try: call()
    except (OSError, termios.error) as e: return e.args[0]
    return 0
def end(name, call): ended[name] = error(call), time.monotonic()
def begin(name, call): threading.Thread(target=end, args=(name, call), daemon=True).start()
def ask():
    while not over:
        for call in asking: asked.add(error(call))
`

// freeze stops a process, and waits until no thread of it runs any more.
func (p *process) freeze() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		p.t.Fatal(err)
	}
	eventually(p.t, "it has stopped", func() bool {
		for _, task := range taskIDs(p) {
			stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/stat", p.cmd.Process.Pid, task))
			if err == nil && !strings.Contains(string(stat), ") T ") {
				return false
			}
		}
		return true
	})
}

// A wrapped program outlives its vcomd. What it does on the port meanwhile waits for the
// next one, and fails since the tty is another, or at once, as the loss policy says; what
// it asks is never ENOSYS; and when it has opened the port again, all works.
func TestRunOutlivesTheDaemon(t *testing.T) {
	for _, loss := range []string{"hold", "hangup"} {
		t.Run(loss, func(t *testing.T) {
			s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}})
			dir := t.TempDir()
			link, runDir := filepath.Join(dir, "tty"), filepath.Join(dir, "run")
			serveLink := func() *process {
				p := spawnCmd(t, exec.Command(binary, "--link", link, "--run-dir", runDir, "--on-loss", loss, s.addr))
				eventually(t, "the port is there", func() bool { return strings.Contains(p.out.String(), `"ready"`) })
				return p
			}
			first := serveLink()
			p := startPythonBy(t, []string{binary, "run", "--link", link, "--run-dir", runDir, "--"},
				"fcntl", "os", "serial", "termios", "threading", "time")
			p.do("exec(%q)", outliving)
			p.do("fd = os.open(%q, os.O_RDWR | os.O_NOCTTY); settings = termios.tcgetattr(fd)", link)
			p.do("doing['TIOCMSET']()")
			s.awaitState(t, "DTR down", func(u comport.State) bool { return u.DTR == comport.ControlDTROff })
			p.do("begin('TIOCMIWAIT', lambda: fcntl.ioctl(fd, %d, 0x1e0))", tiocmiwait)
			p.do("threading.Thread(target=ask, daemon=True).start()")
			time.Sleep(50 * time.Millisecond) // nothing tells that the call has reached vcomd
			// Some calls have been sent to it when it ends.
			first.freeze()
			p.do("for name in doing: begin(name, doing[name])")
			time.Sleep(50 * time.Millisecond)
			if got := p.value("ended"); got != "{}" {
				t.Errorf("nobody has answered, and calls ended: %s", got)
			}
			first.stop(syscall.SIGKILL)
			p.do("for name in doing: begin(name + ' later', doing[name])")
			all := p.value("1 + 2 * len(doing)")
			if loss == "hangup" {
				eventually(t, "all calls fail with nobody there", func() bool { return p.value("len(ended)") == all })
			} else {
				time.Sleep(50 * time.Millisecond) // what would fail at once has
			}

			since := monotonic(t)
			serveLink()
			eventually(t, "all calls end", func() bool { return p.value("len(ended)") == all })
			p.do("over = True")
			if got := p.value("{name: how for name, (how, at) in ended.items() if how != 5}"); got != "{}" {
				t.Errorf("calls ended with %s, want EIO", got)
			}
			if got := p.seconds("min(at for how, at in ended.values())"); loss == "hold" && got < since {
				t.Errorf("with nobody there a call was over %.3f s before the next vcomd was started", since-got)
			}
			if got := p.value("asked - {0, 5}"); got != "set()" {
				t.Errorf("questions were answered with the errors %s", got)
			}

			p.do("s = serial.Serial(%q, 19200, parity='E', bytesize=7)", link)
			s.awaitState(t, "19200-7E1", func(u comport.State) bool {
				return u.BaudRate == 19200 && u.DataSize == 7 && u.Parity == comport.ParityEven
			})
			if got := p.value("(s.dtr, s.rts)"); got != "(True, True)" {
				t.Errorf("the lines read as %s", got)
			}
			p.do("s.write(b'works'); s.flush()")
			s.awaitSent(t, "works")
		})
	}
}

// With --on-loss hangup calls fail at once when the vcomd is gone: also a TIOCMIWAIT that
// begins then, and questions, as on a tty that is hung up.
func TestRunHungUpWhileGone(t *testing.T) {
	s := serve(t, &rfc2217test.Server{})
	dir := t.TempDir()
	link, runDir := filepath.Join(dir, "tty"), filepath.Join(dir, "run")
	daemon := spawnCmd(t, exec.Command(binary, "--link", link, "--run-dir", runDir, "--on-loss", "hangup", s.addr))
	eventually(t, "the port is there", func() bool { return strings.Contains(daemon.out.String(), `"ready"`) })
	p := startPythonBy(t, []string{binary, "run", "--link", link, "--run-dir", runDir, "--"}, "fcntl", "os", "termios", "threading", "time")
	p.do("exec(%q)", outliving)
	p.do("fd = os.open(%q, os.O_RDWR | os.O_NOCTTY); settings = termios.tcgetattr(fd)", link)
	daemon.stop(syscall.SIGKILL)
	p.do("begin('TIOCMSET', doing['TIOCMSET'])")
	eventually(t, "a call fails", func() bool { return p.value("'TIOCMSET' in ended") == "True" })
	if got := p.value("[error(call) for call in asking]"); got != "[5, 5, 5, 5]" {
		t.Errorf("TIOCMGET, TCGETS, TIOCGICOUNT and TIOCGSERIAL end with the errors %s", got)
	}
	p.do("begin('TIOCMIWAIT', lambda: fcntl.ioctl(fd, %d, 0x1e0))", tiocmiwait)
	eventuallyWithin(t, 5*time.Second, "TIOCMIWAIT fails", func() bool { return p.value("'TIOCMIWAIT' in ended") == "True" })
}
