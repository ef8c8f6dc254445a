package ptytest

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// tableSpeeds are the speeds that have a constant of their own, but for B0.
var tableSpeeds = map[uint32]uint32{
	50: unix.B50, 75: unix.B75, 110: unix.B110, 134: unix.B134, 150: unix.B150, 200: unix.B200, 300: unix.B300,
	600: unix.B600, 1200: unix.B1200, 1800: unix.B1800, 2400: unix.B2400, 4800: unix.B4800, 9600: unix.B9600,
	19200: unix.B19200, 38400: unix.B38400, 57600: unix.B57600, 115200: unix.B115200, 230400: unix.B230400,
	460800: unix.B460800, 500000: unix.B500000, 576000: unix.B576000, 921600: unix.B921600, 1000000: unix.B1000000,
	1152000: unix.B1152000, 1500000: unix.B1500000, 2000000: unix.B2000000, 2500000: unix.B2500000,
	3000000: unix.B3000000, 3500000: unix.B3500000, 4000000: unix.B4000000,
}

var settingsChecks = map[string]check{
	"settings/every speed of the table": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		for bps, flag := range tableSpeeds {
			err = errors.Join(err, p.set("speed", func(t *unix.Termios) { t.Cflag = t.Cflag&^unix.CBAUD | flag },
				func(t unix.Termios) bool { return t.Cflag&unix.CBAUD == flag && t.Ospeed == bps && t.Ispeed == bps }))
		}
		return err
	},
	"settings/any speed": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		for _, bps := range []uint32{1, 45, 12345, 31250, 74880, 250000, 12_000_000} {
			err = errors.Join(err, p.set(fmt.Sprint(bps, " bit/s"),
				func(t *unix.Termios) { t.Cflag = t.Cflag&^unix.CBAUD | unix.BOTHER; t.Ispeed, t.Ospeed = bps, bps },
				func(t unix.Termios) bool { return t.Ospeed == bps && t.Ispeed == bps }))
		}
		return err
	},
	"settings/B0 and back": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		return errors.Join(
			p.set("B0", func(t *unix.Termios) { t.Cflag &^= unix.CBAUD }, func(t unix.Termios) bool { return t.Cflag&unix.CBAUD == unix.B0 }),
			p.set("B1200", func(t *unix.Termios) { t.Cflag |= unix.B1200 }, func(t unix.Termios) bool { return t.Ospeed == 1200 }),
			p.write([]byte("x")), b.expect([]byte("x")))
	},
	"settings/stop bits and flow control survive": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		for _, flag := range []uint32{unix.CSTOPB, unix.CRTSCTS, unix.HUPCL, unix.CLOCAL, unix.PARODD, unix.CMSPAR} {
			what := fmt.Sprintf("c_cflag %#o", flag)
			err = errors.Join(err,
				p.set(what+" on", func(t *unix.Termios) { t.Cflag |= flag }, func(t unix.Termios) bool { return t.Cflag&flag != 0 }),
				p.set(what+" off", func(t *unix.Termios) { t.Cflag &^= flag }, func(t unix.Termios) bool { return t.Cflag&flag == 0 }))
		}
		for _, flag := range []uint32{unix.IXON, unix.IXOFF, unix.IXANY, unix.INPCK, unix.PARMRK, unix.IGNBRK, unix.BRKINT, unix.ISTRIP} {
			what := fmt.Sprintf("c_iflag %#o", flag)
			err = errors.Join(err,
				p.set(what+" on", func(t *unix.Termios) { t.Iflag |= flag }, func(t unix.Termios) bool { return t.Iflag&flag != 0 }),
				p.set(what+" off", func(t *unix.Termios) { t.Iflag &^= flag }, func(t unix.Termios) bool { return t.Iflag&flag == 0 }))
		}
		return err
	},
	"settings/control characters survive": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		return p.set("VINTR and VSTOP", func(t *unix.Termios) { t.Cc[unix.VINTR], t.Cc[unix.VSTOP] = 1, 2 },
			func(t unix.Termios) bool { return t.Cc[unix.VINTR] == 1 && t.Cc[unix.VSTOP] == 2 })
	},
	"settings/filled from zero": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		for range 2 {
			var t unix.Termios
			t.Cflag = unix.CS8 | unix.CREAD | unix.CLOCAL | unix.B19200
			t.Cc[unix.VMIN] = 1
			if err := unix.IoctlSetTermios(p.fd, unix.TCSETS2, &t); err != nil {
				return fmt.Errorf("tcsetattr: %w", err)
			}
			got, err := p.termios()
			if err != nil {
				return err
			}
			if got.Ospeed != 19200 || got.Cflag != t.Cflag {
				return fmt.Errorf("c_cflag %#o at %d bit/s, want %#o at 19200", got.Cflag, got.Ospeed, t.Cflag)
			}
		}
		return errors.Join(p.write([]byte("x")), b.expect([]byte("x")))
	},
	"settings/survive close and reopen": func(b *bench) error {
		p, err := openProgram(b.path)
		if err != nil {
			return err
		}
		err = errors.Join(p.change(makeRaw), p.change(func(t *unix.Termios) { t.Cflag = t.Cflag&^unix.CBAUD | unix.B4800 | unix.CSTOPB }))
		p.close()
		if err != nil {
			return err
		}
		q, err := openProgram(b.path)
		if err != nil {
			return err
		}
		defer q.close()
		got, err := q.termios()
		if err == nil && (got.Ospeed != 4800 || got.Cflag&unix.CSTOPB == 0) {
			err = fmt.Errorf("after reopening: c_cflag %#o at %d bit/s", got.Cflag, got.Ospeed)
		}
		return err
	},
	"settings/TCSADRAIN keeps input, TCSAFLUSH drops it": func(b *bench) error {
		p, err := b.open()
		if err != nil {
			return err
		}
		stop := func(t *unix.Termios) { t.Cflag ^= unix.CSTOPB }
		return errors.Join(b.send([]byte("abc")), p.awaitInput(3),
			p.changeBy(unix.TCSETSW2, stop), p.awaitInput(3),
			p.changeBy(unix.TCSETSF2, stop), p.expectNothing(),
			b.send([]byte("new")), p.expect([]byte("new")))
	},
}

// set changes the settings and checks what can be read back.
func (p *program) set(what string, f func(*unix.Termios), is func(unix.Termios) bool) error {
	if err := p.change(f); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	got, err := p.termios()
	if err == nil && !is(got) {
		err = fmt.Errorf("%s: read back as %+v", what, got)
	}
	return err
}
