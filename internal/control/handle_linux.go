package control

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/vcomd/vcomd/internal/socket"
)

// Paths of version 1.
const (
	apiRoot    = "/v1/"
	portsPath  = "/v1/ports"
	reloadPath = "/v1/reload"
	eventsPath = "/v1/events"
)

// The last part of a path below a port.
const (
	actionReconnect  = "reconnect"
	actionDisconnect = "disconnect"
	actionPurge      = "purge"
	monitorPart      = "monitor"
)

// handle answers one request.
func (s *Server) handle(w http.ResponseWriter, r *http.Request) {
	var peer socket.Peer
	c, known := r.Context().Value(connKey{}).(*conn)
	if known {
		peer = c.peer
	}
	if !known || c.peerErr != nil || !s.cfg.Socket.Permits(peer) {
		err := &Error{CodeRefused, fmt.Sprintf("user %d may not control this port: only root, the tty's owner and its group may", peer.UID)}
		s.cfg.Changed(Change{Peer: peer, Err: err})
		reply(w, http.StatusForbidden, Reply{Error: err})
		return
	}
	if r.Method == http.MethodGet && !c.begin() {
		return // it has had to give way
	}
	name, below, isPort := portOf(r.URL.Path)
	if isPort {
		if _, err := s.port(name); err != nil {
			fail(w, err, nil)
			return
		}
	}
	var methods map[string]func()
	switch {
	case isPort && below == "":
		methods = map[string]func(){
			http.MethodGet:   func() { s.get(w, r, []string{name}) },
			http.MethodPatch: func() { s.patch(w, r, name, peer) },
		}
	case isPort && below == monitorPart:
		methods = map[string]func(){http.MethodGet: func() { s.monitor(w, r, name) }}
	case isPort && (below == actionReconnect || below == actionDisconnect || below == actionPurge):
		methods = map[string]func(){http.MethodPost: func() { s.act(w, r, name, below, peer) }}
	case r.URL.Path == portsPath:
		methods = map[string]func(){http.MethodGet: func() { s.get(w, r, s.all()) }}
	case r.URL.Path == eventsPath:
		methods = map[string]func(){http.MethodGet: func() { s.events(w, r) }}
	case r.URL.Path == reloadPath:
		methods = map[string]func(){http.MethodPost: func() { s.reload(w, r, peer) }}
	case strings.HasPrefix(r.URL.Path, apiRoot):
		reply(w, http.StatusNotFound, Reply{Error: &Error{CodeNotFound, "there is nothing at " + shorten(r.URL.Path) + "; ask for " + portsPath}})
		return
	default:
		reply(w, http.StatusNotFound, Reply{Error: &Error{
			CodeVersion, fmt.Sprintf("there is nothing at %s; this vcomd speaks version %d, at %s", shorten(r.URL.Path), Version, portsPath),
		}})
		return
	}
	if do := methods[r.Method]; do != nil {
		do()
		return
	}
	for m := range methods {
		w.Header().Add("Allow", m)
	}
	reply(w, http.StatusMethodNotAllowed, Reply{Error: &Error{CodeBadRequest, shorten(r.Method) + " is not done here; see the documentation"}})
}

// portOf takes a path below /v1/ports/ apart.
func portOf(path string) (name, below string, is bool) {
	rest, is := strings.CutPrefix(path, portsPath+"/")
	name, below, _ = strings.Cut(rest, "/")
	return name, below, is
}

// shorten makes what a client has written fit to be said.
func shorten(text string) string {
	const enough = 200
	if len(text) > enough {
		text = text[:enough] + "…"
	}
	return Escape(text)
}
