// Package conform has the suites that compare ttys: the machine's own 16550, and vcomd's. They report each check, and the table of
// all, of which docs/compatibility.md has a copy.
package conform

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"slices"

	"github.com/vcomd/vcomd/test/vm/conformance"
	"github.com/vcomd/vcomd/test/vm/report"
	"github.com/vcomd/vcomd/test/vm/rig"
)

// Table is the name under which rows of the table are reported: each a conformance.Result.
const Table = "conformance"

// The two ends of a line in the machine.
const (
	nearUART = "/dev/ttyS1"
	farUART  = "/dev/ttyS2"
)

// Hardware makes the checks on the machine's own 16550.
func Hardware(ctx context.Context, _ *report.Writer) error {
	return checker(ctx, nil, conformance.Hardware, nearUART, "")
}

// PTY makes them on a port of vcomd's.
func PTY(ctx context.Context, _ *report.Writer) error {
	return OnPort(ctx, conformance.PTY, "127.0.0.1:2301")
}

// Wrapped makes them on a port of vcomd's, under vcomd run.
func Wrapped(ctx context.Context, _ *report.Writer) error {
	return OnPort(ctx, conformance.Wrapped, "127.0.0.1:2302")
}

// USB makes them on a tty of the kernel's, whose adapter is vcomd.
func USB(ctx context.Context, _ *report.Writer) error {
	return OnPort(ctx, conformance.USB, "127.0.0.1:2303", "--tty", "usb")
}

// OnPort makes the checks on a port of vcomd's whose access server is the checker's own, at an address.
func OnPort(ctx context.Context, kind conformance.Kind, server string, flags ...string) error {
	p, err := rig.Start(ctx, rig.Options{
		Name: "conform-" + string(kind), Remote: server,
		// So the far end sees when the tty is opened and closed. Paced, for tcdrain.
		Flags: append([]string{"--connect", "on-open", "--close-delay", "0", "--retry", "20ms", "--retry-max", "50ms", "--pace"}, flags...),
	})
	if err != nil {
		return err
	}
	var wrap []string
	if kind == conformance.Wrapped {
		wrap = p.Wrap()
	}
	err = checker(ctx, wrap, kind, p.Link, server)
	if err != nil {
		err = fmt.Errorf("%w; vcomd's log: %s", err, p.Log(10))
	}
	return errors.Join(err, p.Stop())
}

// checker runs the checks as a program of its own, because that is what vcomd run runs.
func checker(ctx context.Context, wrap []string, kind conformance.Kind, tty, server string) error {
	argv := slices.Concat(wrap, []string{"/init", "conformance", "-kind", string(kind), "-server", server, tty})
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // vcomd run, or this program
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the checks on %s: %w", kind, err)
	}
	return nil
}

// Main is that program.
func Main(ctx context.Context, args []string, out *report.Writer) error {
	flags := flag.NewFlagSet("conformance", flag.ContinueOnError)
	kind := flags.String("kind", "", "`KIND` of tty")
	server := flags.String("server", "", "`ADDRESS` of the access server to be; empty: the far end is a UART")
	if err := flags.Parse(args); err != nil {
		return err
	}
	tty, k := flags.Arg(0), conformance.Kind(*kind)
	far, closeFar, err := farEnd(ctx, tty, *server)
	if err != nil {
		return err
	}
	err = conformance.Run(k, tty, far, func(r conformance.Result) {
		name := "conformance/" + *kind + "/" + r.Check
		if r.Verdict == conformance.Untried {
			out.Check(name, report.Skip, r.Why)
		} else {
			out.Result(name, r.Expected())
		}
		err = errors.Join(err, out.Table(Table, r))
	})
	return errors.Join(err, closeFar())
}

// farEnd makes the far end of the tty's line.
func farEnd(ctx context.Context, tty, server string) (conformance.Far, func() error, error) {
	if server == "" {
		w, err := conformance.NewWire(tty, farUART)
		if err != nil {
			return nil, nil, err
		}
		return w, w.Close, nil
	}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", server)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := conformance.NewSimulated()
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, ln) }()
	return s, func() error { cancel(); return <-ended }, nil
}
