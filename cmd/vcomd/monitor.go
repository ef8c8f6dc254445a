package main

import (
	"fmt"
	"os"

	"github.com/urfave/cli/v2"

	"github.com/vcomd/vcomd/internal/control"
	"github.com/vcomd/vcomd/internal/version"
)

// monitorFlags are the flags of vcomd monitor.
type monitorFlags struct {
	pcapng string
	runDir string
}

// monitorCommand is vcomd monitor: what passes between a port and its access server.
func monitorCommand() *cli.Command {
	var m monitorFlags
	return &cli.Command{
		Name:      "monitor",
		Usage:     "show what passes between a port and its access server",
		ArgsUsage: "PORT",
		Description: "Each line has the time, > for what goes to the access server, < for what comes from it, * for what happens to the\n" +
			"port, and data in hex and as text, or a command decoded. Nothing of it slows the port: a reader that is too slow\n" +
			"misses something, and ! says how much. ^C ends it. Exit status 1: there is no such port, or its vcomd has ended.",
		OnUsageError: onUsageError,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "hex", Usage: "show data in hex alone"},
			&cli.BoolFlag{Name: "text", Usage: "show data as text alone"},
			text(&m.pcapng, "pcapng", "", "write the bytes of the wire to `FILE`, or with - to standard output, for Wireshark: as packets between a client and a Telnet server"),
			runDirFlag(&m.runDir),
		},
		Action: func(c *cli.Context) error {
			switch {
			case !c.Args().Present():
				return &usageError{"monitor: no PORT given; write vcomd monitor PORT"}
			case c.Args().Len() > 1:
				return &usageError{fmt.Sprintf("monitor: unexpected argument %q; there is one PORT", c.Args().Get(1))}
			case c.Bool("hex") && c.Bool("text"):
				return &usageError{"monitor: --hex and --text: each shows data in one way alone; give one of them, or none for both ways"}
			case m.pcapng == "-" && (c.Bool("hex") || c.Bool("text")):
				return &usageError{`monitor: --pcapng "-": standard output is for the packets; leave --hex and --text away, or write to a file`}
			case m.pcapng == "-" && isTerminal(c.App.Writer):
				return &usageError{`monitor: --pcapng "-": standard output is a terminal; pipe it, as in vcomd monitor PORT --pcapng - | wireshark -k -i -`}
			}
			return m.run(c)
		},
	}
}

func (m *monitorFlags) run(c *cli.Context) (err error) {
	client := controlClient(m.runDir)
	found, err := client.Find(c.Context, c.Args().First())
	if err != nil {
		return fmt.Errorf("monitor: %w", err)
	}
	shows := []control.Kind{control.KindData, control.KindCommand, control.KindEvent}
	show := &shown{w: c.App.Writer, hex: !c.Bool("text"), text: !c.Bool("hex")}
	var packets *capture
	if m.pcapng != "" {
		shows = append(shows, control.KindWire)
		file := c.App.Writer
		if m.pcapng == "-" {
			shows = []control.Kind{control.KindWire, control.KindEvent}
			show = nil
		} else {
			f, err := openCapture(m.pcapng)
			if err != nil {
				return err
			}
			defer func() {
				if cerr := f.Close(); cerr != nil && err == nil {
					err = fmt.Errorf("monitor: --pcapng: %w", cerr)
				}
			}()
			file = f
		}
		if packets, err = newCapture(file, "vcomd "+version.String(), found.Port); err != nil {
			return fmt.Errorf("monitor: %w", err)
		}
	}
	err = client.Monitor(c.Context, found, shows, func(e control.Entry) error {
		if e.Kind == control.KindBegin {
			_, _ = fmt.Fprintf(c.App.ErrWriter, "vcomd: monitoring %s, %s; ^C ends it\n", control.Escape(found.Port.Name), control.Escape(found.Port.Remote))
		}
		if packets != nil {
			if err := packets.take(e); err != nil {
				return err
			}
		}
		if show == nil || e.Kind == control.KindWire {
			return nil
		}
		return show.entry(e)
	})
	if err != nil {
		return fmt.Errorf("monitor: %w", err)
	}
	return nil
}

// openCapture makes the file: it will hold all that passes, which is nobody else's
// business.
func openCapture(path string) (*os.File, error) {
	const mode = 0o600
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return nil, fmt.Errorf("--pcapng %q: cannot open the file: %w; choose a file in a directory that you may write", path, withoutPath(err))
	}
	return f, nil
}
