package port

import (
	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/bridge"
	"github.com/vcomd/vcomd/pty"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// tty is what programs open: a pseudo-terminal (terminal), or a tty of the kernel's
// own serial driver (adapter).
type tty interface {
	bridge.TTY

	// path is the device node; empty while there is none.
	path() string
	// hung reports whether no program has it open.
	hung() (bool, error)
	// readable returns how many bytes of programs wait in it.
	readable() int

	// status is what programs did since it was looked at last; pending reports that
	// the loop does not wake for some of it.
	status() (pty.Status, error)
	pending() bool

	// observe returns the settings after a program's tcsetattr, settings those that
	// are known, and show writes others to the tty. polled reports that nothing tells
	// of a tcsetattr: the settings must be looked at.
	observe() (unix.Termios, error)
	settings() unix.Termios
	show(t unix.Termios) error
	polled() bool

	// modem is for each change of the modem lines, damaged for what the remote UART has
	// received wrong.
	modem(levels comport.ModemState)
	damaged(s comport.LineState)
	// raises reports that the tty's own driver raises the lines at the first open, and
	// drops them at the last close.
	raises() bool
	flushInput() error
	// interrupt is what a received break does to a program with BRKINT.
	interrupt() error
	// hangup ends those who have it open, and keeps it.
	hangup() error

	// park ends the callbacks until unpark, while no program has it open. reclaim
	// makes it fit for the next program: an error means that another tty is needed.
	park()
	unpark()
	reclaim() error
	// close ends it: a program that still has it open sees a hang-up.
	close() error
}
