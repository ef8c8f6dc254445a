package usbtty

// outURB is an OUT URB whose bytes have not all been read.
type outURB struct {
	seq  uint32
	size uint32
	left uint32 // bytes that wait
}

// outQueue holds OUT URBs, oldest first, and their bytes one behind the other.
type outQueue struct {
	ring [MaxURBs]outURB
	head int
	n    int

	data  []byte
	first int // data[first:] waits: ready bytes of the URBs, then those of one that still comes
	ready int
}

func (q *outQueue) at(i int) *outURB { return &q.ring[(q.head+i)%MaxURBs] }

// stored is the number of bytes kept.
func (q *outQueue) stored() int { return len(q.data) - q.first }

// extend adds bytes of a URB that is not complete.
func (q *outQueue) extend(p []byte) {
	if q.first > 0 && len(q.data)+len(p) > cap(q.data) {
		q.data = q.data[:copy(q.data, q.data[q.first:])]
		q.first = 0
	}
	q.data = append(q.data, p...)
}

// push completes the URB whose bytes were added last.
func (q *outQueue) push(seq, size uint32) {
	*q.at(q.n) = outURB{seq: seq, size: size, left: size}
	q.n++
	q.ready += int(size)
}

func (q *outQueue) pop() outURB {
	u := *q.at(0)
	q.head = (q.head + 1) % MaxURBs
	q.n--
	return u
}

// consume removes n bytes from the front.
func (q *outQueue) consume(n int) {
	q.first += n
	q.ready -= n
	if q.first == len(q.data) {
		q.first = 0
		q.data = q.data[:0]
		if cap(q.data) > MaxTransfer {
			q.data = nil
		}
	}
}

func (q *outQueue) has(seq uint32) bool {
	for i := range q.n {
		if q.at(i).seq == seq {
			return true
		}
	}
	return false
}

// remove takes a URB and its bytes out, and returns how many those were.
func (q *outQueue) remove(seq uint32) int {
	at := q.first
	for i := range q.n {
		u := *q.at(i)
		if u.seq != seq {
			at += int(u.left)
			continue
		}
		q.data = append(q.data[:at], q.data[at+int(u.left):]...)
		q.ready -= int(u.left)
		for ; i < q.n-1; i++ {
			*q.at(i) = *q.at(i + 1)
		}
		q.n--
		q.consume(0)
		return int(u.left)
	}
	return 0
}

// finishOut takes an OUT URB whose bytes have come.
func (d *Device) finishOut(u *submit) {
	had := d.tx.ready
	d.tx.push(u.seq, u.length)
	d.answerRead(0) // an empty URB that is the first waits for nothing
	if had == 0 && d.tx.ready > 0 {
		d.handler.Written()
	}
}

// answerRead answers the URBs that are done with n more bytes.
func (d *Device) answerRead(n int) {
	for d.tx.n > 0 {
		u := d.tx.at(0)
		if int(u.left) > n {
			u.left -= uint32(n)
			return
		}
		n -= int(u.left)
		done := d.tx.pop()
		d.answer(retSubmit, done.seq, statusOK, int(done.size))
	}
}

// Readable is the number of bytes from the program that wait for Read.
func (d *Device) Readable() int { return d.tx.ready }

// Read takes bytes that the program has written, in order. A URB is answered
// when its last byte is read, and the driver has two of 256 bytes: who does not
// read makes the program wait.
func (d *Device) Read(p []byte) int {
	n := copy(p, d.tx.data[d.tx.first:d.tx.first+d.tx.ready])
	d.tx.consume(n)
	d.counters.BytesOut += uint64(n)
	d.answerRead(n)
	return n
}

// dropOut forgets what waits for Read; its URBs are answered.
func (d *Device) dropOut() {
	n := d.tx.ready
	d.tx.consume(n)
	d.counters.Dropped += uint64(n)
	d.answerRead(n)
}
