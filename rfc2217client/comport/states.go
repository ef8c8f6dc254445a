package comport

import "strings"

// LineState is the set of bits of NOTIFY-LINESTATE and SET-LINESTATE-MASK: the
// line status register of a 16550 (RFC 2217, section 4).
type LineState uint8

// The bits of LineState.
const (
	LineDataReady        LineState = 1 << 0 // received data waits
	LineOverrunError     LineState = 1 << 1 // received data was lost
	LineParityError      LineState = 1 << 2 // a character came with the wrong parity
	LineFramingError     LineState = 1 << 3 // a character came without its stop bit
	LineBreak            LineState = 1 << 4 // a break was detected
	LineHoldingEmpty     LineState = 1 << 5 // the transmit holding register is empty
	LineTransmitterEmpty LineState = 1 << 6 // the transmit shift register is empty
	LineTimeoutError     LineState = 1 << 7 // time-out error
)

// LineErrors are the bits that report a reception error or a break.
const LineErrors = LineOverrunError | LineParityError | LineFramingError | LineBreak

// String gives the names of the bits that are set, highest first, as
// "TIMEOUT|TSRE|THRE|BREAK|FRAMING|PARITY|OVERRUN|DATA"; "0" for none.
func (s LineState) String() string {
	return bitNames(uint8(s), [8]string{"DATA", "OVERRUN", "PARITY", "FRAMING", "BREAK", "THRE", "TSRE", "TIMEOUT"})
}

// ModemState is the set of bits of NOTIFY-MODEMSTATE and SET-MODEMSTATE-MASK:
// the modem status register of a 16550 (RFC 2217, section 4).
type ModemState uint8

// The bits of ModemState. The upper four are levels, the lower four say what
// changed since the last notification.
const (
	ModemDeltaCTS   ModemState = 1 << 0 // CTS changed
	ModemDeltaDSR   ModemState = 1 << 1 // DSR changed
	ModemTrailingRI ModemState = 1 << 2 // RI went from on to off
	ModemDeltaDCD   ModemState = 1 << 3 // DCD changed
	ModemCTS        ModemState = 1 << 4 // clear to send
	ModemDSR        ModemState = 1 << 5 // data set ready
	ModemRI         ModemState = 1 << 6 // ring indicator
	ModemDCD        ModemState = 1 << 7 // data carrier detect, the RFC's RLSD
)

// ModemLevels are the four bits that say what the lines are now.
const ModemLevels = ModemCTS | ModemDSR | ModemRI | ModemDCD

// Levels gives the levels without the delta bits.
func (s ModemState) Levels() ModemState { return s & ModemLevels }

// DeltasSince gives the delta bits that a change of the levels from old to s
// raises. As in the 16550, RI counts only when it goes off.
func (s ModemState) DeltasSince(old ModemState) ModemState {
	changed := (s ^ old).Levels()
	deltas := changed &^ ModemRI >> 4
	if old&^s&ModemRI != 0 {
		deltas |= ModemTrailingRI
	}
	return deltas
}

// String gives the names of the bits that are set, highest first, as
// "DCD|RI|DSR|CTS|ΔDCD|RI↓|ΔDSR|ΔCTS"; "0" for none.
func (s ModemState) String() string {
	return bitNames(uint8(s), [8]string{"ΔCTS", "ΔDSR", "RI↓", "ΔDCD", "CTS", "DSR", "RI", "DCD"})
}

func bitNames(bits uint8, names [8]string) string {
	if bits == 0 {
		return "0"
	}
	var set []string
	for i := 7; i >= 0; i-- {
		if bits&(1<<i) != 0 {
			set = append(set, names[i])
		}
	}
	return strings.Join(set, "|")
}
