package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"sync"

	"github.com/rs/zerolog"

	"github.com/vcomd/vcomd/internal/evloop"
	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/internal/runlink"
	"github.com/vcomd/vcomd/internal/socket"
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
	sims := newSimulators(simsCtx)
	defer sims.wait()
	defer endSims()
	ctx, fail := context.WithCancel(ctx)
	defer fail()
	var (
		ports   []*port.Port
		failure error
		closers []func() error
		servers []func(context.Context) error // each until its context ends
	)
	defer func() {
		for _, closePort := range slices.Backward(closers) {
			err = errors.Join(err, closePort())
		}
	}()
	ctl := newControl(cfg, loop.Post)
	for _, pc := range cfg.Ports {
		events := held{sink: logEvents(cfg.Log, pc)}
		pc.Events = events.event
		pc.Failed = func(err error) {
			failure = errors.Join(failure, err)
			fail()
		}
		if cfg.Trace != nil {
			pc.Trace = traceTo(cfg.Trace, pc.Name)
		}
		if pc.Remote.Sim != "" {
			if pc.Dial, err = sims.dialer(pc.Remote.Sim); err != nil {
				return err
			}
		}
		var supervisors *runlink.Server
		pc.Changed = func() {
			if supervisors != nil {
				supervisors.Changed()
			}
		}
		p, err := port.Open(pc, loop, watcher)
		if err != nil {
			return err
		}
		supervisors = runlink.NewServer(p, loop.Post, pc.OnLoss == port.OnLossHangup, logSupervisors(cfg.Log, pc, runSocket(pc)))
		closers = append(closers, func() error {
			err := p.Close()
			if events.ready { // else nobody knows of it
				logTotals(cfg.Log, pc, p.Status()) // the end itself may lose bytes
			}
			return err
		})
		ctl.Add(pc.Name, p)
		if len(ports) == 0 {
			ln, err := ctl.Listen(ctx)
			if err != nil {
				return err
			}
			servers = append(servers, func(ctx context.Context) error { return ctl.Serve(ctx, ln) })
			closers = append(closers, ln.Close)
		}
		ln, err := runSocket(pc).Listen(ctx)
		if err != nil {
			return err
		}
		servers = append(servers, func(ctx context.Context) error { return supervisors.Serve(ctx, ln) })
		closers = append(closers, func() error { _ = ln.Close(); return nil }) // Serve has, unless it never began
		ports = append(ports, p)
		events.release()
		p.Start()
	}
	whenReady(ports, cfg.Ready)
	return errors.Join(serve(ctx, loop, ports, servers, cfg.Log), failure)
}

// whenReady calls done when all ports have their ttys. The loop does not run yet.
func whenReady(ports []*port.Port, done func()) {
	left := len(ports) + 1
	one := func() {
		if left--; left == 0 && done != nil {
			done()
		}
	}
	for _, p := range ports {
		p.WhenReady(one)
	}
	one()
}

// runSocket is the socket of RunSocket, for those who may use the tty.
func runSocket(pc port.Config) socket.Socket {
	return socket.Socket{
		RunDir: pc.RunDir, Name: filepath.Base(RunSocket(pc.RunDir, pc.Name)), Packets: true, UID: pc.UID, GID: pc.GID, Mode: pc.Mode,
	}
}

// logSupervisors writes down who comes with a program, and lets in those who may.
func logSupervisors(log zerolog.Logger, pc port.Config, s socket.Socket) func(socket.Peer) bool {
	return func(p socket.Peer) bool {
		level, text := zerolog.DebugLevel, "a program is run on the port"
		ok := s.Permits(p)
		if !ok {
			level, text = zerolog.WarnLevel, "somebody who may not wanted to run a program on the port"
		}
		log.WithLevel(level).Str("event", "supervisor").Str("port", pc.Name).Int("pid", p.PID).Int("uid", p.UID).Msg(text)
		return ok
	}
}

// RunSocket is where a port's supervisors (vcomd run) connect.
func RunSocket(runDir, name string) string { return filepath.Join(runDir, name+".run") }

// serve runs the loop, and the servers beside it, until ctx ends and the output in
// flight is delivered.
func serve(ctx context.Context, loop *evloop.Loop, ports []*port.Port, servers []func(context.Context) error, log zerolog.Logger) error {
	running, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var wg sync.WaitGroup
	for _, server := range servers {
		wg.Go(func() {
			if err := server(ctx); err != nil {
				log.Error().Err(err).Str("event", "server-failed").Msg("a socket of this vcomd is of no use any more")
			}
		})
	}
	cancel := context.AfterFunc(ctx, func() {
		wg.Wait() // they end on the loop
		loop.Post(func() {
			left := len(ports) + 1
			drained := func() {
				if left--; left == 0 {
					stop()
				}
			}
			for _, p := range ports {
				p.Drain(drained)
			}
			drained()
		})
	})
	defer cancel()
	return loop.Run(running)
}
