package main

import (
	"context"
	"fmt"

	"github.com/vcomd/vcomd/test/vm/report"
	"github.com/vcomd/vcomd/test/vm/suite/adapter"
	"github.com/vcomd/vcomd/test/vm/suite/conform"
	"github.com/vcomd/vcomd/test/vm/suite/network"
	"github.com/vcomd/vcomd/test/vm/suite/plain"
	"github.com/vcomd/vcomd/test/vm/suite/speed"
	"github.com/vcomd/vcomd/test/vm/suite/systemd"
	"github.com/vcomd/vcomd/test/vm/suite/yama"
)

// suites are what a machine can be asked to do.
var suites = map[string]func(ctx context.Context, out *report.Writer) error{
	"16550": conform.Hardware,
	"pty":   conform.PTY,
	"run":   conform.Wrapped,
	"usb":   conform.USB,

	"adapter": adapter.Run,

	"plain":   plain.Run,
	"nousb":   plain.NoUSB,
	"yama":    yama.Run,
	"network": network.Run,
	"speed":   speed.Run,
	"systemd": systemd.Run,
}

// runSuite runs a suite. An error is one that kept it from making its checks: those that fail are reported.
func runSuite(ctx context.Context, name string, out *report.Writer) error {
	run, ok := suites[name]
	if !ok {
		return fmt.Errorf("there is no suite %q", name)
	}
	return run(ctx, out)
}
