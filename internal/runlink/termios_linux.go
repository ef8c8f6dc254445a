package runlink

import (
	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/ioctl"
)

func fromTermios(t unix.Termios) settings {
	s := settings{Iflag: t.Iflag, Oflag: t.Oflag, Cflag: t.Cflag, Lflag: t.Lflag, Line: t.Line, Ispeed: t.Ispeed, Ospeed: t.Ospeed}
	copy(s.Cc[:], t.Cc[:])
	return s
}

func (s settings) termios() unix.Termios {
	t := unix.Termios{Iflag: s.Iflag, Oflag: s.Oflag, Cflag: s.Cflag, Lflag: s.Lflag, Line: s.Line, Ispeed: s.Ispeed, Ospeed: s.Ospeed}
	copy(t.Cc[:], s.Cc[:])
	return t
}

func (s settings) ioctl() ioctl.Termios {
	return ioctl.Termios{
		Iflag: s.Iflag, Oflag: s.Oflag, Cflag: s.Cflag, Lflag: s.Lflag, Line: s.Line, Cc: s.Cc, Ispeed: s.Ispeed, Ospeed: s.Ospeed,
	}
}

// pristine is serial_struct before anybody has changed it.
var pristine = ioctl.DefaultSerial(0)

func fromSerial(s ioctl.Serial) serial {
	return serial{Flags: s.Flags, XmitFIFO: s.XmitFIFO, CustomDivisor: s.CustomDivisor, CloseDelay: s.CloseDelay, ClosingWait: s.ClosingWait}
}

func (s serial) ioctl() ioctl.Serial {
	whole := pristine
	whole.Flags, whole.XmitFIFO, whole.CustomDivisor, whole.CloseDelay, whole.ClosingWait = s.Flags, s.XmitFIFO, s.CustomDivisor, s.CloseDelay, s.ClosingWait
	return whole
}

func fromIoctl(t ioctl.Termios) settings {
	return settings{
		Iflag: t.Iflag, Oflag: t.Oflag, Cflag: t.Cflag, Lflag: t.Lflag, Line: t.Line, Cc: t.Cc, Ispeed: t.Ispeed, Ospeed: t.Ospeed,
	}
}
