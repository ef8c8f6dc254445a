package evloop

import (
	"errors"
	"io"
	"time"
)

// ErrWouldBlock is what Read and Write return when nothing can be read or
// written now; the Stream's callback comes when that changes.
var ErrWouldBlock = errors.New("operation would block")

// Stream is a connection driven by a loop: neither Read nor Write blocks.
type Stream interface {
	// Read reads what is there. It returns ErrWouldBlock, io.EOF, or the error
	// that ended the connection.
	Read(p []byte) (int, error)
	// Write writes what fits. A short count comes without an error.
	Write(p []byte) (int, error)
	// Want sets which of the two the callback is wanted for.
	Want(read, write bool)
	// Notify sets the callback, which is told what can be done now. An ended
	// connection is readable.
	Notify(f func(readable, writable bool))
	// Unacknowledged returns how many written bytes the peer has not confirmed,
	// as far as that is known.
	Unacknowledged() int
	// Health returns what the kernel knows of the peer; false if this is no TCP
	// connection.
	Health() (Health, bool)
	// Close ends the connection at once. No callback follows.
	Close() error
}

// Health is what the kernel knows of the peer of a TCP connection (tcp(7),
// TCP_INFO; include/uapi/linux/tcp.h).
type Health struct {
	// Unacknowledged is what Stream.Unacknowledged returns.
	Unacknowledged int
	// SinceAck is how long ago the peer last acknowledged anything: data, a
	// keepalive, or a probe of its closed window.
	SinceAck time.Duration
	// ProbeInterval is the time between two probes of a window that the peer has
	// closed, by which alone such a peer is heard of; 0: the window is open.
	ProbeInterval time.Duration
}

var _ io.Closer = Stream(nil)
