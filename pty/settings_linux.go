package pty

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// What EXTPROC takes from the line discipline (drivers/tty/n_tty.c: it skips
// line assembly, echo, signals and CR mapping): a program that asks for one of
// these needs EXTPROC off to get it.
const (
	lineDisciplineLocal = unix.ICANON | unix.ECHO | unix.ISIG
	lineDisciplineInput = unix.ICRNL | unix.INLCR | unix.IGNCR
)

// observeRounds bounds the chase after a program that changes its settings
// faster than they can be looked at; the thread serves other ports too.
const observeRounds = 8

func needsLineDiscipline(t *unix.Termios) bool {
	return t.Lflag&lineDisciplineLocal != 0 || t.Iflag&lineDisciplineInput != 0
}

// Exact reports that EXTPROC is locked on: every tcsetattr raises StatusIoctl,
// and none is ever overwritten.
func (m *Master) Exact() bool { return m.lockable && !m.released }

// Polled reports that EXTPROC was given up for a program that wants lines,
// echo, signals or CR mapping. No status announces its next tcsetattr: call
// Observe at every byte and periodically.
func (m *Master) Polled() bool { return m.released }

// Settings returns the settings last observed or shown, or put there by Hangup,
// without EXTPROC. Unlike Observe it does not look: a program's change that is
// still to be observed is not in them.
func (m *Master) Settings() unix.Termios { return m.known }

// Observe returns the settings that programs want now, without EXTPROC, and
// gives EXTPROC up, takes it back or arms it again as they ask for. If a
// program keeps changing its mind meanwhile, the newest settings seen are
// returned and StatusIoctl is pending.
func (m *Master) Observe() (unix.Termios, error) {
	for range observeRounds {
		t, extproc, err := m.look()
		if err != nil {
			return unix.Termios{}, m.wrap("observe", err)
		}
		release := needsLineDiscipline(&t)
		m.known = t
		if extproc != release {
			m.released = release
			return t, nil
		}
		// From here to the next look a program's change may be overwritten:
		// nothing but the lock prevents that, and the lock has to be off while
		// EXTPROC itself is changed. What comes after is seen by that look.
		if err := m.apply(t, extproc); err != nil {
			return unix.Termios{}, m.wrap("observe", err)
		}
		if _, err := m.dropOwnIoctl(); err != nil {
			return unix.Termios{}, m.wrap("observe", err)
		}
	}
	m.pending |= StatusIoctl
	return m.known, nil
}

// Show makes t what programs read with tcgetattr: the truth from the far end.
// CSIZE and PARENB cannot be shown, the kernel strips them. It is meant to be
// rare and late, when the program has been quiet for a while: if its settings
// are not those of the last Observe or Show, nothing is written and the error
// is ErrStale; if they change at the same moment, StatusIoctl is pending
// afterwards and Observe tells. (A change in the few microseconds between
// looking and writing cannot be detected.)
func (m *Master) Show(t unix.Termios) error {
	t.Lflag &^= unix.EXTPROC
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8 | unix.CREAD

	st, err := m.kernelStatus()
	if err != nil {
		return m.wrap("show", err)
	}
	m.pending |= st
	before, extproc, err := m.look()
	if err != nil {
		return m.wrap("show", err)
	}
	if m.pending&StatusIoctl != 0 || !sameSettings(&before, &m.known) {
		m.pending |= StatusIoctl
		return m.wrap("show", ErrStale)
	}

	if err := m.apply(t, extproc); err != nil {
		return m.wrap("show", err)
	}
	raised, err := m.dropOwnIoctl()
	if err != nil {
		return m.wrap("show", err)
	}
	after, _, err := m.look()
	if err != nil {
		return m.wrap("show", err)
	}
	m.known = t
	if !sameSettings(&after, &t) {
		m.pending |= StatusIoctl
		return nil
	}
	m.known = after // with the speeds that the kernel worked out of the flags
	// Turning IXON on or off raises one of these, and this time it was us.
	if flow := raised & (StatusDoStop | StatusNoStop); (before.Iflag^after.Iflag)&unix.IXON != 0 {
		m.pending &^= flow
	}
	return nil
}

// apply writes t and brings EXTPROC, which is now as extproc says, to what t
// calls for.
func (m *Master) apply(t unix.Termios, extproc bool) (err error) {
	release := needsLineDiscipline(&t)
	if !release {
		t.Lflag |= unix.EXTPROC
	}
	// The lock pins the flag both ways: TCSETS2 on a locked one returns 0 and
	// changes nothing.
	if m.lockable && extproc == release {
		if err := m.lockExtproc(false); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, m.lockExtproc(true)) }()
	}
	if err := m.writeTermios(&t); err != nil {
		return err
	}
	m.released = release
	return nil
}

// dropOwnIoctl reads the status that our own TCSETS2 has raised and keeps the
// rest. A program's change in the same moment has made no second byte: the
// caller must look at the settings again.
func (m *Master) dropOwnIoctl() (Status, error) {
	st, err := m.kernelStatus()
	m.pending |= st &^ StatusIoctl
	return st, err
}

// look returns the settings without EXTPROC, and whether it was set.
func (m *Master) look() (t unix.Termios, extproc bool, err error) {
	if err := m.ioctlTermios(unix.TCGETS2, &t); err != nil {
		return t, false, os.NewSyscallError("TCGETS2", err)
	}
	extproc = t.Lflag&unix.EXTPROC != 0
	t.Lflag &^= unix.EXTPROC
	return t, extproc, nil
}

func (m *Master) readTermios() (unix.Termios, error) {
	t, _, err := m.look()
	return t, err
}

func (m *Master) writeTermios(t *unix.Termios) error {
	return os.NewSyscallError("TCSETS2", m.ioctlTermios(unix.TCSETS2, t))
}

// lockExtproc makes EXTPROC unchangeable, or changeable again, for programs
// and for us (TIOCSLCKTRMIOS, ioctl_tty(2)).
func (m *Master) lockExtproc(on bool) error {
	var mask unix.Termios
	if on {
		mask.Lflag = unix.EXTPROC
	}
	return os.NewSyscallError("TIOCSLCKTRMIOS", m.ioctlTermios(unix.TIOCSLCKTRMIOS, &mask))
}

// sameSettings compares what was asked for with what the kernel made of it.
// The speeds count only with BOTHER: otherwise the kernel works them out from
// the flags, which are compared.
func sameSettings(a, b *unix.Termios) bool {
	if a.Iflag != b.Iflag || a.Oflag != b.Oflag || a.Cflag != b.Cflag || a.Lflag != b.Lflag ||
		a.Line != b.Line || a.Cc != b.Cc {
		return false
	}
	const inputShift = 16 // IBSHIFT, include/uapi/asm-generic/termbits-common.h
	if a.Cflag&unix.CBAUD == unix.BOTHER && a.Ospeed != b.Ospeed {
		return false
	}
	return (a.Cflag>>inputShift)&unix.CBAUD != unix.BOTHER || a.Ispeed == b.Ispeed
}
