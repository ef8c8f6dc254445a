package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/vcomd/vcomd/internal/control"
	"github.com/vcomd/vcomd/internal/handover"
	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/rfc2217client"
)

// reload is the state of a change of configuration.
type reload struct {
	busy bool
	next []port.Config // asked for meanwhile
	more bool          // next is to be done
	// told are those who wait for the present change, and nextTold for the next one.
	told, nextTold []func(control.Reloaded)

	reading sync.Mutex // held while the configuration is read
}

// errRestart is the end of a daemon that another is to go on from.
var errRestart = errors.New("the ports are handed over")

// listenToSignals does what Service's channels ask for, while the loop runs.
func (d *daemon) listenToSignals(ctx context.Context) {
	s := &d.cfg.Service
	if s.Reloads == nil && s.Restarts == nil {
		return
	}
	d.servers.Go(func() {
		for {
			select {
			case <-d.serving.Done():
				return
			case <-ctx.Done():
				return
			case <-s.Reloads:
				d.load()
			case <-s.Restarts:
				// The next one reads it, too, and would end with all ports.
				if _, err := s.Load(); err != nil {
					d.cfg.Log.Error().Err(err).Str("event", "not-restarted").Msg("no restart: the one that takes over could not use the configuration")
					continue
				}
				d.cfg.Log.Info().Str("event", "restart").Msg("handing the ports over")
				d.end(errRestart)
				return
			}
		}
	})
}

// load reads the configuration, beside the loop.
func (d *daemon) load() { _ = d.loadThen(func(control.Reloaded) {}) }

// loadThen is load that calls told, on the loop, when the ports are as the configuration
// says.
func (d *daemon) loadThen(told func(control.Reloaded)) error {
	d.reload.reading.Lock() // so that the last one read is the last one to be done
	defer d.reload.reading.Unlock()
	next, err := d.cfg.Service.Load()
	if err != nil {
		d.cfg.Log.Error().Err(err).Str("event", "not-reloaded").Msg("the configuration is as it was: the new one cannot be used")
		d.loop.Post(func() { d.publish(port.Event{Kind: kindNotReloaded, Err: err}) })
		return err
	}
	d.loop.Post(func() { d.apply(next, told) })
	return nil
}

// reloadNow reads the configuration and waits until the ports are as it says. It is
// called beside the loop.
func (d *daemon) reloadNow(ctx context.Context) (control.Reloaded, error) {
	done := make(chan control.Reloaded, 1)
	if err := d.loadThen(func(r control.Reloaded) { done <- r }); err != nil {
		return control.Reloaded{}, err
	}
	select {
	case r := <-done:
		return r, nil
	case <-ctx.Done():
		return control.Reloaded{}, ctx.Err()
	}
}

// What happens to no port alone, for those who listen to all events.
const (
	kindReloaded    port.Kind = "reloaded"
	kindNotReloaded port.Kind = "not-reloaded"
)

// publish tells those who listen of an event that is no port's.
func (d *daemon) publish(ev port.Event) {
	ev.Time = d.loop.Now()
	d.ctl.Publish(ev)
}

