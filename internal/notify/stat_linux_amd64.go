package notify

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// statPath is stat(2) of a path that ends with a NUL.
func statPath(path []byte, st *unix.Stat_t) bool {
	_, _, errno := unix.Syscall6(unix.SYS_NEWFSTATAT, ^uintptr(99), uintptr(unsafe.Pointer(&path[0])), uintptr(unsafe.Pointer(st)), 0, 0, 0)
	return errno == 0
}
