package rfc2217client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"github.com/vcomd/vcomd/internal/evloop"
	"github.com/vcomd/vcomd/rfc2217client/comport"
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

// DialTimeout bounds one try to connect, resolution included.
const DialTimeout = 10 * time.Second

// A connection whose peer is gone without a word is found dead after 30 s. Not by
// TCP_USER_TIMEOUT: that also ends a healthy one whose peer does not read.
const (
	keepAliveIdle     = 10 * time.Second
	keepAliveInterval = 5 * time.Second
	keepAliveProbes   = 4
)

// Loop is what a Client needs of the poll loop it lives on.
type Loop interface {
	evloop.Poster
	// Now returns the time.
	Now() time.Time
	// AfterFunc has f called on the loop after d.
	AfterFunc(d time.Duration, f func()) evloop.Timer
	// Attach moves a connection onto the loop.
	Attach(c net.Conn) (evloop.Stream, error)
}

// Handler is what a Client serves. Its methods are called on the loop.
type Handler interface {
	// Connected: a connection is up and negotiated. What Request sends during
	// the call leaves before any data.
	Connected(m Mode)
	// Received takes serial data. It returns how much it took; if that is less,
	// the Client stops reading and p stays valid until Resume.
	Received(p []byte) int
	// Sendable: the Client is no longer Blocked.
	Sendable()
	// Event is what the server said or failed to say.
	Event(ev Event)
	// Disconnected: the connection is lost (or could not be made, if it was
	// never Connected). The next try comes after retry; it is negative when
	// there will be none, because Stop was called.
	Disconnected(err error, retry time.Duration)
}

// Config is what a Client needs to know.
type Config struct {
	Remote           Remote
	RetryMin         time.Duration // before the second try; it doubles from there
	RetryMax         time.Duration
	NegotiateTimeout time.Duration // see SessionConfig
	Signature        string
	Trace            func(TraceEntry)
	// Dial makes a connection; nil: by TCP.
	Dial func(ctx context.Context, r Remote) (net.Conn, error)
}

// Sentinel errors: why a connection ended or could not be had.
var (
	ErrClosedByServer = errors.New("closed by the access server")
	ErrStopped        = errors.New("stopped")
)

// Client keeps a connection to an access server while it is wanted. All its
// methods are for the loop's thread only.
//
//	idle ─Start─▶ dialing ─▶ negotiating ─▶ up
//	 ▲              ▲  │ failed     │ lost   │ lost
//	 │              │  ▼            ▼        ▼
//	 └────Stop─── waiting ◀──────────────────┘
type Client struct {
	cfg     Config
	loop    Loop
	handler Handler

	wanted  bool
	up      bool // Connected was called for this connection
	inside  bool // the session is at work: what it calls must not send
	cancel  context.CancelFunc
	attempt uint64 // tells the answers of an abandoned dial apart
	retry   time.Duration
	wait    evloop.Timer // until the next try
	tick    evloop.Timer // the session's deadline
	tickAt  time.Time

	stream      evloop.Stream
	session     *Session
	unread      []byte // data that the handler did not take yet, in buf
	blocked     bool
	knownPlain  bool // of the server, from earlier connections: see SessionConfig
	knownBinary bool
	purgeAcked  bool
	counters    Counters // of earlier sessions
	buf         [readSize]byte
}

// New returns a Client that does nothing until Start.
func New(cfg Config, loop Loop, handler Handler) *Client {
	if cfg.Dial == nil {
		cfg.Dial = dialTCP
	}
	return &Client{cfg: cfg, loop: loop, handler: handler}
}

func dialTCP(ctx context.Context, r Remote) (net.Conn, error) {
	d := net.Dialer{Timeout: DialTimeout, KeepAliveConfig: net.KeepAliveConfig{
		Enable: true, Idle: keepAliveIdle, Interval: keepAliveInterval, Count: keepAliveProbes,
	}}
	return d.DialContext(ctx, "tcp", r.Address())
}

// Start has the Client connect, and connect again whenever the connection is
// lost, until Stop. While it waits for its next try, Start tries at once.
func (c *Client) Start() {
	if c.wanted && c.wait == nil {
		return
	}
	c.wanted = true
	c.stopWaiting()
	c.retry = 0
	c.dial()
}

