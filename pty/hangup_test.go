package pty

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func mustHang(t *testing.T, m *Master, want bool) {
	t.Helper()
	if hung, err := m.Hung(); hung != want || err != nil {
		t.Fatalf("Hung() = %v, %v; want %v", hung, err, want)
	}
}

func hangUp(t *testing.T, m *Master) {
	t.Helper()
	if err := m.Hangup(); err != nil {
		t.Fatal(err)
	}
}

// dead checks that a program's descriptor is what an unplugged adapter leaves.
func (p *program) dead() {
	p.t.Helper()
	fds := []unix.PollFd{{Fd: int32(p.fd), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds, 0); err != nil || fds[0].Revents&unix.POLLHUP == 0 {
		p.t.Errorf("poll: %#x, %v; want POLLHUP", fds[0].Revents, err)
	}
	var b [8]byte
	if n, err := unix.Read(p.fd, b[:]); n != 0 || err != nil {
		p.t.Errorf("read: %d, %v; want end of file", n, err)
	}
	if _, err := unix.Write(p.fd, b[:1]); !errors.Is(err, unix.EIO) {
		p.t.Errorf("write: %v, want EIO", err)
	}
}

func TestHangup(t *testing.T) {
	for _, keeps := range []bool{false, true} {
		t.Run(fmt.Sprintf("keeps its descriptor=%v", keeps), func(t *testing.T) {
			m := openMaster(t, true)
			w := newWatcher(t)
			wakes := 0
			if err := w.Add(m, func() { wakes++ }); err != nil {
				t.Fatal(err)
			}
			p := openProgram(t, m)
			p.change(func(t *unix.Termios) {
				speed(57600)(t)
				t.Cflag |= unix.CSTOPB | unix.CRTSCTS
				t.Cflag &^= unix.HUPCL | unix.CLOCAL
				t.Iflag |= unix.IXOFF
			})
			observe(t, m)
			mustStatus(t, m, StatusIoctl)
			if err := unix.IoctlSetInt(p.fd, unix.TIOCEXCL, 0); err != nil {
				t.Fatal(err)
			}
			for { // to the program, and from it: as much as goes in
				if _, err := m.Write([]byte(strings.Repeat("old ", 256))); err != nil {
					break
				}
			}
			for {
				if _, err := unix.Write(p.fd, []byte(strings.Repeat("OLD ", 256))); err != nil {
					break
				}
			}
			p.change(speed(300)) // not observed: gone
			dispatch(t, w)
			wakes = 0

			hangUp(t, m)
			p.dead()
			mustHang(t, m, true)
			mustStatus(t, m, 0)
			if m.Pending() || !m.Exact() {
				t.Errorf("Pending %v, Exact %v; want nothing pending and the lock on", m.Pending(), m.Exact())
			}
			buf := make([]byte, MaxRead+1)
			if data, st, err := m.Read(buf); !errors.Is(err, ErrHangup) {
				t.Fatalf("Read: %.20q, %v, %v; want ErrHangup and nothing else", data, st, err)
			}
			dispatch(t, w)
			mustHang(t, m, true) // our own open is no program's
			if !keeps {
				p.close()
				waitFor(t, m.Fd(), unix.POLLHUP)
				dispatch(t, w)
				mustHang(t, m, true)
			}

			wakes = 0
			var q *program
			withoutCapabilities(t, func() { q = openProgram(t, m) }) // EBUSY in exclusive mode
			waitFor(t, w.Fd(), unix.POLLIN)
			dispatch(t, w)
			if wakes != 1 {
				t.Errorf("%d wakes for the next program, want 1", wakes)
			}
			mustHang(t, m, false)
			got := q.termios()
			want := uint32(unix.BOTHER | unix.CS8 | unix.CREAD | unix.HUPCL | unix.CSTOPB | unix.CRTSCTS)
			if got.Cflag != want || got.Ospeed != 57600 {
				t.Errorf("c_cflag %#o speed %d; want %#o and 57600", got.Cflag, got.Ospeed, want)
			}
			if got.Iflag != unix.IXOFF || got.Oflag != 0 || got.Lflag != unix.EXTPROC {
				t.Errorf("not raw: c_iflag %#o c_oflag %#o c_lflag %#o", got.Iflag, got.Oflag, got.Lflag)
			}
			if n := q.waiting(); n != 0 {
				t.Errorf("the next program finds %d old bytes", n)
			}
			write(t, m, "fresh")
			if got := q.read(5); got != "fresh" {
				t.Errorf("the next program reads %q", got)
			}
			q.write("words")
			waitFor(t, m.Fd(), unix.POLLIN)
			if data, st, err := m.Read(buf); string(data) != "words" || st != 0 || err != nil {
				t.Errorf("Read: %q, %v, %v", data, st, err)
			}
			q.set(fromZero(4800)) // the lock holds EXTPROC on
			mustStatus(t, m, StatusIoctl)
			if got := observe(t, m); got.Ospeed != 4800 || !m.Exact() {
				t.Errorf("observed speed %d, Exact %v", got.Ospeed, m.Exact())
			}
			if keeps {
				p.dead()
			}
		})
	}
}

// A program that wanted a terminal takes that with it.
func TestHangupEndsLineDiscipline(t *testing.T) {
	m := openMaster(t, true)
	p := openProgram(t, m)
	p.change(func(t *unix.Termios) { t.Lflag |= unix.ICANON | unix.ECHO; t.Iflag |= unix.ICRNL })
	observe(t, m)
	if !m.Polled() {
		t.Fatal("EXTPROC is not given up")
	}
	hangUp(t, m)
	if m.Polled() || !m.Exact() {
		t.Errorf("Polled %v, Exact %v after the hang-up", m.Polled(), m.Exact())
	}
	q := openProgram(t, m)
	if got := q.termios(); got.Lflag != unix.EXTPROC || got.Iflag != 0 {
		t.Errorf("c_lflag %#o c_iflag %#o, want raw", got.Lflag, got.Iflag)
	}
}

func TestHangupNotPermitted(t *testing.T) {
	for _, mode := range lockModes {
		t.Run(mode.name, func(t *testing.T) {
			m := openMaster(t, mode.locked)
			p := openProgram(t, m)
			write(t, m, "to the program")
			p.write("from it")
			withoutCapabilities(t, func() {
				if err := m.Hangup(); !errors.Is(err, ErrNotPermitted) {
					t.Errorf("Hangup: %v, want ErrNotPermitted", err)
				}
			})
			if got := p.read(14); got != "to the program" {
				t.Errorf("the program reads %q", got)
			}
			buf := make([]byte, 64)
			if data, _, err := m.Read(buf); string(data) != "from it" || err != nil {
				t.Errorf("Read: %q, %v", data, err)
			}
			mustHang(t, m, false)
		})
	}
}

// Nobody has it open: nothing changes for the next program.
func TestHangupOfAClosedPort(t *testing.T) {
	m := openMaster(t, true)
	for range 3 {
		hangUp(t, m)
		mustHang(t, m, true)
		mustStatus(t, m, 0)
	}
	p := openProgram(t, m)
	if got := p.termios(); got.Cflag != unix.B9600|unix.CS8|unix.CREAD|unix.HUPCL|unix.CLOCAL || got.Lflag != unix.EXTPROC {
		t.Errorf("c_cflag %#o c_lflag %#o", got.Cflag, got.Lflag)
	}
}

// A write that blocks on a full port ends, and nothing of it reaches the next
// program's peer.
func TestHangupEndsABlockedWrite(t *testing.T) {
	m := openMaster(t, true)
	w := newWatcher(t)
	if err := w.Add(m, func() {}); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		fd, err := unix.Open(m.Path(), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error)
		go func() {
			_, err := unix.Write(fd, []byte(strings.Repeat("OLD ", 1<<16)))
			ended <- err
		}()
		for n := 0; n < 4095; { // the line discipline is full
			waitFor(t, m.Fd(), unix.POLLIN)
			if n, err = m.Readable(); err != nil {
				t.Fatal(err)
			}
		}
		hangUp(t, m)
		<-ended // with EIO, or what was written until then
		if n, err := m.Readable(); n != 0 || err != nil {
			t.Fatalf("%d old bytes, %v", n, err)
		}
		mustHang(t, m, true)
		unix.Close(fd)
	}
}

