package rfc2217test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// Device is what is on the other end of the serial line. Read blocks until the
// device has something to say, and Close ends it with io.EOF. Write takes what
// the line delivers; it may block while the device has no room. All methods may
// be called concurrently.
type Device interface {
	io.ReadWriteCloser
}

// LineDevice is a Device that is also connected to the modem lines.
type LineDevice interface {
	Device
	// SetLines tells the device the lines that the UART drives.
	SetLines(dtr, rts bool)
	// NotifyModem registers f, the only listener, which is called with the
	// levels of CTS, DSR, RI and DCD: at once, and then at each change. f is
	// called without any lock of the device.
	NotifyModem(f func(comport.ModemState))
}

// ErrUnknownDevice is returned by NewDevice for a name it does not know.
var ErrUnknownDevice = errors.New("unknown device")

// DeviceNames gives the names that NewDevice knows, sorted.
func DeviceNames() []string { return []string{"echo", "gps", "modem"} }

// NewDevice makes the device of the given name on a clock; nil is the real one.
func NewDevice(name string, clock Clock) (Device, error) {
	switch name {
	case "echo":
		return NewEcho(), nil
	case "gps":
		return NewGPS(clock), nil
	case "modem":
		return NewModem(clock), nil
	default:
		return nil, fmt.Errorf("%w %q: it must be one of %s", ErrUnknownDevice,
			comport.Printable(name, 64), strings.Join(slices.Clone(DeviceNames()), ", "))
	}
}
