package usbtty_test

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/vcomd/vcomd/internal/usbtty"
	"github.com/vcomd/vcomd/internal/usbtty/usbtest"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

func TestSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, usbtty.Config{Manufacturer: "vcomd", Product: "USB serial", Serial: "GPS"})
		info, err := r.k.Enumerate()
		must(t, err)
		if info.VendorID != 0x1209 || info.ProductID != 0x2217 || info.Release != 0x0600 {
			t.Errorf("the device is %04x:%04x, release %04x", info.VendorID, info.ProductID, info.Release)
		}
		if info.Manufacturer != "vcomd" || info.Product != "USB serial" || info.Serial != "GPS" {
			t.Errorf("the strings are %q, %q, %q", info.Manufacturer, info.Product, info.Serial)
		}
		r.expect()

		f := r.open()
		r.expect("opened", "settings 9600 8N1 flow none", "settings 9600 8N1 flow xon/xoff", "room", "lines DTR|RTS of DTR|RTS")
		_, err = f.Write([]byte("hello"))
		must(t, err)
		r.expect("written")
		if got := r.read(); got != "hello" {
			t.Errorf("the program wrote %q", got)
		}
		r.do(func() { r.dev.Write([]byte("world")) })
		var b [10]byte
		n, err := io.ReadAtLeast(f, b[:], 5)
		must(t, err)
		if string(b[:n]) != "world" {
			t.Errorf("the program read %q", b[:n])
		}
		must(t, f.Close())
		r.expect("settings 9600 8N1 flow none", "lines 0 of DTR|RTS", "closed")
	})
}

// Settings, as a program makes them.
func TestSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, usbtty.Config{})
		f := r.open()
		base := usbtest.DefaultTermios()
		base.IXON = false
		must(t, f.SetTermios(base))
		synctest.Wait()
		r.log.take()
		for _, c := range []struct {
			make     func(*usbtest.Termios)
			settings string // the last that is told: each request tells the whole
			lines    []string
		}{
			{func(s *usbtest.Termios) { s.DataBits, s.Parity = 7, comport.ParityEven }, "settings 9600 7E1 flow none", nil},
			{func(s *usbtest.Termios) { s.Parity, s.TwoStop = comport.ParityOdd, true }, "settings 9600 8O2 flow none", nil},
			{func(s *usbtest.Termios) { s.Parity = comport.ParityMark }, "settings 9600 8M1 flow none", nil},
			{func(s *usbtest.Termios) { s.Parity = comport.ParitySpace }, "settings 9600 8S1 flow none", nil},
			{func(s *usbtest.Termios) { s.Speed = 115200 }, "settings 115200 8N1 flow none", nil},
			{func(s *usbtest.Termios) { s.Speed = 12345 }, "settings 12345 8N1 flow none", nil},
			{func(s *usbtest.Termios) { s.CRTSCTS = true }, "settings 9600 8N1 flow rts/cts", nil},
			{func(s *usbtest.Termios) { s.IXON, s.Start, s.Stop = true, 'q', 's' }, "settings 9600 8N1 flow xon/xoff", nil},
			{func(s *usbtest.Termios) { s.Speed = 0 }, "settings 9600 8N1 flow none", []string{"lines 0 of DTR|RTS"}},
			{func(*usbtest.Termios) {}, "settings 9600 8N1 flow none", []string{"lines DTR|RTS of DTR|RTS"}}, // back from B0
		} {
			s := base
			c.make(&s)
			must(t, f.SetTermios(s))
			synctest.Wait()
			var settings string
			var lines []string
			for _, l := range r.log.take() {
				if strings.HasPrefix(l, "settings") {
					settings = l
				} else {
					lines = append(lines, l)
				}
			}
			if settings != c.settings || !slices.Equal(lines, c.lines) {
				t.Errorf("the handler was told %q and %q, want %q and %q", settings, lines, c.settings, c.lines)
			}
			if now := r.dev.Settings(); s.IXON && (now.XON != 'q' || now.XOFF != 's') {
				t.Errorf("XON and XOFF are %q and %q", now.XON, now.XOFF)
			}
		}
		must(t, f.Close())
	})
}

// 5 data bits: ftdi_sio sends 0.
func TestUnsupportedFormat(t *testing.T) {
	p := newPure(t)
	p.feed(control(1, 0x40, 4, 0x0207, 0, 0), control(2, 0x40, 4, 0x0200, 0, 0))
	p.told("settings 9600 7E1 flow none")
	if s, n := p.dev.Settings(), p.dev.Counters().Unsupported; s.DataBits != 7 || n != 1 {
		t.Errorf("%d data bits, %d unsupported", s.DataBits, n)
	}
	p.feed(control(3, 0x40, 4, 0x0508|3<<11, 0, 0))
	p.told("settings 9600 8E1 flow none")
	if n := p.dev.Counters().Unsupported; n != 3 {
		t.Errorf("%d unsupported", n)
	}
	p.feed(control(4, 0x40, 4, 0x0808, 0, 0)) // one and a half stop bits
	p.told("settings 9600 8N1.5 flow none")
}

