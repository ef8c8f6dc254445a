package conformance

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// bulk is how much is sent to who does not take it: more than the buffers between hold together.
const bulk = 256 << 10

var dataChecks = []check{
	{"isatty", func(p *port) error {
		_, err := p.attributes()
		return err
	}},
	{"bytes are written", func(p *port) error {
		b := every()
		if err := p.write(b); err != nil {
			return err
		}
		return p.sends(b)
	}},
	{"bytes are read", func(p *port) error {
		const b = "\x00\x11\x13\xff\r\n"
		if err := p.receive(b); err != nil {
			return err
		}
		return p.reads([]byte(b))
	}},
	{"every byte value is read", func(p *port) error {
		b := every()
		if err := p.receive(string(b)); err != nil {
			return err
		}
		return p.reads(b)
	}},
	{"a slow reader loses nothing", func(p *port) error {
		// QEMU's 16550 would: it has no flow control.
		if err := p.far.Stall(false); err != nil {
			return err
		}
		b := pattern(bulk)
		ctx, cancel := p.within()
		defer cancel()
		received := make(chan error, 1)
		go func() { received <- p.far.Receive(ctx, b) }()
		if err := p.settles(); err != nil {
			return err
		}
		if err := p.reads(b); err != nil {
			return err
		}
		return <-received
	}},
	{"a far end that stalls loses nothing", func(p *port) error {
		if err := p.far.Stall(true); err != nil {
			return err
		}
		// At once, for a port that keeps to the line's speed.
		if _, err := p.change(unix.TCSETS, unix.CBAUD, unix.B3000000); err != nil {
			return err
		}
		b := pattern(bulk)
		n, err := p.writeUntilFull(b)
		if err := errors.Join(err, p.far.Stall(false)); err != nil {
			return err
		}
		if err := p.write(b[n:]); err != nil {
			return err
		}
		return p.sends(b)
	}},
}

// every is each value of a byte once.
func every() []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i)
	}
	return b
}

// pattern is n bytes of which no two parts are alike.
func pattern(n int) []byte {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x ^= x << 13 // xorshift
		x ^= x >> 17
		x ^= x << 5
		b[i] = byte(x)
	}
	return b
}

// sends waits until b has come to the far end, and fails if anything else has.
func (p *port) sends(b []byte) error {
	ctx, cancel := p.within()
	defer cancel()
	got, err := p.far.Sent(ctx, len(b))
	switch {
	case errors.Is(err, ErrUntried):
		return err
	case err != nil:
		return fmt.Errorf("%d bytes arrive, not %d", len(got), len(b))
	case !bytes.Equal(got, b):
		return errors.New("other bytes arrive")
	}
	return nil
}

// reads reads as many bytes as b has, and fails if they are others.
func (p *port) reads(b []byte) error {
	got, err := p.read(len(b))
	if err == nil && !bytes.Equal(got, b) {
		err = errors.New("other bytes come")
	}
	return err
}

// settles waits until no more is received, because nobody reads.
func (p *port) settles() error {
	last, since := 0, time.Now()
	return p.eventually(func() (bool, error) {
		n, err := p.get("FIONREAD", unix.TIOCINQ)
		if n != last {
			last, since = n, time.Now()
		}
		return n > 0 && time.Since(since) > pause, err
	}, "it never stands still")
}

// pause is how long nothing happens where nothing will.
const pause = 300 * time.Millisecond

// writeUntilFull writes until there has been no room for a while, and gives how much it has written.
func (p *port) writeUntilFull(b []byte) (int, error) {
	for done := 0; ; {
		n, err := unix.Write(p.fd, b[done:])
		done += max(n, 0)
		switch {
		case done == len(b):
			return done, nil
		case errors.Is(err, unix.EAGAIN):
			if p.ready(unix.POLLOUT, time.Now().Add(pause)) != nil {
				return done, nil //nolint:nilerr // it is full
			}
		case err != nil && !errors.Is(err, unix.EINTR):
			return done, says("write", err)
		}
	}
}
