package rig

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrData means that other bytes have come than were sent.
var ErrData = errors.New("the data differ")

// OpenTTY opens a tty and makes it raw, at a speed in bit/s. Reads and writes wait, and obey deadlines.
func OpenTTY(path string, speed uint32) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	if err := SetSpeed(f, speed); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// SetSpeed sets raw mode, 8N1, and a speed in bit/s.
func SetSpeed(f *os.File, speed uint32) error {
	t := unix.Termios{Cflag: unix.BOTHER | unix.CS8 | unix.CREAD | unix.CLOCAL | unix.HUPCL, Ispeed: speed, Ospeed: speed}
	t.Cc[unix.VMIN] = 1
	return Control(f, func(fd int) error { return os.NewSyscallError("TCSETS2", unix.IoctlSetTermios(fd, unix.TCSETS2, &t)) })
}

// Control runs do with a file's descriptor.
func Control(f *os.File, do func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = do(int(fd)) }); err != nil {
		return err
	}
	if failed != nil {
		return fmt.Errorf("%s: %w", f.Name(), failed)
	}
	return nil
}

// ReadSame reads as many bytes as want has, within a time, and fails if they are others.
func ReadSame(f *os.File, want []byte, within time.Duration) error {
	if err := f.SetReadDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	got := make([]byte, len(want))
	n, err := io.ReadFull(f, got)
	if err != nil {
		return fmt.Errorf("%d of %d bytes have come: %w", n, len(want), err)
	}
	return Same(got, want)
}

// WriteAll writes all within a time.
func WriteAll(f *os.File, p []byte, within time.Duration) error {
	if err := f.SetWriteDeadline(time.Now().Add(within)); err != nil {
		return err
	}
	n, err := f.Write(p)
	if err != nil {
		return fmt.Errorf("%d of %d bytes are written: %w", n, len(p), err)
	}
	return nil
}

// Same fails unless two texts have the same hash.
func Same(got, want []byte) error {
	if a, b := sha256.Sum256(got), sha256.Sum256(want); a != b {
		return fmt.Errorf("%w: %d bytes of %x, not %d of %x", ErrData, len(got), a[:4], len(want), b[:4])
	}
	return nil
}

// Pattern is n bytes in which no part is like another; seed makes another one.
func Pattern(n int, seed uint32) []byte {
	b := make([]byte, n)
	x := seed*2 + 1
	for i := range b {
		x ^= x << 13 // xorshift
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}

// SeesHangup fails unless the tty has been hung up, or is within a time: reads give the end or EIO, and poll says so.
func SeesHangup(f *os.File) error {
	return Control(f, func(fd int) error {
		fds := []unix.PollFd{{Fd: int32(fd)}}
		for deadline := time.Now().Add(patience); fds[0].Revents&unix.POLLHUP == 0; {
			if time.Now().After(deadline) {
				return fmt.Errorf("it is not hung up: poll gives %#x", fds[0].Revents)
			}
			if _, err := unix.Poll(fds, 1000); err != nil && !errors.Is(err, unix.EINTR) {
				return os.NewSyscallError("poll", err)
			}
		}
		if n, err := unix.Read(fd, make([]byte, 1)); n > 0 || err != nil && !errors.Is(err, unix.EIO) {
			return fmt.Errorf("a read gives %d bytes, %w", n, err)
		}
		return nil
	})
}
