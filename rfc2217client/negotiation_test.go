package rfc2217client_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	rc "github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/telnet"
)

// TestNegotiation: what a server answers to the opening, and what that makes of
// the session. Times count from the start.
func TestNegotiation(t *testing.T) {
	var (
		do, dont   = telnet.DO, telnet.DONT
		will, wont = telnet.WILL, telnet.WONT
		binary     = slices.Concat(say(do, telnet.Binary), say(will, telnet.Binary))
		noBinary   = slices.Concat(say(dont, telnet.Binary), say(wont, telnet.Binary))
	)
	type at struct {
		time  time.Duration
		bytes []byte
	}
	tests := []struct {
		name string
		cfg  rc.SessionConfig
		from []at
		// seen are the events, answers what is sent besides the opening; both
		// after five seconds.
		seen, answers []string
	}{
		{
			name: "DO COM-PORT", from: []at{{0, say(do, telnet.ComPort)}, {0, binary}},
			seen: []string{"mode rfc2217"},
		},
		{
			name: "WILL COM-PORT instead of DO", from: []at{{0, say(will, telnet.ComPort)}, {0, binary}},
			seen: []string{"mode rfc2217"}, answers: []string{"DO COM-PORT"},
		},
		{
			name: "WONT COM-PORT is no refusal", from: []at{{0, binary}, {0, say(wont, telnet.ComPort)}, {3 * time.Second, say(do, telnet.ComPort)}},
			seen: []string{"mode rfc2217"},
		},
		{
			name: "refusal", from: []at{{0, binary}, {0, say(dont, telnet.ComPort)}},
			seen: []string{"mode telnet: it refused COM-PORT"},
		},
		{
			name: "refusal first, and no word about BINARY: the grace", from: []at{{time.Second, say(dont, telnet.ComPort)}},
			seen: []string{"mode telnet: it refused COM-PORT"},
		},
		{
			name: "agreement, and no word about BINARY: the grace", from: []at{{time.Second, say(do, telnet.ComPort)}},
			seen: []string{"mode rfc2217"},
		},
		{
			name: "BINARY refused", from: []at{{0, noBinary}, {0, say(do, telnet.ComPort)}},
			seen: []string{"mode rfc2217"},
		},
		{
			name: "silence", seen: []string{"mode telnet: it did not answer COM-PORT"},
		},
		{
			name: "BINARY alone", from: []at{{0, binary}},
			seen: []string{"mode telnet: it did not answer COM-PORT"},
		},
		{
			name: "late agreement", from: []at{{4500 * time.Millisecond, say(do, telnet.ComPort)}},
			seen: []string{"mode telnet: it did not answer COM-PORT", "mode rfc2217"},
		},
		{
			name: "agreement after a refusal", from: []at{{0, binary}, {0, say(dont, telnet.ComPort)}, {time.Second, say(do, telnet.ComPort)}},
			seen: []string{"mode telnet: it refused COM-PORT", "mode rfc2217"}, answers: []string{"WILL COM-PORT"},
		},
		{
			name: "withdrawn, and offered again", from: []at{
				{0, agree()}, {time.Second, say(dont, telnet.ComPort)}, {time.Second, say(do, telnet.ComPort)}, {time.Second, say(will, telnet.ComPort)},
			},
			seen:    []string{"mode rfc2217", "mode telnet: it withdrew COM-PORT"},
			answers: []string{"WONT COM-PORT", "WONT COM-PORT", "DONT COM-PORT"},
		},
		{
			name: "WILL stands when DO is withdrawn", from: []at{{0, agree()}, {0, say(will, telnet.ComPort)}, {time.Second, say(dont, telnet.ComPort)}},
			seen: []string{"mode rfc2217"}, answers: []string{"DO COM-PORT", "WONT COM-PORT"},
		},
		{
			name: "a state in effect is not answered", from: []at{{0, agree()}, {0, agree()}, {0, say(will, telnet.SGA)}, {0, say(do, telnet.SGA)}, {0, agree()}},
			seen: []string{"mode rfc2217"},
		},
		{
			name: "ECHO of the server is accepted, ours is not", from: []at{{0, agree()}, {0, say(will, telnet.Echo)}, {0, say(do, telnet.Echo)}},
			seen: []string{"mode rfc2217"}, answers: []string{"DO ECHO", "WONT ECHO"},
		},
		{
			name: "the rest is refused", from: []at{
				{0, agree()}, {0, say(do, telnet.TerminalType)}, {0, say(will, telnet.NAWS)}, {0, say(dont, telnet.NAWS)}, {0, say(wont, telnet.Status)},
			},
			seen: []string{"mode rfc2217"}, answers: []string{"WONT TERMINAL-TYPE", "DONT NAWS"},
		},
		{
			name: "a short patience", cfg: rc.SessionConfig{NegotiateTimeout: 100 * time.Millisecond},
			from: []at{{200 * time.Millisecond, say(dont, telnet.ComPort)}},
			seen: []string{"mode telnet: it did not answer COM-PORT"},
		},
		{
			name: "known as plain: nothing waits", cfg: rc.SessionConfig{KnownPlain: true},
			seen: []string{"mode telnet: it did not speak RFC 2217 before"},
		},
		{
			name: "known as plain, and it has learned", cfg: rc.SessionConfig{KnownPlain: true},
			from: []at{{time.Second, say(do, telnet.ComPort)}},
			seen: []string{"mode telnet: it did not speak RFC 2217 before", "mode rfc2217"},
		},
		{
			name: "known as plain and binary, and still so", cfg: rc.SessionConfig{KnownPlain: true, KnownBinary: true},
			from: []at{{0, binary}},
			seen: []string{"mode telnet: it did not speak RFC 2217 before"},
		},
		{
			name: "known as plain and binary, but silent", cfg: rc.SessionConfig{KnownPlain: true, KnownBinary: true},
			seen: []string{"mode telnet: it did not speak RFC 2217 before"},
		},
		{
			name: "telnet://", cfg: rc.SessionConfig{Protocol: rc.ProtocolTelnet},
			from: []at{{0, say(do, telnet.ComPort)}, {0, binary}, {0, say(will, telnet.ComPort)}, {0, told(comport.SignatureText{}, comport.FlowControlSuspend{})}},
			seen: []string{"mode telnet"}, answers: []string{"WONT COM-PORT", "DONT COM-PORT"},
		},
		{
			name: "telnet://, silence", cfg: rc.SessionConfig{Protocol: rc.ProtocolTelnet},
			seen: []string{"mode telnet"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.cfg.Signature = "vcomd"
			r := newRig(t, tt.cfg)
			for _, step := range tt.from {
				r.pass(step.time - r.now.Sub(epoch))
				if data := r.feed(step.bytes); data != "" {
					t.Errorf("negotiation as data: %q", data)
				}
			}
			r.pass(5*time.Second - r.now.Sub(epoch))
			offers := strings.Split(opening, ", ")
			if tt.cfg.Protocol == rc.ProtocolTelnet {
				offers = offers[1:]
			}
			r.wantSent(append(offers, tt.answers...)...)
			r.wantSeen(tt.seen...)
			if !r.Ready() {
				t.Error("not ready after five seconds")
			}
			if d := r.Deadline(); !d.IsZero() {
				t.Errorf("a deadline is left at +%v", d.Sub(epoch))
			}
		})
	}
}

