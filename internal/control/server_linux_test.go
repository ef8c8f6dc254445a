package control

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// TestStatus: what a port says of itself arrives.
func TestStatus(t *testing.T) {
	r := newRig(t)
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	r.do(func() {
		s := &r.port.status
		s.TTY, s.Remote, s.Links, s.Overlay = "/dev/pts/7", "host:2217", []string{"/dev/ttyGPS"}, "/dev/ttyS0"
		s.Open, s.Up, s.Since = true, true, since
		s.Wanted = comport.State{
			BaudRate: 9600, DataSize: 7, Parity: comport.ParityEven, StopSize: 1,
			Outbound: comport.ControlFlowXonXoff, Inbound: comport.ControlInboundNone, DTR: comport.ControlDTROff,
		}
		s.Reported = comport.State{BaudRate: 4800, DTR: comport.ControlDTROn, RTS: comport.ControlRTSOn}
		s.Bytes.FromProgram, s.Bytes.DroppedStale, s.Client.Unanswered = 11, 12, 13
		s.LastError = errors.New("it says \x1b[2J and \xff")
		// What programs read goes on through an outage, and what is told here does not.
		s.ModemState = comport.ModemCTS | comport.ModemDCD
		r.port.uart = port.UART{Modem: comport.ModemDSR, OutQueue: 14, Counts: port.Counts{CTS: 15, BufOverrun: 16}}
	})
	want := Port{
		Name: "tty", PID: os.Getpid(), Links: []string{"/dev/ttyGPS"}, Overlay: "/dev/ttyS0", TTY: "/dev/pts/7", Remote: "host:2217",
		Open: true, Connected: true, Since: since, Mode: "negotiating",
		Wanted: Settings{Line: "9600-7E1", Flow: "xonxoff", FlowInbound: "none"}, Reported: Settings{Line: "4800"},
		DTR: "off", RTS: "on", CTS: true, DCD: true, OutQueue: 14,
		Counters:  Counters{FromProgram: 11, DroppedStale: 12, Unanswered: 13, CTS: 15, BufOverrun: 16},
		LastError: `it says \x1b[2J and \xff`,
	}
	for _, name := range []string{"tty", "/dev/ttyGPS", "/dev/ttyS0", "/dev/pts/7"} {
		if got := r.find(name).Port; fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("%s: got\n%+v\nwant\n%+v", name, got, want)
		}
	}
	_, reply := r.request(http.MethodGet, "/v1/ports/tty", "")
	if reply.Port == nil || reply.Port.Since != since || reply.Ports != nil {
		t.Errorf("one port: %+v", reply)
	}
}

// TestSet: all operations, in the order in which they were written.
func TestSet(t *testing.T) {
	r := newRig(t)
	go func() { (<-r.port.ended)(nil) }()
	results, err := r.set("rts=off", "dtr=on", "break=on", "break=off", "break=250ms", "speed=115200", "line=9600-7E1", "line=8N1", "rts=on")
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"RTS=off", "DTR=on", "break=on", "break=off", "break 250ms", "115200", "9600-7E1", "8N1", "RTS=on"}
	if got := r.did(); !slices.Equal(got, want) {
		t.Errorf("the port did %q, want %q", got, want)
	}
	for _, result := range results {
		if result.State != StateDone {
			t.Errorf("%v is %s", result.Operation, result.State)
		}
	}
	if len(results) != len(want) {
		t.Errorf("%d results, want %d", len(results), len(want))
	}
	changes := r.changed()
	if len(changes) != 1 || changes[0].Err != nil || changes[0].Peer.PID != os.Getpid() || changes[0].Peer.UID != os.Geteuid() ||
		changes[0].Port != "tty" || !strings.HasPrefix(changes[0].Operations, "rts=off dtr=on ") {
		t.Errorf("told of %+v", changes)
	}
}

// TestBreakIsWaitedFor: what comes after a break is done after its end.
func TestBreakIsWaitedFor(t *testing.T) {
	r := newRig(t)
	done := make(chan error, 1)
	found := r.find("tty")
	go func() {
		_, err := r.client().Set(context.Background(), found, []Operation{{"break", "1s"}, {"dtr", "off"}})
		done <- err
	}()
	end := <-r.port.ended
	if got := r.did(); !slices.Equal(got, []string{"break 1s"}) {
		t.Errorf("during the break: %q", got)
	}
	r.do(func() { end(nil) })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := r.did(); !slices.Equal(got, []string{"break 1s", "DTR=off"}) {
		t.Errorf("after the break: %q", got)
	}
}

