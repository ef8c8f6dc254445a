package evloop

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// health asks the kernel about a TCP socket.
func health(fd int) (Health, bool) {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return Health{}, false
	}
	queued, err := unix.IoctlGetInt(fd, unix.TIOCOUTQ)
	if err != nil {
		return Health{}, false
	}
	return healthOf(info, queued), true
}

func healthOf(info *unix.TCPInfo, queued int) Health {
	return Health{
		Unacknowledged: queued,
		SinceAck:       time.Duration(info.Last_ack_recv) * time.Millisecond,
		Held:           queued > 0 && info.Unacked == 0,
		Unanswered:     int(info.Probes),
	}
}

// connHealth is health for a connection that hides a socket, as TLS does.
func connHealth(c net.Conn) (h Health, ok bool) {
	c, _ = inner(c)
	sc, isSocket := c.(syscall.Conn)
	if !isSocket {
		return Health{}, false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return Health{}, false
	}
	err = raw.Control(func(fd uintptr) { h, ok = health(int(fd)) })
	return h, ok && err == nil
}

// inner returns what a connection such as TLS goes through.
func inner(c net.Conn) (net.Conn, bool) {
	outer, ok := c.(interface{ NetConn() net.Conn })
	if !ok {
		return c, false
	}
	return outer.NetConn(), true
}
