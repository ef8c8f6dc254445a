// Command cmd runs suites of make test-vm by hand, and prints what they say:
//
//	go run ./test/vm/cmd -suite yama,netem -kernel generic
//
// The exit status is 1 if a check has failed or the machine has not come to its end.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/vcomd/vcomd/test/vm"
	"github.com/vcomd/vcomd/test/vm/kernel"
	"github.com/vcomd/vcomd/test/vm/report"
)

var errFailed = errors.New("checks have failed")

func main() {
	suites := flag.String("suite", "", "`SUITES` to run, separated by commas")
	flavour := flag.String("kernel", string(kernel.Generic), "`KERNEL` to boot: generic or cloud")
	system := flag.Bool("system", false, "boot a Debian with udev and systemd, and run the suites in it")
	vcomd := flag.String("vcomd", "", "`FILE` of the vcomd to test, static and for amd64; empty: one is built")
	limit := flag.Duration("timeout", vm.Limit, "longest `TIME` it may take")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	job := vm.Job{Kernel: kernel.Flavour(*flavour), System: *system, Suites: strings.Split(*suites, ","), Vcomd: *vcomd}
	if err := run(ctx, os.Stdout, job); err != nil {
		fmt.Fprintln(os.Stderr, err)
		cancel()
		stop()
		os.Exit(1) //nolint:gocritic // what was deferred has been called
	}
}

// run does a job and prints what comes of it.
func run(ctx context.Context, out io.Writer, job vm.Job) error {
	dir, err := os.MkdirTemp("", "vcomd-vm-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	begin := time.Now()
	job.Console = out
	job.Progress = func(what string) { fmt.Fprintf(out, "%6.1f s  %s\n", time.Since(begin).Seconds(), what) }
	failed := 0
	err = job.Run(ctx, dir, func(r report.Record) {
		switch r := r.(type) {
		case report.Check:
			fmt.Fprintf(out, "%6.1f s  %s %s %s\n", time.Since(begin).Seconds(), r.Outcome, r.Name, r.Detail)
			if r.Outcome == report.Fail {
				failed++
			}
		case report.Table:
			fmt.Fprintf(out, "%6.1f s  table %s %s\n", time.Since(begin).Seconds(), r.Name, r.JSON)
		case report.Figure:
			fmt.Fprintf(out, "%6.1f s  %s: %g %s\n", time.Since(begin).Seconds(), r.Name, r.Value, r.Unit)
		}
	})
	fmt.Fprintf(out, "%6.1f s  the end\n", time.Since(begin).Seconds())
	if failed > 0 {
		err = errors.Join(err, fmt.Errorf("%w: %d", errFailed, failed))
	}
	return err
}