// TestNegotiationTimes: when data may flow at the earliest.
func TestNegotiationTimes(t *testing.T) {
	for _, tt := range []struct {
		name  string
		bytes []byte
		ready time.Duration
	}{
		{"silence", nil, rc.NegotiateTimeout},
		{"agreed, BINARY open", say(telnet.DO, telnet.ComPort), rc.BinaryGrace},
		{"refused, BINARY open", say(telnet.DONT, telnet.ComPort), rc.BinaryGrace},
		{"agreed", agree(), 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, rc.SessionConfig{})
			r.feed(tt.bytes)
			if tt.ready > 0 {
				r.pass(tt.ready - time.Nanosecond)
				if r.Ready() {
					t.Error("ready too early")
				}
				// More of the same must not make it wait longer.
				r.feed(say(telnet.WILL, telnet.SGA))
				r.pass(time.Nanosecond)
			}
			if !r.Ready() {
				t.Errorf("not ready after %v", tt.ready)
			}
		})
	}
}

// TestEarly: before the negotiation has ended, data and notifications of the
// server count, and requests of this end do not leave.
func TestEarly(t *testing.T) {
	r := newRig(t, rc.SessionConfig{})
	r.sent()
	r.Request(r.now, comport.SetBaudRate{Rate: 9600})
	r.wantSent()
	got := r.feed([]byte("boot"), told(comport.NotifyModemState{State: comport.ModemDCD}), []byte("ing"))
	if got != "booting" {
		t.Errorf("data %q, want %q", got, "booting")
	}
	r.wantSeen("NOTIFY-MODEMSTATE DCD")
	if r.Effective() != (comport.State{}) {
		t.Errorf("a request that was not sent counts: %v", r.Effective())
	}
}

