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

// The bounds of a probe's timer (include/net/tcp.h, TCP_RTO_MIN and TCP_RTO_MAX).
const (
	minProbeInterval = 200 * time.Millisecond
	maxProbeInterval = 120 * time.Second
)

func healthOf(info *unix.TCPInfo, queued int) Health {
	h := Health{
		Unacknowledged: queued,
		SinceAck:       time.Duration(info.Last_ack_recv) * time.Millisecond,
	}
	// Output waits and none of it is on its way: the kernel sends probes in its
	// place, twice as far apart after each (tcp_probe0_when). A peer that closes its
	// window while segments are on their way is told apart only when those have
	// been acknowledged.
	if queued > 0 && info.Unacked == 0 {
		h.ProbeInterval = max(time.Duration(info.Rto)*time.Microsecond, minProbeInterval)
		for range info.Backoff {
			h.ProbeInterval = min(2*h.ProbeInterval, maxProbeInterval)
		}
	}
	return h
}

// connHealth is health for a connection that hides a socket, as TLS does.
func connHealth(c net.Conn) (h Health, ok bool) {
	if outer, isOuter := c.(interface{ NetConn() net.Conn }); isOuter {
		c = outer.NetConn()
	}
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
