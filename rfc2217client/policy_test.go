package rfc2217client_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	rc "github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
	"github.com/vcomd/vcomd/rfc2217client/telnet"
)

// TestTries: the Client stops when so many tries in a row have failed, says so,
// and begins anew when it is started again.
func TestTries(t *testing.T) {
	inBubble(t, rc.Config{Tries: 3}, refuse, func(r *clientRig) {
		var last error
		r.onDisconnected = func(err error) { last = err }
		for round := 1; round <= 2; round++ {
			r.do(r.Start)
			r.sleep(time.Hour)
			if n := len(r.dialTimes()); n != 3*round {
				t.Fatalf("%d tries after round %d, want %d", n, round, 3*round)
			}
			r.do(func() {
				if !errors.Is(last, rc.ErrNoMoreTries) || !errors.Is(last, errNoRoute) {
					t.Errorf("the end is told as %v", last)
				}
				if wait := r.retries[len(r.retries)-1]; wait >= 0 {
					t.Errorf("another try is announced, after %v", wait)
				}
			})
		}
	})
}

// TestTriesStartOver when a connection has been up for a while.
func TestTriesStartOver(t *testing.T) {
	server := &rfc2217test.Server{}
	down := false
	dial := func(r *clientRig) dialer {
		up := serve(server)(r)
		return func(ctx context.Context, n int) (net.Conn, error) {
			if down {
				return nil, errNoRoute
			}
			return up(ctx, n)
		}
	}
	inBubble(t, rc.Config{Tries: 2}, dial, func(r *clientRig) {
		for range 5 {
			r.do(r.Start)
			r.sleep(10 * time.Second)
			server.Disconnect()
			r.sleep(10 * time.Second)
			r.do(func() {
				if !r.Up() {
					t.Fatal("it has stopped, though no two tries in a row failed")
				}
			})
		}
	})
}

// TestFlappingServer: one that accepts only to close is tried less and less
// often, as one that refuses.
func TestFlappingServer(t *testing.T) {
	dial := func(r *clientRig) dialer {
		return func(context.Context, int) (net.Conn, error) {
			near, far := net.Pipe()
			_ = far.Close()
			return near, nil
		}
	}
	raw := rc.Remote{Protocol: rc.ProtocolRaw, Host: "h", Port: "1"}
	inBubble(t, rc.Config{Remote: raw, RetryMin: time.Second, RetryMax: 16 * time.Second}, dial, func(r *clientRig) {
		r.do(r.Start)
		r.sleep(2 * time.Minute)
		// 1 + 2 + 4 + 8 s, and then 16 s each: 11 tries, give or take the jitter.
		if n := len(r.dialTimes()); n < 9 || n > 14 {
			t.Errorf("%d tries in two minutes, want about 11", n)
		}
	})
}

// TestRequireRFC2217: another server is an error, said and tried again; data
// never passes.
func TestRequireRFC2217(t *testing.T) {
	for name, answer := range map[string][]byte{
		"refused":   slices.Concat(say(telnet.DONT, telnet.ComPort), say(telnet.DO, telnet.Binary), say(telnet.WILL, telnet.Binary)),
		"no answer": nil,
		"withdrawn": slices.Concat(agree(), say(telnet.DONT, telnet.ComPort)),
	} {
		t.Run(name, func(t *testing.T) {
			var server script
			inBubble(t, rc.Config{RequireRFC2217: true}, server.dial, func(r *clientRig) {
				var first error
				r.onDisconnected = func(err error) {
					if first == nil {
						first = err
					}
				}
				r.do(r.Start)
				if answer != nil {
					server.last().say(t, answer)
				}
				r.sleep(rc.NegotiateTimeout)
				r.do(func() {
					if !errors.Is(first, rc.ErrNotRFC2217) {
						t.Errorf("the connection ended with %v", first)
					}
					if slices.Contains(r.log, "connected telnet") {
						t.Errorf("it was used as plain Telnet: %q", r.log)
					}
				})
				r.sleep(3 * time.Second)
				if n := len(r.dialTimes()); n < 2 {
					t.Error("it is not tried again")
				}
			})
		})
	}
}

