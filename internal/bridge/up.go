package bridge

import (
	"errors"
	"time"

	"github.com/vcomd/vcomd/internal/evloop"
	"github.com/vcomd/vcomd/termiosmirror"
)

// maxReads bounds how often Pump reads before it lets others have the loop.
const maxReads = 64

// Pump moves what it can from the tty to the remote. It is also to be called
// when the remote is no longer blocked.
func (b *Bridge) Pump() {
	for range maxReads {
		next := b.readNote
		switch {
		case b.send():
			next = b.read
		case b.holds():
			next = b.readHeld
		}
		if !next() {
			break
		}
	}
	// What the last turn has queued goes now, if it can: while something is
	// queued the tty is not waited for.
	b.send()
	b.want()
}

// send sends what is queued. It reports whether all of it went and the remote
// takes more.
func (b *Bridge) send() bool {
	for {
		if !b.remote.Up() || b.remote.Blocked() {
			return false
		}
		due, data := b.queue.next()
		switch {
		case due != nil:
			if !b.apply(*due) {
				return false
			}
		case len(data) > 0:
			n := min(len(data), len(b.buf), b.allowed())
			if n == 0 {
				return false
			}
			// Out of the queue first: should this lose the connection, what waits may be
			// dropped, and new bytes may take its place.
			n = copy(b.buf[:], data[:n])
			b.queue.popData(n)
			b.sendData(b.buf[:n])
		default:
			return b.allowed() > 0
		}
	}
}

// apply carries out a change. It reports false if that has to wait until the
// remote UART has sent what came before.
func (b *Bridge) apply(c change) bool {
	plan := termiosmirror.Plan(c.order)
	if c.order == nil {
		plan = termiosmirror.Diff(c.want, b.remote.Effective())
	}
	if plan.Disturbs() && b.settling() {
		return false
	}
	// Before the request: should that lose the connection, all changes are
	// forgotten.
	b.stopSettling()
	b.queue.popChange()
	if len(plan) > 0 {
		b.remote.Request(plan...)
	}
	if c.done != nil {
		c.done(true)
	}
	return true
}

// settling reports whether the remote UART is still sending, by line-time
// arithmetic, and has Pump called when it is not or has had time enough.
func (b *Bridge) settling() bool {
	now := b.clock.Now()
	if b.settleUntil.IsZero() {
		limit := now.Add(b.cfg.Settle)
		b.settleUntil = b.busyUntil
		if limit.Before(b.busyUntil) {
			b.settleUntil = limit
		}
	}
	left := b.settleUntil.Sub(now)
	if left <= 0 {
		return false
	}
	if b.settleTimer == nil {
		b.settleTimer = b.clock.AfterFunc(left, func() {
			b.settleTimer = nil
			b.owner.Settled()
		})
	}
	return true
}

func (b *Bridge) stopSettling() {
	b.settleUntil = time.Time{}
	evloop.Cancel(&b.settleTimer)
}

func (b *Bridge) sendData(p []byte) {
	if b.cfg.Settle > 0 {
		if t := termiosmirror.LineTime(len(p), b.remote.Effective()); t > 0 {
			if now := b.clock.Now(); b.busyUntil.Before(now) {
				b.busyUntil = now
			}
			b.busyUntil = b.busyUntil.Add(t)
		}
	}
	b.sent(len(p))
	b.remote.Send(p)
}

// read does one read of the tty, whose bytes may be sent at once. It reports
// whether another one makes sense.
func (b *Bridge) read() bool {
	size := len(b.buf)
	if n := b.allowed(); n < size {
		size = max(1+n, minRead)
	}
	data, note, err := b.tty.Read(b.buf[:size])
	switch {
	case errors.Is(err, ErrWouldBlock), errors.Is(err, ErrClosed):
		b.idle()
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
	if !b.queue.empty() {
		// Reading them has found a change (see TTY) that goes first. Both go with
		// the next turn of Pump: nothing else would call for them.
		b.queue.stage(data)
		return true
	}
	b.sendData(data)
	// While a program has the tty open, a short read says that there was no more,
	// and if more has come since then the loop calls again. It does not when the
	// tty is closed: then only ErrClosed is the end.
	return !b.open || len(data) >= size-1
}

// minRead is the least that a TTY is to be read with: a byte of its own, and one.
const minRead = 2

// readNote looks for a note while bytes cannot be sent. It reports whether there
// was one.
func (b *Bridge) readNote() bool {
	note, err := b.tty.ReadNote()
	if err != nil {
		b.owner.Failed(err)
		return false
	}
	if note == 0 {
		return false
	}
	b.Note(note)
	return true
}

// Note handles what a program did. A tty tells of it before the bytes that wait
// with it, whichever came first. Once bytes have been read since the open, the
// waiting ones are taken to be older than the change, else newer: that is what
// programs do (write then tcsetattr; open, tcsetattr, write).
func (b *Bridge) Note(n Note) {
	at := b.queue.tail()
	b.oldEnd = at
	if b.remote.Up() && b.started {
		n |= b.stageWaiting()
		at = b.queue.tail()
	}
	b.deliver(n, at)
}

// deliver has the owner handle notes, whose changes belong at a place among the
// bytes.
func (b *Bridge) deliver(n Note, at uint64) {
	if n == 0 {
		return
	}
	b.noting, b.noteAt = true, at
	b.owner.Noted(n)
	b.noting = false
}

// stageWaiting takes what waits in the tty into the queue, and returns the notes
// met on the way.
func (b *Bridge) stageWaiting() (notes Note) {
	for b.queue.room() >= len(b.buf) {
		data, note, err := b.tty.Read(b.buf[:])
		if err != nil {
			// An error other than "nothing there" is met again by Pump.
			return notes
		}
		notes |= note
		b.counters.FromProgram += uint64(len(data))
		if b.discards() {
			b.counters.DroppedDown += uint64(len(data))
			continue
		}
		b.queue.stage(data)
		if !b.remote.Up() {
			b.age(b.clock.Now())
		}
	}
	return notes
}
