package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

var remote = rfc2217client.Remote{Host: "server", Port: "2217"}

// probeServer probes a simulated server, in a bubble.
func probeServer(t *testing.T, s *rfc2217test.Server, o Options) Report {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.ServeConn(ctx, far) // how it ends is the faults' business
	}()
	r := probeConn(t, near, o)
	cancel()
	<-done
	return r
}

func probeConn(t *testing.T, conn net.Conn, o Options) Report {
	t.Helper()
	o.Remote = remote
	o.Dial = func(context.Context, rfc2217client.Remote) (net.Conn, error) { return conn, nil }
	begin := time.Now()
	r := Run(t.Context(), o)
	limit := o.Timeout
	if limit == 0 {
		limit = DefaultTimeout
	}
	if took := time.Since(begin); took > limit {
		t.Errorf("the probe took %v, want at most %v", took, limit)
	}
	return r
}

// shown lists the quirks that a server shows.
func shown(r Report) []string {
	ids := []string{}
	for _, c := range r.Checks {
		if c.Verdict == Shown {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

func TestFaultsAreFound(t *testing.T) {
	other := func(from comport.Message, to comport.Message) func(comport.Message) comport.Message {
		return func(ack comport.Message) comport.Message {
			if keyOf(ack) == keyOf(from) {
				return to
			}
			return ack
		}
	}
	for _, tt := range []struct {
		name   string
		faults rfc2217test.Faults
		set    bool
		speaks Speaks
		shown  []string
		errs   string // part of Report.Error
	}{
		{"none", rfc2217test.Faults{}, false, SpeaksRFC2217, nil, ""},
		{"none, with --set", rfc2217test.Faults{}, true, SpeaksRFC2217, nil, ""},
		{"every byte by itself", rfc2217test.Faults{SplitEveryByte: true}, true, SpeaksRFC2217, nil, ""},
		{"no greeting", rfc2217test.Faults{NoGreeting: true}, false, SpeaksRFC2217, nil, ""},
		{"in use", rfc2217test.Faults{PortInUse: true}, false, SpeaksUnknown, []string{"in-use"}, "kickolduser"},
		{"WILL for DO", rfc2217test.Faults{WillInsteadOfDo: true, NoGreeting: false}, false, SpeaksRFC2217, []string{"will-com-port"}, ""},
		{"refused", rfc2217test.Faults{RefuseComPort: true}, false, SpeaksTelnet, []string{"no-com-port"}, ""},
		{"ignored", rfc2217test.Faults{IgnoreComPort: true}, false, SpeaksTelnet, []string{"no-com-port"}, ""},
		{"no BINARY", rfc2217test.Faults{NoBinary: true}, false, SpeaksRFC2217, []string{"no-binary"}, ""},
		{"mute", rfc2217test.Faults{Mute: true}, false, SpeaksNothing, []string{"no-telnet"}, ""},
		{"no acknowledgement of the speed", rfc2217test.Faults{NoAck: rfc2217test.Commands(comport.CommandSetBaudRate)}, false, SpeaksRFC2217, []string{"no-ack"}, ""},
		{"no acknowledgement at all", rfc2217test.Faults{NoAck: rfc2217test.AllCommands}, false, SpeaksRFC2217, []string{"no-ack", "no-signature"}, ""},
		{"slow", rfc2217test.Faults{LateAck: 1200 * time.Millisecond}, false, SpeaksRFC2217, []string{"slow-ack"}, ""},
		{"too slow", rfc2217test.Faults{LateAck: 2500 * time.Millisecond}, false, SpeaksRFC2217, []string{"no-ack", "no-signature", "slow-ack"}, ""},
		{"eight bytes", rfc2217test.Faults{LongBaudAck: true}, false, SpeaksRFC2217, []string{"long-ack"}, ""},
		{"DTR answered by the flow", rfc2217test.Faults{AckOther: other(comport.SetControl{Control: comport.ControlQueryDTR}, comport.SetControl{Control: comport.ControlFlowNone})}, false, SpeaksRFC2217, []string{"no-ack", "other-line"}, ""},
		{"a question for an answer", rfc2217test.Faults{AckOther: other(comport.SetControl{Control: comport.ControlRTSOn}, comport.SetControl{Control: comport.ControlQueryRTS})}, false, SpeaksRFC2217, []string{"no-value"}, ""},
		{"a mask answered as a notification", rfc2217test.Faults{AckOther: other(comport.SetLineStateMask{}, comport.NotifyLineState{})}, true, SpeaksRFC2217, []string{"mask-as-notify"}, ""},
		{"a mask not answered", rfc2217test.Faults{AckOther: other(comport.SetLineStateMask{}, nil)}, true, SpeaksRFC2217, []string{"mask-no-ack"}, ""},
		{"reset", rfc2217test.Faults{ResetAfter: 90}, false, SpeaksRFC2217, []string{"no-ack", "query-ends"}, "closed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &rfc2217test.Server{Faults: tt.faults}
				r := probeServer(t, s, Options{Set: tt.set})
				if r.Speaks != tt.speaks {
					t.Errorf("speaks %s, want %s", r.Speaks, tt.speaks)
				}
				if got := shown(r); !slices.Equal(got, append([]string{}, tt.shown...)) {
					t.Errorf("quirks %q, want %q", got, tt.shown)
				}
				if (r.Error == "") != (tt.errs == "") || !strings.Contains(r.Error, tt.errs) {
					t.Errorf("error %q, want %q in it", r.Error, tt.errs)
				}
				checkText(t, r)
			})
		})
	}
}