// apply makes the ports those of a configuration. What has not changed is not touched;
// what has keeps its programs. It ends a port before one is made that may have its
// names.
func (d *daemon) apply(next []port.Config, told ...func(control.Reloaded)) {
	if d.serving.Err() != nil {
		return // it ends
	}
	if d.reload.busy {
		d.reload.next, d.reload.more = next, true
		d.reload.nextTold = append(d.reload.nextTold, told...)
		return
	}
	d.reload.busy, d.reload.told = true, told
	var result control.Reloaded
	wanted := make(map[string]port.Config, len(next))
	for _, pc := range next {
		wanted[pc.Name] = pc
	}
	for _, m := range d.missing {
		d.forget(m)
	}
	var change, gone []*served
	for _, s := range d.ports {
		switch pc, ok := wanted[s.cfg.Name]; {
		case !ok:
			gone = append(gone, s)
			result.Removed = append(result.Removed, s.cfg.Name)
		case pc.Fingerprint != s.cfg.Fingerprint:
			change = append(change, s)
			result.Changed = append(result.Changed, s.cfg.Name)
		default:
			result.Kept++
			delete(wanted, s.cfg.Name)
		}
	}
	left := len(gone) + len(wanted) + 1
	done := func() {
		if left--; left > 0 || d.serving.Err() != nil {
			return
		}
		for _, s := range change {
			if !slices.Contains(d.ports, s) {
				continue // it has failed meanwhile, and is ended
			}
			d.replace(s, wanted[s.cfg.Name])
		}
		for _, pc := range next {
			prepared, is := wanted[pc.Name]
			if !is {
				continue
			}
			if m := d.missing[pc.Name]; m != nil {
				d.forget(m) // it has failed meanwhile
			}
			_ = d.addOrMiss(prepared) // a Service misses it
			switch changed := slices.Index(result.Changed, pc.Name); {
			case d.missing[pc.Name] != nil:
				result.Failed = append(result.Failed, pc.Name)
				if changed >= 0 {
					result.Changed = slices.Delete(result.Changed, changed, changed+1)
				}
			case changed < 0:
				result.Added = append(result.Added, pc.Name)
			}
		}
		d.cfg.Log.Info().Str("event", "reloaded").Int("added", len(result.Added)).Int("changed", len(result.Changed)).Int("removed", len(result.Removed)).Int("failed", len(result.Failed)).Int("kept", result.Kept).
			Msg("the configuration was read again")
		d.publish(port.Event{Kind: kindReloaded, Text: fmt.Sprintf("%d added, %d changed, %d removed, %d failed, %d kept",
			len(result.Added), len(result.Changed), len(result.Removed), len(result.Failed), result.Kept)})
		for _, tell := range d.reload.told {
			tell(result)
		}
		d.reload.busy = false
		if d.reload.more {
			d.reload.more = false
			waiting := d.reload.nextTold
			d.reload.nextTold = nil
			d.apply(d.reload.next, waiting...)
		}
	}
	for _, s := range gone {
		d.remove(s, done)
	}
	for name, pc := range wanted {
		d.prepare(pc, func(prepared port.Config) {
			wanted[name] = prepared
			done()
		})
	}
	done()
}

// replace ends a port, and leaves what its programs have for the next of its name.
func (d *daemon) replace(s *served, by port.Config) {
	d.ctl.Remove(s.cfg.Name)
	s.end()
	d.ports = slices.DeleteFunc(d.ports, func(other *served) bool { return other == s })
	if left, ok := d.saveOne(s); ok {
		if sameConnection(&s.cfg, &by) {
			left.Fingerprint = by.Fingerprint // nothing has changed that matters to it
		}
		d.resume[s.cfg.Name] = left
		return
	}
	_ = d.close(s)
}

// sameConnection reports whether a connection that one configuration has made is what
// another would make.
func sameConnection(a, b *port.Config) bool {
	proxy := func(c *port.Config) rfc2217client.Proxy {
		if c.Dialer.Proxy == nil {
			return rfc2217client.Proxy{}
		}
		return *c.Dialer.Proxy
	}
	return a.Remote == b.Remote && a.Dialer.Bind == b.Dialer.Bind && proxy(a) == proxy(b)
}

// save ends all ports and returns them, for another process.
func (d *daemon) save() []handover.Port {
	var all []handover.Port
	for _, s := range d.ports {
		if left, ok := d.saveOne(s); ok {
			all = append(all, left)
			continue
		}
		_ = d.close(s) // it logs what went with it
	}
	d.ports = nil
	return all
}

// saveOne ends a port that can be saved.
func (d *daemon) saveOne(s *served) (handover.Port, bool) {
	state, handles, ok := s.port.Save()
	if !ok {
		return handover.Port{}, false
	}
	_ = s.listener.Close()
	s.release()
	return handover.Port{Name: s.cfg.Name, Fingerprint: s.cfg.Fingerprint, State: state, Handles: handles}, true
}
