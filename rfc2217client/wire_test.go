package rfc2217client_test

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	rc "github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/telnet"
)

// epoch is when every test's session starts. Sessions have no clock.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

// unhex reads hex bytes, blanks anywhere.
func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		tb.Fatalf("bad hex in the test: %v", err)
	}
	return b
}

// told is what an access server sends for the messages.
func told(messages ...comport.Message) []byte {
	var b []byte
	for _, m := range messages {
		b = telnet.AppendSubnegotiation(b, telnet.ComPort, comport.Append(nil, comport.ToClient, m))
	}
	return b
}

// say is one Telnet negotiation.
func say(verb telnet.Command, o telnet.Option) []byte { return telnet.AppendNegotiation(nil, verb, o) }

// agree is the shortest greeting that settles COM-PORT and BINARY.
func agree() []byte {
	return slices.Concat(say(telnet.DO, telnet.ComPort), say(telnet.DO, telnet.Binary), say(telnet.WILL, telnet.Binary))
}

// describe takes what a client sent apart, into one text for each element.
func describe(tb testing.TB, sent []byte) []string {
	tb.Helper()
	var (
		dec telnet.Decoder
		all []string
		ev  telnet.Event
	)
	dec.SetBinary(true) // show a NUL after CR
	for rest := slices.Clone(sent); ; {
		ev, rest = dec.Next(rest)
		switch ev.Kind {
		case telnet.EventNone:
			return all
		case telnet.EventData:
			all = append(all, fmt.Sprintf("%q", ev.Data))
		case telnet.EventCommand:
			all = append(all, ev.Command.String())
		case telnet.EventNegotiation:
			all = append(all, ev.Command.String()+" "+ev.Option.String())
		case telnet.EventSubnegotiation:
			if ev.Option != telnet.ComPort {
				tb.Errorf("the client sent a subnegotiation of %v", ev.Option)
				continue
			}
			dir, m, err := comport.Parse(ev.Data)
			if err != nil || dir != comport.ToServer {
				tb.Errorf("the client sent % x: direction %v, %v", ev.Data, dir, err)
				continue
			}
			all = append(all, m.String())
		}
	}
}

// rig is a Session under test and the time it lives in.
type rig struct {
	*rc.Session
	t      testing.TB
	now    time.Time
	events []rc.Event
}

func newRig(tb testing.TB, cfg rc.SessionConfig) *rig {
	tb.Helper()
	r := &rig{t: tb, now: epoch}
	next := cfg.Event
	cfg.Event = func(ev rc.Event) {
		r.events = append(r.events, ev)
		if next != nil {
			next(ev)
		}
	}
	r.Session = rc.NewSession(cfg)
	r.Start(r.now)
	return r
}

// connected is a rig in ModeComPort with BINARY both ways, whose opening output
// and events are gone.
func connected(tb testing.TB, cfg rc.SessionConfig) *rig {
	tb.Helper()
	r := newRig(tb, cfg)
	r.feed(agree())
	if r.Mode() != rc.ModeComPort {
		tb.Fatalf("mode %v after the server agreed", r.Mode())
	}
	r.sent()
	r.events = nil
	return r
}

// feed gives the session bytes from the server, and returns the data in them.
func (r *rig) feed(pieces ...[]byte) string {
	var data strings.Builder
	for _, p := range pieces {
		data.Write(r.Receive(r.now, slices.Clone(p)))
	}
	return data.String()
}

// sent takes what the session wants to send, and describes it.
func (r *rig) sent() []string {
	r.t.Helper()
	all := describe(r.t, r.Output())
	r.Consume(len(r.Output()))
	return all
}

func (r *rig) wantSent(want ...string) {
	r.t.Helper()
	if got := r.sent(); !slices.Equal(got, want) {
		r.t.Errorf("at +%v it sends %q, want %q", r.now.Sub(epoch), got, want)
	}
}

// seen gives the events since the last call, in words.
func (r *rig) seen() []string {
	all := make([]string, 0, len(r.events))
	for _, ev := range r.events {
		all = append(all, eventText(ev))
	}
	r.events = nil
	return all
}

func eventText(ev rc.Event) string {
	switch ev.Kind {
	case rc.EventMode:
		if ev.Text != "" {
			return "mode " + ev.Mode.String() + ": " + ev.Text
		}
		return "mode " + ev.Mode.String()
	case rc.EventReport:
		if ev.Request != nil {
			return "told " + ev.Message.String() + " for " + ev.Request.String()
		}
		return "told " + ev.Message.String()
	case rc.EventUnanswered:
		return "unanswered " + ev.Request.String()
	case rc.EventModemState, rc.EventLineState:
		return ev.Message.String()
	case rc.EventBreak:
		return "break"
	case rc.EventSuspended:
		return "suspended"
	case rc.EventResumed:
		return "resumed"
	default:
		return fmt.Sprintf("event %d", ev.Kind)
	}
}

func (r *rig) wantSeen(want ...string) {
	r.t.Helper()
	if got := r.seen(); !slices.Equal(got, want) {
		r.t.Errorf("at +%v events %q, want %q", r.now.Sub(epoch), got, want)
	}
}

// pass lets time pass as a Client does: Tick comes at each Deadline.
func (r *rig) pass(d time.Duration) {
	r.t.Helper()
	end := r.now.Add(d)
	for range 1000 {
		at := r.Deadline()
		if at.IsZero() || at.After(end) {
			r.now = end
			return
		}
		if at.After(r.now) {
			r.now = at
		}
		r.Tick(r.now)
		if next := r.Deadline(); !next.IsZero() && !next.After(r.now) {
			r.t.Fatalf("Tick at +%v leaves the deadline at +%v", r.now.Sub(epoch), next.Sub(epoch))
		}
	}
	r.t.Fatal("a thousand ticks and no end")
}
