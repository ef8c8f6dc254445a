package usbtest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
)

// The wire, from the kernel's side; see the package usbtty for the layout.
const (
	headerSize = 48

	cmdSubmit = 1
	cmdUnlink = 2
	retSubmit = 3
	retUnlink = 4
)

// ErrGone is what a request gets whose device has been detached.
var ErrGone = errors.New("usbtest: the device is gone")

// ErrCancelled is what a URB gets that was cancelled: -ECONNRESET.
var ErrCancelled = errors.New("usbtest: the URB was cancelled")

// StatusError is the status of a URB that the device has refused.
type StatusError int32

func (e StatusError) Error() string { return fmt.Sprintf("usbtest: URB status %d", int32(e)) }

// ProtocolError is an answer that vhci_hcd would break the connection for.
type ProtocolError struct {
	Seq    uint32
	Reason string
}

func (e *ProtocolError) Error() string {
	return fmt.Sprintf("usbtest: answer %d: %s", e.Seq, e.Reason)
}

// URB is a request under way.
type URB struct {
	seq      uint32
	in       bool
	buf      []byte // what was sent, or room for what comes
	actual   int
	err      error
	done     chan struct{}
	complete func(*URB) // called from the receiver, before done is closed
	unlinked bool
}

// Wait waits for the URB's end, and gives what has come, or how many bytes have
// been taken.
func (u *URB) Wait() ([]byte, error) {
	<-u.done
	if u.err != nil || !u.in {
		return nil, u.err
	}
	return u.buf[:u.actual], nil
}

// Kernel is the kernel's side of an attached device: vhci_hcd, and, by
// [Kernel.Enumerate] and [Kernel.Open], the USB core and ftdi_sio.
type Kernel struct {
	device uint32
	conn   io.ReadWriteCloser
	tty    *tty
	ended  sync.WaitGroup
	done   chan struct{} // closed when the device is gone

	mu      sync.Mutex
	wake    sync.Cond // of the sender
	queue   [][]byte  // what it has to send: a completion must not wait for a socket
	seq     uint32
	pending map[uint32]*URB
	unlinks map[uint32]unlink // by the sequence number of the CMD_UNLINK
	err     error             // why the device is gone
	counts  Counts
}

// unlink is a CMD_UNLINK under way.
type unlink struct {
	urb      *URB
	answered chan struct{}
}

// Counts are what has passed.
type Counts struct{ Submits, Unlinks, Answers int }

// NewKernel attaches the device at the other end of conn, which it closes, and
// starts a sender and a receiver. Device is its id, as in an attachment.
func NewKernel(conn io.ReadWriteCloser, device uint32) *Kernel {
	k := &Kernel{
		device: device, conn: conn, done: make(chan struct{}),
		pending: make(map[uint32]*URB), unlinks: make(map[uint32]unlink),
	}
	k.wake.L = &k.mu
	k.tty = newTTY(k)
	k.ended.Go(k.receive)
	k.ended.Go(k.transmit)
	return k
}

// Close unplugs the device: everything under way fails. It returns when nothing
// runs any more, and gives what the device has done wrong, if anything.
func (k *Kernel) Close() error {
	k.gone(ErrGone)
	k.ended.Wait()
	return k.Err()
}

// Err is the first thing that the device has done wrong, or nil.
func (k *Kernel) Err() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if errors.Is(k.err, ErrGone) {
		return nil
	}
	return k.err
}

// Gone is closed when the device is not there any more.
func (k *Kernel) Gone() <-chan struct{} { return k.done }

// Counts are what has passed until now.
func (k *Kernel) Counts() Counts {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.counts
}

// gone ends everything, once.
func (k *Kernel) gone(why error) {
	k.mu.Lock()
	if k.err != nil {
		k.mu.Unlock()
		return
	}
	k.err = why
	pending, unlinks := k.pending, k.unlinks
	k.pending, k.unlinks = make(map[uint32]*URB), make(map[uint32]unlink)
	k.queue = nil
	k.wake.Broadcast()
	k.mu.Unlock()
	_ = k.conn.Close()
	for _, u := range pending {
		u.end(ErrGone)
	}
	for _, u := range unlinks {
		close(u.answered)
	}
	k.tty.unplugged()
	close(k.done)
}

// end gives a URB back.
func (u *URB) end(err error) {
	u.err = err
	if u.complete != nil {
		u.complete(u)
	}
	close(u.done)
}

// Submit starts a URB: with data to send, or room for data to come.
func (k *Kernel) Submit(endpoint uint32, in bool, setup [8]byte, buf []byte) *URB {
	return k.submit(endpoint, in, setup, buf, nil)
}

