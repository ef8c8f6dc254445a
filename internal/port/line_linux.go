package port

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/termiosmirror"
)

// What Settable answers.
var (
	// ErrNotConnected: there is nobody to tell now. The next connection begins
	// with what is asked for.
	ErrNotConnected = errors.New("there is no connection to the access server")
	// ErrPlain: settings and lines do not reach this access server.
	ErrPlain = errors.New("the access server does not speak RFC 2217")
	// ErrTelnet: this one takes a break, of a length that it chooses, and no more.
	ErrTelnet = fmt.Errorf("%w, only Telnet", ErrPlain)
)

// Settable reports whether settings and lines can be set at the access server now:
// nil, ErrNotConnected, ErrPlain or ErrTelnet, which is an ErrPlain.
func (p *Port) Settable() error {
	switch p.client.Mode() {
	case rfc2217client.ModeComPort:
		return nil
	case rfc2217client.ModeNegotiating:
		if p.cfg.Remote.Protocol != rfc2217client.ProtocolRFC2217 {
			return ErrPlain // nor will the next connection
		}
		return ErrNotConnected
	case rfc2217client.ModeTelnet:
		return ErrTelnet
	default:
		return ErrPlain
	}
}

// SetLine has line settings carried out as if they had been the port's own from
// the start (Config.Line), after all that was written before. What line does not
// know stays as it is.
func (p *Port) SetLine(line comport.State) error {
	p.wake()
	p.bridge.Sync()
	// Another program's change meanwhile stays where line does not overrule it.
	settings := func() unix.Termios { return termiosmirror.Apply(p.UART().Termios, line) }
	if err := p.force(settings); err != nil {
		return err
	}
	p.termios = p.tty.settings()
	before := p.mirror.Want()
	p.mirror.Shown(p.termios)
	p.mirror.SetLine(line)
	want := p.mirror.Want()
	p.showAgain(before, want)
	p.poll.touch(p.loop.Now())
	if want != before {
		p.emit(Event{Kind: KindWanted, Old: before.String(), New: want.String()})
	}
	if p.Settable() == nil {
		p.bridge.Change(want)
	}
	p.pump()
	p.poll.arm(p)
	p.changed()
	return nil
}
