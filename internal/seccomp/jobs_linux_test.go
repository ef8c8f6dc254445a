package seccomp

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// shell is an interactive bash on a terminal that the test made.
type shell struct {
	t      *testing.T
	master *os.File
	seen   []byte
}

func startShell(t *testing.T) *shell {
	t.Helper()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("there is no bash")
	}
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	master := os.NewFile(uintptr(fd), "ptmx")
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bash, "--norc", "--noprofile", "--noediting", "-i")
	cmd.Env = append(os.Environ(), "PS1=prompt> ", "HISTFILE=", "TERM=dumb")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	slave.Close()
	t.Cleanup(func() {
		master.Close() // a hang-up ends the shell and its jobs
		_ = cmd.Wait()
	})
	s := &shell{t: t, master: master}
	s.until("prompt> ")
	return s
}

func (s *shell) write(text string) {
	s.t.Helper()
	if _, err := s.master.WriteString(text); err != nil {
		s.t.Fatal(err)
	}
}

// until reads until the terminal has shown text, and returns what it has shown up to then.
func (s *shell) until(text string) string {
	s.t.Helper()
	if err := s.master.SetReadDeadline(time.Now().Add(patience)); err != nil {
		s.t.Fatal(err)
	}
	var b [4096]byte
	for {
		if i := bytes.Index(s.seen, []byte(text)); i >= 0 {
			shown := string(s.seen[:i])
			s.seen = s.seen[i+len(text):]
			return shown
		}
		n, err := s.master.Read(b[:])
		if err != nil {
			s.t.Fatalf("waiting for %q the terminal shows %q: %v", text, s.seen, err)
		}
		s.seen = append(s.seen, b[:n]...)
	}
}

// supervise runs a program under a supervisor, as a job of the shell.
func (s *shell) supervise(tty string, argv ...string) {
	s.t.Helper()
	self, err := os.Executable()
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(fmt.Sprintf("%s=%s %s %s\n", superviseVariable, tty, self, strings.Join(argv, " ")))
	s.until("\r\n") // the echo
}

// A program that stops itself stops its supervisor, and fg continues both.
func TestProgramStops(t *testing.T) {
	program, tty, s := build(t), pty(t), startShell(t)
	s.supervise(tty, program, "stops", tty)
	s.until("Stopped")
	s.until("prompt> ")
	s.write("fg\n")
	s.until("lines ret=0 errno=0 handled=0")
	s.until("prompt> ")
	s.write("echo status $?\n")
	s.until("status 0\r\n")
}

// ^Z stops a program that waits in a call, however many threads it has; fg has it wait again; ^C kills it.
func TestTerminalKeys(t *testing.T) {
	for _, how := range []string{"plain", "threads"} {
		t.Run(how, func(t *testing.T) {
			program, tty, s := build(t), pty(t), startShell(t)
			s.supervise(tty, program, "wait", tty, how)
			s.until("waiting\r\n") // says the supervisor
			for range 3 {
				s.write("\x1a")
				s.until("Stopped")
				s.until("prompt> ")
				s.write("fg\n")
				s.until("waiting\r\n") // again
			}
			s.write("\x03")
			s.until("prompt> ")
			s.write("echo status $?\n")
			s.until("status 130\r\n")
		})
	}
}

// In the foreground ^C is the program's affair: one that goes on has a supervisor that does.
func TestInterruptIsThePrograms(t *testing.T) {
	s := startShell(t)
	s.supervise("/dev/null", "sh", "-c", `'n=0; trap "n=\$((n+1)); echo int \$n" INT; echo ready; while ! read x; do :; done; echo n=$n; exit 5'`)
	s.until("ready\r\n")
	s.write("\x03")
	s.until("int 1\r\n")
	s.write("a\n")
	s.until("n=1\r\n")
	s.until("prompt> ")
	s.write("echo status $?\n")
	s.until("status 5\r\n")
}

// A stop from elsewhere, of a process one of whose threads waits in a call.
func TestStopOfThreads(t *testing.T) {
	for _, how := range []string{"threads", "worker"} {
		t.Run(how, func(t *testing.T) { stopAndGoOn(t, how) })
	}
}

func stopAndGoOn(t *testing.T, how string) {
	t.Helper()
	program, tty := build(t), pty(t)
	h := newFake()
	h.restart = true
	r := start(t, tty, h, program, "wait", tty, how)
	r.waits()
	for range 3 {
		if err := unix.Kill(r.process.PID(), unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		// It says so to its parent when all its threads have stopped.
		var st unix.WaitStatus
		if _, err := unix.Wait4(r.process.PID(), &st, unix.WUNTRACED, nil); err != nil || !st.Stopped() {
			t.Fatalf("%#x, %v", st, err)
		}
		if err := unix.Kill(r.process.PID(), unix.SIGCONT); err != nil {
			t.Fatal(err)
		}
		r.waits()
	}
	h.release <- struct{}{}
	r.expect("wait ret=0 errno=0 handled=0")
	exited(t, r.wait(), 0)
}
