// Command bench measures vcomd beside other ways to have a tty at the end of a TCP connection, in one run: socat, gensiot, ser2net, and
// bare read-write loops in C and Go.
//
// The tty under test is the peer's pseudo-terminal, opened raw by the bench as a program would. The far end is a server in
// the bench: raw TCP, or Telnet with RFC 2217 in a codec of its own (package wire). Repetitions alternate over the peers, so that a
// machine that gets slower does so for all.
//
// Measured are the time from a peer's start until the first byte has gone through and come back; from tcsetattr until SET-BAUDRATE has
// reached the server; the round trip of 1 and of 64 bytes; throughput up (tty to server), down and both (the sum), for text and for all
// 0xFF, every byte checked; the peer's processor time per 10^9 bytes of data during that; its resident memory; and, of those that connect
// again by themselves, the time from a server's return until a byte that has waited has gone through and come back. Of vcomd's --pace: at
// what rate and how far apart the characters of a burst arrive.
//
// Run it by `make bench`, from the module's root. All traffic is on the loopback interface.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// options are the command line.
type options struct {
	only    []string
	reps    int
	seconds float64
	rounds  int
	quick   bool
	pace    bool
	ioctl   bool
	ports   bool
	vcomd   string
	out     string
	limit   time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		say(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
}

// say prints. A report that cannot be written has no reader to tell.
func say(w io.Writer, format string, args ...any) {
	_, _ = fmt.Fprintf(w, format, args...)
}

func parse(args []string, stderr io.Writer) (*options, error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	only := flags.String("only", "", "comma-separated beginnings of peers' `names`; ratios need socat and gensiot-64K among them")
	flags.IntVar(&o.reps, "reps", 5, "repetitions")
	flags.Float64Var(&o.seconds, "seconds", 0.5, "seconds of each throughput measurement, of which there are six a peer and repetition")
	flags.IntVar(&o.rounds, "rounds", 3000, "round trips of each size")
	flags.BoolVar(&o.quick, "quick", false, "a short run: two repetitions, 0.2 seconds, 1000 round trips, unless given")
	flags.BoolVar(&o.pace, "pace", false, "measure only vcomd's --pace, which takes eight seconds")
	flags.BoolVar(&o.ioctl, "ioctl", false, "measure only what ioctls cost under vcomd run, which takes half a minute")
	flags.BoolVar(&o.ports, "ports", false, "measure only a thousand ports in one process, which takes half a minute")
	flags.StringVar(&o.vcomd, "vcomd", "bin/vcomd", "the vcomd `binary` to measure")
	flags.StringVar(&o.out, "out", "bench-results", "`directory` for the JSON file")
	flags.DurationVar(&o.limit, "limit", 9*time.Minute, "no repetition starts after this time")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if o.quick {
		given := map[string]bool{}
		flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
		if !given["reps"] {
			o.reps = 2
		}
		if !given["seconds"] {
			o.seconds = 0.2
		}
		if !given["rounds"] {
			o.rounds = 1000
		}
	}
	if o.pace || o.ioctl || o.ports {
		*only = "vcomd-tcp"
	}
	if *only != "" {
		o.only = strings.Split(*only, ",")
	}
	if o.reps < 1 || o.rounds < 1 || o.seconds <= 0 {
		return nil, errors.New("-reps, -rounds and -seconds must be positive")
	}
	return &o, nil
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	o, err := parse(args, stderr)
	if err != nil {
		return err
	}
	// The generator's blocking calls hold processors of Go's scheduler for a while: let there always be a free one.
	runtime.GOMAXPROCS(8)

	selected := slices.DeleteFunc(peers(o.vcomd), func(p *peer) bool { return !matches(p.name, o.only) })
	if len(selected) == 0 {
		return fmt.Errorf("-only %s: no such peer", strings.Join(o.only, ","))
	}
	builds, err := os.MkdirTemp("", "vcomd-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(builds) }()

	begin := time.Now()
	r := &report{
		Date: begin.UTC().Format(time.RFC3339), Kernel: uname(), CPU: cpuModel(), CPUs: runtime.NumCPU(), Go: runtime.Version(),
		LoadBefore: loadAverage(), Command: strings.Join(append([]string{"bench"}, args...), " "),
		Reps: o.reps, Rounds: o.rounds, Changes: 200, Restarts: 50, Seconds: o.seconds,
	}
	var able []*peer
	for _, p := range selected {
		pr := newPeerReport(p)
		r.Peers = append(r.Peers, pr)
		if err := p.find(ctx, builds); err != nil {
			pr.Errors = append(pr.Errors, fmt.Sprintf("not measured: %v", err))
			continue
		}
		pr.Version = p.versionLine(ctx)
		able = append(able, p)
	}
	if o.quick {
		r.Restarts = 10
	}
	pl := plan{rounds: r.Rounds, changes: r.Changes, load: time.Duration(o.seconds * float64(time.Second))}
	if !o.pace && !o.ioctl && !o.ports {
		repeat(ctx, r, able, pl, begin.Add(o.limit), stderr)
		r.restarts(ctx, able)
	}
	if !o.ioctl && !o.ports {
		r.pace(ctx, able)
	}
	if !o.pace && !o.ports {
		r.ioctls(ctx, o.vcomd)
	}
	if !o.pace && !o.ioctl {
		r.ports(ctx, o.vcomd)
	}
	r.Took = time.Since(begin).Seconds()
	r.LoadAfter = loadAverage()
	r.summarise()
	r.print(stdout)
	path, err := r.save(o.out, begin)
	if err != nil {
		return err
	}
	say(stdout, "\n%s; %s, %d CPUs; load average %s before, %s after; took %.0f s\nwritten to %s\n",
		r.Kernel, r.CPU, r.CPUs, r.LoadBefore, r.LoadAfter, r.Took, path)
	return ctx.Err()
}

// repeat measures every peer once a repetition. A peer's failure is noted; after two it is left out.
func repeat(ctx context.Context, r *report, able []*peer, pl plan, deadline time.Time, stderr io.Writer) {
	texts := []*pattern{textPattern(), ffPattern()}
	for rep := range r.Reps {
		for _, p := range able {
			pr := r.peer(p.name)
			if len(pr.Errors) >= 2 {
				continue
			}
			if ctx.Err() != nil || time.Now().After(deadline) {
				pr.Errors = append(pr.Errors, fmt.Sprintf("repetition %d left out: out of time", rep+1))
				continue
			}
			begin, forwarded := time.Now(), p.forwards
			samples, err := measure(ctx, p, pl, texts)
			pr.add(samples)
			if err != nil {
				pr.Errors = append(pr.Errors, fmt.Sprintf("repetition %d: %v", rep+1, err))
			}
			if forwarded && !p.forwards {
				pr.Notes = append(pr.Notes, fmt.Sprintf("no SET-BAUDRATE within %v of tcsetattr", speedPatience))
			}
			say(stderr, "bench: %d/%d %-13s %5.1f s  %s\n", rep+1, r.Reps, p.name, time.Since(begin).Seconds(), outcome(samples, err))
		}
	}
}

func outcome(samples map[string]float64, err error) string {
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("round trip %.0f us, both ways %.0f MB/s", samples["rtt1_p50"], samples["both_text"])
}

func matches(name string, beginnings []string) bool {
	return len(beginnings) == 0 || slices.ContainsFunc(beginnings, func(b string) bool { return strings.HasPrefix(name, b) })
}

// save writes the JSON file and returns its path.
func (r *report) save(dir string, at time.Time) (string, error) {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", err
	}
	path := filepath.Join(dir, at.UTC().Format("20060102-150405")+".json")
	return path, os.WriteFile(path, append(text, '\n'), 0o600)
}

func cpuModel() string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return "unknown CPU"
	}
	for line := range strings.Lines(string(info)) {
		if key, value, ok := strings.Cut(line, ":"); ok && strings.HasPrefix(key, "model name") {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:1], "")
}
