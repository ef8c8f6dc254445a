package pty

import (
	"errors"
	"os"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

func itoa(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

// pump is the smallest loop that drives a Master: one goroutine, one poll(2),
// and a socket for the far end. It ends when the far end is closed.
type pump struct {
	t       *testing.T
	master  *Master
	watcher *Watcher
	socket  int
	far     *os.File

	hung      bool
	toFar     []byte
	toProgram []byte
}

func startPump(t *testing.T, locked bool) *pump {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := &pump{t: t, socket: fds[0], far: os.NewFile(uintptr(fds[1]), "far"), hung: true}
	if locked {
		p.master, err = Open(Options{UID: -1, GID: -1})
	} else {
		withoutCapabilities(t, func() { p.master, err = Open(Options{UID: -1, GID: -1}) })
	}
	if err != nil {
		t.Fatal(err)
	}
	if p.watcher, err = NewWatcher(); err != nil {
		t.Fatal(err)
	}
	if err := p.watcher.Add(p.master, func() { p.look() }); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.run()
	}()
	t.Cleanup(func() { <-done })
	return p
}

// run leaves nothing open: the master's end is the programs' hang-up.
func (p *pump) run() {
	defer unix.Close(p.socket)
	defer p.master.Close()
	defer p.watcher.Close()
	const master, socket, watcher = 0, 1, 2
	for {
		fds := [3]unix.PollFd{
			{Fd: -1}, {Fd: int32(p.socket)}, {Fd: int32(p.watcher.Fd()), Events: unix.POLLIN},
		}
		if !p.hung {
			fds[master] = unix.PollFd{Fd: int32(p.master.Fd()), Events: unix.POLLPRI}
			if len(p.toFar) == 0 {
				fds[master].Events |= unix.POLLIN
			}
			if len(p.toProgram) == 0 {
				fds[socket].Events |= unix.POLLIN
			} else {
				fds[master].Events |= unix.POLLOUT
			}
		}
		if len(p.toFar) != 0 {
			fds[socket].Events |= unix.POLLOUT
		}
		wait := -1
		if p.master.Polled() {
			wait = 25
		}
		if p.master.Pending() {
			wait = 0
		}
		if _, err := unix.Poll(fds[:], wait); err != nil && !errors.Is(err, unix.EINTR) {
			p.t.Errorf("poll: %v", err)
			return
		}
		if fds[socket].Revents&unix.POLLHUP != 0 {
			return
		}
		if fds[watcher].Revents != 0 {
			if err := p.watcher.Dispatch(); err != nil {
				p.t.Error(err)
				return
			}
		}
		p.status()
		p.readMaster()
		if fds[socket].Revents&unix.POLLIN != 0 {
			p.readFar()
		}
		p.flush()
	}
}

// look is the answer to a wake-up by the watcher: Read tells whether there is
// anybody, after what a program that has gone again has left.
func (p *pump) look() { p.hung = false }

func (p *pump) status() {
	st, err := p.master.ReadStatus()
	if err == nil && (st&StatusIoctl != 0 || p.master.Polled()) {
		_, err = p.master.Observe()
	}
	if err != nil {
		p.t.Error(err)
	}
}

func (p *pump) readMaster() {
	if p.hung || len(p.toFar) != 0 {
		return
	}
	buf := make([]byte, MaxRead+1)
	data, st, err := p.master.Read(buf)
	switch {
	case errors.Is(err, ErrWouldBlock):
	case errors.Is(err, ErrHangup):
		p.hung = true
		if err := p.master.Reclaim(); err != nil {
			p.t.Error(err)
		}
	case err != nil:
		p.t.Error(err)
	case st&StatusIoctl != 0:
		if _, err := p.master.Observe(); err != nil {
			p.t.Error(err)
		}
	default:
		p.toFar = data
	}
}

func (p *pump) readFar() {
	buf := make([]byte, 4096)
	n, err := unix.Read(p.socket, buf)
	if err != nil && !errors.Is(err, unix.EAGAIN) {
		p.t.Error(err)
	}
	p.toProgram = buf[:max(n, 0)]
}

func (p *pump) flush() {
	if len(p.toFar) != 0 {
		n, err := unix.Write(p.socket, p.toFar)
		if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EPIPE) {
			p.t.Error(err)
		}
		p.toFar = p.toFar[max(n, 0):]
	}
	if len(p.toProgram) != 0 {
		// A change of settings that the program has made by now comes before
		// the bytes that it may be waiting for.
		p.status()
		n, err := p.master.Write(p.toProgram)
		if err != nil && !errors.Is(err, ErrWouldBlock) {
			p.t.Error(err)
		}
		p.toProgram = p.toProgram[n:]
	}
}
