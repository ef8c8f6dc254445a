package rfc2217client

import (
	"cmp"
	"fmt"
	"net"
	"time"

	"github.com/vcomd/vcomd/internal/evloop"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// DefaultDeadAfter is how long a connection without a sign of life is kept.
const DefaultDeadAfter = 30 * time.Second

// keepAliveProbes are sent, deadAfter/6 apart, when deadAfter/3 have passed in
// silence: together deadAfter.
const keepAliveProbes = 4

// KeepAlive is how the kernel watches an idle connection, so that one whose peer
// is gone without a word ends after deadAfter (tcp(7); in whole seconds, at least
// 1 each).
func KeepAlive(deadAfter time.Duration) net.KeepAliveConfig {
	deadAfter = cmp.Or(deadAfter, DefaultDeadAfter)
	seconds := func(d time.Duration) time.Duration {
		return max(d.Round(time.Second), time.Second)
	}
	return net.KeepAliveConfig{
		Enable: true, Idle: seconds(deadAfter / 3), Interval: seconds(deadAfter / 6), Count: keepAliveProbes,
	}
}

// watch finds out that a connection is dead whose output waits, when keepalive is
// silent. Not by TCP_USER_TIMEOUT: that also ends a healthy connection whose peer
// does not read.
type watch struct {
	timer   evloop.Timer
	waiting time.Time // since when output was seen unacknowledged; zero: it was not
	heard   time.Time // when something was received
	any     bool      // something was
	probed  time.Time // when a Probe was sent that is not answered; zero: there is none
	answers bool      // the server answers a Probe
	mute    bool      // it did not, in this connection
}

// minWatch bounds how often a connection is looked at.
const minWatch = 10 * time.Millisecond

func (c *Client) startWatch() {
	c.watch = watch{heard: c.loop.Now(), answers: c.watch.answers}
	first := c.cfg.DeadAfter / 6
	if c.cfg.Probe > 0 {
		first = min(first, c.cfg.Probe)
	}
	c.armWatch(first)
}

func (c *Client) armWatch(after time.Duration) {
	c.watch.timer = c.loop.AfterFunc(max(after, minWatch), func() {
		c.watch.timer = nil
		c.look()
	})
}

// event sees the answers to a Probe.
func (w *watch) event(ev Event) {
	if _, ok := ev.Message.(comport.SetBaudRate); ok && ev.Kind == EventReport && !w.probed.IsZero() {
		w.probed, w.answers = time.Time{}, true
	}
}

// look looks for signs of life.
func (c *Client) look() {
	now := c.loop.Now()
	next := c.cfg.DeadAfter / 6
	health, isTCP := c.stream.Health()
	if isTCP {
		left, silent := c.watch.silence(now, health, c.cfg.DeadAfter)
		if left <= 0 {
			c.drop(fmt.Errorf("%w: it has acknowledged nothing for %v", ErrSilent, silent.Round(100*time.Millisecond)))
			return
		}
		next = min(next, left)
	}
	if c.cfg.Probe > 0 && c.up {
		left, err := c.probe(now, health)
		if err != nil {
			c.drop(err)
			return
		}
		if c.stream == nil {
			return
		}
		next = min(next, left)
	}
	c.armWatch(next)
}

// silence returns how long the peer has acknowledged nothing of what waits for
// it, and how long it has left. One that has closed its window lives as long as it
// answers the kernel's probes, however long that is.
func (w *watch) silence(now time.Time, h evloop.Health, deadAfter time.Duration) (left, silent time.Duration) {
	if h.Unacknowledged == 0 {
		w.waiting = time.Time{}
		return deadAfter, 0
	}
	if w.waiting.IsZero() || h.Held && h.Unanswered == 0 {
		w.waiting = now // what came before was idleness, or is answered for
	}
	silent = now.Sub(w.waiting)
	if !h.Held {
		silent = min(silent, h.SinceAck)
	}
	return deadAfter - silent, silent
}

// probe asks a silent server something, if it is time, and returns when to call
// again. Only a server that has answered before is dead when it does not.
func (c *Client) probe(now time.Time, h evloop.Health) (left time.Duration, err error) {
	w := &c.watch
	if w.mute || c.session.Mode() != ModeComPort {
		return c.cfg.Probe, nil
	}
	if w.probed.IsZero() {
		if left = c.cfg.Probe - now.Sub(w.heard); left > 0 {
			return left, nil
		}
		if c.unread == nil && len(c.session.Output()) == 0 && c.session.Probe() {
			w.probed = now
			c.flush()
		}
		return c.cfg.DeadAfter / 6, nil
	}
	if h.Unacknowledged > 0 || c.unread != nil || c.session.Suspended() {
		w.probed = now // the question has not arrived, or the answer is not being read
	}
	if left = c.cfg.DeadAfter - now.Sub(w.probed); left > 0 {
		return left, nil
	}
	if w.answers {
		return 0, fmt.Errorf("%w: it has not answered for %v", ErrSilent, c.cfg.DeadAfter)
	}
	w.mute, w.probed = true, time.Time{}
	c.session.ProbeLost()
	c.handler.Event(Event{Kind: EventUnanswered, Request: comport.SetBaudRate{}})
	return c.cfg.Probe, nil
}