// reopener opens the port, sets a speed of its own, writes a byte and waits for the
// hang-up, for ever.
type reopener struct {
	failed atomic.Pointer[error]
	rate   atomic.Uint32 // of the newest tcsetattr that is done
	met    atomic.Uint32 // opens that found the kernel's settings
}

func (r *reopener) run(path string, stop *atomic.Bool) {
	for rate := uint32(1000); !stop.Load(); rate++ {
		if err := r.once(path, rate); err != nil {
			r.failed.Store(&err)
			return
		}
	}
}

// once ends at the hang-up, which may come at any time after the open.
func (r *reopener) once(path string, rate uint32) error {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	defer unix.Close(fd)
	termios, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
	if err == nil && termios.Lflag&unix.ECHO != 0 {
		r.met.Add(1)
	}
	own := fromZero(rate)
	if err == nil {
		err = unix.IoctlSetTermios(fd, unix.TCSETS2, &own)
	}
	if err == nil {
		_, err = unix.Write(fd, []byte{'x'})
	}
	if errors.Is(err, unix.EIO) {
		return nil
	}
	if err != nil {
		return err
	}
	r.rate.Store(rate)
	for {
		fds := []unix.PollFd{{Fd: int32(fd)}}
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return fmt.Errorf("poll: %w", err)
		}
		if fds[0].Revents&unix.POLLHUP != 0 {
			return nil
		}
	}
}

