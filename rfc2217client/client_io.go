package rfc2217client

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/vcomd/vcomd/internal/evloop"
)

// Sizes of a Client's buffers, in bytes.
const (
	readSize = 64 << 10
	// maxOutput is what may wait for the connection before the Client says that
	// it is Blocked, and stops reading from a server that does not read either.
	maxOutput = 64 << 10
	// maxLastReads bounds what is read from a connection that cannot be written
	// to any more: as much as a socket holds.
	maxLastReads = 64
)

// ready is the stream's callback.
func (c *Client) ready(readable, writable bool) {
	if writable {
		if c.flush(); c.stream == nil {
			return
		}
	}
	if readable && c.unread == nil {
		c.receive()
	}
}

func (c *Client) receive() {
	n, err := c.stream.Read(c.buf[:])
	switch {
	case errors.Is(err, evloop.ErrWouldBlock):
		return
	case errors.Is(err, io.EOF):
		c.drop(c.unheard(ErrClosedByServer))
		return
	case errors.Is(err, syscall.ETIMEDOUT): // keepalive
		c.drop(fmt.Errorf("%w: %w", ErrSilent, err))
		return
	case err != nil:
		c.drop(c.unheard(lost("receive", err)))
		return
	}
	c.take(n)
	if c.stream != nil {
		c.flush()
	}
}

// unheard adds to the reason for an end what may lie behind it if the server has
// said nothing at all.
func (c *Client) unheard(err error) error {
	if c.watch.any {
		return err
	}
	return closedUnheard(c.cfg.Remote, err)
}

// take handles what was read into buf.
func (c *Client) take(n int) {
	var data []byte
	c.onlooker.show(Received, c.buf[:n]) // before it is decoded in place
	c.work(func(now time.Time) {
		c.watch.heard, c.watch.any = now, true
		data = c.session.Receive(now, c.buf[:n])
	})
	if len(data) > 0 && c.stream != nil {
		if taken := c.handler.Received(data); taken < len(data) && c.stream != nil {
			c.unread = data[taken:]
			c.hold(true)
		}
	}
}

// sendFailed ends a connection that cannot be written to. What has come from the
// server before may be the last of the data, or say why.
func (c *Client) sendFailed(err error) {
	for range maxLastReads {
		if c.unread != nil {
			break
		}
		n, readErr := c.stream.Read(c.buf[:])
		if _, says := errors.AsType[*ConnectError](readErr); says {
			err = readErr
		}
		if readErr != nil {
			break
		}
		if c.take(n); c.stream == nil {
			return
		}
	}
	c.drop(lost("send", err))
}

// Resume offers the data that Received did not take, and reads on when it is
// taken.
func (c *Client) Resume() {
	if c.unread == nil {
		return
	}
	taken := c.handler.Received(c.unread)
	if c.unread == nil {
		return // Stop or Discard was called
	}
	if c.unread = c.unread[taken:]; len(c.unread) == 0 {
		c.unread = nil
		c.hold(false)
	}
	if c.stream != nil {
		c.want()
	}
}

// hold has the server suspended that sends more than the handler takes, if that
// was asked for. TCP slows it down in any case.
func (c *Client) hold(hold bool) {
	if c.cfg.Suspend && c.session != nil {
		c.session.Hold(hold)
		c.flush()
	}
}

// Discard drops received data that Received did not take, and returns how much.
func (c *Client) Discard() int {
	n := len(c.unread)
	c.unread = nil
	c.hold(false)
	if c.stream != nil {
		c.want()
	}
	return n
}

// flush sends what waits in the session's output. What the session's callbacks
// request goes when the session is done: in one write, ahead of any data, and
// without the connection being lost under the session's feet.
func (c *Client) flush() {
	if c.inside {
		return
	}
	for out := c.session.Output(); len(out) > 0; out = c.session.Output() {
		n, err := c.stream.Write(out)
		if errors.Is(err, evloop.ErrWouldBlock) {
			break
		}
		if err != nil {
			c.sendFailed(err)
			return
		}
		c.onlooker.show(Sent, out[:n])
		c.session.Consume(n)
	}
	c.want()
	c.armTick()
	was := c.blocked
	c.blocked = !c.up || c.isBlocked()
	if was && !c.blocked {
		c.handler.Sendable()
	}
}

func (c *Client) isBlocked() bool {
	return c.stream == nil || !c.session.Ready() || len(c.session.Output()) > 0
}

// want tells the stream what is waited for.
func (c *Client) want() {
	pending := len(c.session.Output())
	c.stream.Want(c.unread == nil && pending < maxOutput, pending > 0)
}

// Send sends serial data. The Client must not be Blocked; all of p is taken, and
// p may be reused at once.
func (c *Client) Send(p []byte) {
	if len(c.session.Output()) == 0 && c.session.Transparent(p) {
		n, err := c.stream.Write(p)
		if err != nil && !errors.Is(err, evloop.ErrWouldBlock) {
			c.counters.Unconfirmed += uint64(len(p))
			c.sendFailed(err)
			return
		}
		c.onlooker.show(Sent, p[:n])
		c.session.Bypassed(p[:n])
		if n == len(p) {
			return
		}
		p = p[n:]
	}
	c.session.Data(p)
	c.flush()
}
