package daemon

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"slices"

	"github.com/rs/zerolog"

	"github.com/vcomd/vcomd/internal/metrics"
	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/internal/runlink"
	"github.com/vcomd/vcomd/internal/socket"
)

// served is one port with all that is around it.
type served struct {
	cfg         port.Config
	port        *port.Port
	events      held
	meter       metrics.Meter
	supervisors *runlink.Server
	listener    net.Listener // for supervisors
	resumed     bool         // it goes on where another was
	endSim      func()       // ends the embedded access server; nil: it has none
	// end ends what answers there, and ended is closed when it has.
	end   context.CancelFunc
	ended chan struct{}
}

// prepare does what takes a while before a port can be added, beside the loop if that
// runs, and then calls then on it.
func (d *daemon) prepare(pc port.Config, then func(port.Config)) {
	if !d.running || pc.TTY == port.TTYPseudo {
		then(pc)
		return
	}
	d.servers.Go(func() {
		err := pc.PrepareTTY(d.serving)
		pc.Prepared = func() error { return err }
		d.loop.Post(func() { then(pc) })
	})
}

// add serves one more port.
func (d *daemon) add(pc port.Config) error {
	s, err := d.open(pc)
	if err != nil {
		return err
	}
	// All sockets of a daemon are there before the first port is said to be.
	err = d.listenControl()
	if err == nil {
		s.listener, err = runSocket(s.cfg).Listen(d.serving)
	}
	if err != nil {
		return errors.Join(err, d.close(s))
	}
	d.ports = append(d.ports, s)
	d.ctl.Add(pc.Name, s.port)
	if d.running {
		d.answer(s)
	}
	s.events.release()
	s.port.Start()
	return nil
}

// addOrMiss is add for a daemon that goes on without a port that cannot be served.
func (d *daemon) addOrMiss(pc port.Config) error {
	err := d.add(pc)
	if err == nil || !d.service() {
		return err
	}
	d.miss(pc, err)
	return nil
}

// remove ends a port, and calls done when it is gone.
func (d *daemon) remove(s *served, done func()) {
	d.ctl.Remove(s.cfg.Name)
	s.end()
	d.servers.Go(func() {
		<-s.ended // on the loop
		d.loop.Post(func() {
			s.port.Drain(func() {
				d.ports = slices.DeleteFunc(d.ports, func(other *served) bool { return other == s })
				if err := d.close(s); err != nil {
					d.cfg.Log.Warn().Err(err).Str("port", s.cfg.Name).Str("event", "end-failed").Msg("not all of the port could be taken back")
				}
				done()
			})
		})
	})
}

// open makes a port. It is not started, and its events are held back.
func (d *daemon) open(pc port.Config) (s *served, err error) {
	log := logEvents(d.cfg.Log, pc)
	s = &served{}
	s.events.sink = func(ev port.Event) { log(ev); d.ctl.Publish(ev); s.meter.Event(ev) }
	pc.Acknowledged = s.meter.Acknowledged
	pc.Events = s.events.event
	pc.Failed = func(err error) { d.failed(s, err) }
	if d.cfg.Trace != nil {
		pc.Trace = traceTo(d.cfg.Trace, pc.Name)
	}
	if pc.Remote.Sim != "" {
		if pc.Dial, s.endSim, err = d.sims.dialer(pc.Remote.Sim); err != nil {
			return nil, err
		}
		end := s.endSim
		defer func() {
			if err != nil {
				end()
			}
		}()
	}
	pc.Changed = func() {
		if s.supervisors != nil {
			s.supervisors.Changed()
		}
	}
	s.cfg = pc
	if left, ok := d.resume[pc.Name]; ok {
		delete(d.resume, pc.Name)
		s.resumed = true
		if left.Fingerprint != pc.Fingerprint {
			left.State.Disconnect(&left.Handles)
		}
		s.port, err = port.Resume(pc, d.loop, d.watcher, left.State, left.Handles)
	} else {
		s.port, err = port.Open(pc, d.loop, d.watcher)
	}
	if err != nil {
		return nil, err
	}
	if s.resumed {
		s.meter.Resumed(s.port.Status().Up)
	}
	s.supervisors = runlink.NewServer(s.port, d.loop.Post, pc.OnLoss == port.OnLossHangup, logSupervisors(d.cfg.Log, pc, runSocket(pc)))
	return s, nil
}

// answer has the supervisors of programs let in. The loop runs, or is about to.
func (d *daemon) answer(s *served) {
	var ctx context.Context
	ctx, s.end = context.WithCancel(d.serving)
	s.ended = make(chan struct{})
	d.servers.Go(func() {
		defer close(s.ended)
		d.serve(func() error { return s.supervisors.Serve(ctx, s.listener) })
	})
}

// serve runs what answers at a socket, until its context ends.
func (d *daemon) serve(server func() error) {
	if err := server(); err != nil {
		d.cfg.Log.Error().Err(err).Str("event", "server-failed").Msg("a socket of this vcomd is of no use any more")
	}
}

// close ends a port that no supervisor is left on.
func (d *daemon) close(s *served) error {
	if s.listener != nil {
		_ = s.listener.Close() // what has answered there has, unless it never began
	}
	err := s.port.Close()
	s.release()
	if s.events.ready { // else nobody knows of it
		logTotals(d.cfg.Log, s.cfg, s.port.Status()) // the end itself may lose bytes
	}
	return err
}

// release ends what only the port has used, when that is closed or saved.
func (s *served) release() {
	if s.endSim != nil {
		s.endSim()
	}
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
