// Package looptest is a loop without descriptors: what runs on an evloop.Loop
// runs on it inside a testing/synctest bubble, where time is the test's.
package looptest

import (
	"context"
	"net"
	"time"

	"github.com/vcomd/vcomd/internal/evloop"
)

// Loop runs posted functions one at a time. Use New.
type Loop struct {
	posted chan func()
}

// New returns a Loop that does nothing until Run.
func New() *Loop { return &Loop{posted: make(chan func(), 1024)} }

// Run runs the loop until ctx ends.
func (l *Loop) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case f := <-l.posted:
			f()
		}
	}
}

// Do runs f on the loop and waits for it.
func (l *Loop) Do(f func()) {
	done := make(chan struct{})
	l.Post(func() { f(); close(done) })
	<-done
}

// Post has f called on the loop.
func (l *Loop) Post(f func()) { l.posted <- f }

// Now returns the time, the bubble's in a bubble.
func (l *Loop) Now() time.Time { return time.Now() }

// AfterFunc has f called on the loop after d.
func (l *Loop) AfterFunc(d time.Duration, f func()) evloop.Timer {
	t := &timer{}
	t.timer = time.AfterFunc(d, func() {
		l.Post(func() {
			if !t.stopped {
				t.stopped = true
				f()
			}
		})
	})
	return t
}

type timer struct {
	timer   *time.Timer
	stopped bool // loop only: stopped or fired
}

func (t *timer) Stop() bool {
	was := !t.stopped
	t.stopped = true
	t.timer.Stop()
	return was
}

// Attach drives c from the loop.
func (l *Loop) Attach(c net.Conn) (evloop.Stream, error) { return evloop.NewConnStream(l, c), nil }
