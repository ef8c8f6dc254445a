package port

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/bridge"
	"github.com/vcomd/vcomd/internal/evloop"
	"github.com/vcomd/vcomd/pty"
	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/termiosmirror"
)

// Saved is a Port, for another process to go on with, or for another port in its
// place. It goes with up to two descriptors.
type Saved struct {
	Terminal  pty.Saved           `json:"terminal"`
	Line      comport.State       `json:"line"` // as configured; the mirror's may be an operator's
	Mirror    termiosmirror.Saved `json:"mirror"`
	Bridge    bridge.Saved        `json:"bridge"`
	Client    rfc2217client.Saved `json:"client"`
	Open      bool                `json:"open,omitempty"`
	Left      int                 `json:"left,omitempty"`
	Termios   unix.Termios        `json:"termios"`
	Modem     comport.ModemState  `json:"modem,omitempty"`
	Told      bool                `json:"told,omitempty"`
	Hangups   uint32              `json:"hangups,omitempty"`
	Carried   bool                `json:"carried,omitempty"`
	Raised    bool                `json:"raised,omitempty"`
	Counts    Counts              `json:"counts"`
	PurgeDue  comport.Purge       `json:"purge_due,omitempty"`
	ToldLost  uint64              `json:"told_lost,omitempty"`
	Since     time.Time           `json:"since"`
	Degraded  bool                `json:"degraded,omitempty"`
	Show      comport.State       `json:"show"`
	Connected bool                `json:"connected,omitempty"` // the greeting is over
	// Disconnected, by an operator; with Halted not only until a program opens the port.
	Disconnected bool   `json:"disconnected,omitempty"`
	Halted       bool   `json:"halted,omitempty"`
	BannerLost   uint64 `json:"banner_lost,omitempty"`
}

// Handles are the descriptors that go with a Saved; -1: there is none. Each is owned by
// whoever has the Handles.
type Handles struct {
	TTY        int // the pseudo-terminal's master
	Connection int // the access server's
}

// Close closes what is there.
func (h *Handles) Close() error {
	var err error
	for _, fd := range []*int{&h.TTY, &h.Connection} {
		if *fd >= 0 {
			err = errors.Join(err, unix.Close(*fd))
			*fd = -1
		}
	}
	return err
}

// Save ends the port as far as this process goes, in place of Close, and so that no
// program notices and the access server does not either. Names are left where they
// are. A kernel tty cannot be saved: ok is false, and nothing was done.
func (p *Port) Save() (s Saved, h Handles, ok bool) {
	t, is := p.tty.(*terminal)
	if !is {
		return s, Handles{-1, -1}, false
	}
	p.stopTimers()
	for _, old := range p.retired {
		p.retire(old)
	}
	p.retired = nil
	s = Saved{
		Line: p.cfg.Line, Mirror: p.mirror.Save(), Open: p.open, Left: p.left, Termios: p.termios, Modem: p.modem, Told: p.told, Hangups: p.hangups, Carried: p.carried, Raised: p.raised,
		Counts: p.counts, PurgeDue: p.purgeDue, ToldLost: p.toldLost, Since: p.since, Degraded: p.degraded, Show: p.show,
		Connected: p.greeting.over, Disconnected: errors.Is(p.lastErr, ErrDisconnected), Halted: p.halted, BannerLost: p.greeting.dropped,
	}
	// The bridge first: it may say that orders were not sent, and ask for nothing then.
	p.over = true
	s.Bridge = p.bridge.Save()
	s.Client, h.Connection = p.client.Save()
	if s.Client.Session == nil && s.Connected {
		s.Connected, s.Since = false, p.loop.Now()
	}
	s.Terminal, h.TTY = t.save()
	p.names.leave()
	return s, h, true
}

func (p *Port) stopTimers() {
	evloop.Cancel(&p.closeTimer)
	evloop.Cancel(&p.drainTimer)
	evloop.Cancel(&p.calmTimer)
	evloop.Cancel(&p.renewTimer)
	evloop.Cancel(&p.showTimer)
	p.poll.stop()
}

