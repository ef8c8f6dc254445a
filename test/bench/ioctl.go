package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// How much is measured of vcomd run. It takes about twenty seconds.
const (
	ioctlReps     = 5
	ioctlGets     = 20000 // each repetition
	ioctlSets     = 2000
	ioctlCalls    = 300 // thousands of read or write
	ioctlResets   = 40
	ioctlPatience = 20 * time.Second // of one run of the program
)

// serialSource is the program whose ioctls are measured, from the module's root.
const serialSource = "test/bench/serial/serial.c"

// ioctlReport is what ioctls cost a program.
type ioctlReport struct {
	Rows  []*ioctlRow `json:"requests,omitempty"`
	Skew  []float64   `json:"reset_skew_us,omitempty"` // p50 and p99: a gap between two edges at the UART against the program's
	Error string      `json:"error,omitempty"`
}

// ioctlRow is one request on one tty, in microseconds: the medians of the repetitions.
type ioctlRow struct {
	Request string  `json:"request"`
	How     string  `json:"how"`
	P50     float64 `json:"p50_us"`
	P99     float64 `json:"p99_us"`

	p50, p99 []float64
}

// The ways in which a request is answered.
const (
	ioctlBare      = "no filter"
	ioctlContinued = "another tty, continued"
	ioctlEmulated  = "the port"
	ioctlFiltered  = "the filter" // of calls that it does not stop
)

// ioctlPlan are the rows.
func ioctlPlan() []*ioctlRow {
	rows := make([]*ioctlRow, 0, 12)
	for _, request := range []string{"tcgets", "tiocmget"} {
		for _, how := range []string{ioctlBare, ioctlContinued, ioctlEmulated} {
			rows = append(rows, &ioctlRow{Request: request, How: how})
		}
	}
	for _, request := range []string{"tcsets", "tiocmset"} {
		rows = append(rows, &ioctlRow{Request: request, How: ioctlEmulated})
	}
	for _, call := range []string{"read", "write"} {
		for _, how := range []string{ioctlBare, ioctlFiltered} {
			rows = append(rows, &ioctlRow{Request: call, How: how})
		}
	}
	return rows
}

// ioctlBench is a port that a vcomd serves, its UART, another tty, and the program.
type ioctlBench struct {
	ctx     context.Context
	vcomd   string
	program string
	link    string
	runDir  string
	other   string // the other tty's path
	uart    *rfc2217test.UART
}

// ioctls measures vcomd run.
func (r *report) ioctls(ctx context.Context, vcomd string) {
	got, err := measureIoctls(ctx, vcomd)
	if err != nil {
		got.Error = err.Error()
	}
	r.Ioctl = &got
}

func measureIoctls(ctx context.Context, vcomd string) (got ioctlReport, err error) {
	dir, err := os.MkdirTemp("", "vcomd-bench-")
	if err != nil {
		return got, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	b := &ioctlBench{
		ctx: ctx, vcomd: vcomd, program: filepath.Join(dir, "serial"), link: filepath.Join(dir, "tty"),
		runDir: filepath.Join(dir, "run"), uart: &rfc2217test.UART{Unpaced: true},
	}
	if b.program, err = build(ctx, b.program, []string{"cc", "-O2", "-o", "PROGRAM", serialSource}); err != nil {
		return got, err
	}
	other, err := openOther()
	if err != nil {
		return got, err
	}
	defer func() { _ = other.Close() }()
	b.other = other.slave
	address, stop, err := serveUART(b.uart)
	if err != nil {
		return got, err
	}
	defer stop()
	proc, err := start([]string{vcomd, "--link", b.link, "--run-dir", b.runDir, "--connect", "always", "--close-delay", "1m", "rfc2217://" + address})
	if err != nil {
		return got, err
	}
	defer proc.stop()
	if err := b.ready(); err != nil {
		return got, fmt.Errorf("%w; vcomd said: %s", err, proc.output)
	}
	got.Rows = ioctlPlan()
	for range ioctlReps {
		for _, row := range got.Rows {
			if err := b.measure(row); err != nil {
				return got, fmt.Errorf("%s, %s: %w", row.Request, row.How, err)
			}
		}
	}
	for _, row := range got.Rows {
		row.P50, row.P99 = median(row.p50), median(row.p99)
	}
	got.Skew, err = b.resets()
	return got, err
}

// serveUART serves a simulated UART until stop is called.
func serveUART(u *rfc2217test.UART) (address string, stop func(), err error) {
	var lc net.ListenConfig
	ctx, cancel := context.WithCancel(context.Background())
	ln, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		cancel()
		return "", nil, err
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = (&rfc2217test.Server{UART: u}).Serve(ctx, ln) }) // it ends with ctx
	return ln.Addr().String(), func() { cancel(); wg.Wait() }, nil
}

