package seccomp

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) {
	MaybeChild()
	if how := os.Getenv(superviseVariable); how != "" {
		os.Exit(supervise(how))
	}
	if how := os.Getenv(askVariable); how != "" {
		os.Exit(ask(how))
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		for _, path := range built.paths {
			os.Remove(path)
		}
		os.Exit(code)
	}))
}

// The requests that the tests' handler knows.
const (
	tiocmbis   = 0x5416
	tiocmiwait = 0x545C
	tcsbrk     = 0x5409
)

var fakeRequests = []uint32{tiocmget, tiocmbis, tiocmiwait, tcsbrk}

// fakeLines is what TIOCMGET answers.
const fakeLines = 0x1a6

// fake is a Handler with lines that always read the same.
type fake struct {
	restart bool // of an interrupted TIOCMIWAIT
	inline  bool // TIOCMBIS is answered by the loop
	slow    bool // TIOCMGET is not
	begun   chan Call
	release chan struct{} // ends a TIOCMIWAIT with success

	sets, sum atomic.Int64 // TIOCMBIS calls, and of their arguments
	mu        sync.Mutex
	causes    []error    // why TIOCMIWAITs' contexts have ended
	ended     chan error // the same
}

func newFake() *fake {
	return &fake{ended: make(chan error, 2*maxWaiting), begun: make(chan Call, 2*maxWaiting), release: make(chan struct{}, 2*maxWaiting)}
}

func (f *fake) Decide(c Call) Action {
	switch {
	case c.Request == tiocmget && !f.slow, c.Request == tiocmbis && f.inline:
		return Now
	case c.Request == tcsbrk:
		return Continue
	default:
		return Later
	}
}

func (f *fake) Restart(Call) bool { return f.restart }

func (f *fake) Do(ctx context.Context, c Call, m *Memory) (int64, uint16) {
	var b [4]byte
	switch c.Request {
	case tiocmget:
		binary.LittleEndian.PutUint32(b[:], fakeLines)
		if m.Write(c.Arg, b[:]) != nil {
			return 0, uint16(unix.EFAULT)
		}
		return 0, 0
	case tiocmbis:
		if m.Read(c.Arg, b[:]) != nil {
			return 0, uint16(unix.EFAULT)
		}
		f.sets.Add(1)
		f.sum.Add(int64(binary.LittleEndian.Uint32(b[:])))
		return 0, 0
	default:
		f.begun <- c
		select {
		case <-f.release:
			return 0, 0
		case <-ctx.Done():
			f.mu.Lock()
			defer f.mu.Unlock()
			f.causes = append(f.causes, context.Cause(ctx))
			f.ended <- context.Cause(ctx)
			return 0, uint16(unix.EINTR)
		}
	}
}

// pty makes a pseudo-terminal whose slave stays open, and returns that one's path.
func pty(tb testing.TB) string {
	tb.Helper()
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		tb.Skipf("no pseudo-terminal: %v", err)
	}
	tb.Cleanup(func() { unix.Close(master) })
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		tb.Fatal(err)
	}
	n, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
	if err != nil {
		tb.Fatal(err)
	}
	path := fmt.Sprintf("/dev/pts/%d", n)
	slave, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { unix.Close(slave) })
	return path
}

var built = struct {
	sync.Mutex
	paths []string
	done  map[string]error
}{done: make(map[string]error)}

// build compiles testdata/program.c with some flags, once.
func build(tb testing.TB, flags ...string) string {
	tb.Helper()
	gcc, err := exec.LookPath("gcc")
	if err != nil {
		tb.Skip("there is no gcc")
	}
	built.Lock()
	defer built.Unlock()
	name := "program" + strings.Join(flags, "")
	out := filepath.Join(os.TempDir(), fmt.Sprintf("vcomd-seccomp-%d-%s", os.Getpid(), name))
	err, ok := built.done[name]
	if !ok {
		args := append([]string{"-O2", "-pthread", "-o", out, "testdata/program.c"}, flags...)
		var text []byte
		if text, err = exec.Command(gcc, args...).CombinedOutput(); err != nil {
			err = fmt.Errorf("%w: %s", err, text)
		}
		built.done[name] = err
		built.paths = append(built.paths, out)
	}
	if err != nil {
		tb.Skipf("gcc %v: %v", flags, err)
	}
	return out
}

// run is a program under a supervisor that the test is.
type run struct {
	t       testing.TB
	process *Process
	handler *fake
	super   *Supervisor
	out     *bufio.Reader
	in      *os.File
	over    chan error
	stop    context.CancelFunc
}

// stdio serialises the time in which the test's standard descriptors are another's.
var stdio sync.Mutex

// startWith starts a program with pipes as its standard input and output.
func startWith(tb testing.TB, o Options) (*Process, *os.File, *bufio.Reader, error) {
	tb.Helper()
	inR, inW, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	outR, outW, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { inW.Close(); outR.Close() })
	stdio.Lock()
	defer stdio.Unlock()
	swap := func(file *os.File, fd int) (restore func()) {
		saved, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
		if err != nil {
			tb.Fatal(err)
		}
		if err := unix.Dup3(int(file.Fd()), fd, 0); err != nil {
			tb.Fatal(err)
		}
		return func() { unix.Dup3(saved, fd, 0); unix.Close(saved); file.Close() }
	}
	restoreIn, restoreOut := swap(inR, 0), swap(outW, 1)
	defer func() { restoreIn(); restoreOut() }()
	p, err := Start(o)
	return p, inW, bufio.NewReader(outR), err
}

