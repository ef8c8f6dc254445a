package pty

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/sysio"
)

// MaxRead is the most data one Read can return, as far as the kernel goes: its
// line discipline hands out at most 4095 bytes at once. A buffer of MaxRead+1
// bytes has room for the packet-mode prefix too.
const MaxRead = 4095

// Master is the master side of one pseudo-terminal. All methods are
// non-blocking and for one goroutine; see the package documentation.
type Master struct {
	descriptor

	path string
	// lockable: the kernel lets this process lock EXTPROC.
	lockable bool
	// released: a program wants the line discipline, so EXTPROC is off.
	released bool
	// known is what the tty was last seen or made to be, without EXTPROC.
	known unix.Termios
	// fresh are the kernel's own settings, which a hang-up resets the tty to.
	fresh unix.Termios
	// abandoned: programs were hung up and none has come since. Their dead
	// descriptors may keep the kernel from saying so.
	abandoned bool
	// watcher is the one that the master was added to, nil if none.
	watcher *Watcher
	// pending are status bits that were read from the kernel on another
	// errand and that Read or ReadStatus has still to return.
	pending Status
	// hangupSeen: a hang-up was seen and nothing has been written since, so
	// whatever waits in the slave's input queue is for nobody.
	hangupSeen bool
	// written: bytes may wait in the slave's input queue.
	written bool
	// ownOpens and ownCloses are inotify events that this package has raised
	// itself and that a Watcher has not yet come across.
	ownOpens, ownCloses int
	// arrived: the Watcher was told of an open that was not one of those
	arrived bool
	// poll is here so that polling does not allocate.
	poll [1]unix.PollFd
}

// Path is the slave's, /dev/pts/N: what programs open and a link points to.
func (m *Master) Path() string { return m.path }

// Fd is for epoll registration only; -1 after Close.
func (m *Master) Fd() int { return m.fd }

// Close closes the master; programs that have the slave open read EIO or end
// of file and get SIGHUP if it is their controlling terminal. A second Close
// returns an error that is os.ErrClosed.
func (m *Master) Close() error { return m.wrap("close", m.close()) }

// Read reads into p, which must have room for two bytes, as often as the kernel
// gives full pieces and p has room for MaxRead more. It
// returns data, which alias p, or a status and no data. The error is
// ErrWouldBlock when nothing waits, ErrHangup when nothing waits and no
// program has the port open, or an *OpError. It never allocates except for an
// *OpError.
func (m *Master) Read(p []byte) (data []byte, st Status, err error) {
	if m.pending != 0 {
		return nil, m.takePending(), nil
	}
	if len(p) < 2 {
		return nil, 0, m.wrap("read", errShortBuffer)
	}
	n, err := m.readRaw(p)
	switch {
	case err != nil:
		return nil, 0, err
	case p[0] != unix.TIOCPKT_DATA:
		return nil, Status(p[0]), nil
	case n == 1:
		return nil, 0, ErrWouldBlock // a prefix without data says nothing
	default:
		return m.readOn(p, n), 0, nil
	}
}

// readOn goes on reading into p, of which the first n bytes are read, while full
// reads say that more waits and there is room for another: a few large pieces
// cost their receiver less than many of the kernel's 4095 bytes. A status met on
// the way is left to the next Read; the data came before it.
func (m *Master) readOn(p []byte, n int) []byte {
	for full := n == MaxRead+1; full && len(p)-n >= MaxRead; {
		// The prefix byte of the next read falls on the last byte of data.
		last := p[n-1]
		k, err := m.readRaw(p[n-1 : n+MaxRead])
		prefix := p[n-1]
		p[n-1] = last
		if err != nil {
			break // met again by the next Read
		}
		if prefix != unix.TIOCPKT_DATA {
			m.pending |= Status(prefix)
			break
		}
		n += k - 1
		full = k == MaxRead+1
	}
	return p[1:n]
}

