package probe

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/telnet"
)

// quirk is something that servers do otherwise than the RFCs have it, or than other
// servers.
type quirk struct {
	id, text, effect string
	// look says whether the server does so, with the details; Untested if it cannot be
	// known.
	look func(p *prober) (Verdict, string)
}

func verdict(is bool) Verdict {
	if is {
		return Shown
	}
	return Absent
}

// quirks, in the order in which they are met.
var quirks = []quirk{
	{"in-use", "says that the port is in use", "end the other client; vcomd tries again", func(p *prober) (Verdict, string) {
		return verdict(p.talk.witness.inUse()), ""
	}},
	{"expects-tls", "expects TLS", "write rfc2217s://", func(p *prober) (Verdict, string) {
		return verdict(p.talk.witness.expectsTLS()), ""
	}},
	{"no-telnet", "speaks no Telnet: serial data alone", "write tcp:// in place of rfc2217://; settings and lines do not reach it", func(p *prober) (Verdict, string) {
		if p.report.Speaks == SpeaksUnknown {
			return Untested, ""
		}
		return verdict(p.report.Speaks == SpeaksNothing), ""
	}},
	{"echo", "sends back what it is sent", "there is a wire or a device behind a raw server: write tcp://", func(p *prober) (Verdict, string) {
		return verdict(p.talk.witness.echoed()), ""
	}},
	{"no-com-port", "speaks Telnet without RFC 2217", "settings and lines do not reach it; --require-rfc2217 makes that an error", func(p *prober) (Verdict, string) {
		if p.report.Speaks == SpeaksUnknown || p.report.Speaks == SpeaksNothing {
			return Untested, ""
		}
		return verdict(p.report.Speaks == SpeaksTelnet), p.why
	}},
	{"banner", "says something of its own before it works", "--drop-banner keeps it from programs", func(p *prober) (Verdict, string) {
		w := p.talk.witness
		return verdict(w.early > 0 && w.telnet && !w.echoed() && !w.inUse()), fmt.Sprintf("%d bytes before its first answer, or from its device", w.early)
	}},
	{"wont-then-do", "refuses COM-PORT, and agrees all the same", "the refusal does not count", func(p *prober) (Verdict, string) {
		o := p.talk.witness.known(telnet.ComPort)
		return p.ifAgreed(o.refusedThenAgreed, o.words())
	}},
	{"will-com-port", "offers COM-PORT by WILL, where other servers say DO", "taken for agreement", func(p *prober) (Verdict, string) {
		o := p.talk.witness.known(telnet.ComPort)
		return p.ifAgreed(o.server(), o.words())
	}},
	{"repeated-do", "says DO COM-PORT again when it has agreed", "not answered a second time: that could go on for ever", func(p *prober) (Verdict, string) {
		o := p.talk.witness.known(telnet.ComPort)
		return p.ifAgreed(o.doAfterAgreed, o.words())
	}},
	{"no-binary", "does not agree to BINARY in both directions", "a carriage return goes as CR NUL there; --cr-nul off for a server that does not know that", func(p *prober) (Verdict, string) {
		o := p.talk.witness.known(telnet.Binary)
		if !p.talk.witness.telnet || p.mode == rfc2217client.ModeNegotiating || p.talk.witness.echoed() {
			return Untested, ""
		}
		return verdict(!o.server() || !o.client()), o.words()
	}},
	{"asks-signature", "asks for the client's signature", "it gets vcomd's", func(p *prober) (Verdict, string) {
		return p.ifAgreed(p.talk.witness.askedUs, "")
	}},
	{"no-modem-state", "does not report the modem lines by itself", "CTS, DSR, DCD and RI are not known; ser2net needs --modem-mask 255 where its device has them", func(p *prober) (Verdict, string) {
		return p.ifAgreed(p.report.Notify.ModemState == 0, "")
	}},
	{"suspended", "holds the client by FLOWCONTROL-SUSPEND", "nothing is sent until its RESUME; vcomd status says so", func(p *prober) (Verdict, string) {
		return p.ifAgreed(p.talk.witness.suspended, "")
	}},
	{"no-ack", "does not acknowledge all commands", "asked again once, then taken as done with one warning", func(p *prober) (Verdict, string) {
		var missing []string
		for _, q := range p.questions {
			if q.asked != nil && len(q.samples) == 0 && q.key.command != comport.CommandSignature && q.key.command != comport.CommandSetLineStateMask {
				missing = append(missing, q.key.String())
			}
		}
		return p.ifAsked(len(missing) > 0, strings.Join(missing, ", "))
	}},
	{"no-value", "answers a question with the question", "the line or setting is not known", func(p *prober) (Verdict, string) {
		var empty []string
		for _, q := range p.questions {
			if q.answer != nil && len(q.samples) > 0 && q.key.command != comport.CommandSignature && comport.IsQuery(q.answer) {
				empty = append(empty, q.key.String())
			}
		}
		return p.ifAsked(len(empty) > 0, strings.Join(empty, ", "))
	}},
	{"no-signature", "does not tell its signature", "vcomd does not ask for it", func(p *prober) (Verdict, string) {
		q := p.question(keyOf(comport.SignatureText{}))
		if q.asked == nil || p.signatureEnded {
			return Untested, ""
		}
		return p.ifAsked(len(q.samples) == 0, "")
	}},
	{"slow-ack", "takes longer than a second to acknowledge", "asked again meanwhile; data does not wait", func(p *prober) (Verdict, string) {
		slowest := time.Duration(0)
		for _, q := range p.questions {
			for _, s := range q.samples {
				slowest = max(slowest, s)
			}
		}
		found := ""
		if p.late > 0 {
			found = fmt.Sprintf("%d came after %v", p.late, answerTime)
		}
		return p.ifAsked(p.late > 0 || slowest > rfc2217client.AckResend, found)
	}},
	{"other-line", "answers one SET-CONTROL with the value of another", "lines that vcomd has set are taken to be as set", func(p *prober) (Verdict, string) {
		return p.ifAsked(p.strays > 0 && p.controlMissing(), fmt.Sprintf("%d answers to something else", p.strays))
	}},
	{"long-ack", "sends messages that are longer than RFC 2217's", "the beginning counts", func(p *prober) (Verdict, string) {
		return p.ifAgreed(p.talk.witness.long > 0, fmt.Sprintf("%d messages", p.talk.witness.long))
	}},
	{"broken", "sends messages that cannot be read", "ignored and counted", func(p *prober) (Verdict, string) {
		w := p.talk.witness
		found := fmt.Sprintf("%d messages", w.broken)
		if len(w.wrongCode) > 0 {
			found += fmt.Sprintf(", codes %d", w.wrongCode)
		}
		return p.ifAgreed(w.broken > 0, found)
	}},
	{"client-code", "answers with the client's codes", "not taken for answers", func(p *prober) (Verdict, string) {
		w := p.talk.witness
		return p.ifAgreed(w.clientCode > 0, fmt.Sprintf("%d messages", w.clientCode))
	}},
	{"unasked", "acknowledges what was not asked", "taken for the truth: somebody else may share the port", func(p *prober) (Verdict, string) {
		return p.ifAgreed(p.unasked > 0, fmt.Sprintf("%d messages", p.unasked))
	}},
	{"query-ends", "ends the connection at a question", "vcomd asks for speed, size, parity and stop bits only", func(p *prober) (Verdict, string) {
		var open []string
		for _, q := range p.questions {
			if p.queryEnded && q.asked != nil && len(q.samples) == 0 {
				open = append(open, q.key.String())
			}
		}
		return p.ifAsked(p.queryEnded, "not answered before: "+strings.Join(open, ", "))
	}},
	{"signature-ends", "ends the connection when asked for its signature, as gensiot does without --signature", "vcomd does not ask", func(p *prober) (Verdict, string) {
		if p.question(keyOf(comport.SignatureText{})).asked == nil {
			return Untested, ""
		}
		return verdict(p.signatureEnded), ""
	}},
	{"set-no-ack", "does not acknowledge settings", "asked again once, then taken as done with one warning", func(p *prober) (Verdict, string) {
		var missing []string
		for _, s := range p.set {
			if s.answer == nil {
				missing = append(missing, s.asked.String())
			}
		}
		return p.ifSet(len(missing) > 0, strings.Join(missing, ", "))
	}},
	{"set-differs", "sets something else than it reported", "the tty shows what the server says", func(p *prober) (Verdict, string) {
		var other []string
		for _, s := range p.set {
			if s.answer != nil && s.answer != s.asked {
				other = append(other, s.asked.String()+" gives "+s.answer.String())
			}
		}
		return p.ifSet(len(other) > 0, strings.Join(other, ", "))
	}},
	{"set-ends", "ends the connection at a setting", "vcomd connects again", func(p *prober) (Verdict, string) {
		return p.ifSet(p.setEnded, "")
	}},
	{"mask-as-notify", "answers a mask with the code of its notification (106, 107)", "not taken for a notification of errors", func(p *prober) (Verdict, string) {
		if !p.maskAsked {
			return Untested, ""
		}
		q := p.question(keyOf(comport.SetLineStateMask{}))
		return verdict(len(q.samples) == 0 && p.lineAfterMask > 0), ""
	}},
	{"mask-no-ack", "does not acknowledge masks", "not waited for", func(p *prober) (Verdict, string) {
		if !p.maskAsked {
			return Untested, ""
		}
		q := p.question(keyOf(comport.SetLineStateMask{}))
		return verdict(len(q.samples) == 0 && p.lineAfterMask == 0), ""
	}},
}