// start runs a program to whose calls on tty h answers.
func start(tb testing.TB, tty string, h *fake, argv ...string) *run {
	tb.Helper()
	return startOptions(tb, tty, h, Options{Argv: argv, Env: os.Environ(), Requests: fakeRequests})
}

func startOptions(tb testing.TB, tty string, h *fake, o Options, before ...func(*Supervisor)) *run {
	tb.Helper()
	p, in, out, err := startWith(tb, o)
	if errors.Is(err, ErrKernel) {
		tb.Skip(err)
	}
	if err != nil {
		tb.Fatal(err)
	}
	s, err := New(p, h)
	if err != nil {
		tb.Fatal(err)
	}
	if tty != "" {
		d, err := DeviceOf(tty)
		if err != nil {
			tb.Fatal(err)
		}
		s.SetDevice(d)
	}
	for _, f := range before {
		f(s)
	}
	ctx, stop := context.WithCancel(context.Background())
	r := &run{t: tb, process: p, handler: h, super: s, out: out, in: in, over: make(chan error, 1), stop: stop}
	go func() { r.over <- s.Run(ctx) }()
	return r
}

const patience = 20 * time.Second

// wait waits for the program's end and the supervisor's, and returns the status.
func (r *run) wait() unix.WaitStatus {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	st, err := r.process.Wait(ctx)
	if err != nil {
		r.t.Fatalf("Wait: %v", err)
	}
	select {
	case err := <-r.over:
		if err != nil {
			r.t.Fatalf("Run: %v", err)
		}
	case <-ctx.Done():
		r.t.Fatal("the supervisor goes on after its last task")
	}
	r.stop()
	return st
}

// line reads one line that the program prints.
func (r *run) line() string {
	r.t.Helper()
	s, err := r.out.ReadString('\n')
	if err != nil {
		r.t.Fatalf("the program says %q, then: %v", s, err)
	}
	return strings.TrimSuffix(s, "\n")
}

func (r *run) expect(want string) {
	r.t.Helper()
	if got := r.line(); got != want {
		r.t.Errorf("the program says %q, want %q", got, want)
	}
}

// waits returns the next TIOCMIWAIT.
func (r *run) waits() Call {
	r.t.Helper()
	select {
	case c := <-r.handler.begun:
		return c
	case <-time.After(patience):
		r.t.Fatal("no call that waits has come")
		return Call{}
	}
}

// superviseVariable makes another vcomd run of the test binary: it supervises the program in its arguments, and its value is
// the tty. The status is a shell's.
const superviseVariable = "VCOMD_SECCOMP_TEST_TTY"

// askVariable makes a program of it that asks for the lines of a tty, from several threads.
const askVariable = "VCOMD_SECCOMP_TEST_ASK"

// superviseFailed is the status when the program was not started.
const superviseFailed = 125

func supervise(tty string) int {
	os.Unsetenv(superviseVariable)
	o := Options{Argv: os.Args[1:], Env: os.Environ(), Requests: fakeRequests, Adopt: true}
	if o.Argv[0] == "-keep-privileges" {
		o.KeepPrivileges, o.Argv = true, o.Argv[1:]
	}
	p, err := Start(o)
	if err != nil {
		fmt.Println("start:", err)
		return superviseFailed
	}
	h := newFake()
	h.restart = true
	s, err := New(p, h)
	if err != nil {
		fmt.Println("new:", err)
		return superviseFailed
	}
	if d, err := DeviceOf(tty); err == nil {
		s.SetDevice(d)
	}
	go func() {
		for range h.begun {
			fmt.Println("waiting")
		}
	}()
	done := make(chan error)
	go func() { done <- s.Run(context.Background()) }()
	st, err := p.Wait(context.Background())
	if err := errors.Join(err, <-done); err != nil {
		fmt.Println("supervise:", err)
		return superviseFailed
	}
	if _, err := unix.Wait4(-1, nil, unix.WNOHANG, nil); !errors.Is(err, unix.ECHILD) {
		fmt.Println("it has left children:", err)
	}
	if st.Signaled() {
		return 128 + int(st.Signal())
	}
	return st.ExitStatus()
}

// ask is a Go program whose threads all ask for the lines, and get them.
func ask(tty string) int {
	fd, err := unix.Open(tty, unix.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		fmt.Println(err)
		return 1
	}
	var wrong atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 200 {
				if v, err := unix.IoctlGetInt(fd, unix.TIOCMGET); err != nil || v != fakeLines {
					wrong.Add(1)
				}
			}
		})
	}
	wg.Wait()
	fmt.Println("wrong", wrong.Load())
	return 0
}

// supervisor returns a command that supervises a program in a process of its own.
func supervisor(t *testing.T, tty string, argv ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, self, argv...)
	cmd.Env = append(os.Environ(), superviseVariable+"="+tty)
	// A session of its own: no terminal, and no shell that controls jobs.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return cmd
}

// output runs it and returns what it says and its status.
func output(t *testing.T, cmd *exec.Cmd) (string, int) {
	t.Helper()
	b, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return string(b), exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(b), 0
}
