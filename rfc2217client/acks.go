package rfc2217client

import (
	"math"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/telnet"
)

// slot is a command whose acknowledgement is waited for. SET-CONTROL is several
// commands in one code. DTR, RTS and break have none: they never wait, and a
// repetition of one could do harm.
type slot uint8

const (
	slotBaudRate slot = iota
	slotDataSize
	slotParity
	slotStopSize
	slotOutbound
	slotInbound
	slotPurge
	slotSignature
	numSlots
)

// pending is the newest request of a slot.
type pending struct {
	message comport.Message // nil: nothing was asked in this session
	askedAt time.Time
	sentAt  time.Time // from when its acknowledgement is waited for
	end     uint64    // where it ends in the stream that this end writes
	open    int       // requests sent and not answered, older ones included
	waiting bool      // for the answer to message
	resent  bool
	mute    bool // unanswered once: not waited for again in this session
}

func slotOf(m comport.Message) (slot, bool) {
	switch m := m.(type) {
	case comport.SetBaudRate:
		return slotBaudRate, true
	case comport.SetDataSize:
		return slotDataSize, true
	case comport.SetParity:
		return slotParity, true
	case comport.SetStopSize:
		return slotStopSize, true
	case comport.PurgeData:
		return slotPurge, true
	case comport.SignatureText:
		return slotSignature, true
	case comport.SetControl:
		switch m.Control.Group() {
		case comport.GroupFlow:
			return slotOutbound, true
		case comport.GroupInbound:
			return slotInbound, true
		case comport.GroupDTR, comport.GroupRTS, comport.GroupBreak, comport.GroupUnknown:
		}
	}
	return 0, false
}

// Request sends COM-PORT messages, in order and in one piece. In another mode
// than ModeComPort it does nothing. While the server has suspended this end they
// wait, within bounds.
func (s *Session) Request(now time.Time, messages ...comport.Message) {
	if s.mode != ModeComPort {
		return
	}
	for _, m := range messages {
		if !s.send(m) {
			continue
		}
		s.asked.Set(m)
		s.effective.Set(m)
		sl, tracked := slotOf(m)
		if !tracked {
			continue
		}
		p := &s.pending[sl]
		p.message, p.askedAt, p.sentAt, p.resent = m, now, now, false
		p.end = s.tail()
		p.open++
		p.waiting = !p.mute
		if sl == slotPurge && m != (comport.PurgeData{What: comport.PurgeTransmit}) && s.purgeAcked {
			s.purgeUntil = now.Add(PurgeTimeout)
		}
	}
}

// Probe asks the server for something that it knows, only to hear of it: the speed,
// which every server tells. The answer is told as any EventReport. It reports
// whether a question was sent: not while another request is under way, which
// serves as well.
func (s *Session) Probe() bool {
	if s.mode != ModeComPort || s.suspended || s.pending[slotBaudRate].open > 0 {
		return false
	}
	if !s.send(comport.SetBaudRate{}) {
		return false
	}
	// The answer is not taken for that to a request made meanwhile.
	s.pending[slotBaudRate].open++
	return true
}

// ProbeLost gives up the answer to a Probe.
func (s *Session) ProbeLost() {
	if p := &s.pending[slotBaudRate]; !p.waiting {
		p.open = 0
	}
}

// Hold asks the server to stop sending data, or to go on, with
// FLOWCONTROL-SUSPEND and -RESUME (RFC 2217, section 4). Without COM-PORT, or when
// that is asked already, it does nothing. It is not held back itself: of two ends
// that wait for the other's RESUME neither would go on.
func (s *Session) Hold(hold bool) {
	if s.mode != ModeComPort || s.holding == hold {
		return
	}
	var m comport.Message = comport.FlowControlResume{}
	room := math.MaxInt // the SUSPEND has gone: this must, too
	if hold {
		m, room = comport.FlowControlSuspend{}, maxQueued
	}
	if s.encode(&s.out, room, m) {
		s.holding = hold
	}
}

// send sends m, and reports whether there was room for it.
func (s *Session) send(m comport.Message) bool {
	if s.suspended {
		return s.encode(&s.held, maxHeld, m)
	}
	return s.encode(&s.out, maxQueued, m)
}

// encode appends m to out, which is not to be longer than room.
func (s *Session) encode(out *[]byte, room int, m comport.Message) bool {
	s.scratch = comport.Append(s.scratch[:0], comport.ToServer, m)
	if len(*out)+2*len(s.scratch)+5 > room { // every byte doubled, and IAC SB COM-PORT IAC SE
		s.counters.DroppedRequests++
		return false
	}
	*out = telnet.AppendSubnegotiation(*out, telnet.ComPort, s.scratch)
	s.counters.CommandsSent++
	if s.cfg.Trace != nil {
		s.traceText(Sent, m.String())
	}
	return true
}

