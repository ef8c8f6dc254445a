package port

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/bridge"
	"github.com/vcomd/vcomd/internal/evloop"
	"github.com/vcomd/vcomd/pty"
	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/termiosmirror"
)

// Port is one virtual port. Its methods are for the loop's thread, or for before
// the loop runs.
type Port struct {
	cfg       Config
	loop      *evloop.Loop
	watcher   *pty.Watcher
	names     names
	served    bool   // programs can open the port, or could
	whenReady func() // may be nil
	tty       tty
	mirror    *termiosmirror.Mirror
	client    *rfc2217client.Client
	bridge    *bridge.Bridge

	open       bool
	over       bool               // Close was called
	leaving    bool               // the last program has closed it, which is not dealt with yet
	left       int                // bytes that the last program to go left in the tty
	termios    unix.Termios       // the last ones observed or shown
	modem      comport.ModemState // levels as last told, perhaps by a connection before this one
	told       bool               // this connection has told them
	hangups    uint32             // of programs
	carried    bool               // DCD was up when the connection was lost, and nothing was said of it since
	closeTimer evloop.Timer       // until an unused connection is ended
	closeTries int
	retired    []tty        // replaced, and not closed yet
	renewTimer evloop.Timer // until another tty is tried again
	calmTimer  evloop.Timer // until a connection that may not last is told
	drainTimer evloop.Timer // until what is in flight at the end is looked at again
	showTimer  evloop.Timer // until the tty is told what the server said
	show       comport.State
	poll       poll
	greeting   greeting
	breaks     []*timedBreak // the first one is being sent, the others wait for it
	attached   int           // supervisors of programs: see Attach
	raised     bool          // the open has raised the lines: the close drops them
	counts     Counts
	purgeDue   comport.Purge // at the next connection
	toldLost   uint64        // bytes written during outages and dropped, of which was told
	since      time.Time     // the connection is, or is not
	lastErr    error
	reasons    []string // told since the last connection
	degraded   bool     // the server does not speak what it was to speak, and that was told
	halted     bool     // no connection is made until Reconnect
}

// Open makes the tty and the names of a port. Nothing is connected before Start.
// Errors are for the user: they name what was done to what.
func Open(cfg Config, loop *evloop.Loop, watcher *pty.Watcher) (*Port, error) {
	p := newPort(cfg, loop, watcher)
	if err := p.claimNames(""); err != nil {
		return nil, err
	}
	if err := p.openTTY(); err != nil {
		return nil, errors.Join(err, p.names.release())
	}
	p.connectParts()
	if p.tty.path() != "" {
		p.becomeReady()
	}
	p.warnUnverified()
	return p, nil
}

// Resume is Open for a port that goes on where a saved one stopped, and is started with
// that. What cannot be gone on with is told (KindNotResumed) and begins afresh. The
// handles are the port's, in any case.
func Resume(cfg Config, loop *evloop.Loop, watcher *pty.Watcher, s Saved, h Handles) (*Port, error) {
	defer func() { _ = h.Close() }() // those that are not used
	if cfg.TTY == TTYUSB {           // with TTYAuto the programs on the tty count for more
		return openAfresh(cfg, loop, watcher, errors.New("a pseudo-terminal was handed over, and it is to be another tty now"))
	}
	p := newPort(cfg, loop, watcher)
	if err := p.resume(&s, &h); err != nil {
		return openAfresh(cfg, loop, watcher, err)
	}
	path := p.tty.path()
	err := p.claimNames(path)
	if err == nil {
		err = p.names.point(path)
	}
	if err != nil {
		return nil, errors.Join(err, p.names.release(), p.tty.close())
	}
	p.connectParts()
	p.emit(Event{Kind: KindTakenOver, Old: p.names.String(), New: path})
	p.goOn(&s, &h)
	return p, nil
}

// openAfresh opens a port whose program's tty is lost.
func openAfresh(cfg Config, loop *evloop.Loop, watcher *pty.Watcher, why error) (*Port, error) {
	p, err := Open(cfg, loop, watcher)
	if err == nil {
		p.emit(Event{Kind: KindNotResumed, Err: why})
	}
	return p, err
}

