package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/urfave/cli/v2"
	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/config"
	"github.com/vcomd/vcomd/internal/daemon"
	"github.com/vcomd/vcomd/internal/runlink"
	"github.com/vcomd/vcomd/internal/seccomp"
	"github.com/vcomd/vcomd/internal/wrap"
)

// runName is the command whose "--" has a meaning of its own.
const runName = "run"

// Exit codes of vcomd run, where they are not the program's.
const (
	exitRunFailed     = 125 // vcomd itself
	exitNotExecutable = 126
	exitNotFound      = 127
	exitBySignal      = 128 // and the signal's number
)

// statusError is the program's, as an error.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// runCommand is vcomd run: a program to whose ioctls the port is a UART.
func runCommand() *cli.Command {
	var (
		s          portFlags
		noNewPrivs string
	)
	return &cli.Command{
		Name:      runName,
		Usage:     "run a program to which the port is a UART: parity, modem lines, break, drain",
		ArgsUsage: "[REMOTE] -- PROGRAM…",
		Description: "Without REMOTE the port is one that another vcomd serves, named by --link. With it vcomd serves the port\n" +
			"itself, as long as the program runs. {} among the program's arguments is the tty's path.\n\n" +
			"   vcomd run --link /dev/ttyGPS -- gpsd -N /dev/ttyGPS\n" +
			"   vcomd run host:2217 -- picocom -b 115200 {}\n\n" +
			"Exit status: the program's, 128+N after signal N; 125 vcomd failed, 126 the program cannot be executed,\n" +
			"127 there is none.",
		OnUsageError: onUsageError,
		Flags: append(s.flags(), text(&noNewPrivs, "no-new-privs", "true",
			"`false`: the program may gain privileges, by set-uid programs; only root may allow that")),
		Action: func(c *cli.Context) error {
			no, err := strconv.ParseBool(cmp.Or(noNewPrivs, "true"))
			if err != nil {
				return &config.Error{
					Setting: "--no-new-privs", Value: noNewPrivs, Found: "this is neither true nor false", Hint: "write true or false", Err: err,
				}
			}
			return runProgram(c, &s, !no)
		},
	}
}

func runProgram(c *cli.Context, s *portFlags, keep bool) error {
	args := c.Args().Slice()
	at := slices.Index(args, "--")
	switch {
	case at < 0:
		return &usageError{"run: no program given; write vcomd run [flags] [REMOTE] -- PROGRAM…"}
	case at > 1:
		return &usageError{fmt.Sprintf("run: unexpected argument %q before --; there is one REMOTE, and the program comes after --", args[1])}
	case at == len(args)-1:
		return &usageError{"run: no program after --; write vcomd run [flags] [REMOTE] -- PROGRAM…"}
	}
	o := wrap.Options{Argv: args[at+1:], Env: os.Environ(), KeepPrivileges: keep}
	if len(s.port.Links) > 0 {
		path, err := filepath.Abs(s.port.Links[0])
		if err != nil {
			return err
		}
		o.Path = path
	}
	if at == 0 {
		return runServed(c, s, o)
	}
	s.port.Remote = args[0]
	return runOwn(c, s, o)
}

// runServed runs the program on a port that another vcomd serves.
func runServed(c *cli.Context, s *portFlags, o wrap.Options) error {
	name := o.Path
	if name == "" {
		name = s.port.Name
	}
	if name == "" {
		return &usageError{"run: which port? give --link, or a REMOTE before --"}
	}
	runDir := s.port.RunDir
	if runDir == "" {
		runDir = config.RunDir()
	}
	sockets, err := filepath.Glob(daemon.RunSocket(runDir, "*"))
	if err != nil {
		return err
	}
	// The likely one first: a port is called as its link.
	likely := daemon.RunSocket(runDir, filepath.Base(name))
	slices.SortStableFunc(sockets, func(a, b string) int {
		switch {
		case a == likely && b != likely:
			return -1
		case b == likely && a != likely:
			return 1
		default:
			return 0
		}
	})
	for _, socket := range sockets {
		o.Socket, o.Name = socket, name
		status, err := wrap.Run(c.Context, o)
		if errors.Is(err, runlink.ErrNotServed) || errors.Is(err, unix.ECONNREFUSED) || errors.Is(err, unix.ENOENT) {
			continue // another's port, or what a killed one has left
		}
		return ended(status, err)
	}
	return fmt.Errorf("run: no vcomd serves %s (sockets in %s); start one, or give a REMOTE before --", name, runDir)
}

// runOwn serves the port as long as the program runs.
func runOwn(c *cli.Context, s *portFlags, o wrap.Options) error {
	if s.logLevel == "" {
		s.logLevel = "warn" // the terminal is the program's
	}
	cfg, finish, err := s.daemon(c)
	if err != nil {
		return err
	}
	defer func() { finish(err) }()
	pc := cfg.Ports[0]
	o.Socket, o.Name = daemon.RunSocket(pc.RunDir, pc.Name), pc.Name
	if o.Path == "" {
		o.Path = pc.Overlay
	}
	// Signals are for the program; the port ends after it.
	ctx, cancel := context.WithCancel(context.WithoutCancel(c.Context))
	defer cancel()
	ready := make(chan struct{})
	cfg.Ready = func() { close(ready) }
	served := make(chan error, 1)
	go func() { served <- daemon.Run(ctx, cfg) }()
	select {
	case err = <-served:
		return s.advise(err)
	case <-ready:
	}
	status, err := wrap.Run(ctx, o)
	cancel()
	return errors.Join(ended(status, err), <-served)
}

// ended makes an exit code of how the program has ended, or why it has not begun.
func ended(status unix.WaitStatus, err error) error {
	switch {
	case errors.Is(err, seccomp.ErrNotFound):
		return &runError{exitNotFound, err}
	case errors.Is(err, seccomp.ErrNotExecutable):
		return &runError{exitNotExecutable, err}
	case errors.Is(err, seccomp.ErrKernel):
		err = fmt.Errorf("%w; without it start the program as it is: what the pseudo-terminal carries works", err)
		return &runError{exitRunFailed, err}
	case errors.Is(err, seccomp.ErrNested):
		return &runError{exitRunFailed, fmt.Errorf("%w; one vcomd run cannot run in another", err)}
	case errors.Is(err, seccomp.ErrPrivilege):
		return &runError{exitRunFailed, fmt.Errorf("%w; leave --no-new-privs=false out", err)}
	case err != nil:
		return &runError{exitRunFailed, err}
	case status.Signaled():
		return statusError(exitBySignal + int(status.Signal()))
	case status.ExitStatus() != 0:
		return statusError(status.ExitStatus())
	default:
		return nil
	}
}

// runError is a failure of vcomd run with an exit code of its own.
type runError struct {
	code int
	err  error
}

func (e *runError) Error() string { return "run: " + e.err.Error() }
func (e *runError) Unwrap() error { return e.err }
