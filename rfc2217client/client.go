package rfc2217client

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"github.com/vcomd/vcomd/internal/evloop"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// DialTimeout bounds one try to connect, resolution included.
const DialTimeout = 10 * time.Second

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
	// there will be none, because Stop was called or, with ErrNoMoreTries, because
	// too many have failed.
	Disconnected(err error, retry time.Duration)
}

// Config is what a Client needs to know.
type Config struct {
	Remote           Remote
	RetryMin         time.Duration // before the second try; it doubles from there
	RetryMax         time.Duration
	Tries            int           // that may fail in a row before the Client stops; 0: without end
	DeadAfter        time.Duration // without a sign of life a connection is lost; 0: DefaultDeadAfter
	Probe            time.Duration // what is silent for so long is asked something; 0: never
	NegotiateTimeout time.Duration // see SessionConfig
	RequireRFC2217   bool          // a server that does not speak it is an error
	PlainCR          bool          // see SessionConfig
	DropBanner       bool          // see SessionConfig
	Suspend          bool          // FLOWCONTROL-SUSPEND while Received does not take all
	Signature        string
	Acknowledged     func(c comport.Command, latency time.Duration) // see SessionConfig
	Trace            func(TraceEntry)
	// Dial makes a connection; nil: a Dialer's.
	Dial func(ctx context.Context, r Remote) (net.Conn, error)
}

// Sentinel errors: why a connection ended or could not be had.
var (
	ErrClosedByServer = errors.New("closed by the access server")
	ErrStopped        = errors.New("stopped")
	ErrSilent         = errors.New("the access server gives no sign of life")
	ErrNoMoreTries    = errors.New("as many tries to connect have failed as were allowed")
	ErrNotRFC2217     = errors.New("the access server does not speak RFC 2217, which is required")
	ErrReconnect      = errors.New("ended by request, to connect anew")
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
	failed  int          // tries in a row
	wait    evloop.Timer // until the next try
	tick    evloop.Timer // the session's deadline
	tickAt  time.Time

	stream      evloop.Stream
	session     *Session
	upAt        time.Time // when up became true
	broken      error     // what the session's callbacks end the connection for
	watch       watch
	unread      []byte // data that the handler did not take yet, in buf
	blocked     bool
	knownPlain  bool // of the server, from earlier connections: see SessionConfig
	knownBinary bool
	purgeAcked  bool
	counters    Counters // of earlier sessions
	onlooker    onlooker
	buf         [readSize]byte
}

// New returns a Client that does nothing until Start.
func New(cfg Config, loop Loop, handler Handler) *Client {
	if cfg.DeadAfter == 0 {
		cfg.DeadAfter = DefaultDeadAfter
	}
	if cfg.Dial == nil {
		cfg.Dial = (&Dialer{KeepAlive: KeepAlive(cfg.DeadAfter)}).Dial
	}
	return &Client{cfg: cfg, loop: loop, handler: handler}
}

// Start has the Client connect, and connect again whenever the connection is
// lost, until Stop. While it waits for its next try, Start tries at once.
func (c *Client) Start() {
	if c.wanted && c.wait == nil {
		return
	}
	c.wanted = true
	evloop.Cancel(&c.wait)
	c.retry, c.failed = 0, 0
	c.dial()
}

// Stop ends the connection, and the wish for one, and the Handler is told so.
// Nothing more is sent: the caller sees to it that Unsent is 0 if that matters.
func (c *Client) Stop() {
	if !c.wanted {
		return
	}
	c.wanted = false
	evloop.Cancel(&c.wait)
	if c.cancel != nil {
		c.cancel()
		c.cancel = nil
	}
	c.attempt++
	if c.stream != nil {
		c.drop(ErrStopped)
		return
	}
	c.handler.Disconnected(ErrStopped, -1)
}

// Reconnect ends the connection as if it had been lost, with ErrReconnect, and connects
// again at once; a try to connect that is under way is begun anew. It reports whether
// there was anything to do: without a Start it does nothing.
func (c *Client) Reconnect() bool {
	if !c.wanted {
		return false
	}
	switch {
	case c.stream != nil:
		c.drop(ErrReconnect)
		c.again()
	case c.cancel != nil:
		c.cancel()
		c.dial()
	default:
		c.again()
	}
	return true
}

