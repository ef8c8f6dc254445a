package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// need skips the test for a missing prerequisite, unless VCOMD_TEST_REQUIRE=all forbids it.
func need(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if os.Getenv("VCOMD_TEST_REQUIRE") == "all" {
		t.Fatalf("%s: %v", what, err)
	}
	t.Skipf("%s: %v", what, err)
}

func TestPercentile(t *testing.T) {
	tenDown := []time.Duration{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}
	for _, tt := range []struct {
		samples []time.Duration
		p       float64
		want    time.Duration
	}{
		{nil, 0.5, 0},
		{[]time.Duration{7}, 0.99, 7},
		{tenDown, 0.5, 5},
		{tenDown, 0.99, 10},
		{tenDown, 0.9, 9},
		{tenDown, 0, 1},
		{tenDown, 1, 10},
	} {
		if got := percentile(append([]time.Duration(nil), tt.samples...), tt.p); got != tt.want {
			t.Errorf("percentile(%v, %v) = %d, want %d", tt.samples, tt.p, got, tt.want)
		}
	}
}

func TestMedian(t *testing.T) {
	if got := median([]float64{3, 1, 2}); got != 2 {
		t.Errorf("of three: %v", got)
	}
	if got := median([]float64{4, 1, 2, 3}); got != 2.5 {
		t.Errorf("of four: %v", got)
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("of none: %v", got)
	}
}

// TestFlow sends every pattern through a pipe cut at odd places.
func TestFlow(t *testing.T) {
	for _, p := range []*pattern{textPattern(), ffPattern()} {
		f := newFlow(p)
		r, w := io.Pipe()
		sent := make(chan error, 1)
		go func() {
			sent <- f.pump(20*time.Millisecond, false, func(b []byte) error {
				_, err := w.Write(b)
				return err
			})
		}()
		buf := make([]byte, 40009)
		for {
			n, err := r.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			if f.take(buf[:n]) {
				break
			}
		}
		if err := <-sent; err != nil || f.err != nil || f.count != f.sent || f.count == 0 {
			t.Errorf("%s: %d of %d bytes, %v, %v", p.name, f.count, f.sent, err, f.err)
		}
		f.take([]byte("more"))
		if got := f.excess.Load(); got != 4 {
			t.Errorf("%s: %d bytes too many, want 4", p.name, got)
		}
	}
}

func TestFlowSeesWrongBytes(t *testing.T) {
	text := textPattern()
	for _, tt := range []struct {
		name string
		in   []byte
	}{
		{"one byte changed", append(bytes.Clone(text.plain[:99]), text.plain[99]^1)},
		{"one byte lost", append(bytes.Clone(text.plain[:50]), text.plain[51:200]...)},
		{"a block twice", append(bytes.Clone(text.plain[:4096]), text.plain[:4096]...)},
	} {
		f := newFlow(text)
		if !f.take(tt.in) || f.err == nil {
			t.Errorf("%s: not seen", tt.name)
		}
	}
	f := newFlow(text)
	f.target.Store(10)
	if !f.take(text.plain[:11]) || f.err == nil {
		t.Error("one byte too many: not seen")
	}
}

// TestMeasure runs a whole repetition with the bench's own bridge.
func TestMeasure(t *testing.T) {
	t.Chdir("../..")
	_, err := os.Stat("/dev/ptmx")
	need(t, "pseudo-terminals", err)
	dir := t.TempDir()
	for _, p := range peers("") {
		if !strings.HasPrefix(p.name, "go-") {
			continue
		}
		need(t, "build the bridge", p.find(t.Context(), dir))
		got, err := measure(t.Context(), p, plan{rounds: 20, changes: 2, load: 10 * time.Millisecond}, []*pattern{textPattern(), ffPattern()})
		if err != nil {
			t.Errorf("%s: %v", p.name, err)
		}
		for _, m := range metrics {
			if v, ok := got[m.key]; (!ok || v <= 0) && !strings.HasPrefix(m.key, "setbaud") && !strings.HasPrefix(m.key, "restart") {
				t.Errorf("%s: %s is %v", p.name, m.key, v)
			}
		}
	}
}

func TestMeasureReportsAPeerThatFails(t *testing.T) {
	p := &peer{program: "/bin/sh", argv: func(string, int) []string {
		return []string{"sh", "-c", "echo no such port; exit 3"}
	}}
	_, err := measure(t.Context(), p, plan{}, nil)
	if err == nil || !strings.Contains(err.Error(), "the peer has ended") || !strings.Contains(err.Error(), "no such port") {
		t.Errorf("%v: want that the peer has ended, and what it said", err)
	}
}

func TestMeasureEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	p := &peer{program: "/bin/sleep", argv: func(string, int) []string { return []string{"sleep", "60"} }}
	if _, err := measure(ctx, p, plan{}, nil); err == nil {
		t.Error("a peer without a link gives no error")
	}
}

