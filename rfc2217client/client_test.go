package rfc2217client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	rc "github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
	"github.com/vcomd/vcomd/rfc2217client/telnet"
)

// TestConnect: up, a setting and data arrive, data comes back, Stop ends it.
func TestConnect(t *testing.T) {
	server := &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}}
	inBubble(t, rc.Config{}, serve(server), func(r *clientRig) {
		r.onConnected = func(rc.Mode) { r.Request(rate19200) }
		r.do(r.Start)
		r.wantLog("connected rfc2217", "NOTIFY-MODEMSTATE DCD|DSR|CTS", "told SET-BAUDRATE 19200 for SET-BAUDRATE 19200")
		r.do(func() {
			if !r.Up() || r.Mode() != rc.ModeComPort || r.Blocked() {
				t.Errorf("up %v, mode %v, blocked %v", r.Up(), r.Mode(), r.Blocked())
			}
			r.Send([]byte("to the line\xff"))
		})
		if got := string(server.Port().Sent()); got != "to the line\xff" {
			t.Errorf("the line got %q", got)
		}
		server.Port().Receive([]byte("from the line\xff"))
		if got := at(r, func() string { return string(r.received) }); got != "from the line\xff" {
			t.Errorf("received %q", got)
		}
		if got := server.Port().State().BaudRate; got != 19200 {
			t.Errorf("the server is at %d", got)
		}
		r.do(r.Stop)
		r.wantLog("disconnected: stopped")
		r.do(func() {
			if r.Up() || r.Mode() != rc.ModeNegotiating || !r.Blocked() || r.retries[0] >= 0 {
				t.Errorf("after Stop: up %v, mode %v, blocked %v, retry %v", r.Up(), r.Mode(), r.Blocked(), r.retries[0])
			}
			c := r.Counters()
			if c.BytesSent != 12 || c.BytesReceived != 14 {
				t.Errorf("counters after Stop: %+v", c)
			}
		})
		r.sleep(time.Hour)
		if n := len(r.dialTimes()); n != 1 {
			t.Errorf("%d dials, want 1", n)
		}
	})
}

// TestReplayBeforeData: all that Connected requests leaves before any data, also
// when it comes in several requests and data waits already.
func TestReplayBeforeData(t *testing.T) {
	for _, remote := range []rc.Remote{{Protocol: rc.ProtocolRFC2217}, {Protocol: rc.ProtocolTelnet}, {Protocol: rc.ProtocolRaw}} {
		t.Run(remote.Protocol.String(), func(t *testing.T) {
			var server script
			inBubble(t, rc.Config{Remote: remote}, server.dial, func(r *clientRig) {
				waiting := []byte("data")
				pump := func() {
					if !r.Blocked() && len(waiting) > 0 {
						r.Send(waiting)
						waiting = nil
					}
				}
				r.onConnected = func(rc.Mode) {
					r.Request(rate9600)
					pump()
					r.Request(comport.SetDataSize{Size: 7})
					pump()
				}
				r.onSendable, r.onEvent = pump, func(rc.Event) { pump() }
				r.do(r.Start)
				far := server.last()
				var want []string
				switch remote.Protocol {
				case rc.ProtocolRFC2217:
					want = append(strings.Split(opening, ", "), "SET-BAUDRATE 9600", "SET-DATASIZE 7")
					far.say(t, agree())
				case rc.ProtocolTelnet:
					want = strings.Split(opening, ", ")[1:]
					far.say(t, agree()[3:])
				case rc.ProtocolRaw:
				}
				want = append(want, `"data"`)
				if got := far.take(t); !slices.Equal(got, want) {
					t.Errorf("the server got %q, want %q", got, want)
				}
			})
		})
	}
}

