// Package plain is the suite that shows that vcomd works on a kernel at all: a pseudo-terminal, the same under vcomd run; and, on one
// without USB, what becomes of who asks for a tty of the kernel's.
package plain

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/vcomd/vcomd/test/vm/report"
	"github.com/vcomd/vcomd/test/vm/rig"
)

// limit is for what takes no time.
const limit = 30 * time.Second

// Run makes the checks of any kernel.
func Run(ctx context.Context, out *report.Writer) error {
	out.Result("plain/pty", works(ctx, "plain", nil))
	return nil
}

// NoUSB makes those of a kernel without USB.
func NoUSB(ctx context.Context, out *report.Writer) error {
	out.Result("nousb/pty", works(ctx, "nousb", nil))
	out.Result("nousb/auto falls back to a pseudo-terminal", works(ctx, "auto", []string{"--tty", "auto"}))
	out.Result("nousb/usb fails", refuses(ctx, out))
	return nil
}

// works fails unless a port carries a setting and data.
func works(ctx context.Context, name string, flags []string) (err error) {
	s, err := rig.Serve(ctx, true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Stop()) }()
	p, err := rig.Start(ctx, rig.Options{Name: name, Remote: s.Addr, Flags: flags})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Stop()) }()
	for i, speed := range []uint32{57600, 12345} { // two visits
		tty, err := rig.OpenTTY(p.Link, speed)
		if err != nil {
			return err
		}
		data := rig.Pattern(4<<10, speed)
		if err := errors.Join(
			s.AwaitSpeed(ctx, limit, speed),
			rig.WriteAll(tty, data, limit), s.Receive(ctx, data, limit), rig.ReadSame(tty, data, limit),
		); err != nil {
			return errors.Join(err, tty.Close())
		}
		got, err := s.AwaitBytes(ctx, limit, i*len(data), (i+1)*len(data))
		if err := errors.Join(err, rig.Same(got, data), tty.Close(), p.Await(ctx, "closed", i+1)); err != nil {
			return err
		}
	}
	return nil
}

// refuses fails unless vcomd ends with status 1 and one line that says what is missing and what to do.
func refuses(ctx context.Context, out *report.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	args := []string{"--tty", "usb", "--link", "/run/refused", "--run-dir", "/run/refused.d", "sim:echo"}
	said, err := exec.CommandContext(ctx, rig.Vcomd, args...).CombinedOutput() //nolint:gosec // vcomd
	message := strings.TrimSpace(string(said))
	var status *exec.ExitError
	switch {
	case !errors.As(err, &status) || status.ExitCode() != 1:
		return fmt.Errorf("it ends with %w, not with status 1: %s", err, message)
	case strings.Contains(message, "\n"):
		return fmt.Errorf("it says more than one line: %s", message)
	case !strings.Contains(message, "vhci_hcd") || !strings.Contains(message, "--tty pty"):
		return fmt.Errorf("it does not say what is missing (vhci_hcd) and what to do (--tty pty): %s", message)
	}
	out.Check("nousb/usb says", report.Pass, message)
	return nil
}
