package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"text/tabwriter"
)

// metric is one figure of the report.
type metric struct {
	key, label, unit string
}

var metrics = []metric{
	{"start", "start to first byte", "ms"},
	{"setbaud_p50", "tcsetattr to SET-BAUDRATE p50", "us"},
	{"setbaud_p99", "tcsetattr to SET-BAUDRATE p99", "us"},
	{"rtt1_p50", "round trip 1 byte p50", "us"},
	{"rtt1_p99", "round trip 1 byte p99", "us"},
	{"rtt64_p50", "round trip 64 bytes p50", "us"},
	{"rtt64_p99", "round trip 64 bytes p99", "us"},
	{"up_text", "up, text", "MB/s"},
	{"down_text", "down, text", "MB/s"},
	{"both_text", "both, text", "MB/s"},
	{"up_ff", "up, 0xFF", "MB/s"},
	{"down_ff", "down, 0xFF", "MB/s"},
	{"both_ff", "both, 0xFF", "MB/s"},
	{"cpu_up_text", "CPU, up, text", "s/GB"},
	{"cpu_down_text", "CPU, down, text", "s/GB"},
	{"cpu_both_text", "CPU, both, text", "s/GB"},
	{"cpu_up_ff", "CPU, up, 0xFF", "s/GB"},
	{"cpu_down_ff", "CPU, down, 0xFF", "s/GB"},
	{"cpu_both_ff", "CPU, both, 0xFF", "s/GB"},
	{"restart_p50", "server back to first byte p50", "ms"},
	{"restart_p99", "server back to first byte p99", "ms"},
	{"rss_idle", "memory idle", "MiB"},
	{"rss_load", "memory after load", "MiB"},
}

// report is what goes into the JSON file.
type report struct {
	Date       string        `json:"date"`
	Kernel     string        `json:"kernel"`
	CPU        string        `json:"cpu"`
	CPUs       int           `json:"cpus"`
	Go         string        `json:"go"`
	LoadBefore string        `json:"load_average_before"`
	LoadAfter  string        `json:"load_average_after"`
	Command    string        `json:"command"`
	Reps       int           `json:"repetitions"`
	Rounds     int           `json:"round_trips_each"`
	Changes    int           `json:"speed_changes_each"`
	Restarts   int           `json:"restarts"`
	Seconds    float64       `json:"seconds_each_throughput"`
	Took       float64       `json:"took_seconds"`
	Peers      []*peerReport `json:"peers"`
	Pace       []paceReport  `json:"pace,omitempty"`
	Ioctl      *ioctlReport  `json:"ioctl,omitempty"`
	Ports      *portsReport  `json:"ports,omitempty"`
}

type peerReport struct {
	Name    string             `json:"name"`
	Wire    string             `json:"wire"` // tcp or rfc2217
	Command string             `json:"command"`
	Build   string             `json:"build,omitempty"`
	Version string             `json:"version"`
	Base    string             `json:"ratios_to"`
	Figures map[string]*figure `json:"figures"`
	Notes   []string           `json:"notes,omitempty"`
	Errors  []string           `json:"errors,omitempty"`
}

type figure struct {
	Unit   string    `json:"unit"`
	Values []float64 `json:"values"` // one each repetition
	Median float64   `json:"median"`
	Min    float64   `json:"min"`
	Max    float64   `json:"max"`
	Ratio  *float64  `json:"ratio,omitempty"` // median to the base's median
}

func newPeerReport(p *peer) *peerReport {
	wireName := "tcp"
	if p.telnet {
		wireName = "rfc2217"
	}
	return &peerReport{
		Name: p.name, Wire: wireName, Command: p.shown(), Build: strings.Join(p.recipe, " "), Base: p.base,
		Figures: map[string]*figure{},
	}
}

// add takes one repetition's samples.
func (r *peerReport) add(samples map[string]float64) {
	for _, m := range metrics {
		v, ok := samples[m.key]
		if !ok {
			continue
		}
		f := r.Figures[m.key]
		if f == nil {
			f = &figure{Unit: m.unit}
			r.Figures[m.key] = f
		}
		f.Values = append(f.Values, v)
	}
}

func (r *report) peer(name string) *peerReport {
	for _, p := range r.Peers {
		if p.Name == name {
			return p
		}
	}
	return nil
}

// summarise fills medians, spreads and ratios from the values.
func (r *report) summarise() {
	for _, p := range r.Peers {
		for _, f := range p.Figures {
			f.Median, f.Min, f.Max = median(f.Values), slices.Min(f.Values), slices.Max(f.Values)
		}
	}
	for _, p := range r.Peers {
		base := r.peer(p.Base)
		if base == nil {
			continue
		}
		for key, f := range p.Figures {
			if b := base.Figures[key]; b != nil && b.Median != 0 {
				ratio := f.Median / b.Median
				f.Ratio = &ratio
			}
		}
	}
}

// print writes a table each wire: a row a metric, a column a peer; median, half the range, and the ratio to the base.
func (r *report) print(w io.Writer) {
	for _, table := range []struct{ wire, title string }{
		{"tcp", "raw TCP; ratios to socat"}, {"rfc2217", "Telnet with RFC 2217; ratios to gensiot-64K"},
	} {
		var columns []*peerReport
		for _, p := range r.Peers {
			if p.Wire == table.wire {
				columns = append(columns, p)
			}
		}
		if !slices.ContainsFunc(columns, func(p *peerReport) bool { return len(p.Figures) > 0 || len(p.Errors) > 0 }) {
			continue // none of them, or only their pace, was to be measured
		}
		say(w, "\n%s (median ± half the range of %d, ratio)\n", table.title, r.Reps)
		printTable(w, columns)
	}
	r.printPace(w)
	r.printIoctls(w)
	if r.Ports != nil {
		r.Ports.show(w)
	}
	for _, p := range r.Peers {
		for _, e := range slices.Concat(p.Notes, p.Errors) {
			say(w, "\n%s: %s\n", p.Name, e)
		}
	}
}

func printTable(w io.Writer, columns []*peerReport) {
	tw := tabwriter.NewWriter(w, 0, 0, 1, ' ', tabwriter.AlignRight)
	defer func() { _ = tw.Flush() }() // the writer's error shows at the next write
	head := make([]string, 0, 2+len(columns))
	head = append(head, "", "unit")
	for _, p := range columns {
		head = append(head, p.Name)
	}
	say(tw, "%s\t\n", strings.Join(head, "\t"))
	for _, m := range metrics {
		row := make([]string, 0, 2+len(columns))
		row = append(row, m.label, m.unit)
		some := false
		for _, p := range columns {
			f := p.Figures[m.key]
			some = some || f != nil
			row = append(row, f.cell())
		}
		if some {
			say(tw, "%s\t\n", strings.Join(row, "\t"))
		}
	}
}

// cell is a figure's place in the table; a nil figure was not measured.
func (f *figure) cell() string {
	if f == nil {
		return "-"
	}
	s := fmt.Sprintf("%.*f", digits(f.Median), f.Median)
	if len(f.Values) > 1 && f.Median != 0 {
		s += fmt.Sprintf(" ±%.0f%%", 50*(f.Max-f.Min)/f.Median)
	}
	if f.Ratio != nil {
		s += fmt.Sprintf(" %.2fx", *f.Ratio)
	}
	return s
}

// digits is the decimals that leave three significant digits.
func digits(v float64) int {
	if v <= 0 {
		return 0
	}
	return min(max(2-int(math.Floor(math.Log10(v))), 0), 3)
}
