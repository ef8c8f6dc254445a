package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"

	"github.com/rs/zerolog"

	"github.com/vcomd/vcomd/internal/control"
	"github.com/vcomd/vcomd/internal/evloop"
	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/pty"
)

// Config is what a daemon serves.
type Config struct {
	Ports []port.Config
	Log   zerolog.Logger
	// Trace receives every port's wire, decoded; nil: nothing does.
	Trace io.Writer
	// Ready is called when all ports are there and their sockets answer.
	Ready func()
}

// daemon is a running vcomd. Its methods are for the loop's thread, or for before the
// loop runs.
type daemon struct {
	cfg     Config
	loop    *evloop.Loop
	watcher *pty.Watcher
	ctl     *control.Server
	sims    *simulators

	ports   []*served    // in the order of the configuration
	control net.Listener // nil: there is none yet
	// serving is the life of the sockets, and servers are what answers there, once the
	// loop is running.
	serving context.Context //nolint:containedctx // see above
	servers sync.WaitGroup
	running bool

	fail    context.CancelFunc // ends the daemon, because of failure
	failure error
}

// Run serves the ports until ctx ends, and then returns nil; an error means that
// a port could not be set up, or be served any longer, and nothing is left behind.
func Run(ctx context.Context, cfg Config) (err error) {
	loop, err := evloop.New()
	if err != nil {
		return fmt.Errorf("start the poll loop: %w", err)
	}
	defer func() { err = errors.Join(err, loop.Close()) }()
	watcher, err := pty.NewWatcher()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, watcher.Close()) }()
	source, err := loop.Watch(watcher.Fd(), evloop.Readable, func(evloop.Events) {
		if err := watcher.Dispatch(); err != nil {
			cfg.Log.Error().Err(err).Str("event", "watch-failed").Msg("cannot tell any more when programs open and close ports")
		}
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()

	// The simulators end with the ports, also when one could not be set up.
	simsCtx, endSims := context.WithCancel(context.WithoutCancel(ctx))
	d := &daemon{cfg: cfg, loop: loop, watcher: watcher, ctl: newControl(cfg, loop.Post), sims: newSimulators(simsCtx)}
	defer d.sims.wait()
	defer endSims()
	d.serving, d.fail = context.WithCancel(ctx)
	defer d.fail()
	defer func() { err = errors.Join(err, d.closeAll()) }()
	if err := d.start(); err != nil {
		d.fail()
		return err
	}
	return errors.Join(d.run(), d.failure)
}

// start makes what the configuration has.
func (d *daemon) start() error {
	for _, pc := range d.cfg.Ports {
		if err := d.add(pc); err != nil {
			return err
		}
	}
	d.whenReady(d.cfg.Ready)
	return nil
}

// listenControl makes the control socket, with the first port.
func (d *daemon) listenControl() error {
	if d.control != nil {
		return nil
	}
	ln, err := d.ctl.Listen(d.serving)
	if err != nil {
		return err
	}
	d.control = ln
	return nil
}

// whenReady calls done when all ports have their ttys.
func (d *daemon) whenReady(done func()) {
	left := len(d.ports) + 1
	one := func() {
		if left--; left == 0 && done != nil {
			done()
		}
	}
	for _, s := range d.ports {
		s.port.WhenReady(one)
	}
	one()
}

// failed ends the daemon: a port cannot be served any longer.
func (d *daemon) failed(err error) {
	d.failure = errors.Join(d.failure, err)
	d.fail()
}

// run runs the loop, and what answers at the sockets beside it, until the daemon's
// context ends and the output in flight is delivered.
func (d *daemon) run() error {
	running, stop := context.WithCancel(context.WithoutCancel(d.serving))
	defer stop()
	d.running = true
	if d.control != nil {
		d.servers.Go(func() {
			d.serve(func() error { return d.ctl.Serve(d.serving, d.control) })
		})
	}
	for _, s := range d.ports {
		d.answer(s)
	}
	cancel := context.AfterFunc(d.serving, func() {
		d.servers.Wait() // they end on the loop
		d.loop.Post(func() { d.drain(stop) })
	})
	defer cancel()
	return d.loop.Run(running)
}

// drain calls done when no port has output in flight.
func (d *daemon) drain(done func()) {
	left := len(d.ports) + 1
	drained := func() {
		if left--; left == 0 {
			done()
		}
	}
	for _, s := range d.ports {
		s.port.Drain(drained)
	}
	drained()
}

// closeAll ends all that start has made, the last first.
func (d *daemon) closeAll() (err error) {
	for _, s := range slices.Backward(d.ports) {
		err = errors.Join(err, d.close(s))
	}
	d.ports = nil
	if d.control != nil {
		_ = d.control.Close() // what has answered there has, unless it never began
	}
	return err
}
