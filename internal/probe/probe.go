package probe

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// DefaultTimeout bounds a probe.
const DefaultTimeout = 10 * time.Second

// Options are what to probe, and how.
type Options struct {
	Remote rfc2217client.Remote // its Protocol has to be RFC 2217
	Dialer rfc2217client.Dialer
	// Dial makes the connection; nil: the Dialer does.
	Dial func(ctx context.Context, r rfc2217client.Remote) (net.Conn, error)
	// Timeout bounds everything; 0: DefaultTimeout.
	Timeout time.Duration
	// Set has settings set that the server has reported, as they are.
	Set bool
	// Signature answers a server that asks for one; "": it gets none.
	Signature string
}

// prober is one probe.
type prober struct {
	o      Options
	ctx    context.Context //nolint:containedctx // it lives as long as Run
	talk   talk
	report Report

	mode      rfc2217client.Mode
	why       string // the mode is not RFC 2217
	questions []*question
	state     comport.State
	modem     comport.ModemState

	signatureEnded, queryEnded, setEnded bool // the connection, with the question
	late, strays, unasked                int
	maskAsked                            bool
	lineAfterMask, modemAfterMask        int
	set                                  []setting
	asked                                bool // something
}

// Run probes an access server. The Report has what was found, whatever the server did;
// it returns within Options.Timeout, or when ctx ends.
func Run(ctx context.Context, o Options) Report {
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	p := &prober{o: o, ctx: ctx, report: Report{Version: Version, Remote: o.Remote.String(), Speaks: SpeaksUnknown}}
	p.run()
	p.conclude()
	return p.report
}

func (p *prober) run() {
	conn, err := p.connect()
	if err != nil {
		p.failed(err)
		return
	}
	p.talk = talk{conn: conn, witness: newWitness(p.message)}
	p.talk.session = rfc2217client.NewSession(rfc2217client.SessionConfig{
		Protocol:  rfc2217client.ProtocolRFC2217,
		Signature: p.o.Signature,
		Event: func(ev rfc2217client.Event) {
			if ev.Kind == rfc2217client.EventMode {
				p.mode, p.why = ev.Mode, ev.Text
			}
		},
	})
	p.talk.begin()
	defer p.talk.end()
	if err := p.converse(); err != nil {
		p.failed(p.explain(err))
	}
}

// connect reaches the server, and tells how.
func (p *prober) connect() (net.Conn, error) {
	dial := p.o.Dial
	if dial == nil {
		dial = p.o.Dialer.Dial
	}
	begin := time.Now()
	conn, err := dial(p.ctx, p.o.Remote)
	if err != nil {
		return nil, err
	}
	p.report.Connection = describeConnection(conn, &p.o, time.Since(begin))
	return conn, nil
}

// converse does everything that needs the connection, the dangerous last.
func (p *prober) converse() error {
	if err := p.negotiate(); err != nil || p.mode != rfc2217client.ModeComPort {
		return err
	}
	p.ask(settingQuestions...)
	if err := p.wait(answerTime); err != nil {
		p.queryEnded = !errors.Is(err, errOver)
		return err
	}
	if p.talk.witness.echoed() {
		return nil
	}
	p.ask(controlQuestions...)
	if err := p.wait(answerTime); err != nil {
		p.queryEnded = !errors.Is(err, errOver)
		return err
	}
	if err := p.measure(); err != nil {
		return err
	}
	if err := p.notice(); err != nil {
		return err
	}
	if p.o.Set {
		if err := p.testSet(); err != nil {
			return err
		}
	}
	return p.askSignature()
}

// negotiate agrees on what is spoken.
func (p *prober) negotiate() error {
	begin := time.Now()
	p.talk.session.Start(begin)
	done, err := p.talk.until(p.ctx, p.o.Timeout, func() bool { return p.mode != rfc2217client.ModeNegotiating })
	p.report.Negotiation = &Negotiation{TookMS: millis(time.Since(begin))}
	if !done && err == nil {
		err = errOver
	}
	return err
}

// measure asks again what was answered, for the time it takes.
func (p *prober) measure() error {
	for range rounds - 1 {
		var again []comport.Message
		for _, q := range p.questions {
			if comport.IsQuery(q.askedOr()) && len(q.samples) == q.times {
				again = append(again, q.asked)
			}
		}
		if len(again) == 0 {
			return nil
		}
		p.ask(again...)
		if err := p.wait(roundTime); err != nil {
			return err
		}
	}
	return nil
}

// notice gives the server time to report its lines.
func (p *prober) notice() error {
	_, err := p.talk.until(p.ctx, noticeTime, func() bool { return p.report.Notify.ModemState > 0 })
	return err
}

// askedOr is what was asked, or something that is no query.
func (q *question) askedOr() comport.Message {
	if q.asked == nil {
		return comport.FlowControlResume{}
	}
	return q.asked
}

// askSignature is last: gensiot without --signature dies of it.
func (p *prober) askSignature() error {
	p.ask(comport.SignatureText{})
	err := p.wait(answerTime)
	if err != nil && !errors.Is(err, errOver) {
		p.signatureEnded = true
		return nil
	}
	return err
}

// failed notes why the probe has not come to its end.
func (p *prober) failed(err error) { p.report.Error = safe(err.Error()) }
