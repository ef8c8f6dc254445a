package daemon

import (
	"context"

	"github.com/rs/zerolog"

	"github.com/vcomd/vcomd/internal/control"
	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/internal/socket"
)

// newControl makes the server of the control socket, which has the name,
// directory and permissions of the first port.
func newControl(cfg Config, post func(func()), reload func(context.Context) (control.Reloaded, error)) *control.Server {
	c := control.Config{Post: post, Changed: logChanges(cfg.Log)}
	if cfg.Service.Load != nil {
		c.Reload = reload
	}
	switch {
	case cfg.Service.Socket.Name != "":
		c.Socket = cfg.Service.Socket
		c.Socket.Name = control.SocketName(c.Socket.Name)
	case len(cfg.Ports) > 0:
		first := cfg.Ports[0]
		c.Socket = socket.Socket{RunDir: first.RunDir, Name: control.SocketName(first.Name), UID: first.UID, GID: first.GID, Mode: first.Mode}
	}
	return control.NewServer(c)
}

// logChanges writes down who has changed what, or tried to.
func logChanges(log zerolog.Logger) func(control.Change) {
	return func(c control.Change) {
		level, text := zerolog.InfoLevel, "somebody has asked for something by the control socket"
		if c.Err != nil {
			level, text = zerolog.WarnLevel, "not all that somebody asked for by the control socket was done"
		}
		log.WithLevel(level).Str("event", "control").Str("port", c.Port).Str("new", c.Operations).
			Int("pid", c.Peer.PID).Int("uid", c.Peer.UID).AnErr("err", c.Err).Msg(text)
	}
}

// held keeps a port's events back until the port can be reached by all ways.
type held struct {
	sink  func(port.Event)
	early []port.Event
	ready bool
}

func (h *held) event(ev port.Event) {
	if !h.ready {
		h.early = append(h.early, ev)
		return
	}
	h.sink(ev)
}

func (h *held) release() {
	h.ready = true
	for _, ev := range h.early {
		h.sink(ev)
	}
	h.early = nil
}
