package ioctl

import (
	"encoding/binary"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// setForms are the requests that set what one gets, by moment.
var setForms = map[string][]uint32{ // Now, Drain, DrainFlush
	"termios":  {0x5402, 0x5403, 0x5404},
	"termios2": {0x402C542B, 0x402C542C, 0x402C542D},
	"termio":   {0x5406, 0x5407, 0x5408},
}

// Every TCSET form takes over what its structure has, at its moment, and nothing else.
func TestSetForms(t *testing.T) {
	asked := Termios{
		Iflag: 0xc1c2c3c4, Oflag: 0xd1d2d3d4, Cflag: 0xd | 0xc000, Lflag: 0xe1e2e3e4, Line: 0xf1,
		Cc: [19]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19}, Ispeed: 1, Ospeed: 2,
	}
	before := base().Termios
	before.Cflag = 0x2000_0000 // ADDRB, which cannot be changed this way; and B0
	all := asked
	all.Cflag |= 0x2000_0000
	all.Ispeed, all.Ospeed = 9600, 9600 // B9600, whatever the numbers say
	some := before
	some.Iflag, some.Oflag, some.Lflag = 0x1112c3c4, 0x2122d3d4, 0x5152e3e4
	some.Cflag = 0x2000_c00d
	some.Line = 0xf1
	copy(some.Cc[:], asked.Cc[:8])
	some.Ispeed, some.Ospeed = 9600, 9600
	want := map[string]Termios{"termios": all, "termios2": all, "termio": some}

	for _, c := range structures {
		for when, request := range setForms[c.name] {
			t.Run(c.name+" "+When(when).String(), func(t *testing.T) {
				for _, arch := range arches {
					s := base()
					s.Termios = before
					u := newFakeUART(s)
					m := page(c.bytesOf(arch, values(&State{Termios: asked}))...)
					if c.name == "termio" { // its members are half as wide
						m = page(termioBytes(asked)...)
					}
					do(t, u, Call{Arch: arch, Request: request, Arg: at}, m)
					if d := cmp.Diff([]string{"Set " + When(when).String()}, u.noted()); d != "" {
						t.Error(arch, d)
					}
					if d := cmp.Diff(want[c.name], u.State().Termios); d != "" {
						t.Error(arch, d)
					}
				}
			})
		}
	}
}

func termioBytes(t Termios) []byte {
	var p []byte
	for _, f := range []uint32{t.Iflag, t.Oflag, t.Cflag, t.Lflag} {
		p = binary.LittleEndian.AppendUint16(p, uint16(f))
	}
	return append(append(append(p, t.Line), t.Cc[:8]...), 0x77)
}

// c_cflag's bits, from termbits.h.
const (
	b0      = 0
	b50     = 1
	b9600   = 0xd
	b38400  = 0xf
	b57600  = 0x1001
	b115200 = 0x1002
	b4M     = 0x100f
)

func TestResolve(t *testing.T) {
	for _, c := range []struct {
		name             string
		cflag            uint32
		in, out          uint32
		wantIn, wantOut  uint32
		oldIn, oldOut    uint32
		throughOldStruct bool
	}{
		{"constant", b115200, 1, 2, 115200, 115200, 9600, 9600, false},
		{"lowest constant", b50, 1, 2, 50, 50, 9600, 9600, false},
		{"highest constant below CBAUDEX", b38400, 1, 2, 38400, 38400, 9600, 9600, false},
		{"lowest constant above CBAUDEX", b57600, 1, 2, 57600, 57600, 9600, 9600, false},
		{"highest constant", b4M, 1, 2, 4000000, 4000000, 9600, 9600, false},
		{"B0", b0, 1, 2, 0, 0, 9600, 9600, false},
		{"BOTHER", bother, 1, 250000, 250000, 250000, 9600, 9600, false},
		{"BOTHER both", bother | bother<<16, 75, 250000, 75, 250000, 9600, 9600, false},
		{"input constant", b9600 | b50<<16, 1, 2, 50, 9600, 9600, 9600, false},
		{"input constant above CBAUDEX", b9600 | b57600<<16, 1, 2, 57600, 9600, 9600, 9600, false},
		{"input BOTHER", b9600 | bother<<16, 74880, 2, 74880, 9600, 9600, 9600, false},
		{"BOTHER, no speed", bother, 1, 0, 0, 0, 9600, 9600, false},
		{"old structure, constant", b115200, 1, 2, 115200, 115200, 9600, 9600, true},
		{"old structure, BOTHER keeps the speed", bother, 1, 2, 74880, 74880, 75, 74880, true},
		{"old structure, BOTHER both keep theirs", bother | bother<<16, 1, 2, 75, 74880, 75, 74880, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := base()
			s.Termios.Cflag, s.Termios.Ispeed, s.Termios.Ospeed = bother|bother<<16, c.oldIn, c.oldOut
			u := newFakeUART(s)
			asked := Termios{Cflag: c.cflag, Ispeed: c.in, Ospeed: c.out}
			st, request := structures[1], uint32(0x402C542B)
			if c.throughOldStruct {
				st, request = structures[0], 0x5402
			}
			do(t, u, Call{Request: request, Arg: at}, page(st.bytesOf(AMD64, values(&State{Termios: asked}))...))
			got := u.State().Termios
			if got.Cflag != c.cflag || got.Ispeed != c.wantIn || got.Ospeed != c.wantOut {
				t.Errorf("%#x %d/%d, want %#x %d/%d", got.Cflag, got.Ispeed, got.Ospeed, c.cflag, c.wantIn, c.wantOut)
			}
		})
	}
}

