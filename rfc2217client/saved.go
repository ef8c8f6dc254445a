package rfc2217client

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vcomd/vcomd/internal/evloop"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/telnet"
)

// ErrSaved means that a saved state is none that this package makes.
var ErrSaved = errors.New("saved state that cannot be")

// SavedSession is a [Session] between two bytes of its connection, for another process
// to go on with.
type SavedSession struct {
	Mode       Mode                 `json:"mode"`
	Decoder    telnet.SavedDecoder  `json:"decoder"`
	Options    []telnet.SavedOption `json:"options"`
	Output     []byte               `json:"output,omitempty"`
	Written    uint64               `json:"written"`
	Held       []byte               `json:"held,omitempty"`
	Deadline   time.Time            `json:"deadline"`
	Suspended  bool                 `json:"suspended,omitempty"`
	Pending    []SavedRequest       `json:"pending"`
	Reported   comport.State        `json:"reported"`
	Asked      comport.State        `json:"asked"`
	Effective  comport.State        `json:"effective"`
	PurgeUntil time.Time            `json:"purge_until"`
	PurgeAcked bool                 `json:"purge_acked,omitempty"`
	Holding    bool                 `json:"holding,omitempty"`
	Banner     bool                 `json:"banner,omitempty"` // it is being dropped
	BannerEnd  time.Time            `json:"banner_end"`
	Counters   Counters             `json:"counters"`
}

// SavedRequest is a request and what is known of its acknowledgement.
type SavedRequest struct {
	Message []byte    `json:"message,omitempty"` // as RFC 2217 has it; empty: nothing was asked
	SentAt  time.Time `json:"sent_at"`
	End     uint64    `json:"end"`
	Open    int       `json:"open"`
	Waiting bool      `json:"waiting,omitempty"`
	Resent  bool      `json:"resent,omitempty"`
	Mute    bool      `json:"mute,omitempty"`
}

// Save returns the session's state.
func (s *Session) Save() SavedSession {
	saved := SavedSession{
		Mode: s.mode, Decoder: s.dec.Save(), Options: s.neg.Save(), Output: slices.Clone(s.out), Written: s.written, Held: slices.Clone(s.held),
		Deadline: s.deadline, Suspended: s.suspended, Reported: s.reported, Asked: s.asked, Effective: s.effective,
		PurgeUntil: s.purgeUntil, PurgeAcked: s.purgeAcked, Holding: s.holding, Banner: s.banner.dropping, BannerEnd: s.banner.until, Counters: s.counters,
	}
	for i := range s.pending {
		p := &s.pending[i]
		r := SavedRequest{SentAt: p.sentAt, End: p.end, Open: p.open, Waiting: p.waiting, Resent: p.resent, Mute: p.mute}
		if p.message != nil {
			r.Message = comport.Append(nil, comport.ToServer, p.message)
		}
		saved.Pending = append(saved.Pending, r)
	}
	return saved
}

// RestoreSession returns a Session that goes on where the saved one stopped, instead
// of Start. The error wraps ErrSaved.
func RestoreSession(cfg SessionConfig, saved SavedSession) (*Session, error) {
	s := NewSession(cfg)
	if saved.Mode > ModeRaw || len(saved.Pending) != len(s.pending) {
		return nil, fmt.Errorf("session: %w", ErrSaved)
	}
	if err := errors.Join(s.dec.Restore(saved.Decoder), s.neg.Restore(saved.Options)); err != nil {
		return nil, fmt.Errorf("session: %w: %w", ErrSaved, err)
	}
	for i, r := range saved.Pending {
		p := &s.pending[i]
		*p = pending{askedAt: r.SentAt, sentAt: r.SentAt, end: r.End, open: r.Open, waiting: r.Waiting, resent: r.Resent, mute: r.Mute}
		if len(r.Message) == 0 {
			continue
		}
		_, m, err := comport.Parse(r.Message)
		if err != nil {
			return nil, fmt.Errorf("session: %w: %w", ErrSaved, err)
		}
		if of, tracked := slotOf(m); !tracked || of != slot(i) {
			return nil, fmt.Errorf("session: %w: %v waits as another request", ErrSaved, m)
		}
		p.message = m
	}
	s.mode, s.out, s.written, s.held, s.deadline = saved.Mode, saved.Output, saved.Written, saved.Held, saved.Deadline
	s.suspended, s.reported, s.asked, s.effective = saved.Suspended, saved.Reported, saved.Asked, saved.Effective
	s.purgeUntil, s.purgeAcked, s.holding = saved.PurgeUntil, saved.PurgeAcked, saved.Holding
	s.banner, s.counters = banner{saved.Banner, saved.BannerEnd}, saved.Counters
	return s, nil
}

