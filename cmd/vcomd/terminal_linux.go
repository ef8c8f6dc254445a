package main

import (
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// isTerminal reports whether w is a terminal.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return false
	}
	is := false
	err = raw.Control(func(fd uintptr) {
		_, err := unix.IoctlGetTermios(int(fd), unix.TCGETS)
		is = err == nil
	})
	return err == nil && is
}

// terminalSize returns a terminal's size, or that of the usual one.
func terminalSize(w io.Writer) (rows, columns int) {
	rows, columns = 24, 80
	f, ok := w.(*os.File)
	if !ok {
		return rows, columns
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return rows, columns
	}
	_ = raw.Control(func(fd uintptr) {
		if size, err := unix.IoctlGetWinsize(int(fd), unix.TIOCGWINSZ); err == nil && size.Row > 0 && size.Col > 0 {
			rows, columns = int(size.Row), int(size.Col)
		}
	})
	return rows, columns
}