func TestFlowControl(t *testing.T) {
	p := newPure(t)
	p.feed(control(1, 0x40, 2, 0x1311, 0x0400, 0), control(2, 0x40, 2, 0, 0x0200, 0), control(3, 0x40, 2, 0, 0x0300, 0))
	p.told("settings 9600 8N1 flow xon/xoff", "settings 9600 8N1 flow dtr/dsr")
	p.expect("ret 1 0", "ret 2 0", "ret 3 -32")
	if s := p.dev.Settings(); s.XON != 0x11 || s.XOFF != 0x13 {
		t.Errorf("XON and XOFF are %#x and %#x", s.XON, s.XOFF)
	}
}

// The break comes with the format.
func TestBreak(t *testing.T) {
	p := newPure(t)
	p.feed(control(1, 0x40, 4, 0x4008, 0, 0), control(2, 0x40, 4, 0x4008, 0, 0))
	p.told("break true")
	p.feed(control(3, 0x40, 4, 0x0207, 0, 0))
	p.told("break false", "settings 9600 7E1 flow none")
	p.feed(control(4, 0x40, 4, 0x4008, 0, 0))
	p.told("settings 9600 8N1 flow none", "break true")
	p.feed(control(5, 0x40, 4, 0x0008, 0, 0), control(6, 0x40, 4, 0x0008, 0, 0))
	p.told("break false")
}

func TestLines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, usbtty.Config{})
		f := r.open()
		synctest.Wait()
		r.log.take()
		must(t, f.SetLines(0, usbtest.DTR))
		must(t, f.SetLines(0, usbtest.DTR))
		must(t, f.SetLines(usbtest.DTR, usbtest.RTS))
		r.expect("lines 0 of DTR", "lines 0 of DTR", "lines DTR of DTR|RTS")
		for _, c := range []struct {
			m    comport.ModemState
			want int
		}{
			{comport.ModemCTS, usbtest.CTS},
			{comport.ModemDSR, usbtest.DSR},
			{comport.ModemRI, usbtest.RI},
			{comport.ModemDCD, usbtest.DCD},
			{0, 0},
			{comport.ModemCTS | comport.ModemDeltaDCD, usbtest.CTS},
		} {
			r.do(func() { r.dev.SetModem(c.m) })
			got, err := f.Lines()
			if err != nil || got != c.want|usbtest.DTR {
				t.Errorf("after %s the lines are %#x, %v; want %#x", c.m, got, err, c.want|usbtest.DTR)
			}
		}
		want := usbtest.ICount{CTS: 3, DSR: 2, RNG: 2, DCD: 2}
		if got := f.ICount(); got != want {
			t.Errorf("counted: %+v, want %+v", got, want)
		}
		must(t, f.Close())
	})
}

// A pulse is seen, by one who waits for it too.
func TestRingPulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, usbtty.Config{})
		f := r.open()
		since := f.ICount()
		woken := make(chan usbtest.ICount, 1)
		go func() {
			now, err := f.WaitLines(t.Context(), usbtest.RI, since)
			if err != nil {
				t.Error(err)
			}
			woken <- now
		}()
		synctest.Wait()
		r.do(func() {
			r.dev.SetModem(comport.ModemRI)
			r.dev.SetModem(0)
		})
		<-woken
		synctest.Wait()
		if got := f.ICount().RNG - since.RNG; got != 2 {
			t.Errorf("RI has changed %d times", got)
		}
		must(t, f.Close())
	})
}

// Changes that nobody waits for are kept, the newest of them.
func TestLevelsWithoutURBs(t *testing.T) {
	p := newPure(t)
	p.feed(submitIn(1, 512)) // opens
	p.dev.SetModem(comport.ModemCTS)
	p.expect("ret 1 0 len 2: 11 60")
	p.dev.SetModem(comport.ModemCTS | comport.ModemRI)
	p.dev.SetModem(comport.ModemCTS)
	p.expect()
	p.feed(submitIn(2, 512), submitIn(3, 512), submitIn(4, 512))
	p.expect("ret 2 0 len 2: 51 60", "ret 3 0 len 2: 11 60")
	p.told("opened", "room", "room")
	p.dev.Write([]byte("x"))
	p.expect("ret 4 0 len 3: 11 60 78")

	for i := range 20 {
		p.dev.SetModem(comport.ModemState(i%2) << 7)
	}
	if n := p.dev.Counters().LevelsLost; n != 4 {
		t.Errorf("%d changes are lost", n)
	}
	for i := range uint32(17) {
		p.feed(submitIn(10+i, 512))
	}
	got := p.answers()
	if len(got) != 16 || got[14] != "ret 24 0 len 2: 01 60" || got[15] != "ret 25 0 len 2: 81 60" {
		t.Errorf("the device answered %q", got)
	}
}