// TestProbe: a silent server is asked, and one that used to answer and does not
// any more is dead.
func TestProbe(t *testing.T) {
	server := &rfc2217test.Server{}
	cfg := rc.Config{Probe: 10 * time.Second, DeadAfter: 6 * time.Second}
	inBubble(t, cfg, serve(server), func(r *clientRig) {
		var last error
		r.onDisconnected = func(err error) { last = err }
		r.do(r.Start)
		r.sleep(25 * time.Second)
		before := at(r, func() uint64 { return r.Counters().CommandsSent })
		if before < 2 {
			t.Errorf("%d questions in 25 s, want 2", before)
		}
		r.do(func() {
			if e := r.Effective(); e.BaudRate != 9600 {
				t.Errorf("a probe made the state %v", e)
			}
		})
		server.SetFaults(rfc2217test.Faults{Mute: true})
		r.sleep(10*time.Second + 6*time.Second + 2*time.Second)
		r.do(func() {
			if !errors.Is(last, rc.ErrSilent) {
				t.Errorf("with a mute server the connection ended with %v", last)
			}
		})
	})
}

// TestProbeUnanswered: a server that has never answered a question is not killed
// for it, and is asked once.
func TestProbeUnanswered(t *testing.T) {
	var server script
	cfg := rc.Config{Probe: 5 * time.Second, DeadAfter: 6 * time.Second}
	inBubble(t, cfg, server.dial, func(r *clientRig) {
		r.do(r.Start)
		server.last().say(t, agree())
		server.last().take(t)
		r.sleep(time.Minute)
		r.wantLog("connected rfc2217", "unanswered "+comport.SetBaudRate{}.String())
		if got := server.last().take(t); len(got) != 1 {
			t.Errorf("in a minute it was asked %q, want one question", got)
		}
	})
}

// TestProbeAnswerIsNotAnAcknowledgement: a request made while the question is
// out is answered by its own answer.
func TestProbeAnswerIsNotAnAcknowledgement(t *testing.T) {
	var server script
	cfg := rc.Config{Probe: 5 * time.Second, DeadAfter: 60 * time.Second}
	inBubble(t, cfg, server.dial, func(r *clientRig) {
		var requests []comport.Message
		r.onEvent = func(ev rc.Event) {
			if ev.Kind == rc.EventReport {
				requests = append(requests, ev.Request)
			}
		}
		r.do(r.Start)
		server.last().say(t, agree())
		r.sleep(6 * time.Second)
		r.do(func() { r.Request(comport.SetBaudRate{Rate: 19200}) })
		server.last().say(t, told(comport.SetBaudRate{Rate: 9600}), told(comport.SetBaudRate{Rate: 19200}))
		want := []comport.Message{nil, comport.SetBaudRate{Rate: 19200}}
		if got := at(r, func() []comport.Message { return requests }); !slices.Equal(got, want) {
			t.Errorf("the answers were taken for those to %v, want %v", got, want)
		}
	})
}

// TestSuspendsTheServer while the handler does not take what comes, if that was
// asked for.
func TestSuspendsTheServer(t *testing.T) {
	for _, suspend := range []bool{false, true} {
		var server script
		inBubble(t, rc.Config{Suspend: suspend}, server.dial, func(r *clientRig) {
			takes := 2
			r.onReceived = func(p []byte) int { return min(takes, len(p)) }
			r.do(r.Start)
			server.last().say(t, agree())
			server.last().take(t)
			server.last().say(t, []byte("abcd"))
			r.do(func() { takes = 100 })
			r.do(r.Resume)
			server.last().say(t, []byte("ef"))
			var want []string
			if suspend {
				want = []string{comport.FlowControlSuspend{}.String(), comport.FlowControlResume{}.String()}
			}
			if got := server.last().take(t); !slices.Equal(got, want) {
				t.Errorf("suspend %v: the server was told %q, want %q", suspend, got, want)
			}
			if got := at(r, func() string { return string(r.received) }); got != "abcdef" {
				t.Errorf("received %q", got)
			}
		})
	}
}

