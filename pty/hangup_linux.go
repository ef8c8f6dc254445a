package pty

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Hangup does to the port what unplugging does to a USB adapter, and keeps the
// port: a program that has it open reads end of file, writes EIO and polls
// POLLHUP, the leader of a session whose controlling terminal it is gets
// SIGHUP, and the same path can be opened again at once (TIOCVHANGUP,
// drivers/tty/tty_io.c). Bytes that were not read yet, in either direction, and
// pending status bits are dropped; exclusive mode is cleared. The next program
// finds a raw terminal with the speed, stop bits, CLOCAL and flow control of
// the last Observe or Show.
//
// ErrNotPermitted: nothing was done; closing the Master hangs up too, but then
// the path is gone. After any other error the port is not fit for use and a
// fresh one has to take its place.
//
// The kernel resets the settings to its own (echo, lines, 38400) and Hangup
// writes others a few microseconds later. A program that has opened the port
// within that time may have seen the kernel's, and its own may be overwritten: it
// is hung up too, once more at most hangupTries times. So whoever has the port
// open afterwards has opened it as it is meant to be.
//
// A hung-up program may keep its dead descriptor, and the kernel counts it as
// an open port. Hung says true all the same, until another program comes: a
// [Watcher] has to watch the port for that. (It also makes the call cheap.) When that one closes the port while
// the dead descriptor is still there, nothing tells.
func (m *Master) Hangup() error {
	return m.wrap("hang up", m.hangup())
}

func (m *Master) hangup() error {
	if _, err := m.pollNow(0); err != nil { // a closed one
		return err
	}
	// Asked beforehand: the bytes that are dropped below are not to be lost for
	// nothing. Where the lock is refused the hang-up is refused too.
	if !m.lockable || !hasSysAdmin() {
		return ErrNotPermitted
	}
	arrivals, end := m.watchArrivals()
	defer end()
	for range hangupTries {
		slave, err := m.openSlave()
		if err != nil {
			return err
		}
		early, err := m.disconnect(slave, arrivals)
		if closeErr := slave.close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return err
		}
		if !early || arrivals.broken {
			break
		}
	}
	m.written, m.hangupSeen = false, false
	if err := m.discard(arrivals); err != nil {
		return err
	}
	// Our own open of the slave is forgotten with all that was before; what
	// comes from now on is reported to the Watcher again.
	if m.watcher != nil {
		if err := m.watcher.forget(m); err != nil {
			return err
		}
	}
	m.abandoned = !arrivals.seen()
	return nil
}

// hangupTries bounds the chase after programs that open the port faster than
// its settings are put back; the thread serves other ports too. The quickest
// program there is, which does nothing but poll and open, succeeds with up to
// every second try.
const hangupTries = 16

// disconnect hangs up and puts the settings back. It reports whether a program
// has opened the port before that was done.
func (m *Master) disconnect(slave *descriptor, arrivals *opens) (early bool, err error) {
	next := m.settingsAfterHangup()
	// Before, so that no program that comes after can meet any of it. What the
	// line discipline holds goes with it, at the hang-up.
	if _, err := slave.ioctl(unix.TIOCNXCL, 0); err != nil {
		return false, os.NewSyscallError("TIOCNXCL", err)
	}
	if err := unix.IoctlSetInt(slave.fd, unix.TCFLSH, unix.TCIFLUSH); err != nil {
		return false, os.NewSyscallError("TCFLSH", err)
	}
	if err := unix.IoctlSetInt(m.fd, unix.TCFLSH, unix.TCIFLUSH); err != nil {
		return false, os.NewSyscallError("TCFLSH", err)
	}
	// The reset is not stopped by the lock, but what is locked cannot be set
	// back after it.
	if err := m.lockExtproc(false); err != nil {
		return false, err
	}
	arrivals.forget() // who is here is hung up
	// From here to writeTermios a program finds the kernel's settings. The call
	// is raw: after one that takes long, Go's scheduler may run something else
	// first.
	if errno := slave.rawIoctl(unix.TIOCVHANGUP, 0); errno != 0 {
		if errno == unix.EPERM {
			return false, errors.Join(fmt.Errorf("%w: %w", ErrNotPermitted, os.NewSyscallError("TIOCVHANGUP", errno)), m.lockExtproc(true))
		}
		return false, errors.Join(os.NewSyscallError("TIOCVHANGUP", errno), m.lockExtproc(true))
	}
	m.pending = 0
	m.known = next
	quick := false
	if now, _, err := m.look(); err != nil {
		return false, err
	} else if !sameSettings(&now, &m.fresh) {
		next, quick = now, true // a program was quicker: its settings count
	}
	m.released = needsLineDiscipline(&next)
	set := next
	if !m.released {
		set.Lflag |= unix.EXTPROC
	}
	if err := m.writeTermios(&set); err != nil {
		return false, err
	}
	if err := m.lockExtproc(true); err != nil {
		return false, err
	}
	early = arrivals.seen()
	// Our own, but for a flush. The hang-up has cleared the older ones.
	st, err := m.kernelStatus()
	if err != nil {
		return false, err
	}
	m.pending = st & (StatusFlushRead | StatusFlushWrite | StatusStop | StatusStart)
	after, err := m.readTermios()
	if err != nil {
		return false, err
	}
	if quick || !sameSettings(&after, &next) {
		m.pending |= StatusIoctl
		return early, nil
	}
	m.known = after
	return early, nil
}

