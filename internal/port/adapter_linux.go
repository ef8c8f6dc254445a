package port

import (
	"errors"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/bridge"
	"github.com/vcomd/vcomd/internal/evloop"
	"github.com/vcomd/vcomd/internal/usbtty"
	"github.com/vcomd/vcomd/internal/usbtty/vhci"
	"github.com/vcomd/vcomd/pty"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// adapter is the tty that the kernel's own driver makes for an emulated USB serial
// adapter: what a program does to it arrives as requests of that driver.
type adapter struct {
	port   *Port
	device *usbtty.Device
	plug   plug

	inUse bool // a program has it open
	// opening: the driver has not raised the lines yet. What it sets until then is
	// its own default, and no program's wish.
	opening bool
	known   unix.Termios
	// unset: settings that the driver has told piece by piece, and that wait for the
	// rest; dropDue: both lines were dropped, which may be a close's. What is written
	// meanwhile comes after them: see Written.
	unset, dropDue bool
	timer          evloop.Timer

	wantRead, wantWrite, posted bool
	damage                      comport.LineState // of the next byte that is received
	breaks                      int               // received, and not handed on yet
	lost                        uint64            // bytes that the device has dropped, and that were counted
}

var (
	_ tty            = (*adapter)(nil)
	_ usbtty.Handler = (*adapter)(nil)
)

// together is how long the driver's requests may be apart that a single tcsetattr,
// or a close, makes.
const together = 10 * time.Millisecond

// maxBreaks bounds the breaks that wait for a program that does not read.
const maxBreaks = 64

// defaultSettings are those that the device starts with.
var defaultSettings = usbtty.Settings{Speed: 9600, DataBits: 8, Parity: comport.ParityNone, StopBits: comport.StopSize1}

// byDefault reports whether the driver gives these to a tty that no program has set:
// tty_std_termios (drivers/tty/tty_io.c), whose IXON comes last.
func byDefault(s usbtty.Settings) bool {
	if s.Flow == usbtty.FlowXONXOFF {
		s.Flow = usbtty.FlowNone
	}
	s.XON, s.XOFF = 0, 0
	return s == defaultSettings
}

func newAdapter(p *Port) *adapter {
	a := &adapter{port: p}
	a.known = termiosOf(defaultSettings)
	a.reset()
	return a
}

// reset is for a device that nobody knows yet.
func (a *adapter) reset() {
	a.plug.id = vhci.DeviceID(int(plugged.Add(1)))
	a.device = usbtty.New(usbtty.Config{
		VendorID: usbtty.VendorID, ProductID: usbtty.ProductID, Device: a.plug.id,
		Manufacturer: "vcomd", Product: "serial port", Serial: a.port.cfg.Name,
	}, a)
	a.device.SetModem(a.port.modem)
	a.inUse, a.opening, a.unset, a.dropDue, a.damage, a.breaks, a.lost = false, false, false, false, 0, 0, 0
	evloop.Cancel(&a.timer)
}

// plugged counts this process's devices: no two have the same id.
var plugged atomic.Uint32

func (a *adapter) path() string                   { return a.plug.path }
func (a *adapter) hung() (bool, error)            { return !a.inUse, nil }
func (a *adapter) readable() int                  { return a.device.Readable() }
func (a *adapter) status() (pty.Status, error)    { return 0, nil }
func (a *adapter) pending() bool                  { return false }
func (a *adapter) observe() (unix.Termios, error) { return a.known, nil }
func (a *adapter) settings() unix.Termios         { return a.known }
func (a *adapter) polled() bool                   { return false }
func (a *adapter) raises() bool                   { return true }

// show, flushInput and interrupt have nothing to do: the kernel's tty is told of
// nothing but data, errors and lines, and does the rest itself.
func (a *adapter) show(unix.Termios) error { return errNotShown }
func (a *adapter) flushInput() error       { return nil }
func (a *adapter) interrupt() error        { return nil }

// errNotShown means that a tty cannot be told what its settings are.
var errNotShown = errors.New("a kernel tty has the settings that programs give it, and no others")

func (a *adapter) hangup() error  { return errors.ErrUnsupported }
func (a *adapter) park()          {}
func (a *adapter) unpark()        {}
func (a *adapter) reclaim() error { return nil }

// Read implements bridge.TTY.
func (a *adapter) Read(p []byte) ([]byte, bridge.Note, error) {
	n := a.device.Read(p)
	a.flush()
	if n == 0 {
		return nil, 0, bridge.ErrWouldBlock
	}
	return p[:n], 0, nil
}

// ReadNote implements bridge.TTY: the driver's requests come in their places among
// the bytes.
func (a *adapter) ReadNote() (bridge.Note, error) { return 0, nil }

// Write implements bridge.TTY.
func (a *adapter) Write(p []byte) (n int, err error) {
	if a.pass(); a.breaks > 0 {
		return 0, nil
	}
	if a.damage != 0 && len(p) > 0 {
		if !a.device.WriteWith(p[0], a.damage) {
			return 0, nil
		}
		a.damage, n = 0, 1
	}
	n += a.device.Write(p[n:])
	a.flush()
	return n, nil
}

// pass hands on the breaks that were received.
func (a *adapter) pass() {
	for a.breaks > 0 && a.device.WriteWith(0, comport.LineBreak) {
		a.breaks--
	}
}

// damaged implements tty. Which character it was is told by nobody: the next one is
// marked.
func (a *adapter) damaged(s comport.LineState) {
	if s&comport.LineBreak != 0 && a.breaks < maxBreaks {
		a.breaks++
		a.pass()
	}
	// Not an overrun: the driver would put a NUL for it among the data of a raw tty.
	a.damage |= s & (comport.LineFramingError | comport.LineParityError)
	a.flush()
}

// modem implements tty.
func (a *adapter) modem(levels comport.ModemState) {
	a.device.SetModem(levels)
	a.flush()
}

// Want implements bridge.TTY.
func (a *adapter) Want(read, write bool) {
	a.wantRead, a.wantWrite = read, write
	a.kick()
}

// due says what of that is there.
func (a *adapter) due() (read, write bool) {
	return a.wantRead && a.device.Readable() > 0, a.wantWrite && (a.device.Writable() || !a.inUse)
}

// kick has the bridge called when something it wants is there.
func (a *adapter) kick() {
	if read, write := a.due(); a.posted || !read && !write {
		return
	}
	a.posted = true
	a.port.loop.Post(func() {
		a.posted = false
		if read, write := a.due(); !a.port.over && (read || write) {
			a.port.bridge.TTYReady(read, write)
		}
	})
}

// close implements tty.
func (a *adapter) close() error {
	evloop.Cancel(&a.timer)
	return a.unplug()
}

// Opened implements usbtty.Handler.
func (a *adapter) Opened() {
	a.inUse, a.opening = true, true
	a.port.wake()
}

// Closed implements usbtty.Handler.
func (a *adapter) Closed() {
	if a.dropDue {
		a.dropDue = false // it was the close's, and is not wanted
	}
	a.settle()
	a.countLost()
	a.inUse = false
	a.port.raised = false // the driver has dropped the lines, if the settings say so
	a.port.wake()
}

// countLost tells of bytes that the kernel has taken back from the device.
func (a *adapter) countLost() {
	n := int(a.device.Counters().Dropped - a.lost)
	a.lost += uint64(n)
	a.port.bridge.LostInTTY(n)
	a.port.dropped(n, "bytes were never sent: the program has closed the port, and the kernel waits only so long for them")
}

// SetSettings implements usbtty.Handler.
func (a *adapter) SetSettings(s usbtty.Settings) {
	a.applyDrop()
	a.known = termiosOf(s)
	if a.opening && byDefault(s) {
		return
	}
	a.hold(&a.unset)
}

// hold has something wait that may be a part of more.
func (a *adapter) hold(due *bool) {
	if !*due {
		a.port.bridge.Sync() // what was written before it
		*due = true
	}
	evloop.Cancel(&a.timer)
	a.timer = a.port.loop.AfterFunc(together, func() {
		a.timer = nil
		a.settle()
	})
}

// settle carries out what waited for the rest: something else has come, or nothing.
func (a *adapter) settle() {
	a.applyDrop()
	if a.unset {
		a.port.termios = a.known
		a.port.takeExact(a.known)
		a.unset = false
		a.kick()
	}
}

func (a *adapter) applyDrop() {
	if a.dropDue {
		a.drive(comport.ControlDTROff, comport.ControlRTSOff)
		a.dropDue = false
		a.kick()
	}
}

const bothLines = usbtty.LineDTR | usbtty.LineRTS

// SetLines implements usbtty.Handler.
func (a *adapter) SetLines(mask, on usbtty.Lines) {
	opening := a.opening
	a.opening = false
	a.settle()
	p := a.port
	if mask == bothLines && on == bothLines {
		switch want := p.mirror.Want(); {
		case opening && p.raises():
			p.raiseLines()
			return
		case !p.raises() && want.DTR != comport.ControlDTROff && want.RTS != comport.ControlRTSOff:
			return // every open does it
		}
	}
	if mask == bothLines && on == 0 && !p.raises() {
		a.hold(&a.dropDue)
		return
	}
	var dtr, rts comport.Control
	if mask&usbtty.LineDTR != 0 {
		dtr = comport.DTR(on&usbtty.LineDTR != 0)
	}
	if mask&usbtty.LineRTS != 0 {
		rts = comport.RTS(on&usbtty.LineRTS != 0)
	}
	a.drive(dtr, rts)
}

// drive drives the lines; when too much waits for the server, as a level and not as
// an edge.
func (a *adapter) drive(dtr, rts comport.Control) {
	p := a.port
	if err := p.DriveLines(dtr, rts); errors.Is(err, ErrBusy) {
		p.bridge.Change(p.mirror.Want())
	}
}

// SetBreak implements usbtty.Handler.
func (a *adapter) SetBreak(on bool) {
	a.settle()
	p := a.port
	if err := p.SetBreak(on); errors.Is(err, ErrBusy) {
		p.bridge.Change(p.mirror.Want())
	}
}

// Purge implements usbtty.Handler.
func (a *adapter) Purge(receive, transmit bool) {
	a.settle()
	if err := a.port.Flush(receive, transmit); err != nil {
		a.port.ttyFailed(err)
	}
}

// Written implements usbtty.Handler.
func (a *adapter) Written() {
	a.opening = false // a driver that raises no lines: it is at B0
	a.settle()
	a.kick()
}

// Room implements usbtty.Handler.
func (a *adapter) Room() {
	a.pass()
	a.kick()
}

// Sent implements usbtty.Handler.
func (a *adapter) Sent() bool {
	a.settle()
	a.port.pump()
	return a.port.unsent() == 0 && a.port.bridge.PaceLeft() == 0
}

// termiosOf gives the settings of an adapter as those of a tty.
func termiosOf(s usbtty.Settings) unix.Termios {
	t := unix.Termios{Cflag: unix.CREAD | unix.HUPCL | unix.CLOCAL | unix.BOTHER, Ispeed: s.Speed, Ospeed: s.Speed}
	t.Cflag |= frame(comport.State{DataSize: comport.DataSize(s.DataBits), Parity: s.Parity})
	switch s.Parity {
	case comport.ParityOdd:
		t.Cflag |= unix.PARODD
	case comport.ParityMark:
		t.Cflag |= unix.PARODD | unix.CMSPAR
	case comport.ParitySpace:
		t.Cflag |= unix.CMSPAR
	case comport.ParityNone, comport.ParityEven:
	}
	if s.StopBits != comport.StopSize1 {
		t.Cflag |= unix.CSTOPB
	}
	switch s.Flow {
	case usbtty.FlowRTSCTS, usbtty.FlowDTRDSR:
		t.Cflag |= unix.CRTSCTS
	case usbtty.FlowXONXOFF:
		t.Iflag |= unix.IXON // IXOFF the kernel does by itself
		t.Cc[unix.VSTART], t.Cc[unix.VSTOP] = s.XON, s.XOFF
	case usbtty.FlowNone:
	}
	return t
}