func newPort(cfg Config, loop *evloop.Loop, watcher *pty.Watcher) *Port {
	p := &Port{cfg: cfg, loop: loop, watcher: watcher, mirror: termiosmirror.New(cfg.Line), since: loop.Now()}
	p.cfg.USB = p.cfg.usb()
	if p.cfg.Events == nil {
		p.cfg.Events = func(Event) {}
	}
	p.startLines()
	return p
}

// connectParts makes what is between the tty, which is there, and the server.
func (p *Port) connectParts() {
	cfg := &p.cfg
	p.client = rfc2217client.New(rfc2217client.Config{
		Remote:           cfg.Remote,
		RetryMin:         cfg.RetryMin,
		RetryMax:         cfg.RetryMax,
		Tries:            cfg.Tries,
		DeadAfter:        cfg.DeadAfter,
		Probe:            cfg.Probe,
		NegotiateTimeout: cfg.NegotiateTimeout,
		RequireRFC2217:   cfg.RequireRFC2217,
		PlainCR:          cfg.PlainCR,
		DropBanner:       cfg.DropBanner,
		Suspend:          cfg.Suspend,
		Signature:        cfg.Signature,
		Acknowledged:     cfg.Acknowledged,
		Trace:            cfg.Trace,
		Dial:             p.dial(),
	}, p.loop, (*handler)(p))
	bc := bridge.Config{Settle: cfg.Settle, StaleAfter: cfg.StaleAfter, DiscardDown: cfg.Discard}
	if cfg.Pace {
		bc.Pace = p.paceLine
	}
	p.bridge = bridge.New(bc, p.loop, p.tty, p.client, (*owner)(p))
}

// openTTY makes the tty that is wanted, or that can be had.
func (p *Port) openTTY() error {
	if p.cfg.TTY != TTYPseudo {
		err := p.openAdapter()
		if err == nil || p.cfg.TTY == TTYUSB {
			return err
		}
		p.emit(Event{Kind: KindPseudo, Err: err})
	}
	return p.openPseudo()
}

// becomeReady is for the first tty.
func (p *Port) becomeReady() {
	p.served = true
	p.emit(Event{Kind: KindReady, Old: p.names.String(), New: p.tty.path()})
	if p.whenReady != nil {
		p.whenReady()
	}
}

// WhenReady calls done when programs can open the port: at once for a
// pseudo-terminal; a kernel tty takes a second.
func (p *Port) WhenReady(done func()) {
	if p.served {
		done()
		return
	}
	p.whenReady = done
}

// Start connects, if the port is to be connected always. The loop may run or
// not.
func (p *Port) Start() {
	if p.cfg.Connect == ConnectAlways {
		p.connect()
	}
	p.wake() // a program may have been quick
}

// Drain gives the output in flight its time before Close, and calls done when it
// is delivered, cannot be, or the time is over.
func (p *Port) Drain(done func()) {
	if p.open {
		p.dropLines() // for the programs on it this will be a hang-up
	}
	tries := 0
	var look func()
	look = func() {
		p.drainTimer = nil
		if !p.client.Up() || !p.busy() || tries >= drainTries || p.cfg.Drain == 0 {
			done()
			return
		}
		tries++
		p.pump()
		p.drainTimer = p.loop.AfterFunc(p.cfg.Drain/drainTries, look)
	}
	look()
}

// Close ends the connection and the tty, and removes the names. What was posted or
// asked for before finds the port ended.
func (p *Port) Close() error {
	p.stopTimers()
	p.dropped(p.bridge.DropUnsent(), "bytes were never sent: the port ends")
	p.client.Stop()
	p.dropped(p.bridge.DropUnsent(), "bytes were never sent: the port ends")
	p.over = true
	for _, old := range p.retired {
		p.retire(old)
	}
	p.retired = nil
	// The names first: no program can open a tty that is about to go.
	return errors.Join(p.names.release(), p.tty.close())
}

func (p *Port) emit(ev Event) {
	ev.Time, ev.Port = p.loop.Now(), p.cfg.Name
	p.cfg.Events(ev)
}

