package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// otherTTY is a pseudo-terminal that is nobody's port.
type otherTTY struct {
	master int
	slave  string
}

func openOther() (*otherTTY, error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: "/dev/ptmx", Err: err}
	}
	o := &otherTTY{master: fd}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("ioctl", err), o.Close())
	}
	o.slave = fmt.Sprintf("/dev/pts/%d", n)
	return o, nil
}

// Close ends it.
func (o *otherTTY) Close() error { return os.NewSyscallError("close", unix.Close(o.master)) }
