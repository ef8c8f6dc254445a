package checkup

import (
	"errors"
	"unsafe"

	"golang.org/x/sys/unix"
)

func (m Machine) seccomp() SeccompFacts {
	s := SeccompFacts{
		Yama: m.number("proc/sys/kernel/yama/ptrace_scope", -1), NoNewPrivs: statusField(m.read("proc/self/status"), "NoNewPrivs") == "1",
		Bits32: m.bits32(),
	}
	action := uint32(unix.SECCOMP_RET_USER_NOTIF)
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	s.Notify = CannotTell
	switch {
	case errno == 0:
		s.Notify = Yes
	case errors.Is(errno, unix.EOPNOTSUPP), errors.Is(errno, unix.EINVAL): // the action, or the question, is not known
		s.Notify = No
	case errors.Is(errno, unix.EPERM), errors.Is(errno, unix.EACCES), errors.Is(errno, unix.ENOSYS):
		s.Blocked = true // a kernel without seccomp answers like a container that forbids it
	}
	// Flags are looked at before the filter, and there is none at this address: nothing can come of it.
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
	_, _, errno = unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, 0)
	switch {
	case errors.Is(errno, unix.EFAULT):
		s.Killable = Yes
	case errors.Is(errno, unix.EINVAL):
		s.Killable = No
	}
	return s
}

// bits32 reports whether the kernel runs programs of the architecture's 32 bits.
func (m Machine) bits32() Answer {
	switch {
	case unsafe.Sizeof(uintptr(0)) == 4:
		return Yes
	case m.has("proc/sys/abi/vsyscall32"): // arch/x86/entry/vdso/vdso32-setup.c, with IA32 emulation only
		return Yes
	default:
		return CannotTell
	}
}

// beneath asks for a mount beneath another at a place that is none.
func beneath() Answer {
	const moveMountBeneath = 0x200 // MOVE_MOUNT_BENEATH
	// Privileges come first, then the flags, then the descriptors (fs/namespace.c).
	err := unix.MoveMount(-1, "", -1, "", moveMountBeneath|unix.MOVE_MOUNT_F_EMPTY_PATH|unix.MOVE_MOUNT_T_EMPTY_PATH)
	switch {
	case errors.Is(err, unix.EBADF), errors.Is(err, unix.ENOENT):
		return Yes
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS):
		return No
	default:
		return CannotTell
	}
}
