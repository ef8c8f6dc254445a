package probe

import (
	"time"

	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// key is a command that is acknowledged by itself: SET-CONTROL is several in one.
type key struct {
	command comport.Command
	group   comport.ControlGroup
}

func keyOf(m comport.Message) key {
	k := key{command: m.Command()}
	if c, ok := m.(comport.SetControl); ok {
		k.group = c.Control.Group()
	}
	return k
}

func (k key) String() string {
	if k.command == comport.CommandSetControl {
		return k.command.String() + " " + k.group.String()
	}
	return k.command.String()
}

// question is one command, and what became of it.
type question struct {
	key     key
	asked   comport.Message // the last one; nil: it was not asked
	askedAt time.Time
	waiting bool
	samples []time.Duration // one for each answer
	answer  comport.Message // the last one
	times   int             // asked
}

// questions about the UART, none of which sets anything. The first four are what vcomd
// asks at every connection.
var (
	settingQuestions = []comport.Message{comport.SetBaudRate{}, comport.SetDataSize{}, comport.SetParity{}, comport.SetStopSize{}}
	controlQuestions = []comport.Message{
		comport.SetControl{Control: comport.ControlQueryFlow},
		comport.SetControl{Control: comport.ControlQueryInbound},
		comport.SetControl{Control: comport.ControlQueryDTR},
		comport.SetControl{Control: comport.ControlQueryRTS},
		comport.SetControl{Control: comport.ControlQueryBreak},
	}
)

// question returns what is known of a command.
func (p *prober) question(k key) *question {
	for _, q := range p.questions {
		if q.key == k {
			return q
		}
	}
	q := &question{key: k}
	p.questions = append(p.questions, q)
	return q
}

// ask sends questions, in one piece.
func (p *prober) ask(messages ...comport.Message) {
	p.asked = true
	for _, m := range messages {
		q := p.question(keyOf(m))
		q.asked, q.askedAt, q.waiting = m, p.talk.now, true
		q.times++
	}
	p.talk.session.Request(p.talk.now, messages...)
}

// answered reports whether nothing is waited for.
func (p *prober) answered() bool {
	for _, q := range p.questions {
		if q.waiting {
			return false
		}
	}
	return true
}

// giveUp ends the waiting.
func (p *prober) giveUp() {
	for _, q := range p.questions {
		q.waiting = false
	}
}

// message takes what the server has said by COM-PORT.
func (p *prober) message(m comport.Message) {
	switch m := m.(type) {
	case comport.NotifyModemState:
		p.modem, p.report.Notify.ModemState = m.State, p.report.Notify.ModemState+1
		if p.maskAsked {
			p.modemAfterMask++
		}
		return
	case comport.NotifyLineState:
		p.report.Notify.LineState++
		if p.maskAsked {
			p.lineAfterMask++
		}
		return
	case comport.FlowControlSuspend, comport.FlowControlResume:
		return
	case comport.SignatureText:
		if m.Text == "" {
			return // it asks
		}
	default:
	}
	p.state.Set(m)
	q := p.question(keyOf(m))
	switch {
	case q.waiting:
		q.waiting, q.answer = false, m
		q.samples = append(q.samples, time.Since(q.askedAt))
	case q.asked == nil && keyOf(m).command != comport.CommandSetControl:
		p.unasked++ // nobody has asked: a shared port, say
	case q.times > 0 && len(q.samples) == 0:
		q.answer = m // late; it is unanswered all the same
		p.late++
	case keyOf(m).command == comport.CommandSetControl && !q.repeated():
		p.strays++
	}
}

// repeated reports whether the question was sent twice, and may be answered twice.
func (q *question) repeated() bool {
	return len(q.samples) > 0 && q.samples[len(q.samples)-1] >= rfc2217client.AckResend
}

// wait lets the server answer, for so long, and gives up what it has not answered then.
func (p *prober) wait(limit time.Duration) error {
	defer p.giveUp()
	_, err := p.talk.until(p.ctx, limit, p.answered)
	return err
}

// The times of a probe. All of them together are less than DefaultTimeout with a server
// that answers some of the questions.
const (
	answerTime = rfc2217client.AckGiveUp // for what a Session asks again
	rounds     = 5                       // in which questions that were answered are asked again, for their times
	roundTime  = 500 * time.Millisecond
	noticeTime = 200 * time.Millisecond // in which a server that notifies does so
)
