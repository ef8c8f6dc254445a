package main

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	serving "github.com/vcomd/vcomd/internal/daemon"
	"github.com/vcomd/vcomd/internal/handover"
	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/internal/socket"
)

// service is a vcomd serve as what has started it sees it.
type service struct {
	log     zerolog.Logger
	program string          // to execute for a restart
	ctx     context.Context //nolint:containedctx // the service's life
	signals requests
	kept    bool // the service manager is about to start another
	left    []handover.Port
}

// run serves until the context ends, and goes on when the program could not be executed
// that was to take over.
func (s *service) run(ctx context.Context, cfg serving.Config, load func() ([]port.Config, error)) error {
	s.ctx = ctx
	// A panic must not look like a usage error, which is exit status 2 and which a
	// service manager does not start vcomd again after: it ends by SIGABRT.
	debug.SetTraceback("crash")
	left, err := handover.Take()
	if err != nil {
		s.log.Warn().Err(err).Str("event", "not-resumed").Msg("what the vcomd before this one has left is of no use; all ports begin afresh")
	}
	if s.program, err = os.Executable(); err != nil {
		return err
	}
	cfg.Ready = func() { s.tell(daemon.SdNotifyReady) }
	cfg.Service.Load = func() ([]port.Config, error) {
		s.tell(daemon.SdNotifyReloading)
		defer s.tell(daemon.SdNotifyReady)
		return load()
	}
	cfg.Service.Reloads, cfg.Service.Restarts = s.signals.reloads, s.signals.restarts
	cfg.Service.Kept, cfg.Service.HandOver = s.isKept, s.handOver
	if every, err := daemon.SdWatchdogEnabled(false); err == nil {
		cfg.Service.Watchdog, cfg.Service.Alive = every, func() { s.tell(daemon.SdNotifyWatchdog) }
	}
	for {
		cfg.Service.Resume, s.left = left, nil
		err := serving.Run(ctx, cfg)
		if s.left == nil {
			return err
		}
		left = s.left
		if cfg.Ports, err = load(); err != nil {
			return errors.Join(err, handover.Close(left))
		}
	}
}

// requests are what signals ask a service for.
type requests struct {
	reloads, restarts chan struct{}

	hangups, users chan os.Signal
	end            chan struct{}
}

// newRequests listens from now on: what comes early waits.
func newRequests() requests {
	r := requests{
		reloads: make(chan struct{}), restarts: make(chan struct{}),
		hangups: make(chan os.Signal, 1), users: make(chan os.Signal, 1), end: make(chan struct{}),
	}
	r.listen()
	go r.pass(r.hangups, r.reloads)
	go r.pass(r.users, r.restarts)
	return r
}

func (r *requests) listen() {
	signal.Notify(r.hangups, unix.SIGHUP)
	signal.Notify(r.users, unix.SIGUSR2)
}

func (r *requests) pass(in <-chan os.Signal, out chan<- struct{}) {
	for {
		select {
		case <-in:
		case <-r.end:
			return
		}
		select {
		case out <- struct{}{}:
		case <-r.end:
			return
		}
	}
}

func (r *requests) stop() {
	signal.Stop(r.hangups)
	signal.Stop(r.users)
	close(r.end)
}

// tell tells the service manager something, if there is one.
func (s *service) tell(what string) {
	if _, err := daemon.SdNotify(false, what); err != nil {
		s.log.Warn().Err(err).Str("event", "notify-failed").Msg("the service manager cannot be told how this vcomd does")
	}
}

// isKept reports whether the service manager starts another vcomd after this one, and
// keeps the ports meanwhile.
func (s *service) isKept() bool {
	s.tell(daemon.SdNotifyStopping)
	s.kept = os.Getenv("NOTIFY_SOCKET") != "" && restarting()
	return s.kept
}

// handOver leaves the ports to the next vcomd.
func (s *service) handOver(ports []handover.Port) error {
	if s.kept {
		return errors.Join(handover.Store(ports), handover.Close(ports))
	}
	select {
	case <-s.ctx.Done():
		s.left = ports // it is to end after all, which it does with the ports in hand
		return nil
	default:
	}
	// One that comes before the next vcomd asks for it must not end it. The configuration
	// is read after that.
	signal.Ignore(unix.SIGHUP)
	err := handover.Exec(s.program, os.Args, os.Environ(), ports)
	s.signals.listen()
	s.log.Error().Err(err).Str("event", "restart-failed").Msg("the program could not be executed anew; this one goes on")
	s.left = ports
	return nil
}

// restarting asks the service manager whether this unit is being restarted: the signal
// is the same as for its end.
func restarting() bool {
	cgroup, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return false
	}
	unit := unitOf(string(cgroup))
	if unit == "" {
		return false
	}
	const patience, tries = 3 * time.Second, 3
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for range tries {
		// A signal to all of the unit's processes may end this one, too.
		out, err := exec.CommandContext(ctx, "systemctl", "list-jobs", "--no-legend", "--no-pager", "--plain", "--full").Output()
		if err == nil {
			return hasRestartJob(string(out), unit)
		}
	}
	return false
}

// unitOf returns the service that a process belongs to, by /proc/PID/cgroup.
func unitOf(cgroup string) string {
	for line := range strings.Lines(cgroup) {
		for dir := strings.TrimSpace(line); dir != "." && dir != "/" && dir != ""; dir = path.Dir(dir) {
			if unit := path.Base(dir); strings.HasSuffix(unit, ".service") {
				return unit
			}
		}
	}
	return ""
}

// hasRestartJob finds a unit's job in the list of all.
func hasRestartJob(list, unit string) bool {
	for line := range strings.Lines(list) {
		f := strings.Fields(line)
		if slices.Contains(f, unit) && (slices.Contains(f, "restart") || slices.Contains(f, "try-restart")) {
			return true
		}
	}
	return false
}

// controlSocket is that of a vcomd serve: for those who may use its first port's tty.
func controlSocket(name, runDir string, ports []port.Config) socket.Socket {
	s := socket.Socket{RunDir: runDir, Name: name, UID: -1, GID: -1, Mode: 0o600}
	if len(ports) > 0 {
		s.UID, s.GID, s.Mode = ports[0].UID, ports[0].GID, ports[0].Mode
	}
	return s
}