// Stop ends the connection, and the wish for one. Nothing more is sent: the
// caller sees to it that Unsent is 0 if that matters.
func (c *Client) Stop() {
	if !c.wanted {
		return
	}
	c.wanted = false
	c.stopWaiting()
	if c.cancel != nil {
		c.cancel()
		c.cancel = nil
	}
	c.attempt++
	if c.stream != nil {
		c.drop(ErrStopped)
	}
}

func (c *Client) stopWaiting() {
	if c.wait != nil {
		c.wait.Stop()
		c.wait = nil
	}
}

func (c *Client) dial() {
	ctx, cancel := context.WithTimeout(context.Background(), DialTimeout)
	c.cancel = cancel
	c.attempt++
	attempt, dial, remote := c.attempt, c.cfg.Dial, c.cfg.Remote
	go func() {
		conn, err := dial(ctx, remote)
		cancel()
		c.loop.Post(func() {
			if attempt != c.attempt {
				if conn != nil {
					_ = conn.Close()
				}
				return
			}
			c.cancel = nil
			c.dialed(conn, err)
		})
	}()
}

func (c *Client) dialed(conn net.Conn, err error) {
	if err == nil {
		c.stream, err = c.loop.Attach(conn)
	}
	if err != nil {
		c.retryLater(err)
		return
	}
	var session *Session
	session = NewSession(SessionConfig{
		Protocol:         c.cfg.Remote.Protocol,
		NegotiateTimeout: c.cfg.NegotiateTimeout,
		KnownPlain:       c.knownPlain,
		KnownBinary:      c.knownBinary,
		PurgeAcked:       c.purgeAcked,
		Signature:        c.cfg.Signature,
		Event:            func(ev Event) { c.event(session, ev) },
		Trace:            c.cfg.Trace,
	})
	c.session = session
	c.blocked = true // until the first flush says otherwise
	c.stream.Notify(c.ready)
	c.inside = true
	session.Start(c.loop.Now())
	c.inside = false
	if c.stream != nil {
		c.flush()
	}
}

// retryLater ends a try that failed or a connection that was lost.
func (c *Client) retryLater(err error) {
	if !c.wanted {
		c.handler.Disconnected(err, -1)
		return
	}
	c.retry = min(max(2*c.retry, c.cfg.RetryMin), c.cfg.RetryMax)
	// ±20 %: a thousand ports must not come back to a server in one instant.
	wait := time.Duration((0.8 + 0.4*rand.Float64()) * float64(c.retry)) //nolint:gosec // jitter, not a secret
	c.wait = c.loop.AfterFunc(wait, func() {
		c.wait = nil
		c.dial()
	})
	c.handler.Disconnected(err, wait)
}

// drop ends the connection.
func (c *Client) drop(err error) {
	// Whether the UART has them nobody knows. They are never sent twice.
	c.counters.Unconfirmed += uint64(c.Unsent())
	c.counters.Undelivered += uint64(len(c.unread))
	_ = c.stream.Close() // nothing can be done about it, and err is the reason
	c.stream = nil
	if c.tick != nil {
		c.tick.Stop()
		c.tick = nil
	}
	c.counters.add(c.session.Counters())
	c.purgeAcked = c.purgeAcked || c.session.PurgeAcked()
	c.knownBinary = c.session.Binary()
	c.session, c.unread, c.up = nil, nil, false
	c.retryLater(err)
}

// event passes a Session's events on.
func (c *Client) event(from *Session, ev Event) {
	if c.session != from {
		return // Stop was called from a callback, and the session does not know
	}
	switch ev.Kind {
	case EventMode:
		// One that agreed first and withdrew later is worth waiting for.
		c.knownPlain = ev.Mode == ModeTelnet && c.cfg.Remote.Protocol == ProtocolRFC2217 &&
			(!c.up || c.knownPlain)
		c.retry = 0
		c.up = true
		c.handler.Event(ev)
		if c.session == from {
			c.handler.Connected(ev.Mode)
		}
	default:
		c.handler.Event(ev)
	}
}

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
		c.drop(ErrClosedByServer)
		return
	case err != nil:
		c.drop(fmt.Errorf("receive: %w", err))
		return
	}
	c.take(n)
	if c.stream != nil {
		c.flush()
	}
}

