package metrics

import (
	"net"
	"sync"
)

// limited is a listener with so many connections at a time: further ones wait in the
// kernel.
type limited struct {
	net.Listener

	room chan struct{}
	once sync.Once
	end  chan struct{}
}

func newLimited(ln net.Listener, most int) *limited {
	return &limited{Listener: ln, room: make(chan struct{}, most), end: make(chan struct{})}
}

// Accept waits for room, and for a client.
func (l *limited) Accept() (net.Conn, error) {
	select {
	case l.room <- struct{}{}:
	case <-l.end:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.room
		return nil, err
	}
	return &counted{Conn: conn, leave: func() { <-l.room }}, nil
}

// Close ends Accept, too.
func (l *limited) Close() error {
	l.once.Do(func() { close(l.end) })
	return l.Listener.Close()
}

// counted is a connection that makes room when it is closed.
type counted struct {
	net.Conn

	once  sync.Once
	leave func()
}

// Close closes the connection once.
func (c *counted) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.leave)
	return err
}
