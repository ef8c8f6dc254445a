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
		if err := checkServed(c); err != nil {
			return err
		}
		return failed(runServed(c, s, o))
	}
	s.port.Remote = args[0]
	return failed(runOwn(c, s, o))
}

// servedFlags are those that mean something for a port that is served already.
var servedFlags = []string{"link", "name", "run-dir", "no-new-privs"}

// checkServed refuses flags that are for the vcomd that serves the port. Variables
// of the environment may be there for that one.
func checkServed(c *cli.Context) error {
	for _, f := range c.Command.Flags {
		name := f.Names()[0]
		if given(c, f) && !slices.Contains(servedFlags, name) {
			return &usageError{fmt.Sprintf("run: --%s is for the vcomd that serves the port; give it there, or give a REMOTE before --", name)}
		}
	}
	return nil
}

// given reports whether a flag is on the command line.
func given(c *cli.Context, f cli.Flag) bool {
	if documented, ok := f.(cli.DocGenerationFlag); ok {
		for _, name := range documented.GetEnvVars() {
			if os.Getenv(name) != "" {
				return false // it may be from there
			}
		}
	}
	return c.IsSet(f.Names()[0])
}

// failed gives an error that has none an exit code: a program's own must not be
// taken for it.
func failed(err error) error {
	_, isStatus := errors.AsType[statusError](err)
	_, isFailure := errors.AsType[*runError](err)
	if err == nil || isStatus || isFailure || isUsage(err) {
		return err
	}
	return &runError{exitRunFailed, err}
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
	var unreached error
	for _, socket := range sockets {
		o.Socket, o.Name = socket, name
		status, err := wrap.Run(c.Context, o)
		if _, is := errors.AsType[*runlink.DialError](err); !is {
			return ended(status, err)
		}
		// Another's port, or what a killed one has left, or one that cannot say what it
		// serves: then the next may be the right one.
		if !errors.Is(err, runlink.ErrNotServed) && !errors.Is(err, unix.ECONNREFUSED) && !errors.Is(err, unix.ENOENT) {
			unreached = errors.Join(unreached, err)
		}
		if c.Err() != nil {
			break
		}
	}
	if unreached != nil {
		return fmt.Errorf("cannot reach a vcomd that serves %s: %w", name, unreached)
	}
	return fmt.Errorf("no vcomd serves %s (sockets in %s); start one, or give a REMOTE before --", name, runDir)
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
	gone := make(chan struct{})
	o.Gone = gone
	var served error // once gone is closed
	go func() {
		defer close(gone)
		served = daemon.Run(ctx, cfg)
	}()
	select {
	case <-gone:
		err = served
		return s.advise(err)
	case <-ready:
	}
	status, err := wrap.Run(ctx, o)
	cancel()
	<-gone
	return errors.Join(ended(status, err), served)
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