// take handles what was read into buf.
func (c *Client) take(n int) {
	c.inside = true
	data := c.session.Receive(c.loop.Now(), c.buf[:n])
	c.inside = false
	if len(data) > 0 && c.stream != nil {
		if taken := c.handler.Received(data); taken < len(data) && c.stream != nil {
			c.unread = data[taken:]
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
		if readErr != nil {
			break
		}
		if c.take(n); c.stream == nil {
			return
		}
	}
	c.drop(fmt.Errorf("send: %w", err))
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
	}
	c.want()
}

// Discard drops received data that Received did not take, and returns how much.
func (c *Client) Discard() int {
	n := len(c.unread)
	c.unread = nil
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

// armTick has Tick called when the session's deadline comes.
func (c *Client) armTick() {
	at := c.session.Deadline()
	if at.Equal(c.tickAt) && c.tick != nil {
		return
	}
	if c.tick != nil {
		c.tick.Stop()
		c.tick = nil
	}
	if at.IsZero() {
		return
	}
	c.tickAt = at
	c.tick = c.loop.AfterFunc(at.Sub(c.loop.Now()), func() {
		c.tick = nil
		now := c.loop.Now()
		c.session.Underway(now, c.underway())
		c.inside = true
		c.session.Tick(now)
		c.inside = false
		if c.stream != nil {
			c.flush()
		}
	})
}

// underway returns how many of the bytes taken from the session its peer cannot
// be expected to have answered.
func (c *Client) underway() uint64 {
	if c.unread != nil {
		return Everything // the answers stand behind what the handler does not take
	}
	return uint64(c.stream.Unacknowledged())
}

// Up reports whether a negotiated connection is there.
func (c *Client) Up() bool { return c.up }

// Mode returns what the connection can carry; ModeNegotiating without one.
func (c *Client) Mode() Mode {
	if c.session == nil {
		return ModeNegotiating
	}
	return c.session.Mode()
}

// Blocked reports whether Send would have to queue: there is no connection, or
// it does not take more now. Sendable is called when that ends.
func (c *Client) Blocked() bool {
	if c.inside {
		c.blocked = true // who is told so is owed a Sendable
	}
	return !c.up || c.blocked || c.isBlocked()
}

// Suspended reports whether the server holds this end with FLOWCONTROL-SUSPEND.
func (c *Client) Suspended() bool { return c.session != nil && c.session.Suspended() }

// Unsent returns how many bytes wait for the connection, or have been given to
// it and are not confirmed by the server's side: Stop may lose them.
func (c *Client) Unsent() int {
	if c.session == nil {
		return 0
	}
	return len(c.session.Output()) + c.stream.Unacknowledged()
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
		c.session.Bypassed(p[:n])
		if n == len(p) {
			return
		}
		p = p[n:]
	}
	c.session.Data(p)
	c.flush()
}

// Request sends COM-PORT messages in one piece. Without a connection in
// ModeComPort it does nothing.
func (c *Client) Request(messages ...comport.Message) {
	if c.session == nil || len(messages) == 0 {
		return
	}
	c.session.Request(c.loop.Now(), messages...)
	c.flush()
}

// Break sends a break as IAC BRK, in ModeTelnet. It reports whether that could
// be done.
func (c *Client) Break() bool {
	if c.session == nil || !c.session.Break() {
		return false
	}
	c.flush()
	return true
}

// Reported returns what the server has told of its UART in this connection.
func (c *Client) Reported() comport.State {
	if c.session == nil {
		return comport.State{}
	}
	return c.session.Reported()
}

// Effective returns what a plan starts from: see Session.Effective.
func (c *Client) Effective() comport.State {
	if c.session == nil {
		return comport.State{}
	}
	return c.session.Effective()
}

// Counters returns the sums over all connections.
func (c *Client) Counters() Counters {
	sum := c.counters
	if c.session != nil {
		sum.add(c.session.Counters())
	}
	return sum
}
