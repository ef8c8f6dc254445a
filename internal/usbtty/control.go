package usbtty

import "encoding/binary"

// control is the state of endpoint 0.
type control struct {
	configuration byte
	latency       byte // of the latency timer, ms: kept, never used
	buf           [2]byte
}

// request is a SETUP packet (USB 2.0, section 9.3).
type request struct {
	typ    byte // bmRequestType
	code   byte // bRequest
	value  uint16
	index  uint16
	length uint16
}

func parseRequest(setup *[8]byte) request {
	return request{
		typ: setup[0], code: setup[1],
		value:  binary.LittleEndian.Uint16(setup[2:]),
		index:  binary.LittleEndian.Uint16(setup[4:]),
		length: binary.LittleEndian.Uint16(setup[6:]),
	}
}

const (
	requestIn     = 0x80 // the direction in bmRequestType
	requestVendor = 0x40 // the kind in bmRequestType
	requestKind   = 0x60
)

// finishControl answers a control transfer. There is none that waits.
func (d *Device) finishControl(u *submit) {
	r := parseRequest(&u.setup)
	if r.typ&requestIn != 0 != u.in && u.length != 0 {
		d.refuse(u.seq, statusStall)
		return
	}
	var reply []byte
	var ok bool
	seq, in, room := u.seq, u.in, min(u.length, uint32(r.length))
	if r.typ&requestKind == requestVendor {
		reply, ok = d.vendorRequest(r)
	} else {
		reply, ok = d.standardRequest(r)
	}
	if !ok {
		d.refuse(seq, statusStall)
		return
	}
	if in {
		reply = reply[:min(len(reply), int(room))]
		d.answer(retSubmit, seq, statusOK, len(reply))
		d.out = append(d.out, reply...)
		return
	}
	d.answer(retSubmit, seq, statusOK, int(u.length))
}

// Standard requests (USB 2.0, table 9-4), with their bmRequestType.
const (
	getDeviceStatus    = 0x8000
	getInterfaceStatus = 0x8100
	getEndpointStatus  = 0x8200
	clearEndpoint      = 0x0201
	getDescriptor      = 0x8006
	getConfiguration   = 0x8008
	setConfiguration   = 0x0009
	getInterface       = 0x810a
	setInterface       = 0x010b
)

// standardRequest acts on one of USB's own requests; not ok stalls it.
func (d *Device) standardRequest(r request) (reply []byte, ok bool) {
	switch uint16(r.typ)<<8 | uint16(r.code) {
	case getDescriptor:
		reply = d.descriptor(r)
		return reply, reply != nil
	case getConfiguration:
		return d.bytes(d.ep0.configuration), true
	case setConfiguration:
		if r.value > 1 {
			return nil, false
		}
		d.ep0.configuration = byte(r.value)
		if d.open { // the driver that was bound to the old one is gone
			d.closed()
		}
		return nil, true
	case getDeviceStatus, getInterfaceStatus:
		return d.bytes(0, 0), r.index == 0
	case getEndpointStatus:
		return d.bytes(0, 0), isEndpoint(r.index)
	case clearEndpoint:
		return nil, r.value == 0 && isEndpoint(r.index) // nothing ever halts
	case getInterface:
		return d.bytes(0), r.index == 0
	case setInterface:
		return nil, r.index == 0 && r.value == 0
	default:
		return nil, false
	}
}

// isEndpoint reports whether the device has the endpoint, given with its
// direction.
func isEndpoint(index uint16) bool {
	switch index {
	case endpointControl, requestIn | endpointControl, requestIn | endpointIn, endpointOut:
		return true
	default:
		return false
	}
}

// descriptor is the one asked for, or nil.
func (d *Device) descriptor(r request) []byte {
	index := int(r.value & 0xff)
	switch r.value >> 8 {
	case typeDevice:
		return d.desc.device[:]
	case typeConfiguration:
		if index == 0 {
			return d.desc.config[:]
		}
	case typeString:
		if index < len(d.desc.strings) {
			return d.desc.strings[index]
		}
	}
	return nil
}

// bytes is a short reply, valid until the next.
func (d *Device) bytes(b ...byte) []byte { return d.ep0.buf[:copy(d.ep0.buf[:], b)] }
