package termiosmirror

import (
	"math"
	"math/bits"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// SpeedDiffers reports whether the speed got is more than 2.5 % away from the speed asked for, both in bit/s. That is about
// what an asynchronous frame of ten bits tolerates: a UART whose divisor gives 115,384 for 115,200 did what it was asked.
// An unknown speed (0) differs from nothing.
func SpeedDiffers(asked, got uint32) bool {
	if asked == 0 || got == 0 {
		return false
	}
	off := int64(got) - int64(asked)
	return max(off, -off)*40 > int64(asked)
}

// LineTime is the time that n characters take on a line with the settings s, rounded up to the nanosecond. An unknown data
// size counts as 8, unknown parity as none, unknown stop bits as 1. It is 0 for an unknown speed or n <= 0, and the longest
// Duration where the time exceeds it.
func LineTime(n int, s comport.State) time.Duration {
	if n <= 0 || s.BaudRate == 0 {
		return 0
	}
	// n characters of h half bits take n*h/(2*speed) seconds. The product of n < 2^63 and h*1e9 < 2^35 fits 128 bits.
	hi, lo := bits.Mul64(uint64(n), halfBits(s)*uint64(time.Second))
	perSecond := 2 * uint64(s.BaudRate)
	lo, carry := bits.Add64(lo, perSecond-1, 0)
	hi += carry
	if hi >= perSecond { // the quotient would not fit 64 bits
		return math.MaxInt64
	}
	t, _ := bits.Div64(hi, lo, perSecond)
	return time.Duration(min(t, math.MaxInt64))
}

// halfBits is the length of one character on the line, start bit included, in half bits because of the stop size 1.5.
func halfBits(s comport.State) uint64 {
	const start, data = 2, 2
	n := uint64(start)
	if s.DataSize >= 5 && s.DataSize <= 8 {
		n += data * uint64(s.DataSize)
	} else {
		n += data * 8
	}
	switch s.Parity {
	case comport.ParityOdd, comport.ParityEven, comport.ParityMark, comport.ParitySpace:
		n += 2
	default: // none, or not known
	}
	switch s.StopSize {
	case comport.StopSize2:
		n += 4
	case comport.StopSize15:
		n += 3
	default: // one, or not known
		n += 2
	}
	return n
}
