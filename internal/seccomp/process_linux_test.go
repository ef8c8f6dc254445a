package seccomp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestExitStatus(t *testing.T) {
	r := start(t, "", newFake(), "sh", "-c", "exit 42")
	exited(t, r.wait(), 42)
	r = start(t, "", newFake(), "sh", "-c", "kill -USR2 $$")
	if st := r.wait(); !st.Signaled() || st.Signal() != unix.SIGUSR2 {
		t.Errorf("status %#x", st)
	}
}

func TestStartFails(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string, mode os.FileMode) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return p
	}
	for _, c := range []struct {
		name string
		argv []string
		want error
	}{
		{"nothing", nil, ErrNotFound},
		{"no such name", []string{"vcomd-no-such-program"}, ErrNotFound},
		{"no such path", []string{filepath.Join(dir, "none")}, ErrNotFound},
		{"no such interpreter", []string{file("interpreter", "#!/no/such/interpreter\n", 0o755)}, ErrNotFound},
		{"no permission", []string{file("data", "echo\n", 0o644)}, ErrNotExecutable},
		{"a directory", []string{dir}, ErrNotExecutable},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, _, _, err := startWith(t, Options{Argv: c.argv, Env: os.Environ()})
			if !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
	if _, err := Start(Options{Argv: []string{"true"}, Dir: "/no/such/directory"}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no such directory: %v", err)
	}
}

// A script without #!, as execvp has it.
func TestScript(t *testing.T) {
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("echo \"$#:$1\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	r := start(t, "", newFake(), script, "a b")
	r.expect("1:a b")
	exited(t, r.wait(), 0)
}

func TestArgvEnvDir(t *testing.T) {
	dir := t.TempDir()
	r := startOptions(t, "", newFake(), Options{
		Argv: []string{"sh", "-c", `printf '%s\n' "$0" "$1" "$A"; pwd; env | grep -c .`, "", "-x"},
		Env:  []string{"A=b=c", "PATH=" + os.Getenv("PATH")}, Dir: dir,
	})
	r.expect("")
	r.expect("-x")
	r.expect("b=c")
	r.expect(dir)
	r.expect("3") // and PWD, which sh sets
	exited(t, r.wait(), 0)
}

// The program finds what it would find without a supervisor: descriptors, and signals that are blocked or ignored.
func TestInherits(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	look := `ls /proc/self/fd | grep -v '^3$'; readlink /proc/self/fd/7 /proc/self/fd/3; grep -E '^Sig(Blk|Ign)' /proc/self/status; ulimit -n`
	script := filepath.Join(t.TempDir(), "look")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"+look+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, before := range []string{
		"exec 7</dev/null 5</dev/zero 9</dev/full",
		"trap '' INT HUP TSTP TTOU",
		"ulimit -n 64",
	} {
		t.Run(before, func(t *testing.T) {
			direct, _ := output(t, exec.Command("sh", "-c", before+"; exec "+script))
			cmd := supervisor(t, "/dev/null")
			cmd.Path, cmd.Args = "/bin/sh", []string{"sh", "-c", before + "; exec " + self + " " + script}
			got, status := output(t, cmd)
			if got != direct || status != 0 {
				t.Errorf("it exits with %d, and sees\n%s\nwant\n%s", status, got, direct)
			}
		})
	}
}

func TestNoNewPrivs(t *testing.T) {
	show := []string{"grep", "NoNewPrivs", "/proc/self/status"}
	if got, status := output(t, supervisor(t, "/dev/null", show...)); got != "NoNewPrivs:\t1\n" || status != 0 {
		t.Errorf("%q, %d", got, status)
	}
	if os.Geteuid() != 0 {
		t.Skip("to leave privileges needs some")
	}
	if got, status := output(t, supervisor(t, "/dev/null", append([]string{"-keep-privileges"}, show...)...)); got != "NoNewPrivs:\t0\n" || status != 0 {
		t.Errorf("with KeepPrivileges: %q, %d", got, status)
	}
}

func TestNested(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	got, status := output(t, supervisor(t, "/dev/null", "env", superviseVariable+"=/dev/null", self, "true"))
	if !strings.Contains(got, ErrNested.Error()) || status != superviseFailed {
		t.Errorf("%q, %d", got, status)
	}
}

