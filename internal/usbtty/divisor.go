package usbtty

// The speed arrives as a divisor of 3 MHz in eighths. Its 14 lower bits are the
// whole part, and the three above are a code for the eighths.
const (
	baseClock  = 48_000_000
	topRate    = 3_000_000 // the driver takes a higher one for 9600
	wholeBits  = 14
	wholeMask  = 1<<wholeBits - 1
	divisor1   = 0 // what stands for a divisor of 1
	divisor15  = 1 // what stands for a divisor of 1.5
	slowestFit = 184
)

var (
	eighthsCode = [8]uint32{0, 3, 2, 4, 1, 5, 6, 7} // code of 0/8, 1/8, …
	codeEighths = [8]uint32{0, 4, 2, 1, 3, 5, 6, 7}
)

// EncodeSpeed gives the divisor that the Linux driver makes of a rate
// (ftdi_232bm_baud_base_to_divisor, and its caller's rule that what is too fast
// or 0 is 9600). Rates below 184 bit/s do not fit: the whole part runs over into
// the eighths, and the driver sends what comes of it.
func EncodeSpeed(rate uint32) uint32 {
	if rate == 0 || rate > topRate {
		rate = 9600
	}
	eighths := (baseClock + rate) / (2 * rate)
	divisor := eighths>>3 | eighthsCode[eighths&7]<<wholeBits
	switch divisor {
	case 1:
		return divisor1
	case 1 | 1<<wholeBits:
		return divisor15
	default:
		return divisor
	}
}

// DecodeSpeed gives the rate, in bit/s, that a program meant which made the
// driver send the divisor: a usual rate if one has this divisor, else the
// roundest. That it is the very rate is certain up to about 4,800 bit/s, where every
// integer has a divisor of its own; above, the usual ones are right, and
// others are as round as programs choose them. A divisor that no rate has gives
// what the chip would make of it. The result is never 0.
func DecodeSpeed(divisor uint32) uint32 {
	for _, rates := range [][]uint32{termiosRates[:], usualRates[:]} {
		for _, r := range rates {
			if EncodeSpeed(r) == divisor {
				return r
			}
		}
	}
	eighths := chipEighths(divisor)
	if divisor <= 7<<wholeBits|wholeMask {
		// All integers that the driver rounds to these eighths.
		low, high := baseClock/(2*eighths+1)+1, min(baseClock/(2*eighths-1), topRate)
		if low <= high && EncodeSpeed(low) == divisor {
			return roundest(low, high, baseClock/(2*eighths))
		}
	}
	if r := mangled(divisor); r != 0 {
		return r
	}
	return max(1, min(topRate, (baseClock+eighths)/(2*eighths)))
}

// termiosRates are those of <termios.h>. B134 is 134.5, and 134 in the driver's
// integers; B3500000 and B4000000 never arrive.
var termiosRates = [...]uint32{
	50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800,
	500000, 576000, 921600, 1000000, 1152000, 1500000, 2000000, 2500000, 3000000,
}

// usualRates are others that programs ask for, each with the reason for it to be
// usual where the figure does not tell.
var usualRates = [...]uint32{
	45, 100, // teleprinters
	3600, 7200, 14400, 28800, 33600, 56000, 64000, 128000, 256000, // modems
	10400,                 // ISO 9141 cars
	31250,                 // MIDI
	62500, 125000, 250000, // DMX is the last
	74880,                                  // the boot loader of the ESP8266
	76800, 153600, 307200, 614400, 1843200, // 1.8432 MHz
	100000, // SBUS
	187500, // MPI
	345600, 691200, 1382400,
	400000, 416666, 420000, // CRSF
	1250000,
}

// chipEighths is the divisor as the chip understands it, in eighths.
func chipEighths(divisor uint32) uint32 {
	divisor &= 7<<wholeBits | wholeMask
	switch divisor {
	case divisor1:
		return 8
	case divisor15:
		return 12
	default:
		return divisor&wholeMask<<3 | codeEighths[divisor>>wholeBits]
	}
}

// mangled finds the roundest rate among those too slow for a divisor that the
// driver makes this one of, or 0.
func mangled(divisor uint32) uint32 {
	var best, grain uint32
	for r := uint32(1); r < slowestFit; r++ {
		if EncodeSpeed(r) == divisor && roundness(r) > grain {
			best, grain = r, roundness(r)
		}
	}
	return best
}

// roundness is the largest of 1, 2, 5, 10, 20, 50, 100, … that divides r.
func roundness(r uint32) uint32 {
	best := uint32(1)
	for ten := uint32(1); ten <= topRate && r%ten == 0; ten *= 10 {
		for _, f := range [...]uint32{1, 2, 5} {
			if r%(f*ten) == 0 {
				best = f * ten
			}
		}
	}
	return best
}

// roundest is the number from low to high that is a multiple of the largest of
// 1, 2, 5, 10, 20, 50, …; of several, that which is nearest to exact.
func roundest(low, high, exact uint32) uint32 {
	for ten := uint32(1_000_000); ten > 0; ten /= 10 {
		for _, f := range [...]uint32{5, 2, 1} {
			grain := f * ten
			if high/grain*grain < low {
				continue
			}
			r := (exact + grain/2) / grain * grain
			if r > high {
				r -= grain
			}
			if r < low {
				r += grain
			}
			return r
		}
	}
	return exact
}
