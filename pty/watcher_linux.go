package pty

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

const (
	// watched are the events of a program that opens or closes a slave.
	watched = unix.IN_OPEN | unix.IN_CLOSE_WRITE | unix.IN_CLOSE_NOWRITE

	// dispatchReads bounds one Dispatch, so that programs which open and close
	// a port in a tight loop cannot keep the thread. The rest wakes it again.
	dispatchReads  = 16
	dispatchBuffer = 4096
)

// Watcher tells when programs open and close ports: one inotify instance for
// all of them, since a user may have only 128 (max_user_instances). Like
// Master it is for one goroutine and never blocks. Register Fd with epoll
// level-triggered.
//
// A wake-up is only a reason to look, since the kernel merges identical events
// and a program may have come and gone already: Read until ErrWouldBlock or
// ErrHangup. The opens and closes of Reclaim and FlushInput are reported only
// when a program was there at the same time.
type Watcher struct {
	descriptor

	ports map[int32]*watchedPort // by watch descriptor
	due   []*watchedPort         // reused by Dispatch
	// arrivals is for Hangup; nil until the first.
	arrivals *opens
	buf      [dispatchBuffer]byte
}

type watchedPort struct {
	master *Master
	wd     int32
	wake   func()
	due    bool
}

// NewWatcher makes the inotify instance.
func NewWatcher() (*Watcher, error) {
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	switch {
	case errors.Is(err, unix.EMFILE):
		return nil, fmt.Errorf("watch ports: no inotify instance or descriptor left; "+
			"raise fs.inotify.max_user_instances or RLIMIT_NOFILE: %w", os.NewSyscallError("inotify_init1", err))
	case err != nil:
		return nil, fmt.Errorf("watch ports: %w", os.NewSyscallError("inotify_init1", err))
	}
	return &Watcher{descriptor: descriptor{fd: fd}, ports: make(map[int32]*watchedPort)}, nil
}

// Fd is for epoll registration only; -1 after Close.
func (w *Watcher) Fd() int { return w.fd }

// Add has Dispatch call wake whenever a program may have opened or closed m's
// slave. Adding m again replaces its wake.
func (w *Watcher) Add(m *Master, wake func()) error {
	wd, err := unix.InotifyAddWatch(w.fd, m.path, watched)
	switch {
	case errors.Is(err, unix.ENOSPC):
		return m.wrap("watch", fmt.Errorf("no inotify watch left; raise fs.inotify.max_user_watches: %w",
			os.NewSyscallError("inotify_add_watch", err)))
	case err != nil:
		return m.wrap("watch", os.NewSyscallError("inotify_add_watch", err))
	}
	m.ownOpens, m.ownCloses = 0, 0 // those were before the watch
	w.ports[int32(wd)] = &watchedPort{master: m, wd: int32(wd), wake: wake}
	m.watcher = w
	return nil
}

// forget drops m's events that wait: with another watch descriptor, they are
// nobody's any more.
func (w *Watcher) forget(m *Master) error {
	for _, p := range w.ports {
		if p.master == m {
			return w.again(p)
		}
	}
	return nil
}

func (w *Watcher) again(p *watchedPort) error {
	if _, err := unix.InotifyRmWatch(w.fd, uint32(p.wd)); err != nil {
		return os.NewSyscallError("inotify_rm_watch", err)
	}
	delete(w.ports, p.wd)
	wd, err := unix.InotifyAddWatch(w.fd, p.master.path, watched)
	if err != nil {
		return os.NewSyscallError("inotify_add_watch", err)
	}
	p.wd = int32(wd)
	w.ports[p.wd] = p
	p.master.ownOpens, p.master.ownCloses = 0, 0
	return nil
}

// Remove ends Add. A master that was not added, or is already closed, is fine.
// A wake-up that Dispatch has not yet made is not made any more.
func (w *Watcher) Remove(m *Master) {
	for wd, p := range w.ports {
		if p.master == m {
			delete(w.ports, wd)
			m.watcher = nil
			// Fails if the slave's node has gone with its master, and then the
			// watch has gone too.
			_, _ = unix.InotifyRmWatch(w.fd, uint32(wd))
		}
	}
}

// Dispatch reads the events that wait and calls wake once for each master
// concerned; all of them if the kernel's queue has overflowed. wake may call
// Add and Remove, not Dispatch. Under a flood of events some may be left: the descriptor
// stays readable.
func (w *Watcher) Dispatch() error {
	w.due = w.due[:0]
	err := w.collect()
	for _, p := range w.due {
		p.due = false
	}
	for _, p := range w.due {
		if w.ports[p.wd] == p {
			p.wake()
		}
	}
	clear(w.due)
	return err
}

func (w *Watcher) collect() error {
	for range dispatchReads {
		n, err := unix.Read(w.fd, w.buf[:])
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return nil
		case err != nil && w.fd == closedDescriptor:
			return fmt.Errorf("watch ports: %w", os.ErrClosed)
		case err != nil:
			return fmt.Errorf("watch ports: %w", os.NewSyscallError("read inotify", err))
		}
		w.parse(w.buf[:n])
	}
	return nil
}

// parse marks the ports named in events: struct inotify_event of inotify(7),
// wd s32, mask u32, cookie u32, len u32, name[len], in the host's byte order.
func (w *Watcher) parse(events []byte) {
	for len(events) >= unix.SizeofInotifyEvent {
		wd := int32(binary.NativeEndian.Uint32(events[0:4]))
		mask := binary.NativeEndian.Uint32(events[4:8])
		nameLen := binary.NativeEndian.Uint32(events[12:16])
		events = events[unix.SizeofInotifyEvent:]
		events = events[min(uint64(nameLen), uint64(len(events))):]
		switch {
		case mask&unix.IN_Q_OVERFLOW != 0:
			for _, p := range w.ports {
				p.master.ownOpens, p.master.ownCloses = 0, 0 // may be among the lost
				p.master.abandoned, p.master.arrived = false, true
				w.mark(p)
			}
		case mask&watched != 0:
			// An event that was queued before Remove has no port any more;
			// watch descriptors are not reused.
			if p, ok := w.ports[wd]; ok && !p.master.isOwnEvent(mask) {
				if mask&unix.IN_OPEN != 0 {
					p.master.abandoned, p.master.arrived = false, true
				}
				w.mark(p)
			}
		}
	}
}

// isOwnEvent takes one event off those that discountOwnEvents has announced.
func (m *Master) isOwnEvent(mask uint32) bool {
	switch {
	case mask&unix.IN_OPEN != 0 && m.ownOpens > 0:
		m.ownOpens--
		return true
	case mask&unix.IN_CLOSE_NOWRITE != 0 && m.ownCloses > 0:
		m.ownCloses--
		// The open of our own came before it, if this kernel tells of one: before
		// Linux 6.5 TIOCGPTPEER raises none, and the next is a program's.
		m.ownOpens = min(m.ownOpens, m.ownCloses)
		return true
	default:
		return false
	}
}

func (w *Watcher) mark(p *watchedPort) {
	if !p.due {
		p.due = true
		w.due = append(w.due, p)
	}
}

// Close ends the watch of all ports.
func (w *Watcher) Close() error {
	for _, p := range w.ports {
		p.master.watcher = nil
	}
	clear(w.ports)
	if w.arrivals != nil {
		w.arrivals.discard()
	}
	if err := w.close(); err != nil {
		return fmt.Errorf("watch ports: close: %w", err)
	}
	return nil
}
