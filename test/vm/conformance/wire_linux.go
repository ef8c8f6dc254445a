package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// Lines of <asm-generic/termios.h> that package unix has no name for.
const (
	tiocmOut1 = 0x2000
	tiocmLoop = 0x8000 // the UART's loop-back mode
)

// Wire is another UART at the other end of the line. It shows data only.
type Wire struct {
	far  *os.File
	near string // path of the tty itself
	sent []byte
}

// NewWire opens the far UART, raw.
func NewWire(near, far string) (*Wire, error) {
	f, err := openTTY(far)
	if err != nil {
		return nil, err
	}
	w := &Wire{far: f, near: near}
	t := rawTermios
	return w, control(f, func(fd int) error { return unix.IoctlSetTermios(fd, unix.TCSETS, &t) })
}

func openTTY(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return os.NewFile(uintptr(fd), path), nil
}

// Opened empties the line: nobody tells of opens and closes.
func (w *Wire) Opened(context.Context) error {
	w.sent = nil
	return control(w.far, func(fd int) error { return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIOFLUSH) })
}

// Closed has nothing to wait for.
func (w *Wire) Closed(context.Context) error { return nil }

// Receive writes at the far end.
func (w *Wire) Receive(ctx context.Context, p []byte) error {
	deadline, _ := ctx.Deadline()
	if err := w.far.SetWriteDeadline(deadline); err != nil {
		return err
	}
	_, err := w.far.Write(p)
	return err
}

// Sent reads at the far end.
func (w *Wire) Sent(ctx context.Context, n int) ([]byte, error) {
	deadline, _ := ctx.Deadline()
	if err := w.far.SetReadDeadline(deadline); err != nil {
		return w.sent, err
	}
	if more := n - len(w.sent); more > 0 {
		buf := make([]byte, more)
		got, err := io.ReadFull(w.far, buf)
		w.sent = append(w.sent, buf[:got]...)
		if err != nil {
			return w.sent, err
		}
	}
	return w.sent, nil
}

// Await is nothing that QEMU shows.
func (w *Wire) Await(context.Context, func(comport.State) bool) error {
	return fmt.Errorf("%w: QEMU does not show it", ErrUntried)
}

// Happened is nothing that QEMU shows.
func (w *Wire) Happened(func(comport.State) bool) (bool, error) {
	return false, fmt.Errorf("%w: QEMU does not show it", ErrUntried)
}

// Edges are not told of: QEMU raises no interrupt for them.
func (w *Wire) Edges() error { return fmt.Errorf("%w: QEMU does not tell of changes", ErrUntried) }

// SetModem uses the loop-back mode of the near UART, in which its own outputs are its inputs: RTS is CTS, DTR is DSR, OUT1 is RI,
// and OUT2, which the driver leaves on, is DCD. Without it QEMU shows all but RI on. The near UART has to be open: else it would
// be closed for the last time here.
func (w *Wire) SetModem(levels comport.ModemState) error {
	request, outputs := uint(unix.TIOCMSET), tiocmLoop
	switch {
	case levels == idleModem:
		request = unix.TIOCMBIC
	case levels&comport.ModemDCD == 0:
		return fmt.Errorf("%w: QEMU leaves it on", ErrUntried)
	default:
		for level, output := range map[comport.ModemState]int{
			comport.ModemCTS: unix.TIOCM_RTS, comport.ModemDSR: unix.TIOCM_DTR, comport.ModemRI: tiocmOut1,
		} {
			if levels&level != 0 {
				outputs |= output
			}
		}
	}
	near, err := openTTY(w.near)
	if err != nil {
		return err
	}
	return errors.Join(control(near, func(fd int) error { return unix.IoctlSetPointerInt(fd, request, outputs) }), near.Close())
}

// LineError is nothing that QEMU can do.
func (w *Wire) LineError(context.Context, comport.LineState) error {
	return fmt.Errorf("%w: QEMU has none", ErrUntried)
}

// Stall is nothing that QEMU can do.
func (w *Wire) Stall(bool) error {
	return fmt.Errorf("%w: QEMU has neither flow control nor a line speed", ErrUntried)
}

// Close closes the far UART.
func (w *Wire) Close() error { return w.far.Close() }

// control runs do with a descriptor.
func control(f *os.File, do func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = do(int(fd)) }); err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("%s: %w", f.Name(), failed)
	}
	return nil
}
