package usbtest

import (
	"context"
	"errors"
	"io"
	"sync"
	"syscall"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// The sizes of usb-serial, ftdi_sio and n_tty.
const (
	outURBs   = 2
	outSize   = 256
	fifoSize  = 4096
	inURBs    = 2
	inSize    = 512
	packet    = 64
	throttle  = 4096 - 128 // unread bytes from which on the line discipline asks for less
	unthrot   = 128        // and down to which
	waitSent  = 30 * time.Second
	pollSpace = time.Millisecond
)

// Termios are the settings that reach the driver, and what the line discipline
// does with damaged bytes.
type Termios struct {
	Speed       uint32 // 0: B0
	DataBits    uint8  // 5 to 8
	Parity      comport.Parity
	TwoStop     bool // CSTOPB
	CRTSCTS     bool
	IXON        bool
	Start, Stop byte
	HUPCL       bool
	CLOCAL      bool
	Mark        bool // INPCK and PARMRK: damaged bytes as ff 00 b, breaks as ff 00 00, and ff as ff ff
}

// DefaultTermios are what usb-serial gives a new tty: B9600 CS8 HUPCL CLOCAL, and
// the IXON of the standard settings.
func DefaultTermios() Termios {
	return Termios{
		Speed: 9600, DataBits: 8, Parity: comport.ParityNone, IXON: true, Start: 0x11, Stop: 0x13,
		HUPCL: true, CLOCAL: true,
	}
}

// ICount is TIOCGICOUNT's struct serial_icounter_struct.
type ICount struct {
	CTS, DSR, RNG, DCD                  int
	RX, TX, Frame, Overrun, Parity, Brk int
}

// The modem lines of TIOCMGET, by their bits in <asm-generic/termios.h>.
const (
	DTR = 0x002
	RTS = 0x004
	CTS = 0x020
	DCD = 0x040
	RI  = 0x080
	DSR = 0x100
)

// tty is the one tty of a device: usb-serial's port with its line discipline.
type tty struct {
	k *Kernel

	calls sync.Mutex // held by what changes the port: open, close, settings, lines

	mu      sync.Mutex
	changed sync.Cond
	termios Termios
	opens   int
	lines   int // DTR and RTS
	format  uint16
	gone    bool
	hungUp  bool

	fifo     []byte
	outFree  int
	inFlight int // bytes
	out      map[*URB]struct{}

	in          [inURBs]*URB // nil: free
	throttleReq bool
	throttled   bool
	input       []byte

	status byte // the modem inputs as the last packet had them
	counts ICount
}

func newTTY(k *Kernel) *tty {
	t := &tty{k: k, termios: DefaultTermios(), outFree: outURBs, out: make(map[*URB]struct{})}
	t.changed.L = &t.mu
	return t
}

// unplugged ends all waiting.
func (t *tty) unplugged() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gone = true
	t.changed.Broadcast()
}

// TTY is an open tty, as a program has it.
type TTY struct {
	t      *tty
	closed bool
}

// Open opens the tty: the first open makes ftdi_sio start the port, and each
// raises DTR and RTS.
func (k *Kernel) Open() (*TTY, error) {
	t := k.tty
	t.calls.Lock()
	defer t.calls.Unlock()
	t.mu.Lock()
	first := t.opens == 0
	termios := t.termios
	t.mu.Unlock()
	if first {
		if err := t.start(termios); err != nil {
			return nil, err
		}
	}
	t.mu.Lock()
	t.opens++
	t.mu.Unlock()
	if termios.Speed != 0 {
		if err := t.setLines(DTR|RTS, 0); err != nil {
			return nil, err
		}
	}
	return &TTY{t: t}, nil
}

// start is ftdi_open.
func (t *tty) start(termios Termios) error {
	if _, err := t.k.Control(0x40, 0x00, 0, 0, 0); err != nil {
		return err
	}
	if err := t.apply(termios, nil); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.gone {
		return ErrGone
	}
	t.hungUp, t.throttled, t.throttleReq = false, false, false
	t.input = nil
	t.submitReads()
	return nil
}