// TestEcho: a raw server that echoes all it gets agrees to every offer. That
// must not become a loop.
func TestEcho(t *testing.T) {
	for _, signature := range []string{"", "vcomd"} {
		r := newRig(t, rc.SessionConfig{Signature: signature})
		total := 0
		for range 100 {
			out := slices.Clone(r.Output())
			r.Consume(len(out))
			if len(out) == 0 {
				break
			}
			total += len(out)
			r.feed(out)
			if total < 100 { // once, in the midst of it
				r.Request(r.now, comport.SignatureText{}, comport.SetBaudRate{})
			}
		}
		if len(r.Output()) > 0 || total > 200 {
			t.Errorf("signature %q: %d bytes sent, and %d more to come", signature, total, len(r.Output()))
		}
	}
}

// TestOptionStorm: answers to a storm are bounded, whatever it consists of.
func TestOptionStorm(t *testing.T) {
	verbs := []telnet.Command{telnet.DO, telnet.DONT, telnet.WILL, telnet.WONT}
	for _, o := range []telnet.Option{telnet.ComPort, telnet.Binary, telnet.Echo, telnet.TerminalType} {
		for _, a := range verbs {
			for _, b := range verbs {
				r := connected(t, rc.SessionConfig{})
				const rounds = 1000
				for range rounds {
					r.feed(say(a, o), say(b, o))
				}
				modes := 0
				for _, ev := range r.events {
					if ev.Kind == rc.EventMode {
						modes++
					}
				}
				if in, out := rounds*6, len(r.Output()); out > in || modes > 2 {
					t.Errorf("%v %v, %v %v: %d bytes in, %d out, %d changes of mode", a, o, b, o, in, out, modes)
				}
				if a == b && len(r.Output()) > 3*telnet.MaxRefusals {
					t.Errorf("%v %v again and again: %d bytes out", a, o, len(r.Output()))
				}
			}
		}
	}
}

// Data for a server that was plain but binary before must not leave until it has
// agreed to BINARY again: it would get a NUL after each CR.
func TestKnownPlainWaitsForBinary(t *testing.T) {
	r := newRig(t, rc.SessionConfig{KnownPlain: true, KnownBinary: true})
	if r.Ready() {
		t.Fatal("ready before the server has agreed to BINARY")
	}
	if d := r.Deadline().Sub(r.now); d != rc.BinaryGrace {
		t.Errorf("it would wait %v for BINARY, want %v", d, rc.BinaryGrace)
	}
	r.feed(append(say(telnet.WILL, telnet.Binary), say(telnet.DO, telnet.Binary)...))
	if !r.Ready() {
		t.Error("not ready once BINARY is agreed, as if COM-PORT mattered")
	}
}
