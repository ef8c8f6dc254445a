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
)

// What the requests of this file answer when they cannot be done.
var (
	// ErrBusy: more of these wait already than a port keeps.
	ErrBusy = errors.New("too many requests wait for the access server")
	// ErrSettings: programs change the settings faster than they can be set.
	ErrSettings = errors.New("the settings are being changed by another program all the time")
)

// UART is the port as a program sees it that is told the truth: with all that a
// pseudo-terminal has no place for.
type UART struct {
	Path     string       // of the tty
	Termios  unix.Termios // CSIZE and PARENB included
	DTR, RTS bool
	Modem    comport.ModemState // levels
	Counts   Counts
	OutQueue int // bytes written and not sent yet
	Open     bool
	Hangups  uint32 // how often programs were hung up
}

// Counts are what TIOCGICOUNT counts (struct serial_icounter_struct). They wrap
// around.
type Counts struct {
	CTS, DSR, RNG, DCD                      uint32
	RX, TX                                  uint32
	Frame, Parity, Overrun, Brk, BufOverrun uint32 // BufOverrun is 0: what has no room here waits at the server
}

// frameBits are the flags that the kernel strips from a pseudo-terminal.
const frameBits = unix.CSIZE | unix.PARENB

// UART takes a snapshot.
func (p *Port) UART() UART {
	want, b := p.mirror.Want(), p.bridge.Counters()
	u := UART{
		Path: p.tty.path(), Termios: p.termios, Modem: p.modem, Counts: p.counts,
		DTR: want.DTR != comport.ControlDTROff, RTS: want.RTS != comport.ControlRTSOff,
		OutQueue: p.unsent(), Open: p.open, Hangups: p.hangups,
	}
	u.Termios.Cflag = u.Termios.Cflag&^frameBits | frame(want)
	u.Counts.RX, u.Counts.TX = uint32(b.ToProgram), uint32(b.FromProgram)
	return u
}

// frame gives data bits and parity as flags.
func frame(want comport.State) (flags uint32) {
	flags = unix.CS8
	switch want.DataSize {
	case 5:
		flags = unix.CS5
	case 6:
		flags = unix.CS6
	case 7:
		flags = unix.CS7
	default:
	}
	if want.Parity != 0 && want.Parity != comport.ParityNone {
		flags |= unix.PARENB
	}
	return flags
}

// Look notices at once that a program has opened or closed the tty.
func (p *Port) Look() { p.wake() }

// Attach is for a supervisor of programs whose ioctls it sees: for them the port
// behaves as a UART, lines and errors included. Detach ends that.
func (p *Port) Attach() {
	if p.attached++; p.attached == 1 && p.client.Mode() == rfc2217client.ModeComPort {
		p.client.Request(lineErrors)
	}
}

// exact reports whether there is a supervisor.
func (p *Port) exact() bool { return p.attached > 0 }

// Detach is for each Attach.
func (p *Port) Detach() { p.attached-- }

// lineErrors has the server report what TIOCGICOUNT counts.
var lineErrors = comport.SetLineStateMask{Mask: comport.LineErrors}

// SetTermios carries out a program's TCSETS, after all that was written before.
//
// ErrBusy says that not all of it can be taken in now: WhenRoom tells when to try
// again. The same goes for DriveLines and SetBreak.
func (p *Port) SetTermios(t unix.Termios) error {
	p.wake()
	if !p.bridge.Sync() && p.client.Mode() == rfc2217client.ModeComPort {
		return ErrBusy
	}
	if err := p.force(func() unix.Termios { return t }); err != nil {
		return err
	}
	p.termios = p.tty.settings()
	full := p.termios
	full.Cflag = full.Cflag&^frameBits | t.Cflag&frameBits
	p.takeExact(full)
	p.poll.arm(p)
	return nil
}

// takeExact has settings carried out that came with all that a program has asked for,
// after what it has written before.
func (p *Port) takeExact(t unix.Termios) {
	before := p.mirror.Want()
	want := p.mirror.ObserveExact(t)
	p.showAgain(before, want)
	p.poll.touch(p.loop.Now())
	if want != before {
		p.emit(Event{Kind: KindWanted, Old: before.String(), New: want.String()})
	}
	if p.client.Mode() == rfc2217client.ModeComPort {
		p.bridge.Change(want)
	}
	p.bridge.Pump()
	p.changed()
}

// forceTries bounds the contest with a program that sets the same tty without a
// supervisor.
const forceTries = 8

// force writes settings to the tty, over what other programs have set before.
func (p *Port) force(settings func() unix.Termios) error {
	for range forceTries {
		err := p.tty.show(settings())
		if errors.Is(err, errNotShown) {
			return nil
		}
		if !errors.Is(err, pty.ErrStale) {
			return err
		}
		st, err := p.tty.status()
		if err != nil {
			return err
		}
		p.bridge.Note(bridge.Note(st))
		p.look()
	}
	return ErrSettings
}

