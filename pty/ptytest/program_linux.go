package ptytest

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// program is the part of a program that has the port open. It never waits
// longer than patience.
type program struct{ fd int }

func openProgram(path string) (*program, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return &program{fd: fd}, nil
}

func (p *program) close() {
	if p.fd >= 0 {
		_ = unix.Close(p.fd)
		p.fd = -1
	}
}

func (p *program) termios() (unix.Termios, error) {
	t, err := unix.IoctlGetTermios(p.fd, unix.TCGETS2)
	if err != nil {
		return unix.Termios{}, fmt.Errorf("tcgetattr: %w", err)
	}
	return *t, nil
}

// change reads the settings, changes some and writes them back.
func (p *program) change(f func(*unix.Termios)) error {
	return p.changeBy(unix.TCSETS2, f)
}

func (p *program) changeBy(request uint, f func(*unix.Termios)) error {
	t, err := p.termios()
	if err != nil {
		return err
	}
	f(&t)
	if err := unix.IoctlSetTermios(p.fd, request, &t); err != nil {
		return fmt.Errorf("tcsetattr: %w", err)
	}
	return nil
}

// makeRaw is cfmakeraw(3) at 9600 8N1, reads of one byte or more.
func makeRaw(t *unix.Termios) {
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB|unix.CBAUD) | unix.CS8 | unix.CREAD | unix.CLOCAL | unix.B9600
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
}

// events polls with a limit of its own; zero asks what is so now.
func (p *program) events(want int16, limit time.Duration) (int16, error) {
	fds := []unix.PollFd{{Fd: int32(p.fd), Events: want}}
	for {
		_, err := unix.Poll(fds, int(limit.Milliseconds()))
		if !errors.Is(err, unix.EINTR) {
			return fds[0].Revents, err
		}
	}
}

var errNothingCame = errors.New("nothing came")

func (p *program) wait(want int16) error {
	got, err := p.events(want, patience)
	if err == nil && got == 0 {
		err = errNothingCame
	}
	return err
}

// read waits for the next bytes and returns what one read(2) gives.
func (p *program) read(room int) ([]byte, error) {
	if err := p.wait(unix.POLLIN); err != nil {
		return nil, fmt.Errorf("poll for input: %w", err)
	}
	buf := make([]byte, room)
	n, err := unix.Read(p.fd, buf)
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	return buf[:n], nil
}

// expect reads until want has come.
func (p *program) expect(want []byte) error {
	var got []byte
	for len(got) < len(want) {
		b, err := p.read(len(want) - len(got))
		if err != nil {
			return fmt.Errorf("the program read %s of %s, then: %w", excerpt(got), excerpt(want), err)
		}
		if len(b) == 0 {
			return fmt.Errorf("the program read %s of %s, then end of file", excerpt(got), excerpt(want))
		}
		got = append(got, b...)
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("the program read %s, want %s", excerpt(got), excerpt(want))
	}
	return nil
}

func (p *program) write(b []byte) error {
	for len(b) > 0 {
		if err := p.wait(unix.POLLOUT); err != nil {
			return fmt.Errorf("poll for room: %w", err)
		}
		n, err := unix.Write(p.fd, b)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
		case err != nil:
			return fmt.Errorf("write: %w", err)
		default:
			b = b[n:]
		}
	}
	return nil
}

// awaitInput waits until exactly n bytes could be read (TIOCINQ). poll(2)
// cannot be asked for that many, so this looks again and again.
func (p *program) awaitInput(n int) error {
	for deadline := time.Now().Add(patience); ; {
		got, err := unix.IoctlGetInt(p.fd, unix.TIOCINQ)
		if err != nil {
			return fmt.Errorf("TIOCINQ: %w", err)
		}
		if got == n {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("TIOCINQ: %d bytes wait, want %d", got, n)
		}
		_, _ = unix.Poll(nil, 1)
	}
}

// awaitRefusal waits until a write fails with EIO. The kernel says POLLHUP a moment before
// (pty_close of drivers/tty/pty.c wakes those who poll, and only then hangs up).
func (p *program) awaitRefusal() error {
	for deadline := time.Now().Add(patience); ; {
		_, err := unix.Write(p.fd, []byte("x"))
		if errors.Is(err, unix.EIO) {
			return nil
		}
		if err != nil || time.Now().After(deadline) {
			return fmt.Errorf("write: %v; want EIO", err) //nolint:errorlint // it may be nil
		}
		_, _ = unix.Poll(nil, 1)
	}
}

// expectNothing checks that no byte waits to be read.
func (p *program) expectNothing() error {
	n, err := unix.Read(p.fd, make([]byte, 1))
	if !errors.Is(err, unix.EAGAIN) {
		return fmt.Errorf("read of an empty port: %d, %w; want EAGAIN", n, err)
	}
	return nil
}
