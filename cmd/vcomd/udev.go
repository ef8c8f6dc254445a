package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/vcomd/vcomd/internal/config"
	"github.com/vcomd/vcomd/internal/usbtty/vhci"
	"github.com/vcomd/vcomd/udev"
)

// udevFlags are the flags of vcomd udev.
type udevFlags struct {
	dir, owner, group, mode string
	wants, start            []string
}

// udevCommand is vcomd udev: the rules for the ttys of --tty usb.
func udevCommand() *cli.Command {
	var s udevFlags
	return &cli.Command{
		Name:      "udev",
		Usage:     "print or install udev rules: for the ttys of --tty usb, and for ports that come with a device",
		ArgsUsage: " ",
		Description: "They give the ttys their group and mode, /dev/vcom/NAME to each, keep ModemManager away, and start\n" +
			"systemd units when a port appears. A file that somebody has changed is not replaced.\n\n" +
			"   vcomd udev --install --wants GPS=gpsd.service\n" +
			"   vcomd udev --install --start ttyGPS=net:wg0    serves ttyGPS, which has start = \"unit\", while wg0 is there",
		OnUsageError: onUsageError,
		Flags: []cli.Flag{
			&cli.BoolFlag{Name: "install", Usage: "install the rules as " + udev.FileName + ", and have udev read them"},
			text(&s.dir, "dir", udev.Dir, "`DIRECTORY` to install them in"),
			text(&s.owner, "owner", "root", "`USER` who owns the ttys"),
			text(&s.group, "group", udev.DefaultGroup, "`GROUP` of the ttys"),
			text(&s.mode, "mode", "0660", "`PERMISSIONS` of the ttys, in octal"),
			paths(&s.wants, "wants", "`NAME=UNIT`, a systemd unit to start when the port of this name appears; may be given several times"),
			paths(&s.start, "start", "`NAME=DEVICE`: vcomd@NAME.service is started and stopped with net:INTERFACE, tty:NAME or usb:VENDOR:PRODUCT[:SERIAL]; may be given several times"),
		},
		Action: func(c *cli.Context) error {
			if c.Args().Present() {
				return &usageError{fmt.Sprintf("udev: unexpected argument %q; it takes none", c.Args().First())}
			}
			text, err := s.rules()
			if err != nil {
				return err
			}
			if !c.Bool("install") {
				_, err := fmt.Fprint(c.App.Writer, text)
				return err
			}
			return installRules(c, cmp.Or(s.dir, udev.Dir), text)
		},
	}
}

// rules makes the rules of the flags.
func (s *udevFlags) rules() (string, error) {
	o := udev.Options{Owner: s.owner, Group: s.group, Wants: make(map[string][]string), Start: make(map[string][]string)}
	if s.mode != "" {
		mode, err := strconv.ParseUint(s.mode, 8, 32)
		if err != nil || mode == 0 || mode > uint64(fs.ModePerm) {
			return "", &config.Error{Setting: "--mode", Value: s.mode, Found: "these are no permissions of a tty", Hint: "write them in octal, as in 0660"}
		}
		o.Mode = fs.FileMode(mode)
	}
	for _, w := range s.wants {
		name, unit, ok := strings.Cut(w, "=")
		if !ok {
			return "", &config.Error{Setting: "--wants", Value: w, Found: "there is no unit", Hint: "write NAME=UNIT, as in GPS=gpsd.service"}
		}
		o.Wants[name] = append(o.Wants[name], unit)
	}
	for _, d := range s.start {
		name, device, ok := strings.Cut(d, "=")
		if !ok {
			return "", &config.Error{Setting: "--start", Value: d, Found: "there is no device", Hint: "write NAME=DEVICE, as in ttyGPS=net:wg0"}
		}
		o.Start[name] = append(o.Start[name], device)
	}
	text, err := udev.Rules(o)
	if wrong, ok := errors.AsType[*udev.OptionError](err); ok {
		return "", &config.Error{Setting: "--" + wrong.Option, Value: wrong.Value, Found: wrong.Found, Hint: wrong.Hint, Err: err}
	}
	return text, err
}

func installRules(c *cli.Context, dir, text string) error {
	outcome, err := udev.Install(dir, text)
	if err != nil {
		return fmt.Errorf("udev: %w", err)
	}
	path := filepath.Join(dir, udev.FileName)
	said := map[udev.Outcome]string{udev.Unchanged: "is up to date", udev.Installed: "is installed", udev.Updated: "is updated"}[outcome]
	told, err := reload(c.Context, dir)
	if err != nil {
		return fmt.Errorf("udev: %s %s, and udev could not be told: %w; run udevadm control --reload", path, said, err)
	}
	_, err = fmt.Fprintf(c.App.Writer, "%s %s; %s\n", path, said, told)
	return err
}

// reload has udev read its rules, if it runs and reads those of this directory.
func reload(ctx context.Context, dir string) (told string, err error) {
	if !slices.Contains(udev.Dirs(), filepath.Clean(dir)) {
		return "udev does not look there", nil
	}
	if !(&vhci.Host{}).UdevRuns() {
		return "udev does not run: they count when it does", nil
	}
	out, err := exec.CommandContext(ctx, "udevadm", "control", "--reload").CombinedOutput()
	if err != nil {
		if text := strings.Join(strings.Fields(string(out)), " "); text != "" {
			return "", fmt.Errorf("udevadm: %s", text)
		}
		return "", fmt.Errorf("udevadm: %w", err)
	}
	return "they count for ports that appear from now on", nil
}
