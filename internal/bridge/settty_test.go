package bridge

import "testing"

func TestSetTTYCountsWhatTheOldOneHolds(t *testing.T) {
	r := newRig(0)
	r.remote.up = false
	r.tty.waiting = []byte("never read")
	r.tty.chunk = 3
	next := &fakeTTY{waiting: []byte("kept")}
	if n := r.Bridge.SetTTY(next); n != 10 {
		t.Errorf("%d bytes were lost, want 10", n)
	}
	if c := r.Bridge.Counters(); c.DroppedUnsent != 10 || c.FromProgram != 10 {
		t.Errorf("counted %+v, want 10 bytes taken and dropped", c)
	}
	if got := string(next.waiting); got != "kept" {
		t.Errorf("the new tty holds %q", got)
	}
}
