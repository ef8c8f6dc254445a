package bridge

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// sentAt is when each byte of a text left.
func sentAt(r *rig) *[]time.Duration {
	var (
		times []time.Duration
		begin = r.clock.now
		seen  int
	)
	r.remote.onSend = func() {
		n := 0
		for _, l := range r.remote.log {
			if len(l) > 5 && l[:5] == "data " {
				n += len(l) - 5
			}
		}
		for ; seen < n; seen++ {
			times = append(times, r.clock.now.Sub(begin))
		}
	}
	return &times
}

// TestPace: a burst leaves as the line carries it, each character when the one
// before it would be through. The times are bits over speed, by hand.
func TestPace(t *testing.T) {
	for name, tt := range map[string]struct {
		line comport.State
		char time.Duration
	}{
		"9600-8N1": {comport.State{BaudRate: 9600, DataSize: 8, Parity: comport.ParityNone, StopSize: comport.StopSize1}, time.Second * 10 / 9600},
		"9600-7E2": {comport.State{BaudRate: 9600, DataSize: 7, Parity: comport.ParityEven, StopSize: comport.StopSize2}, time.Second * 11 / 9600},
		"300-8N1":  {comport.State{BaudRate: 300, DataSize: 8, Parity: comport.ParityNone, StopSize: comport.StopSize1}, time.Second * 10 / 300},
		"50-5N1.5": {comport.State{BaudRate: 50, DataSize: 5, Parity: comport.ParityNone, StopSize: comport.StopSize15}, time.Second * 15 / 100},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(0)
			r.cfg.Pace = func() comport.State { return tt.line }
			times := sentAt(r)
			const text = "twenty characters..."
			r.write(text)
			r.clock.advance(time.Minute)
			if len(*times) != len(text) {
				t.Fatalf("%d bytes left, want %d", len(*times), len(text))
			}
			for i, at := range *times {
				want := time.Duration(i) * tt.char
				if d := at - want; d < -time.Microsecond*20 || d > time.Microsecond*20 {
					t.Errorf("byte %d left at %v, want %v", i, at, want)
				}
			}
		})
	}
}

// TestPaceLateTimers: timers that are always a little late neither have characters
// leave together nor slow the line down.
func TestPaceLateTimers(t *testing.T) {
	r := newRig(0)
	r.clock.late = 150 * time.Microsecond
	line := comport.State{BaudRate: 9600, DataSize: 8, Parity: comport.ParityNone, StopSize: comport.StopSize1}
	r.cfg.Pace = func() comport.State { return line }
	times := sentAt(r)
	r.write(strings.Repeat("x", 97))
	r.clock.advance(time.Minute)
	if len(*times) != 97 {
		t.Fatalf("%d bytes left, want 97", len(*times))
	}
	for i := 1; i < 97; i++ {
		if gap := (*times)[i] - (*times)[i-1]; gap < 800*time.Microsecond {
			t.Fatalf("byte %d left %v after the one before it", i, gap)
		}
	}
	if took := (*times)[96]; took > 101*time.Millisecond { // 96 characters take 100 ms
		t.Errorf("the last byte left after %v", took)
	}
}

// TestPaceFast: where a timer is too coarse for one character, a few leave
// together, and the rate is right.
func TestPaceFast(t *testing.T) {
	r := newRig(0)
	line := comport.State{BaudRate: 115200, DataSize: 8, Parity: comport.ParityNone, StopSize: comport.StopSize1}
	r.cfg.Pace = func() comport.State { return line }
	times := sentAt(r)
	r.tty.waiting = make([]byte, 11520) // one second
	r.TTYReady(true, false)
	for range 2000 {
		r.clock.advance(time.Millisecond)
		r.TTYReady(r.tty.wanted[0], false)
	}
	if len(*times) != 11520 {
		t.Fatalf("%d bytes left", len(*times))
	}
	for i, at := range *times {
		due := time.Duration(i) * time.Second / 11520
		if d := due - at; d < -time.Millisecond || d > paceQuantum {
			t.Fatalf("byte %d left at %v, due at %v", i, at, due)
		}
	}
}

// TestPaceAfterIdleness: time in which nothing was to be sent is not made up for.
func TestPaceAfterIdleness(t *testing.T) {
	for _, rate := range []uint32{9600, 115200} {
		t.Run(strconv.Itoa(int(rate)), func(t *testing.T) {
			r := newRig(0)
			line := comport.State{BaudRate: rate, DataSize: 8, Parity: comport.ParityNone, StopSize: comport.StopSize1}
			r.cfg.Pace = func() comport.State { return line }
			times := sentAt(r)
			r.write("ab")
			r.clock.advance(10 * time.Second)
			r.write(strings.Repeat("c", 1000))
			r.clock.advance(time.Second)
			if len(*times) != 2+min(1000, int(rate)/10) {
				t.Fatalf("%d bytes left", len(*times))
			}
			for i, at := range (*times)[2:] {
				due := 10*time.Second + time.Duration(i)*10*time.Second/time.Duration(rate)
				if due-at > paceQuantum {
					t.Fatalf("byte %d after the silence left at %v, due at %v", i, at, due)
				}
			}
		})
	}
}

// TestPaceWithoutSpeed does not hold bytes that nobody knows the speed of.
func TestPaceWithoutSpeed(t *testing.T) {
	r := newRig(0)
	r.cfg.Pace = func() comport.State { return comport.State{} }
	r.write("at once")
	r.expect(t, "data at once")
}

// TestPaceLate: what a late timer has missed is made up for, within bounds.
func TestPaceLate(t *testing.T) {
	r := newRig(0)
	line := comport.State{BaudRate: 9600, DataSize: 8, Parity: comport.ParityNone, StopSize: comport.StopSize1}
	r.cfg.Pace = func() comport.State { return line }
	times := sentAt(r)
	r.tty.waiting = make([]byte, 500)
	r.TTYReady(true, false)
	r.clock.now = r.clock.now.Add(100 * time.Millisecond) // no processor for so long
	r.pace.timer.Stop()
	r.pace.timer = nil
	r.Pump()
	late := 0
	for _, at := range *times {
		if at == 100*time.Millisecond {
			late++
		}
	}
	// 20 ms and the quantum of 2 ms at 960 characters a second.
	if late < 19 || late > 23 {
		t.Errorf("%d bytes left together after 100 ms, want about 21", late)
	}
}