// ready is called by the loop for the tty's descriptor.
func (p *Port) ready(t tty, ev evloop.Events) {
	if t != p.tty {
		return
	}
	if ev&(evloop.Hangup|evloop.Error) != 0 {
		p.wake()
		return
	}
	p.bridge.TTYReady(ev&(evloop.Readable|evloop.Priority) != 0, ev&evloop.Writable != 0)
	p.rearm()
}

// wake looks whether a program has opened or closed the tty.
func (p *Port) wake() {
	if p.over {
		return
	}
	hung, err := p.tty.hung()
	if err != nil {
		p.ttyFailed(err)
		return
	}
	switch {
	case !hung && !p.open:
		p.opened(0)
	case hung && p.open:
		p.leaving = true
		p.bridge.Pump() // what it has written and changed before it closed
		p.leaving = false
		p.closed()
	case hung:
		// A program may have come and left something. If it has gone already, the
		// hang-up is reported next.
		if st, came := p.visited(); came {
			p.opened(st)
		}
	}
	p.rearm()
}

// noticed is called when programs may have opened or closed a terminal.
func (p *Port) noticed() {
	p.wake()
	if t, is := p.tty.(*terminal); is && !p.open && !p.over && t.master.Arrived() {
		// One that was too quick to be seen. If it has left bytes or settings, they were
		// taken for the last one's; it may also have left the terminal in exclusive mode.
		p.reclaim()
	}
}

// visited reports whether a program has left something in a tty that was closed:
// a status, which it takes, or more bytes than the last one left.
func (p *Port) visited() (st pty.Status, came bool) {
	st, err := p.tty.status()
	return st, err == nil && (st != 0 || p.tty.readable() > p.left)
}

// pump moves bytes up when the connection takes more. The descriptor of a closed
// tty is parked, so that a program may have come, unnoticed yet, whose bytes and
// settings must not be taken for the last one's.
func (p *Port) pump() {
	if p.over {
		return
	}
	if !p.open {
		p.wake()
	}
	p.bridge.Pump()
	if !p.open {
		p.left = p.tty.readable()
	}
}

// waiting returns how many bytes a program has written that were not sent yet.
func (p *Port) waiting() int { return p.tty.readable() + p.bridge.Queued() + p.client.Unsent() }

// busy reports whether anything waits that a connection must not end before: bytes,
// or changes, such as the lines that a close drops, in their place behind them.
func (p *Port) busy() bool { return p.waiting() > 0 || p.bridge.Unsettled() }

// rearm sees to a status that the kernel does not wake for: settings that were
// written or looked at may have brought one up.
func (p *Port) rearm() {
	if p.open && p.tty.pending() {
		p.loop.Post(func() {
			if p.open && !p.over {
				p.bridge.TTYReady(true, false)
				p.rearm()
			}
		})
	}
}

// opened is for a program that has opened the tty, and for the status that it
// was noticed by, if there was one.
func (p *Port) opened(st pty.Status) {
	p.open = true
	p.carried = false // it was not this program's carrier
	evloop.Cancel(&p.closeTimer)
	p.tty.unpark()
	p.bridge.Opened()
	p.emit(Event{Kind: KindOpened})
	defer p.changed()
	if !p.tty.raises() {
		p.raiseLines()
	}
	p.purgeOnOpen()
	p.connect()
	if st != 0 {
		p.bridge.Note(bridge.Note(st))
	}
	p.bridge.TTYReady(true, false)
	p.poll.arm(p)
}

func (p *Port) closed() {
	p.open, p.purgeDue = false, 0
	p.dropLines()
	p.bridge.Closed()
	p.poll.stop()
	p.tty.park()
	// What is left in the tty is sent by pump, when the connection takes it.
	p.left = p.tty.readable()
	p.reclaim()
	// A program may have opened the port while it was being made fit for one, and
	// the watcher may have taken that for our own open.
	p.loop.Post(p.noticed)
	p.emit(Event{Kind: KindClosed})
	p.changed()
	if p.cfg.Connect == ConnectOnOpen {
		p.closeTries = 0
		evloop.Cancel(&p.closeTimer)
		p.closeTimer = p.loop.AfterFunc(p.cfg.CloseDelay, p.endConnection)
	}
}