// Two hundred hang-ups under a program that opens the port again each time, at
// once: no open fails, and what the program has set and written when it stays is
// all there, once.
func TestHangupsUnderAReopeningProgram(t *testing.T) {
	m := openMaster(t, true)
	w := newWatcher(t)
	if err := w.Add(m, func() {}); err != nil {
		t.Fatal(err)
	}
	var r reopener
	var stop atomic.Bool
	var ended sync.WaitGroup
	ended.Go(func() { r.run(m.Path(), &stop) })
	const rounds = 200
	buf := make([]byte, MaxRead+1)
	var longest, total time.Duration
	for i := range rounds {
		got := ""
		for deadline := time.Now().Add(patience * time.Millisecond); ; {
			if err := r.failed.Load(); err != nil {
				t.Fatalf("round %d: %v", i, *err)
			}
			dispatch(t, w)
			rate := r.rate.Load()
			data, _, err := m.Read(buf)
			if err != nil && !errors.Is(err, ErrWouldBlock) && !errors.Is(err, ErrHangup) {
				t.Fatal(err)
			}
			got += string(data)
			hung, err := m.Hung()
			if err != nil {
				t.Fatal(err)
			}
			seen := observe(t, m).Ospeed
			if got == "x" && !hung && seen == rate && !m.Pending() {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("round %d: read %q, observed speed %d, hung %v; the program has written x and set %d", i, got, seen, hung, rate)
			}
		}
		begin := time.Now()
		if i == rounds-1 {
			stop.Store(true)
		}
		hangUp(t, m)
		took := time.Since(begin)
		total += took
		longest = max(longest, took)
	}
	ended.Wait()
	t.Logf("%d hang-ups: %v on average, %v at most; %d opens met the kernel's settings", rounds, total/rounds, longest, r.met.Load())
}

const sessionEnv = "VCOMD_TEST_SESSION_LEADER"

// leadSession makes the port the session's controlling terminal, and ends with
// status 0 once SIGHUP has come.
func leadSession(path string) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, unix.SIGHUP)
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY, 0)
	if err == nil {
		err = unix.IoctlSetInt(fd, unix.TIOCSCTTY, 0)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	select {
	case <-hangups:
		os.Exit(0)
	case <-time.After(patience * time.Millisecond):
		fmt.Println("no SIGHUP")
		os.Exit(1)
	}
}

// Both ways end the session of a port that is its controlling terminal, and show
// the others a hang-up.
func TestSessionLeaderGetsSIGHUP(t *testing.T) {
	for name, end := range map[string]func(*Master) error{"hangup": (*Master).Hangup, "close": (*Master).Close} {
		t.Run(name, func(t *testing.T) {
			m, err := Open(Options{UID: -1, GID: -1})
			if err != nil {
				t.Fatal(err)
			}
			defer m.Close()
			need(t, m.Exact(), "TIOCVHANGUP is not permitted (CAP_SYS_ADMIN)")
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), sessionEnv+"="+m.Path())
			cmd.SysProcAttr = &unix.SysProcAttr{Setsid: true, Pdeathsig: unix.SIGKILL}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			runtime.LockOSThread() // Pdeathsig counts threads
			defer runtime.UnlockOSThread()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			line := make([]byte, 64)
			if n, _ := out.Read(line); string(line[:n]) != "ready\n" {
				t.Errorf("the session leader says %q", line[:n])
			}
			other := openProgram(t, m)
			if err := end(m); err != nil {
				t.Error(err)
			}
			other.dead()
			if err := cmd.Wait(); err != nil {
				t.Errorf("the session leader: %v", err)
			}
		})
	}
}
