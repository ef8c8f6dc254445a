package seccomp

import (
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// certainty is how long a call waits at most until it is known whose its tty is.
const certainty = 3 * time.Second

// mayBecomeOurs reports whether a tty that is not ours may be said to be soon. While it is certain which one is, the others
// are remembered: a program's own terminal never waits.
func (s *Supervisor) mayBecomeOurs(d Device) bool {
	if s.Uncertain == nil || s.Uncertain() == nil {
		s.foreign.add(d)
		return false
	}
	return isPTS(d) && !s.foreign.has(d) && (s.Likely == nil || s.Likely(d))
}

// becomesOurs waits until it is known whether a call is on our tty, and whether the Handler wants it.
func (s *Supervisor) becomesOurs(w *waitingCall) bool {
	if certain := s.Uncertain(); certain != nil {
		limit := time.NewTimer(s.certainty)
		defer limit.Stop()
		select {
		case <-certain:
		case <-limit.C:
		case <-w.ctx.Done():
		}
	}
	if !s.isOurs(w.device) {
		// Once is enough: without this each call on it would wait as long.
		s.foreign.add(w.device)
		return false
	}
	return s.handler.Decide(w.Call) != Continue
}

// isPTS reports whether a device is the slave of a pseudo-terminal: majors 136 to 143
// (Documentation/admin-guide/devices.txt).
func isPTS(d Device) bool {
	major := unix.Major(d.Rdev)
	return major >= 136 && major <= 143
}

// foreign remembers devices that are not the supervisor's tty.
type foreign struct {
	mu   sync.Mutex
	seen []Device
}

// maxForeign bounds it: programs have few terminals.
const maxForeign = 32

func (f *foreign) add(d Device) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.Contains(f.seen, d) {
		return
	}
	if len(f.seen) == maxForeign {
		f.seen = f.seen[:copy(f.seen, f.seen[1:])]
	}
	f.seen = append(f.seen, d)
}

func (f *foreign) has(d Device) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.seen, d)
}

func (f *foreign) forget(d Device) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := slices.Index(f.seen, d); i >= 0 {
		f.seen = slices.Delete(f.seen, i, i+1)
	}
}
