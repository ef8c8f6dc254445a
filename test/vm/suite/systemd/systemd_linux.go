// Package systemd is the suite of what Debian's udev and systemd make of the ttys of --tty usb. It runs under systemd, in a machine
// whose file system package rootfs has made.
package systemd

import (
	"context"
	"fmt"
	"strings"

	"github.com/vcomd/vcomd/test/vm/debian"
	"github.com/vcomd/vcomd/test/vm/report"
)

// Run makes the checks.
func Run(ctx context.Context, out *report.Writer) error {
	for _, c := range []struct {
		name  string
		holds func(ctx context.Context) error
	}{
		{"no unit has failed", noneFailed},
	} {
		out.Result("systemd/"+c.name, c.holds(ctx))
	}
	return nil
}

// noneFailed asks systemd.
func noneFailed(ctx context.Context) error {
	failed, err := debian.Run(ctx, "/", "systemctl", "--failed", "--plain", "--no-legend", "--no-pager")
	if err == nil && strings.TrimSpace(failed) != "" {
		err = fmt.Errorf("failed: %s", failed)
	}
	return err
}
