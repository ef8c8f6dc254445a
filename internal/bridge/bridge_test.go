package bridge

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// What programs do: write then tcsetattr; open, tcsetattr, write.
func TestOrder(t *testing.T) {
	for _, c := range []struct {
		name string
		do   func(r *rig)
		want []string
	}{
		{"bytes alone", func(r *rig) { r.program("abc", 0) }, []string{"data abc"}},
		{"settings first after the open", func(r *rig) { r.program("abc", 19200) }, []string{"SET-BAUDRATE 19200", "data abc"}},
		{"bytes of this opening are older", func(r *rig) {
			r.program("first ", 0)
			r.Pump()
			r.program("old", 19200)
		}, []string{"data first old", "SET-BAUDRATE 19200"}},
		{"the next opening begins anew", func(r *rig) {
			r.program("first ", 0)
			r.Pump()
			r.Closed()
			r.Opened()
			r.program("new", 19200)
		}, []string{"data first ", "SET-BAUDRATE 19200", "data new"}},
		{"settings already in force", func(r *rig) { r.program("abc", 9600) }, []string{"data abc"}},
		{"two changes without bytes are one", func(r *rig) {
			r.remote.blocked = true
			r.program("", 19200)
			r.Pump()
			r.program("", 38400)
			r.Pump()
			r.remote.blocked = false
		}, []string{"SET-BAUDRATE 38400"}},
		{"pieces of any size", func(r *rig) {
			r.tty.chunk = 1
			r.tty.closed = true
			r.program("a", 0)
			r.Pump()
			r.program("bcdef", 19200)
		}, []string{"data abcdef", "SET-BAUDRATE 19200"}},
		{"found while reading", func(r *rig) {
			r.program("abc", 0)
			r.tty.onRead = func() { r.Change(speed(300)) }
		}, []string{"SET-BAUDRATE 300", "data abc"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(0)
			c.do(r)
			r.Pump()
			r.expect(t, c.want...)
			if n := r.Queued(); n != 0 {
				t.Errorf("%d bytes are still queued", n)
			}
		})
	}
}

// Changes keep their places among bytes that cannot be sent yet.
func TestChangesAmongQueuedBytes(t *testing.T) {
	r := newRig(0)
	r.program("0", 0)
	r.Pump()
	r.remote.blocked = true
	r.program("one", 1000)
	r.Pump()
	r.program("two", 2000)
	r.Pump()
	r.program("", 3000)
	r.Pump()
	r.program("three", 0)
	r.Pump()
	r.expect(t, "data 0")
	if r.tty.wanted[0] {
		t.Error("the tty is read on although the remote is blocked")
	}
	r.remote.blocked = false
	r.Pump()
	r.expect(t, "data 0one", "SET-BAUDRATE 1000", "data two", "SET-BAUDRATE 3000", "data three")
	if !r.tty.wanted[0] {
		t.Error("the tty is not read any more")
	}
}

// However much a program writes and changes while nothing can be sent, what is
// held is bounded, and the rest stays in the tty.
func TestQueueIsBounded(t *testing.T) {
	r := newRig(0)
	r.program("x", 0)
	r.Pump()
	r.remote.blocked = true
	const rounds, piece = 1000, 1000
	for i := range rounds {
		r.program(strings.Repeat("y", piece), uint32(i+1))
		r.Pump()
	}
	if n := r.Queued(); n > maxStaged {
		t.Errorf("%d bytes are queued, want at most %d", n, maxStaged)
	}
	if n := len(r.queue.changes); n > maxChanges {
		t.Errorf("%d changes wait, want at most %d", n, maxChanges)
	}
	r.remote.blocked = false
	for len(r.tty.waiting) > 0 || r.Queued() > 0 {
		r.Pump()
	}
	sent := 0
	for _, l := range r.remote.log {
		if data, ok := strings.CutPrefix(l, "data "); ok {
			sent += len(data)
		}
	}
	if want := 1 + rounds*piece; sent != want {
		t.Errorf("%d bytes were sent, want %d", sent, want)
	}
	if got := r.remote.effective.BaudRate; got != rounds {
		t.Errorf("the speed at the end is %d, want the last one asked for, %d", got, rounds)
	}
	if got := r.Counters().FromProgram; got != 1+rounds*piece {
		t.Errorf("FromProgram is %d, want %d", got, 1+rounds*piece)
	}
}

