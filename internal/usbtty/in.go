package usbtty

import (
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// The stream to the program is made of packets of at most 64 bytes, of which
// the first two are the status (Linux, drivers/usb/serial/ftdi_sio.h):
//
//	0  1 | CTS 10 | DSR 20 | RI 40 | DCD 80
//	1  THRE 20 | TEMT 40 | OE 02 | PE 04 | FE 08 | BI 10
//
// The bits of the second byte are those of a 16550, as [comport.LineState] has
// them; those of the first are [comport.ModemState]'s levels.
const (
	packetSize  = 64
	statusSize  = 2
	statusFixed = 0x01 // always set in the first byte
	// In packets the transmitter is always empty: the driver keeps the bits of
	// the last packet for TIOCSERGETLSR, and no packet would tell it later
	// that they have changed. Who drains asks the endpoint 0.
	statusIdle = byte(comport.LineHoldingEmpty | comport.LineTransmitterEmpty)
)

// inURB is an IN URB that waits for something to say.
type inURB struct{ seq, length uint32 }

// inQueue is a ring of them, oldest first.
type inQueue struct {
	ring [MaxURBs]inURB
	head int
	n    int
}

func (q *inQueue) at(i int) *inURB { return &q.ring[(q.head+i)%MaxURBs] }

func (q *inQueue) push(u inURB) {
	*q.at(q.n) = u
	q.n++
}

func (q *inQueue) pop() inURB {
	u := *q.at(0)
	q.head = (q.head + 1) % MaxURBs
	q.n--
	return u
}

func (q *inQueue) remove(seq uint32) bool {
	for i := range q.n {
		if q.at(i).seq != seq {
			continue
		}
		for ; i < q.n-1; i++ {
			*q.at(i) = *q.at(i + 1)
		}
		q.n--
		return true
	}
	return false
}

// levelQueue holds changes of the modem inputs that no packet has told yet.
type levelQueue struct {
	ring [maxLevels]comport.ModemState
	head int
	n    int
}

func (q *levelQueue) reset() { q.head, q.n = 0, 0 }

// push adds a level, and reports whether the oldest had to go for it.
func (q *levelQueue) push(m comport.ModemState) (lost bool) {
	if lost = q.n == maxLevels; lost {
		q.pop()
	}
	q.ring[(q.head+q.n)%maxLevels] = m
	q.n++
	return lost
}

func (q *levelQueue) pop() comport.ModemState {
	m := q.ring[q.head]
	q.head = (q.head + 1) % maxLevels
	q.n--
	return m
}

// arrived takes an IN URB.
func (d *Device) arrived(u *submit) {
	could, was := d.Writable(), d.open
	if !was {
		d.begin()
	}
	d.read, d.closing = true, false
	d.in.push(inURB{seq: u.seq, length: u.length})
	for d.levels.n > 0 && d.in.n > 0 {
		d.report(d.levels.pop())
	}
	if !was {
		d.handler.Opened()
	}
	if !could && d.Writable() {
		d.handler.Room()
	}
}

// report ends an IN URB with a packet that has no data.
func (d *Device) report(m comport.ModemState) {
	u := d.in.pop()
	d.told = m
	d.answer(retSubmit, u.seq, statusOK, statusSize)
	d.out = append(d.out, statusFixed|byte(m), statusIdle)
}

// Writable reports whether Write takes bytes: whether an IN URB waits. None
// does while no program has the tty open, while the kernel's buffers are full
// because the program does not read, and in the middle of a close.
func (d *Device) Writable() bool { return d.in.n > 0 && !d.closing }

// Write gives bytes to the program: it fills as many of the waiting IN URBs as
// it takes, and returns how many bytes fitted.
func (d *Device) Write(p []byte) int {
	total := 0
	for len(p) > 0 && d.Writable() {
		n := d.fill(d.in.pop(), p)
		p = p[n:]
		total += n
	}
	d.counters.BytesIn += uint64(total)
	return total
}

// fill ends a URB with as many bytes of p as go into it.
func (d *Device) fill(u inURB, p []byte) int {
	room := int(min(u.length, MaxFill))
	full, rest := room/packetSize, room%packetSize
	n := min(len(p), full*(packetSize-statusSize)+max(0, rest-statusSize))
	packets := (n + packetSize - statusSize - 1) / (packetSize - statusSize)
	d.answer(retSubmit, u.seq, statusOK, n+packets*statusSize)
	d.told = d.level
	for rest := p[:n]; len(rest) > 0; {
		chunk := rest[:min(len(rest), packetSize-statusSize)]
		d.out = append(d.out, statusFixed|byte(d.level), statusIdle)
		d.out = append(d.out, chunk...)
		rest = rest[len(chunk):]
	}
	return n
}

// WriteWith gives the program one byte that was received with errors e, a break
// included; a break is a byte 0, whatever b is. The driver puts the errors of a
// packet on all bytes of it, hence the byte has a packet, and so an IN URB, of
// its own. It reports false, and has done nothing, if none waits.
//
// With a break go neither parity nor framing errors, although a 16550 reports
// them then: Linux's 8250 driver does not count them either.
func (d *Device) WriteWith(b byte, e comport.LineState) bool {
	if !d.Writable() {
		return false
	}
	e &= comport.LineErrors
	if e&comport.LineBreak != 0 {
		e &^= comport.LineParityError | comport.LineFramingError
		b = 0
	}
	u := d.in.pop()
	d.told = d.level
	d.answer(retSubmit, u.seq, statusOK, statusSize+1)
	d.out = append(d.out, statusFixed|byte(d.level), statusIdle|byte(e), b)
	d.counters.BytesIn++
	return true
}

// SetModem sets the modem inputs CTS, DSR, RI and DCD, of which m has the
// levels. A change is told at once if an IN URB waits, else with the next ones:
// up to 16 changes are kept in their order, so that a short pulse is seen. What
// happens while the tty is closed is forgotten, but for how it ends.
func (d *Device) SetModem(m comport.ModemState) {
	m = m.Levels()
	if m == d.level {
		return
	}
	d.level = m
	switch {
	case !d.open:
		// The next open tells it.
	case d.Writable():
		d.report(m)
	case d.levels.push(m):
		d.counters.LevelsLost++
	}
}
