package systemd

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"

	"github.com/vcomd/vcomd/test/vm/rig"
)

// gpsd has Debian's gpsd started by its port, and get a fix from it.
func gpsd(ctx context.Context) error {
	return with(ctx, "GPS", func(*rig.Port) error {
		_, err := becomes(ctx, "GPS", "active", active)
		return errors.Join(err, account(ctx), fix(ctx))
	})
}

// gpsdHangup has a server end and come again, with which the adapter is pulled out and plugged in again: another gpsd gets a fix then.
func gpsdHangup(ctx context.Context) error {
	const address = "127.0.0.1:2217"
	end, err := simulate(ctx, address)
	if err != nil {
		return err
	}
	defer func() { end() }()
	p, err := start(ctx, "GPS", address, "--on-loss", "hangup", "--retry-max", "1s")
	if err != nil {
		return err
	}
	first, err := becomes(ctx, "GPS", "active", active)
	if err = errors.Join(err, fix(ctx)); err == nil {
		end()
		err = renewed(ctx, "GPS", first, p)
	}
	if err == nil {
		end, err = simulate(ctx, address)
	}
	if err == nil {
		err = fix(ctx)
	}
	return errors.Join(err, p.Stop())
}

// simulate starts an access server with a receiver.
func simulate(ctx context.Context, address string) (end func(), err error) {
	cmd := exec.CommandContext(ctx, rig.Vcomd, "sim", "--listen", address, "gps") //nolint:gosec // an address of the suite's own
	if err := cmd.Start(); err != nil {
		return func() {}, err
	}
	return func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	}, nil
}

// fix waits until gpsd has one in three dimensions.
func fix(ctx context.Context) error {
	return eventually(ctx, "gpsd has a fix", func() (bool, string) { return pipe(ctx) })
}

// pipe has gpspipe say what gpsd does, until there is a fix; last is what it has said last.
func pipe(ctx context.Context) (found bool, last string) {
	ctx, cancel := context.WithTimeout(ctx, limit/2)
	defer cancel()
	cmd := exec.CommandContext(ctx, "gpspipe", "-w")
	said, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return false, err.Error()
	}
	for lines := bufio.NewScanner(said); !found && lines.Scan(); {
		var r struct {
			Class, Device string
			Mode          int
		}
		last = lines.Text()
		found = json.Unmarshal(lines.Bytes(), &r) == nil && r.Class == "TPV" && r.Device == "/dev/vcom/GPS" && r.Mode == 3
	}
	cancel()
	if err := cmd.Wait(); err != nil && last == "" {
		last = err.Error()
	}
	return found, last
}

// account fails unless gpsd runs as its own user, which may open the port by its group alone.
func account(ctx context.Context) error {
	pid, err := command(ctx, "systemctl", "show", "--value", "--property=MainPID", wants["GPS"])
	if err != nil {
		return err
	}
	const user, group = "\nUid:\t900\t", "\nGid:\t20\t"
	return eventually(ctx, "gpsd is gpsd:dialout", func() (bool, string) {
		status, err := os.ReadFile("/proc/" + pid + "/status")
		return err == nil && strings.Contains(string(status), user) && strings.Contains(string(status), group), string(status)
	})
}
