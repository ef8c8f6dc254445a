package pty

import (
	"os"

	"golang.org/x/sys/unix"
)

// Interrupt sends SIGINT to the foreground process group of the terminal, as a
// break does that is received with BRKINT set (termios(3); TIOCSIG, ioctl_tty(2)).
// Where the terminal controls no session it does nothing.
func (m *Master) Interrupt() error {
	_, err := m.ioctl(unix.TIOCSIG, uintptr(unix.SIGINT))
	return m.wrap("interrupt", os.NewSyscallError("TIOCSIG", err))
}