// Saved is a [Client] for another process to go on with.
type Saved struct {
	Wanted      bool          `json:"wanted,omitempty"` // Start was called last, and not Stop
	Session     *SavedSession `json:"session,omitempty"`
	Up          bool          `json:"up,omitempty"`
	UpAt        time.Time     `json:"up_at"`
	Unread      []byte        `json:"unread,omitempty"` // received, and not taken by the Handler
	KnownPlain  bool          `json:"known_plain,omitempty"`
	KnownBinary bool          `json:"known_binary,omitempty"`
	PurgeAcked  bool          `json:"purge_acked,omitempty"`
	Answers     bool          `json:"answers,omitempty"` // the server answers a Probe
	Counters    Counters      `json:"counters"`
}

// Save ends the Client as far as this process goes, without a word to the server or
// the Handler. With Session set, fd is the connection's, and the caller's; else it is
// -1, and a connection that cannot be handed over (TLS) is given up.
func (c *Client) Save() (saved Saved, fd int) {
	fd = -1
	evloop.Cancel(&c.wait)
	evloop.Cancel(&c.tick)
	evloop.Cancel(&c.watch.timer)
	if c.cancel != nil {
		c.cancel()
		c.cancel = nil
	}
	c.attempt++
	saved = Saved{Wanted: c.wanted, KnownPlain: c.knownPlain, KnownBinary: c.knownBinary, PurgeAcked: c.purgeAcked, Answers: c.watch.answers, Counters: c.counters}
	c.wanted = false
	if c.stream == nil {
		return saved, fd
	}
	unconfirmed := c.unconfirmed()
	if of, ok := c.stream.Detach(); ok {
		s := c.session.Save()
		saved.Session, saved.Up, saved.UpAt, saved.Unread = &s, c.up, c.upAt, slices.Clone(c.unread)
		fd = of
	} else {
		saved.Counters.add(c.session.Counters())
		saved.Counters.Unconfirmed += unconfirmed
		saved.Counters.Undelivered += uint64(len(c.unread))
		saved.PurgeAcked = saved.PurgeAcked || c.session.PurgeAcked()
		saved.KnownBinary = c.session.Binary()
		_ = c.stream.Abort()
	}
	c.stream, c.session, c.unread, c.up = nil, nil, nil, false
	return saved, fd
}

// Restore goes on where a saved Client stopped, instead of Start: on stream, which is
// nil if there was no connection. The Handler is told nothing: it knows. The error
// wraps ErrSaved; then the Client is as it was, and stream is not closed.
func (c *Client) Restore(saved Saved, stream evloop.Stream) error {
	if (saved.Session != nil) != (stream != nil) || len(saved.Unread) > len(c.buf) {
		return fmt.Errorf("client: %w", ErrSaved)
	}
	c.knownPlain, c.knownBinary, c.purgeAcked, c.counters = saved.KnownPlain, saved.KnownBinary, saved.PurgeAcked, saved.Counters
	c.watch.answers = saved.Answers
	if stream == nil {
		if saved.Wanted {
			c.Start()
		}
		return nil
	}
	var session *Session
	cfg := c.sessionConfig()
	cfg.Event = func(ev Event) { c.event(session, ev) }
	session, err := RestoreSession(cfg, *saved.Session)
	if err != nil {
		return err
	}
	c.wanted, c.session, c.stream, c.up, c.upAt = true, session, stream, saved.Up, saved.UpAt
	if len(saved.Unread) > 0 {
		c.unread = c.buf[:copy(c.buf[:], saved.Unread)]
	}
	c.blocked = true
	stream.Notify(c.ready)
	c.startWatch()
	c.watch.any = true // whoever was there before has heard it
	c.flush()
	return nil
}
