// Command lines sets a tty to 7E1 and drives DTR and RTS, without a C library: go
// build testdata/lines.go. It prints what it reads back, and "ok" at the end.
package main

import (
	"fmt"
	"os"
	"syscall"
	"unsafe"
)

// Linux's numbers (include/uapi/asm-generic/ioctls.h).
const (
	tcgets   = 0x5401
	tcsets   = 0x5402
	tiocMGet = 0x5415
	tiocMBic = 0x5417
	dtr, rts = 0x002, 0x004
)

func main() {
	fd, err := syscall.Open(os.Args[1], syscall.O_RDWR|syscall.O_NOCTTY, 0)
	check("open", err)
	var t syscall.Termios
	check("TCGETS", ioctl(fd, tcgets, unsafe.Pointer(&t)))
	t.Cflag = t.Cflag&^(syscall.CSIZE|syscall.PARODD) | syscall.CS7 | syscall.PARENB
	check("TCSETS", ioctl(fd, tcsets, unsafe.Pointer(&t)))
	t.Cflag = 0
	check("TCGETS", ioctl(fd, tcgets, unsafe.Pointer(&t)))
	if t.Cflag&(syscall.CSIZE|syscall.PARENB) != syscall.CS7|syscall.PARENB {
		fmt.Printf("c_cflag is %#x\n", t.Cflag)
		os.Exit(1)
	}
	drop, lines := int32(dtr), int32(0)
	check("TIOCMBIC", ioctl(fd, tiocMBic, unsafe.Pointer(&drop)))
	check("TIOCMGET", ioctl(fd, tiocMGet, unsafe.Pointer(&lines)))
	if lines&(dtr|rts) != rts {
		fmt.Printf("the lines are %#x\n", lines)
		os.Exit(1)
	}
	fmt.Println("ok")
}

func ioctl(fd int, request uintptr, arg unsafe.Pointer) error {
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), request, uintptr(arg)); errno != 0 {
		return errno
	}
	return nil
}

func check(what string, err error) {
	if err != nil {
		fmt.Println(what, err)
		os.Exit(1)
	}
}
