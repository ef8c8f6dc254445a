package usbtty

import "github.com/vcomd/vcomd/rfc2217client/comport"

// The FT232R's requests, with their bmRequestType (Linux,
// drivers/usb/serial/ftdi_sio.h).
const (
	sioReset        = 0x4000 // wValue 0: the port, 1: what was received, 2: what is to be sent
	sioModemControl = 0x4001 // wValue: lines, and above them which of them count
	sioFlowControl  = 0x4002 // wIndex, high byte: kind; wValue: XOFF, XON
	sioBaudRate     = 0x4003 // wIndex, wValue: divisor
	sioData         = 0x4004 // wValue: bits | parity<<8 | stop<<11 | break<<14
	sioModemStatus  = 0xc005 // the two bytes that are in front of every packet
	sioEventChar    = 0x4006
	sioErrorChar    = 0x4007
	sioSetLatency   = 0x4009 // wValue: ms
	sioGetLatency   = 0xc00a
	sioReadEEPROM   = 0xc090 // two bytes
)

const (
	resetPort     = 0
	purgeReceive  = 1
	purgeTransmit = 2

	defaultLatency = 16 // ms, of the chip
	dataBreak      = 1 << 14
)

// vendorRequest acts on one of the FT232R's requests; not ok stalls it.
func (d *Device) vendorRequest(r request) (reply []byte, ok bool) {
	switch uint16(r.typ)<<8 | uint16(r.code) {
	case sioReset:
		return nil, d.reset(r.value)
	case sioModemControl:
		d.setLines(Lines(r.value>>8)&(LineDTR|LineRTS), Lines(r.value)&(LineDTR|LineRTS))
	case sioFlowControl:
		return nil, d.setFlow(r.index>>8, r.value)
	case sioBaudRate:
		d.settings.Speed = DecodeSpeed(uint32(r.index)<<16 | uint32(r.value))
		d.handler.SetSettings(d.settings)
	case sioData:
		d.setFormat(r.value)
	case sioModemStatus:
		return d.bytes(statusFixed|byte(d.level), d.lineStatus()), true
	case sioEventChar, sioErrorChar:
		// They would make the chip send packets early, or mark errors in the
		// data: here nothing waits, and the status marks them.
	case sioSetLatency:
		d.ep0.latency = byte(r.value)
	case sioGetLatency:
		return d.bytes(d.ep0.latency), true
	case sioReadEEPROM:
		// Blank: so the driver finds no pins to make a GPIO chip of.
		return d.bytes(0xff, 0xff), true
	default:
		return nil, false
	}
	return nil, true
}

// reset acts on an SIO reset.
func (d *Device) reset(what uint16) bool {
	switch what {
	case resetPort:
		// The driver sends it when it opens a port that was closed. So if
		// this one was open and has no IN URB, its close has gone unseen:
		// nothing was to be cancelled.
		if d.open && d.in.n == 0 {
			d.closed()
		}
		if !d.open {
			d.begin()
			d.handler.Opened()
		}
	case purgeReceive:
		d.handler.Purge(true, false)
	case purgeTransmit:
		d.dropOut()
		d.handler.Purge(false, true)
	default:
		return false
	}
	return true
}

// setLines passes lines on, and looks whether that was a close.
func (d *Device) setLines(mask, on Lines) {
	const both = LineDTR | LineRTS
	d.handler.SetLines(mask, on&mask)
	// The last close drops both lines (HUPCL) before it cancels the IN URBs. If
	// there are none, because the driver was throttled, no more will come. B0
	// looks the same then; the IN URB that follows opens the port again.
	if d.open && d.read && mask == both && on&both == 0 && d.in.n == 0 {
		d.closed()
	}
}

func (d *Device) setFlow(kind, chars uint16) bool {
	switch kind {
	case 0:
		d.settings.Flow = FlowNone
	case 1:
		d.settings.Flow = FlowRTSCTS
	case 2:
		d.settings.Flow = FlowDTRDSR
	case 4:
		d.settings.Flow = FlowXONXOFF
		d.settings.XON, d.settings.XOFF = byte(chars), byte(chars>>8)
	default:
		return false
	}
	d.handler.SetSettings(d.settings)
	return true
}

// setFormat acts on the request that has both the format and the break. A break
// ends before the format changes and begins after it.
func (d *Device) setFormat(value uint16) {
	s := d.settings
	switch bits := value & 0xff; bits {
	case 7, 8:
		s.DataBits = uint8(bits)
	default:
		// ftdi_sio sends 0 for CS5, and nothing for CS6.
		d.counters.Unsupported++
	}
	switch parity := value >> 8 & 7; parity {
	case 0, 1, 2, 3, 4:
		s.Parity = [...]comport.Parity{
			comport.ParityNone, comport.ParityOdd, comport.ParityEven, comport.ParityMark, comport.ParitySpace,
		}[parity]
	default:
		d.counters.Unsupported++
	}
	switch value >> 11 & 7 {
	case 0:
		s.StopBits = comport.StopSize1
	case 1:
		s.StopBits = comport.StopSize15
	case 2:
		s.StopBits = comport.StopSize2
	default:
		d.counters.Unsupported++
	}
	on := value&dataBreak != 0
	if d.settings.Break && !on {
		d.settings.Break = false
		d.handler.SetBreak(false)
	}
	s.Break = d.settings.Break
	if s != d.settings {
		d.settings = s
		d.handler.SetSettings(s)
	}
	if on && !d.settings.Break {
		d.settings.Break = true
		d.handler.SetBreak(true)
	}
}

// lineStatus says whether all has been sent.
func (d *Device) lineStatus() byte {
	if d.tx.ready > 0 || !d.handler.Sent() {
		return 0
	}
	return statusIdle
}
