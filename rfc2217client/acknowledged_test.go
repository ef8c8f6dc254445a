package rfc2217client_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	rc "github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// What is told of acknowledgements: those of newest requests, with the time since these.
func TestAcknowledged(t *testing.T) {
	const ack9600, ack19200 = "ff fa 2c 65 00 00 25 80 ff f0", "ff fa 2c 65 00 00 4b 00 ff f0"
	for _, tt := range []struct {
		name string
		do   func(t *testing.T, r *rig)
		want []string
	}{
		{"at once", func(t *testing.T, r *rig) {
			t.Helper()
			r.Request(r.now, rate9600)
			r.feed(unhex(t, ack9600))
		}, []string{"SET-BAUDRATE 0s"}},
		{"late", func(t *testing.T, r *rig) {
			t.Helper()
			r.Request(r.now, rate9600)
			r.pass(300 * time.Millisecond)
			r.feed(unhex(t, ack9600))
		}, []string{"SET-BAUDRATE 300ms"}},
		{"another value counts, too", func(t *testing.T, r *rig) {
			t.Helper()
			r.Request(r.now, rate9600)
			r.feed(unhex(t, ack19200))
		}, []string{"SET-BAUDRATE 0s"}},
		{"the newest of two", func(t *testing.T, r *rig) {
			t.Helper()
			r.Request(r.now, rate9600)
			r.pass(200 * time.Millisecond)
			r.Request(r.now, rate19200)
			r.pass(100 * time.Millisecond)
			r.feed(unhex(t, ack9600))
			r.pass(100 * time.Millisecond)
			r.feed(unhex(t, ack19200))
		}, []string{"SET-BAUDRATE 200ms"}},
		{"sent again: since it was asked", func(t *testing.T, r *rig) {
			t.Helper()
			r.Request(r.now, rate9600)
			r.pass(1200 * time.Millisecond)
			r.feed(unhex(t, ack9600))
			r.feed(unhex(t, ack9600))
		}, []string{"SET-BAUDRATE 1.2s"}},
		{"while it could not be sent: since it was asked", func(t *testing.T, r *rig) {
			t.Helper()
			r.Request(r.now, rate9600)
			r.now = r.now.Add(500 * time.Millisecond)
			r.Underway(r.now, rc.Everything)
			r.pass(500 * time.Millisecond)
			r.feed(unhex(t, ack9600))
		}, []string{"SET-BAUDRATE 1s"}},
		{"each kind by itself", func(t *testing.T, r *rig) {
			t.Helper()
			r.Request(r.now, rate9600, comport.SetDataSize{Size: 7})
			r.feed(unhex(t, "ff fa 2c 66 07 ff f0"))
			r.feed(unhex(t, ack9600))
		}, []string{"SET-DATASIZE 0s", "SET-BAUDRATE 0s"}},
		{"nobody asked", func(t *testing.T, r *rig) {
			t.Helper()
			r.feed(unhex(t, ack9600))
		}, nil},
		{"never", func(t *testing.T, r *rig) {
			t.Helper()
			r.Request(r.now, rate9600)
			r.pass(5 * time.Second)
			r.feed(unhex(t, ack9600))
		}, nil},
		{"a line", func(t *testing.T, r *rig) {
			t.Helper()
			r.Request(r.now, comport.SetControl{Control: comport.ControlDTROn})
			r.feed(unhex(t, "ff fa 2c 69 08 ff f0"))
		}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got []string
			r := connected(t, rc.SessionConfig{Acknowledged: func(c comport.Command, latency time.Duration) {
				got = append(got, fmt.Sprint(c, " ", latency))
			}})
			tt.do(t, r)
			if !slices.Equal(got, tt.want) {
				t.Errorf("told %q, want %q", got, tt.want)
			}
		})
	}
}

// A request whose acknowledgement another process waits for goes on counting.
func TestAcknowledgedAfterAHandover(t *testing.T) {
	r := connected(t, rc.SessionConfig{})
	r.Request(r.now, rate9600)
	r.sent()
	var got []time.Duration
	s, err := rc.RestoreSession(rc.SessionConfig{Acknowledged: func(_ comport.Command, latency time.Duration) { got = append(got, latency) }}, r.Save())
	if err != nil {
		t.Fatal(err)
	}
	s.Receive(r.now.Add(700*time.Millisecond), unhex(t, "ff fa 2c 65 00 00 25 80 ff f0"))
	if want := []time.Duration{700 * time.Millisecond}; !slices.Equal(got, want) {
		t.Errorf("told %v, want %v", got, want)
	}
}