// TestHoldIsAlwaysTakenBack: the RESUME goes out even where no request would fit,
// and while the server holds this end.
func TestHoldIsAlwaysTakenBack(t *testing.T) {
	s := rc.NewSession(rc.SessionConfig{})
	s.Start(epoch)
	s.Receive(epoch, agree())
	s.Consume(len(s.Output()))
	s.Hold(true)
	s.Hold(true)
	s.Receive(epoch, told(comport.FlowControlSuspend{}))
	s.Data([]byte(strings.Repeat("x", 80<<10)))
	s.Hold(false)
	s.Hold(true) // no room
	s.Hold(false)
	got := slices.DeleteFunc(describe(t, s.Output()), func(s string) bool { return s[0] == '"' })
	want := []string{comport.FlowControlSuspend{}.String(), comport.FlowControlResume{}.String()}
	if !slices.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
}

// TestPlainCR: with it, a carriage return is itself both ways without BINARY.
func TestPlainCR(t *testing.T) {
	for _, plain := range []bool{false, true} {
		s := rc.NewSession(rc.SessionConfig{Protocol: rc.ProtocolTelnet, PlainCR: plain})
		s.Start(epoch)
		s.Receive(epoch, slices.Concat(say(telnet.DONT, telnet.Binary), say(telnet.WONT, telnet.Binary)))
		s.Consume(len(s.Output()))
		s.Data([]byte("a\rb"))
		sent, received := string(s.Output()), string(s.Receive(epoch, []byte("c\r\x00d")))
		wantSent, wantReceived := "a\r\x00b", "c\rd"
		if plain {
			wantSent, wantReceived = "a\rb", "c\r\x00d"
		}
		if sent != wantSent || received != wantReceived || s.Transparent([]byte("\r")) != plain {
			t.Errorf("plain %v: sent %q, received %q, transparent %v", plain, sent, received, s.Transparent([]byte("\r")))
		}
	}
}

// TestDropBanner: what comes before the server's first answer is dropped where
// that is wanted, and so is what comes before plain Telnet is settled.
func TestDropBanner(t *testing.T) {
	comPort := agree()
	telnetOnly := slices.Concat(say(telnet.DONT, telnet.ComPort), say(telnet.DO, telnet.Binary), say(telnet.WILL, telnet.Binary))
	for name, tt := range map[string]struct {
		drop   bool
		pieces [][]byte
		want   string
	}{
		"kept":                   {false, [][]byte{[]byte("banner "), comPort, []byte("data")}, "banner data"},
		"before the agreement":   {true, [][]byte{[]byte("banner "), comPort, told(comport.SetBaudRate{Rate: 9600}), []byte("data")}, "data"},
		"after the agreement":    {true, [][]byte{comPort, []byte("banner "), told(comport.SetBaudRate{Rate: 9600}), []byte("data")}, "data"},
		"all in one":             {true, [][]byte{slices.Concat([]byte("a "), comPort, []byte("b "), told(comport.SetBaudRate{Rate: 9600}), []byte("data"))}, "data"},
		"plain Telnet":           {true, [][]byte{[]byte("banner "), telnetOnly, []byte("data")}, "data"},
		"a notification is none": {true, [][]byte{comPort, told(comport.NotifyModemState{State: comport.ModemCTS}), []byte("banner ")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			dropped := 0
			s := rc.NewSession(rc.SessionConfig{DropBanner: tt.drop, Event: func(ev rc.Event) {
				if ev.Kind == rc.EventBanner {
					dropped += len(ev.Data)
				}
			}})
			s.Start(epoch)
			var got []byte
			for _, p := range tt.pieces {
				got = append(got, s.Receive(epoch, slices.Clone(p))...)
			}
			if string(got) != tt.want || s.Counters().BannerBytes != uint64(dropped) {
				t.Errorf("received %q, want %q; %d bytes counted, %d told", got, tt.want, s.Counters().BannerBytes, dropped)
			}
		})
	}
	// A server that answers nothing is not mute for ever.
	s := rc.NewSession(rc.SessionConfig{DropBanner: true})
	s.Start(epoch)
	s.Receive(epoch, agree())
	first := string(s.Receive(epoch, []byte("banner")))
	late := string(s.Receive(epoch.Add(rc.AckGiveUp), []byte("data")))
	if first != "" || late != "data" {
		t.Errorf("received %q and %q", first, late)
	}
}