// readRaw returns at least one byte or an error.
func (m *Master) readRaw(p []byte) (int, error) {
	for {
		n, errno := sysio.Read(m.fd, p)
		switch errno {
		case 0:
			if n > 0 {
				return n, nil
			}
			// End of file is how a hung-up terminal reads.
			m.hangupSeen = true
			return 0, ErrHangup
		case unix.EINTR:
		case unix.EAGAIN:
			if m.abandoned {
				return 0, ErrHangup
			}
			return 0, ErrWouldBlock
		case unix.EIO:
			m.hangupSeen = true
			return 0, ErrHangup
		default:
			return 0, m.wrap("read", os.NewSyscallError("read", errno))
		}
	}
}

// ReadStatus returns the status that waits, 0 if there is none. It never reads
// data.
func (m *Master) ReadStatus() (Status, error) {
	st, err := m.kernelStatus()
	return st | m.takePending(), m.wrap("read the status", err)
}

// Pending reports whether Read or ReadStatus would return a status that the
// kernel no longer knows of, and for which it wakes nobody.
func (m *Master) Pending() bool { return m.pending != 0 }

func (m *Master) takePending() Status {
	st := m.pending
	m.pending = 0
	return st
}

// kernelStatus reads the kernel's status byte if there is one. POLLPRI means
// exactly that, and only a read takes a status away, so the read that follows
// cannot meet data.
func (m *Master) kernelStatus() (Status, error) {
	events, err := m.pollNow(unix.POLLPRI)
	if err != nil || events&unix.POLLPRI == 0 {
		return 0, err
	}
	var b [1]byte
	_, err = m.readRaw(b[:])
	if errors.Is(err, ErrWouldBlock) || errors.Is(err, ErrHangup) {
		return 0, nil
	}
	return Status(b[0]), err
}

// Write hands bytes to the programs' side and returns how many were taken,
// which may be fewer than len(p). When none were, the error is ErrWouldBlock,
// or ErrHangup should the kernel say so, or an *OpError. The kernel holds 16
// to 20 KiB, also while no program has the port open: do not write then.
func (m *Master) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, errno := sysio.Write(m.fd, p)
		switch errno {
		case 0:
			if n == 0 {
				return 0, ErrWouldBlock
			}
			m.written = true
			m.hangupSeen = false
			return n, nil
		case unix.EINTR:
		case unix.EAGAIN:
			return 0, ErrWouldBlock
		case unix.EIO:
			return 0, ErrHangup
		default:
			return 0, m.wrap("write", os.NewSyscallError("write", errno))
		}
	}
}

// Hung reports that no program has the port open.
func (m *Master) Hung() (bool, error) {
	const left = unix.POLLIN | unix.POLLPRI
	var ask int16
	if m.abandoned {
		ask = left
	}
	events, err := m.pollNow(ask)
	if err != nil {
		return false, m.wrap("poll", err)
	}
	switch {
	case events&unix.POLLHUP != 0:
		m.hangupSeen = true
		m.abandoned = false
		return true, nil
	case events&left != 0:
		m.abandoned = false // a dead descriptor writes nothing and sets nothing
	}
	return m.abandoned, nil
}

// Readable counts the data bytes that wait to be read (FIONREAD). At the
// moment of a status they are what may be older than it.
func (m *Master) Readable() (int, error) {
	n, err := unix.IoctlGetInt(m.fd, unix.TIOCINQ)
	if err != nil {
		return 0, m.wrap("count the input (FIONREAD)", os.NewSyscallError("ioctl", err))
	}
	return n, nil
}

func (m *Master) pollNow(events int16) (int16, error) {
	for {
		m.poll[0] = unix.PollFd{Fd: int32(m.fd), Events: events}
		_, err := unix.Poll(m.poll[:], 0)
		switch {
		case err == nil && m.fd == closedDescriptor:
			return 0, os.ErrClosed // poll(2) ignores negative descriptors
		case err == nil:
			return m.poll[0].Revents, nil
		case !errors.Is(err, unix.EINTR):
			return 0, os.NewSyscallError("poll", err)
		}
	}
}

// wrap says what failed on which terminal; nil stays nil.
func (m *Master) wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	if m.fd == closedDescriptor {
		err = os.ErrClosed // EBADF, said in the way that callers look for
	}
	return &OpError{Op: op, Path: m.path, Err: err}
}
