package control

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/internal/socket"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// patch is vcomd set.
func (s *Server) patch(w http.ResponseWriter, r *http.Request, name string, peer socket.Peer) {
	change := Change{Port: name, Peer: peer}
	var done []Result
	refuse := func(err error) {
		change.Err = err
		s.cfg.Changed(change)
		fail(w, err, done)
	}
	request, err := readRequest(w, r)
	if err != nil {
		refuse(err)
		return
	}
	if !began(r) {
		return
	}
	written := make([]string, 0, len(request.Set))
	for _, o := range request.Set[:min(len(request.Set), maxOperations)] {
		written = append(written, Escape(o.String()))
	}
	change.Operations = strings.Join(written, " ")
	actions, err := parseAll(request.Set)
	if err != nil {
		refuse(&Error{CodeBadRequest, err.Error()})
		return
	}
	var breaks time.Duration
	for _, a := range actions {
		breaks += a.breakFor
	}
	ctx, cancel := bounded(w, r, breaks)
	defer cancel()
	for i, a := range actions {
		state, err := s.apply(ctx, name, request.Set[i], a)
		if err != nil {
			refuse(err)
			return
		}
		done = append(done, Result{request.Set[i], state})
	}
	s.cfg.Changed(change)
	reply(w, http.StatusOK, Reply{Results: slices.Clip(done)})
}

func readRequest(w http.ResponseWriter, r *http.Request) (request SetRequest, err error) {
	body, err := readBody(w, r)
	if err != nil {
		return request, err
	}
	return decodeRequest(body)
}

// decodeRequest reads a body. Fields that are not known are ignored.
func decodeRequest(body []byte) (request SetRequest, err error) {
	if err := json.Unmarshal(body, &request); err != nil {
		return request, &Error{CodeBadRequest, "the body is not a request: " + message(err)}
	}
	return request, checkVersion(request.Version)
}

// apply carries out one action. It waits for the end of a break.
func (s *Server) apply(ctx context.Context, name string, o Operation, a action) (State, error) {
	var (
		state  = StateDone
		err    error
		broken chan error  // gets the end of a break
		end    func()      // the break, early
		keep   func() bool // has it end by itself
	)
	if doErr := s.onLoop(ctx, func() {
		var p Controlled
		if p, err = s.port(name); err != nil {
			return
		}
		switch plain := p.Settable(); {
		case errors.Is(plain, port.ErrNotConnected) && a.breakFor != 0:
			err = &Error{CodeFailed, o.String() + ": there is no connection to the access server, and a break cannot wait for one; " +
				"see vcomd status, or begin one with break=on and end it with break=off"}
			return
		case errors.Is(plain, port.ErrNotConnected):
			state = StateStored
		case errors.Is(plain, ErrMissing):
			err = &Error{CodeFailed, Escape(o.String()) + ": " + ErrMissing.Error()}
			return
		case errors.Is(plain, port.ErrTelnet) && (a.breakFor != 0 || a.breakOn != 0):
		case plain != nil:
			err = cannot(o, plain)
			return
		}
		switch {
		case a.dtr != 0 || a.rts != 0:
			err = p.DriveLines(a.dtr, a.rts)
		case a.breakOn != 0:
			err = p.SetBreak(a.breakOn == comport.ControlBreakOn)
		case a.breakFor != 0:
			broken = make(chan error, 1)
			end = p.SendBreak(a.breakFor, func(err error) { broken <- err })
			// The line must not stay broken for a client that has gone, not even
			// for one that went a moment ago.
			early := end
			keep = context.AfterFunc(ctx, func() { s.cfg.Post(early) })
		default:
			err = p.SetLine(a.line)
		}
	}); doErr != nil {
		return "", doErr
	}
	if broken != nil {
		select {
		case err = <-broken:
			keep()
		case <-ctx.Done():
			s.cfg.Post(end) // before this server's end, which may be the reason
			return "", s.ended(ctx)
		}
	}
	if err == nil {
		return state, nil
	}
	if _, known := errors.AsType[*Error](err); known {
		return "", err
	}
	return "", &Error{CodeFailed, Escape(o.String()) + ": " + message(err) + "; try again"}
}

func cannot(o Operation, why error) error {
	return &Error{CodeCannot, Escape(o.String()) + ": it cannot be set: " + why.Error() +
		"; only one that does has settings and lines (REMOTE without a scheme, rfc2217:// or rfc2217s://)"}
}