// TestBreakEndsWithItsClient and with the server.
func TestBreakEndsWithItsClient(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(r *rig, cancel context.CancelFunc)
	}{
		{"client", func(_ *rig, cancel context.CancelFunc) { cancel() }},
		{"server", func(r *rig, _ context.CancelFunc) { go r.end() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			found := r.find("tty")
			go func() {
				_, err := r.client().Set(ctx, found, []Operation{{"break", "30s"}})
				done <- err
			}()
			<-r.port.ended
			c.end(r, cancel)
			if err := <-done; err == nil {
				t.Error("the request succeeded")
			}
			<-r.port.canceled
		})
	}
}

// TestWithoutConnection: what can wait is stored, what cannot is refused.
func TestWithoutConnection(t *testing.T) {
	r := newRig(t)
	r.do(func() { r.port.settable = port.ErrNotConnected })
	results, err := r.set("dtr=on", "line=9600-7E1", "break=on")
	if err != nil {
		t.Fatal(err)
	}
	for _, result := range results {
		if result.State != StateStored {
			t.Errorf("%v is %s, want stored", result.Operation, result.State)
		}
	}
	results, err = r.set("rts=on", "break=1s", "rts=off")
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeFailed || !strings.Contains(e.Message, "break=1s: there is no connection") {
		t.Errorf("a break: %v", err)
	}
	if len(results) != 1 || results[0].String() != "rts=on" {
		t.Errorf("done before: %v", results)
	}
	if got, want := r.did(), []string{"DTR=on", "9600-7E1", "break=on", "RTS=on"}; !slices.Equal(got, want) {
		t.Errorf("the port did %q, want %q", got, want)
	}
}

// TestServerThatCannot: Telnet has breaks and nothing else, raw bytes nothing.
func TestServerThatCannot(t *testing.T) {
	r := newRig(t)
	go func() {
		if end, ok := <-r.port.ended; ok {
			end(nil)
		}
	}()
	for _, c := range []struct {
		why error
		can []string
		not []string
	}{
		{port.ErrTelnet, []string{"break=on", "break=1s"}, []string{"dtr=on", "rts=off", "speed=9600", "line=8N1"}},
		{port.ErrPlain, nil, []string{"dtr=on", "rts=off", "speed=9600", "line=8N1", "break=on", "break=1s"}},
	} {
		r.do(func() { r.port.settable = c.why })
		for _, o := range c.can {
			if _, err := r.set(o); err != nil {
				t.Errorf("%v: %s: %v", c.why, o, err)
			}
		}
		for _, o := range c.not {
			_, err := r.set(o)
			if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeCannot || !strings.HasPrefix(e.Message, o+": ") {
				t.Errorf("%v: %s: %v, want that it cannot", c.why, o, err)
			}
		}
	}
	if got, want := r.did(), []string{"break=on", "break 1s"}; !slices.Equal(got, want) {
		t.Errorf("the port did %q, want %q", got, want)
	}
}

// TestFailures of the port are told.
func TestFailures(t *testing.T) {
	r := newRig(t)
	r.do(func() { r.port.fail = port.ErrBusy })
	for _, o := range []string{"dtr=on", "break=on", "break=1s", "speed=300"} {
		_, err := r.set(o)
		if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeFailed || !strings.Contains(e.Message, port.ErrBusy.Error()) {
			t.Errorf("%s: %v", o, err)
		}
	}
	if n := len(r.changed()); n != 4 {
		t.Errorf("told of %d changes, want 4", n)
	}
}