// TestMeasureRestarts stops and starts the server under vcomd, which connects again, and under socat, which ends.
func TestMeasureRestarts(t *testing.T) {
	t.Chdir("../..")
	vcomd, err := build(t.Context(), filepath.Join(t.TempDir(), "vcomd"), []string{"go", "build", "-o", "PROGRAM", "./cmd/vcomd"})
	need(t, "build vcomd", err)
	for _, p := range peers(vcomd) {
		if p.comesBack == nil {
			continue
		}
		need(t, "vcomd", p.find(t.Context(), ""))
		got, err := measureRestarts(t.Context(), p, 3)
		if err != nil || got["restart_p50"] <= 0 || got["restart_p99"] < got["restart_p50"] {
			t.Errorf("%s: %v, %v", p.name, got, err)
		}
	}
	socat := peers("")[1]
	need(t, "socat", socat.find(t.Context(), ""))
	if _, err := measureRestarts(t.Context(), socat, 3); err == nil || !strings.Contains(err.Error(), "restart 1") {
		t.Errorf("%v: want that socat has not come back", err)
	}
}

// TestMeasurePace sends a few characters through vcomd at 9600 bit/s. What a busy machine makes of the spacing is not for a test.
func TestMeasurePace(t *testing.T) {
	t.Chdir("../..")
	vcomd, err := build(t.Context(), filepath.Join(t.TempDir(), "vcomd"), []string{"go", "build", "-o", "PROGRAM", "./cmd/vcomd"})
	need(t, "build vcomd", err)
	p := peers(vcomd)[0]
	need(t, "vcomd", p.find(t.Context(), ""))
	got, err := measurePace(t.Context(), p, pacedLine{"9600-8N1", 9600, 10, 97})
	if err != nil || got.Nominal != 960 || got.Rate > 1300 || got.Rate < 1 || got.P99 < got.P50 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestPacedLine compares arrivals with a line by hand: 10 characters a second.
func TestPacedLine(t *testing.T) {
	a := newArrivals(4)
	begin := time.Unix(1000, 0)
	for _, read := range []struct{ n, ms int }{{1, 0}, {1, 150}, {3, 300}} {
		a.take(read.n, begin.Add(time.Duration(read.ms)*time.Millisecond))
	}
	select {
	case <-a.all:
	default:
		t.Fatal("four have come")
	}
	got := pacedLine{line: "100-8N1", speed: 100, bits: 10}.report(a.at)
	if got.Nominal != 10 || got.Gap != 100 || got.Rate != 10 || got.P50 != 150 || got.P99 != 150 || got.Late != 100 {
		t.Errorf("%+v", got)
	}
}

func TestReport(t *testing.T) {
	r := &report{Reps: 3}
	for _, p := range []struct {
		name   string
		values []float64
	}{{"socat", []float64{100, 90, 110}}, {"vcomd-tcp", []float64{80, 70, 75}}} {
		pr := newPeerReport(&peer{name: p.name, base: "socat", argv: func(string, int) []string { return []string{p.name} }})
		for _, v := range p.values {
			pr.add(map[string]float64{"rtt1_p50": v})
		}
		r.Peers = append(r.Peers, pr)
	}
	r.Pace = []paceReport{{Line: "9600-8N1", Nominal: 960, Rate: 959.5}, {Line: "300-8N1", Error: "it ended"}}
	r.Peers[0].Errors = []string{"repetition 4: it broke"}
	r.summarise()
	var out strings.Builder
	r.print(&out)
	// 75 is 0.75 of 100; half of 80-70 is 7 % of 75, half of 110-90 is 10 % of 100.
	for _, want := range []string{"75.0 ±7% 0.75x", "100 ±10% 1.00x", "socat: repetition 4: it broke", "959.50", "it ended"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the table has no %q:\n%s", want, out.String())
		}
	}
	text, err := json.Marshal(r)
	if err != nil || !bytes.Contains(text, []byte(`"values":[80,70,75],"median":75,"min":70,"max":80,"ratio":0.75`)) {
		t.Errorf("%v %s", err, text)
	}
}

func TestFlags(t *testing.T) {
	o, err := parse([]string{"-quick", "-rounds", "7", "--only", "vcomd,socat"}, io.Discard)
	if err != nil || o.reps != 2 || o.seconds != 0.2 || o.rounds != 7 || len(o.only) != 2 {
		t.Errorf("%+v, %v", o, err)
	}
	for _, bad := range [][]string{{"-reps", "0"}, {"-seconds", "-1"}, {"what"}, {"-nosuch"}} {
		if _, err := parse(bad, io.Discard); err == nil {
			t.Errorf("%v: no error", bad)
		}
	}
}

func TestPeersHaveAllThatTheReportNeeds(t *testing.T) {
	names := map[string]bool{}
	for _, p := range peers("bin/vcomd") {
		if names[p.name] || p.shown() == "" || len(p.version) == 0 {
			t.Errorf("%s: a second of its name, or without command line or version", p.name)
		}
		names[p.name] = true
	}
	for _, want := range []string{
		"vcomd-tcp", "vcomd-rfc2217", "socat", "socat-64K", "gensiot", "gensiot-64K", "ser2net", "c-poll",
		"go-netpoll", "go-threads", "go-epoll",
	} {
		if !names[want] {
			t.Errorf("no %s", want)
		}
	}
}
