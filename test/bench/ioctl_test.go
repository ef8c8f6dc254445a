package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// TestResetGaps: two whole sequences among other changes, one that is broken off.
func TestResetGaps(t *testing.T) {
	begin := time.Now()
	entry := func(ms int, c comport.Control) rfc2217test.Entry {
		return rfc2217test.Entry{
			Kind: rfc2217test.EntryLine, Time: begin.Add(time.Duration(ms) * time.Millisecond), Message: comport.SetControl{Control: c},
		}
	}
	const dtrOn, dtrOff, rtsOn, rtsOff = comport.ControlDTROn, comport.ControlDTROff, comport.ControlRTSOn, comport.ControlRTSOff
	journal := []rfc2217test.Entry{
		entry(0, dtrOff), entry(1, rtsOff),
		entry(10, rtsOn), entry(110, dtrOn), entry(111, rtsOff),
		{Kind: rfc2217test.EntryData},
		entry(161, dtrOff),
		entry(170, rtsOn), entry(171, dtrOff),
		entry(200, rtsOn), entry(302, dtrOn), entry(302, rtsOff), entry(352, dtrOff),
	}
	ms := time.Millisecond
	want := []time.Duration{100 * ms, 1 * ms, 50 * ms, 102 * ms, 0, 50 * ms}
	if got := resetGaps(journal); !slices.Equal(got, want) {
		t.Errorf("the gaps are %v, want %v", got, want)
	}
}

// TestPrintIoctls: what was measured is printed, and why nothing was.
func TestPrintIoctls(t *testing.T) {
	row := &ioctlRow{Request: "tcgets", How: ioctlEmulated, P50: 12.25, P99: 40.5}
	for _, tt := range []struct {
		r    *ioctlReport
		want []string
	}{
		{nil, nil},
		{&ioctlReport{Error: "cc is missing"}, []string{"cc is missing"}},
		{&ioctlReport{Rows: []*ioctlRow{row}, Skew: []float64{200, 4000}}, []string{"tcgets the port 12.250 40.500", "p50 200 us, p99 4000 us"}},
	} {
		var out strings.Builder
		(&report{Ioctl: tt.r}).printIoctls(&out)
		got := strings.Join(strings.Fields(out.String()), " ")
		for _, w := range tt.want {
			if !strings.Contains(got, w) {
				t.Errorf("nothing of %q in %q", w, got)
			}
		}
		if tt.want == nil && got != "" {
			t.Errorf("%q of nothing", got)
		}
	}
}
