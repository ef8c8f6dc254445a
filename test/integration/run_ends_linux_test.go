package integration

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// A signal that the program handles ends nothing: the port goes on being its UART.
func TestRunSignalHandled(t *testing.T) {
	s, v, p := startRun(t, &rfc2217test.Server{}, "serial", "signal")
	p.do("s = serial.Serial(%q, 9600)", v.link)
	p.do("hits = []")
	for i, name := range []string{"SIGINT", "SIGTERM"} {
		p.do("signal.signal(signal.%s, lambda *a: hits.append(a[0]))", name)
		if err := p.cmd.Process.Signal([]syscall.Signal{syscall.SIGINT, syscall.SIGTERM}[i]); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the program gets "+name, func() bool { return p.value("signal."+name+" in hits") == "True" })
	}
	p.do("s.dtr = False")
	s.awaitState(t, "DTR down", func(u comport.State) bool { return u.DTR == comport.ControlDTROff })
}

// A port of its own that has gone for good fails as one that was unplugged: the
// program does not wait for another.
func TestRunPortGone(t *testing.T) {
	const script = `
import os, select, sys, termios
fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
settings = termios.tcgetattr(fd)
gone = select.poll()
gone.register(fd, 0)
gone.poll()
# A terminal that was not there before: it might be the port's next one.
termios.tcgetattr(os.openpty()[1])
try:
    termios.tcsetattr(fd, termios.TCSANOW, settings)
except termios.error as e:
    sys.exit(3)
`
	out, code := run(t, binary, "run", "--run-dir", filepath.Join(t.TempDir(), "run"), "--retries", "1", "--retry", "100ms", "127.0.0.1:1", "--",
		python, "-c", script, "{}")
	if code != 3 {
		t.Errorf("exit status %d, want 3: %s", code, out)
	}
}

// What waits for a vcomd that has gone is given up at a signal.
func TestRunInterruptedWhileGone(t *testing.T) {
	s := serve(t, &rfc2217test.Server{})
	dir := t.TempDir()
	link := filepath.Join(dir, "tty")
	daemon := spawn(t, binary, "--link", link, "--run-dir", filepath.Join(dir, "run"), s.addr)
	eventually(t, "the port is there", func() bool { return strings.Contains(daemon.out.String(), `"ready"`) })
	const script = `
import fcntl, os, signal, sys, time
class Alarm(Exception): pass
def alarm(*a): raise Alarm
signal.signal(signal.SIGALRM, alarm)
fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
os.kill(int(sys.argv[2]), signal.SIGKILL)
def lines(fd): fcntl.ioctl(fd, 0x5418, bytes(4)) # TIOCMSET
begin = 0
signal.setitimer(signal.ITIMER_REAL, 0.5)
try:
    while True: # until it is known that the vcomd has gone: then the one that the link leads to may be the port's next
        master, tty = os.openpty()
        os.remove(sys.argv[1]); os.symlink(os.ttyname(tty), sys.argv[1])
        begin = time.monotonic()
        try: lines(tty)
        except OSError: pass
        time.sleep(0.01) # one that was closed would be known when its number is another's
except Alarm: pass
if time.monotonic() - begin < 0.2: sys.exit(4)
signal.setitimer(signal.ITIMER_REAL, 0.5)
try: lines(fd)
except Alarm: sys.exit(3)
`
	out, code := run(t, binary, "run", "--run-dir", filepath.Join(dir, "run"), "--link", link, "--",
		python, "-c", script, link, strconv.Itoa(daemon.cmd.Process.Pid))
	if code != 3 {
		t.Errorf("exit status %d, want 3: %s", code, out)
	}
}

// What serves another port and cannot be asked does not hide the port that is meant,
// and a program that is not there is not taken for a port that is not.
func TestRunFindsThePort(t *testing.T) {
	s := serve(t, &rfc2217test.Server{})
	v := start(t, s.addr, "--name", "port")
	on := v.runOn()
	dir := filepath.Join(filepath.Dir(v.link), "run")
	// It is tried before the one that has not the link's name.
	if err := os.WriteFile(filepath.Join(dir, "0.run"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := run(t, on[0], append(on[1:], "true")...); code != 0 {
		t.Errorf("exit status %d: %s", code, out)
	}
	if out, code := run(t, on[0], append(on[1:], "/nonexistent/program")...); code != 127 {
		t.Errorf("no program: exit status %d: %s", code, out)
	}
	args := append([]string{"run", "--line", "9600-7E1"}, on[2:]...)
	if out, code := run(t, on[0], append(args, "true")...); code != 2 || !strings.Contains(out, "--line is for the vcomd that serves the port") {
		t.Errorf("a flag of the other vcomd's: exit status %d: %s", code, out)
	}
}