// TestRetry: the waits double from RetryMin to RetryMax, give or take 20 %, and
// are what Disconnected says.
func TestRetry(t *testing.T) {
	inBubble(t, rc.Config{RetryMin: time.Second, RetryMax: 10 * time.Second}, refuse, func(r *clientRig) {
		r.do(r.Start)
		r.sleep(time.Minute)
		dials, said := r.dialTimes(), at(r, func() []time.Duration { return slices.Clone(r.retries) })
		nominal := []time.Duration{time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 10 * time.Second, 10 * time.Second}
		if len(dials) <= len(nominal) {
			r.t.Fatalf("%d dials in a minute", len(dials))
		}
		for i, n := range nominal {
			wait := dials[i+1] - dials[i]
			if wait < n*8/10 || wait > n*12/10 {
				t.Errorf("wait %d is %v, want %v give or take 20 %%", i, wait, n)
			}
			if wait != said[i] {
				t.Errorf("wait %d is %v, announced as %v", i, wait, said[i])
			}
		}
		if first := at(r, func() string { return r.log[0] }); first != "disconnected: try 1: no route" {
			t.Errorf("first failure: %q", first)
		}
	})
}

// TestRetryJitter: two clients do not come back in one instant.
func TestRetryJitter(t *testing.T) {
	seen := map[time.Duration]bool{}
	for range 10 {
		inBubble(t, rc.Config{}, refuse, func(r *clientRig) {
			r.do(r.Start)
			seen[at(r, func() time.Duration { return r.retries[0] })] = true
		})
	}
	if len(seen) < 5 {
		t.Errorf("ten clients wait for only %d different times", len(seen))
	}
}

// TestRetryStartsOver once a connection was up.
func TestRetryStartsOver(t *testing.T) {
	var server script
	dial := func(r *clientRig) dialer {
		connect := server.dial(r)
		return func(ctx context.Context, n int) (net.Conn, error) {
			if n < 5 {
				return nil, errNoRoute
			}
			return connect(ctx, n)
		}
	}
	inBubble(t, rc.Config{}, dial, func(r *clientRig) {
		r.do(r.Start)
		r.sleep(time.Minute)
		server.last().say(t, agree())
		if err := server.last().Close(); err != nil {
			t.Error(err)
		}
		r.do(func() {
			if last := r.retries[len(r.retries)-1]; last > 1200*time.Millisecond {
				t.Errorf("the wait after a good connection is %v", last)
			}
		})
	})
}

// TestStartWhileWaiting tries at once, and only once.
func TestStartWhileWaiting(t *testing.T) {
	inBubble(t, rc.Config{RetryMin: time.Hour, RetryMax: time.Hour}, refuse, func(r *clientRig) {
		r.do(r.Start)
		// The first wait ends between 48 and 72 minutes, the second not before 95.
		r.sleep(47 * time.Minute)
		r.do(r.Start)
		if got, want := r.dialTimes(), []time.Duration{0, 47 * time.Minute}; !slices.Equal(got, want) {
			t.Errorf("dials at %v, want %v", got, want)
		}
		r.sleep(43 * time.Minute)
		if n := len(r.dialTimes()); n != 2 {
			t.Errorf("the timer of the first wait still dialled: %d dials", n)
		}
	})
}