// submitReads submits the IN URBs that are free. The lock is held.
func (t *tty) submitReads() {
	for i := range t.in {
		if t.in[i] == nil && !t.gone {
			t.in[i] = t.k.submit(1, true, [8]byte{}, make([]byte, inSize), func(u *URB) { t.readDone(i, u) })
		}
	}
}

// readDone is usb_serial_generic_read_bulk_callback.
func (t *tty) readDone(i int, u *URB) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.in[i] = nil
	var status StatusError
	switch {
	case u.err == nil:
		for b := u.buf[:u.actual]; len(b) > 0; {
			n := min(len(b), packet)
			t.receive(b[:n])
			b = b[n:]
		}
	case !errors.As(u.err, &status), status == -32:
		return
	}
	t.throttled = t.throttleReq
	if !t.throttled {
		t.submitReads()
	}
	t.changed.Broadcast()
}

// receive is ftdi_process_packet, and the line discipline behind it.
func (t *tty) receive(b []byte) {
	if len(b) < 2 {
		return
	}
	if diff := b[0]&0xf0 ^ t.status; diff != 0 {
		for _, l := range []struct {
			bit byte
			n   *int
		}{{0x10, &t.counts.CTS}, {0x20, &t.counts.DSR}, {0x40, &t.counts.RNG}, {0x80, &t.counts.DCD}} {
			if diff&l.bit != 0 {
				*l.n++
			}
		}
		t.status = b[0] & 0xf0
		if diff&0x80 != 0 && t.status&0x80 == 0 && !t.termios.CLOCAL {
			t.hungUp = true
		}
	}
	data, lsr := b[2:], b[1]
	if len(data) == 0 {
		return
	}
	t.counts.RX += len(data)
	broke := lsr&0x10 != 0 && data[len(data)-1] == 0
	bad := false
	switch {
	case lsr&0x04 != 0:
		t.counts.Parity++
		bad = true
	case lsr&0x08 != 0:
		t.counts.Frame++
		bad = true
	}
	if broke {
		t.counts.Brk++
	}
	if lsr&0x02 != 0 {
		t.counts.Overrun++
	}
	for i, c := range data {
		switch {
		case t.termios.Mark && (bad || broke && i == len(data)-1):
			t.input = append(t.input, 0xff, 0, c)
		case t.termios.Mark && c == 0xff:
			t.input = append(t.input, 0xff, 0xff)
		default:
			t.input = append(t.input, c)
		}
	}
	if len(t.input) >= throttle {
		t.throttleReq = true
	}
}

// Read waits for bytes. It returns io.EOF after a hang-up and when the device is
// gone.
func (f *TTY) Read(p []byte) (int, error) {
	t := f.t
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.input) == 0 && !t.gone && !t.hungUp {
		t.changed.Wait()
	}
	if len(t.input) == 0 {
		return 0, io.EOF
	}
	n := copy(p, t.input)
	t.input = t.input[n:]
	if len(t.input) <= unthrot {
		was := t.throttled
		t.throttled, t.throttleReq = false, false
		if was {
			t.submitReads()
		}
	}
	return n, nil
}

// Waiting is FIONREAD: how many bytes wait for Read.
func (f *TTY) Waiting() int {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	return len(f.t.input)
}

// Throttled reports whether no IN URB waits because Waiting is too much.
func (f *TTY) Throttled() bool {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	return f.t.throttled && f.t.in == [inURBs]*URB{}
}

// HungUp reports whether a carrier loss has ended the tty: CLOCAL was off.
func (f *TTY) HungUp() bool {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	return f.t.hungUp
}

// Write gives bytes to the device, and waits for room in the driver's FIFO.
func (f *TTY) Write(p []byte) (int, error) {
	total := 0
	for len(p) > 0 {
		n, err := f.write(p, true)
		total += n
		if err != nil {
			return total, err
		}
		p = p[n:]
	}
	return total, nil
}

