package usbtty

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The wire of USB/IP (Linux, Documentation/usb/usbip_protocol.rst): a header of
// 48 bytes, big endian, and then what the header announces.
//
//	0 command   4 seqnum   8 devid   12 direction   16 endpoint
//	CMD_SUBMIT  20 flags   24 length   28 start frame   32 packets   36 interval   40 setup[8]
//	RET_SUBMIT  20 status  24 actual length   28 start frame   32 packets   36 errors   40 zero[8]
//	CMD_UNLINK  20 seqnum of the URB to cancel
//	RET_UNLINK  20 status
const headerSize = 48

const (
	cmdSubmit = 1
	cmdUnlink = 2
	retSubmit = 3
	retUnlink = 4
)

// Offsets within a header.
const (
	offCommand   = 0
	offSeq       = 4
	offDevice    = 8
	offDirection = 12
	offEndpoint  = 16
	offStatus    = 20 // of an answer
	offTarget    = 20 // of CMD_UNLINK
	offLength    = 24 // of CMD_SUBMIT; the actual length in RET_SUBMIT
	offPackets   = 32
	offSetup     = 40
)

const (
	directionOut = 0 // to the device
	directionIn  = 1
)

// What an answer says of its URB: 0, or an error number of Linux with its sign
// turned (asm-generic/errno.h).
const (
	statusOK        int32 = 0
	statusNoMemory  int32 = -12  // -ENOMEM: too many URBs wait
	statusInvalid   int32 = -22  // -EINVAL: an isochronous URB
	statusStall     int32 = -32  // -EPIPE: the device does not know the request or the endpoint
	statusOverflow  int32 = -75  // -EOVERFLOW: the packet is longer than the buffer for it
	statusTooLong   int32 = -90  // -EMSGSIZE: more bytes than a transfer may have
	statusCancelled int32 = -104 // -ECONNRESET: the URB was cancelled and has no other answer
)

const (
	isoDescriptorSize = 16 // bytes that follow for each isochronous packet
	noIsoPackets      = 0xffffffff
)

// Why a stream cannot be followed any more. [Device.Feed] wraps them in a
// [StreamError].
var (
	// ErrCommand is a command word that is neither CMD_SUBMIT nor CMD_UNLINK.
	ErrCommand = errors.New("unknown USB/IP command")
	// ErrDevice is a request for another device than [Config].Device.
	ErrDevice = errors.New("request for another device")
	// ErrDirection is a direction that is neither in nor out: whether bytes follow is not known.
	ErrDirection = errors.New("unknown direction")
	// ErrLength is a length that the kernel cannot mean: it has it as a signed number.
	ErrLength = errors.New("impossible length")
	// ErrBacklog is more than [MaxOutput] bytes of answers that nobody has taken.
	ErrBacklog = errors.New("answers are not taken")
)

// StreamError says that the bytes from the kernel make no sense, and where. The
// device must be detached: where the next header begins is not known.
type StreamError struct {
	Offset uint64 // where in the stream the header begins
	Value  uint32 // what was found
	Err    error  // ErrCommand, ErrDevice, ErrDirection, ErrLength or ErrBacklog
}

func (e *StreamError) Error() string {
	return fmt.Sprintf("usbtty: at byte %d from the kernel: %v (%#x)", e.Offset, e.Err, e.Value)
}

// Unwrap gives the reason.
func (e *StreamError) Unwrap() error { return e.Err }

// submit is a CMD_SUBMIT without what follows it.
type submit struct {
	seq      uint32
	in       bool   // to the kernel
	endpoint uint32 // number, without direction
	length   uint32 // bytes, or room for bytes
	packets  uint32 // isochronous packets
	setup    [8]byte
}

func parseSubmit(h []byte) submit {
	u := submit{
		seq:      binary.BigEndian.Uint32(h[offSeq:]),
		in:       binary.BigEndian.Uint32(h[offDirection:]) == directionIn,
		endpoint: binary.BigEndian.Uint32(h[offEndpoint:]),
		length:   binary.BigEndian.Uint32(h[offLength:]),
		packets:  binary.BigEndian.Uint32(h[offPackets:]),
	}
	if u.packets == noIsoPackets {
		u.packets = 0
	}
	copy(u.setup[:], h[offSetup:headerSize])
	return u
}

// follows is the number of bytes behind the header.
func (u *submit) follows() uint64 {
	n := uint64(u.packets) * isoDescriptorSize
	if !u.in {
		n += uint64(u.length)
	}
	return n
}

// appendAnswer appends the header of an answer. Device, direction and endpoint
// stay zero, as the protocol wants it.
func appendAnswer(dst []byte, command, seq uint32, status int32, length int) []byte {
	var h [headerSize]byte
	binary.BigEndian.PutUint32(h[offCommand:], command)
	binary.BigEndian.PutUint32(h[offSeq:], seq)
	binary.BigEndian.PutUint32(h[offStatus:], uint32(status))
	binary.BigEndian.PutUint32(h[offLength:], uint32(length))
	return append(dst, h[:]...)
}
