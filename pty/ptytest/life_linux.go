package ptytest

import (
	"errors"
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"
)

// lifeChecks are about opening, closing, and the far end going away.
var lifeChecks = map[string]check{
	"open/again and again": func(b *bench) error {
		for range 20 {
			p, err := openProgram(b.path)
			if err != nil {
				return err
			}
			err = errors.Join(p.change(makeRaw), p.write([]byte("up")), b.expect([]byte("up")), b.send([]byte("down")), p.expect([]byte("down")))
			p.close()
			if err != nil {
				return err
			}
		}
		return nil
	},
	"open/what was written before a close arrives": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		if err := p.write([]byte("last words")); err != nil {
			return err
		}
		p.close()
		return b.expect([]byte("last words"))
	},
	"open/is a terminal of its own": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		if _, err := unix.IoctlGetWinsize(p.fd, unix.TIOCGWINSZ); err != nil {
			return fmt.Errorf("TIOCGWINSZ: %w", err)
		}
		var byPath, byFd unix.Stat_t
		if err := errors.Join(unix.Stat(b.path, &byPath), unix.Fstat(p.fd, &byFd)); err != nil {
			return err
		}
		if byPath.Rdev != byFd.Rdev || byFd.Mode&unix.S_IFMT != unix.S_IFCHR {
			return errors.New("the path and the open port are not the same character device")
		}
		return nil
	},
	"exclusive/TIOCEXCL refuses a second open": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		if err := unix.IoctlSetInt(p.fd, unix.TIOCEXCL, 0); err != nil {
			return fmt.Errorf("TIOCEXCL: %w", err)
		}
		if err := openUnprivileged(b.path); !errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("second open: %w, want EBUSY", err)
		}
		if err := unix.IoctlSetInt(p.fd, unix.TIOCNXCL, 0); err != nil {
			return fmt.Errorf("TIOCNXCL: %w", err)
		}
		return openUnprivileged(b.path)
	},
	"hangup/when the far end closes": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		if err := b.closeFar(); err != nil {
			return err
		}
		if err := p.wait(0); err != nil { // POLLHUP is always asked for
			return fmt.Errorf("poll: %w", err)
		}
		if got, err := p.events(0, 0); got&unix.POLLHUP == 0 || err != nil {
			return fmt.Errorf("poll: %#x, %w; want POLLHUP", got, err)
		}
		if n, err := unix.Read(p.fd, make([]byte, 1)); n > 0 || (err != nil && !errors.Is(err, unix.EIO)) {
			return fmt.Errorf("read: %d, %w; want end of file or EIO", n, err)
		}
		return p.awaitRefusal()
	},
}

// openUnprivileged opens and closes the port as a program without
// CAP_SYS_ADMIN, which exclusive mode does not stop. Capabilities are a
// thread's.
func openUnprivileged(path string) error {
	runtime.LockOSThread()
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var saved [2]unix.CapUserData
	if err := unix.Capget(&header, &saved[0]); err != nil {
		return fmt.Errorf("capget: %w", err)
	}
	dropped := saved
	dropped[unix.CAP_SYS_ADMIN/32].Effective &^= 1 << (unix.CAP_SYS_ADMIN % 32)
	if err := unix.Capset(&header, &dropped[0]); err != nil {
		return fmt.Errorf("capset: %w", err)
	}
	p, openErr := openProgram(path)
	if openErr == nil {
		p.close()
	}
	if err := unix.Capset(&header, &saved[0]); err != nil {
		return fmt.Errorf("capset: %w", err) // the thread stays locked, and ends with its goroutine
	}
	runtime.UnlockOSThread()
	return openErr
}
