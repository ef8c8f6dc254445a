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
		"window closed: probed every 40 s, and answered": {
			{0, evloop.Health{SinceAck: 0, Unacknowledged: 10, ProbeInterval: 40 * time.Second}, 70 * time.Second},
			{39 * time.Second, evloop.Health{SinceAck: 39 * time.Second, Unacknowledged: 10, ProbeInterval: 40 * time.Second}, 31 * time.Second},
			{69 * time.Second, evloop.Health{SinceAck: 69 * time.Second, Unacknowledged: 10, ProbeInterval: 40 * time.Second}, time.Second},
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
