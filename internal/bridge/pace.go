package bridge

import (
	"math"
	"time"

	"github.com/vcomd/vcomd/internal/evloop"
	"github.com/vcomd/vcomd/termiosmirror"
)

// pace has bytes leave as a line carries them: each when the one before it would
// be through.
type pace struct {
	until time.Time    // the line has carried all that was sent; zero: it is idle
	timer evloop.Timer // set while bytes may be waiting for that
}

const (
	// paceQuantum is how much of the line's time is sent at once, where that is
	// more than one character: a timer cannot tell characters apart that are
	// closer to each other.
	paceQuantum = 2 * time.Millisecond
	// paceLag is how much of what was missed, because this process had no
	// processor, is made up for.
	paceLag = 20 * time.Millisecond
)

// allowed returns how many bytes may be sent now. If none may, the pumps go on
// when that changes.
func (b *Bridge) allowed() int {
	if b.cfg.Pace == nil {
		return math.MaxInt
	}
	char := termiosmirror.LineTime(1, b.cfg.Pace())
	if char <= 0 {
		return math.MaxInt // the speed is not known
	}
	// Whole characters each: a timer that is a little late must not make one of two.
	quantum := max(1, int(paceQuantum/char))
	if b.pace.until.IsZero() {
		return quantum
	}
	now := b.clock.Now()
	if oldest := now.Add(-paceLag); b.pace.until.Before(oldest) {
		b.pace.until = oldest
	}
	late := now.Sub(b.pace.until)
	if late >= 0 {
		return quantum + int(late/char)
	}
	if b.pace.timer == nil {
		b.pace.timer = b.clock.AfterFunc(-late, func() {
			b.pace.timer = nil
			b.owner.Settled()
		})
	}
	return 0
}

// sent has the line carry n bytes more.
func (b *Bridge) sent(n int) {
	if b.cfg.Pace != nil {
		if b.pace.until.IsZero() {
			b.pace.until = b.clock.Now()
		}
		b.pace.until = b.pace.until.Add(termiosmirror.LineTime(n, b.cfg.Pace()))
	}
}

// idle says that there is nothing to send: what has not been sent meanwhile was
// not missed.
func (b *Bridge) idle() {
	if now := b.clock.Now(); b.cfg.Pace != nil && !b.pace.until.After(now) {
		b.pace.until = time.Time{}
	}
}

func (b *Bridge) stopPacing() {
	b.pace.until = time.Time{}
	evloop.Cancel(&b.pace.timer)
}

// PaceLeft returns how long the line takes to carry what was sent; 0 without
// Pace.
func (b *Bridge) PaceLeft() time.Duration {
	if b.pace.until.IsZero() {
		return 0
	}
	return max(b.pace.until.Sub(b.clock.Now()), 0)
}
