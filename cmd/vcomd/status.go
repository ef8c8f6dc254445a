package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/vcomd/vcomd/internal/config"
	"github.com/vcomd/vcomd/internal/control"
)

// statusCommand is vcomd status: what ports are doing.
func statusCommand() *cli.Command {
	var runDir string
	return &cli.Command{
		Name:      "status",
		Usage:     "show what the ports of all running vcomds are doing, or one of them",
		ArgsUsage: "[PORT]",
		Description: "PORT is a port's name, one of its links, its overlay or its tty. Without it there is a table: LINES has a letter for\n" +
			"each line that is on: T (DTR) and R (RTS), C (CTS), S (DSR), D (DCD), I (RI); BYTES are written and read; DROPS are\n" +
			"lost. Exit status 1: there is no such port, or a vcomd could not be asked.",
		OnUsageError: onUsageError,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "json", Usage: "print JSON"},
			&cli.BoolFlag{Name: "watch", Aliases: []string{"w"}, Usage: "show it again and again, until ^C"},
			runDirFlag(&runDir),
		},
		Action: func(c *cli.Context) error {
			if c.Args().Len() > 1 {
				return &usageError{fmt.Sprintf("status: unexpected argument %q; there is one PORT, or none for all", c.Args().Get(1))}
			}
			s := status{client: controlClient(runDir), port: c.Args().First(), json: c.Bool("json"), colour: hasColour(c.App.Writer), width: tableWidth}
			if c.Bool("watch") {
				return s.watch(c.Context, c.App.Writer)
			}
			return s.print(c.Context, c.App.Writer)
		},
	}
}

// runDirFlag is for the commands that look for sockets.
func runDirFlag(into *string) cli.Flag {
	return text(into, "run-dir", "/run/vcomd, and $XDG_RUNTIME_DIR/vcomd", "`DIRECTORY` in which the sockets are")
}

// controlClient looks in a directory, or where vcomds of this user and of root
// have their sockets.
func controlClient(runDir string) control.Client {
	if runDir != "" {
		return control.Client{RunDirs: []string{runDir}}
	}
	dirs := []string{config.RunDir()}
	if dirs[0] != config.SystemRunDir {
		dirs = append(dirs, config.SystemRunDir)
	}
	return control.Client{RunDirs: dirs}
}

// status is what vcomd status is to show, and how.
type status struct {
	client  control.Client
	port    string // "": all
	json    bool
	compact bool // JSON on one line
	colour  bool
	width   int // columns of a table
}

// ask returns one port, or all; with those, the error is for the others.
func (s *status) ask(ctx context.Context) ([]control.Port, error) {
	if s.port != "" {
		found, err := s.client.Find(ctx, s.port)
		if err != nil {
			return nil, fmt.Errorf("status: %w", err)
		}
		return []control.Port{found.Port}, nil
	}
	found, failed := s.client.All(ctx)
	ports := make([]control.Port, 0, len(found))
	for _, f := range found {
		ports = append(ports, f.Port)
	}
	if len(failed) > 0 {
		return ports, fmt.Errorf("status: %w", errors.Join(failed...))
	}
	return ports, nil
}

// print shows it once.
func (s *status) print(ctx context.Context, w io.Writer) error {
	ports, err := s.ask(ctx)
	if len(ports) > 0 || err == nil {
		if werr := s.show(w, ports, time.Now()); werr != nil {
			return werr
		}
	}
	return err
}

func (s *status) show(w io.Writer, ports []control.Port, now time.Time) error {
	switch {
	case s.json:
		e := json.NewEncoder(w)
		if !s.compact {
			e.SetIndent("", "  ")
		}
		e.SetEscapeHTML(false)
		return e.Encode(struct {
			Version int            `json:"version"`
			Ports   []control.Port `json:"ports"` // [] for none
		}{control.Version, append([]control.Port{}, ports...)})
	case len(ports) == 0:
		_, err := fmt.Fprintf(w, "no ports: no vcomd has a socket in %s\n", strings.Join(s.client.RunDirs, " or "))
		return err
	case s.port != "":
		return printPort(w, ports[0], now)
	default:
		_, err := io.WriteString(w, table(ports, now, s.width, s.colour))
		return err
	}
}
