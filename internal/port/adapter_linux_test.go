package port

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/usbtty/usbtest"
	"github.com/vcomd/vcomd/internal/usbtty/vhci/vhcitest"
	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// usbRig is a rig whose tty is the kernel's: that of usbtest, on a controller of
// vhcitest.
type usbRig struct {
	*rig
	controller *vhcitest.Kernel

	mu      sync.Mutex
	kernels []*usbtest.Kernel // one for each time that the adapter was plugged in
}

func newUSBRig(t *testing.T, faults rfc2217test.Faults, change func(*Config)) *usbRig {
	t.Helper()
	u := &usbRig{controller: vhcitest.New(t)}
	var driving sync.WaitGroup
	u.controller.OnAttach = func(at vhcitest.Attachment) {
		k := usbtest.NewKernel(endOf(t, at.Socket), at.Device)
		u.mu.Lock()
		u.kernels = append(u.kernels, k)
		number := len(u.kernels) - 1
		u.mu.Unlock()
		driving.Go(func() {
			info, err := k.Enumerate()
			if err != nil {
				return // it was unplugged meanwhile
			}
			u.controller.Enumerate(at.Port, vhcitest.Device{Vendor: info.VendorID, Product: info.ProductID, Serial: info.Serial, TTY: number})
			<-k.Gone()
			u.controller.Unplug(at.Port)
		})
	}
	t.Cleanup(driving.Wait)
	t.Cleanup(func() {
		for _, k := range u.plugged() {
			if err := k.Close(); err != nil {
				t.Errorf("what the device has done: %v", err)
			}
		}
	})
	u.rig = newRig(t, faults, func(c *Config) {
		c.TTY, c.USB = TTYUSB, u.controller.Host()
		if change != nil {
			change(c)
		}
	})
	return u
}

// endOf is the kernel's end of the line to the device.
func endOf(t *testing.T, fd int) net.Conn {
	t.Helper()
	duplicate, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		t.Error(err)
	}
	f := os.NewFile(uintptr(duplicate), "vhci")
	defer func() { _ = f.Close() }()
	conn, err := net.FileConn(f)
	if err != nil {
		t.Error(err)
	}
	return conn
}

func (u *usbRig) plugged() []*usbtest.Kernel {
	u.mu.Lock()
	defer u.mu.Unlock()
	return slices.Clone(u.kernels)
}

// open waits for the n-th tty, and opens it.
func (u *usbRig) open(n int) *usbtest.TTY {
	u.t.Helper()
	u.eventually("there is a tty", func() bool { return u.status().TTY != "" && len(u.plugged()) == n })
	f, err := u.plugged()[n-1].Open()
	if err != nil {
		u.t.Fatal(err)
	}
	return f
}

// raw has the program set its tty up.
func (u *usbRig) raw(f *usbtest.TTY, change func(*usbtest.Termios)) {
	u.t.Helper()
	s := f.Termios()
	s.IXON = false
	if change != nil {
		change(&s)
	}
	u.must(f.SetTermios(s))
}

func (u *usbRig) must(err error) {
	u.t.Helper()
	if err != nil {
		u.t.Fatal(err)
	}
}

// requests returns the requests that changed something at the server, in order.
func (u *usbRig) requests() (all []comport.Message) {
	for _, m := range u.server.Messages() {
		switch m.(type) {
		case comport.SetLineStateMask, comport.SetModemStateMask:
		default:
			if !comport.IsQuery(m) {
				all = append(all, m)
			}
		}
	}
	return all
}

// A program that only opens the port asks for its lines, and for no settings: those
// that the driver sets at each open are nobody's wish.
func TestUSBOpenRaisesTheLinesAndNoMore(t *testing.T) {
	u := newUSBRig(t, rfc2217test.Faults{}, nil)
	f := u.open(1)
	u.await(KindConnected)
	u.eventually("the lines are up", func() bool {
		s := u.uart.State()
		return s.DTR == comport.ControlDTROn && s.RTS == comport.ControlRTSOn
	})
	for _, m := range u.requests() {
		if _, control := m.(comport.SetControl); !control {
			t.Errorf("the server was asked for %v", m)
		}
	}
	if want := u.status().Wanted; want.BaudRate != 0 || want.DataSize != 0 || want.Outbound != 0 {
		t.Errorf("the driver's own %v is wanted", want)
	}
	u.must(f.Close())
	u.await(KindClosed)
	u.eventually("the lines are down", func() bool {
		s := u.uart.State()
		return s.DTR == comport.ControlDTROff && s.RTS == comport.ControlRTSOff
	})
}

