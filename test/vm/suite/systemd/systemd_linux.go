// Package systemd is the suite of what Debian's udev and systemd make of the ttys of --tty usb. It runs under systemd, in a machine
// whose file system package rootfs has made.
//
// The names of its ports tell what udev has systemd start when they appear: see wants.
package systemd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/vcomd/vcomd/test/vm/debian"
	"github.com/vcomd/vcomd/test/vm/report"
	"github.com/vcomd/vcomd/test/vm/rig"
)

// limit is for what takes no time.
const limit = 20 * time.Second

// wants are the units that are wanted for ports: by the rules, but for enabled's. In units' names a dash of the port's is \x2d.
var wants = map[string]string{
	"GPS":     "gpsd-on-vcom@GPS.service",
	"plain":   "bound@plain.service",
	"with-1":  `bound@with\x2d1.service`,
	enabled:   "bound@enabled.service",
	started:   "vcomd@started.service",
	networked: "vcomd@networked.service",
}

// started is the port of which the adapter has another port served: the rules say that vcomd@started.service comes and goes
// with it.
const started = "started"

// networked is the port that is served while there is a network interface.
const networked = "networked"

// enabled is the port whose unit is wanted by its device because it was enabled so.
const enabled = "enabled"

// bound is the text of bound@.service, which has its port open for as long as it is there.
const bound = `[Unit]
BindsTo=dev-vcom-%i.device
After=dev-vcom-%i.device
[Service]
ExecStart=sh -c "exec sleep infinity </dev/vcom/%I"
[Install]
WantedBy=dev-vcom-%i.device
`

// Run makes the checks. Those of the rules come first: the others need them.
func Run(ctx context.Context, out *report.Writer) error {
	if err := os.WriteFile("/run/systemd/system/bound@.service", []byte(bound), 0o644); err != nil { //nolint:gosec // units are for all to read
		return err
	}
	if _, err := command(ctx, "systemctl", "daemon-reload"); err != nil {
		return err
	}
	for _, c := range []struct {
		name  string
		holds func(ctx context.Context) error
	}{
		{"no rules", withoutRules},
		{"modules", modules},
		{"install", install("installed")},
		{"a port that is served while a device is there", served},
		{"a port that is served while an interface is there", servedOnNetwork},
		{"names", names},
		{"group and mode", access},
		{"ModemManager", modemManager},
		{"a unit comes and goes", follows("plain")},
		{"a unit of a name with a dash", follows("with-1")},
		{"a unit that is enabled for its port", enable},
		{"a unit after kill -9", killed},
		{"a unit under hangup", hangup},
		{"gpsd", gpsd},
		{"gpsd under hangup", gpsdHangup},
		{"kernel-tty.conf", dropIns["kernel-tty.conf"]},
		{"overlay.conf", dropIns["overlay.conf"]},
		{"restarts under traffic", restart},
		{"no unit has failed", noneFailed},
		{"udev has no complaints", noComplaints},
	} {
		begin := time.Now()
		out.Result("systemd/"+c.name, c.holds(ctx))
		out.Figure("systemd/"+c.name, time.Since(begin).Seconds(), "s")
	}
	return nil
}

// command runs a command and gives what it says, without what is around it.
func command(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	said, err := debian.Run(ctx, "/", name, args...)
	return strings.TrimSpace(said), err
}

// eventually waits until something holds, and says what is the case otherwise.
func eventually(ctx context.Context, what string, holds func() (ok bool, is string)) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	look := time.NewTicker(50 * time.Millisecond)
	defer look.Stop()
	for {
		ok, is := holds()
		if ok {
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return fmt.Errorf("it never comes to be that %s: it is %s", what, is)
		}
	}
}

// start starts a vcomd with a port of a name.
func start(ctx context.Context, name, remote string, flags ...string) (*rig.Port, error) {
	return rig.Start(ctx, rig.Options{Name: name, Remote: remote, Flags: append([]string{"--tty", "usb", "--name", name}, flags...)})
}

// with has a port of a name while do runs.
func with(ctx context.Context, name string, do func(p *rig.Port) error, flags ...string) error {
	p, err := start(ctx, name, "sim:gps", flags...)
	if err != nil {
		return err
	}
	return errors.Join(do(p), p.Stop())
}
