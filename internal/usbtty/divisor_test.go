package usbtty_test

import (
	"testing"

	"github.com/vcomd/vcomd/internal/usbtty"
)

// Divisors as ftdi_sio of Linux 6.1 was seen to send them, and some computed by
// hand: 24,000,000 ÷ rate, rounded, is whole × 8 + eighths.
func TestEncodeSpeed(t *testing.T) {
	for _, c := range []struct{ rate, want uint32 }{
		{9600, 0x4138}, {115200, 0x001a}, {250000, 0x000c}, {12345, 0x00f3}, {3000000, 0x0000}, // seen
		{300, 0x2710},     // 80000 = 10000 × 8
		{14400, 0x100d0},  // 1667 = 208 × 8 + 3, whose code is 4
		{2000000, 0x0001}, // 12 = 1.5 × 8
		{2400, 0x04e2},    // 10000 = 1250 × 8
		{38400, 0xc04e},   // 625 = 78 × 8 + 1, whose code is 3
		{57600, 0xc034},   // 417 = 52 × 8 + 1
		{19200, 0x809c},   // 1250 = 156 × 8 + 2, whose code is 2
		{921600, 0x8003},  // 26 = 3 × 8 + 2
		{460800, 0x4006},  // 52 = 6 × 8 + 4, whose code is 1
		{50, 0xea60},      // 480000 = 60000 × 8: more than 14 bits
		{110, 0x1ea88},    // 218182 = 27272 × 8 + 6, whose code is 6: 0x6a88 | 6<<14
		{0, 0x4138}, {3000001, 0x4138}, {4000000, 0x4138}, {1 << 31, 0x4138}, {1<<32 - 1, 0x4138},
	} {
		if got := usbtty.EncodeSpeed(c.rate); got != c.want {
			t.Errorf("EncodeSpeed(%d) is %#x, want %#x", c.rate, got, c.want)
		}
	}
}

func TestDecodeSpeedStandard(t *testing.T) {
	for _, rate := range []uint32{
		50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800,
		500000, 576000, 921600, 1000000, 1152000, 1500000, 2000000, 2500000, 3000000,
	} {
		if got := usbtty.DecodeSpeed(usbtty.EncodeSpeed(rate)); got != rate {
			t.Errorf("%d comes back as %d", rate, got)
		}
	}
}

func TestDecodeSpeedCustom(t *testing.T) {
	for _, rate := range []uint32{
		45, 100, 120, 184, 185, 199, 201, 250, 333, 400, 500, 512, 900, 1000, 1234, 1500, 2000, 2222, 3000, 3600, 3906, 4000, 5000, 6000,
		7200, 7812, 8000, 9000, 10000, 10400, 12000, 12345, 14400, 15000, 16000, 18000, 20000, 24000, 25000, 28800, 30000,
		31250, 32000, 33600, 40000, 50000, 56000, 60000, 62500, 64000, 70000, 74880, 75000, 76800, 80000, 90000, 100000, 110000,
		120000, 125000, 128000, 150000, 153600, 187500, 200000, 250000, 256000, 300000, 307200, 345600, 400000, 416666,
		420000, 600000, 614400, 691200, 700000, 750000, 800000, 1050000, 1200000, 1250000, 1382400, 1843200,
	} {
		if got := usbtty.DecodeSpeed(usbtty.EncodeSpeed(rate)); got != rate {
			t.Errorf("%d comes back as %d", rate, got)
		}
	}
}

// Whatever comes back is a rate that the driver would have sent as the same
// divisor, and slow ones do not stand in for faster ones.
func TestDecodeSpeedAll(t *testing.T) {
	var divisor, rate uint32 = 1 << 31, 0
	for r := uint32(183); r <= 3_000_000; r++ {
		if d := usbtty.EncodeSpeed(r); d != divisor {
			divisor, rate = d, usbtty.DecodeSpeed(d)
		}
		if usbtty.EncodeSpeed(rate) != divisor {
			t.Fatalf("%d has the divisor %#x; it comes back as %d with the divisor %#x", r, divisor, rate, usbtty.EncodeSpeed(rate))
		}
		if r >= 184 && rate < 184 {
			t.Fatalf("%d comes back as %d", r, rate)
		}
		if r <= 4000 && r >= 184 && rate != r {
			t.Fatalf("%d comes back as %d, and has a divisor of its own", r, rate)
		}
	}
}

// No value of wValue and wIndex is beyond it.
func TestDecodeSpeedAnything(t *testing.T) {
	check := func(divisor uint32) {
		if r := usbtty.DecodeSpeed(divisor); r < 1 || r > 3_000_000 {
			t.Fatalf("DecodeSpeed(%#x) is %d", divisor, r)
		}
	}
	for d := range uint32(1 << 17) {
		check(d)
	}
	for d := uint32(1 << 17); d != 0; d <<= 1 {
		check(d)
		check(d - 1)
		check(^d)
		check(d | 0x4138)
	}
	for _, c := range []struct{ divisor, want uint32 }{
		{0, 3000000},
		{1, 2000000},
		{0x4001, 2000000},  // 1.5, which the driver sends as 1
		{0x4000, 3000000},  // half: faster than the chip
		{0x10000, 3000000}, // no whole part either
	} {
		if got := usbtty.DecodeSpeed(c.divisor); got != c.want {
			t.Errorf("DecodeSpeed(%#x) is %d, want %d", c.divisor, got, c.want)
		}
	}
}
