package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"github.com/vcomd/vcomd/internal/daemon"
	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/internal/version"
)

// serveOne is vcomd [flags] REMOTE: the daemon with one port, in the foreground.
func serveOne(c *cli.Context, s *portFlags) error {
	var err error
	if s.port.Remote, err = remote(c); err != nil {
		return err
	}
	pc, err := s.port.Validate()
	if err != nil {
		return err
	}
	pc.Signature = "vcomd " + version.String()
	log, err := newLogger(c.App.ErrWriter, s.logLevel)
	if err != nil {
		return err
	}
	cfg := daemon.Config{Ports: []port.Config{pc}, Log: log}
	if s.trace != "" {
		// It holds all that passes: nobody else's business.
		f, err := os.OpenFile(s.trace, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
		if err != nil {
			return fmt.Errorf("--trace %q: %w; choose a file in a directory that you may write", s.trace, err)
		}
		defer func() { _ = f.Close() }()
		cfg.Trace = f
	}
	return daemon.Run(c.Context, cfg)
}

// newLogger writes for people on a terminal, and JSON elsewhere.
func newLogger(w io.Writer, level string) (zerolog.Logger, error) {
	if level == "" {
		level = "info"
	}
	l, err := zerolog.ParseLevel(level)
	if err != nil || l < zerolog.DebugLevel || l > zerolog.ErrorLevel {
		return zerolog.Logger{}, &usageError{fmt.Sprintf("--log-level %q: there is no such level; write debug, info, warn or error", level)}
	}
	if isTerminal(w) {
		w = zerolog.ConsoleWriter{Out: w, TimeFormat: time.TimeOnly}
	}
	return zerolog.New(w).Level(l).With().Timestamp().Logger(), nil
}