func TestUSBSettings(t *testing.T) {
	u := newUSBRig(t, rfc2217test.Faults{}, nil)
	f := u.open(1)
	u.await(KindConnected)
	for _, s := range []struct {
		change func(*usbtest.Termios)
		want   comport.State
	}{
		{func(s *usbtest.Termios) { s.DataBits, s.Parity = 7, comport.ParityEven }, comport.State{BaudRate: 9600, DataSize: 7, Parity: comport.ParityEven, StopSize: comport.StopSize1}},
		{func(s *usbtest.Termios) {
			s.DataBits, s.Parity, s.TwoStop, s.Speed = 8, comport.ParityOdd, true, 115200
		}, comport.State{BaudRate: 115200, DataSize: 8, Parity: comport.ParityOdd, StopSize: comport.StopSize2}},
		{func(s *usbtest.Termios) { s.Parity, s.TwoStop, s.Speed = comport.ParityMark, false, 250000 }, comport.State{BaudRate: 250000, DataSize: 8, Parity: comport.ParityMark, StopSize: comport.StopSize1}},
		{func(s *usbtest.Termios) { s.Parity, s.Speed, s.CRTSCTS = comport.ParitySpace, 12345, true }, comport.State{
			BaudRate: 12345, DataSize: 8, Parity: comport.ParitySpace, StopSize: comport.StopSize1, Outbound: comport.ControlFlowHardware,
		}},
		{func(s *usbtest.Termios) { s.Parity, s.Speed, s.CRTSCTS, s.IXON = comport.ParityNone, 300, false, true }, comport.State{
			BaudRate: 300, DataSize: 8, Parity: comport.ParityNone, StopSize: comport.StopSize1, Outbound: comport.ControlFlowXonXoff,
		}},
	} {
		u.raw(f, s.change)
		if s.want.Outbound == 0 {
			s.want.Outbound = comport.ControlFlowNone
		}
		u.eventually("the UART has "+s.want.String(), func() bool {
			got := u.uart.State()
			got.DTR, got.RTS, got.Break, got.Inbound = 0, 0, 0, 0
			return got == s.want
		})
	}
}

// One tcsetattr, which the driver makes three requests of, is one change.
func TestUSBSettingsComeTogether(t *testing.T) {
	u := newUSBRig(t, rfc2217test.Faults{}, nil)
	f := u.open(1)
	u.await(KindConnected)
	u.raw(f, func(s *usbtest.Termios) { s.Speed, s.DataBits, s.Parity = 19200, 7, comport.ParityOdd })
	u.eventually("the UART has it", func() bool { return u.uart.State().Parity == comport.ParityOdd })
	for _, ev := range u.of(KindWanted) {
		if strings.Contains(ev.New, "9600-") || strings.Contains(ev.New, "-8N1") {
			t.Errorf("%s was wanted on the way to 19200-7O1", ev.New)
		}
	}
}

