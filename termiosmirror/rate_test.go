package termiosmirror

import (
	"math"
	"testing"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

func TestSpeedDiffers(t *testing.T) {
	for _, tt := range []struct {
		asked, got uint32
		want       bool
	}{
		{9600, 9600, false},
		{115200, 115384, false}, // 24 MHz / (16 × 13)
		{1000, 1025, false},     // 2.5 % exactly
		{1000, 1026, true},
		{1000, 975, false},
		{1000, 974, true},
		{9600, 4800, true},
		{1, 2, true},
		{0, 9600, false},
		{9600, 0, false},
		{4294967295, 1, true},
		{1, 4294967295, true},
		{4294967295, 4294967295, false},
		{4294967295, 4294967000, false},
	} {
		if got := SpeedDiffers(tt.asked, tt.got); got != tt.want {
			t.Errorf("SpeedDiffers(%d, %d) = %t", tt.asked, tt.got, got)
		}
	}
}

func TestLineTime(t *testing.T) {
	for _, tt := range []struct {
		name string
		n    int
		s    comport.State
		want time.Duration
	}{
		{"8N1 by default, ten bits", 300, comport.State{BaudRate: 300}, 10 * time.Second},
		{"8E1, eleven bits", 100, comport.State{BaudRate: 1100, DataSize: 8, Parity: comport.ParityEven, StopSize: 1}, time.Second},
		{"7M2, eleven bits", 100, comport.State{BaudRate: 1100, DataSize: 7, Parity: comport.ParityMark, StopSize: comport.StopSize2}, time.Second},
		{"5N1.5, seven and a half bits", 100, comport.State{BaudRate: 50, DataSize: 5, Parity: comport.ParityNone, StopSize: comport.StopSize15}, 15 * time.Second},
		{"rounded up", 1, comport.State{BaudRate: 3}, 3333333334},
		{"unknown speed", 100, comport.State{DataSize: 8}, 0},
		{"nothing", 0, comport.State{BaudRate: 300}, 0},
		{"less than nothing", -5, comport.State{BaudRate: 300}, 0},
		{"fastest", 1, comport.State{BaudRate: math.MaxUint32}, 3}, // 2.33 ns, rounded up
	} {
		if got := LineTime(tt.n, tt.s); got != tt.want {
			t.Errorf("%s: LineTime(%d, %+v) = %d, want %d", tt.name, tt.n, tt.s, got, tt.want)
		}
	}
}

func TestLineTimeSaturates(t *testing.T) {
	if math.MaxInt < math.MaxInt64 {
		t.Skip("int is too small for a time that long")
	}
	for _, rate := range []uint32{1, 300, 1_000_000_000} { // at the last the quotient is above 2^63 and below 2^64
		if got := LineTime(math.MaxInt/7, comport.State{BaudRate: rate}); got != math.MaxInt64 {
			t.Errorf("at %d bit/s: %d, want the longest Duration", rate, got)
		}
	}
}
