package port

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/vcomd/vcomd/internal/evloop"
	"github.com/vcomd/vcomd/pty"
)

// How long a name that could not be moved to a fresh tty waits for the next try.
const (
	renameMin = time.Second
	renameMax = 30 * time.Second
)

// name is what programs open a port by: a symbolic link, or a device node that
// the tty is mounted over.
type name interface {
	Path() string
	Point(target string) error
	Release() error
	// Leave gives the claim back and leaves the name for whoever goes on with the tty.
	Leave() error
}

var (
	_ name = (*pty.Link)(nil)
	_ name = (*pty.Overlay)(nil)
)

// names are all names of a port.
type names struct {
	all    []name
	failed map[name]bool // those that do not lead to the tty, which was told
	pause  time.Duration
	timer  evloop.Timer
}

// claimNames takes the locks of all names, or of none. Nothing is made yet. tty is what
// an overlay may show already.
func (p *Port) claimNames(tty string) error {
	for _, path := range p.cfg.Links {
		l, err := pty.ClaimLink(path, p.cfg.RunDir)
		if err != nil {
			return errors.Join(err, p.names.release())
		}
		p.names.all = append(p.names.all, l)
	}
	if p.cfg.Overlay != "" {
		o, err := pty.ReclaimOverlay(p.cfg.Overlay, p.cfg.RunDir, tty)
		if err != nil {
			return errors.Join(err, p.names.release())
		}
		p.names.all = append(p.names.all, o)
	}
	return nil
}

// String gives all paths, for people.
func (n *names) String() string {
	paths := make([]string, 0, len(n.all))
	for _, one := range n.all {
		paths = append(paths, one.Path())
	}
	return strings.Join(paths, ", ")
}

// paths tells links from the overlay.
func (n *names) paths() (links []string, overlay string) {
	for _, one := range n.all {
		if _, is := one.(*pty.Overlay); is {
			overlay = one.Path()
		} else {
			links = append(links, one.Path())
		}
	}
	return links, overlay
}

// release removes all names, the last one first.
func (n *names) release() error {
	evloop.Cancel(&n.timer)
	var err error
	for _, one := range slices.Backward(n.all) {
		err = errors.Join(err, one.Release())
	}
	n.all, n.failed = nil, nil
	return err
}

// leave leaves all names where they are.
func (n *names) leave() {
	evloop.Cancel(&n.timer)
	for _, one := range n.all {
		_ = one.Leave() // it closes a file
	}
	n.all, n.failed = nil, nil
}

// point makes all names lead to a tty, and returns the first error. For the
// first tty that ends the port; the caller releases the names.
func (n *names) point(target string) error {
	for _, one := range n.all {
		if err := one.Point(target); err != nil {
			return err
		}
	}
	return nil
}

// moveNames makes all names lead to the tty that takes another's place. A name
// that cannot be moved (its directory is gone) must not cost the port: the
// others are, and this one is tried again.
func (p *Port) moveNames(target string) {
	evloop.Cancel(&p.names.timer)
	again := false
	for _, one := range p.names.all {
		again = !p.moveName(one, target) || again
	}
	p.names.pause = renameMin
	if again {
		p.moveFailedLater()
	}
}

func (p *Port) moveName(one name, target string) bool {
	err := one.Point(target)
	switch told := p.names.failed[one]; {
	case err == nil && told:
		delete(p.names.failed, one)
		p.emit(Event{Kind: KindNameRestored, Old: one.Path(), New: target})
	case err != nil && !told:
		if p.names.failed == nil {
			p.names.failed = make(map[name]bool)
		}
		p.names.failed[one] = true
		p.emit(Event{Kind: KindNameFailed, Old: one.Path(), New: target, Err: err})
	}
	return err == nil
}

func (p *Port) moveFailedLater() {
	p.names.timer = p.loop.AfterFunc(p.names.pause, func() {
		p.names.timer = nil
		again := false
		for _, one := range p.names.all {
			if p.names.failed[one] {
				again = !p.moveName(one, p.tty.path()) || again
			}
		}
		p.names.pause = min(2*p.names.pause, renameMax)
		if again {
			p.moveFailedLater()
		}
	})
}

// hasOverlay reports that programs know the port by a device node that the tty
// is mounted over.
func (p *Port) hasOverlay() bool { return p.cfg.Overlay != "" }

// Names are all names that the port goes by: its own, its links, its overlay and
// its tty.
func (p *Port) Names() []string {
	links, overlay := p.names.paths()
	all := append([]string{p.cfg.Name, p.tty.path()}, links...)
	if overlay != "" {
		all = append(all, overlay)
	}
	return all
}