// ready waits until the port is there and connected.
func (b *ioctlBench) ready() error {
	ctx, cancel := context.WithTimeout(b.ctx, startPatience)
	defer cancel()
	if err := b.uart.WaitFor(ctx, func(s rfc2217test.Snapshot) bool { return s.Sessions > 0 }); err != nil {
		return fmt.Errorf("no connection: %w", err)
	}
	for ctx.Err() == nil {
		if _, err := os.Lstat(b.link); err == nil {
			return nil
		}
		nap(time.Millisecond)
	}
	return errors.New("no link")
}

// measure adds one repetition to a row.
func (b *ioctlBench) measure(row *ioctlRow) error {
	n, path := ioctlGets, b.link
	switch {
	case row.Request == "read" || row.Request == "write":
		n, path = ioctlCalls, b.other
	case row.How != ioctlEmulated:
		path = b.other
	case strings.HasSuffix(row.Request, "sets") || strings.HasSuffix(row.Request, "mset"):
		n = ioctlSets
	}
	took, err := b.run(row.How != ioctlBare, path, row.Request, n)
	if err != nil {
		return err
	}
	row.p50 = append(row.p50, microseconds(percentile(took, 0.50)))
	row.p99 = append(row.p99, microseconds(percentile(took, 0.99)))
	return nil
}

// run runs the program, under vcomd run or not, and returns what it prints.
func (b *ioctlBench) run(wrapped bool, tty, what string, n int) ([]time.Duration, error) {
	argv := []string{b.program, tty, what, strconv.Itoa(n)}
	if wrapped {
		argv = append([]string{b.vcomd, "run", "--link", b.link, "--run-dir", b.runDir, "--"}, argv...)
	}
	ctx, cancel := context.WithTimeout(b.ctx, ioctlPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // the bench's own program
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, strings.TrimSpace(stderr.String()))
	}
	var took []time.Duration
	for line := range strings.Lines(string(out)) {
		ns, err := strconv.ParseInt(strings.TrimSpace(line), 10, 64)
		if err != nil {
			return nil, fmt.Errorf("the program printed %q", line)
		}
		took = append(took, time.Duration(ns))
	}
	return took, nil
}

// resetEdges are what the program's reset does to the lines, after it has dropped both.
var resetEdges = []comport.Control{
	comport.ControlRTSOn, comport.ControlDTROn, comport.ControlRTSOff, comport.ControlDTROff,
}

// resets compares the gaps of reset sequences at the UART with those in the program.
func (b *ioctlBench) resets() (skew []float64, err error) {
	before := len(b.uart.Journal())
	program, err := b.run(true, b.link, "reset", ioctlResets)
	if err != nil {
		return nil, fmt.Errorf("reset: %w", err)
	}
	here := resetGaps(b.uart.Journal()[before:])
	if len(here) != len(program) {
		return nil, fmt.Errorf("reset: %d gaps at the UART, and %d in the program", len(here), len(program))
	}
	differences := make([]time.Duration, len(here))
	for i := range here {
		differences[i] = (here[i] - program[i]).Abs()
	}
	return []float64{microseconds(percentile(differences, 0.50)), microseconds(percentile(differences, 0.99))}, nil
}

// resetGaps are the times between the edges of each reset sequence of a journal.
func resetGaps(journal []rfc2217test.Entry) (gaps []time.Duration) {
	var at []time.Time
	for _, e := range journal {
		m, ok := e.Message.(comport.SetControl)
		switch {
		case e.Kind != rfc2217test.EntryLine || !ok:
			continue
		case m.Control == resetEdges[len(at)]:
			at = append(at, e.Time)
		default:
			at = nil
		}
		if len(at) == len(resetEdges) {
			for i := 1; i < len(at); i++ {
				gaps = append(gaps, at[i].Sub(at[i-1]))
			}
			at = nil
		}
	}
	return gaps
}

// printIoctls writes a table: a row a request and a tty.
func (r *report) printIoctls(w io.Writer) {
	if r.Ioctl == nil {
		return
	}
	say(w, "\nioctls under vcomd run, microseconds (median of %d)\n", ioctlReps)
	if r.Ioctl.Error != "" {
		say(w, "%s\n", r.Ioctl.Error)
		return
	}
	tw := tabwriter.NewWriter(w, 0, 0, 1, ' ', tabwriter.AlignRight)
	say(tw, "call\ton\tp50\tp99\t\n")
	for _, row := range r.Ioctl.Rows {
		say(tw, "%s\t%s\t%.3f\t%.3f\t\n", row.Request, row.How, row.P50, row.P99)
	}
	_ = tw.Flush()
	say(w, "reset sequence, a gap at the UART against the program's: p50 %.0f us, p99 %.0f us\n", r.Ioctl.Skew[0], r.Ioctl.Skew[1])
}