// TryWrite gives as many bytes to the device as the driver's FIFO takes now.
func (f *TTY) TryWrite(p []byte) (int, error) { return f.write(p, false) }

func (f *TTY) write(p []byte, wait bool) (int, error) {
	t := f.t
	t.mu.Lock()
	defer t.mu.Unlock()
	for wait && len(t.fifo) == fifoSize && !t.gone && !t.hungUp {
		t.changed.Wait()
	}
	if t.gone || t.hungUp {
		return 0, syscall.EIO
	}
	n := min(len(p), fifoSize-len(t.fifo))
	t.fifo = append(t.fifo, p[:n]...)
	t.startWrite()
	return n, nil
}

// startWrite is usb_serial_generic_write_start. The lock is held.
func (t *tty) startWrite() {
	for t.outFree > 0 && len(t.fifo) > 0 && !t.gone {
		n := min(len(t.fifo), outSize)
		b := append([]byte(nil), t.fifo[:n]...)
		t.fifo = append(t.fifo[:0], t.fifo[n:]...)
		t.outFree--
		t.inFlight += n
		t.counts.TX += n
		t.out[t.k.submit(2, false, [8]byte{}, b, t.writeDone)] = struct{}{}
	}
}

// writeDone is usb_serial_generic_write_bulk_callback.
func (t *tty) writeDone(u *URB) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.out, u)
	t.outFree++
	t.inFlight -= len(u.buf)
	if u.err == nil {
		t.startWrite()
	}
	t.changed.Broadcast()
}

// Queued is TIOCOUTQ: how many bytes the device has not taken.
func (f *TTY) Queued() int {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	return len(f.t.fifo) + f.t.inFlight
}

// Drain is tcdrain: it waits until the device has taken all, and says that it
// has sent it.
func (f *TTY) Drain(ctx context.Context) error { return f.t.drain(ctx) }

func (t *tty) drain(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.changed.Broadcast()
	})
	defer stop()
	t.mu.Lock()
	for len(t.fifo)+t.inFlight > 0 && !t.gone && ctx.Err() == nil {
		t.changed.Wait()
	}
	t.mu.Unlock()
	for ctx.Err() == nil {
		b, err := t.k.Control(0xc0, 0x05, 0, 0, 2)
		if err != nil || len(b) == 2 && b[1]&0x40 != 0 {
			return err
		}
		poll := time.NewTimer(pollSpace)
		select {
		case <-poll.C:
		case <-ctx.Done():
			poll.Stop()
		}
	}
	return ctx.Err()
}

// Close closes the tty. The last close waits up to 30 s for what was written,
// drops the lines if HUPCL is on, and cancels what is under way.
func (f *TTY) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), waitSent)
	defer cancel()
	return f.CloseContext(ctx)
}

// CloseContext is Close, waiting for what was written only while ctx lasts.
func (f *TTY) CloseContext(ctx context.Context) error {
	t := f.t
	t.calls.Lock()
	defer t.calls.Unlock()
	if f.closed {
		return syscall.EBADF
	}
	f.closed = true
	t.mu.Lock()
	t.opens--
	last, hup := t.opens == 0, t.termios.HUPCL
	t.mu.Unlock()
	if !last {
		return nil
	}
	_ = t.drain(ctx) // as in tty_wait_until_sent, what is left is dropped
	if hup {
		_, _ = t.k.Control(0x40, 0x02, 0, 0, 0)
		_ = t.setLines(0, DTR|RTS)
	}
	t.mu.Lock()
	t.fifo = nil
	var out []*URB
	for u := range t.out {
		out = append(out, u)
	}
	t.mu.Unlock()
	for _, u := range out {
		t.k.Kill(u)
	}
	for i := range t.in {
		t.mu.Lock()
		u := t.in[i]
		t.mu.Unlock()
		if u != nil {
			t.k.Kill(u)
		}
	}
	return nil
}
