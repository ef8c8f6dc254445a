package rfc2217test

import (
	"io"
	"sync"
)

// pipe is a bounded queue of bytes between goroutines, the output side of the
// devices. Its zero value holds nothing, for ever: use newPipe.
type pipe struct {
	mu       sync.Mutex
	readable sync.Cond
	writable sync.Cond
	buf      []byte // a ring of fixed size
	head, n  int
	closed   bool
}

func newPipe(size int) *pipe {
	p := &pipe{buf: make([]byte, size)}
	p.readable.L, p.writable.L = &p.mu, &p.mu
	return p
}

// Read waits for bytes and takes what there is.
func (p *pipe) Read(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(b) == 0 {
		return 0, nil
	}
	for p.n == 0 && !p.closed {
		p.readable.Wait()
	}
	if p.n == 0 {
		return 0, io.EOF
	}
	n := copy(b, p.buf[p.head:min(p.head+p.n, len(p.buf))])
	n += copy(b[n:], p.buf[:p.n-n])
	p.head, p.n = (p.head+n)%len(p.buf), p.n-n
	p.writable.Broadcast()
	return n, nil
}

// Write waits until all of b has room.
func (p *pipe) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	done := 0
	for done < len(b) {
		for p.n == len(p.buf) && !p.closed {
			p.writable.Wait()
		}
		if p.closed {
			return done, io.ErrClosedPipe
		}
		done += p.pushLocked(b[done:])
	}
	return done, nil
}

// offer adds all of b, or nothing if there is no room for it: what a device
// says is lost when nobody listens, but not torn.
func (p *pipe) offer(b []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed && len(b) <= len(p.buf)-p.n {
		p.pushLocked(b)
	}
}

func (p *pipe) pushLocked(b []byte) int {
	tail := (p.head + p.n) % len(p.buf)
	b = b[:min(len(b), len(p.buf)-p.n)]
	n := copy(p.buf[tail:], b)
	copy(p.buf, b[n:])
	p.n += len(b)
	p.readable.Signal()
	return len(b)
}

// Close ends reads, once the queue is empty, and writes.
func (p *pipe) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	p.readable.Broadcast()
	p.writable.Broadcast()
	return nil
}
