package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"text/tabwriter"
	"time"
)

// pacedLine is a line whose speed a peer keeps to.
type pacedLine struct {
	line  string // as --line has it
	speed int    // bit/s
	bits  int    // of a character, with start, parity and stop bits
	count int    // characters sent in one piece
}

// pacedLines take about seven seconds together.
var pacedLines = []pacedLine{
	{"9600-8N1", 9600, 10, 1920},
	{"9600-7E2", 9600, 11, 1745},
	{"300-8N1", 300, 10, 90},
}

// paceReport is how a line's speed was kept to.
type paceReport struct {
	Line    string  `json:"line"`
	Nominal float64 `json:"nominal_characters_per_second"`
	Rate    float64 `json:"characters_per_second"` // from the first arrival to the last
	Gap     float64 `json:"nominal_spacing_ms"`
	P50     float64 `json:"spacing_p50_ms"` // between one character's arrival and the next one's
	P99     float64 `json:"spacing_p99_ms"`
	Late    float64 `json:"latest_ms"` // the most that a character came behind its time
	Error   string  `json:"error,omitempty"`
}

// arrivals is when each byte was read at the far end.
type arrivals struct {
	mu    sync.Mutex
	at    []time.Time
	count int
	all   chan struct{} // closed when count bytes have come
}

func newArrivals(count int) *arrivals { return &arrivals{count: count, all: make(chan struct{})} }

func (a *arrivals) take(n int, now time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.at) >= a.count {
		return
	}
	for range min(n, a.count-len(a.at)) {
		a.at = append(a.at, now)
	}
	if len(a.at) == a.count {
		close(a.all)
	}
}

// report compares what has come with what the line carries. There are at least two arrivals.
func (l pacedLine) report(at []time.Time) paceReport {
	char := float64(l.bits) / float64(l.speed) * 1e3 // ms
	gaps := make([]time.Duration, 0, len(at)-1)
	late := 0.0
	for i := 1; i < len(at); i++ {
		gaps = append(gaps, at[i].Sub(at[i-1]))
		late = max(late, milliseconds(at[i].Sub(at[0]))-float64(i)*char)
	}
	return paceReport{
		Line: l.line, Nominal: float64(l.speed) / float64(l.bits), Gap: char, Late: late,
		Rate: float64(len(at)-1) / at[len(at)-1].Sub(at[0]).Seconds(),
		P50:  milliseconds(percentile(gaps, 0.50)), P99: milliseconds(percentile(gaps, 0.99)),
	}
}

// measurePace has p, a vcomd over raw TCP, send a burst with --pace, and watches it arrive.
func measurePace(ctx context.Context, p *peer, l pacedLine) (r paceReport, err error) {
	s := &session{ctx: ctx, peer: p, samples: map[string]float64{}}
	dir, err := os.MkdirTemp("", "vcomd-bench-")
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if s.far, err = listen(false); err != nil {
		return r, err
	}
	go s.far.serve()
	defer s.far.stop()
	link := filepath.Join(dir, fmt.Sprintf("bench%d", s.far.port))
	argv, err := p.command(link, s.far.port, dir)
	if err != nil {
		return r, err
	}
	begin := time.Now()
	if s.proc, err = start(slices.Insert(argv, 1, "--pace", "--line", l.line)); err != nil {
		return r, err
	}
	defer s.proc.stop()
	if err := s.start(link, begin); err != nil {
		return r, s.explain("start", err)
	}
	defer func() { _ = s.tty.close() }()
	seen := newArrivals(l.count)
	s.far.arrivals.Store(seen)
	took := time.Duration(l.count*l.bits) * time.Second / time.Duration(l.speed)
	if err := s.within(2*took+startPatience, func() error {
		if err := s.tty.write(make([]byte, l.count)); err != nil {
			return err
		}
		select {
		case <-seen.all:
			return nil
		case <-s.far.gone:
			return errors.New("the connection has ended")
		}
	}); err != nil {
		return r, s.explain("pace", err)
	}
	return l.report(seen.at), nil
}

// pace measures vcomd's --pace, once a line.
func (r *report) pace(ctx context.Context, able []*peer) {
	i := slices.IndexFunc(able, func(p *peer) bool { return p.name == "vcomd-tcp" })
	if i < 0 {
		return
	}
	for _, l := range pacedLines {
		if ctx.Err() != nil {
			return
		}
		got, err := measurePace(ctx, able[i], l)
		if err != nil {
			got = paceReport{Line: l.line, Error: err.Error()}
		}
		r.Pace = append(r.Pace, got)
	}
}

// printPace writes a table: a row a line.
func (r *report) printPace(w io.Writer) {
	if len(r.Pace) == 0 {
		return
	}
	say(w, "\nvcomd-tcp with --pace: characters per second, and ms between one and the next\n")
	tw := tabwriter.NewWriter(w, 0, 0, 1, ' ', tabwriter.AlignRight)
	defer func() { _ = tw.Flush() }()
	say(tw, "line\tnominal/s\tmeasured/s\tnominal ms\tp50\tp99\tlatest\t\n")
	for _, p := range r.Pace {
		if p.Error != "" {
			say(tw, "%s\t%s\t\n", p.Line, p.Error)
			continue
		}
		say(tw, "%s\t%.2f\t%.2f\t%.3f\t%.3f\t%.3f\t%.3f\t\n", p.Line, p.Nominal, p.Rate, p.Gap, p.P50, p.P99, p.Late)
	}
}
