package seccomp

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// The listener's requests and flags that x/sys lacks (include/uapi/linux/seccomp.h).
const (
	notifIDValid  = 0x40082102
	notifSetFlags = 0x40082104 // its argument is a value
	notifSyncWake = 1          // SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP, Linux 6.6
)

// notification is struct seccomp_notif with the struct seccomp_data in it.
type notification struct {
	id    uint64
	tid   uint32 // as this process sees it; 0 if it cannot
	flags uint32
	nr    uint32
	audit uint32 // AUDIT_ARCH_*
	ip    uint64
	args  [6]uint64
}

// response is struct seccomp_notif_resp. errno is negative, and val counts if it is 0.
type response struct {
	id    uint64
	val   int64
	errno int32
	flags uint32
}

// receive fills n in, which the kernel wants to be zero before. After poll has said POLLIN it does not wait: a
// notification that is withdrawn meanwhile leaves an ENOENT behind.
func receive(listener int, n *notification) unix.Errno {
	*n = notification{}
	_, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(n)))
	return errno
}

// send answers. A task that has been killed needs no answer.
func send(listener int, r *response) {
	for {
		_, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(listener), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(r)))
		if errno != unix.EINTR { // the kernel takes its lock interruptibly
			return
		}
	}
}

// valid reports whether a notification still waits for its answer: then its task lives, and the task's number is no
// other's.
func valid(listener int, id *uint64) bool {
	for {
		_, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(listener), notifIDValid, uintptr(unsafe.Pointer(id)))
		if errno != unix.EINTR {
			return errno == 0
		}
	}
}
