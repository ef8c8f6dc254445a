package bridge

import "testing"

func TestDropFromCountsWhatTheOldOneHolds(t *testing.T) {
	r := newRig(0)
	r.remote.up = false
	r.tty.waiting = []byte("never read")
	r.tty.chunk = 3
	next := &fakeTTY{waiting: []byte("kept")}
	r.SetTTY(next)
	if n := r.DropFrom(r.tty); n != 10 {
		t.Errorf("%d bytes were lost, want 10", n)
	}
	if c := r.Counters(); c.DroppedUnsent != 10 || c.FromProgram != 10 {
		t.Errorf("counted %+v, want 10 bytes taken and dropped", c)
	}
	if got := string(next.waiting); got != "kept" {
		t.Errorf("the new tty holds %q", got)
	}
}

// A program that goes on writing keeps nobody from ending the port.
func TestDropUnsentEnds(t *testing.T) {
	r := newRig(0)
	r.remote.up = false
	r.tty.waiting = []byte("x")
	r.tty.onRead = func() { r.tty.waiting = []byte("x") }
	n := r.DropUnsent()
	if n == 0 || r.Counters().DroppedUnsent != uint64(n) {
		t.Errorf("%d bytes dropped, %d counted", n, r.Counters().DroppedUnsent)
	}
}
