package ptytest

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

var dataChecks = map[string]check{
	"data/every byte value from the program": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		return errors.Join(p.write(everyByte()), b.expect(everyByte()))
	},
	"data/every byte value to the program": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		return errors.Join(b.send(everyByte()), p.expect(everyByte()))
	},
	"data/both ways at once, more than any queue holds": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		up := bytes.Repeat(everyByte(), 512) // 128 KiB
		down := bytes.Repeat([]byte("0123456789abcdef\xff\x00\r\n"), 6000)
		sent, written := make(chan error, 1), make(chan error, 1)
		go func() { sent <- b.send(down) }()
		go func() { written <- p.write(up) }()
		return errors.Join(p.expect(down), b.expect(up), <-sent, <-written)
	},
	"data/two programs read and write one port": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		q, err := b.open()
		if err != nil {
			return err
		}
		return errors.Join(p.write([]byte("p")), b.expect([]byte("p")), q.write([]byte("q")), b.expect([]byte("q")),
			b.send([]byte("for either")), q.expect([]byte("for ")), p.expect([]byte("either")))
	},
	"flush/TCIFLUSH drops what was not read": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		if err := errors.Join(b.send([]byte("old")), p.awaitInput(3), flush(p, unix.TCIFLUSH), p.expectNothing()); err != nil {
			return err
		}
		return errors.Join(b.send([]byte("new")), p.expect([]byte("new")))
	},
	"flush/TCIFLUSH leaves the other direction": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		return errors.Join(p.write([]byte("out")), flush(p, unix.TCIFLUSH), b.expect([]byte("out")))
	},
	"flush/TCOFLUSH leaves input and what is written later": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		return errors.Join(b.send([]byte("in")), p.awaitInput(2), flush(p, unix.TCOFLUSH), p.expect([]byte("in")),
			p.write([]byte("later")), b.expect([]byte("later")))
	},
	"output/tcdrain returns": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		if err := p.write([]byte("x")); err != nil {
			return err
		}
		// TCSBRK with an argument other than 0 is tcdrain (ioctl_tty(2)).
		if err := unix.IoctlSetInt(p.fd, unix.TCSBRK, 1); err != nil {
			return fmt.Errorf("tcdrain: %w", err)
		}
		return b.expect([]byte("x"))
	},
	"output/tcsendbreak returns": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		if err := unix.IoctlSetInt(p.fd, unix.TCSBRK, 0); err != nil {
			return fmt.Errorf("tcsendbreak: %w", err)
		}
		return errors.Join(p.write([]byte("x")), b.expect([]byte("x"))) // and sends no byte of its own
	},
	"output/stopped by tcflow and started again": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		if err := unix.IoctlSetInt(p.fd, unix.TCXONC, unix.TCOOFF); err != nil {
			return fmt.Errorf("tcflow: %w", err)
		}
		if n, err := unix.Write(p.fd, []byte("x")); !errors.Is(err, unix.EAGAIN) {
			return fmt.Errorf("write after TCOOFF: %d, %w; want EAGAIN", n, err)
		}
		if err := unix.IoctlSetInt(p.fd, unix.TCXONC, unix.TCOON); err != nil {
			return fmt.Errorf("tcflow: %w", err)
		}
		return errors.Join(p.write([]byte("y")), b.expect([]byte("y")))
	},
}

func flush(p *program, queue int) error {
	if err := unix.IoctlSetInt(p.fd, unix.TCFLSH, queue); err != nil {
		return fmt.Errorf("tcflush: %w", err)
	}
	return nil
}
