package pty

import "errors"

// What the caller decides by. Compare with errors.Is.
var (
	// ErrWouldBlock: nothing to read now, or no room to write now. Wait for
	// the descriptor.
	ErrWouldBlock = errors.New("would block")
	// ErrHangup: everything was read and no program has the port open. It
	// stays so until one opens it, and only a [Watcher] tells when.
	ErrHangup = errors.New("no program has the port open")
	// ErrBusy: the last program left the port in exclusive mode (TIOCEXCL),
	// which on a pseudo-terminal survives the close, and this process lacks
	// the CAP_SYS_ADMIN to open it all the same. Only a fresh pseudo-terminal
	// helps.
	ErrBusy = errors.New("the port is in exclusive mode")
	// ErrNotPermitted: a hang-up that keeps the port, or an overlay, needs CAP_SYS_ADMIN.
	ErrNotPermitted = errors.New("not permitted without CAP_SYS_ADMIN")
	// ErrStale: a program has changed its settings since the last Observe, so
	// nothing was written over them. StatusIoctl is pending.
	ErrStale = errors.New("a program has changed the settings meanwhile")
	// ErrLinkTaken: something that is not ours stands at the link's path.
	ErrLinkTaken = errors.New("the name is taken")
	// ErrLinkServed: another process serves the link now.
	ErrLinkServed = errors.New("the link is served by another process")
	// ErrLinkUnusable: the path or its directory cannot hold a link.
	ErrLinkUnusable = errors.New("no link can be made there")
	// ErrNotTTY: an overlay was asked for over something else than a tty.
	ErrNotTTY = errors.New("it is not a tty")
)

var errShortBuffer = errors.New("buffer shorter than two bytes")

// OpError is the failure of one operation on a pseudo-terminal.
type OpError struct {
	// Op is what was being done: "open", "read", "write", "observe", …
	Op string
	// Path is the slave's path, empty when there is none yet.
	Path string
	// Err is the cause: usually an os.SyscallError, or one of the sentinels.
	Err error
}

// Error implements error.
func (e *OpError) Error() string {
	if e.Path == "" {
		return "pseudo-terminal: " + e.Op + ": " + e.Err.Error()
	}
	return "pseudo-terminal " + e.Path + ": " + e.Op + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *OpError) Unwrap() error { return e.Err }

// LinkError says in three parts why a link could not be claimed, pointed or
// released. Kind is always one of ErrLinkTaken, ErrLinkServed and
// ErrLinkUnusable; both Kind and Err are found by errors.Is and errors.As.
type LinkError struct {
	// Op is what was being done: "claim", "point" or "release".
	Op string
	// Path is the link's absolute path.
	Path string
	// Found is what stood in the way: "a regular file is there".
	Found string
	// Advice is what to do next: "remove it or choose another name".
	Advice string
	// Kind is the sentinel to decide by.
	Kind error
	// Err is the system's error, nil if none was involved.
	Err error
}

// Error implements error.
func (e *LinkError) Error() string {
	// To a user it is one thing: the link cannot be made.
	verb := "make"
	if e.Op == "release" {
		verb = "remove"
	}
	s := "cannot " + verb + " the link " + e.Path + ": " + e.Found
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s + "; " + e.Advice
}

// Unwrap returns Kind and Err.
func (e *LinkError) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// OverlayError says in three parts why a tty node could not be claimed, covered
// or released. Kind is one of ErrNotTTY, ErrNotPermitted, ErrLinkTaken,
// ErrLinkServed and ErrLinkUnusable; both Kind and Err are found by errors.Is
// and errors.As.
type OverlayError struct {
	// Op is what was being done: "claim", "point" or "release".
	Op string
	// Path is the node's, absolute and without symbolic links once it was found.
	Path string
	// Found is what stood in the way: "it is a regular file".
	Found string
	// Advice is what to do next.
	Advice string
	// Kind is the sentinel to decide by.
	Kind error
	// Err is the system's error, nil if none was involved.
	Err error
}

// Error implements error.
func (e *OverlayError) Error() string {
	verb := "put the port over "
	if e.Op == "release" {
		verb = "take the port off "
	}
	s := "cannot " + verb + e.Path + ": " + e.Found
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s + "; " + e.Advice
}

// Unwrap returns Kind and Err.
func (e *OverlayError) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}
