package main

import (
	"cmp"
	"fmt"
	"os"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"github.com/vcomd/vcomd/internal/config"
	"github.com/vcomd/vcomd/internal/daemon"
	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/internal/version"
)

// serveFlags are the flags of vcomd serve.
type serveFlags struct {
	config, only, logLevel, runDir, metrics string
}

// serveCommand is vcomd serve: the ports of a configuration file.
func serveCommand() *cli.Command {
	var s serveFlags
	return &cli.Command{
		Name:      "serve",
		Usage:     "serve the ports of a configuration file",
		ArgsUsage: " ",
		Description: "All ports with start = \"boot\", which is the default, or with --only the one named, whatever its start. The\n" +
			"file alone says what a port is like: variables such as VCOMD_RETRY do not count. vcomd check -c FILE shows\n" +
			"what a file means.",
		OnUsageError: onUsageError,
		Flags: []cli.Flag{
			configFlag(&s.config, config.DefaultFile, variable("config")),
			text(&s.only, "only", "all with start = \"boot\"", "`NAME` of the one port to serve"),
			text(&s.logLevel, "log-level", "the file's, else info", "`LEVEL` of what is logged: debug, info, warn or error"),
			text(&s.metrics, "metrics", "the file's, else none", metricsUsage),
			text(&s.runDir, "run-dir", "the file's, else /run/vcomd for root, else $XDG_RUNTIME_DIR/vcomd", "`DIRECTORY` for locks and sockets"),
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return &usageError{fmt.Sprintf("serve: unexpected argument %q; write vcomd serve -c FILE", c.Args().First())}
			}
			return s.serve(c)
		},
	}
}

// configFlag makes the flag that names a configuration file.
func configFlag(into *string, byDefault string, variables ...string) cli.Flag {
	return &cli.StringFlag{
		Name: "config", Aliases: []string{"c"}, EnvVars: variables, Destination: into, DefaultText: byDefault, Usage: "configuration `FILE`",
	}
}

// loaded is what a configuration file says to do.
type loaded struct {
	file  *config.Loaded
	name  string // of the instance
	ports []config.LoadedPort
}

// load reads the configuration, at the start and whenever it is to be read again.
func (s *serveFlags) load() (*loaded, error) {
	file, err := config.Options{RunDir: s.runDir}.Load(cmp.Or(s.config, config.DefaultFile))
	if err != nil {
		return nil, err
	}
	l := &loaded{file: file, name: file.Name, ports: file.Boot()}
	if s.only != "" {
		p, err := file.Only(s.only)
		if err != nil {
			return nil, err
		}
		// Several such vcomds may serve ports of one file.
		l.name, l.ports = p.Config.Name, []config.LoadedPort{p}
	}
	for i := range l.ports {
		l.ports[i].Config.Signature = "vcomd " + version.String()
	}
	return l, nil
}

func (s *serveFlags) serve(c *cli.Context) error {
	// Before the configuration is read: who changes it and sends SIGHUP then is heard.
	signals := newRequests()
	defer signals.stop()
	l, err := s.load()
	if err != nil {
		return err
	}
	log, err := newLogger(c.App.ErrWriter, cmp.Or(s.logLevel, l.file.LogLevel))
	if err != nil {
		return err
	}
	metrics, err := config.MetricsAddress(cmp.Or(s.metrics, l.file.Metrics))
	if err != nil {
		return err
	}
	l.note(log)
	warnEnvironment(log, c.App, os.Environ())
	cfg := daemon.Config{Ports: l.configs(), Log: log, Metrics: metrics}
	cfg.Service.Socket = controlSocket(l.name, l.file.RunDir, cfg.Ports)
	if l.file.Trace != "" {
		f, created, err := openTrace(l.file.Trace)
		if err != nil {
			return err
		}
		defer func() {
			if created {
				removeEmpty(f)
			}
			_ = f.Close()
		}()
		cfg.Trace = f
	}
	return (&service{log: log, signals: signals}).run(c.Context, cfg, func() ([]port.Config, error) {
		next, err := s.load()
		if err != nil {
			return nil, err
		}
		next.note(log)
		for _, key := range next.fixed(l) {
			log.Warn().Str("event", "configuration").Msg(key + " has changed: that counts from the next restart")
		}
		return next.configs(), nil
	})
}

// fixed names the keys with other values than at the start, which only a restart changes.
func (l *loaded) fixed(first *loaded) (keys []string) {
	is, was := l.file, first.file
	for _, k := range []struct{ key, is, was string }{
		{"name", is.Name, was.Name},
		{"run-dir", is.RunDir, was.RunDir},
		{"log-level", is.LogLevel, was.LogLevel},
		{"trace", is.Trace, was.Trace},
		{"metrics", is.Metrics, was.Metrics},
	} {
		if k.is != k.was {
			keys = append(keys, k.key)
		}
	}
	return keys
}

// configs returns the ports' configurations.
func (l *loaded) configs() []port.Config {
	all := make([]port.Config, 0, len(l.ports))
	for _, p := range l.ports {
		p.Config.Fingerprint = p.Fingerprint
		all = append(all, p.Config)
	}
	return all
}

// note says what is odd about the configuration, and no error.
func (l *loaded) note(log zerolog.Logger) {
	for _, note := range l.file.Notes {
		log.Warn().Str("event", "configuration").Msg(note)
	}
}