// TestStop at any stage leaves nothing behind; synctest finds what is.
func TestStop(t *testing.T) {
	t.Run("before Start", func(t *testing.T) {
		inBubble(t, rc.Config{}, refuse, func(r *clientRig) {
			r.do(r.Stop)
			r.wantLog()
		})
	})
	t.Run("dialing", func(t *testing.T) {
		dial := func(*clientRig) dialer {
			return func(ctx context.Context, _ int) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}
		}
		inBubble(t, rc.Config{}, dial, func(r *clientRig) {
			r.do(r.Start)
			r.do(r.Start) // changes nothing
			r.do(r.Stop)
			r.sleep(time.Hour)
			r.wantLog("disconnected: stopped")
			if n := len(r.dialTimes()); n != 1 {
				t.Errorf("%d dials, want 1", n)
			}
		})
	})
	t.Run("dialing, and the connection comes all the same", func(t *testing.T) {
		var far net.Conn
		var release chan struct{}
		dial := func(*clientRig) dialer {
			var near net.Conn
			near, far = net.Pipe()
			release = make(chan struct{}) // one of the bubble
			return func(context.Context, int) (net.Conn, error) {
				<-release
				return near, nil
			}
		}
		inBubble(t, rc.Config{}, dial, func(r *clientRig) {
			r.do(r.Start)
			r.do(r.Stop)
			close(release)
			if n, err := far.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
				t.Errorf("the abandoned connection gives %d bytes, %v", n, err)
			}
			r.wantLog("disconnected: stopped")
		})
	})
	t.Run("negotiating", func(t *testing.T) {
		var server script
		inBubble(t, rc.Config{}, server.dial, func(r *clientRig) {
			r.do(r.Start)
			r.do(r.Stop)
			r.sleep(time.Hour)
			r.wantLog("disconnected: stopped")
		})
	})
	t.Run("waiting", func(t *testing.T) {
		inBubble(t, rc.Config{}, refuse, func(r *clientRig) {
			r.do(r.Start)
			r.do(func() { r.log = nil })
			r.do(r.Stop)
			r.sleep(time.Hour)
			r.wantLog("disconnected: stopped")
			if n := len(r.dialTimes()); n != 1 {
				t.Errorf("%d dials, want 1", n)
			}
		})
	})
	t.Run("and Start again", func(t *testing.T) {
		var server script
		inBubble(t, rc.Config{}, server.dial, func(r *clientRig) {
			r.do(r.Start)
			server.last().say(t, agree())
			r.do(func() { r.Stop(); r.Start() })
			server.last().say(t, agree())
			r.wantLog("connected rfc2217", "disconnected: stopped", "connected rfc2217")
		})
	})
}

func TestDialTimeout(t *testing.T) {
	dial := func(*clientRig) dialer {
		return func(ctx context.Context, _ int) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
	}
	inBubble(t, rc.Config{}, dial, func(r *clientRig) {
		r.do(r.Start)
		r.sleep(rc.DialTimeout)
		r.wantLog("disconnected: context deadline exceeded")
	})
}

// TestLoss: what the server does to a connection, and what is told of it.
func TestLoss(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(*clientRig, *farEnd)
		log  []string
	}{
		{"before the negotiation has ended", func(_ *clientRig, f *farEnd) { _ = f.Close() }, []string{"disconnected: closed by the access server"}},
		{"when up", func(_ *clientRig, f *farEnd) {
			f.say(t, agree())
			_ = f.Close()
		}, []string{"connected rfc2217", "disconnected: closed by the access server"}},
		{"with data just before", func(r *clientRig, f *farEnd) {
			f.say(t, agree(), []byte("last words"))
			_ = f.Close()
			if got := at(r, func() string { return string(r.received) }); got != "last words" {
				t.Errorf("received %q", got)
			}
		}, []string{"connected rfc2217", "disconnected: closed by the access server"}},
		{"while a wait for an answer is on", func(r *clientRig, f *farEnd) {
			f.say(t, agree())
			r.do(func() { r.Request(rate9600) })
			_ = f.Close()
			r.sleep(500 * time.Millisecond)
		}, []string{"connected rfc2217", "disconnected: closed by the access server"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var server script
			inBubble(t, rc.Config{RetryMin: time.Hour, RetryMax: time.Hour}, server.dial, func(r *clientRig) {
				r.do(r.Start)
				tt.do(r, server.last())
				r.wantLog(tt.log...)
				r.do(func() {
					if r.Up() || !r.Blocked() || r.Unsent() != 0 || r.Suspended() || r.Reported() != (comport.State{}) || r.Effective() != (comport.State{}) {
						t.Error("something of the connection is left")
					}
					r.Request(rate9600) // does nothing
					if r.Break() {
						t.Error("a break without a connection")
					}
				})
				r.sleep(10 * time.Minute)
				r.wantLog()
			})
		})
	}
}

