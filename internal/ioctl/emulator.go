package ioctl

import (
	"context"
	"math"
	"time"
)

// Call is an ioctl as a program made it.
type Call struct {
	Arch    Arch
	Request uint32
	// Arg is a number or an address, as the request has it. Of a 32-bit program's only the low 32 bits count.
	Arg uint64
	// Admin says that the caller has CAP_SYS_ADMIN, without which TIOCSSERIAL changes less. Who would rather not refuse
	// what does no harm here sets it always.
	Admin bool
}

// Memory is the memory of the program that made a call. Either method transfers all of p or fails; its error is the program's
// EFAULT. An address may be anything.
type Memory interface {
	Read(addr uint64, p []byte) error
	Write(addr uint64, p []byte) error
}

// scratch is room for one structure on its way from or to a Memory. What goes through an interface is on the heap, and a
// question that programs ask a thousand times a second should not make garbage.
type scratch [maxSize]byte

// idleScratch is how many an Emulator keeps for the next calls.
const idleScratch = 4

// Emulator answers the ioctls of one port, from any number of goroutines. The zero value is of no use: see [New].
type Emulator struct {
	uart UART
	idle chan *scratch
}

// New returns an Emulator for the port that u serves.
func New(u UART) *Emulator {
	return &Emulator{uart: u, idle: make(chan *scratch, idleScratch)}
}

// Do does what a call asks for, and returns what ioctl(2) returns: 0, or an error number, of which ENOTTY says that the
// request is not [Known]. It returns early, with EINTR, when the context ends.
//
// The requests that only ask are answered from the UART's [State], without waiting and without allocation.
func (e *Emulator) Do(ctx context.Context, c Call, m Memory) (int64, Errno) {
	if !Known(c.Request) {
		return 0, ENOTTY
	}
	if c.Arch.Is32() {
		c.Arg = uint64(uint32(c.Arg))
	}
	s := e.uart.State()
	if s.Gone {
		return 0, EIO
	}
	return 0, e.do(ctx, c, m, s)
}

func (e *Emulator) do(ctx context.Context, c Call, m Memory, s *State) Errno {
	switch c.Request {
	case reqTCGETS, reqTCGETS2, reqTCGETA, reqTIOCGICOUNT, reqTIOCGSERIAL:
		return e.get(c, m, s)
	case reqTIOCMGET:
		return e.putInt(c, m, uint32(s.Lines))
	case reqTIOCOUTQ:
		return e.putInt(c, m, uint32(max(0, min(s.OutQueue, math.MaxInt32))))
	case reqTIOCGSOFTCAR:
		return e.putInt(c, m, truth(s.Termios.Cflag&clocal != 0))
	case reqTIOCGEXCL:
		return e.putInt(c, m, truth(s.Exclusive))
	case reqTIOCSERGETLSR:
		return e.putInt(c, m, truth(s.LineEmpty)) // TIOCSER_TEMT is 1
	case reqTCSETS, reqTCSETS2, reqTCSETA:
		return e.set(ctx, c, m, s, Now)
	case reqTCSETSW, reqTCSETSW2, reqTCSETAW:
		return e.set(ctx, c, m, s, Drain)
	case reqTCSETSF, reqTCSETSF2, reqTCSETAF:
		return e.set(ctx, c, m, s, DrainFlush)
	case reqTIOCSSOFTCAR:
		return e.setCarrier(ctx, c, m, s)
	case reqTIOCMSET, reqTIOCMBIS, reqTIOCMBIC:
		return e.lines(ctx, c, m)
	case reqTIOCMIWAIT:
		return e.waitLines(ctx, Lines(c.Arg), s)
	case reqTCSBRK, reqTCSBRKP, reqTIOCSBRK, reqTIOCCBRK:
		return e.breaks(ctx, c)
	case reqTCFLSH:
		return e.flush(ctx, c.Arg)
	case reqTCXONC:
		return e.flow(ctx, c.Arg, s)
	case reqTIOCEXCL, reqTIOCNXCL:
		return errnoOf(e.uart.Exclusive(ctx, c.Request == reqTIOCEXCL))
	case reqTIOCSSERIAL:
		return e.setSerial(ctx, c, m, s)
	default:
		return ENOTTY
	}
}

// get answers the requests that ask for a structure.
func (e *Emulator) get(c Call, m Memory, s *State) Errno {
	b := e.borrow()
	defer e.giveBack(b)
	var p []byte
	switch c.Request {
	case reqTCGETS:
		p = b[:sizeTermios]
		putTermios(p, &s.Termios)
	case reqTCGETS2:
		p = b[:sizeTermios2]
		putTermios(p, &s.Termios)
	case reqTCGETA:
		p = b[:sizeTermio]
		putTermio(p, &s.Termios)
	case reqTIOCGICOUNT:
		p = b[:sizeCounts]
		putCounts(p, &s.Counts)
	case reqTIOCGSERIAL:
		p = b[:c.Arch.sizeSerial()]
		putSerial(p, &s.Serial)
	default:
		return ENOTTY
	}
	return fault(m.Write(c.Arg, p))
}

// putInt answers the requests that ask for an int.
func (e *Emulator) putInt(c Call, m Memory, v uint32) Errno {
	b := e.borrow()
	defer e.giveBack(b)
	le.PutUint32(b[:], v)
	return fault(m.Write(c.Arg, b[:sizeInt]))
}

// getInt reads the int that an argument points to.
func (e *Emulator) getInt(c Call, m Memory) (uint32, Errno) {
	b := e.borrow()
	defer e.giveBack(b)
	if m.Read(c.Arg, b[:sizeInt]) != nil {
		return 0, EFAULT
	}
	return le.Uint32(b[:]), 0
}

