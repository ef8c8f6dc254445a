package bridge

import "github.com/vcomd/vcomd/rfc2217client/comport"

// Bounds of a queue.
const (
	// maxStaged is how many bytes a queue takes: more than a pseudo-terminal
	// holds (20 KiB), so that all that was written before a change of settings
	// can be put in front of it.
	maxStaged = 64 << 10
	// maxChanges is how many changes wait at most; the newest one then takes in
	// what would be one more.
	maxChanges = 256
)

// change is what a program wanted of the UART after a certain byte.
type change struct {
	at   uint64 // offset in the stream of bytes
	want comport.State
	// order, if set, is to be sent as it is, once, whatever the UART's state: an
	// edge of a line, or a break.
	order []comport.Message
	done  func(sent bool) // of an order, may be nil
}

// queue holds bytes, and changes of settings in their places among them. The
// zero value is ready.
type queue struct {
	data    []byte
	head    uint64 // offset of data[0] in the stream
	changes []change
}

func (q *queue) empty() bool  { return len(q.data) == 0 && len(q.changes) == 0 }
func (q *queue) tail() uint64 { return q.head + uint64(len(q.data)) }
func (q *queue) room() int    { return maxStaged - len(q.data) }

// stage appends bytes; the caller has looked at room.
func (q *queue) stage(p []byte) { q.data = append(q.data, p...) }

// change puts a change at an offset, which is not before that of an earlier one.
func (q *queue) change(at uint64, want comport.State) {
	n := len(q.changes)
	if n > 0 && q.changes[n-1].order == nil && (q.changes[n-1].at == at || n >= maxChanges) {
		q.changes[n-1].want = want
		return
	}
	q.changes = append(q.changes, change{at: at, want: want})
}

// order puts messages behind all that waits, and reports whether there was room.
func (q *queue) order(messages []comport.Message, done func(sent bool)) bool {
	if len(q.changes) >= maxChanges {
		return false
	}
	q.changes = append(q.changes, change{at: q.tail(), order: messages, done: done})
	return true
}

// next returns the change that is due now, or else the bytes in front of the
// next one.
func (q *queue) next() (due *change, data []byte) {
	if len(q.changes) == 0 {
		return nil, q.data
	}
	c := &q.changes[0]
	if c.at <= q.head {
		return c, nil
	}
	return nil, q.data[:min(uint64(len(q.data)), c.at-q.head)]
}

// popChange drops the change that was due.
func (q *queue) popChange() {
	n := copy(q.changes, q.changes[1:])
	q.changes[n] = change{}
	q.changes = q.changes[:n]
}

// popData drops n bytes.
func (q *queue) popData(n int) {
	q.head += uint64(n)
	q.data = q.data[:copy(q.data, q.data[n:])]
}

// forgetFront drops the bytes before an offset and returns how many; what was to
// change among them still does.
func (q *queue) forgetFront(end uint64) int {
	if end <= q.head {
		return 0
	}
	n := int(min(end-q.head, uint64(len(q.data))))
	q.popData(n)
	due := 0
	for due < len(q.changes) && q.changes[due].at <= q.head {
		due++
	}
	// With nothing between them only the last one counts, but for orders.
	kept := q.changes[:0]
	for i, c := range q.changes {
		if i+1 >= due || c.order != nil || q.changes[i+1].order != nil {
			kept = append(kept, c)
		}
	}
	clear(q.changes[len(kept):])
	q.changes = kept
	return n
}

// forgetChanges drops all changes and keeps the bytes: after a reconnect
// everything is set before the first byte.
func (q *queue) forgetChanges() {
	lost := q.changes
	q.changes = nil
	for _, c := range lost {
		if c.done != nil {
			c.done(false)
		}
	}
}

// forgetData drops all bytes and returns how many; what was to change still
// does.
func (q *queue) forgetData() int {
	return q.forgetFront(q.tail())
}
