package rfc2217client_test

import (
	"testing"
	"time"

	rc "github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/telnet"
)

var (
	suspend = told(comport.FlowControlSuspend{})
	resume  = told(comport.FlowControlResume{})
)

func TestSuspend(t *testing.T) {
	for name, bytes := range map[string][2][]byte{
		"codes 108 and 109":           {suspend, resume},
		"the client's codes, 8 and 9": {unhex(t, "ff fa 2c 08 ff f0"), unhex(t, "ff fa 2c 09 ff f0")},
	} {
		t.Run(name, func(t *testing.T) {
			r := connected(t, rc.SessionConfig{})
			r.Request(r.now, rate9600)
			r.wantSent("SET-BAUDRATE 9600")
			r.feed(bytes[0], bytes[0])
			r.wantSeen("suspended")
			if r.Ready() || !r.Suspended() {
				t.Error("ready for data while suspended")
			}
			r.Request(r.now, comport.SetDataSize{Size: 7})
			r.Request(r.now, comport.SetParity{Parity: comport.ParityOdd})
			// Time does not count: the server has asked for silence.
			r.pass(time.Minute)
			r.wantSent()
			r.wantSeen()
			if got := r.feed([]byte("still comes in")); got != "still comes in" {
				t.Errorf("data %q while suspended", got)
			}
			r.feed(bytes[1], bytes[1])
			r.wantSeen("resumed")
			r.wantSent("SET-DATASIZE 7", "SET-PARITY odd")
			if !r.Ready() {
				t.Error("not ready after RESUME")
			}
			// What was held is repeated a second after it has left, not before.
			r.pass(rc.AckResend - time.Nanosecond)
			r.wantSent()
			r.pass(time.Nanosecond)
			r.wantSent("SET-BAUDRATE 9600", "SET-DATASIZE 7", "SET-PARITY odd")
		})
	}
}

// TestSuspendIsBounded: what does not fit is dropped whole, counted, and not
// taken for the state of the server.
func TestSuspendIsBounded(t *testing.T) {
	r := connected(t, rc.SessionConfig{})
	r.feed(suspend)
	const tries = 10_000
	for i := range tries {
		r.Request(r.now, comport.SetBaudRate{Rate: uint32(1 + i)})
	}
	r.feed(resume)
	if n := len(r.Output()); n == 0 || n > rc.MaxHeld {
		t.Errorf("%d bytes were held, want at most %d", n, rc.MaxHeld)
	}
	sent := len(r.sent())
	if dropped := r.Counters().DroppedRequests; dropped+uint64(sent) != tries {
		t.Errorf("%d sent and %d dropped of %d", sent, dropped, tries)
	}
	if got := r.Effective().BaudRate; got != uint32(sent) {
		t.Errorf("effective %d, want the last one sent, %d", got, sent)
	}
}

// TestSuspendEndsWithComPort: nobody could send RESUME any more.
func TestSuspendEndsWithComPort(t *testing.T) {
	r := connected(t, rc.SessionConfig{})
	r.feed(suspend)
	r.Request(r.now, rate9600)
	r.feed(say(telnet.DONT, telnet.ComPort))
	r.wantSeen("suspended", "resumed", "mode telnet: it withdrew COM-PORT")
	if !r.Ready() {
		t.Error("not ready")
	}
	r.wantSent("WONT COM-PORT")
}

// TestSuspendDuringNegotiation holds this end when the negotiation is over.
func TestSuspendDuringNegotiation(t *testing.T) {
	r := newRig(t, rc.SessionConfig{})
	r.feed(suspend)
	r.pass(time.Minute)
	if r.Mode() != rc.ModeTelnet || r.Ready() {
		t.Errorf("mode %v, ready %v", r.Mode(), r.Ready())
	}
	r.feed(resume)
	if !r.Ready() {
		t.Error("not ready after RESUME")
	}
}

var (
	purgeRx   = comport.PurgeData{What: comport.PurgeReceive}
	purgeTx   = comport.PurgeData{What: comport.PurgeTransmit}
	purgeBoth = comport.PurgeData{What: comport.PurgeBoth}
)

// TestPurgeDiscards what is older than the flush: until its acknowledgement, on a
// server that was seen to send one.
func TestPurgeDiscards(t *testing.T) {
	type step struct {
		after time.Duration
		do    comport.Message // this end's request
		from  string          // data from the server, or
		ack   comport.Message
		data  string // what is received of it
	}
	tests := []struct {
		name  string
		acked bool
		steps []step
		lost  uint64
	}{
		{"until the acknowledgement", true, []step{
			{do: purgeRx}, {from: "old"}, {ack: purgeRx}, {from: "new", data: "new"},
		}, 3},
		{"both", true, []step{{do: purgeBoth}, {from: "old"}, {ack: purgeBoth}, {from: "new", data: "new"}}, 3},
		{"output only", true, []step{{do: purgeTx}, {from: "kept", data: "kept"}}, 0},
		{"half a second at most", true, []step{
			{do: purgeRx}, {after: rc.PurgeTimeout - 1, from: "old"}, {after: 1, from: "new", data: "new"}, {from: "er", data: "er"},
		}, 3},
		{"not before an acknowledgement was seen", false, []step{
			{do: purgeRx}, {from: "kept", data: "kept"}, {ack: purgeRx}, {do: purgeRx}, {from: "old"}, {ack: purgeRx}, {from: "new", data: "new"},
		}, 3},
		{"the answer to an older one does not count", true, []step{
			{do: purgeTx}, {do: purgeRx}, {from: "old"}, {ack: purgeTx}, {from: "er"}, {ack: purgeRx}, {from: "new", data: "new"},
		}, 5},
		{"an answer that says another buffer", true, []step{
			{do: purgeRx}, {from: "old"}, {ack: purgeBoth}, {from: "new", data: "new"},
		}, 3},
		{"a server that stopped to answer", true, []step{
			{do: purgeRx},
			{after: time.Minute, from: "new", data: "new"},
			{do: purgeRx},
			{from: "old"},
			{after: rc.PurgeTimeout, from: "new", data: "new"},
			{do: purgeRx},
			{from: "old"},
			{ack: purgeRx},
			{from: "new", data: "new"},
		}, 6},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := connected(t, rc.SessionConfig{PurgeAcked: tt.acked})
			for i, s := range tt.steps {
				r.pass(s.after)
				switch {
				case s.do != nil:
					r.Request(r.now, s.do)
				case s.ack != nil:
					r.feed(told(s.ack))
				default:
					if got := r.feed([]byte(s.from)); got != s.data {
						t.Errorf("step %d: %q is received as %q, want %q", i, s.from, got, s.data)
					}
				}
			}
			if c := r.Counters(); c.PurgedBytes != tt.lost {
				t.Errorf("%d bytes counted as purged, want %d", c.PurgedBytes, tt.lost)
			}
		})
	}
}

// TestPurgeInOneRead: data before the acknowledgement is older, data after it is
// not, also in one read.
func TestPurgeInOneRead(t *testing.T) {
	r := connected(t, rc.SessionConfig{PurgeAcked: true})
	r.Request(r.now, purgeRx)
	wire := append(append([]byte("old"), told(purgeRx)...), "new"...)
	if got := r.feed(wire); got != "new" {
		t.Errorf("received %q, want %q", got, "new")
	}
	if !r.PurgeAcked() {
		t.Error("the acknowledgement was not noted")
	}
}
