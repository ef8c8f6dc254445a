package pty

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Reclaim makes the port fit for the next program after the last one has
// closed it: exclusive mode is cleared, HUPCL set again, and bytes that the
// last program never read are dropped. Status bits from that program are kept
// for Read. Call it when a hang-up was seen and before anything more is
// written.
//
// ErrBusy means that the port cannot be opened any more and a fresh
// pseudo-terminal has to take its place.
//
// If a program has opened the port again meanwhile, its settings and its
// exclusive mode are left alone, and only bytes that were written before the
// hang-up was seen are dropped.
func (m *Master) Reclaim() error {
	hung, err := m.Hung()
	if err != nil {
		return m.wrap("reclaim", err)
	}
	if m.abandoned || !hung && !m.hangupSeen {
		return nil // nothing is known to be stale; Hangup leaves nothing
	}
	if hung {
		m.arrived = false
		if err := m.restoreHangupOnClose(); err != nil {
			return m.wrap("reclaim", err)
		}
	}
	slave, err := m.openSlave()
	if err != nil {
		return m.wrap("reclaim", err)
	}
	// The mode may be that of a program that has just come, and surely is where our open
	// would have failed with it.
	if hung && hasSysAdmin() && isExclusive(slave) {
		_, err = slave.ioctl(unix.TIOCNXCL, 0)
		err = os.NewSyscallError("TIOCNXCL", err)
	}
	raised, flushErr := m.flushThrough(slave)
	err = errors.Join(err, flushErr, slave.close())
	inUse, useErr := m.discountOwnEvents()
	if inUse {
		// The flush may have been the newcomer's as well. One too many is the
		// smaller evil.
		m.pending |= raised
	}
	return m.wrap("reclaim", errors.Join(err, useErr))
}

// isExclusive reports whether the port is in exclusive mode, as far as it can be told.
func isExclusive(slave *descriptor) bool {
	exclusive, err := unix.IoctlGetInt(slave.fd, unix.TIOCGEXCL)
	return err != nil || exclusive != 0
}

// Arrived reports whether the Watcher has been told that a program has opened the port, since
// Reclaim has found it closed. One that is gone again before anybody looks may have left
// nothing but its exclusive mode.
func (m *Master) Arrived() bool { return m.arrived }

// discountOwnEvents is called after the slave was opened and closed here. It
// tells the Watcher not to report that, unless a program has been there at the
// same time: inotify merges identical neighbours, so its events may be in
// ours. A program whose open is merged with our open came before our close;
// so it is still there, or has left something, or did nothing at all. One that
// comes later makes events of its own.
func (m *Master) discountOwnEvents() (inUse bool, err error) {
	events, err := m.pollNow(unix.POLLIN | unix.POLLPRI)
	if err == nil && events == unix.POLLHUP {
		m.ownOpens++
		m.ownCloses++
	}
	return events&unix.POLLHUP == 0, err
}

// restoreHangupOnClose sets HUPCL if the last program has cleared it. It runs
// while nobody has the port open, so nobody's change is overwritten.
func (m *Master) restoreHangupOnClose() error {
	t, extproc, err := m.look()
	if err != nil || t.Cflag&unix.HUPCL != 0 {
		return err
	}
	// What the last program set and nobody has observed yet is still news.
	st, err := m.kernelStatus()
	if err != nil {
		return err
	}
	m.pending |= st
	unobserved := !sameSettings(&t, &m.known)

	t.Cflag |= unix.HUPCL
	set := t
	if extproc {
		set.Lflag |= unix.EXTPROC
	}
	if err := m.writeTermios(&set); err != nil {
		return err
	}
	if _, err := m.dropOwnIoctl(); err != nil {
		return err
	}
	after, err := m.readTermios()
	if err != nil {
		return err
	}
	if unobserved || !sameSettings(&after, &t) {
		m.pending |= StatusIoctl
		return nil
	}
	m.known = after
	return nil
}

// FlushInput drops everything that was written to the programs' side and that
// no program has read yet. With ErrBusy (see there) up to 4095 bytes of it may
// be left, the part that only a slave descriptor can reach; a program that holds
// the port in exclusive mode brings this about where CAP_SYS_ADMIN is missing.
func (m *Master) FlushInput() error {
	if m.abandoned && !m.written {
		return nil // and no open of our own is taken for a program's
	}
	slave, err := m.openSlave()
	if err != nil {
		flushErr := unix.IoctlSetInt(m.fd, unix.TCFLSH, unix.TCOFLUSH)
		return m.wrap("flush the input", errors.Join(err, os.NewSyscallError("TCFLSH", flushErr)))
	}
	_, err = m.flushThrough(slave)
	err = errors.Join(err, slave.close())
	_, useErr := m.discountOwnEvents()
	return m.wrap("flush the input", errors.Join(err, useErr))
}

// flushThrough drops the slave's input queue and returns the StatusFlushRead
// that this has raised, which is not left pending. A program's own input flush
// in the same moment is the same bit.
func (m *Master) flushThrough(slave *descriptor) (raised Status, err error) {
	if !m.written {
		return 0, nil // nothing waits: nothing to flush, no status to tell apart
	}
	st, err := m.kernelStatus()
	m.pending |= st
	if err != nil {
		return 0, err
	}
	if err := unix.IoctlSetInt(slave.fd, unix.TCFLSH, unix.TCIFLUSH); err != nil {
		return 0, os.NewSyscallError("TCFLSH", err)
	}
	m.written = false
	st, err = m.kernelStatus()
	m.pending |= st &^ StatusFlushRead
	return st & StatusFlushRead, err
}
