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
	// Close ends the connection. No callback follows. The kernel still sends
	// what was written.
	Close() error
	// Abort is Close for a connection that is given up: what the peer has not
	// confirmed is forgotten, and not delivered when nobody reckons with it any
	// more.
	Abort() error
	// Detach takes the connection off the loop, as it is: its descriptor is the
	// caller's then, and the Stream is as if closed. ok is false, and nothing was done,
	// where the connection is more than a descriptor (TLS).
	Detach() (fd int, ok bool)
}

// Health is what the kernel knows of the peer of a TCP connection (tcp(7),
// TCP_INFO; include/uapi/linux/tcp.h).
type Health struct {
	// Unacknowledged is what Stream.Unacknowledged returns.
	Unacknowledged int
	// SinceAck is how long ago the peer last acknowledged anything: data, a
	// keepalive, or a probe of its closed window.
	SinceAck time.Duration
	// Held: none of what waits is on its way, because the peer has closed its
	// window or because there is no way. The kernel sends probes in its place,
	// and those alone bring acknowledgements then.
	Held bool
	// Unanswered is how many probes the peer has not acknowledged.
	Unanswered int
}

var _ io.Closer = Stream(nil)
