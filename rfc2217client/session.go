package rfc2217client

import (
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/telnet"
)

// The times of a session. They are constants of this implementation, not of the
// RFC, which has none.
const (
	AckResend        = time.Second            // an unanswered request is sent again
	AckGiveUp        = 2 * time.Second        // and then given up
	BinaryGrace      = time.Second            // how long BINARY is waited for once COM-PORT is agreed
	PurgeTimeout     = 500 * time.Millisecond // how long received data is discarded for a purge
	NegotiateTimeout = 4 * time.Second        // default of SessionConfig.NegotiateTimeout
)

// Bounds of what waits, in bytes of the wire. A request that finds no room is
// dropped and counted.
const (
	maxHeld   = 4096     // requests of a suspended session
	maxQueued = 64 << 10 // Output, when a request is made
)

// SessionConfig is what a Session needs to know.
type SessionConfig struct {
	// Protocol says what is spoken.
	Protocol Protocol
	// NegotiateTimeout is how long the server may take to answer COM-PORT; 0
	// means the constant of that name.
	NegotiateTimeout time.Duration
	// KnownPlain: an earlier connection found that this server does not speak
	// RFC 2217. It is offered again, but nothing waits for the answer.
	KnownPlain bool
	// KnownBinary: that server agreed to BINARY, which is therefore waited for.
	KnownBinary bool
	// PlainCR: a carriage return goes and comes as it is also where BINARY is not
	// in effect, as with servers that know nothing of CR NUL.
	PlainCR bool
	// DropBanner: what the server says at first is no serial data. With COM-PORT
	// that ends with its first answer, since servers greet before they work;
	// otherwise with the negotiation.
	DropBanner bool
	// PurgeAcked: an earlier connection saw the server acknowledge a purge.
	PurgeAcked bool
	// Signature answers a server that asks for one.
	// "": it gets no answer, as an empty one would be a question.
	Signature string
	// Acknowledged, if set, is told of each acknowledgement that answers the newest
	// request of its kind, and how long after that: the time in which the request
	// waited to be sent or was sent again included. Lines and breaks are not waited
	// for, so theirs are not told. It must not call the Session.
	Acknowledged func(c comport.Command, latency time.Duration)
	// Event receives what happens. It must not call the Session but for Request.
	Event func(Event)
	// Trace, if set, receives all that passes, decoded.
	Trace func(TraceEntry)
}

// Session is the protocol of one connection, without the connection. It is not
// safe for use by several goroutines.
//
//	Start ─▶ negotiating ──COM-PORT agreed──▶ rfc2217
//	              │                              ▲ agreed late │ withdrawn
//	              └──refused, or no answer────▶ telnet ◀───────┘
type Session struct {
	cfg  SessionConfig
	dec  telnet.Decoder
	neg  *telnet.Negotiator
	mode Mode

	out      []byte    // to be sent, Telnet-encoded
	written  uint64    // bytes that the caller has taken from out or written itself
	held     []byte    // requests made while suspended
	scratch  []byte    // one message's payload
	deadline time.Time // of the negotiation; zero when it is over

	suspended  bool
	pending    [numSlots]pending
	reported   comport.State // what the server has told
	asked      comport.State // what was asked in this session
	effective  comport.State // see Effective
	purgeUntil time.Time     // received data is discarded; zero: it is not
	purgeAcked bool
	holding    bool // the server was asked to suspend: see Hold
	banner     banner
	counters   Counters
}

// NewSession returns a Session that has nothing to send until Start.
func NewSession(cfg SessionConfig) *Session {
	if cfg.NegotiateTimeout == 0 {
		cfg.NegotiateTimeout = NegotiateTimeout
	}
	if cfg.Event == nil {
		cfg.Event = func(Event) {}
	}
	s := &Session{cfg: cfg, neg: telnet.NewNegotiator(), purgeAcked: cfg.PurgeAcked}
	s.dec.SetBinary(cfg.PlainCR)
	s.banner.dropping = cfg.DropBanner && cfg.Protocol != ProtocolRaw
	return s
}

// Start opens the session: the connection is there.
func (s *Session) Start(now time.Time) {
	if s.cfg.Protocol == ProtocolRaw {
		s.setMode(ModeRaw, "")
		return
	}
	s.deadline = now.Add(s.cfg.NegotiateTimeout)
	// A server that echoes locally is not our concern; that we echo is refused.
	s.neg.Allow(telnet.Echo, false, true)
	if s.cfg.Protocol == ProtocolRFC2217 {
		s.neg.Allow(telnet.ComPort, true, true)
		s.request(telnet.ComPort, true)
	}
	s.request(telnet.Binary, true)
	s.request(telnet.Binary, false)
	s.request(telnet.SGA, true)
	s.request(telnet.SGA, false)
	switch {
	case !s.cfg.KnownPlain:
	case s.cfg.KnownBinary:
		// Data sent before the server has agreed would have a NUL after each CR,
		// which it would take for data.
		if grace := now.Add(BinaryGrace); grace.Before(s.deadline) {
			s.deadline = grace
		}
	default:
		s.setMode(ModeTelnet, s.whyTelnet())
	}
}

