package pty

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"
)

// TestMain fails on a goroutine or a descriptor that a test has left behind.
func TestMain(m *testing.M) {
	if os.Getenv(holdLinkEnv) != "" {
		holdLink() // a second process, started by a test
	}
	if path := os.Getenv(sessionEnv); path != "" {
		leadSession(path)
	}
	// The first use of the Go poller opens descriptors for good.
	if r, w, err := os.Pipe(); err == nil {
		r.Close()
		w.Close()
	}
	before := openDescriptors()
	code := m.Run()
	runtime.GC()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, "goroutines leaked:", err)
			code = 1
		}
		if after := openDescriptors(); len(after) > len(before) {
			fmt.Fprintf(os.Stderr, "descriptors leaked: before %v, after %v\n", before, after)
			code = 1
		}
	}
	os.Exit(code)
}

// openDescriptors names what every descriptor of this process is open on.
func openDescriptors() map[string]string {
	const dir = "/proc/self/fd"
	entries, err := os.ReadDir(dir)
	if err != nil {
		panic(err)
	}
	open := make(map[string]string)
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil {
			open[e.Name()] = target
		}
	}
	return open
}

// need skips the test for a missing prerequisite, or fails it where every
// prerequisite is required to be there.
func need(t *testing.T, ok bool, reason string) {
	t.Helper()
	switch {
	case ok:
	case os.Getenv("VCOMD_TEST_REQUIRE") == "all":
		t.Fatalf("VCOMD_TEST_REQUIRE=all, but: %s", reason)
	default:
		t.Skip(reason)
	}
}

// lockModes are the two ways in which EXTPROC is kept: every test of settings
// runs both.
var lockModes = []struct {
	name   string
	locked bool
}{{"locked", true}, {"rearmed", false}}

// openMaster opens a port that ends with the test. Without locked, this thread
// gives up the capabilities that the lock needs while it opens, as a process
// of an ordinary user would have none.
func openMaster(t *testing.T, locked bool) *Master {
	t.Helper()
	o := Options{UID: -1, GID: -1}
	var m *Master
	var err error
	if locked {
		m, err = Open(o)
	} else {
		withoutCapabilities(t, func() { m, err = Open(o) })
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	if locked {
		need(t, m.Exact(), "TIOCSLCKTRMIOS is not permitted (CAP_SYS_ADMIN)")
	} else if m.Exact() {
		t.Fatal("Exact without the capability")
	}
	return m
}

// openPort opens a port as this process can: for tests of what does not depend
// on the lock.
func openPort(t *testing.T) *Master {
	t.Helper()
	m, err := Open(Options{UID: -1, GID: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// withoutCapabilities runs f on a thread without effective capabilities.
func withoutCapabilities(t *testing.T, f func()) {
	t.Helper()
	runtime.LockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var saved [2]unix.CapUserData
	if err := unix.Capget(&header, &saved[0]); err != nil {
		t.Fatal(err)
	}
	dropped := saved
	dropped[0].Effective, dropped[1].Effective = 0, 0
	if err := unix.Capset(&header, &dropped[0]); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Capset(&header, &saved[0]); err != nil {
			t.Fatal(err) // the thread stays locked and ends with the test
		}
		runtime.UnlockOSThread()
	}()
	f()
}

// program is a program that has the port open.
type program struct {
	t  *testing.T
	fd int
}

func openProgram(t *testing.T, m *Master) *program {
	t.Helper()
	fd, err := unix.Open(m.Path(), unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("open %s: %v", m.Path(), err)
	}
	p := &program{t: t, fd: fd}
	t.Cleanup(p.close)
	return p
}

func (p *program) close() {
	if p.fd >= 0 {
		unix.Close(p.fd)
		p.fd = -1
	}
}

func (p *program) termios() unix.Termios {
	p.t.Helper()
	termios, err := unix.IoctlGetTermios(p.fd, unix.TCGETS2)
	if err != nil {
		p.t.Fatal(err)
	}
	return *termios
}

func (p *program) set(termios unix.Termios) {
	p.t.Helper()
	if err := unix.IoctlSetTermios(p.fd, unix.TCSETS2, &termios); err != nil {
		p.t.Fatal(err)
	}
}

// change is what most programs do: read the settings, change some, write.
func (p *program) change(f func(*unix.Termios)) {
	p.t.Helper()
	termios := p.termios()
	f(&termios)
	p.set(termios)
}

func (p *program) write(s string) {
	p.t.Helper()
	if n, err := unix.Write(p.fd, []byte(s)); n != len(s) || err != nil {
		p.t.Fatalf("program wrote %d of %d: %v", n, len(s), err)
	}
}

// read waits until n bytes have been read.
func (p *program) read(n int) string {
	p.t.Helper()
	buf := make([]byte, n)
	got := 0
	for got < n {
		waitFor(p.t, p.fd, unix.POLLIN)
		k, err := unix.Read(p.fd, buf[got:])
		if err != nil {
			p.t.Fatalf("program read %q, then %v", buf[:got], err)
		}
		got += k
	}
	return string(buf)
}

// waiting says how many bytes a program could read now.
func (p *program) waiting() int {
	p.t.Helper()
	n, err := unix.IoctlGetInt(p.fd, unix.TIOCINQ)
	if err != nil {
		p.t.Fatal(err)
	}
	return n
}

// patience is how long a test waits for what must come.
const patience = 10_000 // ms

func waitFor(t *testing.T, fd int, events int16) {
	t.Helper()
	for {
		fds := []unix.PollFd{{Fd: int32(fd), Events: events}}
		switch n, err := unix.Poll(fds, patience); {
		case err == unix.EINTR:
		case err != nil:
			t.Fatal(err)
		case n == 0:
			t.Fatalf("nothing came (events %#x)", events)
		default:
			return
		}
	}
}

// speed sets any speed in bit/s the way BOTHER does it.
func speed(bps uint32) func(*unix.Termios) {
	return func(t *unix.Termios) {
		t.Cflag = t.Cflag&^uint32(unix.CBAUD) | unix.BOTHER
		t.Ispeed, t.Ospeed = bps, bps
	}
}

// fromZero is the other kind of program: it fills a termios from nothing and
// so clears EXTPROC.
func fromZero(bps uint32) unix.Termios {
	t := unix.Termios{Cflag: unix.CS8 | unix.CREAD | unix.CLOCAL}
	t.Cc[unix.VMIN] = 1
	speed(bps)(&t)
	return t
}

func mustStatus(t *testing.T, m *Master, want Status) {
	t.Helper()
	got, err := m.ReadStatus()
	if err != nil || got != want {
		t.Fatalf("status %v, %v; want %v", got, err, want)
	}
}

func observe(t *testing.T, m *Master) unix.Termios {
	t.Helper()
	termios, err := m.Observe()
	if err != nil {
		t.Fatal(err)
	}
	return termios
}

func write(t *testing.T, m *Master, s string) {
	t.Helper()
	if n, err := m.Write([]byte(s)); n != len(s) || err != nil {
		t.Fatalf("master wrote %d of %d: %v", n, len(s), err)
	}
}
