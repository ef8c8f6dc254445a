package port

import (
	"errors"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/bridge"
	"github.com/vcomd/vcomd/internal/evloop"
	"github.com/vcomd/vcomd/pty"
	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/termiosmirror"
)

// showDelay is how long the settings must have been left alone before the tty
// is told what the server made of them: a program that is still trying speeds
// must not find them changed under its hands.
const showDelay = 100 * time.Millisecond

// owner is the Port as its bridge knows it.
type owner Port

var _ bridge.Owner = (*owner)(nil)

// Noted handles what a program did to the tty.
func (o *owner) Noted(n bridge.Note) {
	p, st := (*Port)(o), pty.Status(n)
	if st&pty.StatusIoctl != 0 {
		p.observe()
	}
	if st&(pty.StatusFlushRead|pty.StatusFlushWrite) != 0 {
		p.flushed(st)
	}
}

// Settled has the bytes flow again that waited behind a change.
func (o *owner) Settled() { (*Port)(o).pump() }

// Failed handles a tty that cannot be read or written.
func (o *owner) Failed(err error) { (*Port)(o).ttyFailed(err) }

// observe takes a program's tcsetattr.
func (p *Port) observe() {
	t, err := p.tty.observe()
	if err != nil {
		p.ttyFailed(err)
		return
	}
	p.take(t)
	p.poll.arm(p)
}

// look is observe where no status says that there is something to observe.
func (p *Port) look() {
	t, err := p.tty.observe()
	if err != nil {
		p.ttyFailed(err)
		return
	}
	if t != p.termios {
		p.take(t)
	}
}

// take has the settings that a program wants carried out, in their place among
// the bytes.
func (p *Port) take(t unix.Termios) {
	p.poll.touch(p.loop.Now())
	p.termios = t
	before := p.mirror.Want()
	want, _ := p.mirror.Observe(t)
	p.showAgain(before, want)
	if want != before {
		p.emit(Event{Kind: KindWanted, Old: before.String(), New: want.String()})
	}
	if p.client.Mode() == rfc2217client.ModeComPort {
		p.bridge.Change(want)
	}
	p.changed()
}

// flushed passes a program's tcflush on.
func (p *Port) flushed(st pty.Status) {
	var what comport.Purge
	if st&pty.StatusFlushRead != 0 && p.cfg.Purge != PurgeNone {
		what |= comport.PurgeReceive
		p.bridge.FlushReceived()
	}
	if st&pty.StatusFlushWrite != 0 && p.cfg.Purge == PurgeBoth {
		what |= comport.PurgeTransmit
		p.bridge.FlushUnsent()
	}
	if what == 0 {
		return
	}
	p.purge(what)
}

// purge has the server flush.
func (p *Port) purge(what comport.Purge) {
	if p.client.Mode() != rfc2217client.ModeComPort {
		p.purgeDue |= what & comport.PurgeReceive // what the server holds will be as old when there is a connection
		return
	}
	p.client.Request(comport.PurgeData{What: what})
	p.emit(Event{Kind: KindPurged, New: what.String()})
}

// showLater has the tty told what the server said. The answer to a request is
// shown when nothing has changed for a while; a server's own settings, while no
// program has asked for any, at once.
func (p *Port) showLater(told comport.State, after time.Duration) {
	merge(&p.show, told)
	evloop.Cancel(&p.showTimer)
	p.showTimer = p.loop.AfterFunc(after, func() {
		p.showTimer = nil
		p.showNow()
		p.pump() // a program's change that was found in its place
		p.rearm()
	})
}

// showAgain is showLater for what is to be shown and the program has not asked
// anew for: the time without a change begins again. What it has asked anew for is
// answered anew.
func (p *Port) showAgain(before, want comport.State) {
	if want.BaudRate != before.BaudRate {
		p.show.BaudRate = 0
	}
	if want.StopSize != before.StopSize {
		p.show.StopSize = 0
	}
	evloop.Cancel(&p.showTimer)
	if p.show != (comport.State{}) {
		p.showLater(comport.State{}, showDelay)
	}
}

func merge(into *comport.State, s comport.State) {
	for m := range s.Requests() {
		into.Set(m)
	}
}

func (p *Port) showNow() {
	show := p.show
	p.show = comport.State{}
	t := termiosmirror.Apply(p.termios, show)
	if t == p.termios {
		return
	}
	switch err := p.tty.show(t); {
	case errors.Is(err, pty.ErrStale):
		p.observe() // a program was quicker: its wish counts
		return
	case errors.Is(err, errNotShown):
		return
	case err != nil:
		p.ttyFailed(err)
		return
	}
	p.termios = t
	p.mirror.Shown(t)
	p.changed()
	p.emit(Event{Kind: KindShown, New: show.String()})
}

// purgeOnOpen has what the server still holds for nobody dropped, if that is
// wanted.
func (p *Port) purgeOnOpen() {
	if !p.cfg.PurgeOnOpen {
		return
	}
	p.purge(comport.PurgeReceive)
}

// paceLine is the line that output is to be as slow as: as the remote UART is set
// or, where nobody can say, as the program has set its tty.
func (p *Port) paceLine() comport.State {
	line := p.mirror.Want()
	if line.BaudRate == 0 {
		line.BaudRate = termiosmirror.Speed(p.termios)
	}
	merge(&line, p.client.Effective())
	return line
}