// report takes a value that the server told.
func (s *Session) report(now time.Time, m comport.Message) {
	s.banner.dropping = false
	before := s.reported
	s.reported.Set(m)
	news := s.reported != before
	ev := Event{Kind: EventReport, Message: m}
	sl, tracked := slotOf(m)
	if !tracked {
		if !s.lineAsked(m) {
			s.effective.Set(m)
		}
		s.cfg.Event(ev)
		return
	}
	p := &s.pending[sl]
	asked, probed := p.open > 0, p.open > 0 && !p.waiting && !p.mute
	switch {
	case p.mute:
		// How many of its answers are still to come cannot be known.
		p.open = 0
	case asked:
		p.open--
	}
	// A repeated request is the same request: either answer will do.
	if asked && p.waiting && (p.open == 0 || p.resent) {
		p.waiting, p.open = false, 0
		ev.Request = p.message
		if s.cfg.Acknowledged != nil {
			s.cfg.Acknowledged(m.Command(), now.Sub(p.askedAt))
		}
	}
	if sl == slotPurge {
		s.purgeAcked = true
		if p.open == 0 { // else it answers an older one
			s.purgeUntil = time.Time{}
		}
	}
	// The answer to a setting does not change what was asked: a server that
	// cannot do it would be asked again at every call of the program. Nor does
	// the second answer to a repeated request, which tells nothing new.
	// What a Probe brings to light is as good as told unasked.
	answersQuery := asked && p.open == 0 && p.message != nil && comport.IsQuery(p.message)
	if answersQuery || (!asked || probed) && news {
		s.effective.Set(m)
	}
	s.cfg.Event(ev)
}

// lineAsked reports whether m is about DTR, RTS or break, and this end has set
// that line. Then what it has set is the truth: real servers answer late, with
// the value of something else, or always the same.
func (s *Session) lineAsked(m comport.Message) bool {
	c, ok := m.(comport.SetControl)
	if !ok {
		return false
	}
	switch c.Control.Group() {
	case comport.GroupDTR:
		return s.asked.DTR != 0
	case comport.GroupRTS:
		return s.asked.RTS != 0
	case comport.GroupBreak:
		return s.asked.Break != 0
	case comport.GroupFlow, comport.GroupInbound, comport.GroupUnknown:
	}
	return false
}

// Deadline returns when Tick is due, or the zero time.
func (s *Session) Deadline() time.Time {
	d := s.deadline
	if s.suspended {
		return d
	}
	for i := range s.pending {
		p := &s.pending[i]
		if !p.waiting {
			continue
		}
		at := p.sentAt.Add(AckResend)
		if p.resent || !resendable(slot(i)) {
			at = p.sentAt.Add(AckGiveUp)
		}
		if d.IsZero() || at.Before(d) {
			d = at
		}
	}
	return d
}

// Underway says that the server has not got, as far as this end knows, the last
// unconfirmed bytes written, or that no answer of it is being read, and then
// unconfirmed is Everything: it is not to blame for the acknowledgements that are
// missing, and is given their time from now on.
func (s *Session) Underway(now time.Time, unconfirmed uint64) {
	arrived := s.written - min(unconfirmed, s.written)
	for i := range s.pending {
		if p := &s.pending[i]; p.end > arrived {
			p.sentAt = now
		}
	}
}

// Everything is more than any connection carries: see Session.Underway.
const Everything = math.MaxUint64

// resendable: a purge repeated late would destroy data that came since, and a
// signature is not worth it.
func resendable(sl slot) bool { return sl != slotPurge && sl != slotSignature }

// Tick lets time pass: it ends a negotiation that takes too long, repeats
// requests and gives them up.
func (s *Session) Tick(now time.Time) {
	if !s.deadline.IsZero() && !now.Before(s.deadline) {
		s.negotiationTimeout()
	}
	if s.suspended {
		return
	}
	for i := range s.pending {
		p := &s.pending[i]
		switch {
		case !p.waiting:
		case !now.Before(p.sentAt.Add(AckGiveUp)):
			p.waiting, p.mute, p.open = false, true, 0
			s.counters.Unanswered++
			if slot(i) == slotPurge {
				s.purgeUntil = time.Time{}
			}
			if slot(i) != slotSignature { // nobody misses a signature
				s.cfg.Event(Event{Kind: EventUnanswered, Request: p.message})
			}
		case !p.resent && resendable(slot(i)) && !now.Before(p.sentAt.Add(AckResend)):
			p.resent = true
			p.open++
			s.send(p.message)
		}
	}
}

func (s *Session) negotiationTimeout() {
	s.deadline = time.Time{}
	if s.comPortAgreed() {
		s.setMode(ModeComPort, "")
		return
	}
	s.setMode(ModeTelnet, s.whyTelnet())
}

// whyTelnet says why the server is used as plain Telnet; "" if that was asked
// for.
func (s *Session) whyTelnet() string {
	switch {
	case s.cfg.Protocol == ProtocolTelnet:
		return ""
	case s.cfg.KnownPlain:
		return "it did not speak RFC 2217 before"
	case s.neg.Local(telnet.ComPort) == telnet.No:
		return "it refused COM-PORT"
	default:
		return "it did not answer COM-PORT"
	}
}

// withdrawn ends what RFC 2217 was used for: the server has taken its agreement
// back. It is not believed a second time in this session, so that a server that
// changes its mind all the time cannot have everything sent again each time.
func (s *Session) withdrawn() {
	s.neg.Allow(telnet.ComPort, false, false)
	for i := range s.pending {
		s.pending[i].waiting, s.pending[i].open = false, 0
	}
	s.purgeUntil, s.holding = time.Time{}, false
	s.held = s.held[:0]
	if s.suspended {
		s.suspended = false
		s.cfg.Event(Event{Kind: EventResumed})
	}
	s.setMode(ModeTelnet, "it withdrew COM-PORT")
}