// ifAgreed is for what only a server does that speaks RFC 2217.
func (p *prober) ifAgreed(is bool, found string) (Verdict, string) {
	if p.report.Speaks != SpeaksRFC2217 {
		return Untested, ""
	}
	return verdict(is), found
}

// ifAsked is for answers.
func (p *prober) ifAsked(is bool, found string) (Verdict, string) {
	if p.report.Speaks != SpeaksRFC2217 || !p.asked || p.talk.witness.suspended {
		return Untested, ""
	}
	return verdict(is), found
}

// ifSet is for settings.
func (p *prober) ifSet(is bool, found string) (Verdict, string) {
	if len(p.set) == 0 {
		return Untested, ""
	}
	return verdict(is), found
}

// controlMissing reports whether a question by SET-CONTROL has no answer.
func (p *prober) controlMissing() bool {
	return slices.ContainsFunc(p.questions, func(q *question) bool {
		return q.asked != nil && q.key.command == comport.CommandSetControl && len(q.samples) == 0
	})
}

func (p *prober) checks() []Check {
	checks := make([]Check, 0, len(quirks))
	for _, k := range quirks {
		c := Check{ID: k.id, Quirk: k.text}
		var found string
		if c.Verdict, found = k.look(p); c.Verdict == Shown {
			c.Found, c.Effect = safe(found), k.effect
		}
		checks = append(checks, c)
	}
	return checks
}
