package pty

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// multiplexer is the device that makes a new pseudo-terminal (pts(4)).
const multiplexer = "/dev/ptmx"

// Options says who may open the port. They apply to the terminal's own node,
// /dev/pts/N, since the permissions of a link to it mean nothing.
type Options struct {
	// UID and GID own the node; -1 leaves what the kernel chose.
	UID, GID int
	// Mode is the node's permissions; 0 leaves what the kernel chose.
	Mode os.FileMode
}

// Open makes a pseudo-terminal that looks like a UART at rest: 9600 8N1, raw,
// CREAD, HUPCL and CLOCAL set. No program has it open yet, and it says so
// (Hung is true). The error is an *OpError.
func Open(o Options) (*Master, error) {
	fd, err := openMultiplexer()
	if err != nil {
		return nil, &OpError{Op: "open " + multiplexer, Err: err}
	}
	m := &Master{descriptor: descriptor{fd: fd}}
	if op, err := m.setUp(o); err != nil {
		return nil, &OpError{Op: op, Path: m.path, Err: errors.Join(err, m.close())}
	}
	return m, nil
}

func openMultiplexer() (int, error) {
	for {
		fd, err := unix.Open(multiplexer, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if !errors.Is(err, unix.EINTR) {
			return fd, err
		}
	}
}

// setUp returns the step that failed. The slave is unlocked only after it is
// raw: a fresh one has ECHO and ICANON, and would send what the master writes
// straight back.
func (m *Master) setUp(o Options) (step string, err error) {
	number, err := unix.IoctlGetUint32(m.fd, unix.TIOCGPTN)
	if err != nil {
		return "ask for its number (TIOCGPTN)", err
	}
	m.path = "/dev/pts/" + strconv.FormatUint(uint64(number), 10)
	if err := unix.IoctlSetPointerInt(m.fd, unix.TIOCPKT, 1); err != nil {
		return "set packet mode (TIOCPKT)", err
	}
	if m.fresh, err = m.readTermios(); err != nil {
		return "read the kernel's settings (TCGETS2)", err
	}
	initial := initialTermios()
	if err := m.writeTermios(&initial); err != nil {
		return "set the initial settings (TCSETS2)", err
	}
	// Refused means not permitted: no other failure exists for a pty. The
	// careful way of Observe then takes the lock's place.
	m.lockable = true
	if err := m.lockExtproc(true); err != nil {
		m.lockable = false
	}
	if err := unix.IoctlSetPointerInt(m.fd, unix.TIOCSPTLCK, 0); err != nil {
		return "unlock (TIOCSPTLCK)", err
	}
	slave, err := m.openSlave()
	if err != nil {
		return "open the slave (TIOCGPTPEER)", err
	}
	// A slave that was never open shows no hang-up, so this close is needed
	// even when there is nothing to own.
	if err := errors.Join(giveAway(slave, o), slave.close()); err != nil {
		return "set owner and mode", err
	}
	if m.known, err = m.readTermios(); err != nil {
		return "read the settings (TCGETS2)", err
	}
	_, err = m.kernelStatus() // all of it is the set-up's own
	return "read the status", err
}

func giveAway(slave *descriptor, o Options) error {
	if o.UID != -1 || o.GID != -1 {
		if err := unix.Fchown(slave.fd, o.UID, o.GID); err != nil {
			return os.NewSyscallError("fchown", err)
		}
	}
	if o.Mode != 0 {
		if err := unix.Fchmod(slave.fd, uint32(o.Mode.Perm())); err != nil {
			return os.NewSyscallError("fchmod", err)
		}
	}
	return nil
}

// initialTermios is a UART's power-on state as programs expect it. HUPCL also
// makes glibc accept an even-parity tcsetattr built from zero: tcsetattr
// reports EINVAL when the kernel kept none of the cflag changes asked for, and
// the clearing of HUPCL is one that it keeps.
func initialTermios() unix.Termios {
	t := unix.Termios{
		Cflag:  unix.B9600 | unix.CS8 | unix.CREAD | unix.HUPCL | unix.CLOCAL,
		Lflag:  unix.EXTPROC,
		Ispeed: 9600,
		Ospeed: 9600,
	}
	// The characters that a program finds when it turns ICANON, ISIG or IXON
	// on and nothing else: the kernel's INIT_C_CC
	// (include/asm-generic/termios.h).
	t.Cc[unix.VINTR] = 'C' - '@'
	t.Cc[unix.VQUIT] = '\\' - '@'
	t.Cc[unix.VERASE] = 0x7f
	t.Cc[unix.VKILL] = 'U' - '@'
	t.Cc[unix.VEOF] = 'D' - '@'
	t.Cc[unix.VMIN] = 1
	t.Cc[unix.VSTART] = 'Q' - '@'
	t.Cc[unix.VSTOP] = 'S' - '@'
	t.Cc[unix.VSUSP] = 'Z' - '@'
	t.Cc[unix.VREPRINT] = 'R' - '@'
	t.Cc[unix.VDISCARD] = 'O' - '@'
	t.Cc[unix.VWERASE] = 'W' - '@'
	t.Cc[unix.VLNEXT] = 'V' - '@'
	return t
}

// openSlave opens the slave through the master (Linux 4.13): no path is
// involved, so neither another mount namespace nor the node's owner matters.
// Read-only, so that its close is another inotify event than that of a program
// which may have written.
func (m *Master) openSlave() (*descriptor, error) {
	fd, err := m.ioctl(unix.TIOCGPTPEER, unix.O_RDONLY|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC)
	if errors.Is(err, unix.EBUSY) {
		return nil, ErrBusy
	}
	if err != nil {
		return nil, os.NewSyscallError("TIOCGPTPEER", err)
	}
	return &descriptor{fd: fd}, nil
}