// asNobody has a command run by a user without privileges.
func asNobody(t *testing.T, cmd *exec.Cmd, tty string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can become nobody")
	}
	const nobody = 65534
	if err := os.Chown(tty, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	// The test binary is in a directory of root's.
	self := filepath.Join(openDir(t), "test")
	b, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(self, b, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd.Path = self
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
	cmd.Dir = "/"
}

// openDir is a directory that everybody can look into.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "vcomd-seccomp-") //nolint:usetesting // nobody can look into t.TempDir
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestWithoutPrivilege(t *testing.T) {
	program, tty := build(t), pty(t)
	t.Run("answer", func(t *testing.T) {
		cmd := supervisor(t, tty, program, "lines", tty)
		asNobody(t, cmd, tty)
		if got, status := output(t, cmd); got != "lines ret=0 errno=0 handled=0\nvalue=0x1a6\n" || status != 0 {
			t.Errorf("%q, %d", got, status)
		}
	})
	t.Run("daemon", func(t *testing.T) {
		cmd := supervisor(t, tty, program, "daemon", tty)
		asNobody(t, cmd, tty)
		cmd.Stdin = strings.NewReader("x")
		if got, status := output(t, cmd); got != "orphaned ret=0 errno=0 handled=0\nlines ret=0 errno=0 handled=0\nvalue=0x1a6\n" || status != 3 {
			t.Errorf("%q, %d", got, status)
		}
	})
	t.Run("unreadable program", func(t *testing.T) {
		b, err := os.ReadFile(program)
		if err != nil {
			t.Fatal(err)
		}
		hidden := filepath.Join(openDir(t), "hidden")
		if err := os.WriteFile(hidden, b, 0o711); err != nil {
			t.Fatal(err)
		}
		cmd := supervisor(t, tty, hidden, "lines", tty)
		asNobody(t, cmd, tty)
		if got, status := output(t, cmd); !strings.HasPrefix(got, "lines ret=-1 errno=25 ") || status != 0 {
			t.Errorf("%q, %d", got, status)
		}
	})
	t.Run("no no_new_privs", func(t *testing.T) {
		cmd := supervisor(t, tty, "-keep-privileges", "true")
		asNobody(t, cmd, tty)
		if got, status := output(t, cmd); !strings.Contains(got, ErrPrivilege.Error()) || status != superviseFailed {
			t.Errorf("%q, %d", got, status)
		}
	})
}

// The supervisor outlives the program as long as something that it has left behind runs, and answers that too.
func TestDaemon(t *testing.T) {
	program, tty := build(t), pty(t)
	cmd := supervisor(t, tty, program, "daemon", tty)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := in.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(out)
	if got := string(b); got != "orphaned ret=0 errno=0 handled=0\nlines ret=0 errno=0 handled=0\nvalue=0x1a6\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("%v, want exit status 3", err)
	}
}

// Without Adopt Wait ends with the program, and Run with the daemon.
func TestDaemonOfOthers(t *testing.T) {
	program, tty := build(t), pty(t)
	r := start(t, tty, newFake(), program, "daemon", tty)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	st, err := r.process.Wait(ctx)
	if err != nil {
		t.Fatal(err)
	}
	exited(t, st, 3)
	select {
	case err := <-r.over:
		t.Fatalf("Run has ended before the daemon: %v", err)
	default:
	}
	r.expect("orphaned ret=0 errno=0 handled=0")
	if _, err := r.in.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	r.expect("lines ret=0 errno=0 handled=0")
	r.expect("value=0x1a6")
	if err := <-r.over; err != nil {
		t.Error(err)
	}
}

// When the program has ended, signals are for what it has left behind.
func TestForwardsToDaemon(t *testing.T) {
	program, tty := build(t), pty(t)
	cmd := supervisor(t, tty, program, "daemon", tty)
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	if l, err := lines.ReadString('\n'); !strings.HasPrefix(l, "orphaned ") {
		t.Fatalf("%q, %v", l, err)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if b, err := io.ReadAll(lines); len(b) != 0 || err != nil {
		t.Errorf("%q, %v", b, err)
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("%v, want exit status 3", err)
	}
}

func TestWaitEndsWithContext(t *testing.T) {
	r := start(t, "", newFake(), "cat")
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := r.process.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	r.in.Close()
	exited(t, r.wait(), 0)
}

// What is sent to the supervisor alone is the program's.
func TestForwards(t *testing.T) {
	for _, s := range []syscall.Signal{
		syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGINT, syscall.SIGQUIT,
	} {
		t.Run(s.String(), func(t *testing.T) {
			cmd := supervisor(t, "/dev/null", "sh", "-c", fmt.Sprintf("trap 'echo got; exit 7' %d; echo ready; read x", int(s)))
			if _, err := cmd.StdinPipe(); err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewReader(out)
			if l, err := lines.ReadString('\n'); l != "ready\n" {
				t.Fatalf("%q, %v", l, err)
			}
			if err := cmd.Process.Signal(s); err != nil {
				t.Fatal(err)
			}
			if l, err := lines.ReadString('\n'); l != "got\n" {
				t.Errorf("%q, %v", l, err)
			}
			var exit *exec.ExitError
			if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 7 {
				t.Errorf("%v, want exit status 7", err)
			}
		})
	}
}

func TestPython(t *testing.T) {
	python, err := exec.LookPath("/usr/bin/python3")
	if err != nil {
		t.Skip("there is no python3")
	}
	tty := pty(t)
	r := start(t, tty, newFake(), python, "-c", `
import fcntl, os, struct, sys, threading
fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
def lines(): print("%#x" % struct.unpack("I", fcntl.ioctl(fd, 0x5415, b"\0" * 4))[0], flush=True)
lines()
t = threading.Thread(target=lines); t.start(); t.join()
`, tty)
	r.expect("0x1a6")
	r.expect("0x1a6")
	exited(t, r.wait(), 0)
}

func TestGoProgram(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	tty := pty(t)
	r := start(t, tty, newFake(), "env", askVariable+"="+tty, self)
	r.expect("wrong 0")
	exited(t, r.wait(), 0)
}
