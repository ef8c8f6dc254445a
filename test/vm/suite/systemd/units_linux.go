package systemd

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// hangup has a server end, with which the adapter is pulled out and plugged in again: its unit is another one then, however long
// the first took to end.
func hangup(name string) func(context.Context) error {
	return func(ctx context.Context) error {
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
			_, err = becomes(ctx, name, "active again", func(id string) bool { return id != "" && id != first })
		}
		return errors.Join(err, p.Stop())
	}
}

// gpsd has Debian's gpsd started by its port, and get a fix from it.
func gpsd(ctx context.Context) error {
	return with(ctx, "GPS", func(*rig.Port) error {
		if _, err := becomes(ctx, "GPS", "active", active); err != nil {
			return err
		}
		if err := account(ctx); err != nil {
			return err
		}
		fix := 0
		err := eventually(ctx, "gpsd has a fix", func() (bool, string) {
			said, err := command(ctx, "gpspipe", "-w", "-n", "12", "-x", "10")
			for line := range strings.Lines(said) {
				var r struct {
					Class, Device string
					Mode          int
				}
				if json.Unmarshal([]byte(line), &r) == nil && r.Class == "TPV" && r.Device == "/dev/vcom/GPS" {
					fix = max(fix, r.Mode)
				}
			}
			return fix >= 2, fmt.Sprint(said, err)
		})
		if err == nil && fix != 3 {
			err = fmt.Errorf("the fix is not one in three dimensions: mode %d", fix)
		}
		return err
	})
}

// account fails unless gpsd runs as its own user, which may open the port by its group alone.
func account(ctx context.Context) error {
	pid, err := command(ctx, "systemctl", "show", "--value", "--property=MainPID", wants["GPS"])
	if err != nil {
		return err
	}
	const user, group = "\nUid:\t900\t", "\nGid:\t20\t"
	return eventually(ctx, "gpsd is gpsd:dialout", func() (bool, string) {
		status, err := os.ReadFile(filepath.Join("/proc", pid, "status"))
		return err == nil && strings.Contains(string(status), user) && strings.Contains(string(status), group), string(status)
	})
}

// noneFailed asks systemd.
func noneFailed(ctx context.Context) error {
	failed, err := command(ctx, "systemctl", "--failed", "--plain", "--no-legend", "--no-pager")
	if err == nil && failed != "" {
		err = fmt.Errorf("failed: %s", failed)
	}
	return err
}
