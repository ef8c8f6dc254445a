package rfc2217client

import (
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/telnet"
)

// Receive takes bytes from the connection and returns the serial data among
// them, unescaped in place: it lies in p. Answers are in Output then.
func (s *Session) Receive(now time.Time, p []byte) []byte {
	if s.mode == ModeRaw {
		s.received(p)
		return p
	}
	n := 0
	for rest := p; ; {
		var ev telnet.Event
		ev, rest = s.dec.Next(rest)
		switch ev.Kind {
		case telnet.EventNone:
			return p[:n]
		case telnet.EventData:
			if s.isBanner(now) {
				s.counters.BannerBytes += uint64(len(ev.Data))
				s.cfg.Event(Event{Kind: EventBanner, Data: ev.Data})
				continue
			}
			if s.discarding(now) {
				s.counters.PurgedBytes += uint64(len(ev.Data))
				continue
			}
			s.received(ev.Data)
			// What was decoded is never longer than what it was decoded from.
			n += copy(p[n:], ev.Data)
		case telnet.EventCommand:
			s.command(ev.Command)
		case telnet.EventNegotiation:
			s.negotiation(now, ev.Command, ev.Option)
		case telnet.EventSubnegotiation:
			s.subnegotiation(now, ev.Option, ev.Data)
		}
	}
}

func (s *Session) received(p []byte) {
	s.counters.BytesReceived += uint64(len(p))
	if s.cfg.Trace != nil && len(p) > 0 {
		s.cfg.Trace(TraceEntry{Direction: Received, Data: p})
	}
}

// discarding reports whether data is older than an input flush.
func (s *Session) discarding(now time.Time) bool {
	if s.purgeUntil.IsZero() {
		return false
	}
	if now.Before(s.purgeUntil) {
		return true
	}
	s.purgeUntil = time.Time{}
	return false
}

// banner is the greeting of a server that is dropped.
type banner struct {
	dropping bool
	until    time.Time // at the latest; zero: the negotiation is not over
}

// isBanner reports whether data is the server's own.
func (s *Session) isBanner(now time.Time) bool {
	b := &s.banner
	switch {
	case !b.dropping || s.mode == ModeNegotiating:
	case b.until.IsZero():
		b.until = now.Add(AckGiveUp) // one that answers nothing must not be mute for ever
	case !now.Before(b.until):
		b.dropping = false
	}
	return b.dropping
}

func (s *Session) command(c telnet.Command) {
	s.traceText(Received, c.String())
	switch c {
	case telnet.NOP, telnet.DM:
	case telnet.AYT:
		// Never with text: what listens is a serial line.
		s.traceText(Sent, telnet.NOP.String())
		s.out = telnet.AppendCommand(s.out, telnet.NOP)
	case telnet.BRK:
		s.cfg.Event(Event{Kind: EventBreak})
	default:
		s.counters.IgnoredCommands++
	}
}

func (s *Session) negotiation(now time.Time, verb telnet.Command, o telnet.Option) {
	s.trace(Received, verb, o)
	answer, send, _ := s.neg.Receive(verb, o)
	if send {
		s.negotiate(answer, o)
		if answer == telnet.WONT || answer == telnet.DONT {
			s.counters.RefusedOptions++
		}
	}
	if o == telnet.Binary {
		s.dec.SetBinary(s.cfg.PlainCR || s.neg.Remote(telnet.Binary) == telnet.Yes)
	}
	s.decide(now)
}

// decide looks whether the negotiation has come to a result.
func (s *Session) decide(now time.Time) {
	settled := func(st telnet.State) bool { return st == telnet.Yes || st == telnet.No }
	agreed := s.comPortAgreed()
	binary := settled(s.neg.Local(telnet.Binary)) && settled(s.neg.Remote(telnet.Binary))
	switch {
	case s.mode == ModeComPort && !agreed:
		s.withdrawn()
	case s.mode == ModeComPort || s.mode == ModeTelnet && !agreed:
	case agreed && (binary || s.mode == ModeTelnet):
		s.setMode(ModeComPort, "")
	case !agreed && !settled(s.neg.Local(telnet.ComPort)):
		// A WONT COM-PORT is no refusal: ser2net sends one in answer to DO, and
		// agrees to WILL all the same. Only the answer to our WILL counts, and a
		// server that is known to be plain need not give it.
		if s.cfg.KnownPlain && binary {
			s.setMode(ModeTelnet, s.whyTelnet())
		}
	case binary:
		s.setMode(ModeTelnet, s.whyTelnet())
	default:
		// Settings and data wait for BINARY together, but not for long.
		if grace := now.Add(BinaryGrace); grace.Before(s.deadline) {
			s.deadline = grace
		}
	}
}

func (s *Session) subnegotiation(now time.Time, o telnet.Option, payload []byte) {
	if o != telnet.ComPort || s.cfg.Protocol != ProtocolRFC2217 {
		s.counters.UnknownMessages++
		return
	}
	dir, m, err := comport.Parse(payload)
	if err != nil || dir != comport.ToClient && !sentEitherWay(m) {
		s.counters.UnknownMessages++
		return
	}
	s.counters.CommandsReceived++
	if s.cfg.Trace != nil {
		s.traceText(Received, m.String())
	}
	switch m := m.(type) {
	case comport.NotifyModemState:
		s.cfg.Event(Event{Kind: EventModemState, Message: m})
	case comport.NotifyLineState:
		s.cfg.Event(Event{Kind: EventLineState, Message: m})
	case comport.FlowControlSuspend:
		s.suspend()
	case comport.FlowControlResume:
		s.resume(now)
	case comport.SignatureText:
		if m.Text == "" {
			if s.cfg.Signature != "" && s.comPortAgreed() {
				s.send(comport.SignatureText{Text: s.cfg.Signature})
			}
			return
		}
		s.report(now, m)
	default:
		s.report(now, m)
	}
}

// sentEitherWay lists the messages that some servers send with the client's
// code: RFC 2217 gives both codes for the flow control, and no server's
// signature request is worth a dispute.
func sentEitherWay(m comport.Message) bool {
	switch m.(type) {
	case comport.FlowControlSuspend, comport.FlowControlResume, comport.SignatureText:
		return true
	default:
		return false
	}
}

func (s *Session) suspend() {
	if !s.suspended {
		s.suspended = true
		s.cfg.Event(Event{Kind: EventSuspended})
	}
}

func (s *Session) resume(now time.Time) {
	if !s.suspended {
		return
	}
	s.suspended = false
	s.out = append(s.out, s.held...)
	s.held = s.held[:0]
	for i := range s.pending {
		s.pending[i].sentAt, s.pending[i].end = now, s.tail() // it left only now
	}
	s.cfg.Event(Event{Kind: EventResumed})
}