// request asks to perform o at this end, or at the peer's.
func (s *Session) request(o telnet.Option, local bool) {
	ask := s.neg.RequestRemote
	if local {
		ask = s.neg.RequestLocal
	}
	if verb, send := ask(o, true); send {
		s.negotiate(verb, o)
	}
}

func (s *Session) negotiate(verb telnet.Command, o telnet.Option) {
	s.trace(Sent, verb, o)
	s.out = telnet.AppendNegotiation(s.out, verb, o)
}

func (s *Session) setMode(m Mode, why string) {
	if m != ModeNegotiating {
		s.deadline = time.Time{}
	}
	if s.mode == m {
		return
	}
	s.mode = m
	if m == ModeTelnet {
		s.banner.dropping = false
	}
	s.cfg.Event(Event{Kind: EventMode, Mode: m, Text: why})
}

// comPortAgreed reports whether the server speaks RFC 2217: DO and WILL both say
// so.
func (s *Session) comPortAgreed() bool {
	return s.neg.Local(telnet.ComPort) == telnet.Yes || s.neg.Remote(telnet.ComPort) == telnet.Yes
}

// Mode returns what the connection can carry.
func (s *Session) Mode() Mode { return s.mode }

// Ready reports whether data and requests may be sent now: the negotiation has
// come to a result and the server has not suspended this end.
func (s *Session) Ready() bool { return s.mode != ModeNegotiating && !s.suspended }

// Suspended reports whether the server holds this end with FLOWCONTROL-SUSPEND.
func (s *Session) Suspended() bool { return s.suspended }

// Reported returns what the server has told of its UART.
func (s *Session) Reported() comport.State { return s.reported }

// Effective returns what the UART is as far as this end needs to act: what was
// asked in this session; and what the server told where nothing was asked, or,
// settings only, where it told something new without being asked.
func (s *Session) Effective() comport.State { return s.effective }

// PurgeAcked reports whether the server was seen to acknowledge a purge.
func (s *Session) PurgeAcked() bool { return s.purgeAcked }

// Counters returns the counters.
func (s *Session) Counters() Counters {
	c, d := s.counters, s.dec.Stats()
	c.BrokenMessages += d.Malformed + d.Oversized
	return c
}

// Binary reports whether the server agreed that this end sends in binary mode.
func (s *Session) Binary() bool { return s.neg.Local(telnet.Binary) == telnet.Yes }

// plainCR reports whether a carriage return is sent without a NUL (RFC 854).
func (s *Session) plainCR() bool { return s.cfg.PlainCR || s.Binary() }

// Output returns what is to be sent. Consume says how much of it was.
func (s *Session) Output() []byte { return s.out }

// tail is where Output ends in the stream that this end writes.
func (s *Session) tail() uint64 { return s.written + uint64(len(s.out)) }

// Consume drops the first n bytes of Output.
func (s *Session) Consume(n int) {
	s.written += uint64(n)
	if n == len(s.out) {
		s.out = s.out[:0]
		return
	}
	s.out = s.out[:copy(s.out, s.out[n:])]
}

// Transparent reports whether p goes over the wire as it is: the caller may
// write it itself, when Output is empty, and then calls Bypassed.
func (s *Session) Transparent(p []byte) bool {
	return s.mode == ModeRaw || s.plainCR() && !telnet.NeedsEscape(p)
}

// Bypassed accounts for data that the caller wrote itself.
func (s *Session) Bypassed(p []byte) {
	s.written += uint64(len(p))
	s.account(p)
}

func (s *Session) account(p []byte) {
	s.counters.BytesSent += uint64(len(p))
	if s.cfg.Trace != nil {
		s.cfg.Trace(TraceEntry{Direction: Sent, Data: p})
	}
}

// Data appends serial data to Output. The session must be Ready.
func (s *Session) Data(p []byte) {
	s.account(p)
	switch {
	case s.mode == ModeRaw:
		s.out = append(s.out, p...)
	case s.plainCR():
		s.out = telnet.AppendData(s.out, p)
	default:
		s.out = telnet.AppendDataNVT(s.out, p)
	}
}

// Break sends a break of the server's own length, where no other is possible: as
// IAC BRK, in ModeTelnet. It reports whether that could be done.
func (s *Session) Break() bool {
	if s.mode != ModeTelnet {
		return false
	}
	s.traceText(Sent, telnet.BRK.String())
	s.out = telnet.AppendCommand(s.out, telnet.BRK)
	return true
}

func (s *Session) trace(d Direction, verb telnet.Command, o telnet.Option) {
	if s.cfg.Trace != nil {
		s.traceText(d, verb.String()+" "+o.String())
	}
}

func (s *Session) traceText(d Direction, text string) {
	if s.cfg.Trace != nil {
		s.cfg.Trace(TraceEntry{Direction: d, Text: text})
	}
}