// TestDropInsideCallback: the connection dies, or is stopped, while the Client is
// in the midst of a callback.
func TestDropInsideCallback(t *testing.T) {
	// All in one read, so that the session has more to tell after the callback.
	everything := slices.Concat(agree(), told(comport.NotifyModemState{State: comport.ModemDCD}), []byte("data"),
		told(rate9600), say(telnet.DONT, telnet.ComPort))

	t.Run("dies under Connected's Request", func(t *testing.T) {
		var server script
		inBubble(t, rc.Config{RetryMin: time.Hour, RetryMax: time.Hour}, server.dial, func(r *clientRig) {
			r.onConnected = func(rc.Mode) {
				_ = server.last().Close()
				for range 3 {
					r.Request(rate9600)
				}
			}
			r.do(r.Start)
			server.last().say(t, agree())
			r.wantLog("connected rfc2217", "disconnected: closed by the access server")
		})
	})
	stops := map[string]func(*clientRig){
		"Stop in Connected":      func(r *clientRig) { r.onConnected = func(rc.Mode) { r.Stop() } },
		"Stop in Received":       func(r *clientRig) { r.onReceived = func(b []byte) int { r.Stop(); return 0 } },
		"Discard in Received":    func(r *clientRig) { r.onReceived = func(b []byte) int { r.Discard(); r.Stop(); return len(b) } },
		"Stop in Sendable":       func(r *clientRig) { r.onSendable = r.Stop },
		"Stop in the mode event": func(r *clientRig) { r.onEvent = func(rc.Event) { r.Stop() } },
		"Stop and Start at once": func(r *clientRig) { r.onConnected = func(rc.Mode) { r.Stop(); r.Start(); r.Stop() } },
		"Stop in a notification": func(r *clientRig) {
			r.onEvent = func(ev rc.Event) {
				if ev.Kind == rc.EventModemState {
					r.Stop()
				}
			}
		},
	}
	for name, prepare := range stops {
		t.Run(name, func(t *testing.T) {
			var server script
			inBubble(t, rc.Config{}, server.dial, func(r *clientRig) {
				prepare(r)
				r.do(r.Start)
				server.last().say(t, everything)
				r.sleep(time.Hour)
				r.do(func() {
					ends := 1
					if name == "Stop and Start at once" {
						ends = 2
					}
					if first := slices.Index(r.log, "disconnected: stopped"); first < 0 || first != len(r.log)-ends {
						t.Errorf("log %q: want %d ends, at the end", r.log, ends)
					}
					if r.Up() || len(r.retries) != ends {
						t.Errorf("up %v, %d ends", r.Up(), len(r.retries))
					}
				})
				if n := len(r.dialTimes()); n > 2 {
					t.Errorf("%d dials", n)
				}
			})
		})
	}
	t.Run("Stop in Connected of a raw connection", func(t *testing.T) {
		var server script
		inBubble(t, rc.Config{Remote: rc.Remote{Protocol: rc.ProtocolRaw}}, server.dial, func(r *clientRig) {
			r.onConnected = func(rc.Mode) { r.Stop() }
			r.do(r.Start)
			r.wantLog("connected raw", "disconnected: stopped")
		})
	})
	t.Run("Start in Disconnected", func(t *testing.T) {
		inBubble(t, rc.Config{RetryMin: time.Hour, RetryMax: time.Hour}, refuse, func(r *clientRig) {
			r.onDisconnected = func(error) {
				if len(r.retries) < 3 {
					r.Start()
				}
			}
			r.do(r.Start)
			r.sleep(time.Minute)
			if n := len(r.dialTimes()); n != 3 {
				t.Errorf("%d dials, want 3 at once", n)
			}
		})
	})
}

