package vhci

import "errors"

// What the caller decides by. Compare with errors.Is.
var (
	// ErrUnavailable: this kernel has no vhci_hcd or no ftdi_sio, or they cannot
	// be loaded. It will not change by itself.
	ErrUnavailable = errors.New("no USB serial adapter can be attached to this kernel")
	// ErrPermission: this process may not do it.
	ErrPermission = errors.New("not permitted")
	// ErrNoFreePort: other devices have all ports. One may become free.
	ErrNoFreePort = errors.New("no free port")
	// ErrNotYet: it is on its way. Ask again.
	ErrNotYet = errors.New("not yet")
	// ErrGone: the device is not attached any more, and will not be by itself.
	ErrGone = errors.New("it is not attached any more")
)

// Error says in three parts why something failed. Kind and Err are found by
// errors.Is and errors.As.
type Error struct {
	// Op is what was being done: "attach a USB serial adapter".
	Op string
	// Found is what stood in the way: "this kernel has no vhci_hcd".
	Found string
	// Advice is what to do next: "use --tty pty". Empty where nobody can do
	// anything.
	Advice string
	// Kind is the sentinel to decide by, nil for a failure of the system.
	Kind error
	// Err is the system's error, nil if none was involved.
	Err error
}

// Error implements error.
func (e *Error) Error() string {
	s := e.Op + ": " + e.Found
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	if e.Advice != "" {
		s += "; " + e.Advice
	}
	return s
}

// Unwrap returns Kind and Err, those that there are.
func (e *Error) Unwrap() []error {
	var all []error
	for _, err := range []error{e.Kind, e.Err} {
		if err != nil {
			all = append(all, err)
		}
	}
	return all
}

// Operations, for Error.Op.
const (
	opAttach = "attach a USB serial adapter"
	opFind   = "find the tty of the USB serial adapter"
)
