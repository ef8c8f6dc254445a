package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/vcomd/vcomd/internal/config"
	"github.com/vcomd/vcomd/internal/control"
)

// reconnectCommand is vcomd reconnect.
func reconnectCommand() *cli.Command {
	return actionCommand("reconnect", "end a port's connection to its access server, and make another", "PORT",
		"Programs keep the port, as when a connection is lost. It undoes vcomd disconnect.", 1,
		func(c *cli.Context, client control.Client, f control.Found) error {
			state, err := client.Reconnect(c.Context, f)
			if err != nil || state != control.StateStored {
				return err
			}
			return say(c, f, "no program has it open; it is connected when one opens it")
		})
}

// disconnectCommand is vcomd disconnect.
func disconnectCommand() *cli.Command {
	return actionCommand("disconnect", "end a port's connection to its access server", "PORT",
		"It is made again when a program opens the port the next time; with --connect always at vcomd reconnect only.", 1,
		func(c *cli.Context, client control.Client, f control.Found) error {
			_, err := client.Disconnect(c.Context, f)
			return err
		})
}

// purgeCommand is vcomd purge.
func purgeCommand() *cli.Command {
	return actionCommand("purge", "drop what waits, here and in the access server's buffers", "PORT [rx|tx|both]",
		"rx: received for the program; tx: written by it; both, which is the default.", 2,
		func(c *cli.Context, client control.Client, f control.Found) error {
			state, err := client.Purge(c.Context, f, c.Args().Get(1))
			switch {
			case err != nil:
				return err
			case state == control.StateStored:
				return say(c, f, "there is no connection; what waited here was dropped, and what waits at the server is when there is one")
			case state == control.StateLocal:
				return say(c, f, "what waited here was dropped; the access server cannot be asked to do the same")
			default:
				return nil
			}
		})
}

// actionCommand is a command that does something to one port.
func actionCommand(name, usage, args, more string, most int, do func(*cli.Context, control.Client, control.Found) error) *cli.Command {
	var runDir string
	return &cli.Command{
		Name:         name,
		Usage:        usage,
		ArgsUsage:    args,
		Description:  more + "\nExit status 1: there is no such port, or it cannot be done; 2: wrong usage.",
		OnUsageError: onUsageError,
		Flags:        []cli.Flag{runDirFlag(&runDir)},
		Action: func(c *cli.Context) error {
			switch {
			case !c.Args().Present():
				return &usageError{fmt.Sprintf("%s: no PORT given; write vcomd %s %s", name, name, args)}
			case c.Args().Len() > most:
				return &usageError{fmt.Sprintf("%s: unexpected argument %q; write vcomd %s %s", name, c.Args().Get(most), name, args)}
			case most > 1:
				if err := control.CheckPurge(c.Args().Get(1)); err != nil {
					return &usageError{name + ": " + err.Error()}
				}
			}
			client := controlClient(runDir)
			found, err := client.Find(c.Context, c.Args().First())
			if err == nil {
				err = do(c, client, found)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		},
	}
}

func say(c *cli.Context, f control.Found, what string) error {
	_, err := fmt.Fprintf(c.App.Writer, "%s: %s\n", control.Escape(f.Port.Name), what)
	return err
}

// reloadCommand is vcomd reload.
func reloadCommand() *cli.Command {
	var runDir string
	return &cli.Command{
		Name:      "reload",
		Usage:     "have a vcomd serve read its configuration again",
		ArgsUsage: "[INSTANCE]",
		Description: "INSTANCE is the name that the file gives (name), which is " + config.DefaultInstance + " without one; with vcomd serve --only it is the\n" +
			"port's. Ports that are configured as they were are not touched. Exit status 1: there is no such vcomd, or a port\n" +
			"could not be made, and is tried again; 2: the configuration is wrong, and all is as it was.",
		OnUsageError: onUsageError,
		Flags:        []cli.Flag{runDirFlag(&runDir)},
		Action: func(c *cli.Context) error {
			if c.Args().Len() > 1 {
				return &usageError{fmt.Sprintf("reload: unexpected argument %q; write vcomd reload [INSTANCE]", c.Args().Get(1))}
			}
			instance := config.DefaultInstance
			if c.Args().Present() {
				instance = c.Args().First()
			}
			done, err := controlClient(runDir).Reload(c.Context, instance)
			if err != nil {
				if e, ok := errors.AsType[*control.Error](err); ok && e.Code == control.CodeConfiguration {
					return &usageError{e.Message}
				}
				return fmt.Errorf("reload: %w", err)
			}
			_, err = fmt.Fprintf(c.App.Writer, "%s, %s, %s, %d as they were\n",
				names("added", done.Added), names("changed", done.Changed), names("removed", done.Removed), done.Kept)
			if len(done.Failed) > 0 {
				err = errors.Join(err, fmt.Errorf("reload: %s, and will be tried again; see vcomd status for the reason", names("could not be made", done.Failed)))
			}
			return err
		},
	}
}

// names counts and names ports.
func names(what string, ports []string) string {
	if len(ports) == 0 {
		return "none " + what
	}
	const most = 10
	shown := make([]string, 0, most)
	for _, p := range ports[:min(len(ports), most)] {
		shown = append(shown, control.Escape(p))
	}
	if len(ports) > most {
		shown = append(shown, "…")
	}
	return strconv.Itoa(len(ports)) + " " + what + " (" + strings.Join(shown, ", ") + ")"
}