// checkText looks for what no text for people may have.
func checkText(t *testing.T, r Report) {
	t.Helper()
	var b bytes.Buffer
	if err := r.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	for _, c := range b.String() {
		if c != '\n' && (c < ' ' || c == 0x7f || c >= 0x80 && c < 0xa0) {
			t.Errorf("there is a %q in the text:\n%s", c, b.String())
		}
	}
	if _, err := json.Marshal(r); err != nil {
		t.Error(err)
	}
	if t.Failed() {
		t.Logf("%s", b.String())
	}
}

// Nothing is changed at the UART, and with Set nothing is different afterwards.
func TestChangesNothing(t *testing.T) {
	for _, set := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			uart := &rfc2217test.UART{}
			s := &rfc2217test.Server{UART: uart, KeepSettings: true}
			s.Port()
			odd := []comport.Message{
				comport.SetBaudRate{Rate: 19200},
				comport.SetDataSize{Size: 7},
				comport.SetParity{Parity: comport.ParityEven},
				comport.SetStopSize{Size: comport.StopSize2},
				comport.SetControl{Control: comport.ControlFlowHardware},
				comport.SetControl{Control: comport.ControlInboundNone},
				comport.SetControl{Control: comport.ControlDTROn},
				comport.SetControl{Control: comport.ControlRTSOn}, // as any session does
			}
			for _, m := range odd {
				uart.Set(m)
			}
			before, journal := uart.Snapshot(), len(uart.Journal())
			r := probeServer(t, s, Options{Set: set})
			for _, m := range s.Messages() {
				if _, isMask := m.(comport.SetLineStateMask); !comport.IsQuery(m) && (!set || !isMask && !slices.Contains(odd[:4], m)) {
					t.Errorf("set %v: %v was sent", set, m)
				}
			}
			after := uart.Snapshot()
			if before.State != after.State {
				t.Errorf("set %v: the UART was %v and is %v", set, before.State, after.State)
			}
			for _, e := range uart.Journal()[journal:] {
				if e.Kind != rfc2217test.EntryOpen && e.Kind != rfc2217test.EntryClose {
					t.Errorf("set %v: the UART has seen %v", set, e)
				}
			}
			if want := (Settings{Line: "19200-7E2", Flow: "hardware", FlowInbound: "none"}); r.Settings != want {
				t.Errorf("settings %+v, want %+v", r.Settings, want)
			}
			if last := s.Messages(); last[len(last)-1] != (comport.SignatureText{}) {
				t.Errorf("the last question was %v, want the signature", last[len(last)-1])
			}
		})
	}
}

func TestReportOfACorrectServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		uart := &rfc2217test.UART{}
		s := &rfc2217test.Server{UART: uart, Name: "evil \x1b[2J\u009b name", Faults: rfc2217test.Faults{LateAck: 30 * time.Millisecond}}
		r := probeServer(t, s, Options{})
		if r.Signature == nil || *r.Signature != `evil \x1b[2J\u009b name` {
			t.Errorf("signature %v", r.Signature)
		}
		if r.Lines.DTR != "on" || r.Lines.RTS != "on" || r.Lines.Break != "off" {
			t.Errorf("lines %+v, want DTR and RTS on, as a session raises them", r.Lines)
		}
		if r.Lines.CTS == unknown || r.Notify.ModemState == 0 {
			t.Errorf("lines %+v after %d notifications", r.Lines, r.Notify.ModemState)
		}
		for _, c := range r.Commands {
			want, answers := StateAcknowledged, rounds
			switch c.Name {
			case "SIGNATURE":
				answers = 1
			case "SET-LINESTATE-MASK":
				want = StateNotAsked
			}
			if c.State != want {
				t.Errorf("%s: %s, want %s", c.Name, c.State, want)
			}
			if c.Latency == nil {
				continue
			}
			if *c.Latency != (Latency{MinMS: 30, MedianMS: 30, MaxMS: 30, Answers: answers}) {
				t.Errorf("%s: %+v, want 30 ms %d times", c.Name, *c.Latency, answers)
			}
		}
		if got, want := r.RoundTrip.Answers, 9*rounds+1; got != want {
			t.Errorf("%d answers, want %d", got, want)
		}
		checkText(t, r)
	})
}

// scripted is a server that is not even one.
func scripted(t *testing.T, o Options, serve func(conn net.Conn)) Report {
	t.Helper()
	near, far := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		serve(far)
		_ = far.Close()
	}()
	r := probeConn(t, near, o)
	<-done
	return r
}

func TestOtherServers(t *testing.T) {
	discard := func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }
	saying := func(what string) func(net.Conn) {
		return func(conn net.Conn) {
			go func() { _, _ = io.WriteString(conn, what) }()
			discard(conn)
		}
	}
	const agree = "\xff\xfd\x2c\xff\xfb\x00\xff\xfd\x00"
	for _, tt := range []struct {
		name   string
		serve  func(net.Conn)
		speaks Speaks
		shown  []string
		errs   string
	}{
		{"silent", discard, SpeaksNothing, []string{"no-telnet"}, ""},
		{"closes", func(conn net.Conn) { _, _ = conn.Read(make([]byte, 100)) }, SpeaksUnknown, nil, "expect TLS (rfc2217s://server:2217)"},
		{"raw data", saying("$GPGGA\r\n"), SpeaksNothing, []string{"no-telnet"}, ""},
		{"echo", func(conn net.Conn) { _, _ = io.Copy(conn, conn) }, SpeaksNothing, []string{"no-telnet", "echo"}, ""},
		{"TLS", func(conn net.Conn) {
			_, _ = conn.Read(make([]byte, 100))
			_, _ = conn.Write([]byte{21, 3, 1, 0, 2, 2, 70})
		}, SpeaksUnknown, []string{"expects-tls"}, "rfc2217s://server:2217"},
		{"WONT, then DO", saying("\xff\xfc\x2c" + agree), SpeaksRFC2217, []string{"wont-then-do", "no-modem-state", "no-ack", "no-signature"}, ""},
		{"WILL", saying("\xff\xfb\x2c\xff\xfb\x00\xff\xfd\x00"), SpeaksRFC2217, []string{"will-com-port", "no-modem-state", "no-ack", "no-signature"}, ""},
		{"DO, DO", saying(agree + "\xff\xfd\x2c"), SpeaksRFC2217, []string{"repeated-do", "no-modem-state", "no-ack", "no-signature"}, ""},
		{"banner", saying("welcome\r\n" + agree), SpeaksRFC2217, []string{"banner", "no-modem-state", "no-ack", "no-signature"}, ""},
		{"the client's codes", saying(agree + "\xff\xfa\x2c\x01\x00\x00\x25\x80\xff\xf0"), SpeaksRFC2217, []string{"no-modem-state", "no-ack", "no-signature", "client-code"}, ""},
		{"unknown code", saying(agree + "\xff\xfa\x2c\xc8\x00\xff\xf0"), SpeaksRFC2217, []string{"no-modem-state", "no-ack", "no-signature", "broken"}, ""},
		{"asks for a signature", saying(agree + "\xff\xfa\x2c\x64\xff\xf0"), SpeaksRFC2217, []string{"asks-signature", "no-modem-state", "no-ack", "no-signature"}, ""},
		{"suspends", saying(agree + "\xff\xfa\x2c\x6c\xff\xf0"), SpeaksRFC2217, []string{"no-modem-state", "suspended"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := scripted(t, Options{}, tt.serve)
				if r.Speaks != tt.speaks {
					t.Errorf("speaks %s, want %s", r.Speaks, tt.speaks)
				}
				if got := shown(r); !slices.Equal(got, append([]string{}, tt.shown...)) {
					t.Errorf("quirks %q, want %q", got, tt.shown)
				}
				if (r.Error == "") != (tt.errs == "") || !strings.Contains(r.Error, tt.errs) {
					t.Errorf("error %q, want %q in it", r.Error, tt.errs)
				}
				checkText(t, r)
			})
		})
	}
}