func TestSetSpeed(t *testing.T) {
	const other = 0x80000000 | 0xb00 // bits that are not the speed's
	for _, c := range []struct {
		name    string
		cflag   uint32
		in, out uint32
		want    uint32
	}{
		{"constant", b9600, 115200, 115200, b115200},
		{"near a constant", b9600, 115384, 115384, b115200},
		{"2 % above", b9600, 117551, 117551, b115200},
		{"above 2 %", b9600, 117600, 117600, bother},
		{"below a constant", b9600, 113000, 113000, b115200},
		{"between constants", b9600, 250000, 250000, bother},
		{"BOTHER, near a constant", bother, 115384, 115384, bother},
		{"BOTHER, exactly a constant", bother, 115200, 115200, b115200},
		{"B0", b9600, 9600, 0, b0},
		{"input differs", b9600, 50, 9600, b9600 | b50<<16},
		{"input differs and is none", b9600, 74880, 9600, b9600 | bother<<16},
		{"input had bits", b9600 | b50<<16, 9600, 9600, b9600 | b9600<<16},
		{"input had BOTHER, near", b9600 | bother<<16, 9615, 9615, b9600 | bother<<16},
		{"both had BOTHER", bother | bother<<16, 250000, 250000, bother | bother<<16},
		{"above all", b9600, 12000000, 12000000, bother},
		{"highest of all", b9600, 0xffffffff, 0xffffffff, bother},
		{"no input speed", b9600, 0, 9600, b9600},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := Termios{Cflag: c.cflag | other}
			g.SetSpeed(c.in, c.out)
			if g.Cflag != c.want|other {
				t.Errorf("%#x, want %#x", g.Cflag, c.want|other)
			}
			wantIn := c.in
			if c.out == 0 {
				wantIn = 0
			}
			if g.Ispeed != wantIn || g.Ospeed != c.out {
				t.Errorf("%d/%d", g.Ispeed, g.Ospeed)
			}
		})
	}
}

// Each constant is near itself only, and resolves to what SetSpeed was given.
func TestConstantsAreTheirOwn(t *testing.T) {
	for _, speed := range []uint32{
		0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400, 460800, 500000, 576000,
		921600, 1000000, 1152000, 1500000, 2000000, 2500000, 3000000, 3500000, 4000000,
	} {
		g := Termios{Cflag: b9600}
		g.SetSpeed(speed, speed)
		g.Ispeed, g.Ospeed = 1, 1
		if g.resolve(); g.Ospeed != speed || g.Ispeed != speed {
			t.Errorf("%d became %#x, which is %d/%d", speed, g.Cflag, g.Ispeed, g.Ospeed)
		}
	}
}

