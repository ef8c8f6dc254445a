package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// openMaster opens a raw pseudo-terminal with more flags, and returns its master and the slave's path.
func openMaster(flags int) (fd int, slave string, err error) {
	fd, err = unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|flags, 0)
	if err != nil {
		return -1, "", os.NewSyscallError("open /dev/ptmx", err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		return -1, "", os.NewSyscallError("TIOCSPTLCK", err)
	}
	n, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err != nil {
		return -1, "", os.NewSyscallError("TIOCGPTN", err)
	}
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
	if err != nil {
		return -1, "", os.NewSyscallError("TCGETS2", err)
	}
	t.Iflag, t.Oflag, t.Lflag = 0, 0, 0
	if err := unix.IoctlSetTermios(fd, unix.TCSETS2, t); err != nil {
		return -1, "", os.NewSyscallError("TCSETS2", err)
	}
	return fd, fmt.Sprintf("/dev/pts/%d", n), nil
}

// connect makes a blocking connection outside Go's poller.
func connect(port int) (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return -1, os.NewSyscallError("connect", err)
	}
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return -1, os.NewSyscallError("TCP_NODELAY", err)
	}
	return fd, nil
}

// netpoll lets Go's poller wait. Structs hide the ReadFrom and WriteTo methods: splice(2) refuses a tty, and finding that out
// is not what is measured.
func netpoll(link string, port int) error {
	fd, slave, err := openMaster(unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	master := os.NewFile(uintptr(fd), "/dev/ptmx")
	conn, err := net.DialTCP("tcp4", nil, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}) // with TCP_NODELAY, as always in Go
	if err != nil {
		return err
	}
	if err := os.Symlink(slave, link); err != nil {
		return err
	}
	type (
		reader struct{ io.Reader }
		writer struct{ io.Writer }
	)
	ended := make(chan error, 2)
	go func() {
		_, err := io.CopyBuffer(writer{conn}, reader{master}, make([]byte, bufSize))
		ended <- err
	}()
	go func() {
		_, err := io.CopyBuffer(writer{master}, reader{conn}, make([]byte, bufSize))
		ended <- err
	}()
	return <-ended
}

// threads blocks in read and write, a thread each way.
func threads(link string, port int) error {
	master, slave, err := openMaster(0)
	if err != nil {
		return err
	}
	sock, err := connect(port)
	if err != nil {
		return err
	}
	if err := os.Symlink(slave, link); err != nil {
		return err
	}
	ended := make(chan error, 2)
	pump := func(to, from int) {
		runtime.LockOSThread()
		p := pump{from: from, to: to}
		for {
			if err := p.step(); err != nil {
				ended <- err
				return
			}
		}
	}
	go pump(sock, master)
	go pump(master, sock)
	return <-ended
}

// epoll waits for both ways in one thread.
func epoll(link string, port int) error {
	runtime.LockOSThread()
	master, slave, err := openMaster(unix.O_NONBLOCK)
	if err != nil {
		return err
	}
	sock, err := connect(port)
	if err != nil {
		return err
	}
	if err := unix.SetNonblock(sock, true); err != nil {
		return os.NewSyscallError("O_NONBLOCK", err)
	}
	if err := os.Symlink(slave, link); err != nil {
		return err
	}
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	ends := [2]*end{{fd: master}, {fd: sock}}
	for _, e := range ends {
		if err := e.interest(ep, unix.EPOLL_CTL_ADD, unix.EPOLLIN); err != nil {
			return err
		}
	}
	up, down := pump{from: master, to: sock}, pump{from: sock, to: master}
	var events [2]unix.EpollEvent
	for {
		n, err := unix.EpollWait(ep, events[:], -1)
		if err != nil && err != unix.EINTR {
			return os.NewSyscallError("epoll_wait", err)
		}
		for _, ev := range events[:max(n, 0)] {
			in, out := ev.Events&(unix.EPOLLIN|unix.EPOLLHUP|unix.EPOLLERR) != 0, ev.Events&unix.EPOLLOUT != 0
			fromPTY := int(ev.Fd) == master
			if in && fromPTY || out && !fromPTY {
				if err := up.step(); err != nil {
					return err
				}
			}
			if in && !fromPTY || out && fromPTY {
				if err := down.step(); err != nil {
					return err
				}
			}
		}
		if err := ends[0].want(ep, &up, &down); err != nil {
			return err
		}
		if err := ends[1].want(ep, &down, &up); err != nil {
			return err
		}
	}
}

// end is one descriptor of the epoll loop and what it is registered for.
type end struct {
	fd     int
	events uint32
}

// want registers for input unless the pump from here is full, and for output if the pump to here is.
func (e *end) want(ep int, from, to *pump) error {
	var events uint32
	if !from.full() {
		events |= unix.EPOLLIN
	}
	if to.full() {
		events |= unix.EPOLLOUT
	}
	if events == e.events {
		return nil
	}
	return e.interest(ep, unix.EPOLL_CTL_MOD, events)
}

func (e *end) interest(ep, op int, events uint32) error {
	e.events = events
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(ep, op, e.fd, &unix.EpollEvent{Events: events, Fd: int32(e.fd)}))
}

// pump moves bytes one way.
type pump struct {
	from, to int
	buf      [bufSize]byte
	off, len int
}

// full reports whether bytes wait for their writer.
func (p *pump) full() bool { return p.off < p.len }

// step reads once unless bytes wait, then writes until there are none or the descriptor takes no more.
func (p *pump) step() error {
	if !p.full() {
		n, err := unix.Read(p.from, p.buf[:])
		switch {
		case err == unix.EAGAIN || err == unix.EINTR:
			return nil
		case err != nil:
			return os.NewSyscallError("read", err)
		case n == 0:
			return io.EOF
		}
		p.off, p.len = 0, n
	}
	for p.full() {
		n, err := unix.Write(p.to, p.buf[p.off:p.len])
		switch {
		case err == unix.EAGAIN:
			return nil
		case err == unix.EINTR:
		case err != nil:
			return os.NewSyscallError("write", err)
		}
		p.off += max(n, 0)
	}
	return nil
}