// TestSlowHandler: what the handler does not take is offered again, in order, and
// nothing more is read meanwhile.
func TestSlowHandler(t *testing.T) {
	var server script
	inBubble(t, rc.Config{Remote: rc.Remote{Protocol: rc.ProtocolRaw}}, server.dial, func(r *clientRig) {
		full := true
		r.onReceived = func(b []byte) int {
			if full {
				return min(3, len(b))
			}
			return len(b)
		}
		r.do(r.Start)
		want := bytes.Repeat([]byte("0123456789"), 100_000)
		var accepted atomic.Int64
		r.wg.Go(func() {
			for piece := range slices.Chunk(want, 1000) {
				n, _ := server.last().Write(piece)
				accepted.Add(int64(n))
			}
		})
		if got := at(r, func() int { return len(r.received) }); got != 3 {
			r.t.Fatalf("%d bytes taken without Resume, want 3", got)
		}
		r.do(r.Resume)
		if got := at(r, func() int { return len(r.received) }); got != 6 {
			r.t.Fatalf("%d bytes taken after one Resume, want 6", got)
		}
		r.sleep(time.Hour)
		if n := accepted.Load(); n > 512<<10 {
			t.Errorf("%d bytes accepted from the server, and nobody takes them", n)
		}
		r.do(func() { full = false; r.Resume(); r.Resume() })
		if got := at(r, func() []byte { return r.received }); !bytes.Equal(got, want) {
			t.Errorf("%d bytes received, want %d, or they differ", len(got), len(want))
		}
	})
}

// TestDiscard drops what waits, and reading goes on.
func TestDiscard(t *testing.T) {
	var server script
	inBubble(t, rc.Config{}, server.dial, func(r *clientRig) {
		r.onReceived = func(b []byte) int { return 1 }
		r.do(r.Start)
		server.last().say(t, agree(), []byte("old"))
		if n := at(r, r.Discard); n != 2 {
			t.Errorf("discarded %d, want 2", n)
		}
		server.last().say(t, []byte("n"))
		if got := at(r, func() string { return string(r.received) }); got != "on" {
			t.Errorf("received %q, want %q", got, "on")
		}
		if n := at(r, r.Discard); n != 0 {
			t.Errorf("discarded %d of nothing", n)
		}
	})
}

// TestSlowServer: a server that does not read blocks the Client within bounds,
// and Sendable comes when it reads again.
func TestSlowServer(t *testing.T) {
	server := &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}}
	inBubble(t, rc.Config{}, serve(server), func(r *clientRig) {
		const total = 1 << 20
		sent := 0
		chunk := bytes.Repeat([]byte{'x', 255}, 2048)
		pump := func() {
			for !r.Blocked() && sent < total {
				r.Send(chunk)
				sent += len(chunk)
			}
		}
		r.do(r.Start)
		server.SetFaults(rfc2217test.Faults{Stalled: true})
		r.do(func() { r.onSendable = pump; pump() })
		r.sleep(time.Minute)
		r.do(func() {
			if sent >= total/2 || !r.Blocked() || r.Unsent() == 0 {
				t.Errorf("%d of %d sent to a server that does not read, blocked %v, %d wait", sent, total, r.Blocked(), r.Unsent())
			}
		})
		server.SetFaults(rfc2217test.Faults{})
		r.sleep(time.Minute)
		if got := server.Port().Sent(); len(got) != total || !bytes.Equal(got[:len(chunk)], chunk) {
			t.Errorf("the line got %d bytes, want %d", len(got), total)
		}
		if n := at(r, func() uint64 { return r.Counters().BytesSent }); n != total {
			t.Errorf("%d bytes counted, want %d", n, total)
		}
	})
}

