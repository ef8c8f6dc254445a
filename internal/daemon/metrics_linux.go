package daemon

import (
	"errors"
	"fmt"
	"net"

	"github.com/vcomd/vcomd/internal/metrics"
	"github.com/vcomd/vcomd/internal/version"
)

// listenMetrics listens where metrics are to be served. A daemon that takes over ports
// does without, rather than lose them.
func (d *daemon) listenMetrics() error {
	if d.cfg.Metrics == "" {
		return nil
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(d.serving, "tcp", d.cfg.Metrics)
	if err == nil {
		d.metrics = ln
		return nil
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		err = op.Err // the address is named already
	}
	err = fmt.Errorf("metrics: cannot listen at %s: %w; choose another address with --metrics, or stop what listens there", d.cfg.Metrics, err)
	if len(d.cfg.Service.Resume) > 0 {
		d.cfg.Log.Error().Err(err).Str("event", "no-metrics").Msg("there are no metrics until the next restart")
		return nil
	}
	return err
}

// serveMetrics answers there, until the daemon ends.
func (d *daemon) serveMetrics() {
	if d.metrics == nil {
		return
	}
	e := metrics.New(metrics.Config{Post: d.loop.Post, Ports: d.measured, Version: version.String()})
	ln := d.metrics
	d.servers.Go(func() {
		d.serve(func() error { return e.Serve(d.serving, ln) })
	})
}

// measured are all ports of the configuration, each once.
func (d *daemon) measured() []metrics.Measured {
	all := make([]metrics.Measured, 0, len(d.ports)+len(d.missing))
	there := make(map[string]bool, len(d.ports))
	for _, s := range d.ports {
		if !there[s.cfg.Name] {
			there[s.cfg.Name] = true
			all = append(all, metrics.Measured{Port: s.port, Meter: &s.meter})
		}
	}
	for name, m := range d.missing {
		if !there[name] {
			all = append(all, metrics.Measured{Port: m})
		}
	}
	return all
}
