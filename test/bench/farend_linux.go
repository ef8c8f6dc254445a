package main

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/test/bench/wire"
)

// farEnd is the server that a peer connects to: raw, or Telnet with RFC 2217. It takes one connection. Data is echoed, or checked
// while a flow is set, or its arrival noted. Its sockets are blocking and outside Go's poller, so that its own way to wait is as quick as can be.
type farEnd struct {
	telnet   bool
	port     int
	listener int
	conn     int // set before accepted is closed, valid until stop
	accepted chan struct{}
	gone     chan struct{} // closed when the connection or the listener has ended

	writing sync.Mutex
	failed  error // guarded by writing

	flow     atomic.Pointer[flow]
	arrivals atomic.Pointer[arrivals]
	decoder  wire.Decoder
	echo     []byte
	speeds   chan speedSeen
}

// speedSeen is a SET-BAUDRATE at the server.
type speedSeen struct {
	rate uint32
	at   time.Time
}

// listen makes a server at any port.
func listen(telnet bool) (*farEnd, error) { return listenAt(telnet, 0) }

// listenAt makes a server at a port that one before it may have left.
func listenAt(telnet bool, port int) (*farEnd, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	f := &farEnd{
		telnet: telnet, listener: fd, conn: -1,
		accepted: make(chan struct{}), gone: make(chan struct{}), speeds: make(chan speedSeen, 64),
	}
	f.decoder.H = f
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return nil, errors.Join(os.NewSyscallError("setsockopt", err), unix.Close(fd))
	}
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: port}); err != nil {
		return nil, errors.Join(os.NewSyscallError("bind", err), unix.Close(fd))
	}
	if err := unix.Listen(fd, 1); err != nil {
		return nil, errors.Join(os.NewSyscallError("listen", err), unix.Close(fd))
	}
	addr, err := unix.Getsockname(fd)
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("getsockname", err), unix.Close(fd))
	}
	in4, ok := addr.(*unix.SockaddrInet4)
	if !ok {
		return nil, errors.Join(fmt.Errorf("getsockname: %T", addr), unix.Close(fd))
	}
	f.port = in4.Port
	return f, nil
}

// serve accepts one connection and serves it to its end.
func (f *farEnd) serve() {
	defer close(f.gone)
	conn, _, err := unix.Accept4(f.listener, unix.SOCK_CLOEXEC)
	if err != nil {
		return // stopped
	}
	f.conn = conn
	close(f.accepted)
	if err := unix.SetsockoptInt(conn, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return
	}
	if f.telnet {
		f.Reply(wire.Greeting())
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(conn, buf)
		if err == unix.EINTR {
			continue
		}
		if err != nil || n == 0 {
			return
		}
		if !f.telnet {
			f.Data(buf[:n])
			continue
		}
		f.decoder.Feed(buf[:n])
		if len(f.echo) > 0 {
			f.Reply(f.echo)
			f.echo = f.echo[:0]
		}
	}
}

// stop ends serve, also within a read or a write, waits for it, and closes the sockets.
func (f *farEnd) stop() {
	f.shutdown()
	<-f.gone
	_ = unix.Close(f.listener)
	select {
	case <-f.accepted:
		f.writing.Lock() // a source may still be in write, though no longer for long
		defer f.writing.Unlock()
		f.failed = errors.New("the bench has stopped")
		_ = unix.Close(f.conn)
	default:
	}
}

// shutdown makes every wait on the sockets return. It takes no lock: the one who holds it may be waiting.
func (f *farEnd) shutdown() {
	_ = unix.Shutdown(f.listener, unix.SHUT_RDWR) // wakes accept
	select {
	case <-f.accepted:
		_ = unix.Shutdown(f.conn, unix.SHUT_RDWR)
	default:
	}
}

// write sends p, all of it.
func (f *farEnd) write(p []byte) error {
	f.writing.Lock()
	defer f.writing.Unlock()
	for len(p) > 0 && f.failed == nil {
		n, err := unix.Write(f.conn, p)
		if err != nil && err != unix.EINTR {
			f.failed = os.NewSyscallError("write to the peer", err)
		}
		p = p[max(n, 0):]
	}
	return f.failed
}

// Data takes bytes of the line: the flow's, or bytes to echo.
func (f *farEnd) Data(p []byte) {
	if fl := f.flow.Load(); fl != nil {
		fl.take(p)
		return
	}
	if a := f.arrivals.Load(); a != nil {
		a.take(len(p), time.Now())
		return
	}
	if f.telnet { // at the end of the read, with all that it held
		f.echo = wire.Escape(f.echo, p)
		return
	}
	f.Reply(p)
}

// Reply sends bytes to the peer; that it has gone shows at the next read.
func (f *farEnd) Reply(p []byte) { _ = f.write(p) }

// BaudRate notes when a speed was asked for. What nobody waits for is dropped.
func (f *farEnd) BaudRate(rate uint32) {
	select {
	case f.speeds <- speedSeen{rate, time.Now()}:
	default:
	}
}
