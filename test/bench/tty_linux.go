package main

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// tty is the peer's pseudo-terminal as a program has it open: raw, with blocking reads and writes.
type tty struct {
	fd int
}

// openTTY opens the peer's link. It sets raw mode only if the peer has not: a tcsetattr is a request to some.
func openTTY(path string) (*tty, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	t := &tty{fd: fd}
	got, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
	if err != nil {
		return nil, errors.Join(os.NewSyscallError("TCGETS2", err), t.close())
	}
	raw := *got
	raw.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	raw.Oflag &^= unix.OPOST
	raw.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	raw.Cc[unix.VMIN], raw.Cc[unix.VTIME] = 1, 0
	if raw != *got {
		if err := unix.IoctlSetTermios(fd, unix.TCSETS2, &raw); err != nil {
			return nil, errors.Join(os.NewSyscallError("TCSETS2", err), t.close())
		}
	}
	return t, nil
}

// read waits for bytes. The peer's end of the tty shows as an error.
func (t *tty) read(p []byte) (int, error) {
	for {
		n, err := unix.Read(t.fd, p)
		switch {
		case err == unix.EINTR:
		case err != nil:
			return 0, os.NewSyscallError("read from the tty", err)
		case n == 0:
			return 0, errors.New("the peer has closed its tty")
		default:
			return n, nil
		}
	}
}

// readFull fills p.
func (t *tty) readFull(p []byte) error {
	for len(p) > 0 {
		n, err := t.read(p)
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

// write writes all of p.
func (t *tty) write(p []byte) error {
	for len(p) > 0 {
		n, err := unix.Write(t.fd, p)
		if err != nil && err != unix.EINTR {
			return os.NewSyscallError("write to the tty", err)
		}
		p = p[max(n, 0):]
	}
	return nil
}

// setSpeed is the tcsetattr of a program that wants rate, in bit/s; any is possible.
func (t *tty) setSpeed(rate uint32) error {
	to, err := unix.IoctlGetTermios(t.fd, unix.TCGETS2)
	if err != nil {
		return os.NewSyscallError("TCGETS2", err)
	}
	to.Cflag = to.Cflag&^(unix.CBAUD|unix.CIBAUD) | unix.BOTHER
	to.Ispeed, to.Ospeed = rate, rate
	return os.NewSyscallError("TCSETS2", unix.IoctlSetTermios(t.fd, unix.TCSETS2, to))
}

func (t *tty) close() error { return os.NewSyscallError("close", unix.Close(t.fd)) }

// uname is the kernel's release and version.
func uname() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s %s %s", unix.ByteSliceToString(u.Sysname[:]), unix.ByteSliceToString(u.Release[:]),
		unix.ByteSliceToString(u.Version[:]))
}
