package comport

import (
	"fmt"
	"strconv"
)

// DataSize is the number of data bits in a character, 5 to 8; 0 asks.
type DataSize uint8

// String gives the number, or "?" for the query.
func (d DataSize) String() string {
	if d == 0 {
		return "?"
	}
	return strconv.Itoa(int(d))
}

// Valid reports whether d is one of the sizes of RFC 2217, section 2.
func (d DataSize) Valid() bool { return d >= 5 && d <= 8 }

// Parity is the parity of a character; 0 asks (RFC 2217, section 2).
type Parity uint8

// The parities of SET-PARITY.
const (
	ParityNone  Parity = 1 // no parity bit
	ParityOdd   Parity = 2 // the number of ones, parity bit included, is odd
	ParityEven  Parity = 3 // the number of ones, parity bit included, is even
	ParityMark  Parity = 4 // the parity bit is always 1
	ParitySpace Parity = 5 // the parity bit is always 0
)

// Valid reports whether p is one of the parities of RFC 2217, section 2.
func (p Parity) Valid() bool { return p >= ParityNone && p <= ParitySpace }

// Letter gives the parity's letter in notations such as "8N1": N, O, E, M or
// S, and '?' for anything else.
func (p Parity) Letter() byte {
	if !p.Valid() {
		return '?'
	}
	return "NOEMS"[p-ParityNone]
}

// String gives "none", "odd", "even", "mark" or "space", "?" for the query,
// or the number.
func (p Parity) String() string {
	switch p {
	case 0:
		return "?"
	case ParityNone:
		return "none"
	case ParityOdd:
		return "odd"
	case ParityEven:
		return "even"
	case ParityMark:
		return "mark"
	case ParitySpace:
		return "space"
	default:
		return fmt.Sprintf("Parity(%d)", uint8(p))
	}
}

// StopSize is the length of the stop condition; 0 asks. The codes are not the
// lengths: 3 means one and a half bits (RFC 2217, section 2).
type StopSize uint8

// The stop sizes of SET-STOPSIZE.
const (
	StopSize1  StopSize = 1 // one stop bit
	StopSize2  StopSize = 2 // two stop bits
	StopSize15 StopSize = 3 // one and a half, used with 5 data bits
)

// Valid reports whether s is one of the sizes of RFC 2217, section 2.
func (s StopSize) Valid() bool { return s >= StopSize1 && s <= StopSize15 }

// String gives "1", "2" or "1.5", "?" for the query, or the number.
func (s StopSize) String() string {
	switch s {
	case 0:
		return "?"
	case StopSize1:
		return "1"
	case StopSize2:
		return "2"
	case StopSize15:
		return "1.5"
	default:
		return fmt.Sprintf("StopSize(%d)", uint8(s))
	}
}

// Purge names the buffers of the access server that PURGE-DATA empties.
type Purge uint8

// The values of PURGE-DATA (RFC 2217, section 3).
const (
	PurgeReceive  Purge = 1 // received from the line, not yet sent to the client
	PurgeTransmit Purge = 2 // received from the client, not yet sent on the line
	PurgeBoth     Purge = 3
)

// String gives "receive", "transmit" or "both", or the number.
func (p Purge) String() string {
	switch p {
	case PurgeReceive:
		return "receive"
	case PurgeTransmit:
		return "transmit"
	case PurgeBoth:
		return "both"
	default:
		return fmt.Sprintf("Purge(%d)", uint8(p))
	}
}
