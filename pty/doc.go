// Package pty is the master side of a pseudo-terminal that stands in for a
// serial port: programs open its slave as they would open /dev/ttyS0, and the
// [Master] sees their data, their settings, their flushes, and when the last
// of them has closed it.
//
// # Who calls it
//
// The package is made for one thread that waits in its own epoll loop. It
// starts no goroutine, takes no lock and never blocks: every method of
// [Master] and [Watcher] is one or a few system calls that return at once, and
// all of them are to be called from one goroutine at a time. Descriptors are
// plain integers on purpose: an os.File would register them with Go's own
// poller as well and double every wake-up.
//
// # The life of a port
//
//	m, err := pty.Open(pty.Options{UID: -1, GID: -1})
//	link, err := pty.ClaimLink("/dev/ttyGPS", "/run/vcomd")
//	err = link.Point(m.Path())
//	err = watcher.Add(m, wake)
//
// The kernel wakes the loop through m.Fd() when a program has written or has
// changed something, and with EPOLLHUP when the last program has closed the
// port. Nothing wakes it through m.Fd() when a program opens the port again:
// that is what the [Watcher] is for. While no program has the port open, Read
// returns [ErrHangup] at once and the descriptor reports EPOLLHUP for ever, so
// a loop that is level-triggered must take it out until the watcher wakes it.
// On a wake-up by the watcher, Read until ErrWouldBlock or ErrHangup: a program
// may have come, written and gone already. [Master.Hung] tells what is so now.
//
// After the last close, [Master.Reclaim] makes the port fit for the next
// program. It opens the slave for a moment; the watcher does not report that.
//
// # Hanging up
//
// There are two ways to tell programs that the line is gone. Both end a blocked
// read and write, and send SIGHUP to the leader of a session whose controlling
// terminal the port is. [Master.Close] needs no privilege and takes the path
// with it: a program that opens the name again must find another port there, so
// move the [Link] first. [Master.Hangup] keeps the path and needs CAP_SYS_ADMIN.
//
// # Status and settings
//
// The master is in packet mode (TIOCPKT, ioctl_tty(2)): Read returns either
// data or a [Status], and [StatusIoctl] says that a program has called
// tcsetattr. [Master.Observe] then tells what it wants. Several calls that
// were not looked at make one status, and an identical one makes one too:
// compare the settings. Show, Observe, Reclaim and FlushInput read status
// bytes of their own and keep those that were not theirs; the kernel does not
// wake the loop for such a one, so ask [Master.Pending] after calling them.
//
// Order is not kept between data and status. A status is read before the data
// that wait with it, whichever came first; [Master.Readable] counts those.
//
// # EXTPROC
//
// The kernel reports tcsetattr to a packet-mode master only while the EXTPROC
// flag is set in the slave's c_lflag, and a program that fills its termios
// from zero clears it. Where the process is permitted to
// (CAP_SYS_ADMIN; CAP_CHECKPOINT_RESTORE on newer kernels) the flag is locked
// with TIOCSLCKTRMIOS and no change can be missed: [Master.Exact]. Elsewhere
// Observe sets it again whenever it finds it cleared, and a program that
// changes its settings twice within that moment may have the second change
// overwritten.
//
// EXTPROC also takes line assembly, echo, signals and CR mapping away from the
// line discipline. So when a program asks for one of those, Observe gives
// EXTPROC up for as long as it does: [Master.Polled] is then true, no status
// announces a change, and Observe must be called at every byte and now and
// then.
//
// # What a pseudo-terminal cannot show
//
// The kernel strips CSIZE and PARENB before the master can look, and answers
// TIOCMGET, TIOCMSET, TIOCSBRK and their like without telling it. PARODD and
// CMSPAR survive.
//
// # Links
//
// A [Link] is the name programs use. It is claimed under a lock, so that two
// processes never serve one name, replaced atomically, and removed only while
// it is still ours. An [Overlay] is the other way round: a name that is there
// already, that of a tty node, is covered with the port by a bind mount.
package pty