// TestRequests that are wrong: each has its code, and nothing is done.
func TestRequests(t *testing.T) {
	r := newRig(t)
	const one = `{"key":"dtr","value":"on"}`
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		code                     Code
		says                     string
	}{
		{"another version", "GET", "/v2/ports", "", 404, CodeVersion, "speaks version 1, at /v1/ports"},
		{"no version", "GET", "/", "", 404, CodeVersion, "/v1/ports"},
		{"nothing there", "GET", "/v1/nonsense", "", 404, CodeNotFound, "ask for /v1/ports"},
		{"another port", "GET", "/v1/ports/none", "", 404, CodeNotFound, "there are tty"},
		{"another port's set", "PATCH", "/v1/ports/none", `{"version":1,"set":[` + one + `]}`, 404, CodeNotFound, "there are tty"},
		{"a name to escape", "GET", "/v1/ports/%1b%5b2J", "", 404, CodeNotFound, `\x1b[2J`},
		{"another method", "DELETE", "/v1/ports/tty", "", 405, CodeBadRequest, "DELETE is not done here"},
		{"not JSON", "PATCH", "/v1/ports/tty", `dtr=on`, 400, CodeBadRequest, "the body is not a request"},
		{"no body", "PATCH", "/v1/ports/tty", ``, 400, CodeBadRequest, "the body is not a request"},
		{"a request of another version", "PATCH", "/v1/ports/tty", `{"version":2,"set":[` + one + `]}`, 400, CodeVersion, "is of version 2; this vcomd speaks version 1"},
		{"a request without one", "PATCH", "/v1/ports/tty", `{"set":[` + one + `]}`, 400, CodeVersion, "version 0"},
		{"nothing to do", "PATCH", "/v1/ports/tty", `{"version":1}`, 400, CodeBadRequest, "there is nothing to set"},
		{"a bad operation after a good one", "PATCH", "/v1/ports/tty", `{"version":1,"set":[` + one + `,{"key":"dtr","value":"up"}]}`, 400, CodeBadRequest, "write dtr=on or dtr=off"},
		{"too many", "PATCH", "/v1/ports/tty", `{"version":1,"set":[` + strings.Repeat(one+",", 32) + one + `]}`, 400, CodeBadRequest, "several goes"},
		{"too long", "PATCH", "/v1/ports/tty", `{"version":1,"x":"` + strings.Repeat("x", 64<<10) + `"}`, 400, CodeBadRequest, "longer than 65536 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, reply := r.request(c.method, c.path, c.body)
			if status != c.status || reply.Error == nil || reply.Error.Code != c.code || !strings.Contains(reply.Error.Message, c.says) {
				t.Errorf("status %d, %+v; want %d, %s, %q", status, reply.Error, c.status, c.code, c.says)
			}
		})
	}
	if did := r.did(); len(did) > 0 {
		t.Errorf("the port did %q", did)
	}
}

// TestUnknownFields are ignored, both ways.
func TestUnknownFields(t *testing.T) {
	r := newRig(t)
	status, reply := r.request("PATCH", "/v1/ports/tty", `{"version":1,"new":{"a":[1]},"set":[{"key":"dtr","value":"on","new":1}]}`)
	if status != 200 || len(reply.Results) != 1 {
		t.Errorf("status %d, %+v", status, reply)
	}
	if reply, err := decodeReply([]byte(`{"version":1,"new":true,"ports":[{"name":"x","new":[]}]}`)); err != nil || reply.Ports[0].Name != "x" {
		t.Errorf("%+v, %v", reply, err)
	}
}

// TestLoopIsNotWaitedForForever: a server whose loop does nothing ends, and its
// clients with it.
func TestLoopIsNotWaitedForForever(t *testing.T) {
	r := newRig(t)
	found := r.find("tty")
	release := make(chan struct{})
	defer func() { close(release) }()
	r.posts <- func() { <-release } // the loop
	done := make(chan error, 1)
	go func() {
		_, err := r.client().Set(context.Background(), found, []Operation{{"dtr", "on"}})
		done <- err
	}()
	// The request is there when it has been posted.
	eventually(t, "the request", func() bool { return len(r.posts) > 0 })
	go r.end()
	err := <-done
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeEnding {
		t.Errorf("%v, want that this vcomd ends", err)
	}
	release <- struct{}{}
	r.end()
	if len(r.port.did) > 0 {
		t.Errorf("the port did %q after the end", r.port.did)
	}
}

// TestNothingIsLeft: neither descriptors nor the socket.
func TestNothingIsLeft(t *testing.T) {
	r := newRig(t)
	r.find("tty")
	before := descriptors(t)
	for range 200 {
		r.find("tty")
	}
	eventually(t, "all descriptors are closed", func() bool { return descriptors(t) <= before })
	r.end()
	entries, err := os.ReadDir(r.dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "lock" {
		t.Errorf("left: %v, %v", entries, err)
	}
}
