package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/vcomd/vcomd/internal/checkup"
	"github.com/vcomd/vcomd/internal/config"
	"github.com/vcomd/vcomd/internal/control"
	"github.com/vcomd/vcomd/internal/port"
)

// checkVersion is that of the JSON: another one has other meanings, more fields
// do not make one.
const checkVersion = 1

// checkCommand is vcomd check: what this machine can do.
func checkCommand() *cli.Command {
	var tty, runDir, file string
	return &cli.Command{
		Name:      "check",
		Usage:     "report what this machine can do: kinds of tty, vcomd run, overlays, and what is missing for them; or what a configuration file means",
		ArgsUsage: " ",
		Description: "It looks, and changes nothing. Exit status 0 if the kind of tty that --tty names works here, 1 if it\n" +
			"does not.\n\n" +
			"With -c it reads a configuration file instead, and prints all ports with everything that the file leaves\n" +
			"out, or everything that is wrong with it, with exit status 2.",
		OnUsageError: onUsageError,
		Flags: []cli.Flag{
			configFlag(&file, "none"),
			&cli.BoolFlag{Name: "json", Usage: "print JSON"},
			text(&tty, "tty", config.DefaultTTY, "`KIND` of tty that decides the exit status: pty, usb, or auto (one of them)"),
			text(&runDir, "run-dir", "/run/vcomd for root, else $XDG_RUNTIME_DIR/vcomd", "`DIRECTORY` for locks and sockets"),
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return &usageError{fmt.Sprintf("check: unexpected argument %q; it takes none", c.Args().First())}
			}
			if file != "" {
				return checkFile(c, file, runDir)
			}
			kind, err := port.ParseTTY(cmp.Or(tty, config.DefaultTTY))
			if err != nil {
				return &config.Error{Setting: "--tty", Value: tty, Found: "there is no such kind", Hint: "write pty, usb or auto", Err: err}
			}
			report := checkup.Judge(checkup.Gather(checkup.Machine{RunDir: cmp.Or(runDir, config.RunDir())}))
			verdict := judgeTTY(report, kind)
			if err := printReport(c.App.Writer, report, kind, verdict == nil, c.Bool("json")); err != nil {
				return err
			}
			return verdict
		},
	}
}

// checkFile prints what a configuration file means.
func checkFile(c *cli.Context, file, runDir string) error {
	for _, f := range c.Command.Flags {
		if name := f.Names()[0]; (name == "json" || name == "tty") && given(c, f) {
			return &usageError{fmt.Sprintf("check: --%s does not go with --config, which prints TOML and looks at no tty; leave one of the two out", name)}
		}
	}
	l, err := config.Options{RunDir: runDir}.Load(file)
	if err != nil {
		return err
	}
	return l.WriteTOML(c.App.Writer)
}

// judgeTTY says why a kind of tty does not work; nil: it does.
func judgeTTY(r checkup.Report, kind port.TTY) error {
	part := checkup.Pty
	if kind == port.TTYUSB {
		part = checkup.USB
	}
	missing, is := r.Missing(part)
	if _, noUSB := r.Missing(checkup.USB); kind == port.TTYAuto && !noUSB {
		is = false
	}
	if !is {
		return nil
	}
	return fmt.Errorf("check: --tty %s does not work here: %s", kind, control.Escape(missing.Explain()))
}

func printReport(w io.Writer, r checkup.Report, kind port.TTY, works, asJSON bool) error {
	if !asJSON {
		return r.WriteTable(w, control.Escape)
	}
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(struct {
		Version int            `json:"version"`
		TTY     string         `json:"tty"`
		Works   bool           `json:"works"`
		Checks  checkup.Report `json:"checks"`
	}{checkVersion, kind.String(), works, r})
}
