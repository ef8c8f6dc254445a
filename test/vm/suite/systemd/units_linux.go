package systemd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/vcomd/vcomd/test/vm/rig"
)

// invocation is which start of a unit is active, and "" if none is.
func invocation(ctx context.Context, unit string) (string, error) {
	said, err := command(ctx, "systemctl", "show", "--property=ActiveState,InvocationID", unit)
	fields := strings.Fields(said)
	if err != nil || !slices.Contains(fields, "ActiveState=active") {
		return "", err
	}
	for _, f := range fields {
		if id, ok := strings.CutPrefix(f, "InvocationID="); ok {
			return id, nil
		}
	}
	return "", fmt.Errorf("%s is active, and has no InvocationID: %s", unit, said)
}

// becomes waits until the invocation of a port's unit is one that is wanted, and gives it.
func becomes(ctx context.Context, port, what string, wanted func(id string) bool) (id string, err error) {
	unit := wants[port]
	waited := eventually(ctx, unit+" is "+what, func() (bool, string) {
		id, err = invocation(ctx, unit)
		return err == nil && wanted(id), fmt.Sprintf("%q", id)
	})
	if waited != nil {
		status, _ := command(ctx, "systemctl", "status", "--no-pager", "--lines=20", unit) // its status is the unit's
		waited = fmt.Errorf("%w; %s", waited, status)
	}
	return id, errors.Join(err, waited)
}

// renewed waits until a port's unit is active as another one than the first.
func renewed(ctx context.Context, port, first string, p *rig.Port) error {
	_, err := becomes(ctx, port, "active again", func(id string) bool { return id != "" && id != first })
	if err != nil {
		events, _ := command(ctx, "journalctl", "-b", "-q", "--no-pager", "-o", "short-monotonic", "--lines=30") // of no account without an error
		err = fmt.Errorf("%w; vcomd's log: %s; the journal: %s", err, p.Log(10), events)
	}
	return err
}

func none(id string) bool   { return id == "" }
func active(id string) bool { return id != "" }

// follows has a port come and go, twice: its unit is there as long as it is.
func follows(name string) func(context.Context) error {
	return func(ctx context.Context) error {
		for range 2 {
			err := with(ctx, name, func(*rig.Port) error {
				_, err := becomes(ctx, name, "active", active)
				return err
			})
			if err != nil {
				return err
			}
			if _, err := becomes(ctx, name, "inactive", none); err != nil {
				return err
			}
		}
		return nil
	}
}

// killed has a vcomd end without warning.
func killed(ctx context.Context) error {
	p, err := start(ctx, "plain", "sim:gps")
	if err != nil {
		return err
	}
	_, err = becomes(ctx, "plain", "active", active)
	if err := errors.Join(err, p.Kill()); err != nil {
		return err
	}
	if _, err := becomes(ctx, "plain", "inactive", none); err != nil {
		return err
	}
	return follows("plain")(ctx)
}

// hangup has a server end, with which the adapter is pulled out and plugged in again: its unit is another one then. systemd would
// not start one that is still being stopped when the port is there again.
func hangup(ctx context.Context) error {
	const name = "plain"
	server, err := rig.Serve(ctx, false)
	if err != nil {
		return err
	}
	p, err := start(ctx, name, server.Addr, "--connect", "always", "--on-loss", "hangup", "--retry", "50ms")
	if err != nil {
		return errors.Join(err, server.Stop())
	}
	first, err := becomes(ctx, name, "active", active)
	if err = errors.Join(err, p.Await(ctx, "connected", 1), server.Stop()); err == nil {
		err = renewed(ctx, name, first, p)
	}
	return errors.Join(err, p.Stop())
}

// enable has systemd want a unit for its port without a word in the rules.
func enable(ctx context.Context) error {
	if _, err := command(ctx, "systemctl", "enable", wants[enabled]); err != nil {
		return err
	}
	return follows(enabled)(ctx)
}

// served has a device come and go, and with it the port of vcomd@.service.
func served(ctx context.Context) error {
	const text = "[[port]]\nname = \"" + started + "\"\nlink = \"/dev/ttySTARTED\"\nremote = \"sim:echo\"\nstart = \"unit\"\n"
	if err := os.MkdirAll("/etc/vcomd", 0o750); err != nil {
		return err
	}
	if err := os.WriteFile("/etc/vcomd/vcomd.toml", []byte(text), 0o600); err != nil {
		return err
	}
	err := with(ctx, started, func(*rig.Port) error {
		_, err := becomes(ctx, started, "active", active)
		return errors.Join(err, echoes("/dev/ttySTARTED"))
	})
	if err != nil {
		said, _ := command(ctx, "journalctl", "-b", "-q", "--no-pager", "-o", "cat", "--lines=20", "-u", wants[started]) // of no account without an error
		return fmt.Errorf("%w; the journal: %s", err, said)
	}
	// systemd does not start again what is still stopping.
	if _, err := becomes(ctx, started, "inactive", none); err != nil {
		return err
	}
	return errors.Join(follows(started)(ctx), gone(ctx, "/dev/ttySTARTED"))
}

// noneFailed asks systemd.
func noneFailed(ctx context.Context) error {
	failed, err := command(ctx, "systemctl", "--failed", "--plain", "--no-legend", "--no-pager")
	if err == nil && failed != "" {
		err = fmt.Errorf("failed: %s", failed)
	}
	return err
}

// servedOnNetwork has a network interface come and go, twice, and with it a port.
func servedOnNetwork(ctx context.Context) error {
	const link = "/dev/ttyNETWORKED"
	text := "[[port]]\nname = \"" + networked + "\"\nlink = \"" + link + "\"\nremote = \"sim:echo\"\nstart = \"unit\"\n"
	if err := os.MkdirAll("/etc/vcomd", 0o750); err != nil {
		return err
	}
	if err := os.WriteFile("/etc/vcomd/vcomd.toml", []byte(text), 0o600); err != nil {
		return err
	}
	for range 2 {
		if _, err := command(ctx, "modprobe", "dummy", "numdummies=1"); err != nil {
			return err
		}
		if _, err := becomes(ctx, networked, "active", active); err != nil {
			return err
		}
		if err := echoes(link); err != nil {
			return err
		}
		if _, err := command(ctx, "rmmod", "dummy"); err != nil {
			return err
		}
		if _, err := becomes(ctx, networked, "inactive", none); err != nil {
			return err
		}
		if err := gone(ctx, link); err != nil {
			return err
		}
	}
	return nil
}