// What happens on the lines of a closed tty is told by its outcome.
func TestLevelsWhileClosed(t *testing.T) {
	p := newPure(t)
	p.dev.SetModem(comport.ModemDSR)
	p.dev.SetModem(comport.ModemDSR | comport.ModemDCD)
	p.dev.SetModem(comport.ModemDCD)
	p.feed(control(1, 0x40, 0, 0, 0, 0), submitIn(2, 512), submitIn(3, 512))
	p.expect("ret 1 0", "ret 2 0 len 2: 81 60")
	p.feed(unlink(4, 3))
	p.expect("unlink 4 -104")
	p.dev.SetModem(0)
	p.dev.SetModem(comport.ModemDCD)
	p.feed(submitIn(5, 512), submitIn(6, 512))
	p.expect("ret 5 0 len 2: 81 60") // again, for a driver that may be new
	p.told("opened", "room", "closed", "opened", "room")
}

func TestReceiveErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, usbtty.Config{})
		f := r.open()
		s := usbtest.DefaultTermios()
		s.Mark = true
		must(t, f.SetTermios(s))
		synctest.Wait()
		before := f.ICount()
		for _, e := range []struct {
			b byte
			e comport.LineState
		}{
			{'p', comport.LineParityError},
			{'f', comport.LineFramingError | comport.LineDataReady},
			{'o', comport.LineOverrunError},
			{'b', comport.LineBreak | comport.LineFramingError | comport.LineParityError},
			{'x', 0},
		} {
			r.do(func() {
				if !r.dev.WriteWith(e.b, e.e) {
					t.Errorf("%q is not taken", e.b)
				}
			})
			synctest.Wait()
		}
		var b [50]byte
		n, err := f.Read(b[:])
		must(t, err)
		if got, want := string(b[:n]), "\xff\x00p\xff\x00fo\xff\x00\x00x"; got != want {
			t.Errorf("the program read %q, want %q", got, want)
		}
		want := before
		want.RX, want.Parity, want.Frame, want.Overrun, want.Brk = 5, 1, 1, 1, 1
		if got := f.ICount(); got != want {
			t.Errorf("counted: %+v, want %+v", got, want)
		}
		must(t, f.Close())
		r.do(func() {
			if r.dev.WriteWith('x', comport.LineParityError) {
				t.Error("a closed tty takes a byte")
			}
		})
	})
}

// Packets of 64 bytes, with a status in front of each.
func TestPackets(t *testing.T) {
	letters := make([]byte, 600)
	for i := range letters {
		letters[i] = byte('a' + i%26)
	}
	for _, c := range []struct{ room, give, want, packets int }{
		{64, 1, 1, 1},
		{64, 62, 62, 1},
		{64, 63, 62, 1},
		{65, 63, 62, 1},
		{66, 63, 62, 1},
		{67, 64, 63, 2},
		{128, 200, 124, 2},
		{512, 496, 496, 8},
		{512, 600, 496, 8},
		{512, 125, 125, 3},
	} {
		p := newPure(t)
		p.feed(submitIn(1, uint32(c.room)))
		if n := p.dev.Write(letters[:c.give]); n != c.want {
			t.Errorf("%d bytes in a URB of %d: %d are taken", c.give, c.room, n)
		}
		out := bytes.Clone(p.dev.Output())[48:]
		if len(out) != c.want+2*c.packets {
			t.Errorf("%d bytes in a URB of %d are %d bytes", c.give, c.room, len(out))
		}
		var data []byte
		for len(out) > 0 {
			n := min(64, len(out))
			if out[0] != 0x01 || out[1] != 0x60 {
				t.Errorf("a packet begins with % x", out[:2])
			}
			data = append(data, out[2:n]...)
			out = out[n:]
		}
		if !bytes.Equal(data, letters[:c.want]) {
			t.Errorf("%d bytes in a URB of %d are %q", c.give, c.room, data)
		}
		if p.dev.Writable() {
			t.Error("there is room left")
		}
	}
	p := newPure(t)
	p.feed(submitIn(1, 1<<20))
	if n := p.dev.Write(make([]byte, 100_000)); n != usbtty.MaxFill/64*62 {
		t.Errorf("%d bytes go into a long URB", n)
	}
}
