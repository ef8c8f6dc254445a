package rfc2217test

import (
	"slices"
	"sync"
	"time"
)

// Clock is the time that a UART, a Server and the devices live by.
type Clock interface {
	Now() time.Time
	// AfterFunc calls f in its own goroutine, or in that of FakeClock.Advance,
	// once d has passed.
	AfterFunc(d time.Duration, f func()) Timer
}

// Timer is a pending call of a Clock.
type Timer interface {
	// Stop prevents the call; false if it was made, or stopped, before.
	Stop() bool
}

type realClock struct{}

func (realClock) Now() time.Time { return time.Now() }

func (realClock) AfterFunc(d time.Duration, f func()) Timer { return time.AfterFunc(d, f) }

// orReal gives the real clock for a nil one.
func orReal(c Clock) Clock {
	if c == nil {
		return realClock{}
	}
	return c
}

// FakeClock is a Clock that stands still until Advance. The zero value starts
// at the zero time; it is safe for concurrent use.
type FakeClock struct {
	mu     sync.Mutex
	now    time.Time
	seq    uint64
	timers []*fakeTimer
}

type fakeTimer struct {
	clock *FakeClock
	when  time.Time
	seq   uint64 // keeps timers of the same moment in the order they were made
	f     func()
}

// NewFakeClock gives a clock that shows now.
func NewFakeClock(now time.Time) *FakeClock { return &FakeClock{now: now} }

// Now gives the clock's time.
func (c *FakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// AfterFunc registers f to be called by the Advance that reaches d from now.
func (c *FakeClock) AfterFunc(d time.Duration, f func()) Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq++
	t := &fakeTimer{clock: c, when: c.now.Add(d), seq: c.seq, f: f}
	c.timers = append(c.timers, t)
	return t
}

// Advance moves the clock by d and makes the calls that fall due, in order,
// each at its own moment; those that they register as well.
func (c *FakeClock) Advance(d time.Duration) {
	c.mu.Lock()
	end := c.now.Add(d)
	for {
		due := c.nextDueLocked(end)
		if due == nil {
			break
		}
		if due.when.After(c.now) {
			c.now = due.when
		}
		c.mu.Unlock()
		due.f()
		c.mu.Lock()
	}
	// Another Advance may have gone further meanwhile.
	if end.After(c.now) {
		c.now = end
	}
	c.mu.Unlock()
}

// Pending tells how many calls wait, so that a test can tell that the code
// under test has gone to sleep.
func (c *FakeClock) Pending() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.timers)
}

func (c *FakeClock) nextDueLocked(end time.Time) *fakeTimer {
	best := -1
	for i, t := range c.timers {
		if t.when.After(end) {
			continue
		}
		if best < 0 || t.when.Before(c.timers[best].when) ||
			t.when.Equal(c.timers[best].when) && t.seq < c.timers[best].seq {
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	t := c.timers[best]
	c.timers = slices.Delete(c.timers, best, best+1)
	return t
}

// Stop takes the timer off its clock.
func (t *fakeTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	i := slices.Index(t.clock.timers, t)
	if i < 0 {
		return false
	}
	t.clock.timers = slices.Delete(t.clock.timers, i, i+1)
	return true
}
