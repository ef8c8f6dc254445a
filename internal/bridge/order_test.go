package bridge

import (
	"testing"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

var (
	dtrOn  = comport.SetControl{Control: comport.ControlDTROn}
	dtrOff = comport.SetControl{Control: comport.ControlDTROff}
	brkOn  = comport.SetControl{Control: comport.ControlBreakOn}
)

// TestOrders leave in their places among bytes and settings, each of them, also
// where two cancel each other out.
func TestOrders(t *testing.T) {
	r := newRig(0)
	r.remote.blocked = true
	var sent []bool
	done := func(ok bool) { sent = append(sent, ok) }
	r.tty.waiting = []byte("before ")
	r.Sync()
	r.Order(done, dtrOn)
	r.Order(done, dtrOff)
	r.Change(speed(19200))
	r.Order(nil, dtrOn, dtrOff)
	r.tty.waiting = []byte("after")
	r.Pump()
	if len(sent) > 0 {
		t.Errorf("done before it was sent: %v", sent)
	}
	r.remote.blocked = false
	r.Pump()
	r.expect(t, "data before ", dtrOn.String(), dtrOff.String(), comport.SetBaudRate{Rate: 19200}.String(),
		dtrOn.String(), dtrOff.String(), "data after")
	if len(sent) != 2 || !sent[0] || !sent[1] {
		t.Errorf("done with %v", sent)
	}
}

// TestOrderOfABreak waits for the characters that it would spoil; a line does not.
func TestOrderOfABreak(t *testing.T) {
	r := newRig(time.Second)
	r.program("0123456789", 0) // 10.4 ms at 9600 bit/s
	r.Pump()
	r.Order(nil, dtrOn)
	r.Order(nil, brkOn)
	r.expect(t, "data 0123456789", dtrOn.String())
	r.clock.advance(11 * time.Millisecond)
	r.expect(t, "data 0123456789", dtrOn.String(), brkOn.String())
}

// TestOrderIsLost with its connection, and that is told.
func TestOrderIsLost(t *testing.T) {
	r := newRig(0)
	r.remote.blocked = true
	told := 0
	r.Order(func(ok bool) {
		told++
		if ok {
			t.Error("told that it was sent")
		}
	}, dtrOn)
	r.lose()
	r.remote.blocked = false
	r.reconnect()
	r.expect(t)
	if told != 1 {
		t.Errorf("told %d times", told)
	}
}

// TestOrdersAreBounded.
func TestOrdersAreBounded(t *testing.T) {
	r := newRig(0)
	r.remote.blocked = true
	n := 0
	for r.Order(nil, dtrOn) {
		if n++; n > maxChanges {
			t.Fatal("orders without end")
		}
	}
	r.Change(speed(300))
	if got := len(r.queue.changes); got > maxChanges+1 {
		t.Errorf("%d changes wait", got)
	}
}

// TestFlushKeepsOrders: a flush of output drops bytes, not edges.
func TestFlushKeepsOrders(t *testing.T) {
	r := newRig(0)
	r.remote.blocked = true
	r.tty.waiting = []byte("a")
	r.Sync()
	r.Order(nil, dtrOn)
	r.Change(speed(300))
	r.tty.waiting = []byte("b")
	r.Sync()
	r.Change(speed(600))
	r.Order(nil, dtrOff)
	r.oldEnd = r.queue.tail()
	r.FlushUnsent()
	r.remote.blocked = false
	r.Pump()
	r.expect(t, dtrOn.String(), comport.SetBaudRate{Rate: 600}.String(), dtrOff.String())
}
