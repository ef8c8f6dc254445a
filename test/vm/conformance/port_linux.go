package conformance

import (
	"context"
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// rawTermios is 9600-8N1, raw: what every check begins with.
var rawTermios = func() unix.Termios {
	t := unix.Termios{Cflag: unix.B9600 | unix.CS8 | unix.CREAD | unix.CLOCAL | unix.HUPCL}
	t.Cc[unix.VMIN] = 1
	return t
}()

// idleModem are the inputs that every check begins with.
const idleModem = comport.ModemCTS | comport.ModemDSR | comport.ModemDCD

// port is the tty that a check is made on.
type port struct {
	path     string
	far      Far
	fd       int // -1: not open
	patience time.Duration
}

// within is a context for what should take no time.
func (p *port) within() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), p.patience)
}

// open opens the tty, without a setting.
func (p *port) open() error {
	fd, err := unix.Open(p.path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return says("open", err)
	}
	p.fd = fd
	ctx, cancel := p.within()
	defer cancel()
	if err := p.far.Opened(ctx); err != nil {
		return fmt.Errorf("the open is not noticed: %w", err)
	}
	return nil
}

// fresh makes the open tty raw, 9600-8N1.
func (p *port) fresh() error {
	t := rawTermios
	return says("TCSETS", unix.IoctlSetTermios(p.fd, unix.TCSETS, &t))
}

// shut closes the tty.
func (p *port) shut() error {
	if p.fd < 0 {
		return nil
	}
	err := unix.Close(p.fd)
	p.fd = -1
	if err != nil {
		return says("close", err)
	}
	ctx, cancel := p.within()
	defer cancel()
	if err := p.far.Closed(ctx); err != nil {
		return fmt.Errorf("the close is not noticed: %w", err)
	}
	return nil
}

// reopen closes the tty and opens it again.
func (p *port) reopen() error {
	if err := p.shut(); err != nil {
		return err
	}
	return p.open()
}

// says names the call that has failed, and the error by its name in errno(3).
func says(call string, err error) error {
	var errno unix.Errno
	switch {
	case err == nil:
		return nil
	case errors.As(err, &errno):
		return fmt.Errorf("%s: %s", call, unix.ErrnoName(errno))
	default:
		return fmt.Errorf("%s: %w", call, err)
	}
}

// attributes are the tty's, as tcgetattr gives them.
func (p *port) attributes() (unix.Termios, error) {
	t, err := unix.IoctlGetTermios(p.fd, unix.TCGETS)
	if err != nil {
		return unix.Termios{}, says("TCGETS", err)
	}
	return *t, nil
}

// change sets those bits of c_cflag that are in mask, as tcsetattr does, and gives the attributes as they are then. request is
// TCSETS, TCSETSW or TCSETSF.
func (p *port) change(request uint, mask, bits uint32) (unix.Termios, error) {
	t, err := p.attributes()
	if err != nil {
		return t, err
	}
	t.Cflag = t.Cflag&^mask | bits
	if err := unix.IoctlSetTermios(p.fd, request, &t); err != nil {
		return t, says("TCSETS", err)
	}
	return p.attributes()
}

// keeps fails unless those bits of c_cflag that are in mask are read back as they were set.
func (p *port) keeps(mask, bits uint32) error {
	t, err := p.change(unix.TCSETS, mask, bits)
	return readBack(t, err, mask, bits)
}

// readBack fails unless attributes have those bits.
func readBack(t unix.Termios, err error, mask, bits uint32) error {
	if err != nil {
		return err
	}
	if t.Cflag&mask != bits {
		return errors.New("it is not read back")
	}
	return nil
}

// bother sets any speed, in bit/s, and gives the one read back.
func (p *port) bother(speed uint32) (uint32, error) {
	t, err := unix.IoctlGetTermios(p.fd, unix.TCGETS2)
	if err != nil {
		return 0, says("TCGETS2", err)
	}
	t.Cflag = t.Cflag&^unix.CBAUD | unix.BOTHER
	t.Ispeed, t.Ospeed = speed, speed
	if err := unix.IoctlSetTermios(p.fd, unix.TCSETS2, t); err != nil {
		return 0, says("TCSETS2", err)
	}
	t, err = unix.IoctlGetTermios(p.fd, unix.TCGETS2)
	if err != nil {
		return 0, says("TCGETS2", err)
	}
	return t.Ospeed, nil
}

// get makes a request that gives a number.
func (p *port) get(call string, request uint) (int, error) {
	n, err := unix.IoctlGetInt(p.fd, request)
	return n, says(call, err)
}

// set makes a request whose argument is the address of a number.
func (p *port) set(call string, request uint, n int) error {
	return says(call, unix.IoctlSetPointerInt(p.fd, request, n))
}