// TestLossWhileSending: the write's error ends the connection, once.
func TestLossWhileSending(t *testing.T) {
	var server script
	inBubble(t, rc.Config{RetryMin: time.Hour, RetryMax: time.Hour}, server.dial, func(r *clientRig) {
		r.do(r.Start)
		server.last().say(t, agree())
		r.do(func() {
			_ = server.last().Close()
			for range 100 {
				if r.Blocked() {
					break
				}
				r.Send(bytes.Repeat([]byte{'x'}, 4096))
			}
		})
		r.do(func() {
			if len(r.retries) != 1 || r.Up() {
				t.Errorf("%d ends, up %v: %q", len(r.retries), r.Up(), r.log)
			}
		})
	})
}

// TestSuspendedServer: while the server says SUSPEND, the Client is Blocked.
func TestSuspendedServer(t *testing.T) {
	var server script
	inBubble(t, rc.Config{}, server.dial, func(r *clientRig) {
		sendable := 0
		r.onSendable = func() { sendable++ }
		r.do(r.Start)
		server.last().say(t, agree(), suspend)
		r.do(func() {
			if !r.Blocked() || !r.Suspended() {
				t.Error("not blocked while suspended")
			}
			r.Request(rate9600)
			sendable = 0
		})
		_ = server.last().take(t)
		server.last().say(t, resume)
		r.do(func() {
			if r.Blocked() || sendable != 1 {
				t.Errorf("after RESUME: blocked %v, Sendable %d times", r.Blocked(), sendable)
			}
		})
		if got := server.last().take(t); !slices.Equal(got, []string{"SET-BAUDRATE 9600"}) {
			t.Errorf("the server got %q", got)
		}
	})
}

// TestPlainServerIsRemembered: only the first connection waits for COM-PORT, and
// a server that has learned it is used with it.
func TestPlainServerIsRemembered(t *testing.T) {
	var server script
	inBubble(t, rc.Config{}, server.dial, func(r *clientRig) {
		reconnect := func() {
			r.sleep(rc.NegotiateTimeout) // up for a while: it does not count as a try that failed
			_ = server.last().Close()
			r.sleep(1200 * time.Millisecond)
		}
		r.do(r.Start)
		r.wantLog()
		r.sleep(rc.NegotiateTimeout)
		r.wantLog("connected telnet")
		reconnect()
		r.wantLog("disconnected: closed by the access server", "connected telnet")
		server.last().say(t, agree())
		r.wantLog("connected rfc2217")
		reconnect()
		r.wantLog("disconnected: closed by the access server")
		server.last().say(t, agree())
		r.wantLog("connected rfc2217")
		// One that withdraws is not a plain one.
		server.last().say(t, say(telnet.DONT, telnet.ComPort))
		r.wantLog("connected telnet")
		reconnect()
		r.wantLog("disconnected: closed by the access server")
	})
}

// TestPurgeAckIsRemembered over a reconnect: the window is open from the start.
func TestPurgeAckIsRemembered(t *testing.T) {
	server := &rfc2217test.Server{}
	inBubble(t, rc.Config{}, serve(server), func(r *clientRig) {
		r.do(r.Start)
		r.do(func() { r.Request(purgeTx) })
		server.Disconnect()
		r.sleep(2 * time.Second)
		server.SetFaults(rfc2217test.Faults{NoAck: rfc2217test.AllCommands})
		r.do(func() { r.Request(purgeRx) })
		server.Port().Receive([]byte("old"))
		synctest.Wait()
		r.do(func() {
			if len(r.received) != 0 || r.Counters().PurgedBytes != 3 {
				t.Errorf("received %q, %d purged", r.received, r.Counters().PurgedBytes)
			}
		})
	})
}

