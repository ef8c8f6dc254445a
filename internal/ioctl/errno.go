package ioctl

import (
	"context"
	"errors"
	"fmt"
)

// Errno is an error number as Linux has them on every architecture of [Arch] (include/uapi/asm-generic/errno-base.h). It
// is an error, so that a [UART] can wrap it; 0 is success and never an error.
type Errno uint16 //nolint:errname // named as in errno(3)

// The error numbers that the package itself returns.
const (
	EPERM  Errno = 1
	EINTR  Errno = 4
	EIO    Errno = 5
	EFAULT Errno = 14
	EBUSY  Errno = 16
	EINVAL Errno = 22
	ENOTTY Errno = 25
)

// maxErrno is the highest number that a system call can return as an error (MAX_ERRNO, include/linux/err.h).
const maxErrno = 4095

// Errors of a [UART], besides any other that wraps an [Errno].
var (
	// ErrGone says that the port is no more, as after a hang-up: EIO.
	ErrGone = fmt.Errorf("the port is gone: %w", EIO)
	// ErrRefused says that the caller may not do that: EPERM.
	ErrRefused = fmt.Errorf("refused: %w", EPERM)
	// ErrBusy says that somebody else's use of the port forbids it: EBUSY.
	ErrBusy = fmt.Errorf("the port is in use: %w", EBUSY)
)

// Error implements error.
func (e Errno) Error() string {
	switch e {
	case EPERM:
		return "operation not permitted"
	case EINTR:
		return "interrupted system call"
	case EIO:
		return "input/output error"
	case EFAULT:
		return "bad address"
	case EBUSY:
		return "device or resource busy"
	case EINVAL:
		return "invalid argument"
	case ENOTTY:
		return "inappropriate ioctl for device"
	default:
		return fmt.Sprintf("error number %d", uint16(e))
	}
}

// errnoOf is what the program sees of a UART's error: the Errno that it wraps, EINTR for a context that has ended, and EIO
// for one that says neither.
func errnoOf(err error) Errno {
	if err == nil {
		return 0
	}
	if e, ok := errors.AsType[Errno](err); ok && e != 0 && e <= maxErrno {
		return e
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return EINTR
	}
	return EIO
}