// do makes a request whose argument is a number, or none. A signal may have been meant for Go's runtime.
func (p *port) do(call string, request uint, n int) error {
	for {
		err := unix.IoctlSetInt(p.fd, request, n)
		if !errors.Is(err, unix.EINTR) {
			return says(call, err)
		}
	}
}

// lines are DTR and RTS, as TIOCMGET gives them.
func (p *port) lines() (int, error) {
	n, err := p.get("TIOCMGET", unix.TIOCMGET)
	return n & (unix.TIOCM_DTR | unix.TIOCM_RTS), err
}

// linesAre fails unless DTR and RTS are as wanted.
func (p *port) linesAre(want int) error {
	got, err := p.lines()
	if err == nil && got != want {
		err = fmt.Errorf("the lines are %s", lineNames(got))
	}
	return err
}

func lineNames(n int) string {
	switch n & (unix.TIOCM_DTR | unix.TIOCM_RTS) {
	case 0:
		return "down"
	case unix.TIOCM_DTR:
		return "DTR only"
	case unix.TIOCM_RTS:
		return "RTS only"
	default:
		return "up"
	}
}

// counters is struct serial_icounter_struct of <linux/serial.h>.
type counters struct {
	CTS, DSR, RNG, DCD, RX, TX, Frame, Overrun, Parity, Brk, BufOverrun int32

	_ [9]int32
}

// counted gives the counters of TIOCGICOUNT.
func (p *port) counted() (counters, error) {
	var c counters
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(p.fd), unix.TIOCGICOUNT, uintptr(unsafe.Pointer(&c)))
	if errno != 0 {
		return c, says("TIOCGICOUNT", errno)
	}
	return c, nil
}

// raw makes a request with an argument of any kind, and gives its error.
func (p *port) raw(request, argument uintptr) error {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(p.fd), request, argument)
	if errno != 0 {
		return errno
	}
	return nil
}

// write writes all of b, and waits for room.
func (p *port) write(b []byte) error {
	deadline := time.Now().Add(p.patience)
	for len(b) > 0 {
		n, err := unix.Write(p.fd, b)
		switch {
		case errors.Is(err, unix.EAGAIN):
			if err := p.ready(unix.POLLOUT, deadline); err != nil {
				return err
			}
		case err != nil && !errors.Is(err, unix.EINTR):
			return says("write", err)
		default:
			b = b[max(n, 0):]
		}
	}
	return nil
}

// errShort: fewer bytes have come than were expected.
var errShort = errors.New("bytes do not come")

// read reads n bytes or more.
func (p *port) read(n int) ([]byte, error) {
	deadline := time.Now().Add(p.patience)
	buf := make([]byte, 64<<10)
	var all []byte
	for len(all) < n {
		got, err := unix.Read(p.fd, buf)
		switch {
		case errors.Is(err, unix.EAGAIN):
			if err := p.ready(unix.POLLIN, deadline); err != nil {
				return all, fmt.Errorf("%w: %d, not %d", errShort, len(all), n)
			}
		case err != nil && !errors.Is(err, unix.EINTR):
			return all, says("read", err)
		case got == 0 && err == nil:
			return all, errors.New("read gives the end")
		default:
			all = append(all, buf[:max(got, 0)]...)
		}
	}
	return all, nil
}

// ready waits until the tty can be read or written.
func (p *port) ready(events int16, deadline time.Time) error {
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return errors.New("poll: nothing happens")
		}
		fds := []unix.PollFd{{Fd: int32(p.fd), Events: events}}
		n, err := unix.Poll(fds, int(left.Milliseconds())+1)
		if n > 0 {
			return nil
		}
		if err != nil && !errors.Is(err, unix.EINTR) {
			return says("poll", err)
		}
	}
}

// eventually waits until something holds; otherwise is the error.
func (p *port) eventually(holds func() (bool, error), otherwise string) error {
	ctx, cancel := p.within()
	defer cancel()
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for {
		ok, err := holds()
		if ok || err != nil {
			return err
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return errors.New(otherwise)
		}
	}
}

// receive has the tty receive bytes, and waits until they wait in it.
func (p *port) receive(b string) error {
	ctx, cancel := p.within()
	defer cancel()
	if err := p.far.Receive(ctx, []byte(b)); err != nil {
		return err
	}
	last := 0
	err := p.eventually(func() (bool, error) {
		n, err := p.get("FIONREAD", unix.TIOCINQ)
		last = n
		return n == len(b), err
	}, "")
	if err != nil {
		return fmt.Errorf("%d bytes wait, not %d", last, len(b))
	}
	return nil
}

// arrives waits until the far UART is as wanted.
func (p *port) arrives(what string, holds func(comport.State) bool) error {
	ctx, cancel := p.within()
	defer cancel()
	err := p.far.Await(ctx, holds)
	if err != nil && !errors.Is(err, ErrUntried) {
		return errors.New(what + " is not seen there")
	}
	return err
}
