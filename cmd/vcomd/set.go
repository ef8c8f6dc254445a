package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/vcomd/vcomd/internal/control"
)

const setForm = "PORT dtr=on|off rts=on|off break=250ms|on|off speed=115200 line=9600-7E1"

// setCommand is vcomd set: lines, breaks and settings of a port that is served.
func setCommand() *cli.Command {
	var runDir string
	return &cli.Command{
		Name:      "set",
		Usage:     "set lines and settings of a port that is served, or send a break",
		ArgsUsage: setForm,
		Description: "What is given is done in the order in which it is written. speed and line hold as --line does; dtr, rts and\n" +
			"break=on until they are set otherwise. Without a connection all but break=TIME is kept for the next one.\n" +
			"Exit status 1: there is no such port, or the access server cannot do it; 2: wrong usage.",
		OnUsageError: onUsageError,
		Flags:        []cli.Flag{runDirFlag(&runDir)},
		Action: func(c *cli.Context) error {
			args := c.Args().Slice()
			switch {
			case len(args) == 0:
				return &usageError{"set: no PORT given; write vcomd set " + setForm}
			case len(args) == 1 && strings.Contains(args[0], "="):
				return &usageError{fmt.Sprintf("set: no PORT given before %q; write vcomd set %s", args[0], setForm)}
			case len(args) == 1:
				return &usageError{fmt.Sprintf("set %s: nothing given to set; write vcomd set %s", args[0], setForm)}
			}
			operations, err := control.ParseOperations(args[1:])
			if err != nil {
				return &usageError{"set " + args[0] + ": " + err.Error()}
			}
			client := controlClient(runDir)
			found, err := client.Find(c.Context, args[0])
			if err != nil {
				return fmt.Errorf("set: %w", err)
			}
			done, err := client.Set(c.Context, found, operations)
			if werr := tellStored(c, found.Port, done); werr != nil && err == nil {
				err = werr
			}
			if err == nil {
				return nil
			}
			if refusal, ok := errors.AsType[*control.Error](err); ok && len(done) > 0 {
				return fmt.Errorf("set %s: %w (%d of %d were done before)", args[0], refusal, len(done), len(operations))
			}
			return fmt.Errorf("set %s: %w", args[0], err)
		},
	}
}

// tellStored says what will happen later only.
func tellStored(c *cli.Context, p control.Port, done []control.Result) error {
	var stored []string
	for _, r := range done {
		if r.State == control.StateStored {
			stored = append(stored, control.Escape(r.String()))
		}
	}
	if len(stored) == 0 {
		return nil
	}
	_, err := fmt.Fprintf(c.App.Writer, "%s: there is no connection to %s; kept for the next one: %s\n",
		control.Escape(p.Name), control.Escape(p.Remote), strings.Join(stored, " "))
	return err
}
