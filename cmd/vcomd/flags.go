package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/vcomd/vcomd/internal/config"
)

// portFlags are the flags of a vcomd that serves one port.
type portFlags struct {
	port     config.Port
	logLevel string
	trace    string
	metrics  string
}

// text makes a flag. All are text to cli: package config reads them, and says
// what is wrong with one better than cli does.
func text(into *string, name, byDefault, usage string) cli.Flag {
	return &cli.StringFlag{
		Name:        name,
		EnvVars:     []string{variable(name)},
		Destination: into,
		DefaultText: byDefault,
		Usage:       usage,
	}
}

const metricsUsage = "serve metrics for Prometheus at `ADDR`, an address and a port, under /metrics; a port alone (:9117) is this machine's loopback. Whoever reaches it may read"

// variable is the environment's name for a flag.
func variable(flag string) string {
	return "VCOMD_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// origin returns where a setting's value was written: the flag, or the variable
// that stands for one that is not among the arguments.
func origin(args []string, setting string) string {
	name := strings.TrimLeft(setting, "-")
	for _, a := range args {
		if a == "--" {
			break
		}
		if written, _, _ := strings.Cut(strings.TrimLeft(a, "-"), "="); isFlag(a) && written == name {
			return setting
		}
	}
	if _, ok := os.LookupEnv(variable(name)); ok {
		return variable(name)
	}
	return setting
}

func (s *portFlags) flags() []cli.Flag {
	p := &s.port
	return append([]cli.Flag{
		paths(&p.Links, "link", "`PATH` of a symbolic link to make for programs to open; may be given several times", "l"),
		text(&p.Overlay, "overlay", "", "`PATH` of an existing tty, such as /dev/ttyS0, to put the port over (root)"),
		text(&p.Line, "line", "", "line `SETTINGS` that a pseudo-terminal cannot carry, such as 9600-7E1 or 8O1: data bits and parity hold "+
			"for good, speed and stop bits until a program asks for others"),
		text(&p.Connect, "connect", config.DefaultConnect, "`WHEN` to be connected: on-open (while a program has the port open) or always"),
		text(&p.CloseDelay, "close-delay", config.DefaultCloseDelay, "`TIME` that the connection outlives the last close, with on-open"),
		text(&p.Retry, "retry", config.DefaultRetry, "`TIME` before a second try to connect; it doubles from try to try"),
		text(&p.RetryMax, "retry-max", config.DefaultRetryMax, "longest `TIME` between tries"),
		text(&p.NegotiateTimeout, "negotiate-timeout", config.DefaultNegotiateTimeout, "`TIME` the server may take to agree to RFC 2217 "+
			"before it is used as plain Telnet"),
		text(&p.Settle, "settle", config.DefaultSettle, "longest `TIME` a new setting waits for the remote UART to send what was written "+
			"before; 0: it never waits"),
		text(&p.TTY, "tty", config.DefaultTTY, "`KIND` of tty that programs get: pty (a pseudo-terminal), usb (a tty of the kernel, with all that a UART has; root, "+
			"and modules vhci_hcd and ftdi_sio) or auto (usb where it can be had, else pty)"),
		text(&p.Purge, "purge", "rx; under vcomd run, and with --tty usb: both", "which `FLUSHES` (tcflush) reach the server: rx, both or none"),
		text(&p.Owner, "owner", "", "`USER` who owns the tty"),
		text(&p.Group, "group", "dialout for root", "`GROUP` of the tty"),
		text(&p.Mode, "mode", "0660 for root, else 0600", "`PERMISSIONS` of the tty, in octal"),
		text(&p.Name, "name", "the link's last part", "`NAME` of the port in logs, and of its socket"),
		text(&p.RunDir, "run-dir", "/run/vcomd for root, else $XDG_RUNTIME_DIR/vcomd", "`DIRECTORY` for locks and sockets"),
		text(&s.logLevel, "log-level", "info", "`LEVEL` of what is logged: debug, info, warn or error"),
		text(&s.trace, "trace", "", "append all data and commands, decoded, to `FILE`"),
		text(&s.metrics, "metrics", "", metricsUsage),
	}, append(policyFlags(&p.Policy), transportFlags(&p.Transport)...)...)
}

// remote returns the one positional argument.
func remote(c *cli.Context) (string, error) {
	args := c.Args()
	switch {
	case args.Len() == 0:
		return "", &usageError{"no REMOTE given; write vcomd [flags] host:2217, or vcomd --help for more"}
	case args.Len() > 1:
		return "", &usageError{fmt.Sprintf("unexpected argument %q after the REMOTE %q; there is one REMOTE", args.Get(1), args.First())}
	}
	word := args.First()
	switch name := resembles(word); {
	case name == "":
		return word, nil
	case word == "help":
		return "", &usageError{`"help" is not a command; write vcomd --help`}
	case name == word:
		return "", &usageError{fmt.Sprintf("%q is not a command here; if it is a host, write %s:2217", word, word)}
	default:
		return "", &usageError{fmt.Sprintf("unknown command %q: did you mean %q? if it is a host, write %s:2217", word, name, word)}
	}
}
