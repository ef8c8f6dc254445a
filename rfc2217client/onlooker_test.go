package rfc2217client_test

import (
	"bytes"
	"context"
	"net"
	"strings"
	"testing"
	"time"

	rc "github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// TestReconnect: at once, whatever the pause would be, and never counted as a failure.
func TestReconnect(t *testing.T) {
	// A server each: one and the same may not have noticed yet that the client has gone,
	// and then it is in use.
	dial := func(r *clientRig) dialer {
		return func(ctx context.Context, n int) (net.Conn, error) {
			return serve(&rfc2217test.Server{})(r)(ctx, n)
		}
	}
	inBubble(t, rc.Config{Tries: 1, RetryMin: time.Hour, RetryMax: time.Hour}, dial, func(r *clientRig) {
		r.do(func() {
			if r.Reconnect() {
				t.Error("there was something to do before Start")
			}
		})
		r.do(r.Start)
		for n := 2; n <= 4; n++ {
			r.sleep(time.Minute)
			r.do(func() {
				if !r.Up() || !r.Reconnect() {
					t.Fatalf("no connection before the %dth", n)
				}
			})
			r.sleep(time.Minute)
			if dials := r.dialTimes(); len(dials) != n {
				t.Fatalf("%d dials, want %d", len(dials), n)
			}
		}
		r.do(func() {
			if want := "disconnected: " + rc.ErrReconnect.Error(); !strings.Contains(strings.Join(r.log, "\n"), want) {
				t.Errorf("the handler was told %q, want %q", r.log, want)
			}
		})
	})
}

// TestReconnectWhileDialing: a try that hangs is given up, and what it brings is closed.
func TestReconnectWhileDialing(t *testing.T) {
	server := &rfc2217test.Server{}
	dial := func(r *clientRig) dialer {
		up := serve(server)(r)
		return func(ctx context.Context, n int) (net.Conn, error) {
			if n == 1 {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			return up(ctx, n)
		}
	}
	inBubble(t, rc.Config{RetryMin: time.Hour, RetryMax: time.Hour}, dial, func(r *clientRig) {
		r.do(r.Start)
		r.sleep(time.Second)
		r.do(func() { r.Reconnect() })
		r.sleep(time.Second)
		r.do(func() {
			if !r.Up() {
				t.Error("there is no connection")
			}
		})
	})
}

// TestReconnectDuringAPause ends it.
func TestReconnectDuringAPause(t *testing.T) {
	inBubble(t, rc.Config{RetryMin: time.Hour, RetryMax: time.Hour}, refuse, func(r *clientRig) {
		r.do(r.Start)
		r.sleep(time.Minute)
		r.do(func() { r.Reconnect() })
		r.sleep(time.Second)
		if dials := r.dialTimes(); len(dials) != 2 {
			t.Errorf("dials at %v, want two", dials)
		}
	})
}

// TestWatch: the wire's bytes, and the trace besides the one that is there always; only
// while somebody watches, and each connection with its number.
func TestWatch(t *testing.T) {
	var always []string
	cfg := rc.Config{Trace: func(e rc.TraceEntry) { always = append(always, e.Text+string(e.Data)) }}
	inBubble(t, cfg, serve(&rfc2217test.Server{}), func(r *clientRig) {
		var seen []string
		wire := make(map[uint64]map[rc.Direction][]byte)
		watch := func() {
			r.Watch(func(e rc.TraceEntry) { seen = append(seen, e.Text+string(e.Data)) }, func(w rc.Wire) {
				if wire[w.Connection] == nil {
					wire[w.Connection] = make(map[rc.Direction][]byte)
				}
				wire[w.Connection][w.Direction] = append(wire[w.Connection][w.Direction], w.Data...)
			})
		}
		r.do(func() { watch(); r.Start() })
		r.sleep(time.Second)
		r.do(func() {
			r.Request(comport.SetBaudRate{Rate: 4800})
			r.Send([]byte("plain"))    // goes around the encoder
			r.Send([]byte("\xffmore")) // does not
		})
		r.sleep(time.Second)
		r.do(func() {
			want := "\xff\xfa\x2c\x01\x00\x00\x12\xc0\xff\xf0plain\xff\xffmore"
			if sent := wire[1][rc.Sent]; !bytes.HasPrefix(sent, []byte("\xff\xfb\x2c")) || !bytes.HasSuffix(sent, []byte(want)) {
				t.Errorf("sent % x, want % x in the end", sent, want)
			}
			if got := wire[1][rc.Received]; !bytes.Contains(got, []byte("\xff\xfa\x2c\x65\x00\x00\x12\xc0\xff\xf0")) {
				t.Errorf("received % x", got)
			}
			if strings.Join(seen, "\n") != strings.Join(always, "\n") || len(seen) == 0 {
				t.Errorf("seen %q, and always %q", seen, always)
			}
			n := len(seen)
			r.Watch(nil, nil)
			r.Send([]byte("unseen"))
			if len(seen) != n || bytes.Contains(wire[1][rc.Sent], []byte("unseen")) {
				t.Error("it is told after its end")
			}
			if always[len(always)-1] != "unseen" {
				t.Error("the trace that is there always has ended, too")
			}
			watch()
			r.Reconnect()
		})
		r.sleep(time.Second)
		r.do(func() {
			if !bytes.HasPrefix(wire[2][rc.Sent], []byte("\xff\xfb\x2c")) || bytes.HasPrefix(wire[1][rc.Sent], []byte("unseen")) {
				t.Errorf("the second connection: % x", wire[2][rc.Sent])
			}
		})
	})
}