// settingsAfterHangup are those that were seen last, as far as they are the
// UART's; what a program wanted of the line discipline ends with it.
func (m *Master) settingsAfterHangup() unix.Termios {
	const flowControl = unix.IXON | unix.IXOFF | unix.IXANY
	t := initialTermios()
	t.Lflag = 0
	t.Iflag = m.known.Iflag & flowControl
	t.Cflag = m.known.Cflag | unix.HUPCL | unix.CREAD
	t.Ispeed, t.Ospeed = m.known.Ispeed, m.known.Ospeed
	return t
}

// discard drops the bytes that hung-up programs have written since they were
// flushed: a write that was under way. It stops when another program has come,
// since the bytes may be that one's.
func (m *Master) discard(arrivals *opens) error {
	var buf [MaxRead + 1]byte
	for {
		// Asking for POLLIN also has the kernel hand over what is on its way.
		if _, err := m.pollNow(unix.POLLIN); err != nil {
			return err
		}
		n, err := m.Readable()
		if err != nil || n == 0 || arrivals.seen() {
			return err
		}
		k, err := m.readRaw(buf[:min(n, MaxRead)+1])
		switch {
		case errors.Is(err, ErrWouldBlock), errors.Is(err, ErrHangup):
			return nil
		case err != nil:
			return err
		case k == 1:
			m.pending |= Status(buf[0])
		}
	}
}

// hasSysAdmin reports whether this thread may use CAP_SYS_ADMIN. A user
// namespace has its own, which does not count for terminals: the kernel decides.
func hasSysAdmin() bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false
	}
	return data[0].Effective&(1<<unix.CAP_SYS_ADMIN) != 0 // 21: one of the first 32
}

// opens tells whether a node has been opened since it was asked to look: an
// inotify instance that, unlike the Watcher's, is never behind.
type opens struct {
	descriptor

	wd     int32
	came   bool
	broken bool // nothing can be told: a program counts as having come, and its bytes are not touched
}

func newOpens() *opens {
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		return &opens{descriptor: descriptor{closedDescriptor}, broken: true}
	}
	return &opens{descriptor: descriptor{fd}}
}

// watchArrivals has the opens of the port told until end is called. The instance
// is the Watcher's for good: the kernel takes some 10 ms to close one.
func (m *Master) watchArrivals() (arrivals *opens, end func()) {
	if m.watcher == nil {
		o := newOpens()
		o.begin(m.path)
		return o, o.discard
	}
	w := m.watcher
	if w.arrivals == nil || w.arrivals.fd == closedDescriptor {
		w.arrivals = newOpens()
	}
	w.arrivals.begin(m.path)
	return w.arrivals, w.arrivals.end
}

func (o *opens) begin(path string) {
	o.came = false
	if o.fd == closedDescriptor {
		return
	}
	wd, err := unix.InotifyAddWatch(o.fd, path, unix.IN_OPEN)
	o.wd, o.broken = int32(wd), err != nil
}

func (o *opens) end() {
	if o.fd != closedDescriptor && !o.broken {
		_, _ = unix.InotifyRmWatch(o.fd, uint32(o.wd))
	}
}

// discard is end for an instance that is not used again.
func (o *opens) discard() {
	if o.fd != closedDescriptor {
		_ = o.close()
	}
}

// forget has seen speak only of what comes after.
func (o *opens) forget() {
	for o.came = false; !o.broken && o.seen(); o.came = false {
	}
}

func (o *opens) seen() bool {
	var event [unix.SizeofInotifyEvent]byte // of a node, not a directory: no name follows
	for !o.came && !o.broken {
		switch _, err := unix.Read(o.fd, event[:]); {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EAGAIN):
			return false
		case err != nil:
			o.broken = true
		default:
			// Others are of watches that have ended.
			wd := int32(binary.NativeEndian.Uint32(event[0:4]))
			mask := binary.NativeEndian.Uint32(event[4:8])
			o.came = wd == o.wd && mask&unix.IN_OPEN != 0 || mask&unix.IN_Q_OVERFLOW != 0
		}
	}
	return true
}
