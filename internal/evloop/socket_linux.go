package evloop

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/sysio"
)

// NotSentLowat bounds what the kernel takes beyond what it has sent, in bytes
// (tcp(7), TCP_NOTSENT_LOWAT): a break or a new speed does not queue behind the
// megabytes that a socket buffer would hold.
const NotSentLowat = 64 << 10

// Attach moves a connection onto the loop. A TCP or Unix connection is driven by
// its own descriptor, and c is closed; anything else (TLS, net.Pipe) by two
// goroutines that end with the Stream. On an error c is closed too.
func (l *Loop) Attach(c net.Conn) (Stream, error) {
	limitUnsent(c)
	sc, ok := c.(syscall.Conn)
	if !ok {
		return NewConnStream(l, c), nil
	}
	fd, err := detach(sc)
	_ = c.Close()
	if err != nil {
		return nil, fmt.Errorf("attach connection: %w", err)
	}
	s := &socket{fd: fd}
	if s.source, err = l.Watch(fd, 0, s.event); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return s, nil
}

// limitUnsent sets NotSentLowat on a TCP connection, also on one that TLS hides. A
// kernel without the option (before 3.12) has longer queues, no less.
func limitUnsent(c net.Conn) {
	c, _ = inner(c)
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, NotSentLowat)
	})
}

// detach duplicates the descriptor. The original is registered with Go's own
// poller, which would wake a thread for each event that this loop handles.
func detach(sc syscall.Conn) (int, error) {
	raw, err := sc.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	var dupErr error
	if err := raw.Control(func(old uintptr) {
		fd, dupErr = unix.FcntlInt(old, unix.F_DUPFD_CLOEXEC, 0)
	}); err != nil {
		return -1, err
	}
	return fd, os.NewSyscallError("fcntl", dupErr)
}

// socket is a Stream over a descriptor.
type socket struct {
	fd          int
	source      *Source
	read, write bool
	notify      func(readable, writable bool)
	closed      bool
}

func (s *socket) Notify(f func(readable, writable bool)) { s.notify = f }

func (s *socket) Want(read, write bool) {
	if s.closed {
		return
	}
	s.read, s.write = read, write
	var ev Events
	if read {
		ev |= Readable
	}
	if write {
		ev |= Writable
	}
	// It can fail only for a descriptor that is gone: then nothing is wanted.
	_ = s.source.Set(ev)
}

func (s *socket) event(ev Events) {
	ended := ev&(Hangup|Error) != 0
	readable, writable := s.read && (ended || ev&Readable != 0), s.write && (ended || ev&Writable != 0)
	if ended && !readable {
		// Nobody reads now: the end is found when somebody does.
		_ = s.source.Park()
	}
	if (readable || writable) && s.notify != nil {
		s.notify(readable, writable)
	}
}

func (s *socket) Read(p []byte) (int, error) {
	for {
		n, errno := sysio.Read(s.fd, p)
		switch errno {
		case 0:
			if n == 0 && len(p) > 0 {
				return 0, io.EOF
			}
			return n, nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, ErrWouldBlock
		default:
			return 0, os.NewSyscallError("read", errno)
		}
	}
}

func (s *socket) Write(p []byte) (int, error) {
	for {
		n, errno := sysio.Send(s.fd, p)
		switch errno {
		case 0:
			return n, nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, ErrWouldBlock
		default:
			return 0, os.NewSyscallError("send", errno)
		}
	}
}

// Adopt makes a Stream of a socket's descriptor, such as one that Detach gave. The
// descriptor is the Stream's then, also with an error, which closes it.
func (l *Loop) Adopt(fd int) (Stream, error) {
	err := os.NewSyscallError("fcntl", unix.SetNonblock(fd, true))
	s := &socket{fd: fd}
	if err == nil {
		s.source, err = l.Watch(fd, 0, s.event)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("adopt connection: %w", err), unix.Close(fd))
	}
	return s, nil
}

func (s *socket) Detach() (fd int, ok bool) {
	if s.closed {
		return -1, false
	}
	s.closed = true
	_ = s.source.Close() // it fails only for a descriptor that is gone
	return s.fd, true
}

// Unacknowledged is SIOCOUTQ (tcp(7)), which counts a connection's end too; other
// sockets have it as well.
func (s *socket) Unacknowledged() int {
	n, err := unix.IoctlGetInt(s.fd, unix.TIOCOUTQ)
	if err != nil {
		return 0
	}
	return n
}

func (s *socket) Health() (Health, bool) { return health(s.fd) }

// Abort is a close(2) that does not linger (socket(7), SO_LINGER): the kernel
// forgets its queue, and tells the peer so with a RST.
func (s *socket) Abort() error {
	if !s.closed {
		// It fails for no socket that can send later.
		_ = unix.SetsockoptLinger(s.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	return s.Close()
}

func (s *socket) Close() error {
	if s.closed {
		return nil
	}
	s.closed = true
	return errors.Join(s.source.Close(), os.NewSyscallError("close", unix.Close(s.fd)))
}