// again ends the pause before the next try, if there is to be one.
func (c *Client) again() {
	if c.wanted {
		c.Start()
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
	cfg := c.sessionConfig()
	cfg.Event = func(ev Event) { c.event(session, ev) }
	session = NewSession(cfg)
	c.session = session
	c.blocked = true // until the first flush says otherwise
	c.broken = nil
	c.onlooker.connections++
	c.stream.Notify(c.ready)
	c.startWatch()
	c.work(func(now time.Time) { session.Start(now) })
	if c.stream != nil {
		c.flush()
	}
}

// sessionConfig is what a session needs to know, but for its Event.
func (c *Client) sessionConfig() SessionConfig {
	return SessionConfig{
		Protocol:         c.cfg.Remote.Protocol,
		NegotiateTimeout: c.cfg.NegotiateTimeout,
		KnownPlain:       c.knownPlain,
		KnownBinary:      c.knownBinary,
		PlainCR:          c.cfg.PlainCR,
		DropBanner:       c.cfg.DropBanner,
		PurgeAcked:       c.purgeAcked,
		Signature:        c.cfg.Signature,
		Acknowledged:     c.cfg.Acknowledged,
		Trace:            c.trace(),
	}
}

// work has the session do something. Its callbacks must not end the connection
// under its feet: they leave a word in broken.
func (c *Client) work(do func(now time.Time)) {
	c.inside = true
	do(c.loop.Now())
	c.inside = false
	if c.broken != nil && c.stream != nil {
		c.drop(c.broken)
	}
}

// retryLater ends a try that failed or a connection that was lost.
func (c *Client) retryLater(err error) {
	if !c.wanted {
		c.handler.Disconnected(err, -1)
		return
	}
	if err != ErrReconnect { //nolint:errorlint // our own
		c.failed++
	}
	if c.failed == c.cfg.Tries && c.failed > 0 {
		c.wanted = false
		c.handler.Disconnected(fmt.Errorf("%w (%d): %w", ErrNoMoreTries, c.failed, err), -1)
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
	c.counters.Unconfirmed += c.unconfirmed()
	c.counters.Undelivered += uint64(len(c.unread))
	// Nothing can be done about an error, and err is the reason.
	if err == ErrStopped && c.Unsent() == 0 { //nolint:errorlint // our own
		_ = c.stream.Close()
	} else {
		_ = c.stream.Abort()
	}
	c.stream = nil
	evloop.Cancel(&c.tick)
	evloop.Cancel(&c.watch.timer)
	// One that ends as soon as it is there counts as a try that failed: a server
	// that accepts only to close is not to be asked without end.
	if c.up && c.loop.Now().Sub(c.upAt) >= max(c.retry, c.cfg.RetryMin) {
		c.retry, c.failed = 0, 0
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
	c.watch.event(ev)
	switch {
	case ev.Kind == EventMode && ev.Mode != ModeComPort && c.cfg.RequireRFC2217:
		c.broken = fmt.Errorf("%w: %s", ErrNotRFC2217, ev.Text)
	case ev.Kind == EventMode:
		// One that agreed first and withdrew later is worth waiting for.
		c.knownPlain = ev.Mode == ModeTelnet && c.cfg.Remote.Protocol == ProtocolRFC2217 &&
			(!c.up || c.knownPlain)
		if !c.up {
			c.upAt = c.loop.Now()
		}
		c.up = true
		c.handler.Event(ev)
		if c.session == from {
			c.handler.Connected(ev.Mode)
		}
	default:
		c.handler.Event(ev)
	}
}

// armTick has Tick called when the session's deadline comes.
func (c *Client) armTick() {
	at := c.session.Deadline()
	if at.Equal(c.tickAt) && c.tick != nil {
		return
	}
	evloop.Cancel(&c.tick)
	if at.IsZero() {
		return
	}
	c.tickAt = at
	c.tick = c.loop.AfterFunc(at.Sub(c.loop.Now()), func() {
		c.tick = nil
		now := c.loop.Now()
		c.session.Underway(now, c.underway())
		c.work(c.session.Tick)
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

// unconfirmed is how many bytes of the wire may be serial data that has not arrived: a
// connection that has carried none loses none, whatever of its negotiation is under way.
func (c *Client) unconfirmed() uint64 {
	if c.session == nil {
		return 0
	}
	return min(uint64(c.Unsent()), c.session.Counters().BytesSent)
}

// Encoded returns how many bytes wait for the connection to take them.
func (c *Client) Encoded() int {
	if c.session == nil {
		return 0
	}
	return len(c.session.Output())
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
