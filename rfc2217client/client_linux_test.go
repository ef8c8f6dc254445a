package rfc2217client_test

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/vcomd/vcomd/internal/evloop"
	rc "github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// patience bounds what waits for something real; nothing takes that long.
const patience = 20 * time.Second

// liveRig is a Client on the real loop, connected over loopback.
type liveRig struct {
	*rc.Client
	port
	t    *testing.T
	loop *evloop.Loop
	seen chan string // what Connected and Disconnected say
	data chan []byte
}

func startLive(t *testing.T, server *rfc2217test.Server, protocol rc.Protocol) *liveRig {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	host, portNumber, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	loop, err := evloop.New()
	if err != nil {
		t.Fatal(err)
	}
	// Not the test's own context: that one has ended when the cleanup runs.
	ctx, cancel := context.WithCancel(context.Background())
	r := &liveRig{t: t, loop: loop, seen: make(chan string, 64), data: make(chan []byte, 4096)}
	r.onConnected = func(m rc.Mode) { r.seen <- "connected " + m.String() }
	r.onDisconnected = func(error) { r.seen <- "disconnected" }
	r.onReceived = func(b []byte) int {
		r.data <- bytes.Clone(b)
		return len(b)
	}
	r.Client = rc.New(rc.Config{
		Remote:   rc.Remote{Protocol: protocol, Host: host, Port: portNumber},
		RetryMin: time.Millisecond, RetryMax: 10 * time.Millisecond,
	}, loop, &r.port)
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := server.Serve(ctx, ln); err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	wg.Go(func() {
		if err := loop.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(func() {
		r.do(r.Stop)
		cancel()
		wg.Wait()
		if err := loop.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return r
}

func (r *liveRig) do(f func()) {
	done := make(chan struct{})
	r.loop.Post(func() { f(); close(done) })
	<-done
}

func (r *liveRig) wait(want string) {
	r.t.Helper()
	r.waitPast("", want)
}

// waitPast is wait, but any number of other things may come first.
func (r *liveRig) waitPast(other, want string) {
	r.t.Helper()
	for timeout := time.After(patience); ; {
		select {
		case got := <-r.seen:
			if got == other {
				continue
			}
			if got != want {
				r.t.Errorf("%q, want %q", got, want)
			}
			return
		case <-timeout:
			r.t.Fatalf("%q did not come", want)
		}
	}
}

// TestLoopback: all byte values to an echo on the line and back, through a real
// socket on the real loop, more than the buffers hold.
func TestLoopback(t *testing.T) {
	for _, protocol := range []rc.Protocol{rc.ProtocolRFC2217, rc.ProtocolTelnet, rc.ProtocolRaw} {
		t.Run(protocol.String(), func(t *testing.T) {
			server := &rfc2217test.Server{
				Raw:  protocol == rc.ProtocolRaw,
				UART: &rfc2217test.UART{Unpaced: true, JournalOff: true, Device: rfc2217test.NewEcho()},
			}
			r := startLive(t, server, protocol)
			want := bytes.Repeat(append(allBytes(), 255, 255, '\r', 0), 1000)
			rest := want
			pump := func() {
				for !r.Blocked() && len(rest) > 0 {
					n := min(4096, len(rest))
					r.Send(rest[:n])
					rest = rest[n:]
				}
			}
			r.do(func() { r.onSendable = pump; r.Start() })
			mode := map[rc.Protocol]string{rc.ProtocolRFC2217: "rfc2217", rc.ProtocolTelnet: "telnet", rc.ProtocolRaw: "raw"}[protocol]
			r.wait("connected " + mode)
			var got []byte
			for timeout := time.After(patience); len(got) < len(want); {
				select {
				case b := <-r.data:
					got = append(got, b...)
				case <-timeout:
					t.Fatalf("%d of %d bytes came back", len(got), len(want))
				}
			}
			if !bytes.Equal(got, want) {
				t.Error("what came back differs from what was sent")
			}
		})
	}
}

// TestLoopbackReconnects: after the server has closed the connection, the next
// one carries settings and data as the first did.
func TestLoopbackReconnects(t *testing.T) {
	server := &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}}
	r := startLive(t, server, rc.ProtocolRFC2217)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r.do(func() {
		connected := r.onConnected
		r.onConnected = func(m rc.Mode) {
			r.Request(rate19200)
			connected(m)
		}
		r.Start()
	})
	for range 3 {
		r.wait("connected rfc2217")
		if err := server.Port().WaitFor(ctx, func(s rfc2217test.Snapshot) bool { return s.State.BaudRate == 19200 }); err != nil {
			t.Fatalf("the setting did not arrive: %v", err)
		}
		server.Disconnect()
		r.wait("disconnected")
	}
	r.wait("connected rfc2217")
}

// TestLoopbackReset: a reset by the server while data is under way.
func TestLoopbackReset(t *testing.T) {
	server := &rfc2217test.Server{
		UART:   &rfc2217test.UART{Unpaced: true, JournalOff: true},
		Faults: rfc2217test.Faults{ResetAfter: 100_000},
	}
	r := startLive(t, server, rc.ProtocolRFC2217)
	r.do(func() {
		r.onSendable = func() {
			for !r.Blocked() {
				r.Send(bytes.Repeat([]byte{'x'}, 4096))
			}
		}
		r.Start()
	})
	for range 3 {
		// The server may still be busy with the connection that it has reset.
		r.waitPast("disconnected", "connected rfc2217")
		r.wait("disconnected")
	}
}

// TestNobodyListens: a refused connection is an error that retries.
func TestNobodyListens(t *testing.T) {
	server := &rfc2217test.Server{}
	r := startLive(t, server, rc.ProtocolRFC2217)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, closed, err := net.SplitHostPort(ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	c := rc.New(rc.Config{
		Remote:   rc.Remote{Host: "127.0.0.1", Port: closed},
		RetryMin: time.Millisecond, RetryMax: time.Millisecond,
	}, r.loop, &r.port)
	r.do(c.Start)
	r.wait("disconnected")
	r.wait("disconnected")
	r.do(c.Stop)
}
