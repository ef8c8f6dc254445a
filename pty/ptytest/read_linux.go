package ptytest

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

var readChecks = map[string]check{
	"read/EAGAIN when nothing waits": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		return p.expectNothing()
	},
	"read/poll tells input and room": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		const all = unix.POLLIN | unix.POLLOUT
		if got, err := p.events(all, 0); got != unix.POLLOUT || err != nil {
			return fmt.Errorf("poll of an idle port: %#x, %w; want POLLOUT", got, err)
		}
		if err := b.send([]byte("x")); err != nil {
			return err
		}
		if err := p.wait(unix.POLLIN); err != nil {
			return err
		}
		if got, err := p.events(all, 0); got != all || err != nil {
			return fmt.Errorf("poll with input: %#x, %w; want POLLIN and POLLOUT", got, err)
		}
		return p.expect([]byte("x"))
	},
	"read/TIOCINQ counts": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		return errors.Join(p.awaitInput(0), b.send([]byte("12345")), p.awaitInput(5),
			p.expect([]byte("12")), p.awaitInput(3), p.expect([]byte("345")), p.awaitInput(0))
	},
	"read/VMIN holds poll back": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		if err := p.change(func(t *unix.Termios) { t.Cc[unix.VMIN] = 3 }); err != nil {
			return err
		}
		if err := errors.Join(b.send([]byte("ab")), p.awaitInput(2)); err != nil {
			return err
		}
		if got, err := p.events(unix.POLLIN, 0); got != 0 || err != nil {
			return fmt.Errorf("poll with two of three bytes: %#x, %w; want nothing", got, err)
		}
		return errors.Join(b.send([]byte("c")), p.expect([]byte("abc")))
	},
	"read/VMIN makes one read of many writes": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		if err := p.change(func(t *unix.Termios) { t.Cc[unix.VMIN] = 4 }); err != nil {
			return err
		}
		if err := unix.SetNonblock(p.fd, false); err != nil {
			return err
		}
		sent := make(chan error, 1)
		go func() {
			var err error
			for _, c := range []byte("abcd") {
				err = errors.Join(err, b.send([]byte{c}))
			}
			sent <- err
		}()
		buf := make([]byte, 16)
		n, err := unix.Read(p.fd, buf) // ends: four bytes are on their way, or Far is broken
		if string(buf[:max(n, 0)]) != "abcd" || err != nil {
			return fmt.Errorf("read %q, %w; want all four bytes", buf[:max(n, 0)], err)
		}
		return <-sent
	},
	"read/VTIME ends a read without input": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		if err := p.change(func(t *unix.Termios) { t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 0, 1 }); err != nil {
			return err
		}
		if err := unix.SetNonblock(p.fd, false); err != nil {
			return err
		}
		if n, err := unix.Read(p.fd, make([]byte, 1)); n != 0 || err != nil {
			return fmt.Errorf("read: %d, %w; want 0 after a tenth of a second", n, err)
		}
		return errors.Join(b.send([]byte("x")), p.expect([]byte("x")))
	},
}
