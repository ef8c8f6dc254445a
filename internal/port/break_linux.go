package port

import (
	"errors"
	"slices"
	"time"

	"github.com/vcomd/vcomd/internal/evloop"
	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// SetBreak begins or ends a break.
func (p *Port) SetBreak(on bool) error {
	p.wake()
	c := comport.ControlBreakOff
	if on {
		c = comport.ControlBreakOn
	}
	p.mirror.SetBreak(c)
	if on && p.client.Mode() == rfc2217client.ModeTelnet {
		p.client.Break() // of the server's own length
	}
	return p.order(nil, comport.SetControl{Control: c})
}

// timedBreak is a break of a length. Of several, each begins when the one before has
// ended, as the kernel has it (drivers/tty/tty_io.c, send_break): none cuts another short.
type timedBreak struct {
	port   *Port
	length time.Duration
	done   func(error)
	timer  evloop.Timer
	over   bool // it is about to end, or has
}

// SendBreak sends a break of a length, after all that was written before and the breaks
// asked for before, and calls done at its end. cancel ends it early, without done.
func (p *Port) SendBreak(d time.Duration, done func(error)) (cancel func()) {
	p.wake()
	b := &timedBreak{port: p, length: d, done: done}
	p.breaks = append(p.breaks, b)
	if len(p.breaks) == 1 {
		b.begin()
	}
	return b.cancel
}

func (b *timedBreak) begin() {
	p := b.port
	p.mirror.SetBreak(comport.ControlBreakOn)
	if p.client.Mode() == rfc2217client.ModeTelnet {
		p.client.Break()
	}
	sent := func(bool) {
		if !b.over {
			// Also without a server that could be told: the program's time passes.
			b.timer = p.loop.AfterFunc(b.length, func() { b.timer = nil; b.end() })
		}
	}
	if err := p.order(sent, comport.SetControl{Control: comport.ControlBreakOn}); err != nil {
		p.mirror.SetBreak(0)
		b.over = true
		p.nextBreak()
		b.done(err)
	}
}

func (b *timedBreak) end() {
	b.over = true
	b.port.endBreak(func(err error) {
		b.port.nextBreak()
		b.done(err)
	})
}

func (b *timedBreak) cancel() {
	p := b.port
	switch at := slices.Index(p.breaks, b); {
	case b.over || at < 0:
	case at > 0: // it has not begun
		p.breaks = slices.Delete(p.breaks, at, at+1)
	default:
		b.over = true
		evloop.Cancel(&b.timer)
		p.endBreak(func(error) { p.nextBreak() })
	}
}

// nextBreak is for a break that has ended.
func (p *Port) nextBreak() {
	p.breaks = slices.Delete(p.breaks, 0, 1)
	if len(p.breaks) > 0 && !p.over {
		p.breaks[0].begin()
	}
}

// endBreak ends a break, as soon as there is room for that.
func (p *Port) endBreak(done func(error)) {
	err := p.SetBreak(false)
	if !errors.Is(err, ErrBusy) {
		done(err)
		return
	}
	p.WhenRoom(func() { p.endBreak(done) })
}
