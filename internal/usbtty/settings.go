package usbtty

import (
	"strconv"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// Settings are what the driver has set. They are comparable.
type Settings struct {
	Speed    uint32 // bit/s, as the program meant it: see [DecodeSpeed]
	DataBits uint8  // 7 or 8
	Parity   comport.Parity
	StopBits comport.StopSize
	Break    bool // the line is held at space
	Flow     Flow
	XON      byte // the characters of FlowXONXOFF
	XOFF     byte
}

// defaults are the settings before the driver's first request: those that
// usb-serial gives a new tty, B9600 CS8.
func defaults() Settings {
	return Settings{
		Speed: 9600, DataBits: 8, Parity: comport.ParityNone, StopBits: comport.StopSize1,
		XON: 0x11, XOFF: 0x13,
	}
}

// Flow is the flow control that the adapter is to do by itself.
type Flow uint8

// The flow controls. The Linux driver asks for FlowRTSCTS at CRTSCTS, for
// FlowXONXOFF at IXON, and never for FlowDTRDSR.
const (
	FlowNone    Flow = iota
	FlowRTSCTS       // RTS and CTS
	FlowDTRDSR       // DTR and DSR
	FlowXONXOFF      // the characters XON and XOFF
)

// String gives "none", "rts/cts", "dtr/dsr" or "xon/xoff".
func (f Flow) String() string {
	switch f {
	case FlowNone:
		return "none"
	case FlowRTSCTS:
		return "rts/cts"
	case FlowDTRDSR:
		return "dtr/dsr"
	case FlowXONXOFF:
		return "xon/xoff"
	default:
		return "Flow(" + strconv.Itoa(int(f)) + ")"
	}
}

// Lines is a set of the lines that the adapter drives. The bits are those of
// the FT232R's request.
type Lines uint8

// The lines.
const (
	LineDTR Lines = 1 << 0 // data terminal ready
	LineRTS Lines = 1 << 1 // request to send
)

// String gives "DTR|RTS", one of the two, or "0".
func (l Lines) String() string {
	switch l & (LineDTR | LineRTS) {
	case LineDTR:
		return "DTR"
	case LineRTS:
		return "RTS"
	case LineDTR | LineRTS:
		return "DTR|RTS"
	default:
		return "0"
	}
}

// Counters tell what a device has seen since it was made.
type Counters struct {
	URBs        uint64 // CMD_SUBMITs
	Unlinks     uint64 // CMD_UNLINKs
	Stalls      uint64 // requests that the device does not know
	Refused     uint64 // URBs answered with another error: too many, too long, isochronous
	Unsupported uint64 // settings that the personality does not have: 5 or 6 data bits, unknown parities
	BytesOut    uint64 // from the program, as Read gave them
	BytesIn     uint64 // to the program, as Write and WriteWith took them
	Dropped     uint64 // bytes from the program that a cancelled URB or a purge took with it
	LevelsLost  uint64 // changes of the modem inputs that were forgotten, because nobody asked for so long
}
