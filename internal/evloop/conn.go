package evloop

import (
	"errors"
	"io"
	"net"
	"sync"
)

// connBuffer bounds what a connStream holds in each direction, in bytes.
const connBuffer = 64 << 10

// Poster runs functions on a loop.
type Poster interface {
	// Post has f called on the loop, soon.
	Post(f func())
}

// NewConnStream drives any net.Conn from a loop, by two goroutines and two
// bounded buffers. They end when the Stream is closed or the connection ends.
func NewConnStream(l Poster, c net.Conn) Stream {
	s := &connStream{loop: l, conn: c}
	s.cond = sync.NewCond(&s.mu)
	go s.receive()
	go s.send()
	return s
}

type connStream struct {
	loop Poster
	conn net.Conn

	mu      sync.Mutex
	cond    *sync.Cond // something of what follows changed
	in, out []byte
	sending int   // bytes taken from out and not written yet
	readErr error // why no more comes in, once in is empty
	sendErr error
	closed  bool
	aborted bool

	// Loop only.
	read, write bool
	queued      bool // an event is posted already; under mu
	notify      func(readable, writable bool)
}

func (s *connStream) Notify(f func(readable, writable bool)) { s.notify = f }

func (s *connStream) Want(read, write bool) {
	s.read, s.write = read, write
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wakeLocked()
}

// wakeLocked has the loop look at the stream.
func (s *connStream) wakeLocked() {
	if s.queued || s.closed {
		return
	}
	s.queued = true
	s.loop.Post(s.event)
}

func (s *connStream) event() {
	s.mu.Lock()
	s.queued = false
	readable := s.read && (len(s.in) > 0 || s.readErr != nil)
	writable := s.write && (len(s.out) < connBuffer || s.sendErr != nil)
	closed := s.closed
	s.mu.Unlock()
	if closed || !readable && !writable || s.notify == nil {
		return
	}
	s.notify(readable, writable)
	// What was not taken is still there: level-triggered, as a descriptor is.
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.read && (len(s.in) > 0 || s.readErr != nil) || s.write && len(s.out) < connBuffer {
		s.wakeLocked()
	}
}

func (s *connStream) Read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.in) == 0 {
		if s.readErr != nil {
			return 0, s.readErr
		}
		return 0, ErrWouldBlock
	}
	n := copy(p, s.in)
	s.in = s.in[:copy(s.in, s.in[n:])]
	s.cond.Broadcast()
	return n, nil
}

func (s *connStream) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sendErr != nil {
		return 0, s.sendErr
	}
	n := min(len(p), connBuffer-len(s.out))
	if n == 0 && len(p) > 0 {
		return 0, ErrWouldBlock
	}
	s.out = append(s.out, p[:n]...)
	s.cond.Broadcast()
	return n, nil
}

// Unacknowledged counts what the connection makes of the bytes too, such as the
// records of TLS.
func (s *connStream) Unacknowledged() int {
	h, _ := s.Health()
	return h.Unacknowledged
}

func (s *connStream) Health() (Health, bool) {
	h, ok := connHealth(s.conn)
	s.mu.Lock()
	defer s.mu.Unlock()
	h.Unacknowledged += len(s.out) + s.sending
	return h, ok
}

// Close leaves a connection that has words of its own to say at its end, as TLS
// has, to the sender: those may take their time.
// Detach does nothing: there is no descriptor that all of the connection is in.
func (s *connStream) Detach() (fd int, ok bool) { return -1, false }

func (s *connStream) Close() error {
	_, wordy := inner(s.conn)
	s.mu.Lock()
	idle := len(s.out) == 0 && s.sending == 0 && s.sendErr == nil
	s.closed = true
	s.cond.Broadcast()
	s.mu.Unlock()
	if !wordy {
		return s.conn.Close()
	}
	if !idle {
		return s.abort()
	}
	return nil
}

func (s *connStream) Abort() error {
	s.mu.Lock()
	s.closed, s.aborted = true, true
	s.cond.Broadcast()
	s.mu.Unlock()
	return s.abort()
}

func (s *connStream) abort() error {
	c, _ := inner(s.conn)
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // it fails for a socket that is closed
	}
	return c.Close()
}

func (s *connStream) receive() {
	buf := make([]byte, 16<<10)
	for {
		n, err := s.conn.Read(buf)
		s.mu.Lock()
		for len(s.in)+n > connBuffer && !s.closed {
			s.cond.Wait()
		}
		s.in = append(s.in, buf[:n]...)
		if err != nil {
			s.readErr = err
			if errors.Is(err, io.EOF) {
				s.readErr = io.EOF
			}
		}
		s.wakeLocked()
		done := s.closed || s.readErr != nil
		s.mu.Unlock()
		if done {
			return
		}
	}
}

func (s *connStream) send() {
	var buf []byte
	for {
		s.mu.Lock()
		for len(s.out) == 0 && !s.closed {
			s.cond.Wait()
		}
		if s.closed {
			aborted := s.aborted
			s.mu.Unlock()
			if !aborted {
				_ = s.conn.Close()
			}
			return
		}
		buf, s.out = s.out, buf[:0]
		s.sending = len(buf)
		s.wakeLocked()
		s.mu.Unlock()
		n, err := s.conn.Write(buf)
		s.mu.Lock()
		s.sending -= n
		if err != nil {
			s.sendErr = err
			s.wakeLocked()
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
	}
}
