package main

import (
	"github.com/urfave/cli/v2"

	"github.com/vcomd/vcomd/internal/config"
)

// yesNo makes a flag that is there or not.
func yesNo(into *bool, name, usage string) cli.Flag {
	return &cli.BoolFlag{Name: name, EnvVars: []string{variable(name)}, Destination: into, Usage: usage}
}

// policyFlags are the flags about how a port behaves.
func policyFlags(p *config.Policy) []cli.Flag {
	return []cli.Flag{
		text(&p.Retries, "retries", "without end", "`NUMBER` of tries to connect, after a first one, that may fail in a row before vcomd ends"),
		text(&p.OnLoss, "on-loss", config.DefaultOnLoss, "`WHAT` programs notice of a lost connection: hold (nothing, they wait) or hangup "+
			"(what they would of an unplugged adapter; the link leads to a fresh tty)"),
		text(&p.StaleAfter, "stale-after", config.DefaultStaleAfter, "`TIME` that bytes wait for a connection before they are dropped; 0: they wait for ever"),
		text(&p.WhileDown, "while-down", config.DefaultWhileDown, "`WHAT` becomes of bytes written while the connection is lost: hold or discard"),
		text(&p.DCD, "dcd", config.DefaultDCD, "`WHAT` happens to programs without CLOCAL when DCD drops: ignore or hangup"),
		text(&p.DeadAfter, "dead-after", config.DefaultDeadAfter, "`TIME` without a sign of life after which a connection is taken for lost"),
		text(&p.Probe, "probe", "0: never", "`TIME` of silence after which the server is asked something, so that one that hangs is noticed"),
		text(&p.Drain, "drain", config.DefaultDrain, "longest `TIME` that output in flight keeps the connection when the port is closed"),
		yesNo(&p.RequireRFC2217, "require-rfc2217", "a server that does not speak RFC 2217 is an error, tried again, and not used as plain Telnet"),
		text(&p.Lines, "lines", "leave; under vcomd run, and with --tty usb: raise", "`WHAT` becomes of DTR and RTS: leave, or raise (up at the first open; down at the last close if HUPCL is set)"),
		text(&p.DTR, "dtr", "as --lines says", "`STATE` that DTR starts with: on or off"),
		text(&p.RTS, "rts", "as --lines says", "`STATE` that RTS starts with: on or off"),
		yesNo(&p.DropBanner, "drop-banner", "drop what the server says at first: until its first answer to a command or, without RFC 2217, until the negotiation is over"),
		yesNo(&p.PurgeOnOpen, "purge-on-open", "have the server drop what it has received before a program opens the port"),
		yesNo(&p.Pace, "pace", "send no faster than the line's speed"),
		yesNo(&p.Suspend, "suspend", "use FLOWCONTROL-SUSPEND and -RESUME when the program does not read, besides TCP"),
		text(&p.ModemMask, "modem-mask", "the server's own", "`MASK` (0 to 255) of the modem lines that the server is to report"),
		text(&p.CRNUL, "cr-nul", config.DefaultCRNUL, "carriage return goes as CR NUL where BINARY is not agreed (RFC 854): `STATE` on, or off for a server that knows nothing of it"),
	}
}
