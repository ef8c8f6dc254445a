// Package sysio reads and writes non-blocking descriptors without telling Go's
// scheduler.
//
// A usual system call lets the scheduler know that the thread may block, and has
// its monitor thread look every 20 µs whether it does: on a poll loop, which
// never blocks in read and write, that is a second thread woken thousands of
// times a second for nothing (docs/performance.md has the measurement). The
// descriptors must be non-blocking: a call that blocked here would stop the
// garbage collector, and with it the whole process.
package sysio

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Read is read(2). The error number is 0 for none.
func Read(fd int, p []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return result(n, errno)
}

// Write is write(2). The error number is 0 for none.
func Write(fd int, p []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall(unix.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	return result(n, errno)
}

// Send is send(2) with MSG_NOSIGNAL: the peer's reset is an error, not a
// SIGPIPE. The error number is 0 for none.
func Send(fd int, p []byte) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)),
		unix.MSG_NOSIGNAL, 0, 0)
	return result(n, errno)
}

func result(n uintptr, errno unix.Errno) (int, unix.Errno) {
	if errno != 0 {
		return 0, errno
	}
	return int(n), 0
}