// Bytes, settings, lines and breaks leave in the program's order.
func TestUSBOrder(t *testing.T) {
	u := newUSBRig(t, rfc2217test.Faults{}, nil)
	f := u.open(1)
	u.await(KindConnected)
	u.raw(f, nil)
	write := func(s string) {
		if _, err := f.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	write("one")
	u.must(f.Drain(ctx))
	u.raw(f, func(s *usbtest.Termios) { s.Speed = 4800 })
	write("two")
	u.raw(f, func(s *usbtest.Termios) { s.Speed = 2400 })
	write("2.5")
	u.must(f.Drain(ctx))
	u.must(f.SetLines(0, usbtest.DTR))
	u.must(f.SetLines(usbtest.DTR, 0))
	u.must(f.SetBreak(true))
	u.must(f.SetBreak(false))
	write("three")
	u.must(f.Drain(ctx))
	u.eventually("all has arrived", func() bool { return bytes.Equal(u.uart.Sent(), []byte("onetwo2.5three")) })
	want := []string{
		`data "one" at 9600-8N1`, "setting SET-BAUDRATE 4800", `data "two" at 4800-8N1`, "setting SET-BAUDRATE 2400", `data "2.5" at 2400-8N1`, "line SET-CONTROL DTR=off", "line SET-CONTROL DTR=on",
		"break SET-CONTROL break=on", "break SET-CONTROL break=off", `data "three" at 2400-8N1`,
	}
	var order []string
	for _, e := range u.uart.Journal() {
		order = append(order, e.String())
	}
	order = order[max(slices.Index(order, want[0]), 0):] // after the open
	if !slices.Equal(order, want) {
		t.Errorf("the UART's journal is\n%q, want\n%q", order, want)
	}
}

func TestUSBDataBothWays(t *testing.T) {
	const size = 256 << 10
	u := newUSBRig(t, rfc2217test.Faults{}, nil)
	f := u.open(1)
	u.await(KindConnected)
	u.raw(f, func(s *usbtest.Termios) { s.Speed = 3_000_000 })
	pattern := make([]byte, size)
	for i := range pattern {
		pattern[i] = byte(i*7 + i>>8)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		if _, err := f.Write(pattern); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		for rest := pattern; len(rest) > 0; {
			// As fast as the program reads, and no faster: a UART's buffer overruns.
			n := u.uart.Receive(rest[:min(len(rest), 1024)])
			if rest = rest[n:]; n == 0 || f.Waiting() > 2048 {
				time.Sleep(time.Millisecond)
			}
		}
	})
	got := make([]byte, size)
	if _, err := io.ReadFull(f, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, pattern) {
		t.Error("what the program has read is not what was received")
	}
	u.eventually("the UART has sent all", func() bool { return len(u.uart.Sent()) == size })
	if !bytes.Equal(u.uart.Sent(), pattern) {
		t.Error("what the UART has sent is not what was written")
	}
}

func TestUSBModemLinesAndErrors(t *testing.T) {
	u := newUSBRig(t, rfc2217test.Faults{}, nil)
	f := u.open(1)
	u.await(KindConnected)
	u.raw(f, func(s *usbtest.Termios) { s.Mark = true })
	for _, s := range []struct {
		levels comport.ModemState
		want   int
	}{
		{comport.ModemCTS, usbtest.CTS},
		{comport.ModemDSR | comport.ModemDCD, usbtest.DSR | usbtest.DCD},
		{comport.ModemRI, usbtest.RI},
		{0, 0},
	} {
		u.uart.SetModem(s.levels)
		u.eventually("the lines are "+s.levels.String(), func() bool {
			got, err := f.Lines()
			u.must(err)
			return got&^(usbtest.DTR|usbtest.RTS) == s.want
		})
	}
	u.eventually("the ring was counted", func() bool { return f.ICount().RNG == 2 }) // ftdi_sio counts both edges
	u.uart.LineError(comport.LineParityError)
	u.await(KindLineState)
	u.uart.Receive([]byte{'x'})
	got := make([]byte, 3)
	if _, err := io.ReadFull(f, got); err != nil || !bytes.Equal(got, []byte{0xff, 0, 'x'}) {
		t.Errorf("the program has read % x, %v, want a marked x", got, err)
	}
	u.uart.LineError(comport.LineBreak)
	if _, err := io.ReadFull(f, got); err != nil || !bytes.Equal(got, []byte{0xff, 0, 0}) {
		t.Errorf("the program has read % x, %v, want a marked break", got, err)
	}
	if n := f.ICount(); n.Parity != 1 || n.Brk != 1 {
		t.Errorf("counted %+v, want one parity error and one break", n)
	}
}

// hangup pulls the adapter out and plugs another one in; the link follows.
func TestUSBHangup(t *testing.T) {
	link := filepath.Join(t.TempDir(), "ttyV")
	u := newUSBRig(t, rfc2217test.Faults{}, func(c *Config) {
		c.OnLoss, c.Links, c.RunDir = OnLossHangup, []string{link}, t.TempDir()
	})
	f := u.open(1)
	u.await(KindConnected)
	first := u.status().TTY
	u.server.Disconnect()
	if _, err := f.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("read: %v, want the end of the file", err)
	}
	u.await(KindPlugged)
	if got, err := os.Readlink(link); err != nil || got != u.status().TTY || got == first {
		t.Errorf("the link leads to %s, %v; the tty is %s, and was %s", got, err, u.status().TTY, first)
	}
	g := u.open(2)
	u.eventually("it is connected again", func() bool { return len(u.of(KindConnected)) == 2 })
	u.raw(g, func(s *usbtest.Termios) { s.Speed = 57600 })
	u.eventually("and works", func() bool { return u.uart.State().BaudRate == 57600 })
}

