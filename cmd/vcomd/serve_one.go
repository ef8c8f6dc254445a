package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"github.com/vcomd/vcomd/internal/config"
	"github.com/vcomd/vcomd/internal/daemon"
	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/internal/version"
	"github.com/vcomd/vcomd/pty"
)

// serveOne is vcomd [flags] REMOTE: the daemon with one port, in the foreground.
func serveOne(c *cli.Context, s *portFlags) error {
	var err error
	if s.port.Remote, err = remote(c); err != nil {
		return err
	}
	cfg, finish, err := s.daemon(c)
	if err != nil {
		return err
	}
	ctx := c.Context
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		// The terminal has gone: no link, mount or socket is to be left.
		var stop context.CancelFunc
		ctx, stop = signal.NotifyContext(ctx, syscall.SIGHUP)
		defer stop()
	}
	err = daemon.Run(ctx, cfg)
	finish(err)
	return s.advise(err)
}

// daemon makes the configuration of a daemon with the one port. finish is to be
// called with the daemon's error.
func (s *portFlags) daemon(c *cli.Context) (cfg daemon.Config, finish func(error), err error) {
	pc, err := s.port.Validate()
	if err != nil {
		return cfg, nil, err
	}
	pc.Signature = "vcomd " + version.String()
	log, err := newLogger(c.App.ErrWriter, s.logLevel)
	if err != nil {
		return cfg, nil, err
	}
	warnEnvironment(log, c.App, os.Environ())
	cfg = daemon.Config{Ports: []port.Config{pc}, Log: log}
	if cfg.Metrics, err = config.MetricsAddress(s.metrics); err != nil {
		return cfg, nil, err
	}
	if s.trace == "" {
		return cfg, func(error) {}, nil
	}
	f, created, err := openTrace(s.trace)
	if err != nil {
		return cfg, nil, err
	}
	cfg.Trace = f
	return cfg, func(err error) {
		if err != nil && created {
			removeEmpty(f)
		}
		_ = f.Close()
	}, nil
}

// advise says which flag to change where what failed does not know of flags.
func (s *portFlags) advise(err error) error {
	_, isTTY := errors.AsType[*pty.OpError](err)
	if isTTY && errors.Is(err, fs.ErrPermission) && (s.port.Owner != "" || s.port.Group != "") {
		return fmt.Errorf("%w; only root may give the tty to any user or group: run vcomd as root, or leave --owner and --group away", err)
	}
	return err
}

// openTrace opens the trace to append to it, and says whether there was none. It
// holds all that passes: nobody else's business.
func openTrace(path string) (f *os.File, created bool, err error) {
	const mode = 0o600
	f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL|os.O_APPEND, mode)
	if created = err == nil; !created {
		f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, mode)
	}
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		err = failed.Err // the path is named already
	}
	if err != nil {
		return nil, false, fmt.Errorf("--trace %q: cannot open the file: %w; choose a file in a directory that you may write", path, err)
	}
	return f, created, nil
}

// removeEmpty takes back a trace that this process has made and not written to:
// a port that could not be set up leaves nothing behind.
func removeEmpty(f *os.File) {
	if info, err := f.Stat(); err == nil && info.Size() == 0 {
		_ = os.Remove(f.Name())
	}
}

// newLogger writes for people on a terminal, and JSON elsewhere.
func newLogger(w io.Writer, level string) (zerolog.Logger, error) {
	if level == "" {
		level = "info"
	}
	l, err := zerolog.ParseLevel(level)
	if err != nil || l < zerolog.DebugLevel || l > zerolog.ErrorLevel {
		return zerolog.Logger{}, &config.Error{
			Setting: "--log-level", Value: level, Found: "there is no such level", Hint: "write debug, info, warn or error",
		}
	}
	if isTerminal(w) {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.TimeOnly}
	}
	return zerolog.New(w).Level(l).With().Timestamp().Logger(), nil
}
