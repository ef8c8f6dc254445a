package probe

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// maxText bounds a text for people, in bytes.
const maxText = 1024

// safe makes a text safe to show: some of it may be the server's. Quotes stay as they are.
func safe(text string) string {
	var b strings.Builder
	for _, r := range strings.ToValidUTF8(text[:min(len(text), maxText)], "\uFFFD") {
		if strconv.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		q := strconv.QuoteRuneToASCII(r)
		b.WriteString(q[1 : len(q)-1])
	}
	return b.String()
}

// describeConnection tells how the server was reached.
func describeConnection(conn net.Conn, o *Options, took time.Duration) *Connection {
	c := &Connection{ConnectMS: millis(took)}
	if o.Remote.Sim == "" {
		c.Address, c.Local = safe(conn.RemoteAddr().String()), safe(conn.LocalAddr().String())
	}
	if o.Remote.Path != "" {
		c.Address, c.Local = o.Remote.Path, ""
	}
	if o.Dialer.Proxy != nil {
		c.Proxy = safe(o.Dialer.Proxy.String())
	}
	secure, ok := conn.(interface{ ConnectionState() tls.ConnectionState })
	if !ok {
		return c
	}
	s := secure.ConnectionState()
	c.TLS = &TLS{Version: tls.VersionName(s.Version), Cipher: tls.CipherSuiteName(s.CipherSuite), Unverified: o.Dialer.TLS.Unverified()}
	if len(s.PeerCertificates) > 0 {
		leaf := s.PeerCertificates[0]
		c.TLS.Certificate, c.TLS.NotAfter = safe(leaf.Subject.String()), leaf.NotAfter.UTC()
		c.TLS.Pin = rfc2217client.PinOf(leaf).String()
	}
	return c
}

// inUse is what ser2net tells as plain text, and then closes.
const inUse = "Port already in use"

func (w *witness) inUse() bool { return bytes.Contains(w.said, []byte(inUse)) }

// expectsTLS reports whether the server has answered with an alert of TLS (RFC 8446,
// section 5.1: type 21, version 3).
func (w *witness) expectsTLS() bool { return len(w.first) > 1 && w.first[0] == 21 && w.first[1] == 3 }

// explain says why the connection has ended.
func (p *prober) explain(err error) error {
	w, r := p.talk.witness, p.o.Remote
	secure := r
	secure.TLS = true
	ended := errors.Is(err, rfc2217client.ErrClosedByServer) || errors.Is(err, syscall.ECONNRESET)
	switch {
	case w.inUse():
		return fmt.Errorf("the access server says %q; end the other client, or see the server's kickolduser option", inUse)
	case w.expectsTLS():
		return fmt.Errorf("the access server expects TLS: write %v", secure)
	case ended && len(w.first) == 0 && !r.TLS && r.Host != "":
		return fmt.Errorf("%w before it has said anything: look at its log; it may lack its device, serve somebody else, or expect TLS (%v)", err, secure)
	case errors.Is(p.ctx.Err(), context.Canceled):
		return errors.New("interrupted: not all was asked")
	case errors.Is(err, errOver):
		return fmt.Errorf("%w: not all was asked; give it more with --timeout", err)
	default:
		return err
	}
}

// conclude makes the rest of the report.
func (p *prober) conclude() {
	r := &p.report
	r.Commands, r.Checks = []Command{}, []Check{}
	w := p.talk.witness
	if w == nil {
		p.concludeLines()
		return
	}
	r.Speaks = p.speaks()
	if n := r.Negotiation; n != nil {
		n.Options = describeOptions(w)
	}
	r.Said = comport.Printable(string(w.said), maxSaid)
	if r.Speaks == SpeaksRFC2217 {
		p.concludeCommands()
	}
	p.concludeLines()
	r.Checks = p.checks()
}

// speaks says what the server speaks.
func (p *prober) speaks() Speaks {
	w := p.talk.witness
	switch {
	case w.echoed():
		return SpeaksNothing
	case w.inUse():
		return SpeaksUnknown // it does not say
	case w.agreed:
		return SpeaksRFC2217
	case w.telnet:
		return SpeaksTelnet
	case p.mode == rfc2217client.ModeNegotiating: // it has ended, or the time has
		return SpeaksUnknown
	default:
		return SpeaksNothing
	}
}

func describeOptions(w *witness) []Option {
	options := make([]Option, 0, len(w.options))
	for _, o := range w.options {
		options = append(options, Option{Name: o.code.String(), Code: uint8(o.code), Server: o.server(), Client: o.client(), Said: o.words()})
	}
	slices.SortFunc(options, func(a, b Option) int { return cmp.Compare(a.Code, b.Code) })
	return options
}

// inOrder are all commands that can be asked for.
func inOrder() []key {
	all := slices.Concat(settingQuestions, controlQuestions, []comport.Message{comport.SetLineStateMask{}, comport.SignatureText{}})
	keys := make([]key, 0, len(all))
	for _, m := range all {
		keys = append(keys, keyOf(m))
	}
	return keys
}

func (p *prober) concludeCommands() {
	var all []time.Duration
	for _, k := range inOrder() {
		q := p.question(k)
		c := Command{Name: k.String(), State: StateNotAsked}
		if q.asked != nil {
			c.State, c.Asked = StateUnanswered, q.asked.String()
		}
		if len(q.samples) > 0 {
			c.State = StateAcknowledged
		}
		if q.answer != nil {
			c.Answer = q.answer.String()
		}
		c.Latency = latency(q.samples)
		all = append(all, q.samples...)
		p.report.Commands = append(p.report.Commands, c)
	}
	p.report.RoundTrip = latency(all)
	if s, ok := p.question(keyOf(comport.SignatureText{})).answer.(comport.SignatureText); ok {
		text := comport.Printable(s.Text, comport.MaxSignature)
		p.report.Signature = &text
	}
}

func (p *prober) concludeLines() {
	s := p.state
	p.report.Settings = Settings{Line: s.Line(), Flow: value(s.Outbound), FlowInbound: value(s.Inbound)}
	l := Lines{DTR: level(s.DTR), RTS: level(s.RTS), Break: level(s.Break), CTS: unknown, DSR: unknown, DCD: unknown, RI: unknown}
	if p.report.Notify.ModemState > 0 {
		on := func(bit comport.ModemState) string {
			if p.modem&bit != 0 {
				return "on"
			}
			return "off"
		}
		l.CTS, l.DSR, l.DCD, l.RI = on(comport.ModemCTS), on(comport.ModemDSR), on(comport.ModemDCD), on(comport.ModemRI)
	}
	p.report.Lines = l
}

const unknown = "unknown" // a line

// value is what stands behind the "=" of a control.
func value(c comport.Control) string {
	if c == 0 {
		return ""
	}
	_, v, _ := strings.Cut(c.String(), "=")
	return v
}

func level(c comport.Control) string { return cmp.Or(value(c), unknown) }