// Disconnect gives the connection up that a saved port has.
func (s *Saved) Disconnect(h *Handles) {
	if h.Connection >= 0 {
		_ = unix.Close(h.Connection)
		h.Connection = -1
	}
	s.Client.Session, s.Client.Up, s.Connected = nil, false, false
	s.Client.Counters.Undelivered += uint64(len(s.Client.Unread))
	s.Client.Unread = nil
}

// save ends the terminal without closing its master.
func (t *terminal) save() (pty.Saved, int) {
	t.watcher.Remove(t.master)
	_ = t.source.Close() // it fails only for a descriptor that is gone
	t.source = nil
	return t.master.Save()
}

// ErrNotResumed means that a saved port could not be gone on with.
var ErrNotResumed = errors.New("the port could not go on where it was")

// resume makes the port's tty of a saved one. The handles are the port's where there is
// no error.
func (p *Port) resume(s *Saved, h *Handles) error {
	m, err := pty.Restore(h.TTY, s.Terminal)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotResumed, err)
	}
	t := &terminal{master: m, watcher: p.watcher, look: p.look, exact: p.exact}
	if err := p.adopt(t); err != nil {
		_, _ = t.save() // the descriptor is still the caller's
		return fmt.Errorf("%w: %w", ErrNotResumed, err)
	}
	h.TTY = -1
	p.tty, p.served = t, true
	p.mirror = termiosmirror.Restore(s.Mirror)
	p.open, p.left, p.termios, p.modem, p.carried, p.raised = s.Open, s.Left, s.Termios, s.Modem, s.Carried, s.Raised
	p.told, p.hangups = s.Told, s.Hangups
	p.counts, p.purgeDue, p.toldLost, p.since, p.degraded = s.Counts, s.PurgeDue, s.ToldLost, s.Since, s.Degraded
	p.greeting.over, p.greeting.dropped = s.Connected, s.BannerLost
	if p.open {
		t.unpark()
	}
	return nil
}

// goOn is resume for what is made after the tty: queue and connection.
func (p *Port) goOn(s *Saved, h *Handles) {
	if err := p.bridge.Restore(s.Bridge); err != nil {
		p.emit(Event{Kind: KindNotResumed, Err: err})
	}
	relined := p.cfg.Line != s.Line
	if relined {
		p.mirror.ReplaceLine(p.cfg.Line) // for the next connection, if this one is lost
	}
	p.halted = s.Halted && p.cfg.Connect == ConnectAlways
	if s.Disconnected && (p.halted || p.cfg.Connect == ConnectOnOpen) {
		p.lastErr = ErrDisconnected
	}
	var stream evloop.Stream
	var err error
	if h.Connection >= 0 {
		stream, err = p.loop.Adopt(h.Connection)
		h.Connection = -1
	}
	if err == nil {
		err = p.client.Restore(s.Client, stream)
	}
	if err != nil {
		p.emit(Event{Kind: KindNotResumed, Err: err})
		if stream != nil {
			_ = stream.Abort()
		}
		s.Client.Session = nil
	}
	if s.Client.Session == nil {
		p.greeting.over, p.told = false, false
		p.bridge.LinkLost()
		if s.Client.Wanted {
			p.client.Start()
		}
	}
	if p.show = s.Show; p.show != (comport.State{}) {
		p.showLater(comport.State{}, showDelay)
	}
	if p.cfg.Connect == ConnectOnOpen && !p.open && s.Client.Wanted {
		p.closeTimer = p.loop.AfterFunc(p.cfg.CloseDelay, p.endConnection)
	}
	p.loop.Post(func() {
		p.wake() // a program may have come or gone meanwhile
		if p.over {
			return
		}
		if p.open {
			p.look() // a program may have changed its settings where no status says so
		}
		if relined {
			p.reline()
		}
		if p.open {
			// Nobody has been told yet what the new descriptors are waited for.
			p.poll.arm(p)
			p.bridge.TTYReady(true, true)
			p.rearm()
		}
	})
}

// reline has the line settings of a new configuration carried out as an operator's are:
// they count until a program asks for others.
func (p *Port) reline() {
	if p.cfg.Line == (comport.State{}) {
		return // what was wanted until now stays
	}
	if err := p.SetLine(p.cfg.Line); err != nil {
		p.ttyFailed(err)
	}
}
