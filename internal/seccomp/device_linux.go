package seccomp

import (
	"fmt"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Device identifies a tty. Whatever path leads to it, Dev is st_dev of the file system that its node is on, and Rdev the
// node's st_rdev.
type Device struct{ Dev, Rdev uint64 }

// DeviceOf returns the device that a path leads to. It does not open it. Its error is a [*os.PathError]'s cause: ENOENT, EACCES.
func DeviceOf(path string) (Device, error) {
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, path, unix.AT_STATX_DONT_SYNC, unix.STATX_TYPE, &st); err != nil {
		return Device{}, fmt.Errorf("stat %s: %w", path, err)
	}
	return device(&st), nil
}

func device(st *unix.Statx_t) Device {
	return Device{unix.Mkdev(st.Dev_major, st.Dev_minor), unix.Mkdev(st.Rdev_major, st.Rdev_minor)}
}

// descriptors looks at other tasks' open files, without garbage.
type descriptors struct {
	path [64]byte
	st   unix.Statx_t
}

// device returns what a task has open as fd. AT_STATX_DONT_SYNC: programs ask any file whether it is a tty, and one on a
// network file system whose server is gone must not stop the loop.
func (d *descriptors) device(tid, fd int) (Device, bool) {
	p := append(d.path[:0], "/proc/"...)
	p = strconv.AppendInt(p, int64(tid), 10)
	p = append(p, "/fd/"...)
	p = strconv.AppendInt(p, int64(fd), 10)
	p = append(p, 0)
	cwd := unix.AT_FDCWD
	_, _, errno := unix.Syscall6(unix.SYS_STATX, uintptr(cwd), uintptr(unsafe.Pointer(&p[0])), unix.AT_STATX_DONT_SYNC,
		unix.STATX_TYPE, uintptr(unsafe.Pointer(&d.st)), 0)
	if errno != 0 {
		return Device{}, false
	}
	return device(&d.st), true
}