// hold keeps the adapter, and the levels that the program sees, and what it writes.
func TestUSBHold(t *testing.T) {
	u := newUSBRig(t, rfc2217test.Faults{}, nil)
	u.uart.SetModem(comport.ModemDCD | comport.ModemCTS)
	f := u.open(1)
	u.await(KindConnected)
	u.raw(f, func(s *usbtest.Termios) { s.CLOCAL = false; s.Speed = 2400 })
	u.eventually("the carrier is there", func() bool {
		got, err := f.Lines()
		u.must(err)
		return got&usbtest.DCD != 0
	})
	u.server.Disconnect()
	u.await(KindDisconnected)
	if _, err := f.Write([]byte("later")); err != nil {
		t.Fatal(err)
	}
	u.eventually("what was written has arrived", func() bool { return bytes.Equal(u.uart.Sent(), []byte("later")) })
	if f.HungUp() {
		t.Error("the program was hung up")
	}
	if len(u.plugged()) != 1 {
		t.Error("the adapter was pulled out")
	}
}

// tcdrain waits for what waits in vcomd, too.
func TestUSBDrainWaitsForTheConnection(t *testing.T) {
	u := newUSBRig(t, rfc2217test.Faults{}, func(c *Config) { c.RetryMin, c.RetryMax = time.Hour, time.Hour })
	f := u.open(1)
	u.await(KindConnected)
	u.server.Disconnect()
	u.await(KindDisconnected)
	if _, err := f.Write([]byte("waits")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := f.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("tcdrain: %v, though nothing has left", err)
	}
	ended, cancelNow := context.WithCancel(context.Background())
	cancelNow()
	u.must(f.CloseContext(ended))
}

// An adapter that somebody detaches comes back by itself.
func TestUSBDetachedBySomebody(t *testing.T) {
	u := newUSBRig(t, rfc2217test.Faults{}, nil)
	u.open(1)
	u.await(KindConnected)
	u.controller.Unplug(0)
	u.await(KindUnplugged)
	u.await(KindClosed)
	u.await(KindPlugged)
	u.open(2)
}

func TestUSBLeaveLines(t *testing.T) {
	u := newUSBRig(t, rfc2217test.Faults{}, func(c *Config) { c.Lines = LinesLeave })
	f := u.open(1)
	u.await(KindConnected)
	u.raw(f, func(s *usbtest.Termios) { s.Speed = 19200 })
	u.eventually("the UART has the speed", func() bool { return u.uart.State().BaudRate == 19200 })
	u.must(f.Close())
	u.await(KindClosed)
	f = u.open(1)
	u.must(f.SetLines(0, usbtest.DTR))
	u.eventually("the program's own request passes", func() bool {
		return slices.Contains(u.requests(), comport.Message(comport.SetControl{Control: comport.ControlDTROff}))
	})
	for _, m := range u.requests() {
		c, ok := m.(comport.SetControl)
		if group := c.Control.Group(); ok && c.Control != comport.ControlDTROff && (group == comport.GroupDTR || group == comport.GroupRTS) {
			t.Errorf("the server was told %v, and nobody asked for it", m)
		}
	}
}

// Without a controller there is one clear error, and with auto a pseudo-terminal.
func TestUSBWithoutController(t *testing.T) {
	k := vhcitest.New(t)
	k.Forget()
	r := newRig(t, rfc2217test.Faults{}, func(c *Config) { c.TTY, c.USB = TTYAuto, k.Host() })
	if len(r.of(KindPseudo)) != 1 {
		t.Errorf("events %v, want one that says why it is a pseudo-terminal", r.all())
	}
	r.program()
	r.await(KindConnected)

	loopless := Config{Name: "x", TTY: TTYUSB, USB: k.Host(), UID: -1, GID: -1, Remote: rfc2217client.Remote{Host: "simulated", Port: "1"}}
	r.do(func() {
		if _, err := Open(loopless, r.loop, nil); err == nil || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("--tty usb: %v", err)
		}
	})
}
