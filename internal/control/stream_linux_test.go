package control

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/internal/socket"
	"github.com/vcomd/vcomd/rfc2217client"
)

// listen reads a port's monitor in the background, until the test ends.
func (r *rig) listen(shows ...Kind) <-chan Entry {
	r.t.Helper()
	found := r.find("tty")
	ctx, cancel := context.WithCancel(context.Background())
	entries, done := make(chan Entry, 10_000), make(chan struct{})
	go func() {
		defer close(done)
		defer close(entries)
		err := r.client().Monitor(ctx, found, shows, func(e Entry) error {
			entries <- e
			return nil
		})
		if err != nil && !errors.Is(err, ErrStreamEnded) {
			r.t.Errorf("Monitor: %v", err)
		}
	}()
	r.t.Cleanup(func() {
		cancel()
		<-done
	})
	if e := r.next(entries); e.Kind != KindBegin || e.Version != Version || e.Port != "tty" {
		r.t.Errorf("it begins with %+v", e)
	}
	return entries
}

func (r *rig) next(entries <-chan Entry) Entry {
	r.t.Helper()
	limit := time.NewTimer(patience)
	defer limit.Stop()
	select {
	case e, ok := <-entries:
		if !ok {
			r.t.Fatal("the stream has ended")
		}
		return e
	case <-limit.C:
		r.t.Fatal("nothing comes")
	}
	return Entry{}
}

// watched reports what the port is told to tell.
func (r *rig) watched() (trace, wire bool) {
	r.do(func() { trace, wire = r.port.trace != nil, r.port.wire != nil })
	return trace, wire
}

// TestMonitor: what was asked for comes, as it was, in its order.
func TestMonitor(t *testing.T) {
	r := newRig(t)
	entries := r.listen(KindData, KindCommand, KindEvent)
	data := []byte("\x00\xffdata")
	r.do(func() {
		if r.port.wire != nil {
			t.Error("the wire is watched for nobody")
		}
		r.port.trace(rfc2217client.TraceEntry{Direction: rfc2217client.Sent, Data: data})
		copy(data, "XXXXXX") // it is valid during the call
		r.port.trace(rfc2217client.TraceEntry{Direction: rfc2217client.Received, Text: "SIGNATURE \x1b"})
		r.server.Publish(port.Event{Time: time.Now(), Port: "other", Kind: port.KindOpened})
		r.server.Publish(port.Event{Time: time.Now(), Port: "tty", Kind: port.KindDisconnected, Old: "\u009b", New: "b", Text: "c", Err: errors.New("\x1b[2J")})
	})
	if e := r.next(entries); e.Kind != KindData || e.Direction != DirectionSent || string(e.Data) != "\x00\xffdata" || time.Since(e.Time) > patience {
		t.Errorf("%+v", e)
	}
	if e := r.next(entries); e.Kind != KindCommand || e.Direction != DirectionReceived || e.Text != `SIGNATURE \x1b` || e.Data != nil {
		t.Errorf("%+v", e)
	}
	if e := r.next(entries); e.Kind != KindEvent || e.Event != "disconnected" || e.Old != `\u009b` || e.New != "b" || e.Text != "c" || e.Error != `\x1b[2J` {
		t.Errorf("%+v", e)
	}
}

// TestWatchedWhileSomebodyListens and no longer, each for what he wants.
func TestWatchedWhileSomebodyListens(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		shows       []Kind
		trace, wire bool
	}{{[]Kind{KindData}, true, false}, {[]Kind{KindWire, KindEvent}, false, true}, {[]Kind{KindEvent}, false, false}} {
		ctx, cancel := context.WithCancel(t.Context())
		began, done := make(chan struct{}), make(chan error, 1)
		found := r.find("tty")
		go func() {
			done <- r.client().Monitor(ctx, found, c.shows, func(Entry) error { close(began); return nil })
		}()
		<-began
		if trace, wire := r.watched(); trace != c.trace || wire != c.wire {
			t.Errorf("%v: trace %v, wire %v", c.shows, trace, wire)
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("%v: %v", c.shows, err)
		}
		eventually(t, "nothing is watched", func() bool { trace, wire := r.watched(); return !trace && !wire })
	}
}

// TestMonitorOutlivesItsPort: a port that a reload makes anew is watched as the old one
// was.
func TestMonitorOutlivesItsPort(t *testing.T) {
	r := newRig(t)
	entries := r.listen(KindWire)
	next := &fakePort{}
	r.do(func() {
		r.server.Remove("tty")
		r.server.Add("tty", next)
		next.wire(rfc2217client.Wire{Connection: 3, Direction: rfc2217client.Received, Data: []byte("new")})
	})
	if e := r.next(entries); e.Kind != KindWire || e.Connection != 3 || e.Direction != DirectionReceived || string(e.Data) != "new" {
		t.Errorf("%+v", e)
	}
}

// TestSlowListener: what he has no room for is dropped, and told in its place.
func TestSlowListener(t *testing.T) {
	l := newListener("tty", KindData)
	put := func(d Direction, k Kind, n int) {
		l.put(Entry{Kind: k, Direction: d, Data: bytes.Repeat([]byte{'x'}, n)})
	}
	for range maxEntries {
		put(DirectionSent, KindData, 1)
	}
	put(DirectionSent, KindData, 10)
	put(DirectionReceived, KindData, 20)
	put(DirectionSent, KindWire, 30)
	put(DirectionReceived, KindWire, 40)
	put(DirectionReceived, KindEvent, 0)
	entries, lost := l.take(nil)
	if len(entries) != maxEntries || lost != (Lost{Entries: 5, Sent: 10, Received: 20, WireSent: 30, WireReceived: 40}) {
		t.Errorf("%d entries, lost %+v", len(entries), lost)
	}
	put(DirectionSent, KindData, maxWaiting)
	put(DirectionSent, KindData, 1)
	put(DirectionSent, KindData, 0) // behind what is lost
	entries, lost = l.take(entries)
	if len(entries) != 1 || lost != (Lost{Entries: 2, Sent: 1}) {
		t.Errorf("%d entries, lost %+v", len(entries), lost)
	}
	put(DirectionSent, KindData, 5)
	if entries, lost = l.take(entries); len(entries) != 1 || lost != (Lost{}) {
		t.Errorf("%d entries, lost %+v", len(entries), lost)
	}
}

