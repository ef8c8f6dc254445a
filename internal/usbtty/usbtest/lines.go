package usbtest

import (
	"context"
	"syscall"

	"github.com/vcomd/vcomd/internal/usbtty"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// Termios are the tty's settings.
func (f *TTY) Termios() Termios {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	return f.t.termios
}

// SetTermios is tcsetattr with TCSANOW.
func (f *TTY) SetTermios(want Termios) error {
	t := f.t
	t.calls.Lock()
	defer t.calls.Unlock()
	t.mu.Lock()
	old := t.termios
	if want.DataBits == 6 {
		want.DataBits = old.DataBits // the driver takes CS6 back
	}
	if want.Speed > 3_000_000 {
		want.Speed = 9600
	}
	t.termios = want
	t.mu.Unlock()
	return t.apply(want, &old)
}

// apply is ftdi_set_termios.
func (t *tty) apply(want Termios, old *Termios) error {
	if old == nil || format(want) != format(*old) {
		t.mu.Lock()
		t.format = format(want)
		t.mu.Unlock()
		if _, err := t.k.Control(0x40, 0x04, format(want), 0, 0); err != nil {
			return err
		}
	}
	switch {
	case old != nil && sameCflag(want, *old):
	case want.Speed == 0:
		if _, err := t.k.Control(0x40, 0x02, 0, 0, 0); err != nil {
			return err
		}
		if err := t.setLines(0, DTR|RTS); err != nil {
			return err
		}
	default:
		divisor := usbtty.EncodeSpeed(want.Speed)
		if _, err := t.k.Control(0x40, 0x03, uint16(divisor), uint16(divisor>>16), 0); err != nil {
			return err
		}
		if old != nil && old.Speed == 0 {
			if err := t.setLines(DTR|RTS, 0); err != nil {
				return err
			}
		}
	}
	var value, index uint16
	switch {
	case want.CRTSCTS:
		index = 0x0100
	case want.IXON:
		index, value = 0x0400, uint16(want.Stop)<<8|uint16(want.Start)
	}
	_, err := t.k.Control(0x40, 0x02, value, index, 0)
	return err
}

// sameCflag reports whether c_cflag and the speeds are the same.
func sameCflag(a, b Termios) bool {
	return format(a) == format(b) && a.Speed == b.Speed && a.CRTSCTS == b.CRTSCTS && a.HUPCL == b.HUPCL && a.CLOCAL == b.CLOCAL
}

// format is the value of the request that sets the format.
func format(t Termios) uint16 {
	var v uint16
	if t.DataBits >= 7 {
		v = uint16(t.DataBits)
	}
	switch t.Parity {
	case comport.ParityOdd:
		v |= 1 << 8
	case comport.ParityEven:
		v |= 2 << 8
	case comport.ParityMark:
		v |= 3 << 8
	case comport.ParitySpace:
		v |= 4 << 8
	default:
	}
	if t.TwoStop {
		v |= 2 << 11
	}
	return v
}

// SetBreak is TIOCSBRK and TIOCCBRK.
func (f *TTY) SetBreak(on bool) error {
	t := f.t
	t.calls.Lock()
	defer t.calls.Unlock()
	t.mu.Lock()
	v := t.format
	t.mu.Unlock()
	if on {
		v |= 1 << 14
	}
	_, err := t.k.Control(0x40, 0x04, v, 0, 0)
	return err
}

// SetLines is TIOCMBIS and TIOCMBIC, or TIOCMSET with both: it sets some of DTR
// and RTS, and clears others.
func (f *TTY) SetLines(on, off int) error {
	f.t.calls.Lock()
	defer f.t.calls.Unlock()
	return f.t.setLines(on, off)
}

// setLines is update_mctrl.
func (t *tty) setLines(on, off int) error {
	off &^= on
	var v uint16
	for _, l := range []struct {
		line int
		bit  uint16
	}{{DTR, 1}, {RTS, 2}} {
		if (on|off)&l.line != 0 {
			v |= l.bit << 8
		}
		if on&l.line != 0 {
			v |= l.bit
		}
	}
	if v == 0 {
		return nil
	}
	if _, err := t.k.Control(0x40, 0x01, v, 0, 0); err != nil {
		return err
	}
	t.mu.Lock()
	t.lines = t.lines&^off | on
	t.mu.Unlock()
	return nil
}

// Lines is TIOCMGET.
func (f *TTY) Lines() (int, error) {
	b, err := f.t.k.Control(0xc0, 0x05, 0, 0, 2)
	if err != nil {
		return 0, err
	}
	if len(b) != 2 {
		return 0, syscall.EIO
	}
	f.t.mu.Lock()
	on := f.t.lines
	f.t.mu.Unlock()
	for _, l := range []struct {
		bit  byte
		line int
	}{{0x10, CTS}, {0x20, DSR}, {0x40, RI}, {0x80, DCD}} {
		if b[0]&l.bit != 0 {
			on |= l.line
		}
	}
	return on, nil
}

// ICount is TIOCGICOUNT.
func (f *TTY) ICount() ICount {
	f.t.mu.Lock()
	defer f.t.mu.Unlock()
	return f.t.counts
}

// WaitLines is TIOCMIWAIT, from the counters that a call of ICount has given:
// it waits until one of the lines has changed since, and gives the counters
// then.
func (f *TTY) WaitLines(ctx context.Context, lines int, since ICount) (ICount, error) {
	t := f.t
	stop := context.AfterFunc(ctx, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.changed.Broadcast()
	})
	defer stop()
	t.mu.Lock()
	defer t.mu.Unlock()
	for {
		now := t.counts
		switch {
		case lines&RI != 0 && now.RNG != since.RNG, lines&DSR != 0 && now.DSR != since.DSR,
			lines&DCD != 0 && now.DCD != since.DCD, lines&CTS != 0 && now.CTS != since.CTS:
			return now, nil
		case t.gone:
			return now, syscall.EIO
		case ctx.Err() != nil:
			return now, ctx.Err()
		}
		t.changed.Wait()
	}
}
