package netem

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"
)

// The bytes of a request, written down by <linux/rtnetlink.h> and <linux/pkt_sched.h>.
func TestMessage(t *testing.T) {
	if binary.NativeEndian.Uint16([]byte{1, 0}) != 1 {
		t.Skip("written down for a little-endian machine")
	}
	got := message(7, Fault{Delay: 0x0102, Jitter: 3, Loss: 1, Reorder: 0.5}.options())
	want := []byte{
		0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0,
		10, 0, 1, 0, 'n', 'e', 't', 'e', 'm', 0, 0, 0,
		64, 0, 2, 0,
		0, 0, 0, 0, 0x10, 0x27, 0, 0, 0xff, 0xff, 0xff, 0xff, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		12, 0, 10, 0, 2, 1, 0, 0, 0, 0, 0, 0,
		12, 0, 11, 0, 3, 0, 0, 0, 0, 0, 0, 0,
		12, 0, 3, 0, 0, 0, 0, 0x80, 0, 0, 0, 0,
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got\n%v, want\n%v", got, want)
	}
}

// Nothing is overtaken without being asked for.
func TestNoReorder(t *testing.T) {
	if got, want := len(Fault{Delay: time.Second}.options()), 24+12+12; got != want {
		t.Errorf("%d bytes, want %d", got, want)
	}
}

// Probabilities are of 2^32-1, and stay within it.
func TestProbability(t *testing.T) {
	for p, want := range map[float64]uint32{-1: 0, 0: 0, 0.05: 214748365, 1: 0xffffffff, 2: 0xffffffff} {
		if got := probability(p); got != want {
			t.Errorf("probability(%v) is %d, want %d", p, got, want)
		}
	}
}
