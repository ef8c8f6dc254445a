package usbtty

import "slices"

// The endpoints, without their direction.
const (
	endpointControl = 0
	endpointIn      = 1 // bulk, to the program
	endpointOut     = 2 // bulk, from the program
)

// submit begins a URB: it decides what becomes of it before its bytes come.
func (d *Device) submit(u submit) {
	d.counters.URBs++
	d.lastSeq, d.anySeq = u.seq, true
	d.cur = u
	d.left = u.follows()
	d.fate = d.judge(&u)
	d.keep = d.fate == statusOK && u.endpoint == endpointOut
	if d.left == 0 {
		d.finish()
	}
}

// judge gives the error with which a URB is refused, or statusOK.
func (d *Device) judge(u *submit) int32 {
	switch {
	case d.isEarly(u.seq):
		return statusCancelled
	case u.packets != 0:
		return statusInvalid
	case u.endpoint == endpointControl:
		return statusOK
	case u.endpoint == endpointIn && u.in:
		switch {
		case u.length < packetSize:
			// A packet that does not fit is an overflow, and the device
			// sends packets.
			return statusOverflow
		case d.in.n == MaxURBs:
			return statusNoMemory
		}
		return statusOK
	case u.endpoint == endpointOut && !u.in:
		switch {
		case u.length > MaxTransfer:
			return statusTooLong
		case d.tx.n == MaxURBs, d.tx.stored()+int(u.length) > MaxStored:
			return statusNoMemory
		}
		return statusOK
	default:
		return statusStall
	}
}

// finish ends the URB whose last byte has come.
func (d *Device) finish() {
	u := &d.cur
	switch {
	case d.fate == statusCancelled:
		d.finishEarly(u.seq)
	case d.fate != statusOK:
		d.refuse(u.seq, d.fate)
	case u.endpoint == endpointControl:
		d.finishControl(u)
	case u.in:
		d.arrived(u)
	default:
		d.finishOut(u)
	}
}

// refuse answers a URB with an error.
func (d *Device) refuse(seq uint32, status int32) {
	if status == statusStall {
		d.counters.Stalls++
	} else {
		d.counters.Refused++
	}
	d.answer(retSubmit, seq, status, 0)
}

// answer appends the header of an answer to the output.
func (d *Device) answer(command, seq uint32, status int32, length int) {
	d.out = appendAnswer(d.out, command, seq, status, length)
}

// unlink cancels the URB target. One that waits gets no answer but this; one
// that was answered keeps its answer.
func (d *Device) unlink(seq, target uint32) {
	d.counters.Unlinks++
	switch {
	case d.in.remove(target):
		d.answer(retUnlink, seq, statusCancelled, 0)
		d.cancelledIn()
	case d.tx.has(target):
		d.counters.Dropped += uint64(d.tx.remove(target))
		d.answer(retUnlink, seq, statusCancelled, 0)
		d.answerRead(0)
	case !d.anySeq:
		// It is for the device that was attached to this port before: the controller
		// sends to whoever is there now. Until it is answered a program waits in the
		// driver, for the program the hub, which is to take that device away, and
		// for the hub this device, which it looks at only then.
		d.answer(retUnlink, seq, statusCancelled, 0)
	case int32(target-d.lastSeq) > 0 && len(d.early) < maxEarly:
		// The kernel's sender looks for new URBs first and for cancelled ones
		// then: one that is both made and cancelled in between comes second.
		// Whatever is answered now is wrong: the kernel either gives the URB
		// back, and takes its later answer for an error of the stream, or
		// waits for it for ever. So the answer waits for the URB.
		d.early = append(d.early, earlyUnlink{seq: seq, target: target})
	default:
		d.answer(retUnlink, seq, statusOK, 0)
	}
}

func (d *Device) isEarly(seq uint32) bool {
	return slices.ContainsFunc(d.early, func(e earlyUnlink) bool { return e.target == seq })
}

// finishEarly cancels a URB that was cancelled before it came.
func (d *Device) finishEarly(seq uint32) {
	if !d.cur.in && d.cur.endpoint == endpointOut {
		d.counters.Dropped += uint64(d.cur.length)
	}
	status := statusCancelled
	d.early = slices.DeleteFunc(d.early, func(e earlyUnlink) bool {
		if e.target != seq {
			return false
		}
		d.answer(retUnlink, e.seq, status, 0)
		status = statusOK // one that is cancelled twice is not there the second time
		return true
	})
}

// Output is what must be sent to the kernel. It is valid until the next call of
// a method.
func (d *Device) Output() []byte { return d.out[d.taken:] }

// Wrote says that the first n bytes of Output have been sent.
func (d *Device) Wrote(n int) {
	d.taken += max(0, min(n, len(d.out)-d.taken))
	switch {
	case d.taken == len(d.out):
		d.taken = 0
		d.out = d.out[:0]
		if cap(d.out) > keptOutput {
			d.out = nil // what one flood has needed is not kept for ever
		}
	case d.taken > len(d.out)/2:
		d.out = d.out[:copy(d.out, d.out[d.taken:])]
		d.taken = 0
	}
}

// keptOutput is the capacity that an empty output keeps.
const keptOutput = 64 << 10

// Open reports whether a program has the tty open.
func (d *Device) Open() bool { return d.open }

// Settings are those that the driver has set last.
func (d *Device) Settings() Settings { return d.settings }

// Counters are what the device has counted.
func (d *Device) Counters() Counters { return d.counters }

// begin begins an open state, of which the handler is still to be told.
func (d *Device) begin() {
	d.open, d.read, d.closing = true, false, false
	d.levels.reset() // the kernel has no use for what happened while it was closed
	if d.level != d.told || d.level != 0 {
		// Also if a packet has told it: the driver may be another one by now.
		d.levels.push(d.level)
	}
}

// closed ends it.
func (d *Device) closed() {
	d.open, d.read, d.closing = false, false, false
	d.handler.Closed()
}

// cancelledIn looks at what is left after an IN URB was cancelled. The Linux
// driver cancels them at the last close only, one after the other.
func (d *Device) cancelledIn() {
	if d.in.n > 0 {
		d.closing = d.open
		return
	}
	if d.open {
		d.closed()
	}
}
