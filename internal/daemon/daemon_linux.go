package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/vcomd/vcomd/internal/control"
	"github.com/vcomd/vcomd/internal/evloop"
	"github.com/vcomd/vcomd/internal/handover"
	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/internal/socket"
	"github.com/vcomd/vcomd/pty"
)

// Config is what a daemon serves.
type Config struct {
	Ports []port.Config
	Log   zerolog.Logger
	// Trace receives every port's wire, decoded; nil: nothing does.
	Trace io.Writer
	// Metrics is the TCP address that metrics are served at; empty: they are not.
	Metrics string
	// Ready is called when all ports are there and their sockets answer.
	Ready func()

	// Service makes this a daemon of many ports that come and go; zero: it is one in the
	// foreground, which ends when a port cannot be served.
	Service Service
}

// Service is what a daemon of many ports needs besides them.
type Service struct {
	// Socket is the control socket; its Name says that this is a Service.
	Socket socket.Socket
	// Load reads the configuration anew, when something comes from Reloads. It is called
	// in a goroutine of its own.
	Load    func() ([]port.Config, error)
	Reloads <-chan struct{}
	// Resume are ports that another process has left. Those that no port of the
	// configuration goes on with are closed.
	Resume []handover.Port
	// Restarts asks for the ports to be handed over; so does the end of the context, if
	// Kept says so. HandOver is then given them, at the end of Run, and has their
	// descriptors.
	Restarts <-chan struct{}
	Kept     func() bool
	HandOver func([]handover.Port) error
	// Alive is called so often that no more than Watchdog passes in between, as long as
	// the ports are served; 0: never.
	Watchdog time.Duration
	Alive    func()
	// Patience is how long Ready waits for the ttys that the kernel makes: one that does
	// not come must not have the service manager take all ports for failed. 0: 10 s.
	Patience time.Duration
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
	metrics net.Listener // nil: there are none
	// serving is the life of the sockets, and servers are what answers there, once the
	// loop is running.
	serving context.Context //nolint:containedctx // see above
	servers sync.WaitGroup
	running bool

	end     context.CancelCauseFunc // ends the daemon
	failure error

	resume   map[string]handover.Port // by name: not gone on with yet
	missing  map[string]*missing      // by name: ports that could not be opened
	reload   reload
	handOver bool // the ports are handed over at the end
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
	d := &daemon{
		cfg: cfg, loop: loop, watcher: watcher, sims: newSimulators(simsCtx),
		resume: make(map[string]handover.Port), missing: make(map[string]*missing),
	}
	d.ctl = newControl(cfg, loop.Post, d.reloadNow)
	for _, left := range cfg.Service.Resume {
		d.resume[left.Name] = left
	}
	defer d.sims.wait()
	defer endSims()
	d.serving, d.end = context.WithCancelCause(ctx)
	defer d.end(nil)
	defer func() { err = errors.Join(err, d.closeAll()) }()
	if err := d.start(); err != nil {
		d.end(nil)
		return err
	}
	err = errors.Join(d.run(), d.failure)
	if d.handOver && err == nil {
		left := d.save()
		_ = d.closeAll() // the sockets, which the next one makes anew
		return d.cfg.Service.HandOver(left)
	}
	return err
}

// start makes what the configuration has.
func (d *daemon) start() error {
	if err := d.listenMetrics(); err != nil {
		return errors.Join(err, d.closeResume())
	}
	if d.service() {
		if err := d.listenControl(); err != nil {
			return errors.Join(err, d.closeResume())
		}
	}
	for _, pc := range d.cfg.Ports {
		if err := d.addOrMiss(pc); err != nil {
			return err
		}
	}
	d.whenReady(d.cfg.Ready)
	return d.closeResume()
}

// service reports whether ports come and go.
func (d *daemon) service() bool { return d.cfg.Service.Socket.Name != "" }

// closeResume closes what was left by another process and nobody wants.
func (d *daemon) closeResume() error {
	var err error
	for name, left := range d.resume {
		d.cfg.Log.Info().Str("port", name).Str("event", "not-configured").Msg("the vcomd before this one had this port; it is not configured any more")
		err = errors.Join(err, left.Handles.Close())
	}
	clear(d.resume)
	return err
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

// readyPatience is Service's Patience: a kernel's tty takes 4 s where many come at once.
const readyPatience = 10 * time.Second

// whenReady calls done when all ports have their ttys, or have had their time.
func (d *daemon) whenReady(done func()) {
	if done == nil {
		return
	}
	ready := false
	finish := func() {
		if !ready {
			ready = true
			done()
		}
	}
	waiting := make(map[*served]bool, len(d.ports))
	for _, s := range d.ports {
		waiting[s] = true
	}
	for _, s := range d.ports {
		s.port.WhenReady(func() {
			if delete(waiting, s); len(waiting) == 0 {
				finish()
			}
		})
	}
	switch {
	case len(waiting) == 0:
		finish()
	case d.service(): // else the one port ends the daemon, should there be no tty
		patience := cmp.Or(d.cfg.Service.Patience, readyPatience)
		d.loop.AfterFunc(patience, func() {
			if ready {
				return
			}
			for s := range waiting {
				d.cfg.Log.Warn().Str("port", s.cfg.Name).Str("event", "not-ready").Str("after", patience.String()).
					Msg("the kernel has made no tty for the port yet; the others are served")
			}
			finish()
		})
	}
}

// failed is for a port that cannot be served any longer.
func (d *daemon) failed(s *served, err error) {
	if !d.service() {
		d.failure = errors.Join(d.failure, err)
		d.end(nil)
		return
	}
	d.loop.Post(func() { // not under the port's feet
		if d.serving.Err() == nil && slices.Contains(d.ports, s) && s.end != nil {
			d.remove(s, func() { d.miss(s.cfg, err) })
		}
	})
}

// run runs the loop, and what answers at the sockets beside it, until the daemon's
// context ends and the output in flight is delivered.
func (d *daemon) run() error {
	running, stop := context.WithCancel(context.WithoutCancel(d.serving))
	defer stop()
	d.running = true
	d.listenToSignals(running)
	d.watchdog()
	if d.control != nil {
		d.servers.Go(func() {
			d.serve(func() error { return d.ctl.Serve(d.serving, d.control) })
		})
	}
	d.serveMetrics()
	for _, s := range d.ports {
		d.answer(s)
	}
	cancel := context.AfterFunc(d.serving, func() {
		d.servers.Wait() // they end on the loop
		kept := errors.Is(context.Cause(d.serving), errRestart) || d.cfg.Service.Kept != nil && d.cfg.Service.Kept()
		d.loop.Post(func() {
			if d.handOver = kept; d.handOver {
				stop()
				return
			}
			d.drain(stop)
		})
	})
	defer cancel()
	return d.loop.Run(running)
}

// watchdog says again and again that the loop runs.
func (d *daemon) watchdog() {
	const often = 3 // within the time
	if every := d.cfg.Service.Watchdog / often; every > 0 {
		d.cfg.Service.Alive()
		d.loop.AfterFunc(every, d.watchdog)
	}
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
	if d.metrics != nil {
		_ = d.metrics.Close() // what has answered there has, too
		d.metrics = nil
	}
	if d.control != nil {
		_ = d.control.Close() // what has answered there has, unless it never began
		d.control = nil
	}
	return err
}
