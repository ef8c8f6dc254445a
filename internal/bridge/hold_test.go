package bridge

import (
	"strings"
	"testing"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// newDownRig is a rig whose connection is lost.
func newDownRig(cfg Config) *rig {
	r := newRig(0)
	r.cfg = cfg
	r.lose()
	return r
}

func (r *rig) lose() {
	r.remote.up = false
	r.LinkLost()
	r.Pump()
}

func (r *rig) reconnect() {
	r.remote.up = true
	r.LinkUp()
	r.Pump()
}

// write has the program write and the loop notice it.
func (r *rig) write(text string) {
	r.program(text, 0)
	r.want()
	r.TTYReady(r.tty.wanted[0], false)
}

// TestStale: bytes go if they have waited less than StaleAfter, in order, and
// otherwise are dropped and counted, each at its own age.
func TestStale(t *testing.T) {
	r := newDownRig(Config{StaleAfter: 10 * time.Second})
	r.write("one ")
	r.clock.advance(4 * time.Second)
	r.write("two ")
	r.clock.advance(4 * time.Second)
	r.write("three ")
	r.clock.advance(4 * time.Second) // one is 12 s old, two 8, three 4
	r.reconnect()
	r.expect(t, "data two three ")
	if c := r.Counters(); c.DroppedStale != 4 || c.FromProgram != 14 {
		t.Errorf("counters %+v, want 4 of 14 stale", c)
	}
	r.clock.advance(time.Minute)
	r.write("four")
	r.expect(t, "data two three four")
	if len(r.clock.timers) != 0 {
		t.Errorf("%d timers are left", len(r.clock.timers))
	}
}

// TestStaleExactly: the limit itself is too old, what is a step younger is not.
func TestStaleExactly(t *testing.T) {
	for age, want := range map[time.Duration]uint64{10*time.Second - time.Millisecond: 0, 10 * time.Second: 3} {
		r := newDownRig(Config{StaleAfter: 10 * time.Second})
		r.write("old")
		r.clock.advance(age)
		r.reconnect()
		if got := r.Counters().DroppedStale; got != want {
			t.Errorf("after %v %d bytes are stale, want %d", age, got, want)
		}
	}
}

// TestStaleOverTwoOutages: what a short connection did not take has waited since
// before it.
func TestStaleOverTwoOutages(t *testing.T) {
	r := newDownRig(Config{StaleAfter: 10 * time.Second})
	r.write("old")
	r.clock.advance(6 * time.Second)
	r.remote.blocked = true
	r.reconnect()
	r.clock.advance(2 * time.Second)
	r.lose()
	r.clock.advance(2 * time.Second)
	r.remote.blocked = false
	r.reconnect()
	r.expect(t)
	if got := r.Counters().DroppedStale; got != 3 {
		t.Errorf("%d bytes are stale, want 3", got)
	}
}

// TestNoStale: with 0 bytes wait in the tty, where they block the program, and
// all of them go.
func TestNoStale(t *testing.T) {
	r := newDownRig(Config{})
	r.write("kept")
	r.clock.advance(24 * time.Hour)
	if len(r.tty.waiting) != 4 || r.tty.wanted[0] {
		t.Errorf("%d bytes are in the tty and reading is wanted: %v", len(r.tty.waiting), r.tty.wanted[0])
	}
	r.reconnect()
	r.expect(t, "data kept")
}

// TestStaleIsBounded: a program that writes more than the queue takes is blocked,
// and what it has written behind a full queue counts as old as that.
func TestStaleIsBounded(t *testing.T) {
	r := newDownRig(Config{StaleAfter: 10 * time.Second})
	r.tty.chunk = 4095
	r.write(strings.Repeat("x", 100<<10))
	r.TTYReady(true, false)
	if n := r.Queued(); n > maxStaged || r.tty.wanted[0] {
		t.Errorf("%d bytes are queued; reading is wanted: %v", n, r.tty.wanted[0])
	}
	r.clock.advance(11 * time.Second)
	r.reconnect()
	r.expect(t)
	if c := r.Counters(); c.DroppedStale != 100<<10 {
		t.Errorf("%d bytes are stale, want all", c.DroppedStale)
	}
	if r.hold.marks = r.hold.marks[:0]; cap(r.hold.marks) > 2*ageSteps {
		t.Errorf("room for %d marks", cap(r.hold.marks))
	}
}

// TestDiscardWhileDown drops at once what is written during an outage, and only
// then: not before the first connection, not when nobody wants one.
func TestDiscardWhileDown(t *testing.T) {
	r := newRig(0)
	r.cfg.DiscardDown, r.cfg.StaleAfter = true, time.Hour
	r.remote.up = false
	r.write("first ")
	r.reconnect()
	r.lose()
	r.write("lost")
	r.clock.advance(time.Second)
	r.reconnect()
	r.write("second ")
	r.lose()
	r.LinkUnwanted()
	r.write("third")
	r.reconnect()
	r.expect(t, "data first second third")
	if got := r.Counters().DroppedDown; got != 4 {
		t.Errorf("%d bytes dropped, want 4", got)
	}
}

// TestDiscardTakesWhatWaited when the connection is lost.
func TestDiscardTakesWhatWaited(t *testing.T) {
	r := newRig(time.Second)
	r.cfg.DiscardDown = true
	r.program("a", 0)
	r.Pump()
	r.program("bc", 19200) // older than the change, which waits until the UART is done
	r.Pump()
	r.lose()
	r.reconnect()
	r.expect(t, "data abc")
	r.program("de", 0)
	r.remote.blocked = true
	r.Pump()
	r.lose()
	r.remote.blocked = false
	r.reconnect()
	if got := r.Counters().DroppedDown; got != 2 {
		t.Errorf("%d bytes dropped, want 2", got)
	}
}

// TestSettingsWhileDown are noticed while bytes are held.
func TestSettingsWhileDown(t *testing.T) {
	r := newDownRig(Config{StaleAfter: 10 * time.Second})
	r.program("bytes", 19200)
	r.TTYReady(r.tty.wanted[0], false)
	if len(r.owner.notes) != 1 {
		t.Errorf("%d notes, want 1", len(r.owner.notes))
	}
	if r.Queued() != 5 {
		t.Errorf("%d bytes are held, want 5", r.Queued())
	}
}

// TestFlushUnsent drops what was written before the flush, and nothing that came
// after it.
func TestFlushUnsent(t *testing.T) {
	r := newRig(0)
	r.program("a", 0)
	r.Pump()
	r.remote.blocked = true
	r.program("old", 19200) // staged in front of the change
	r.Pump()
	r.program("new", 0)
	r.tty.note = 1
	r.owner.onNoted = r.FlushUnsent
	r.Pump()
	r.remote.blocked = false
	r.Pump()
	r.expect(t, "data a", comport.SetBaudRate{Rate: 19200}.String(), "data new")
	if got := r.Counters().FlushedUnsent; got != 3 {
		t.Errorf("%d bytes flushed, want 3", got)
	}
}

// TestLossWhileSending: the connection may end in the very call that sends bytes
// which waited, and what is dropped then has nothing to do with those that were
// given to it.
func TestLossWhileSending(t *testing.T) {
	for name, drop := range map[string]func(*rig){
		"discarded":         func(r *rig) { r.cfg.DiscardDown = true; r.lose() },
		"dropped at hangup": func(r *rig) { r.lose(); r.DropUnsent() },
	} {
		t.Run(name, func(t *testing.T) {
			r := newDownRig(Config{StaleAfter: time.Minute})
			r.write(strings.Repeat("x", 3*readSize/2)) // goes in two pieces
			r.remote.onSend = func() { drop(r) }
			r.reconnect()
			c := r.Counters()
			if dropped := c.DroppedDown + c.DroppedUnsent; dropped != readSize/2 || r.Queued() != 0 {
				t.Errorf("%d bytes are counted as dropped, %d wait; want %d and 0: %d were sent",
					dropped, r.Queued(), readSize/2, readSize)
			}
			r.remote.onSend, r.remote.log, r.cfg.DiscardDown = nil, nil, false
			r.reconnect()
			r.write("next")
			r.expect(t, "data next")
		})
	}
}

// TestDiscardSync: what waits in the tty when something is asked for is dropped as the
// rest is.
func TestDiscardSync(t *testing.T) {
	r := newDownRig(Config{DiscardDown: true})
	r.program("lost", 0)
	r.Sync()
	r.reconnect()
	r.expect(t)
	if c := r.Counters(); c.DroppedDown != 4 || c.FromProgram != 4 {
		t.Errorf("counters %+v, want 4 of 4 dropped", c)
	}
}
