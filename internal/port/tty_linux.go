package port

import (
	"errors"
	"fmt"
	"os"

	"github.com/vcomd/vcomd/internal/bridge"
	"github.com/vcomd/vcomd/internal/evloop"
	"github.com/vcomd/vcomd/pty"
)

// terminal is the pseudo-terminal as the bridge sees it.
type terminal struct {
	master *pty.Master
	source *evloop.Source
	parked bool // no program has it open: only the watcher tells when that ends
	wanted evloop.Events
	// look is called for bytes read while the settings must be looked at for
	// each (pty.Master.Polled).
	look func()
}

var _ bridge.TTY = (*terminal)(nil)

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

func (t *terminal) Write(p []byte) (int, error) {
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

// park ends the callbacks until unpark: the hang-up of a tty that no program has
// open would be reported for ever.
func (t *terminal) park() {
	t.parked = true
	_ = t.source.Park()
}

func (t *terminal) unpark() {
	t.parked = false
	_ = t.source.Set(t.wanted | evloop.Priority)
}

// close ends the pseudo-terminal: a program that still has it open sees a
// hang-up.
func (t *terminal) close() error {
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