// A character of 8N1 is ten bits: at 9600 bit/s 96 of them take 100 ms.
func TestSettle(t *testing.T) {
	for _, c := range []struct {
		name   string
		settle time.Duration
		bytes  int
		later  time.Duration // between the bytes and the change
		want   time.Duration // until the change leaves
	}{
		{"off", 0, 96, 0, 0},
		{"line time", time.Second, 96, 0, 100 * time.Millisecond},
		{"part of it is over", time.Second, 96, 60 * time.Millisecond, 40 * time.Millisecond},
		{"all of it is over", time.Second, 96, 100 * time.Millisecond, 0},
		{"capped", 30 * time.Millisecond, 960, 0, 30 * time.Millisecond},
		{"nothing was sent", time.Second, 0, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(c.settle)
			r.program(strings.Repeat("z", c.bytes), 0)
			r.Pump()
			r.clock.advance(c.later)
			r.program("", 19200)
			r.Pump()
			if c.want > 0 {
				r.clock.advance(c.want - time.Nanosecond)
				if r.remote.effective.BaudRate != 9600 {
					t.Fatal("the speed changed while the UART was still sending")
				}
				if r.tty.wanted[0] {
					t.Error("bytes are read although a change waits before them")
				}
				r.clock.advance(time.Nanosecond)
			}
			if r.remote.effective.BaudRate != 19200 {
				t.Error("the speed did not change in time")
			}
			if n := len(r.clock.timers); n != 0 {
				t.Errorf("%d timers are left", n)
			}
		})
	}
}

// Bytes behind a change that settles wait with it, and a flow control change,
// which spoils nothing, waits for nothing.
func TestSettleKeepsOrderAndOnlyWhereNeeded(t *testing.T) {
	r := newRig(time.Second)
	r.program(strings.Repeat("a", 96), 0)
	r.Pump()
	r.program("", 19200)
	r.Pump()
	r.program("behind", 0)
	r.Pump()
	r.expect(t, "data "+strings.Repeat("a", 96))
	r.clock.advance(100 * time.Millisecond)
	r.expect(t, "data "+strings.Repeat("a", 96), "SET-BAUDRATE 19200", "data behind")

	r = newRig(time.Second)
	r.program(strings.Repeat("a", 96), 0)
	r.Pump()
	r.Change(comport.State{Outbound: comport.ControlFlowHardware})
	r.Pump()
	if n := len(r.remote.log); n != 2 {
		t.Errorf("flow control waited for the line: %s", lines(r.remote.log))
	}
}

// The second of two changes does not wait again for the same bytes, and the cap
// counts from the first.
func TestSettleOnce(t *testing.T) {
	r := newRig(time.Second)
	r.program(strings.Repeat("a", 96), 0)
	r.Pump()
	r.program("", 19200)
	r.Pump()
	r.clock.advance(50 * time.Millisecond)
	r.program("", 38400) // in place of the one that waits
	r.Pump()
	r.clock.advance(50 * time.Millisecond)
	r.expect(t, "data "+strings.Repeat("a", 96), "SET-BAUDRATE 38400")
}

// When the connection is lost, what was to change is forgotten (all is set anew
// on the next one), and what was written waits.
func TestLinkLost(t *testing.T) {
	r := newRig(time.Second)
	r.program(strings.Repeat("a", 96), 0)
	r.Pump()
	r.program("", 19200)
	r.Pump()
	r.program("later", 0)
	r.Pump()
	r.remote.up = false
	r.remote.log = nil
	r.LinkLost()
	if len(r.clock.timers) != 0 {
		t.Error("the settle goes on without a connection")
	}
	r.clock.advance(time.Minute)
	r.expect(t)
	r.remote.up = true
	r.remote.effective = speed(19200) // by the replay
	r.Pump()
	r.expect(t, "data later")
}

// While there is no connection a program blocks: nothing is read.
func TestNothingIsReadWithoutConnection(t *testing.T) {
	r := newRig(0)
	r.remote.up = false
	r.program("waits", 19200)
	r.Pump()
	if string(r.tty.waiting) != "waits" || r.Queued() != 0 || r.tty.wanted[0] {
		t.Errorf("read without a connection: %q left, %d queued, wanted %v", r.tty.waiting, r.Queued(), r.tty.wanted)
	}
	if len(r.owner.notes) != 1 {
		t.Errorf("%d notes were told, want 1: settings are followed all the same", len(r.owner.notes))
	}
}

// The connection may be lost inside any call of the remote.
func TestLinkLostInside(t *testing.T) {
	lose := func(r *rig) func() {
		return func() {
			if r.remote.up {
				r.remote.up = false
				r.LinkLost()
			}
		}
	}
	t.Run("Send", func(t *testing.T) {
		r := newRig(time.Second)
		r.remote.onSend = lose(r)
		r.program("abc", 0)
		r.Pump()
		r.program("def", 0)
		r.Pump()
		r.expect(t, "data abc")
		if string(r.tty.waiting) != "def" {
			t.Errorf("%q waits, want def", r.tty.waiting)
		}
	})
	t.Run("Send of queued bytes", func(t *testing.T) {
		r := newRig(0)
		r.program("0", 0)
		r.Pump()
		r.remote.blocked = true
		r.program("one", 1000)
		r.Pump()
		r.remote.blocked = false
		r.remote.onSend = lose(r)
		r.program("two", 0)
		r.Pump()
		r.remote.onSend = nil
		r.remote.up = true
		r.Pump()
		r.expect(t, "data 0onetwo")
	})
	t.Run("Request", func(t *testing.T) {
		r := newRig(0)
		r.remote.onRequest = lose(r)
		r.program("abc", 19200)
		r.Pump()
		r.expect(t, "SET-BAUDRATE 19200")
		r.remote.onRequest = nil
		r.remote.up = true
		r.Pump()
		r.expect(t, "SET-BAUDRATE 19200", "data abc")
	})
}

