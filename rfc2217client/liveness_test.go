package rfc2217client

import (
	"net"
	"testing"
	"time"

	"github.com/vcomd/vcomd/internal/evloop"
)

func TestKeepAlive(t *testing.T) {
	for deadAfter, want := range map[time.Duration]net.KeepAliveConfig{
		30 * time.Second:       {Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 4},
		6 * time.Second:        {Enable: true, Idle: 2 * time.Second, Interval: time.Second, Count: 4},
		500 * time.Millisecond: {Enable: true, Idle: time.Second, Interval: time.Second, Count: 4},
	} {
		if got := KeepAlive(deadAfter); got != want {
			t.Errorf("%v gives %+v, want %+v", deadAfter, got, want)
		}
	}
}

// TestSilence follows connections through what the kernel says of them, and finds
// when they are dead.
func TestSilence(t *testing.T) {
	const deadAfter = 30 * time.Second
	type sight struct {
		at     time.Duration
		health evloop.Health
		left   time.Duration
	}
	for name, sights := range map[string][]sight{
		"idle for ever": {
			{0, evloop.Health{SinceAck: time.Hour}, deadAfter},
			{time.Hour, evloop.Health{SinceAck: 2 * time.Hour}, deadAfter},
		},
		"idle, then output: idleness is no silence": {
			{0, evloop.Health{SinceAck: time.Hour, Unacknowledged: 1}, deadAfter},
			{5 * time.Second, evloop.Health{SinceAck: time.Hour, Unacknowledged: 1}, 25 * time.Second},
			{30 * time.Second, evloop.Health{SinceAck: time.Hour, Unacknowledged: 1}, 0},
		},
		"slow, but alive": {
			{0, evloop.Health{SinceAck: time.Second, Unacknowledged: 1000}, deadAfter},
			{60 * time.Second, evloop.Health{SinceAck: 3 * time.Second, Unacknowledged: 900}, 27 * time.Second},
			{90 * time.Second, evloop.Health{SinceAck: time.Second, Unacknowledged: 900}, 29 * time.Second},
		},
		"acknowledged in between": {
			{0, evloop.Health{SinceAck: 0, Unacknowledged: 10}, deadAfter},
			{20 * time.Second, evloop.Health{SinceAck: 20 * time.Second}, deadAfter},
			{25 * time.Second, evloop.Health{SinceAck: 25 * time.Second, Unacknowledged: 10}, deadAfter},
		},
		"window closed: heard of at long intervals, and alive": {
			{0, evloop.Health{SinceAck: 0, Unacknowledged: 10, Held: true}, deadAfter},
			{119 * time.Second, evloop.Health{SinceAck: 119 * time.Second, Unacknowledged: 10, Held: true}, deadAfter},
			{120 * time.Second, evloop.Health{SinceAck: 120 * time.Second, Unacknowledged: 10, Held: true, Unanswered: 1}, 29 * time.Second},
			{121 * time.Second, evloop.Health{SinceAck: 0, Unacknowledged: 10, Held: true}, deadAfter},
		},
		"window closed, then gone": {
			{0, evloop.Health{SinceAck: 0, Unacknowledged: 10, Held: true}, deadAfter},
			{5 * time.Second, evloop.Health{SinceAck: 5 * time.Second, Unacknowledged: 10, Held: true}, deadAfter},
			{15 * time.Second, evloop.Health{SinceAck: 15 * time.Second, Unacknowledged: 10, Held: true, Unanswered: 2}, 20 * time.Second},
			{35 * time.Second, evloop.Health{SinceAck: 35 * time.Second, Unacknowledged: 10, Held: true, Unanswered: 5}, 0},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var w watch
			begin := time.Unix(1000, 0)
			for _, s := range sights {
				if left, _ := w.silence(begin.Add(s.at), s.health, deadAfter); left != s.left {
					t.Errorf("at %v with %+v it has %v left, want %v", s.at, s.health, left, s.left)
				}
			}
		})
	}
}