// A server that never stops, and one that never reads, cannot keep the probe.
func TestEndsInTime(t *testing.T) {
	storm := bytes.Repeat([]byte("\xff\xfd\x2d\xff\xfa\x2c\x6a\x10\xff\xf0data\xff\xfb\x63"), 100)
	for _, tt := range []struct {
		name  string
		serve func(conn net.Conn)
	}{
		{"reads nothing", func(conn net.Conn) {
			_, _ = io.WriteString(conn, "\xff")
			<-t.Context().Done()
		}},
		{"storm", func(conn net.Conn) {
			go func() { _, _ = io.Copy(io.Discard, conn) }()
			for {
				if _, err := conn.Write(storm); err != nil {
					return
				}
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			near, far := net.Pipe()
			done := make(chan struct{})
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				defer close(done)
				if tt.name == "reads nothing" {
					<-ctx.Done()
				} else {
					tt.serve(far)
				}
				_ = far.Close()
			}()
			begin := time.Now()
			r := Run(t.Context(), Options{Remote: remote, Timeout: 300 * time.Millisecond, Dial: func(context.Context, rfc2217client.Remote) (net.Conn, error) { return near, nil }})
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("the probe took %v, want 300 ms", took)
			}
			cancel()
			<-done
			if !strings.Contains(r.Error, "--timeout") {
				t.Errorf("error %q, want that the time is over", r.Error)
			}
			checkText(t, r)
		})
	}
}

// A silent server is waited for as long as the probe may take, or until it is interrupted.
func TestEndsAtOnce(t *testing.T) {
	silent := func(conn net.Conn) { _, _ = io.Copy(io.Discard, conn) }
	synctest.Test(t, func(t *testing.T) {
		if r := scripted(t, Options{Timeout: time.Second}, silent); !strings.Contains(r.Error, "--timeout") || r.Speaks != SpeaksUnknown {
			t.Errorf("speaks %s, error %q", r.Speaks, r.Error)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		go silent(far)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		begin := time.Now()
		r := Run(ctx, Options{Remote: remote, Dial: func(context.Context, rfc2217client.Remote) (net.Conn, error) { return near, nil }})
		if took := time.Since(begin); took != time.Second || !strings.Contains(r.Error, "interrupted") {
			t.Errorf("after %v: error %q", took, r.Error)
		}
		_ = far.Close()
	})
}

// The server dies of the question for its signature: all else is known by then.
func TestSignatureKills(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &rfc2217test.Server{}
		s.Faults.AckOther = func(ack comport.Message) comport.Message {
			if _, is := ack.(comport.SignatureText); is {
				go s.Disconnect()
				return nil
			}
			return ack
		}
		r := probeServer(t, s, Options{})
		if got := shown(r); !slices.Equal(got, []string{"signature-ends"}) || r.Error != "" {
			t.Errorf("quirks %q, error %q", got, r.Error)
		}
	})
}

func FuzzWitness(f *testing.F) {
	f.Add([]byte("\xff\xfd\x2c\xff\xfa\x2c\x65\x00\x00\x25\x80\xff\xf0data"), []byte("\xff\xfb\x2c"))
	f.Fuzz(func(t *testing.T, in, out []byte) {
		w := newWitness(func(comport.Message) {})
		copied := bytes.Clone(in)
		w.sent(out)
		w.received(in)
		w.received(in)
		if !bytes.Equal(in, copied) {
			t.Error("the bytes were changed under the session's feet")
		}
		if len(w.options) > maxOptions || len(w.said) > maxSaid || len(w.first) > maxSaid || len(w.firstSent) > maxSaid {
			t.Error("more is kept than may be")
		}
		for _, o := range describeOptions(w) {
			if len(strings.Fields(o.Said)) > maxWords+1 {
				t.Errorf("%q has too many words", o.Said)
			}
		}
	})
}