// TestFaultyServers: with each fault the Client comes up, and data passes both
// ways.
func TestFaultyServers(t *testing.T) {
	wrong := func(m comport.Message) comport.Message {
		if _, ok := m.(comport.SetBaudRate); ok {
			return comport.SetBaudRate{Rate: 300}
		}
		return m
	}
	for _, tt := range []struct {
		name   string
		faults rfc2217test.Faults
		mode   rc.Mode
		answer string // to SET-BAUDRATE 19200, after three seconds
	}{
		{"none", rfc2217test.Faults{}, rc.ModeComPort, "told SET-BAUDRATE 19200 for SET-BAUDRATE 19200"},
		{"no greeting", rfc2217test.Faults{NoGreeting: true}, rc.ModeComPort, "told SET-BAUDRATE 19200 for SET-BAUDRATE 19200"},
		{"WILL instead of DO", rfc2217test.Faults{WillInsteadOfDo: true}, rc.ModeComPort, "told SET-BAUDRATE 19200 for SET-BAUDRATE 19200"},
		{"byte by byte", rfc2217test.Faults{SplitEveryByte: true}, rc.ModeComPort, "told SET-BAUDRATE 19200 for SET-BAUDRATE 19200"},
		{"8-byte acks", rfc2217test.Faults{LongBaudAck: true}, rc.ModeComPort, "told SET-BAUDRATE 19200 for SET-BAUDRATE 19200"},
		{"another value", rfc2217test.Faults{AckOther: wrong}, rc.ModeComPort, "told SET-BAUDRATE 300 for SET-BAUDRATE 19200"},
		{"late acks", rfc2217test.Faults{LateAck: 1500 * time.Millisecond}, rc.ModeComPort, "told SET-BAUDRATE 19200 for SET-BAUDRATE 19200"},
		{"no acks", rfc2217test.Faults{NoAck: rfc2217test.AllCommands}, rc.ModeComPort, "unanswered SET-BAUDRATE 19200"},
		{"no BINARY", rfc2217test.Faults{NoBinary: true}, rc.ModeComPort, "told SET-BAUDRATE 19200 for SET-BAUDRATE 19200"},
		{"refuses COM-PORT", rfc2217test.Faults{RefuseComPort: true}, rc.ModeTelnet, ""},
		{"ignores COM-PORT", rfc2217test.Faults{IgnoreComPort: true}, rc.ModeTelnet, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			server := &rfc2217test.Server{Faults: tt.faults, UART: &rfc2217test.UART{Unpaced: true}}
			inBubble(t, rc.Config{}, serve(server), func(r *clientRig) {
				r.onConnected = func(rc.Mode) { r.Request(rate19200) }
				r.do(r.Start)
				r.sleep(rc.NegotiateTimeout)
				if got := at(r, r.Mode); got != tt.mode {
					r.t.Fatalf("mode %v, want %v", got, tt.mode)
				}
				all := append(allBytes(), "\r\x00\r\n\r\r\xff\xff\x00"...)
				r.do(func() { r.Send(all) })
				server.Port().Receive(all)
				r.sleep(3 * time.Second)
				if got := server.Port().Sent(); !bytes.Equal(got, all) {
					t.Errorf("the line got %q", got)
				}
				if got := at(r, func() []byte { return r.received }); !bytes.Equal(got, all) {
					t.Errorf("received %q", got)
				}
				if log := at(r, func() []string { return r.log }); tt.answer != "" && !slices.Contains(log, tt.answer) {
					t.Errorf("log %q, want %q in it", log, tt.answer)
				}
			})
		})
	}
}

// TestPortInUse: what ser2net says when it has no room is passed on, and the
// waits grow.
func TestPortInUse(t *testing.T) {
	server := &rfc2217test.Server{Faults: rfc2217test.Faults{PortInUse: true}}
	inBubble(t, rc.Config{}, serve(server), func(r *clientRig) {
		r.do(r.Start)
		r.sleep(20 * time.Second)
		r.do(func() {
			if !bytes.HasPrefix(r.received, []byte("Port already in use\r\n")) {
				t.Errorf("received %q", r.received)
			}
			if n := len(r.retries); n < 3 || n > 6 {
				t.Errorf("%d tries in 20 s", n)
			}
		})
	})
}
