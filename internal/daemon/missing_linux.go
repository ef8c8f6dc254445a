package daemon

import (
	"time"

	"github.com/vcomd/vcomd/internal/control"
	"github.com/vcomd/vcomd/internal/evloop"
	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// missingRetry is how long a port that could not be served waits for the next try.
const missingRetry = 10 * time.Second

// missing is a port of the configuration that is not there.
type missing struct {
	cfg   port.Config
	err   error
	since time.Time
	timer evloop.Timer
}

// miss has a port tried again later. Until then it is shown as what it is.
func (d *daemon) miss(pc port.Config, err error) {
	m := d.missing[pc.Name]
	if m == nil {
		m = &missing{since: d.loop.Now()}
		d.missing[pc.Name] = m
		d.ctl.Add(pc.Name, m)
	}
	if m.err == nil || m.err.Error() != err.Error() {
		d.cfg.Log.Error().Str("port", pc.Name).Str("event", "not-served").Err(err).Str("retry", missingRetry.String()).Msg("the port cannot be served; the others are")
	}
	m.cfg, m.err = pc, err
	m.timer = d.loop.AfterFunc(missingRetry, func() {
		m.timer = nil
		d.prepare(m.cfg, func(prepared port.Config) {
			if d.missing[pc.Name] != m || d.serving.Err() != nil {
				return // it is not wanted any more, or another is
			}
			d.ctl.Remove(pc.Name)
			delete(d.missing, pc.Name)
			if err := d.add(prepared); err != nil {
				d.missing[pc.Name] = m
				d.ctl.Add(pc.Name, m)
				d.miss(pc, err)
			}
		})
	})
}

// forget ends the tries.
func (d *daemon) forget(m *missing) {
	evloop.Cancel(&m.timer)
	delete(d.missing, m.cfg.Name)
	d.ctl.Remove(m.cfg.Name)
}

// Status implements control.Controlled, as the rest does.
func (m *missing) Status() port.Status {
	return port.Status{
		Name: m.cfg.Name, Remote: m.cfg.Remote.String(), Links: m.cfg.Links, Overlay: m.cfg.Overlay, Since: m.since, LastError: m.err,
	}
}

// UART gives a port at rest.
func (m *missing) UART() port.UART { return port.UART{} }

// What is done to a port that is not there.

// Settable says why nothing can be.
func (m *missing) Settable() error { return control.ErrMissing }

// DriveLines fails.
func (m *missing) DriveLines(_, _ comport.Control) error { return control.ErrMissing }

// SetBreak fails.
func (m *missing) SetBreak(bool) error { return control.ErrMissing }

// SendBreak fails.
func (m *missing) SendBreak(_ time.Duration, done func(error)) (cancel func()) {
	done(control.ErrMissing)
	return func() {}
}

// SetLine fails.
func (m *missing) SetLine(comport.State) error { return control.ErrMissing }

// Reconnect says that there will be no connection now.
func (m *missing) Reconnect() bool { return false }

// Disconnect has nothing to end.
func (m *missing) Disconnect() {}

// Purge fails.
func (m *missing) Purge(comport.Purge) error { return control.ErrMissing }

// Watch has nothing to tell.
func (m *missing) Watch(func(rfc2217client.TraceEntry), func(rfc2217client.Wire)) {}
