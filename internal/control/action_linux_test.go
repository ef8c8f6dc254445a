package control

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/vcomd/vcomd/internal/port"
)

// TestActions: what is done, in which words it is told and logged.
func TestActions(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		name     string
		settable error
		idle     bool
		path     string
		body     string
		did      string
		state    State
		logged   string
	}{
		{"reconnect", nil, false, "reconnect", "", "reconnect", StateDone, "reconnect"},
		{"reconnect of an idle port", port.ErrNotConnected, true, "reconnect", `{"version":1}`, "reconnect", StateStored, "reconnect"},
		{"disconnect", nil, false, "disconnect", `{"version":1,"new":[]}`, "disconnect", StateDone, "disconnect"},
		{"purge", nil, false, "purge", "", "purge both", StateDone, "purge=both"},
		{"purge of input", nil, false, "purge", `{"version":1,"what":"rx"}`, "purge receive", StateDone, "purge=rx"},
		{"purge of output", nil, false, "purge", `{"version":1,"what":"tx"}`, "purge transmit", StateDone, "purge=tx"},
		{"purge without a connection", port.ErrNotConnected, false, "purge", "", "purge both", StateStored, "purge=both"},
		{"purge of output without one", port.ErrNotConnected, false, "purge", `{"version":1,"what":"tx"}`, "purge transmit", StateLocal, "purge=tx"},
		{"purge without RFC 2217", port.ErrPlain, false, "purge", "", "purge both", StateLocal, "purge=both"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r.do(func() { r.port.settable, r.port.idle, r.port.did = c.settable, c.idle, nil })
			before := len(r.changed())
			status, reply := r.request(http.MethodPost, "/v1/ports/tty/"+c.path, c.body)
			if status != http.StatusOK || len(reply.Results) != 1 || reply.Results[0].State != c.state || reply.Results[0].Key != c.path {
				t.Errorf("status %d, %+v, %v", status, reply, reply.Error)
			}
			if got := r.did(); !slices.Equal(got, []string{c.did}) {
				t.Errorf("the port did %q, want %q", got, c.did)
			}
			changes := r.changed()[before:]
			if len(changes) != 1 || changes[0].Operations != c.logged || changes[0].Port != "tty" || changes[0].Err != nil {
				t.Errorf("told of %+v", changes)
			}
		})
	}
}

// TestWrongActions do nothing.
func TestWrongActions(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		name, method, path, body string
		status                   int
		code                     Code
		says                     string
	}{
		{"another method", "GET", "/v1/ports/tty/reconnect", "", 405, CodeBadRequest, "GET is not done here"},
		{"another port", "POST", "/v1/ports/none/reconnect", "", 404, CodeNotFound, "there are tty"},
		{"nothing of that name", "POST", "/v1/ports/tty/explode", "", 404, CodeNotFound, "/v1/ports/tty/explode"},
		{"not JSON", "POST", "/v1/ports/tty/purge", "rx", 400, CodeBadRequest, "the body is not a request"},
		{"another version", "POST", "/v1/ports/tty/purge", `{"version":2}`, 400, CodeVersion, "of version 2"},
		{"no version", "POST", "/v1/ports/tty/purge", `{"what":"rx"}`, 400, CodeVersion, "of version 0"},
		{"another what", "POST", "/v1/ports/tty/purge", `{"version":1,"what":"all\u001b"}`, 400, CodeBadRequest, "write rx"},
		{"what of another", "POST", "/v1/ports/tty/reconnect", `{"version":1,"what":"rx"}`, 400, CodeBadRequest, "for purge alone"},
		{"too long", "POST", "/v1/ports/tty/purge", strings.Repeat(" ", 64<<10+1), 400, CodeBadRequest, "longer than 65536 bytes"},
		{"no file", "POST", "/v1/reload", "", 409, CodeCannot, "no configuration file"},
		{"reload asked for", "GET", "/v1/reload", "", 405, CodeBadRequest, "GET is not done here"},
	} {
		t.Run(c.name, func(t *testing.T) {
			status, reply := r.request(c.method, c.path, c.body)
			if status != c.status || reply.Error == nil || reply.Error.Code != c.code || !strings.Contains(reply.Error.Message, c.says) {
				t.Errorf("status %d, %+v; want %d, %s, %q", status, reply.Error, c.status, c.code, c.says)
			}
			if reply.Error != nil && strings.Contains(reply.Error.Message, "\x1b") {
				t.Error("it is not escaped")
			}
		})
	}
	if did := r.did(); len(did) > 0 {
		t.Errorf("the port did %q", did)
	}
	r.do(func() { r.port.settable = ErrMissing })
	for _, action := range []string{"reconnect", "disconnect", "purge"} {
		if status, reply := r.request("POST", "/v1/ports/tty/"+action, ""); status != 503 || reply.Error.Code != CodeFailed {
			t.Errorf("%s of a port that is not there: status %d, %+v", action, status, reply.Error)
		}
	}
	r.do(func() { r.port.settable, r.port.fail = nil, port.ErrBusy })
	if status, reply := r.request("POST", "/v1/ports/tty/purge", ""); status != 503 || !strings.Contains(reply.Error.Message, port.ErrBusy.Error()) {
		t.Errorf("a purge that fails: status %d, %+v", status, reply.Error)
	}
}

// TestReload: what it did, or all that is wrong with the file.
func TestReload(t *testing.T) {
	r := newRig(t)
	var result Reloaded
	var fails error
	r.server.cfg.Reload = func(context.Context) (Reloaded, error) { return result, fails }
	result = Reloaded{Added: []string{"new"}, Kept: 3}
	got, err := r.client().Reload(t.Context(), "tty")
	if err != nil || !slices.Equal(got.Added, []string{"new"}) || got.Kept != 3 || got.Changed == nil || got.Removed == nil {
		t.Errorf("%+v, %v", got, err)
	}
	fails = errors.New("a.toml:1:2: first \x1b\na.toml:3:4: second")
	_, err = r.client().Reload(t.Context(), "tty")
	if e, ok := errors.AsType[*Error](err); !ok || e.Code != CodeConfiguration || e.Message != `a.toml:1:2: first \x1b`+"\na.toml:3:4: second" {
		t.Errorf("%v", err)
	}
	for _, name := range []string{"none", "../run/tty", ""} {
		if _, err = r.client().Reload(t.Context(), name); !errors.Is(err, ErrNoInstance) || !strings.Contains(err.Error(), "there are: tty") {
			t.Errorf("%q: %v", name, err)
		}
	}
	if changes := r.changed(); len(changes) != 2 || changes[0].Operations != "reload" || changes[1].Err == nil {
		t.Errorf("told of %+v", changes)
	}
}
