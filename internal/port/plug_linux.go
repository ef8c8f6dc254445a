package port

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/evloop"
	"github.com/vcomd/vcomd/internal/usbtty"
	"github.com/vcomd/vcomd/internal/usbtty/vhci"
	"github.com/vcomd/vcomd/termiosmirror"
)

// plug is where the device is plugged in.
type plug struct {
	socket  int // our end of the line to the controller; -1: it is not plugged in
	source  *evloop.Source
	at      *vhci.Port
	id      uint32 // of the device, for the controller
	path    string // of the tty; empty: there is none yet
	since   time.Time
	timer   evloop.Timer  // until the tty is looked for again, or the next try
	pause   time.Duration // before that try
	feeding bool          // what is to be said to the controller is said at the end
	writing bool          // the socket is full
	buf     [64 << 10]byte
}

const (
	// prepareTimeout is how long the kernel has to load its modules.
	prepareTimeout = 20 * time.Second
	// lookInterval is how often the kernel is asked whether it has made the tty, and
	// ttyTimeout how long at most: measured are 0.5 to 3.6 s, on a slow machine.
	lookInterval = 20 * time.Millisecond
	ttyTimeout   = 30 * time.Second
	// grantTimeout is how long udev has to handle the tty: what it does to it comes
	// before what the configuration says.
	grantTimeout = 5 * time.Second
	// replugMin and replugMax bound the pause before a device that was unplugged by
	// somebody is plugged in again.
	replugMin = time.Second
	replugMax = 30 * time.Second
)

// What can happen to an adapter.
var (
	errDetached = errors.New("it was detached from the USB/IP controller (vhci_hcd)")
	errNoTTY    = fmt.Errorf("the kernel has made no tty for it within %v (see dmesg)", ttyTimeout)
)

// PrepareTTY has the kernel load what the port's tty needs, which may take a while;
// nothing for a pseudo-terminal. See Prepared.
func (c *Config) PrepareTTY(ctx context.Context) error {
	if c.TTY == TTYPseudo {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
	defer cancel()
	return c.usb().Prepare(ctx, usbtty.VendorID, usbtty.ProductID)
}

func (c *Config) usb() *vhci.Host {
	if c.USB == nil {
		return &vhci.Host{}
	}
	return c.USB
}

// openAdapter plugs an adapter in. Its tty is there a little later.
func (p *Port) openAdapter() error {
	prepare := p.cfg.Prepared
	if prepare == nil {
		prepare = func() error { return p.cfg.PrepareTTY(context.Background()) }
	}
	if err := prepare(); err != nil {
		return err
	}
	// The driver tells all that a program asks for, as a supervisor does.
	p.attached++
	p.mirror = termiosmirror.NewExact(p.cfg.Line)
	p.startLines()
	a := newAdapter(p)
	if err := a.plugIn(); err != nil {
		p.attached--
		p.mirror = termiosmirror.New(p.cfg.Line)
		p.startLines()
		return err
	}
	p.tty, p.termios = a, a.known
	p.mirror.Start(p.termios)
	return nil
}

// plugIn attaches the device to the controller.
func (a *adapter) plugIn() error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("plug in the USB adapter of %s: %w", a.port.cfg.Name, os.NewSyscallError("socketpair", err))
	}
	ours, kernels := pair[0], pair[1]
	defer func() { _ = unix.Close(kernels) }() // the kernel has its own reference
	fail := func(err error) error {
		_ = unix.Close(ours)
		return err
	}
	if err := unix.SetNonblock(ours, true); err != nil {
		return fail(os.NewSyscallError("fcntl", err))
	}
	at, err := a.port.cfg.USB.Attach(kernels, a.plug.id, vhci.SpeedFull)
	if err != nil {
		return fail(err)
	}
	source, err := a.port.loop.Watch(ours, evloop.Readable, a.event)
	if err != nil {
		return fail(errors.Join(err, a.port.cfg.USB.Detach(at)))
	}
	g := &a.plug
	g.socket, g.source, g.at, g.since, g.writing = ours, source, at, a.port.loop.Now(), false
	g.timer = a.port.loop.AfterFunc(lookInterval, a.find)
	return nil
}

// unplug detaches the device.
func (a *adapter) unplug() error {
	g := &a.plug
	evloop.Cancel(&g.timer)
	if g.source == nil {
		return nil
	}
	err := errors.Join(g.source.Close(), a.port.cfg.USB.Detach(g.at), os.NewSyscallError("close", unix.Close(g.socket)))
	g.socket, g.source, g.at, g.path = -1, nil, nil, ""
	return err
}

