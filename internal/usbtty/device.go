package usbtty

import (
	"encoding/binary"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// VendorID and ProductID are vcomd's own. They exist only inside of one kernel:
// ftdi_sio learns them by new_id, so that no udev rule or program takes the
// device for an adapter of FTDI.
const (
	VendorID  = 0x1209
	ProductID = 0x2217
)

// The bounds of a device. See the package's documentation for their sum.
const (
	MaxURBs     = 64       // URBs that may wait at an endpoint
	MaxTransfer = 64 << 10 // bytes of one OUT URB
	MaxStored   = 256 << 10
	MaxFill     = 4096    // bytes that are put into one IN URB, statuses included
	MaxOutput   = 1 << 20 // bytes of answers not taken, beyond which Feed fails

	maxLevels = 16 // changes of the modem inputs that wait for URBs
	maxEarly  = 16 // unlinks that came before their URB
)

// Config describes the adapter.
type Config struct {
	VendorID, ProductID uint16 // 0, 0: the constants VendorID and ProductID
	// Manufacturer, Product and Serial are the strings of the descriptors. They
	// are cut at 126 UTF-16 units; control characters and what is not UTF-8
	// become U+FFFD. An empty one is not announced.
	Manufacturer, Product, Serial string
	// Device is the id that vhci was told at the attachment, bus<<16|device. A
	// request for another one is an error; 0 accepts all.
	Device uint32
}

// Handler is told what the kernel's driver asks for. Its methods are called from
// [Device.Feed], and may call every method of the device but Feed.
type Handler interface {
	// Opened says that a program has opened the tty.
	Opened()
	// Closed says that the last program has closed it.
	Closed()
	// SetSettings has all settings after a request that has set the speed or the
	// flow control, or changed the format.
	SetSettings(s Settings)
	// SetLines sets the lines of mask to what on has of them. It is called for
	// every request, also if nothing changes.
	SetLines(mask, on Lines)
	// SetBreak is called when the break condition changes.
	SetBreak(on bool)
	// Purge asks to drop what was received, what is to be sent, or both. What
	// waited for Read is dropped already. The Linux driver never asks; programs
	// with libftdi do.
	Purge(receive, transmit bool)
	// Written says that bytes wait for Read where none did.
	Written()
	// Room says that Write takes bytes where it took none.
	Room()
	// Sent is asked when the driver wants the line status, and reports whether
	// all that Read gave has left the transmitter: tcdrain waits for it.
	Sent() bool
}

// Device is one emulated adapter. It is not safe for concurrent use.
//
//	           SIO reset, IN URB                 IN URB cancelled, others wait
//	┌────────┐ ────────────────▶ ┌──────┐ ───────────────────────▶ ┌─────────┐
//	│ closed │                   │ open │ ◀─────────────────────── │ closing │
//	└────────┘ ◀──────────────── └──────┘       new IN URB         └────┬────┘
//	     ▲   last IN URB cancelled;                                     │
//	     │   DTR and RTS dropped with no IN URB                         │
//	     └──────────────────────────────────────────────────────────────┘
//	                      last IN URB cancelled
type Device struct {
	handler Handler
	desc    descriptors
	id      uint32

	// The stream from the kernel.
	header [headerSize]byte
	have   int    // bytes of header
	offset uint64 // of the next byte in the stream
	left   uint64 // bytes behind the header that have not come
	keep   bool   // they are for the program's reader
	cur    submit // whose bytes they are
	fate   int32  // the error that it gets, or statusOK
	err    error

	// The stream to the kernel: out[taken:] has not been taken.
	out   []byte
	taken int

	lastSeq uint32 // of the newest CMD_SUBMIT
	anySeq  bool
	early   []earlyUnlink

	in  inQueue
	tx  outQueue
	ep0 control

	open    bool
	read    bool // an IN URB has come since the open
	closing bool // one was cancelled while others wait

	settings Settings
	level    comport.ModemState
	told     comport.ModemState // the level in the last packet
	levels   levelQueue         // what is to be told after that

	counters Counters
}

// earlyUnlink is a CMD_UNLINK that has overtaken its CMD_SUBMIT.
type earlyUnlink struct{ seq, target uint32 }

// New makes a device that has just been plugged in.
func New(cfg Config, h Handler) *Device {
	if cfg.VendorID == 0 && cfg.ProductID == 0 {
		cfg.VendorID, cfg.ProductID = VendorID, ProductID
	}
	return &Device{
		handler: h, desc: describe(cfg), id: cfg.Device,
		ep0: control{latency: defaultLatency}, settings: defaults(),
	}
}

// Feed takes bytes that came from the kernel, in any pieces. An error, which is
// a [StreamError], means that the stream is beyond repair: detach. It is
// returned by every later call too.
//
// What must be answered is in [Device.Output] afterwards. Send it before more
// is fed, and feed at most 64 KiB at a time, or a kernel that reads no answers
// ends in [ErrBacklog] sooner.
func (d *Device) Feed(p []byte) error {
	for len(p) > 0 && d.err == nil {
		n := int(min(uint64(len(p)), d.left))
		if n == 0 {
			p = p[d.feedHeader(p):]
			continue
		}
		if d.keep {
			d.tx.extend(p[:n])
		}
		p = p[n:]
		d.offset += uint64(n)
		if d.left -= uint64(n); d.left == 0 {
			d.finish()
		}
	}
	return d.err
}

// feedHeader takes what belongs to the header, and acts once it is complete.
func (d *Device) feedHeader(p []byte) int {
	h := p
	n := headerSize
	if d.have > 0 || len(p) < headerSize {
		n = copy(d.header[d.have:], p)
		d.have += n
		if d.have < headerSize {
			d.offset += uint64(n)
			return n
		}
		h = d.header[:]
	}
	start := d.offset + uint64(n) - headerSize
	d.have = 0
	d.offset += uint64(n)
	if value, why := d.command(h[:headerSize]); why != nil {
		d.err = &StreamError{Offset: start, Value: value, Err: why}
	}
	return n
}

// command acts on a header. If the stream cannot go on, it returns why, and what
// value shows it.
func (d *Device) command(h []byte) (value uint32, why error) {
	if n := len(d.out) - d.taken; n > MaxOutput {
		return uint32(n), ErrBacklog
	}
	command := binary.BigEndian.Uint32(h[offCommand:])
	if command != cmdSubmit && command != cmdUnlink {
		return command, ErrCommand
	}
	if id := binary.BigEndian.Uint32(h[offDevice:]); d.id != 0 && id != d.id {
		return id, ErrDevice
	}
	if command == cmdUnlink {
		d.unlink(binary.BigEndian.Uint32(h[offSeq:]), binary.BigEndian.Uint32(h[offTarget:]))
		return 0, nil
	}
	if direction := binary.BigEndian.Uint32(h[offDirection:]); direction != directionIn && direction != directionOut {
		return direction, ErrDirection
	}
	u := parseSubmit(h)
	if int32(u.length) < 0 {
		return u.length, ErrLength
	}
	if int32(u.packets) < 0 {
		return u.packets, ErrLength
	}
	d.submit(u)
	return 0, nil
}
