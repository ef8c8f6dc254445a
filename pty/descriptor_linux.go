package pty

import (
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// descriptor owns one open file description and closes it once. Without the
// guard a second Close could close whatever has been given the number since.
type descriptor struct{ fd int }

// closedDescriptor is what every system call refuses with EBADF.
const closedDescriptor = -1

func (d *descriptor) close() error {
	if d.fd == closedDescriptor {
		return os.ErrClosed
	}
	fd := d.fd
	d.fd = closedDescriptor
	// Linux releases the number even when close fails (close(2)): never retry.
	return os.NewSyscallError("close", unix.Close(fd))
}

// ioctl passes arg by value; the result is the call's own (TIOCGPTPEER
// returns a descriptor).
func (d *descriptor) ioctl(request, arg uintptr) (int, error) {
	for {
		r, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(d.fd), request, arg)
		switch errno {
		case 0:
			return int(r), nil
		case unix.EINTR:
		default:
			return 0, errno
		}
	}
}

// rawIoctl is ioctl without telling Go's scheduler, which may otherwise give the
// processor to another goroutine when the call returns.
func (d *descriptor) rawIoctl(request, arg uintptr) unix.Errno {
	for {
		_, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(d.fd), request, arg)
		if errno != unix.EINTR {
			return errno
		}
	}
}

// ioctlTermios is TCGETS2, TCSETS2 and TIOCSLCKTRMIOS: unix.Termios is the
// kernel's struct termios2, of which the older struct termios is the beginning.
// Unlike unix.IoctlGetTermios it allocates nothing.
func (d *descriptor) ioctlTermios(request uintptr, t *unix.Termios) error {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(d.fd), request, uintptr(unsafe.Pointer(t)))
		switch errno {
		case 0:
			return nil
		case unix.EINTR:
		default:
			return errno
		}
	}
}