// submit starts a URB. Complete is called when it is given back, unless the
// device is gone already.
func (k *Kernel) submit(endpoint uint32, in bool, setup [8]byte, buf []byte, complete func(*URB)) *URB {
	u := &URB{in: in, buf: buf, done: make(chan struct{}), complete: complete}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.err != nil {
		u.err = ErrGone
		close(u.done)
		return u
	}
	k.seq++
	u.seq = k.seq
	message := k.header(cmdSubmit, u.seq, endpoint, in)
	binary.BigEndian.PutUint32(message[24:], uint32(len(buf)))
	copy(message[40:], setup[:])
	if !in {
		message = append(message, buf...)
	}
	k.pending[u.seq] = u
	k.counts.Submits++
	k.enqueue(message)
	return u
}

func (k *Kernel) header(command, seq, endpoint uint32, in bool) []byte {
	h := make([]byte, headerSize)
	binary.BigEndian.PutUint32(h[0:], command)
	binary.BigEndian.PutUint32(h[4:], seq)
	binary.BigEndian.PutUint32(h[8:], k.device)
	if in {
		binary.BigEndian.PutUint32(h[12:], 1)
	}
	binary.BigEndian.PutUint32(h[16:], endpoint)
	return h
}

// enqueue hands a message to the sender. The lock is held.
func (k *Kernel) enqueue(message []byte) {
	k.queue = append(k.queue, message)
	k.wake.Signal()
}

// transmit is the sender.
func (k *Kernel) transmit() {
	for {
		k.mu.Lock()
		for len(k.queue) == 0 && k.err == nil {
			k.wake.Wait()
		}
		if k.err != nil {
			k.mu.Unlock()
			return
		}
		message := k.queue[0]
		k.queue = k.queue[1:]
		k.mu.Unlock()
		if _, err := k.conn.Write(message); err != nil {
			k.gone(ErrGone)
			return
		}
	}
}

// Kill cancels a URB and waits until it is given back, as usb_kill_urb does.
func (k *Kernel) Kill(u *URB) {
	k.mu.Lock()
	if k.pending[u.seq] != u || u.unlinked {
		k.mu.Unlock()
		<-u.done
		return
	}
	u.unlinked = true
	k.seq++
	message := k.header(cmdUnlink, k.seq, 0, false)
	binary.BigEndian.PutUint32(message[20:], u.seq)
	answered := make(chan struct{})
	k.unlinks[k.seq] = unlink{urb: u, answered: answered}
	k.counts.Unlinks++
	k.enqueue(message)
	k.mu.Unlock()
	<-u.done
	<-answered
}

// receive takes the answers until the connection ends.
func (k *Kernel) receive() {
	for {
		var h [headerSize]byte
		if _, err := io.ReadFull(k.conn, h[:]); err != nil {
			k.gone(ErrGone)
			return
		}
		if err := k.answer(&h); err != nil {
			k.gone(err)
			return
		}
	}
}

func (k *Kernel) answer(h *[headerSize]byte) error {
	command, seq := binary.BigEndian.Uint32(h[0:]), binary.BigEndian.Uint32(h[4:])
	status, actual := int32(binary.BigEndian.Uint32(h[20:])), binary.BigEndian.Uint32(h[24:])
	switch command {
	case retSubmit:
		return k.submitted(seq, status, actual)
	case retUnlink:
		return k.cancelled(seq, status)
	default:
		return &ProtocolError{Seq: seq, Reason: fmt.Sprintf("unknown command %#x", command)}
	}
}

func (k *Kernel) submitted(seq uint32, status int32, actual uint32) error {
	k.mu.Lock()
	u := k.pending[seq]
	delete(k.pending, seq)
	k.counts.Answers++
	k.mu.Unlock()
	if u == nil {
		return &ProtocolError{Seq: seq, Reason: "cannot find a urb"}
	}
	if actual > uint32(len(u.buf)) {
		u.end(ErrGone)
		return &ProtocolError{Seq: seq, Reason: fmt.Sprintf("%d bytes for a buffer of %d", actual, len(u.buf))}
	}
	u.actual = int(actual)
	if u.in {
		if _, err := io.ReadFull(k.conn, u.buf[:actual]); err != nil {
			u.end(ErrGone)
			return ErrGone
		}
	}
	if status != 0 {
		u.end(StatusError(status))
		return nil
	}
	u.end(nil)
	return nil
}

func (k *Kernel) cancelled(seq uint32, status int32) error {
	k.mu.Lock()
	by, ok := k.unlinks[seq]
	delete(k.unlinks, seq)
	u := by.urb
	waits := ok && k.pending[u.seq] == u
	if waits {
		delete(k.pending, u.seq)
	}
	k.mu.Unlock()
	if !ok {
		return &ProtocolError{Seq: seq, Reason: "cannot find the pending unlink"}
	}
	defer close(by.answered)
	if waits {
		u.end(ErrCancelled)
	}
	switch {
	case waits && status == 0:
		return &ProtocolError{Seq: seq, Reason: "says that a URB was answered which was not"}
	case !waits && status != 0:
		return &ProtocolError{Seq: seq, Reason: "cancels a URB that was answered"}
	default:
		return nil
	}
}