// TestSlowReader: one that does not read hinders nobody, and is told at last.
func TestSlowReader(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	began, goOn, lost := make(chan struct{}), make(chan struct{}), make(chan Lost, 1)
	found := r.find("tty")
	done := make(chan error, 1)
	go func() {
		done <- r.client().Monitor(ctx, found, []Kind{KindData}, func(e Entry) error {
			switch e.Kind {
			case KindBegin:
				close(began)
				<-goOn
			case KindLost:
				lost <- *e.Lost
				cancel()
			case KindData, KindCommand, KindEvent, KindWire:
			}
			return nil
		})
	}()
	<-began
	const pieces, size = 1000, 16 << 10
	data := bytes.Repeat([]byte{0xff}, size)
	for range pieces {
		r.do(func() { r.port.trace(rfc2217client.TraceEntry{Data: data}) })
	}
	close(goOn)
	if l := <-lost; l.Entries == 0 || l.Entries >= pieces || l.Sent != l.Entries*size {
		t.Errorf("lost %+v", l)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestStreamsEnd with the server.
func TestStreamsEnd(t *testing.T) {
	r := newRig(t)
	found := r.find("tty")
	began, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- r.client().Monitor(context.Background(), found, []Kind{KindData}, func(Entry) error { close(began); return nil })
	}()
	<-began
	go r.end()
	if err := <-done; !errors.Is(err, ErrStreamEnded) {
		t.Errorf("%v, want %v", err, ErrStreamEnded)
	}
}

// TestStreamCutInALine: half an entry is no answer of another program; it is what is left
// when a vcomd, or the one who listens, ends.
func TestStreamCutInALine(t *testing.T) {
	dir := shortDir(t)
	l, err := socket.Socket{RunDir: dir, Name: SocketName("tty"), UID: -1, GID: -1, Mode: 0o600}.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	const line = `{"version":1,"kind":"begin"}` + "\n"
	serve := func(wait <-chan struct{}) {
		conn, err := l.Accept()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		if _, err := http.ReadRequest(bufio.NewReader(conn)); err != nil {
			t.Error(err)
		}
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s%s\r\n", len(line)+10, line, line[:10])
		<-wait
	}
	found := Found{Socket: SocketPath(dir, "tty"), Port: Port{Name: "tty"}}
	now := make(chan struct{})
	close(now)
	for _, c := range []struct {
		name string
		cut  bool // by the one who listens
		want error
	}{{"by the server", false, ErrStreamEnded}, {"by the client", true, nil}} {
		ctx, cancel := context.WithCancel(t.Context())
		wait := (<-chan struct{})(now)
		if c.cut {
			wait = ctx.Done()
		}
		var wg sync.WaitGroup
		wg.Go(func() { serve(wait) })
		var entries int
		err := Client{}.Monitor(ctx, found, nil, func(Entry) error {
			entries++
			if c.cut {
				cancel()
			}
			return nil
		})
		cancel()
		wg.Wait()
		if !errors.Is(err, c.want) || entries != 1 {
			t.Errorf("cut %s: %d entries, %v, want 1 and %v", c.name, entries, err, c.want)
		}
	}
}

// TestTooManyStreams are refused; others are served.
func TestTooManyStreams(t *testing.T) {
	r := newRig(t)
	for range maxStreams {
		r.listen(KindData)
	}
	err := r.client().Monitor(t.Context(), r.find("tty"), []Kind{KindData}, func(Entry) error { return nil })
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeBusy {
		t.Errorf("%v, want that it is busy", err)
	}
}

// TestStreamRequests that are wrong.
func TestStreamRequests(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		method, path string
		status       int
		code         Code
		says         string
	}{
		{"GET", "/v1/ports/tty/monitor?show=data,noise", 400, CodeBadRequest, `there is no \"noise\"`},
		{"GET", "/v1/ports/none/monitor", 404, CodeNotFound, "there are tty"},
		{"GET", "/v1/events?port=none", 404, CodeNotFound, "there are tty"},
		{"POST", "/v1/events", 405, CodeBadRequest, "POST is not done here"},
		{"POST", "/v1/ports/tty/monitor", 405, CodeBadRequest, "POST is not done here"},
		{"GET", "/v1/ports/tty/monitor/more", 404, CodeNotFound, "/v1/ports/tty/monitor/more"},
	} {
		status, reply := r.request(c.method, c.path, "")
		if status != c.status || reply.Error == nil || reply.Error.Code != c.code || !strings.Contains(strings.ReplaceAll(reply.Error.Message, `"`, `\"`), c.says) {
			t.Errorf("%s %s: status %d, %+v", c.method, c.path, status, reply.Error)
		}
	}
}

// BenchmarkNobodyListens is what an event costs then.
func BenchmarkNobodyListens(b *testing.B) {
	s := NewServer(Config{})
	ev := port.Event{Kind: port.KindWanted, Old: "9600-8N1", New: "19200-8N1"}
	b.ReportAllocs()
	for b.Loop() {
		s.Publish(ev)
	}
}