// find looks whether the kernel has made the tty. Not on the loop's thread: the kernel
// may need an answer of the device before it lets anybody look.
func (a *adapter) find() {
	g, p := &a.plug, a.port
	g.timer = nil
	at, waited := g.at, p.loop.Now().Sub(g.since)
	go func() {
		path, err := p.cfg.locate(at, waited)
		p.loop.Post(func() {
			if g.at == at { // else it was unplugged meanwhile
				a.looked(path, err, waited)
			}
		})
	}()
}

// locate returns the path of the tty, which then has its owner and mode.
func (c *Config) locate(at *vhci.Port, waited time.Duration) (path string, err error) {
	tty, err := c.USB.TTY(at, c.Name, usbtty.VendorID, usbtty.ProductID)
	if err != nil {
		return "", err
	}
	err = c.USB.Grant(tty, c.UID, c.GID, c.Mode)
	if errors.Is(err, vhci.ErrNotYet) && waited > grantTimeout {
		err = c.USB.GrantNow(tty, c.UID, c.GID, c.Mode)
	}
	return tty.Path, err
}

func (a *adapter) looked(path string, err error, waited time.Duration) {
	switch {
	case err == nil:
		a.found(path)
	case !errors.Is(err, vhci.ErrNotYet):
		a.gone(err)
	case waited > ttyTimeout:
		a.gone(fmt.Errorf("%w: %w", errNoTTY, err))
	default:
		a.plug.timer = a.port.loop.AfterFunc(lookInterval, a.find)
	}
}

func (a *adapter) found(path string) {
	g, p := &a.plug, a.port
	g.path, g.pause = path, 0
	if !p.served {
		if err := p.names.point(path); err != nil {
			p.fail(err)
			return
		}
		p.becomeReady()
	} else {
		p.moveNames(path)
		p.emit(Event{Kind: KindPlugged, New: path})
	}
	p.changed()
}

// gone is for a device that the kernel has no more use for.
func (a *adapter) gone(err error) {
	g, p := &a.plug, a.port
	err = fmt.Errorf("the USB adapter of %s: %w", p.cfg.Name, err)
	old := g.path
	a.pullOut()
	if !p.served {
		p.fail(err)
		return
	}
	g.pause = min(max(2*g.pause, replugMin), replugMax)
	p.emit(Event{Kind: KindUnplugged, Old: old, New: g.pause.String(), Err: err})
	g.timer = p.loop.AfterFunc(g.pause, a.plugInAgain)
}

func (a *adapter) plugInAgain() {
	a.plug.timer = nil
	if err := a.plugIn(); err != nil {
		a.gone(err)
	}
}

// pullOut unplugs the device, with which what its programs had goes, and puts
// another in its place, for the next plugIn.
func (a *adapter) pullOut() {
	p := a.port
	_ = a.unplug()
	was := a.inUse
	p.dropped(p.bridge.DropUnsent(), "bytes were never sent: the adapter they were written to was unplugged")
	a.reset()
	if was && p.open {
		p.closed()
	}
}

// replug has the programs on the tty see an adapter that is pulled out, and another
// one, like it, that is plugged in.
func (a *adapter) replug() {
	a.pullOut()
	a.plugInAgain()
}

// event is called by the loop for the socket.
func (a *adapter) event(ev evloop.Events) {
	g := &a.plug
	if ev&evloop.Writable != 0 {
		g.writing = false
	}
	var err error
	if ev&(evloop.Readable|evloop.Hangup|evloop.Error) != 0 {
		err = a.feed()
	}
	if g.source == nil {
		return // it was unplugged by what came
	}
	if err != nil {
		a.gone(err)
		return
	}
	a.flush()
}

// feed has the device take what the controller has sent.
func (a *adapter) feed() error {
	g := &a.plug
	n, err := unix.Read(g.socket, g.buf[:])
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return nil
	case err != nil:
		return os.NewSyscallError("read", err)
	case n == 0:
		return errDetached
	}
	g.feeding = true
	err = a.device.Feed(g.buf[:n])
	g.feeding = false
	return err
}

// flush says to the controller what the device has to say.
func (a *adapter) flush() {
	g := &a.plug
	if g.feeding || g.writing || g.source == nil {
		return
	}
	for {
		out := a.device.Output()
		if len(out) == 0 {
			break
		}
		n, err := unix.Write(g.socket, out)
		if n > 0 {
			a.device.Wrote(n)
		}
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			// Anything but a full socket is met again by feed.
			g.writing = errors.Is(err, unix.EAGAIN)
			break
		}
	}
	events := evloop.Readable
	if g.writing {
		events |= evloop.Writable
	}
	_ = g.source.Set(events) // it fails only for a descriptor that is closed
}
