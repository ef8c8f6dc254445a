package evloop

import (
	"errors"
	"io"
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
	// Close ends the connection at once. No callback follows.
	Close() error
}

var _ io.Closer = Stream(nil)
