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
	var tty, runDir string
	return &cli.Command{
		Name:      "check",
		Usage:     "report what this machine can do: kinds of tty, vcomd run, overlays, and what is missing for them",
		ArgsUsage: " ",
		Description: "It looks, and changes nothing. Exit status 0 if the kind of tty that --tty names works here, 1 if it\n" +
			"does not.",
		OnUsageError: onUsageError,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "print JSON"},
			text(&tty, "tty", config.DefaultTTY, "`KIND` of tty that decides the exit status: pty, usb, or auto (one of them)"),
			text(&runDir, "run-dir", "/run/vcomd for root, else $XDG_RUNTIME_DIR/vcomd", "`DIRECTORY` for locks and sockets"),
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return &usageError{fmt.Sprintf("check: unexpected argument %q; it takes none", c.Args().First())}
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