// reclaim makes the tty fit for the next program, or puts another in its place.
func (p *Port) reclaim() {
	why := p.tty.reclaim()
	if why == nil {
		return
	}
	if hung, err := p.tty.hung(); err == nil && !hung {
		return // the next program was quick, and has the tty for itself
	}
	// It may have been quick to leave, too: what it has set and written is not to
	// go with the tty.
	p.bridge.Opened()
	if st, err := p.tty.status(); err == nil && st != 0 {
		p.bridge.Note(bridge.Note(st))
	}
	p.bridge.Pump()
	p.bridge.Closed()
	p.replaceTTY(why)
}

// Output in flight when the last program closes the port is given Drain: the
// connection is not ended before it is sent, or so much time has passed. It is
// looked at so many times meanwhile.
const drainTries = 50

func (p *Port) endConnection() {
	p.closeTimer = nil
	if p.pump(); p.open || p.closeTimer != nil {
		return // a program has come meanwhile, and may have gone again
	}
	if p.busy() && p.closeTries < drainTries && p.cfg.Drain > 0 {
		p.closeTries++
		p.closeTimer = p.loop.AfterFunc(p.cfg.Drain/drainTries, p.endConnection)
		return
	}
	why := "bytes were never sent: the port was closed and the access server cannot be reached"
	if p.client.Up() {
		why = "bytes were never sent: the port was closed and they would take longer than --drain"
	}
	p.dropped(p.bridge.DropUnsent(), why)
	p.client.Stop()
}

// dropped tells of bytes that are lost.
func (p *Port) dropped(n int, why string) {
	if n > 0 {
		p.emit(Event{Kind: KindDropped, New: strconv.Itoa(n), Text: why})
	}
}

// replaceTTY puts a fresh pseudo-terminal in the place of one that cannot be
// opened any more.
func (p *Port) replaceTTY(why error) {
	old := p.tty.path()
	if p.renewTTY(why) {
		p.emit(Event{Kind: KindNewTTY, Old: old, New: p.tty.path(), Err: why})
		return
	}
	// There may be one again: pseudo-terminals are few, and who left this one so may be gone.
	evloop.Cancel(&p.renewTimer)
	p.renewTimer = p.loop.AfterFunc(renewRetry, func() {
		p.renewTimer = nil
		if !p.open {
			p.reclaim()
		}
	})
}

// renewRetry is the pause before another try to put a pseudo-terminal in the place of one that cannot
// be opened any more.
const renewRetry = time.Second

// renewTTY puts a fresh pseudo-terminal in the place of the present one, and
// reports whether it could. The link moves first: at no moment does it lead
// nowhere.
func (p *Port) renewTTY(why error) bool {
	old := p.tty
	if err := p.openPseudo(); err != nil {
		p.ttyFailed(fmt.Errorf("%w, and there is no other: %w", why, err))
		return false
	}
	p.bridge.SetTTY(p.tty)
	p.left = 0
	old.park()
	// A program that has followed a name to the old tty has not opened it yet:
	// that must not fail.
	p.retired = append(p.retired, old)
	p.loop.AfterFunc(retireAfter, func() {
		if i := slices.Index(p.retired, old); i >= 0 {
			p.retired = slices.Delete(p.retired, i, i+1)
			p.retire(old)
		}
	})
	return true
}

// retireAfter is how long a tty that was replaced can still be opened: longer than
// an open(2) takes that has read the link before it moved.
const retireAfter = 20 * time.Millisecond

// retire ends a tty that was replaced. Those who have it open see a hang-up.
func (p *Port) retire(old tty) {
	p.dropped(p.bridge.DropFrom(old), "bytes were never sent: the pseudo-terminal they were written to has gone")
	_ = old.close()
}

// fail ends the port: it cannot be served.
func (p *Port) fail(err error) {
	if p.cfg.Failed != nil {
		p.cfg.Failed(err)
	}
}

func (p *Port) ttyFailed(err error) { p.emit(Event{Kind: KindTTYFailed, Err: err}) }