// A slow remote is not given more than it takes.
func TestBackPressureUp(t *testing.T) {
	r := newRig(0)
	r.remote.takes = 1
	r.tty.chunk = 4095
	r.program(strings.Repeat("x", 10_000), 0)
	r.Pump()
	if n := len(r.tty.waiting); n != 10_000-4095 {
		t.Errorf("%d bytes wait in the tty, want %d", n, 10_000-4095)
	}
	if r.tty.wanted[0] {
		t.Error("the tty is read on")
	}
	r.remote.takes, r.remote.blocked = -1, false
	for range 3 { // a short read ends a Pump: the loop calls again
		r.TTYReady(true, false)
	}
	if n := len(r.tty.waiting); n != 0 {
		t.Errorf("%d bytes wait in the tty, want none", n)
	}
}

// A slow program is not given more than it takes, and the rest is asked for when
// it has room.
func TestBackPressureDown(t *testing.T) {
	r := newRig(0)
	r.tty.room = 3
	if n := r.Received([]byte("abcdef")); n != 3 {
		t.Errorf("Received took %d, want 3", n)
	}
	if !r.tty.wanted[1] {
		t.Error("nobody waits for room in the tty")
	}
	r.tty.room = 10
	r.TTYReady(false, true)
	if r.remote.resumed != 1 {
		t.Errorf("Resume was called %d times, want 1", r.remote.resumed)
	}
	if r.tty.wanted[1] {
		t.Error("room is waited for although there is some")
	}
	if got := r.Counters().ToProgram; got != 3 {
		t.Errorf("ToProgram is %d, want 3", got)
	}
}

// What comes while the port is closed is dropped and counted, as is what the
// last program did not take.
func TestClosed(t *testing.T) {
	r := newRig(0)
	r.tty.room = 0
	if n := r.Received([]byte("abc")); n != 0 {
		t.Errorf("Received took %d, want 0", n)
	}
	r.remote.unread = 3
	r.Closed()
	if r.tty.wanted[1] {
		r.want()
	}
	if n := r.Received([]byte("defg")); n != 4 {
		t.Errorf("Received took %d of a closed port, want all 4", n)
	}
	if got := r.Counters().DroppedClosed; got != 7 {
		t.Errorf("DroppedClosed is %d, want 7", got)
	}
	if len(r.tty.got) != 0 {
		t.Errorf("the tty has %q", r.tty.got)
	}
	r.Opened()
	r.tty.room = 10
	r.Received([]byte("new"))
	if string(r.tty.got) != "new" {
		t.Errorf("the next program has %q, want new", r.tty.got)
	}
}

func TestFlushReceived(t *testing.T) {
	r := newRig(0)
	r.tty.room = 0
	r.Received([]byte("abc"))
	r.remote.unread = 3
	r.FlushReceived()
	if got := r.Counters().DroppedFlush; got != 3 {
		t.Errorf("DroppedFlush is %d, want 3", got)
	}
}

// Nothing that was dropped is sent later, wherever it waited.
func TestDropUnsent(t *testing.T) {
	r := newRig(0)
	r.program("0", 0)
	r.Pump()
	r.remote.blocked = true
	r.program("queued", 1000)
	r.Pump()
	r.program("behind a note", 2000)
	if n, want := r.DropUnsent(), len("queued")+len("behind a note"); n != want {
		t.Errorf("DropUnsent dropped %d, want %d", n, want)
	}
	r.remote.blocked = false
	r.Pump()
	r.expect(t, "data 0", "SET-BAUDRATE 2000")
	c := r.Counters()
	if c.DroppedUnsent != 19 || c.FromProgram != 20 {
		t.Errorf("counted %+v, want 19 of 20 dropped", c)
	}
}

// A tty that fails is told of, and nothing spins.
func TestBrokenTTY(t *testing.T) {
	broken := errors.New("broken")
	r := newRig(0)
	r.tty.broken = broken
	r.Pump()
	if n := r.Received([]byte("abc")); n != 3 {
		t.Errorf("Received took %d, want all: nobody will ever take it", n)
	}
	r.remote.blocked = true
	r.Pump()
	if len(r.owner.failed) != 3 {
		t.Errorf("failed %d times, want once for each call", len(r.owner.failed))
	}
	for _, err := range r.owner.failed {
		if !errors.Is(err, broken) {
			t.Errorf("the reason is %v", err)
		}
	}
	if n := r.DropUnsent(); n != 0 {
		t.Errorf("DropUnsent dropped %d", n)
	}
}

// Another tty takes the place of the first, and what waits goes on waiting.
func TestSetTTY(t *testing.T) {
	r := newRig(0)
	r.program("0", 0)
	r.Pump()
	r.remote.blocked = true
	r.program("old tty ", 1000)
	r.Pump()
	next := &fakeTTY{room: 100, waiting: []byte("new tty")}
	r.SetTTY(next)
	r.remote.blocked = false
	r.Pump()
	r.expect(t, "data 0old tty ", "SET-BAUDRATE 1000", "data new tty")
}