func TestSetSerial(t *testing.T) {
	was := DefaultSerial(3)
	was.Flags = 0x80000040 // ASYNC_INITIALIZED, ASYNC_SKIP_TEST
	with := func(f func(*Serial)) Serial {
		s := was
		f(&s)
		return s
	}
	for _, c := range []struct {
		name                string
		asked               Serial
		want, wantFromAdmin Serial
		errno, fromAdmin    Errno
	}{
		{name: "nothing", asked: was, want: was, wantFromAdmin: was},
		{
			name:          "low latency",
			asked:         with(func(s *Serial) { s.Flags |= 0x2000 }),
			want:          with(func(s *Serial) { s.Flags |= 0x2000 }),
			wantFromAdmin: with(func(s *Serial) { s.Flags |= 0x2000 }),
		},
		{
			name:          "custom divisor",
			asked:         with(func(s *Serial) { s.Flags |= 0x30; s.CustomDivisor = 96 }),
			want:          with(func(s *Serial) { s.Flags |= 0x30; s.CustomDivisor = 96 }),
			wantFromAdmin: with(func(s *Serial) { s.Flags |= 0x30; s.CustomDivisor = 96 }),
		},
		{
			name: "closing_wait", errno: EPERM,
			asked:         with(func(s *Serial) { s.ClosingWait = 65535 }),
			wantFromAdmin: with(func(s *Serial) { s.ClosingWait = 65535 }),
		},
		{
			name: "close_delay", errno: EPERM,
			asked:         with(func(s *Serial) { s.CloseDelay = 0 }),
			wantFromAdmin: with(func(s *Serial) { s.CloseDelay = 0 }),
		},
		{
			name: "fifo", errno: EPERM,
			asked:         with(func(s *Serial) { s.XmitFIFO = 64 }),
			wantFromAdmin: with(func(s *Serial) { s.XmitFIFO = 64 }),
		},
		{name: "no fifo", asked: with(func(s *Serial) { s.XmitFIFO = 0 }), want: was, wantFromAdmin: was},
		{
			name: "another flag", errno: EPERM,
			asked:         with(func(s *Serial) { s.Flags |= 0x1 }),
			wantFromAdmin: with(func(s *Serial) { s.Flags |= 0x1 }),
		},
		{
			name: "a kernel's flag", errno: EPERM,
			asked:         with(func(s *Serial) { s.Flags ^= 0x80000000 | 0x20000000 }),
			wantFromAdmin: was,
		},
		{name: "baud_base", errno: EPERM, asked: with(func(s *Serial) { s.BaudBase = 115200 }), wantFromAdmin: was},
		{name: "baud_base of nothing", errno: EPERM, asked: with(func(s *Serial) { s.BaudBase = 9599 }), fromAdmin: EINVAL},
		{name: "negative interrupt", asked: with(func(s *Serial) { s.IRQ = -1 }), want: was, fromAdmin: EINVAL},
		{
			name:  "another port",
			asked: with(func(s *Serial) { s.Type, s.Line, s.Port, s.IRQ = 0, 9, 0x3f8, 4 }),
			want:  was, wantFromAdmin: was,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, arch := range arches {
				for _, admin := range []bool{false, true} {
					s := base()
					s.Serial = was
					u := newFakeUART(s)
					want, errno := c.want, c.errno
					if admin {
						want, errno = c.wantFromAdmin, c.fromAdmin
					}
					m := page(structures[4].bytesOf(arch, values(&State{Serial: c.asked}))...)
					_, got := New(u).Do(t.Context(), Call{Arch: arch, Request: 0x541F, Arg: at, Admin: admin}, m)
					if got != errno {
						t.Errorf("%s, admin %v: error %v, want %v", arch, admin, got, errno)
					}
					calls := []string{"Serial"}
					if errno != 0 {
						want, calls = was, nil
					}
					if d := cmp.Diff(calls, u.noted()); d != "" {
						t.Errorf("%s, admin %v: %s", arch, admin, d)
					}
					if d := cmp.Diff(want, u.State().Serial); d != "" {
						t.Errorf("%s, admin %v: %s", arch, admin, d)
					}
				}
			}
		})
	}
}

func TestSerialSpeed(t *testing.T) {
	for _, c := range []struct {
		flags   uint32
		divisor int32
		speed   uint32
		want    uint32
	}{
		{0, 96, 38400, 38400},
		{0x10, 0, 38400, 57600},
		{0x20, 0, 38400, 115200},
		{0x1000, 0, 38400, 230400},
		{0x1010, 0, 38400, 460800},
		{0x30, 96, 38400, 250000},
		{0x30, 24, 38400, 1000000},
		{0x30, 1, 38400, 24000000},
		{0x30, 0, 38400, 38400},
		{0x30, -5, 38400, 38400},
		{0x30, 24000001, 38400, 38400},
		{0x30, 96, 9600, 9600},
		{0x10, 0, 0, 0},
		{0x2000, 0, 38400, 38400},
	} {
		s := DefaultSerial(0)
		s.Flags, s.CustomDivisor = c.flags, c.divisor
		if got := s.Speed(c.speed); got != c.want {
			t.Errorf("flags %#x, divisor %d, %d: %d, want %d", c.flags, c.divisor, c.speed, got, c.want)
		}
	}
}

// The promise of the package's description: what programs compute a divisor for comes out right.
func TestCustomDivisorsReachUsualSpeeds(t *testing.T) {
	for _, speed := range []uint32{
		300, 1200, 9600, 14400, 28800, 31250, 57600, 74880, 76800, 100000, 115200, 230400, 250000, 460800, 500000, 921600, 1000000, 1500000,
		2000000, 3000000,
	} {
		s := DefaultSerial(0)
		s.Flags, s.CustomDivisor = FlagSpeedCustom, (s.BaudBase+int32(speed)/2)/int32(speed)
		got := s.Speed(38400)
		if off := max(got, speed) - min(got, speed); off*500 > speed {
			t.Errorf("%d: %d is %d off", speed, got, off)
		}
	}
}