// DriveLines drives DTR and RTS, after all that was written before, also if they
// are known to be so already. 0 leaves a line alone.
func (p *Port) DriveLines(dtr, rts comport.Control) error {
	p.wake()
	p.mirror.Drive(dtr, rts)
	var messages []comport.Message
	for _, c := range []comport.Control{dtr, rts} {
		if c != 0 {
			messages = append(messages, comport.SetControl{Control: c})
		}
	}
	defer p.changed()
	return p.order(nil, messages...)
}

// order has messages sent after all that was written before. Without RFC 2217 it
// has nobody to send them to.
func (p *Port) order(done func(sent bool), messages ...comport.Message) error {
	if p.client.Mode() != rfc2217client.ModeComPort {
		if done != nil {
			done(false)
		}
		return nil
	}
	if !p.bridge.Sync() || !p.bridge.Order(done, messages...) {
		return ErrBusy
	}
	return nil
}

// sentInterval is how often it is looked whether output has left that could not
// leave at once.
const sentInterval = 2 * time.Millisecond

// WhenSent calls done when all output has left for the server; with Pace, when the
// remote UART would have sent it. cancel gives up, without done.
func (p *Port) WhenSent(done func()) (cancel func()) {
	return p.when(func() bool { return p.unsent() == 0 }, done)
}

// WhenRoom calls done when nothing waits for the server any more, changes of
// settings and lines included, or there is no server. cancel gives up.
func (p *Port) WhenRoom(done func()) (cancel func()) {
	return p.when(func() bool {
		return p.client.Mode() != rfc2217client.ModeComPort || p.unsent() == 0 && !p.bridge.Unsettled()
	}, done)
}

// when calls done when a condition holds and the paced line is idle.
func (p *Port) when(holds func() bool, done func()) (cancel func()) {
	var timer evloop.Timer
	var look func()
	look = func() {
		timer = nil
		if p.over {
			done()
			return
		}
		p.pump()
		left := p.bridge.PaceLeft()
		if holds() && left == 0 {
			done()
			return
		}
		timer = p.loop.AfterFunc(max(sentInterval, left), look)
	}
	look()
	return func() { evloop.Cancel(&timer) }
}

// unsent returns how many bytes of a program have not left for the server.
func (p *Port) unsent() int { return p.tty.readable() + p.bridge.Queued() + p.client.Encoded() }

// Flush carries out a program's TCFLSH.
func (p *Port) Flush(input, output bool) error {
	output = output && (p.cfg.Purge == PurgeAuto || p.cfg.Purge == PurgeBoth)
	return p.flush(input, output, input && p.cfg.Purge != PurgeNone)
}

// flush drops what waits on this side, and has the server do the same; with its input
// only if receive says so.
func (p *Port) flush(input, output, receive bool) error {
	p.wake()
	var what comport.Purge
	var err error
	if input {
		p.bridge.FlushReceived()
		err = p.tty.flushInput()
		if receive {
			what |= comport.PurgeReceive
		}
	}
	if output {
		p.bridge.FlushOutput()
		what |= comport.PurgeTransmit
	}
	if what != 0 {
		p.purge(what)
	}
	if err != nil && !errors.Is(err, pty.ErrBusy) {
		return fmt.Errorf("flush: %w", err)
	}
	return nil
}

// changed tells whoever shows the UART to somebody.
func (p *Port) changed() {
	if p.cfg.Changed != nil {
		p.cfg.Changed()
	}
}

// count counts what TIOCGICOUNT tells of the modem lines.
func (p *Port) count(before, now, deltas comport.ModemState) {
	edge := func(line comport.ModemState) uint32 {
		if (before^now)&line != 0 {
			return 1
		}
		return 0
	}
	p.counts.CTS += edge(comport.ModemCTS)
	p.counts.DSR += edge(comport.ModemDSR)
	p.counts.DCD += edge(comport.ModemDCD)
	// Only the trailing edge of a ring counts, and it may be all that is told.
	if before&^now&comport.ModemRI != 0 || (before|now)&comport.ModemRI == 0 && deltas&comport.ModemTrailingRI != 0 {
		p.counts.RNG++
	}
}

// lineState counts what was received damaged, and has a received break do what the
// program's settings ask for.
func (p *Port) lineState(s comport.LineState) {
	for bit, count := range map[comport.LineState]*uint32{
		comport.LineFramingError: &p.counts.Frame, comport.LineParityError: &p.counts.Parity,
		comport.LineOverrunError: &p.counts.Overrun, comport.LineBreak: &p.counts.Brk,
	} {
		if s&bit != 0 {
			*count++
		}
	}
	p.tty.damaged(s)
	if s&comport.LineBreak != 0 {
		p.breakReceived()
	}
	p.changed()
}

// breakReceived interrupts the program that asks for that (BRKINT).
func (p *Port) breakReceived() {
	if !p.open || p.termios.Iflag&(unix.IGNBRK|unix.BRKINT) != unix.BRKINT {
		return
	}
	p.bridge.FlushReceived()
	if err := errors.Join(p.tty.flushInput(), p.tty.interrupt()); err != nil {
		p.ttyFailed(err)
	}
}
