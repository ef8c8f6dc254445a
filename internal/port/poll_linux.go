package port

import (
	"time"

	"github.com/vcomd/vcomd/internal/evloop"
)

// How often the settings are looked at while a program has line assembly, echo
// or signals on, so that no status announces a change (pty.Master.Polled).
const (
	pollFast  = 25 * time.Millisecond
	pollSlow  = 250 * time.Millisecond
	pollQuiet = time.Second // after which the slow pace is enough
)

// poll is the timer that looks.
type poll struct {
	timer      evloop.Timer
	lastChange time.Time
}

func (q *poll) stop() { evloop.Cancel(&q.timer) }

// touch says that the program is doing something.
func (q *poll) touch(now time.Time) { q.lastChange = now }

// arm has the port's settings looked at, if they must be.
func (q *poll) arm(p *Port) {
	if q.timer != nil || !p.open || !p.tty.polled() {
		return
	}
	wait := pollFast
	if p.loop.Now().Sub(q.lastChange) > pollQuiet {
		wait = pollSlow
	}
	q.timer = p.loop.AfterFunc(wait, func() {
		q.timer = nil
		p.look()
		p.pump() // a change that was found waits for no byte
		p.rearm()
		q.arm(p)
	})
}