// set does the TCSET forms.
func (e *Emulator) set(ctx context.Context, c Call, m Memory, s *State, w When) Errno {
	t := s.Termios
	if !e.readTermios(c, m, &t) {
		return EFAULT
	}
	t.resolve()
	t.Cflag ^= (t.Cflag ^ s.Termios.Cflag) & addrb // only TIOCSRS485 changes it
	return errnoOf(e.uart.Set(ctx, t, w))
}

// readTermios takes over into t what the program's structure has.
func (e *Emulator) readTermios(c Call, m Memory, t *Termios) bool {
	b := e.borrow()
	defer e.giveBack(b)
	switch c.Request {
	case reqTCSETA, reqTCSETAW, reqTCSETAF:
		p := b[:sizeTermio]
		if m.Read(c.Arg, p) != nil {
			return false
		}
		getTermio(p, t)
	case reqTCSETS, reqTCSETSW, reqTCSETSF:
		p := b[:sizeTermios]
		if m.Read(c.Arg, p) != nil {
			return false
		}
		getTermios(p, t)
	default: // the forms with struct termios2
		p := b[:sizeTermios2]
		if m.Read(c.Arg, p) != nil {
			return false
		}
		getTermios(p, t)
	}
	return true
}

// setCarrier does TIOCSSOFTCAR: CLOCAL alone.
func (e *Emulator) setCarrier(ctx context.Context, c Call, m Memory, s *State) Errno {
	v, errno := e.getInt(c, m)
	if errno != 0 {
		return errno
	}
	t := s.Termios
	t.Cflag &^= clocal
	if v != 0 {
		t.Cflag |= clocal
	}
	return errnoOf(e.uart.Set(ctx, t, Now))
}

// lines does TIOCMSET, TIOCMBIS and TIOCMBIC.
func (e *Emulator) lines(ctx context.Context, c Call, m Memory) Errno {
	v, errno := e.getInt(c, m)
	if errno != 0 {
		return errno
	}
	var raise, drop Lines
	switch c.Request {
	case reqTIOCMBIS:
		raise = Lines(v) & outputs
	case reqTIOCMBIC:
		drop = Lines(v) & outputs
	default: // TIOCMSET
		raise, drop = Lines(v)&outputs, ^Lines(v)&outputs
	}
	if raise|drop == 0 {
		return 0
	}
	return errnoOf(e.uart.Lines(ctx, raise, drop))
}

// defaultBreak is how long a break lasts if nobody says.
const defaultBreak = 250 * time.Millisecond

// breaks does TCSBRK, TCSBRKP, TIOCSBRK and TIOCCBRK. All but the last wait for the output before (tty_ioctl in
// drivers/tty/tty_io.c), and TCSBRK with an argument does no more than that.
func (e *Emulator) breaks(ctx context.Context, c Call) Errno {
	if c.Request == reqTIOCCBRK {
		return errnoOf(e.uart.Break(ctx, false))
	}
	if err := e.uart.Drain(ctx); err != nil {
		return errnoOf(err)
	}
	switch {
	case c.Request == reqTIOCSBRK:
		return errnoOf(e.uart.Break(ctx, true))
	case c.Arg == 0:
		return errnoOf(e.uart.SendBreak(ctx, defaultBreak))
	case c.Request == reqTCSBRKP: // in tenths of a second, which the kernel turns into milliseconds in an unsigned int
		return errnoOf(e.uart.SendBreak(ctx, time.Duration(uint32(c.Arg*100))*time.Millisecond))
	default:
		return 0
	}
}

// flush does TCFLSH.
func (e *Emulator) flush(ctx context.Context, arg uint64) Errno {
	if arg > uint64(QueueBoth) {
		return EINVAL
	}
	return errnoOf(e.uart.Flush(ctx, Queue(arg)))
}

// flow does TCXONC. A STOP or START character of 0 (_POSIX_VDISABLE) is not sent.
func (e *Emulator) flow(ctx context.Context, arg uint64, s *State) Errno {
	if arg > uint64(SendStart) {
		return EINVAL
	}
	a := FlowAction(arg)
	if a == SendStop && s.Termios.Cc[vstop] == 0 || a == SendStart && s.Termios.Cc[vstart] == 0 {
		return 0
	}
	return errnoOf(e.uart.Flow(ctx, a))
}

// setSerial does TIOCSSERIAL.
func (e *Emulator) setSerial(ctx context.Context, c Call, m Memory, s *State) Errno {
	n, errno := e.readSerial(c, m)
	if errno != 0 {
		return errno
	}
	n, errno = s.Serial.change(n, c.Admin)
	if errno != 0 {
		return errno
	}
	return errnoOf(e.uart.Serial(ctx, n))
}

func (e *Emulator) readSerial(c Call, m Memory) (Serial, Errno) {
	b := e.borrow()
	defer e.giveBack(b)
	p := b[:c.Arch.sizeSerial()]
	if m.Read(c.Arg, p) != nil {
		return Serial{}, EFAULT
	}
	return getSerial(p), 0
}

// borrow returns a scratch that nobody else uses until it is given back.
func (e *Emulator) borrow() *scratch {
	select {
	case b := <-e.idle:
		return b
	default:
		return new(scratch)
	}
}

func (e *Emulator) giveBack(b *scratch) {
	select {
	case e.idle <- b:
	default:
	}
}

// fault is what the program sees of a Memory's error.
func fault(err error) Errno {
	if err != nil {
		return EFAULT
	}
	return 0
}

func truth(b bool) uint32 {
	if b {
		return 1
	}
	return 0
}
