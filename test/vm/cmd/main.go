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
	say := func(format string, args ...any) {
		_, _ = fmt.Fprintf(out, "%6.1f s  "+format+"\n", append([]any{time.Since(begin).Seconds()}, args...)...)
	}
	job.Console = out
	job.Progress = func(what string) { say("%s", what) }
	failed := 0
	err = job.Run(ctx, dir, func(r report.Record) {
		switch r := r.(type) {
		case report.Check:
			say("%s %s %s", r.Outcome, r.Name, r.Detail)
			if r.Outcome == report.Fail {
				failed++
			}
		case report.Table:
			say("table %s %s", r.Name, r.JSON)
		case report.Figure:
			say("%s: %g %s", r.Name, r.Value, r.Unit)
		}
	})
	say("the end")
	if failed > 0 {
		err = errors.Join(err, fmt.Errorf("%w: %d", errFailed, failed))
	}
	return err
}
