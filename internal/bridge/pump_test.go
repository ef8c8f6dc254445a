package bridge

import "testing"

// A program that changes its settings as fast as it is listened to must not
// leave the last turn's bytes queued: the tty is not waited for while they are.
func TestPumpLeavesNothingQueued(t *testing.T) {
	r := newRig(0)
	r.program("a", 0)
	r.Pump() // bytes have been sent since the open
	rate := uint32(1000)
	r.remote.onRequest = func() {
		rate++
		r.program("b", rate)
	}
	r.program("b", rate)
	r.Pump()
	r.remote.onRequest = nil
	if n := r.Queued(); n != 0 {
		t.Errorf("%d bytes are queued, and nothing will call for them", n)
	}
	if !r.tty.wanted[0] {
		t.Error("the tty is not waited for any more")
	}
}

// What the last program left goes at once when the remote takes it.
func TestClosedSendsWhatItQueues(t *testing.T) {
	r := newRig(0)
	r.program("left behind", 0)
	r.Closed()
	if n := r.Queued(); n != 0 {
		t.Errorf("%d bytes are queued though the remote takes them", n)
	}
	r.expect(t, "data left behind")
}
