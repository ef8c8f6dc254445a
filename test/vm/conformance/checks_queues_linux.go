package conformance

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// Requests that package unix has no name for.
const (
	tioccbrk   = 0x5428
	tiocsbrk   = 0x5427
	tiocgexcl  = 0x80045440
	noRequest  = 0x54ff
	badAddress = 16 // nothing is there
)

func address(n *uint32) uintptr { return uintptr(unsafe.Pointer(n)) }

var queuesChecks = []check{
	{"tcsendbreak takes a quarter of a second", func(p *port) error {
		return p.takes(250*time.Millisecond, func() error { return p.do("TCSBRK", unix.TCSBRK, 0) })
	}},
	{"TCSBRKP takes its tenths of a second", func(p *port) error {
		return p.takes(400*time.Millisecond, func() error { return p.do("TCSBRKP", unix.TCSBRKP, 4) })
	}},
	{"TIOCSBRK and TIOCCBRK", func(p *port) error {
		return errors.Join(p.do("TIOCSBRK", tiocsbrk, 0), p.do("TIOCCBRK", tioccbrk, 0))
	}},
	{"a break arrives, and its end", func(p *port) error {
		if err := p.do("TIOCSBRK", tiocsbrk, 0); err != nil {
			return err
		}
		if err := p.arrives("a break", func(s comport.State) bool { return s.Break == comport.ControlBreakOn }); err != nil {
			return err
		}
		if err := p.do("TIOCCBRK", tioccbrk, 0); err != nil {
			return err
		}
		return p.arrives("its end", func(s comport.State) bool { return s.Break == comport.ControlBreakOff })
	}},
	{"after tcdrain nothing waits", func(p *port) error {
		if err := p.write([]byte("x")); err != nil {
			return err
		}
		if err := p.do("TCSBRK", unix.TCSBRK, 1); err != nil {
			return err
		}
		return p.waiting("TIOCOUTQ", unix.TIOCOUTQ, 0)
	}},
	{"tcdrain takes as long as the line", func(p *port) error {
		// QEMU's 16550 sends everything at once.
		if err := p.far.Stall(false); err != nil {
			return err
		}
		if _, err := p.change(unix.TCSETS, unix.CBAUD, unix.B1200); err != nil {
			return err
		}
		// 60 characters of 10 bits are half a second.
		return p.takes(400*time.Millisecond, func() error {
			if err := p.write(make([]byte, 60)); err != nil {
				return err
			}
			return p.do("TCSBRK", unix.TCSBRK, 1)
		})
	}},
	{"TCSADRAIN keeps input", func(p *port) error { return p.afterChange(unix.TCSETSW, 3) }},
	{"TCSAFLUSH drops input", func(p *port) error { return p.afterChange(unix.TCSETSF, 0) }},
	{"TCIFLUSH drops input", func(p *port) error {
		if err := p.receive("abc"); err != nil {
			return err
		}
		if err := p.do("TCFLSH", unix.TCFLSH, unix.TCIFLUSH); err != nil {
			return err
		}
		return p.waiting("FIONREAD", unix.TIOCINQ, 0)
	}},
	{"TCOFLUSH", func(p *port) error { return p.do("TCFLSH", unix.TCFLSH, unix.TCOFLUSH) }},
	{"TIOCGICOUNT counts characters", func(p *port) error {
		before, err := p.counted()
		if err != nil {
			return err
		}
		if err := errors.Join(p.write([]byte("abc")), p.do("TCSBRK", unix.TCSBRK, 1)); err != nil {
			return err
		}
		after, err := p.counted()
		if err == nil && after.TX-before.TX != 3 {
			err = fmt.Errorf("%d counted, not 3", after.TX-before.TX)
		}
		return err
	}},
	{"exclusive mode is read back", func(p *port) error {
		for _, mode := range []struct {
			call    string
			request uint
			want    int
		}{{"TIOCEXCL", unix.TIOCEXCL, 1}, {"TIOCNXCL", unix.TIOCNXCL, 0}} {
			if err := p.do(mode.call, mode.request, 0); err != nil {
				return err
			}
			got, err := p.get("TIOCGEXCL", tiocgexcl)
			if err == nil && got != mode.want {
				err = fmt.Errorf("after %s it is %d", mode.call, got)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}},
}

// afterChange receives three bytes, sets the attributes by a request, and fails unless as many wait then as wanted.
func (p *port) afterChange(request uint, want int) error {
	if err := p.receive("abc"); err != nil {
		return err
	}
	if _, err := p.change(request, 0, 0); err != nil {
		return err
	}
	return p.waiting("FIONREAD", unix.TIOCINQ, want)
}

// waiting fails unless a request counts as many bytes as wanted.
func (p *port) waiting(call string, request uint, want int) error {
	got, err := p.get(call, request)
	if err == nil && got != want {
		err = fmt.Errorf("%s: %d bytes, not %d", call, got, want)
	}
	return err
}

// takes fails if do takes less time.
func (p *port) takes(least time.Duration, do func() error) error {
	begin := time.Now()
	if err := do(); err != nil {
		return err
	}
	if time.Since(begin) < least {
		return errors.New("it returns before")
	}
	return nil
}

// lineErrors are what a UART tells of a damaged character.
var lineErrors = []struct {
	name    string
	state   comport.LineState
	counted func(counters) int32
	marked  string // what a program reads under PARMRK; "" for what it does not mark
}{
	{"parity error", comport.LineParityError, func(c counters) int32 { return c.Parity }, "\xff\x00x"},
	{"framing error", comport.LineFramingError, func(c counters) int32 { return c.Frame }, "\xff\x00x"},
	{"break", comport.LineBreak, func(c counters) int32 { return c.Brk }, "\xff\x00\x00"},
	{"overrun", comport.LineOverrunError, func(c counters) int32 { return c.Overrun }, ""},
}

// errorChecks are those that are made of each line error.
func errorChecks() []check {
	var all []check
	for _, e := range lineErrors {
		all = append(all, check{"TIOCGICOUNT counts a received " + e.name, func(p *port) error {
			before, err := p.counted()
			if err != nil {
				return err
			}
			if err := p.damage(e.state); err != nil {
				return err
			}
			return p.eventually(func() (bool, error) {
				after, err := p.counted()
				return e.counted(after) == e.counted(before)+1, err
			}, "it does not")
		}})
		if e.marked == "" {
			continue
		}
		all = append(all, check{"PARMRK marks a received " + e.name, func(p *port) error {
			t, err := p.attributes()
			if err != nil {
				return err
			}
			t.Iflag = t.Iflag&^(unix.IGNBRK|unix.BRKINT|unix.IGNPAR|unix.ISTRIP) | unix.PARMRK | unix.INPCK
			if err := unix.IoctlSetTermios(p.fd, unix.TCSETS, &t); err != nil {
				return says("TCSETS", err)
			}
			if err := p.damage(e.state); err != nil {
				return err
			}
			if got, err := p.read(len(e.marked)); string(got) != e.marked {
				return errors.Join(fmt.Errorf("it reads as %q", got), unlessShort(err))
			}
			return nil
		}})
	}
	return append(all, check{"an overrun leaves raw data alone", func(p *port) error {
		if err := p.damage(comport.LineOverrunError); err != nil {
			return err
		}
		if got, err := p.read(1); string(got) != "x" {
			return errors.Join(fmt.Errorf("it reads as %q", got), unlessShort(err))
		}
		return nil
	}})
}

// unlessShort drops the error of too few bytes.
func unlessShort(err error) error {
	if errors.Is(err, errShort) {
		return nil
	}
	return err
}

// damage has the port receive a break or a damaged character.
func (p *port) damage(state comport.LineState) error {
	ctx, cancel := p.within()
	defer cancel()
	return p.far.LineError(ctx, state)
}

// badChecks are calls that a port has to refuse.
var badChecks = []check{
	refused("TCGETS with a bad pointer", unix.TCGETS, badAddress, unix.EFAULT),
	refused("TCSETS with a bad pointer", unix.TCSETS, badAddress, unix.EFAULT),
	refused("TIOCMGET with a bad pointer", unix.TIOCMGET, badAddress, unix.EFAULT),
	refused("TIOCMSET with a bad pointer", unix.TIOCMSET, badAddress, unix.EFAULT),
	refused("TIOCGICOUNT with a bad pointer", unix.TIOCGICOUNT, badAddress, unix.EFAULT),
	refused("TCFLSH with a bad argument", unix.TCFLSH, 7, unix.EINVAL),
	refused("an unknown request", noRequest, 0, unix.ENOTTY),
}

func refused(name string, request, argument uintptr, want unix.Errno) check {
	return check{name, func(p *port) error {
		err := p.raw(request, argument)
		switch {
		case err == nil:
			return errors.New("it succeeds")
		case !errors.Is(err, want):
			return says("it fails", err)
		}
		return nil
	}}
}
