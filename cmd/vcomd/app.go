package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/vcomd/vcomd/internal/config"
	"github.com/vcomd/vcomd/internal/version"
	"github.com/vcomd/vcomd/rfc2217client"
)

// Exit codes.
const (
	exitOK    = 0 // stopped by a signal, or done
	exitWorld = 1 // the world refused: link taken, no permission, address in use
	exitUsage = 2 // wrong command line
)

// usageError is a wrong command line.
type usageError struct{ text string }

func (e *usageError) Error() string { return e.text }

// run is main without the process: it returns the exit code.
func run(ctx context.Context, argv []string, stdout, stderr io.Writer) int {
	app := newApp(stdout, stderr)
	args, err := normalise(app, argv)
	if err == nil {
		flags := app.Flags
		if len(args) > 1 {
			if command := findCommand(app, args[1]); command != nil {
				// The variables of flags that a command does not have say nothing to it.
				flags, app.Flags = command.Flags, nil
			}
		}
		err = checkSwitches(flags)
	}
	if err == nil {
		err = app.RunContext(ctx, args)
	}
	if err == nil {
		return exitOK
	}
	_, inFile := errors.AsType[*config.LoadError](err) // which says where
	if setting, ok := errors.AsType[*config.Error](err); ok && !inFile {
		setting.Setting = origin(args, setting.Setting)
	}
	if status, ok := errors.AsType[statusError](err); ok {
		return int(status) // the program has said what there was to say
	}
	for line := range strings.SplitSeq(err.Error(), "\n") {
		_, _ = fmt.Fprintf(stderr, "vcomd: %s\n", line)
	}
	if failed, ok := errors.AsType[*runError](err); ok {
		return failed.code
	}
	if isUsage(err) {
		return exitUsage
	}
	return exitWorld
}

// checkSwitches finds variables that stand for a flag without a value and are
// neither true nor false, which cli tells in words of its own.
func checkSwitches(flags []cli.Flag) error {
	for _, f := range flags {
		b, ok := f.(*cli.BoolFlag)
		if !ok {
			continue
		}
		for _, name := range b.EnvVars {
			value := os.Getenv(name)
			if _, err := strconv.ParseBool(value); value != "" && err != nil {
				return &config.Error{
					Setting: name, Value: value, Found: "this is neither true nor false",
					Hint: "write 1 or 0, or leave it unset", Err: err,
				}
			}
		}
	}
	return nil
}

func isUsage(err error) bool {
	var (
		usage  *usageError
		value  *config.Error
		remote *rfc2217client.RemoteError
	)
	return errors.As(err, &usage) || errors.As(err, &value) || errors.As(err, &remote)
}

const description = `vcomd makes a serial port on this machine whose UART is at a remote access
server (ser2net, a terminal server, any RFC 2217 device). Point any program at
the link: what it does to its tty (speed, stop bits, flow control, flush)
happens at the remote UART, and the port survives network loss.

   vcomd --link /dev/ttyGPS 192.0.2.7:2217    then: gpsd /dev/ttyGPS
   vcomd --link ./port --line 9600-7E1 rfc2217://host
   vcomd run host:2217 -- picocom -b 115200 {}
   vcomd --link ./port sim:gps                try it without any hardware

REMOTE is host[:port] (port 2217), rfc2217://host[:port], telnet://host[:port]
(Telnet without RFC 2217), tcp://host:port (raw bytes), the same in TLS:
rfc2217s://, telnets://, tls://, a Unix socket: unix:PATH, or the built-in
simulated server: sim:gps, sim:echo, sim:modem.

A pseudo-terminal hides parity, data bits, modem lines and breaks from vcomd:
run the program with vcomd run, or give parity and data bits with --line.
Every flag can be set in the environment: --close-delay is VCOMD_CLOSE_DELAY.

Exit status: 0 stopped by a signal; 1 the world refused (link taken, no
permission, --retries used up); 2 wrong usage.`

// newApp describes the command line. Nothing is done here.
func newApp(stdout, stderr io.Writer) *cli.App {
	var s portFlags
	app := &cli.App{
		Name:            "vcomd",
		Usage:           "a serial port whose UART is at a remote access server (RFC 2217)",
		UsageText:       "vcomd [flags] REMOTE\nvcomd serve [-c FILE] [--only NAME]\nvcomd run [flags] [REMOTE] -- PROGRAM…\nvcomd status [--json] [--watch] [PORT]\nvcomd set PORT dtr=on|off rts=on|off break=250ms speed=115200 line=9600-7E1\nvcomd monitor PORT [--hex|--text] [--pcapng FILE]\nvcomd reconnect|disconnect PORT\nvcomd purge PORT [rx|tx|both]\nvcomd reload [INSTANCE]\nvcomd probe REMOTE [--json] [--set]\nvcomd check [--tty KIND] [--json] | -c FILE\nvcomd udev [--install] [--wants NAME=UNIT]\nvcomd sim [--listen ADDR] DEVICE\nvcomd install [--dry-run] [--uninstall]\nvcomd completion SHELL\nvcomd version",
		Description:     description,
		HideHelpCommand: true,
		HideVersion:     true,
		Writer:          stdout,
		ErrWriter:       stderr,
		Flags:           s.flags(),
		OnUsageError:    onUsageError,
		ExitErrHandler:  func(*cli.Context, error) {}, // run decides
		Action: func(c *cli.Context) error {
			return serveOne(c, &s)
		},
		Commands: []*cli.Command{serveCommand(), runCommand(), statusCommand(), setCommand(), monitorCommand(), reconnectCommand(), disconnectCommand(), purgeCommand(), reloadCommand(), probeCommand(), checkCommand(), udevCommand(), manCommand(), completionCommand(), installCommand(), simCommand(), {
			Name:         "version",
			Usage:        "print the version",
			OnUsageError: onUsageError,
			HideHelp:     false,
			Action: func(c *cli.Context) error {
				if c.Args().Present() {
					return &usageError{fmt.Sprintf("version: unexpected argument %q; it takes none", c.Args().First())}
				}
				_, err := fmt.Fprintf(c.App.Writer, "vcomd %s\n", version.String())
				return err
			},
		}},
	}
	return app
}

// onUsageError keeps cli from printing the whole help for a misspelt flag.
func onUsageError(_ *cli.Context, err error, _ bool) error {
	return &usageError{err.Error() + "; see vcomd --help"} // normalise has found what users do wrong
}
