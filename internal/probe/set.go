package probe

import (
	"errors"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// setting is one that was set, and how it was acknowledged.
type setting struct {
	asked  comport.Message
	answer comport.Message // nil: not at all
}

// testSet sets what the server has reported, as it is, one after the other. What the
// server then says to be otherwise is set once more, together with all the rest.
//
// Not tested are DTR, RTS and break, which devices notice; input's flow control, which
// servers report wrongly; and the modem mask, whose initial value of 255 sredird does not
// survive. The line mask is set to 0, which it begins with (RFC 2217, section 4).
func (p *prober) testSet() error {
	known := p.state
	if !sameBothWays(known.Outbound, known.Inbound) {
		known.Outbound = 0 // setting it would change the other one
	}
	known.Inbound, known.DTR, known.RTS, known.Break = 0, 0, 0, 0
	for m := range known.Requests() {
		if err := p.testSetting(m); err != nil {
			return err
		}
	}
	differs := false
	for _, s := range p.set {
		differs = differs || s.answer != nil && s.answer != s.asked
	}
	if differs {
		for m := range known.Requests() {
			p.ask(m)
		}
		if err := p.wait(answerTime); err != nil {
			return err
		}
	}
	p.maskAsked = true
	p.ask(comport.SetLineStateMask{})
	return p.wait(roundTime)
}

func (p *prober) testSetting(m comport.Message) error {
	q := p.question(keyOf(m))
	before := len(q.samples)
	p.ask(m)
	err := p.wait(answerTime)
	s := setting{asked: m}
	if len(q.samples) > before {
		s.answer = q.answer
	}
	p.set = append(p.set, s)
	p.setEnded = err != nil && !errors.Is(err, errOver)
	return err
}

// sameBothWays reports whether setting output's flow control, which sets both, leaves
// input's as it is.
func sameBothWays(out, in comport.Control) bool {
	switch in {
	case 0:
		return true
	case comport.ControlInboundNone:
		return out == comport.ControlFlowNone
	case comport.ControlInboundXonXoff:
		return out == comport.ControlFlowXonXoff
	case comport.ControlInboundHardware:
		return out == comport.ControlFlowHardware
	default:
		return false
	}
}
