package control

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/internal/socket"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// What a purge is of.
const (
	purgeReceived = "rx"
	purgeWritten  = "tx"
	purgeBoth     = "both"
)

// parsePurge reads ActionRequest.What.
func parsePurge(what string) (comport.Purge, error) {
	switch what {
	case purgeReceived:
		return comport.PurgeReceive, nil
	case purgeWritten:
		return comport.PurgeTransmit, nil
	case purgeBoth, "":
		return comport.PurgeBoth, nil
	default:
		return 0, &Error{CodeBadRequest, fmt.Sprintf("%q cannot be purged: write %s (received for the program), %s (written by it) or %s",
			shorten(what), purgeReceived, purgeWritten, purgeBoth)}
	}
}

// act is vcomd reconnect, disconnect and purge.
func (s *Server) act(w http.ResponseWriter, r *http.Request, name, what string, peer socket.Peer) {
	change := Change{Port: name, Peer: peer, Operations: what}
	refuse := func(err error) {
		change.Err = err
		s.cfg.Changed(change)
		fail(w, err, nil)
	}
	request, err := readAction(w, r)
	if err != nil {
		refuse(err)
		return
	}
	o := Operation{Key: what}
	var of comport.Purge
	switch {
	case what == actionPurge:
		if of, err = parsePurge(request.What); err != nil {
			refuse(err)
			return
		}
		o.Value = request.What
		if o.Value == "" {
			o.Value = purgeBoth
		}
		change.Operations = o.String()
	case request.What != "":
		refuse(&Error{CodeBadRequest, "what is for " + actionPurge + " alone"})
		return
	}
	if !began(r) {
		return
	}
	ctx, cancel := bounded(w, r, 0)
	defer cancel()
	state := StateDone
	if doErr := s.onLoop(ctx, func() {
		var p Controlled
		if p, err = s.port(name); err != nil {
			return
		}
		state, err = actOn(p, what, of)
	}); doErr != nil {
		refuse(doErr)
		return
	}
	if err != nil {
		if _, known := errors.AsType[*Error](err); !known {
			err = &Error{CodeFailed, message(err)}
		}
		refuse(err)
		return
	}
	s.cfg.Changed(change)
	reply(w, http.StatusOK, Reply{Results: []Result{{o, state}}})
}

// actOn does one action, on the loop.
func actOn(p Controlled, what string, of comport.Purge) (State, error) {
	settable := p.Settable()
	if errors.Is(settable, ErrMissing) {
		return "", ErrMissing
	}
	switch what {
	case actionReconnect:
		if !p.Reconnect() {
			return StateStored, nil
		}
		return StateDone, nil
	case actionDisconnect:
		p.Disconnect()
		return StateDone, nil
	}
	if err := p.Purge(of); err != nil {
		return "", err
	}
	switch {
	case settable == nil:
		return StateDone, nil
	case errors.Is(settable, port.ErrNotConnected) && of&comport.PurgeReceive != 0:
		return StateStored, nil
	default:
		return StateLocal, nil
	}
}

// readAction reads the body of an action, which may be empty.
func readAction(w http.ResponseWriter, r *http.Request) (request ActionRequest, err error) {
	body, err := readBody(w, r)
	if err != nil || len(body) == 0 {
		return request, err
	}
	if err := json.Unmarshal(body, &request); err != nil {
		return request, &Error{CodeBadRequest, "the body is not a request: " + message(err)}
	}
	return request, checkVersion(request.Version)
}

// readBody reads a body that is not too long.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
		return nil, &Error{CodeBadRequest, fmt.Sprintf("the body is longer than %d bytes", maxBody)}
	}
	if err != nil {
		return nil, &Error{CodeBadRequest, "the body cannot be read: " + message(err)}
	}
	return body, nil
}

func checkVersion(version int) error {
	if version != Version {
		return &Error{CodeVersion, fmt.Sprintf("the request is of version %d; this vcomd speaks version %d", version, Version)}
	}
	return nil
}

// maxConfigError bounds what is said of a configuration, in bytes.
const maxConfigError = 16 << 10

// reload is vcomd reload.
func (s *Server) reload(w http.ResponseWriter, r *http.Request, peer socket.Peer) {
	change := Change{Peer: peer, Operations: "reload"}
	var done Reloaded
	_, err := readAction(w, r)
	if err == nil && !began(r) {
		return
	}
	if err == nil && s.cfg.Reload == nil {
		err = &Error{CodeCannot, "this vcomd has no configuration file; only vcomd serve has"}
	}
	if err == nil {
		ctx, cancel := bounded(w, r, reloadTimeout)
		defer cancel()
		done, err = s.cfg.Reload(ctx)
		if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			err = s.ended(ctx)
		}
	}
	if err != nil {
		if _, known := errors.AsType[*Error](err); !known {
			err = &Error{CodeConfiguration, lines(err)}
		}
		change.Err = err
		s.cfg.Changed(change)
		fail(w, err, nil)
		return
	}
	s.cfg.Changed(change)
	for _, names := range []*[]string{&done.Added, &done.Changed, &done.Removed, &done.Failed} {
		*names = append([]string{}, *names...) // [] in JSON, not null
	}
	reply(w, http.StatusOK, Reply{Reloaded: &done})
}

// lines is message for an error of several lines.
func lines(err error) string {
	text := err.Error()
	var b strings.Builder
	for line := range strings.SplitSeq(text[:min(len(text), maxConfigError)], "\n") {
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(Escape(line))
	}
	return b.String()
}
