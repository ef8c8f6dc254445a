package port

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/bridge"
	"github.com/vcomd/vcomd/internal/evloop"
	"github.com/vcomd/vcomd/pty"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/termiosmirror"
)

// terminal is the pseudo-terminal as the bridge sees it.
type terminal struct {
	master  *pty.Master
	watcher *pty.Watcher
	source  *evloop.Source
	parked  bool // no program has it open: only the watcher tells when that ends
	wanted  evloop.Events
	// look is called for bytes read while the settings must be looked at for
	// each (pty.Master.Polled).
	look func()
	// exact reports whether programs are told what a pseudo-terminal does not tell them.
	exact func() bool
	marks marks
}

var _ tty = (*terminal)(nil)

func (t *terminal) path() string                   { return t.master.Path() }
func (t *terminal) hung() (bool, error)            { return t.master.Hung() }
func (t *terminal) status() (pty.Status, error)    { return t.master.ReadStatus() }
func (t *terminal) pending() bool                  { return t.master.Pending() }
func (t *terminal) observe() (unix.Termios, error) { return t.master.Observe() }
func (t *terminal) settings() unix.Termios         { return t.master.Settings() }
func (t *terminal) show(s unix.Termios) error      { return t.master.Show(s) }
func (t *terminal) polled() bool                   { return t.master.Polled() }
func (t *terminal) interrupt() error               { return t.master.Interrupt() }
func (t *terminal) reclaim() error                 { return t.master.Reclaim() }

// modem implements tty: a pseudo-terminal has no place for it.
func (t *terminal) modem(comport.ModemState) {}
func (t *terminal) raises() bool             { return false }

func (t *terminal) flushInput() error {
	t.marks = marks{}
	return t.master.FlushInput()
}

func (t *terminal) readable() int {
	n, err := t.master.Readable()
	if err != nil {
		return 0
	}
	return n
}

func (t *terminal) hangup() error {
	if err := t.master.Hangup(); err != nil {
		return err
	}
	t.park()
	return nil
}

// openPseudo makes a pseudo-terminal and moves the names to it.
func (p *Port) openPseudo() error {
	m, err := pty.Open(pty.Options{UID: p.cfg.UID, GID: p.cfg.GID, Mode: p.cfg.Mode})
	if err != nil {
		return err
	}
	t := &terminal{master: m, watcher: p.watcher, look: p.look, exact: p.exact}
	fail := func(err error) error {
		_ = t.close()
		return err
	}
	if p.termios, err = m.Observe(); err != nil {
		return fail(err)
	}
	want := p.cfg.Line
	if p.tty != nil {
		want = p.mirror.Want() // a fresh tty looks like the one whose place it takes
	}
	p.termios = termiosmirror.Apply(p.termios, want)
	if err := m.Show(p.termios); err != nil {
		return fail(err)
	}
	if err := p.adopt(t); err != nil {
		return fail(err)
	}
	if p.tty != nil {
		p.moveNames(m.Path())
	} else if err := p.names.point(m.Path()); err != nil {
		return fail(err)
	}
	p.tty = t
	p.mirror.Start(p.termios)
	return nil
}

// adopt has the loop and the watcher call for a terminal. It is parked.
func (p *Port) adopt(t *terminal) (err error) {
	t.source, err = p.loop.Watch(t.master.Fd(), evloop.Priority, func(ev evloop.Events) { p.ready(t, ev) })
	if err != nil {
		return err
	}
	t.park()
	return p.watcher.Add(t.master, p.noticed)
}

func (t *terminal) Read(p []byte) ([]byte, bridge.Note, error) {
	data, st, err := t.master.Read(p)
	if len(data) > 0 && t.master.Polled() {
		t.look()
	}
	return data, bridge.Note(st), ttyError(err)
}

func (t *terminal) ReadNote() (bridge.Note, error) {
	st, err := t.master.ReadStatus()
	return bridge.Note(st), ttyError(err)
}

func (t *terminal) write(p []byte) (int, error) {
	n, err := t.master.Write(p)
	if errors.Is(err, pty.ErrWouldBlock) || errors.Is(err, pty.ErrHangup) {
		return n, nil
	}
	return n, err
}

func (t *terminal) Want(read, write bool) {
	// A status is seen even while bytes are not wanted.
	t.wanted = evloop.Priority
	if read {
		t.wanted |= evloop.Readable
	}
	if write {
		t.wanted |= evloop.Writable
	}
	if t.source != nil && !t.parked {
		_ = t.source.Set(t.wanted) // it fails only for a descriptor that is closed
	}
}

// park: the hang-up of a tty that no program has open would be reported for ever.
// What opens and closes it the watcher tells.
func (t *terminal) park() {
	t.parked = true
	t.marks = marks{} // not for the next program
	_ = t.source.Park()
}

func (t *terminal) unpark() {
	t.parked = false
	_ = t.source.Set(t.wanted | evloop.Priority)
}

func (t *terminal) close() error {
	t.watcher.Remove(t.master)
	if t.source != nil {
		_ = t.source.Close()
		t.source = nil
	}
	if err := t.master.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
		return fmt.Errorf("close %s: %w", t.master.Path(), err)
	}
	return nil
}

func ttyError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, pty.ErrWouldBlock):
		return bridge.ErrWouldBlock
	case errors.Is(err, pty.ErrHangup):
		return bridge.ErrClosed
	default:
		return err
	}
}
