package bridge

import (
	"errors"
	"time"

	"github.com/vcomd/vcomd/internal/evloop"
)

// hold knows since when bytes wait for a connection.
type hold struct {
	marks []mark       // oldest first
	timer evloop.Timer // until the oldest are stale
	full  time.Time    // since when the queue has had no room; zero: it has
}

// mark says that the bytes up to an offset have waited since a time.
type mark struct {
	end   uint64
	since time.Time
}

// ageSteps is how finely age is told apart: bytes written within StaleAfter/ageSteps
// of each other count as equally old, as old as the first.
const ageSteps = 128

// forget drops the marks of bytes that are no longer in the queue.
func (h *hold) forget(q *queue) {
	gone := 0
	for gone < len(h.marks) && h.marks[gone].end <= q.head {
		gone++
	}
	h.marks = h.marks[:copy(h.marks, h.marks[gone:])]
}

// holds reports whether bytes are taken from the tty though they cannot be sent:
// to know how long they wait, or to drop them.
func (b *Bridge) holds() bool {
	return !b.remote.Up() && (b.discards() || b.cfg.StaleAfter > 0)
}

func (b *Bridge) discards() bool { return b.cfg.DiscardDown && b.down }

// readHeld does one read of the tty while there is no connection. It reports
// whether another one makes sense.
func (b *Bridge) readHeld() bool {
	if b.queue.room() < len(b.buf) {
		// The program writes faster than its bytes get old: it is blocked now, and
		// how long it is, and the rest of its bytes, counts from here.
		if b.hold.full.IsZero() {
			b.hold.full = b.clock.Now()
		}
		return b.readNote()
	}
	data, note, err := b.tty.Read(b.buf[:])
	switch {
	case errors.Is(err, ErrWouldBlock), errors.Is(err, ErrClosed):
		b.hold.full = time.Time{}
		return false
	case err != nil:
		b.owner.Failed(err)
		return false
	case note != 0:
		b.Note(note)
		return true
	}
	b.counters.FromProgram += uint64(len(data))
	b.started = b.open
	if b.discards() {
		b.counters.DroppedDown += uint64(len(data))
		return true
	}
	b.queue.stage(data)
	since := b.clock.Now()
	if !b.hold.full.IsZero() {
		since = b.hold.full // nobody knows better: they may be as old as that
	}
	b.age(since)
	return true
}

// age has the bytes that were queued last count as waiting since a time.
func (b *Bridge) age(since time.Time) {
	if b.cfg.StaleAfter <= 0 || len(b.queue.data) == 0 {
		return
	}
	h, end := &b.hold, b.queue.tail()
	if n := len(h.marks); n > 0 {
		last := &h.marks[n-1]
		if last.end == end {
			return
		}
		if since.Sub(last.since) < b.cfg.StaleAfter/ageSteps {
			last.end = end
			return
		}
	}
	h.marks = append(h.marks, mark{end, since})
	b.armStale()
}

func (b *Bridge) armStale() {
	h := &b.hold
	if h.timer != nil || len(h.marks) == 0 {
		return
	}
	left := h.marks[0].since.Add(b.cfg.StaleAfter).Sub(b.clock.Now())
	h.timer = b.clock.AfterFunc(max(left, 0), func() {
		h.timer = nil
		b.dropStale()
		b.armStale()
		b.owner.Settled() // there is room
	})
}

// dropStale drops the bytes that have waited too long.
func (b *Bridge) dropStale() {
	h, now := &b.hold, b.clock.Now()
	for len(h.marks) > 0 && now.Sub(h.marks[0].since) >= b.cfg.StaleAfter {
		n := b.queue.forgetFront(h.marks[0].end)
		b.counters.DroppedStale += uint64(n)
		h.marks = h.marks[:copy(h.marks, h.marks[1:])]
	}
}

func (b *Bridge) forgetAges() {
	b.hold.marks = b.hold.marks[:0]
	b.stopAging()
}

func (b *Bridge) stopAging() {
	b.hold.full = time.Time{}
	evloop.Cancel(&b.hold.timer)
}
