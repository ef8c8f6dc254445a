package ioctl

import (
	"context"
	"time"
)

// UART is the port, whatever serves it. Its methods may be called from several goroutines at once. They return when the UART
// has accepted the request, unless they say otherwise, or early with the context's error. An error that wraps an [Errno] is seen by
// the program as that, any other as EIO; see [ErrGone], [ErrRefused] and [ErrBusy].
type UART interface {
	// State is what the port is now. It never blocks and is never nil, and what it points to does not change.
	State() *State

	// Set makes t the port's settings: at the moment that w says, in its place among the bytes that the program writes. A change to
	// a speed of B0 drops DTR and RTS, and one from B0 to another raises them, as part of the same step.
	// If the context ends before that moment, nothing has changed, because the kernel may restart the call.
	Set(ctx context.Context, t Termios, w When) error

	// Lines turns on the outputs in raise and off those in drop, in one step. Only DTR and RTS are ever in them, no
	// line is in both, and at least one is in either. The lines are driven also if they are known to be so already.
	Lines(ctx context.Context, raise, drop Lines) error

	// Break starts a break condition, or ends it.
	Break(ctx context.Context, on bool) error

	// SendBreak holds a break for the duration and returns at its end. It ends the break also when the context ends.
	SendBreak(ctx context.Context, d time.Duration) error

	// Drain returns when all output has been sent.
	Drain(ctx context.Context) error

	// Flush discards what was received but not read, or written but not sent.
	Flush(ctx context.Context, q Queue) error

	// Flow stops or restarts the output, or has the other end do so.
	Flow(ctx context.Context, a FlowAction) error

	// Exclusive turns exclusive mode on or off: in it, further opens of the port fail with EBUSY unless the opener has
	// CAP_SYS_ADMIN.
	Exclusive(ctx context.Context, on bool) error

	// Serial makes s the port's serial_struct. Only Flags, CustomDivisor, CloseDelay, ClosingWait and XmitFIFO ever differ
	// from the current one's. The line's speed may change by it: see [Serial.Speed].
	Serial(ctx context.Context, s Serial) error
}

// State is all that a port shows. A State is immutable once a [UART] has returned it.
type State struct {
	Termios Termios
	// Lines are the modem lines: outputs as they are driven, inputs as they were last seen.
	Lines  Lines
	Counts Counts
	Serial Serial
	// OutQueue is the number of bytes that were written and not sent yet.
	OutQueue int
	// Exclusive is exclusive mode (TIOCEXCL).
	Exclusive bool
	// LineEmpty says that the transmitter has nothing more to send, not even in its shift register.
	LineEmpty bool
	// Hangups counts how often the port was hung up. What has waited for a line of the port since before is answered EIO.
	Hangups uint32
	// Gone says that the port is no more: every request is answered EIO.
	Gone bool
	// Changed is closed as soon as a State newer than this one exists. If it is nil, there will never be one.
	Changed <-chan struct{}
}

// Lines is a set of modem lines (TIOCM_* in include/uapi/asm-generic/termios.h).
type Lines uint32

// The modem lines. LE, ST, SR, OUT1, OUT2 and LOOP mean nothing on a PC's UART.
const (
	LineLE   Lines = 0x001
	LineDTR  Lines = 0x002 // output
	LineRTS  Lines = 0x004 // output
	LineST   Lines = 0x008
	LineSR   Lines = 0x010
	LineCTS  Lines = 0x020 // input
	LineCD   Lines = 0x040 // input: carrier detect
	LineRNG  Lines = 0x080 // input: ring indicator
	LineDSR  Lines = 0x100 // input
	LineOUT1 Lines = 0x2000
	LineOUT2 Lines = 0x4000
	LineLOOP Lines = 0x8000
)

// outputs are the lines that a program can drive. OUT1, OUT2 and LOOP, which the tty layer also lets pass, do not exist
// beyond a connector: they are accepted and ignored, as USB adapters' drivers do.
const outputs = LineDTR | LineRTS

// Counts are the counters of TIOCGICOUNT (struct serial_icounter_struct). They wrap around.
type Counts struct {
	// CTS, DSR and CD count both edges of their lines, RNG only the trailing one.
	CTS, DSR, RNG, CD uint32
	// RX and TX count characters.
	RX, TX uint32
	// Frame, Overrun, Parity and Break count what was received damaged.
	Frame, Overrun, Parity, Break uint32
	// BufOverrun counts characters dropped for want of room.
	BufOverrun uint32
}

// When is the moment at which settings take effect.
type When uint8

// The moments.
const (
	// Now is at once (TCSETS: tcsetattr's TCSANOW).
	Now When = iota
	// Drain is after all output has been sent (TCSETSW: TCSADRAIN).
	Drain
	// DrainFlush is as Drain, and then all input that was not read is discarded before (TCSETSF: TCSAFLUSH).
	DrainFlush
)

// String implements fmt.Stringer.
func (w When) String() string {
	switch w {
	case Now:
		return "now"
	case Drain:
		return "drain"
	case DrainFlush:
		return "drain and flush"
	default:
		return "unknown"
	}
}

// Queue says what to discard (TCFLSH's argument).
type Queue uint8

// The queues.
const (
	QueueInput  Queue = iota // TCIFLUSH
	QueueOutput              // TCOFLUSH
	QueueBoth                // TCIOFLUSH
)

// String implements fmt.Stringer.
func (q Queue) String() string {
	switch q {
	case QueueInput:
		return "input"
	case QueueOutput:
		return "output"
	case QueueBoth:
		return "both"
	default:
		return "unknown"
	}
}

// FlowAction is TCXONC's argument.
type FlowAction uint8

// The actions.
const (
	// StopOutput suspends output until StartOutput (TCOOFF).
	StopOutput FlowAction = iota
	// StartOutput resumes output (TCOON).
	StartOutput
	// SendStop sends the STOP character, ahead of other output: c_cc[VSTOP], which is not 0 (TCIOFF).
	SendStop
	// SendStart sends the START character, ahead of other output: c_cc[VSTART], which is not 0 (TCION).
	SendStart
)

// String implements fmt.Stringer.
func (a FlowAction) String() string {
	switch a {
	case StopOutput:
		return "stop output"
	case StartOutput:
		return "start output"
	case SendStop:
		return "send STOP"
	case SendStart:
		return "send START"
	default:
		return "unknown"
	}
}
