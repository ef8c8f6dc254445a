package control

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/rfc2217client"
)

// What waits for one listener at most. One that is slower than that loses entries, and
// is told how many.
const (
	maxEntries = 4096
	maxWaiting = 1 << 20 // bytes of data
)

// listener is somebody who reads a stream. Entries are put in on the loop and taken out
// by the request's goroutine.
type listener struct {
	port  string        // "": all
	shows map[Kind]bool // data, command, wire, event

	wake chan struct{}

	mu      sync.Mutex
	entries []Entry
	bytes   int
	lost    Lost
}

func newListener(of string, shows ...Kind) *listener {
	l := &listener{port: of, shows: make(map[Kind]bool), wake: make(chan struct{}, 1)}
	for _, k := range shows {
		l.shows[k] = true
	}
	return l
}

// put never blocks.
func (l *listener) put(e Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	// What comes after something that was lost is lost too, until the listener has
	// caught up: so the place of what is missing is known.
	if l.lost.Entries > 0 || len(l.entries) == maxEntries || l.bytes+len(e.Data) > maxWaiting {
		l.lost.add(e)
	} else {
		l.entries = append(l.entries, e)
		l.bytes += len(e.Data)
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// take empties the listener's queue. What was lost was lost after these entries.
func (l *listener) take(into []Entry) ([]Entry, Lost) {
	l.mu.Lock()
	defer l.mu.Unlock()
	clear(into)
	taken, lost := l.entries, l.lost
	l.entries, l.bytes, l.lost = into[:0], 0, Lost{}
	return taken, lost
}

// Publish tells those who listen what has happened to a port. It is called on the loop,
// and costs nothing when nobody listens.
func (s *Server) Publish(ev port.Event) {
	if len(s.listeners) == 0 {
		return
	}
	e := Entry{Time: ev.Time, Port: ev.Port, Kind: KindEvent, Event: string(ev.Kind), Old: Escape(ev.Old), New: Escape(ev.New), Text: Escape(ev.Text)}
	if ev.Err != nil {
		e.Error = message(ev.Err)
	}
	s.tell(e)
}

// tell hands an entry to those who want it.
func (s *Server) tell(e Entry) {
	for _, l := range s.listeners {
		if l.shows[e.Kind] && (l.port == "" || l.port == e.Port) {
			l.put(e)
		}
	}
}

// watch has a port tell what passes, or not any more, as there are listeners.
func (s *Server) watch(name string) {
	if len(s.listeners) == 0 && !s.watched[name] {
		return
	}
	p, err := s.port(name)
	if err != nil {
		delete(s.watched, name)
		return
	}
	wants := func(kinds ...Kind) bool {
		return slices.ContainsFunc(s.listeners, func(l *listener) bool {
			return l.port == name && slices.ContainsFunc(kinds, func(k Kind) bool { return l.shows[k] })
		})
	}
	var trace func(rfc2217client.TraceEntry)
	var wire func(rfc2217client.Wire)
	if wants(KindData, KindCommand) {
		trace = func(t rfc2217client.TraceEntry) {
			e := Entry{Time: time.Now(), Port: name, Kind: KindData, Direction: direction(t.Direction), Data: bytes.Clone(t.Data)}
			if t.Text != "" {
				e.Kind, e.Data, e.Text = KindCommand, nil, Escape(t.Text)
			}
			s.tell(e)
		}
	}
	if wants(KindWire) {
		wire = func(b rfc2217client.Wire) {
			s.tell(Entry{
				Time: time.Now(), Port: name, Kind: KindWire, Direction: direction(b.Direction), Connection: b.Connection, Data: bytes.Clone(b.Data),
			})
		}
	}
	if s.watched == nil {
		s.watched = make(map[string]bool)
	}
	s.watched[name] = trace != nil || wire != nil
	p.Watch(trace, wire)
}

func direction(d rfc2217client.Direction) Direction {
	if d == rfc2217client.Sent {
		return DirectionSent
	}
	return DirectionReceived
}

// events is the stream of what happens to ports.
func (s *Server) events(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Query().Get("port")
	if name != "" {
		if _, err := s.port(name); err != nil {
			fail(w, err, nil)
			return
		}
	}
	s.stream(w, r, newListener(name, KindEvent))
}

// monitor is the stream of what passes between a port and its access server.
func (s *Server) monitor(w http.ResponseWriter, r *http.Request, name string) {
	shows := []Kind{KindData, KindCommand, KindEvent}
	if list := r.URL.Query().Get("show"); list != "" {
		shows = nil
		for word := range strings.SplitSeq(list, ",") {
			k := Kind(word)
			if !slices.Contains([]Kind{KindData, KindCommand, KindEvent, KindWire}, k) {
				fail(w, &Error{CodeBadRequest, fmt.Sprintf("show: there is no %q; there are data, command, event and wire", shorten(word))}, nil)
				return
			}
			shows = append(shows, k)
		}
	}
	s.stream(w, r, newListener(name, shows...))
}

// stream writes what a listener gets, until the client or the server ends.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, l *listener) {
	ctx, cancel := bounded(w, r, 0)
	var full bool
	err := s.onLoop(ctx, func() {
		if full = len(s.listeners) >= maxStreams; full {
			return
		}
		s.listeners = append(s.listeners, l)
		s.watch(l.port)
	})
	cancel()
	switch {
	case full:
		fail(w, busy(), nil)
		return
	case err != nil:
		s.forget(l) // it may be done yet
		fail(w, err, nil)
		return
	}
	defer s.forget(l)
	rc := http.NewResponseController(w)
	// It lasts as long as both want it to; the server's end closes the connection.
	_, _ = rc.SetReadDeadline(time.Time{}), rc.SetWriteDeadline(time.Time{})
	w.Header().Set("Content-Type", "application/x-ndjson")
	enc := json.NewEncoder(w)
	if enc.Encode(Entry{Version: Version, Time: time.Now(), Port: l.port, Kind: KindBegin}) != nil || rc.Flush() != nil {
		return
	}
	var entries []Entry
	for {
		select {
		case <-r.Context().Done():
			return
		case <-l.wake:
		}
		var lost Lost
		entries, lost = l.take(entries)
		for _, e := range entries {
			if enc.Encode(e) != nil {
				return
			}
		}
		if lost.Entries > 0 && enc.Encode(Entry{Time: time.Now(), Port: l.port, Kind: KindLost, Lost: &lost}) != nil {
			return
		}
		if rc.Flush() != nil {
			return
		}
	}
}

// forget ends a listener.
func (s *Server) forget(l *listener) {
	s.cfg.Post(func() {
		s.listeners = slices.DeleteFunc(s.listeners, func(other *listener) bool { return other == l })
		if l.port != "" {
			s.watch(l.port)
		}
	})
}
