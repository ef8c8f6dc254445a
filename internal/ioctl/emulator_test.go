package ioctl

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// arches are all architectures, and one that does not exist.
var arches = []Arch{AMD64, I386, ARM64, ARM, 250}

// at is where the tests' structures are.
const at = 0x7000

// base is a port with every value different from every other.
func base() State {
	s := State{
		Termios: Termios{
			Iflag: 0x11121314, Oflag: 0x21222324, Cflag: 0x1032 | 0x41420000, Lflag: 0x51525354, Line: 0x61,
			Ispeed: 0x71727374, Ospeed: 0x01828384,
		},
		Lines:     LineDTR | LineCTS | LineCD,
		Counts:    Counts{CTS: 1, DSR: 2, RNG: 3, CD: 4, RX: 5, TX: 6, Frame: 7, Overrun: 8, Parity: 9, Break: 10, BufOverrun: math.MaxUint32},
		Serial:    DefaultSerial(0),
		OutQueue:  4711,
		LineEmpty: true,
	}
	for i := range s.Termios.Cc {
		s.Termios.Cc[i] = byte(0xa0 + i)
	}
	return s
}

// page is memory at at with the bytes given.
func page(p ...byte) *fakeMemory { return &fakeMemory{base: at, bytes: p} }

func word(v uint32) *fakeMemory { return page(binary.LittleEndian.AppendUint32(nil, v)...) }

// do does a call that must succeed.
func do(t *testing.T, u UART, c Call, m Memory) {
	t.Helper()
	if ret, errno := New(u).Do(t.Context(), c, m); ret != 0 || errno != 0 {
		t.Fatalf("%s %#x: %d, %v", c.Arch, c.Request, ret, errno)
	}
}

func TestIntegers(t *testing.T) {
	for _, c := range []struct {
		name    string
		request uint32
		state   func(*State)
		want    uint32
	}{
		{"lines", 0x5415, nothing, 0x002 | 0x020 | 0x040},
		{"all lines", 0x5415, func(s *State) { s.Lines = LineDTR | LineRTS | LineCTS | LineCD | LineRNG | LineDSR }, 0x1e6},
		{"output queue", 0x5411, nothing, 4711},
		{"output queue beyond an int", 0x5411, func(s *State) { s.OutQueue = math.MaxInt }, math.MaxInt32},
		{"output queue below nothing", 0x5411, func(s *State) { s.OutQueue = -1 }, 0},
		{"carrier counts", 0x5419, func(s *State) { s.Termios.Cflag = ^uint32(0o4000) }, 0},
		{"carrier ignored", 0x5419, func(s *State) { s.Termios.Cflag = 0o4000 }, 1},
		{"shared", 0x80045440, nothing, 0},
		{"exclusive", 0x80045440, func(s *State) { s.Exclusive = true }, 1},
		{"transmitter empty", 0x5459, nothing, 1},
		{"transmitter busy", 0x5459, func(s *State) { s.LineEmpty = false }, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, arch := range arches {
				s := base()
				c.state(&s)
				u, m := newFakeUART(s), page(9, 9, 9, 9, 9)
				do(t, u, Call{Arch: arch, Request: c.request, Arg: at}, m)
				if got := binary.LittleEndian.Uint32(m.bytes); got != c.want {
					t.Errorf("%s: %#x, want %#x", arch, got, c.want)
				}
				if m.bytes[4] != 9 {
					t.Errorf("%s: wrote more than an int", arch)
				}
				if calls := u.noted(); calls != nil {
					t.Errorf("%s: asked the UART: %q", arch, calls)
				}
			}
		})
	}
}

func TestModemLines(t *testing.T) {
	const le, dtr, rts, cts, out1, out2, loop = 1, 2, 4, 0x20, 0x2000, 0x4000, 0x8000
	for _, c := range []struct {
		request, arg uint32
		want         string // empty: the UART is left alone
	}{
		{0x5416, dtr, "Lines 0x2 0x0"},
		{0x5416, rts, "Lines 0x4 0x0"},
		{0x5416, dtr | rts, "Lines 0x6 0x0"},
		{0x5416, dtr | cts | out1 | out2 | loop | le | 1<<31, "Lines 0x2 0x0"},
		{0x5416, cts | out1 | out2 | loop, ""},
		{0x5416, 0, ""},
		{0x5417, dtr, "Lines 0x0 0x2"},
		{0x5417, math.MaxUint32, "Lines 0x0 0x6"},
		{0x5417, 0, ""},
		{0x5418, 0, "Lines 0x0 0x6"},
		{0x5418, dtr, "Lines 0x2 0x4"},
		{0x5418, rts | cts, "Lines 0x4 0x2"},
		{0x5418, dtr | rts, "Lines 0x6 0x0"},
	} {
		t.Run(fmt.Sprintf("%#x %#x", c.request, c.arg), func(t *testing.T) {
			for _, arch := range arches {
				u := newFakeUART(base())
				do(t, u, Call{Arch: arch, Request: c.request, Arg: at}, word(c.arg))
				var want []string
				if c.want != "" {
					want = []string{c.want}
				}
				if d := cmp.Diff(want, u.noted()); d != "" {
					t.Error(arch, d)
				}
			}
		})
	}
}

// Requests whose argument is a number: what reaches the UART, and in which order.
func TestNumbers(t *testing.T) {
	all := arches
	long := []Arch{AMD64, ARM64}
	short := []Arch{I386, ARM}
	for _, c := range []struct {
		name    string
		arches  []Arch
		request uint32
		arg     uint64
		want    []string
		errno   Errno
	}{
		{"TCSBRK 0", all, 0x5409, 0, []string{"Drain", "SendBreak 250ms"}, 0},
		{"TCSBRK 1", all, 0x5409, 1, []string{"Drain"}, 0},
		{"TCSBRK above 32 bits", long, 0x5409, 1 << 32, []string{"Drain"}, 0},
		{"TCSBRK above 32 bits", short, 0x5409, 1 << 32, []string{"Drain", "SendBreak 250ms"}, 0},
		{"TCSBRKP 0", all, 0x5425, 0, []string{"Drain", "SendBreak 250ms"}, 0},
		{"TCSBRKP 1", all, 0x5425, 1, []string{"Drain", "SendBreak 100ms"}, 0},
		{"TCSBRKP 25", all, 0x5425, 25, []string{"Drain", "SendBreak 2.5s"}, 0},
		// the kernel's send_break takes an unsigned int of milliseconds: 100 × (2^32-1) is 2^32-100 in it
		{"TCSBRKP -1", all, 0x5425, math.MaxUint32, []string{"Drain", "SendBreak 1193h2m47.196s"}, 0},
		{"TIOCSBRK", all, 0x5427, 77, []string{"Drain", "Break true"}, 0},
		{"TIOCCBRK", all, 0x5428, 77, []string{"Break false"}, 0},
		{"TCIFLUSH", all, 0x540B, 0, []string{"Flush input"}, 0},
		{"TCOFLUSH", all, 0x540B, 1, []string{"Flush output"}, 0},
		{"TCIOFLUSH", all, 0x540B, 2, []string{"Flush both"}, 0},
		{"TCFLSH 3", all, 0x540B, 3, nil, EINVAL},
		{"TCFLSH -1", all, 0x540B, math.MaxUint64, nil, EINVAL},
		{"TCFLSH above 32 bits", long, 0x540B, 1 << 32, nil, EINVAL},
		{"TCFLSH above 32 bits", short, 0x540B, 1 << 32, []string{"Flush input"}, 0},
		{"TCOOFF", all, 0x540A, 0, []string{"Flow stop output"}, 0},
		{"TCOON", all, 0x540A, 1, []string{"Flow start output"}, 0},
		{"TCIOFF", all, 0x540A, 2, []string{"Flow send STOP"}, 0},
		{"TCION", all, 0x540A, 3, []string{"Flow send START"}, 0},
		{"TCXONC 4", all, 0x540A, 4, nil, EINVAL},
		{"TCXONC above 32 bits", long, 0x540A, 1 << 32, nil, EINVAL},
		{"TIOCEXCL", all, 0x540C, 0, []string{"Exclusive true"}, 0},
		{"TIOCNXCL", all, 0x540D, 0, []string{"Exclusive false"}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, arch := range c.arches {
				u := newFakeUART(base())
				_, errno := New(u).Do(t.Context(), Call{Arch: arch, Request: c.request, Arg: c.arg}, noMemory)
				if errno != c.errno {
					t.Errorf("%s: error %v, want %v", arch, errno, c.errno)
				}
				if d := cmp.Diff(c.want, u.noted()); d != "" {
					t.Error(arch, d)
				}
			}
		})
	}
}

// A control character of 0 is not sent (tty_ioctl.c: __DISABLED_CHAR).
func TestFlowWithoutCharacters(t *testing.T) {
	s := base()
	s.Termios.Cc[8], s.Termios.Cc[9] = 0, 0
	u := newFakeUART(s)
	for arg := range uint64(4) {
		do(t, u, Call{Request: 0x540A, Arg: arg}, noMemory)
	}
	if d := cmp.Diff([]string{"Flow stop output", "Flow start output"}, u.noted()); d != "" {
		t.Error(d)
	}
}

func TestCarrierSwitch(t *testing.T) {
	for v, want := range map[uint32]bool{0: false, 1: true, 1 << 31: true} {
		s := base()
		u := newFakeUART(s)
		do(t, u, Call{Request: 0x541A, Arg: at}, word(v))
		if d := cmp.Diff([]string{"Set now"}, u.noted()); d != "" {
			t.Error(d)
		}
		expected := s.Termios
		expected.Cflag &^= 0o4000
		if want {
			expected.Cflag |= 0o4000
		}
		if d := cmp.Diff(expected, u.State().Termios); d != "" {
			t.Errorf("%#x: %s", v, d)
		}
	}
}

// A break does not follow output that could not be sent.
func TestBreakAfterFailedDrain(t *testing.T) {
	for _, request := range []uint32{0x5409, 0x5425, 0x5427} {
		u := newFakeUART(base())
		u.fail("Drain", context.Canceled)
		if _, errno := New(u).Do(t.Context(), Call{Request: request}, noMemory); errno != EINTR {
			t.Errorf("%#x: error %v", request, errno)
		}
		if d := cmp.Diff([]string{"Drain"}, u.noted()); d != "" {
			t.Error(d)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Errno
	}{
		{ErrGone, 5},
		{fmt.Errorf("set: %w", ErrGone), 5},
		{ErrRefused, 1},
		{ErrBusy, 16},
		{EINVAL, 22},
		{Errno(110), 110},
		{fmt.Errorf("a: %w", errors.Join(errors.New("b"), Errno(95))), 95},
		{context.Canceled, 4},
		{context.DeadlineExceeded, 4},
		{os.ErrDeadlineExceeded, 5},
		{errors.New("no idea"), 5},
		{Errno(0), 5}, // says "error" and "success" at once
		{Errno(4096), 5},
	} {
		u := newFakeUART(base())
		for method, request := range map[string]uint32{
			"Set": 0x5402, "Lines": 0x5418, "Break": 0x5428, "SendBreak": 0x5425, "Drain": 0x5409, "Flush": 0x540B,
			"Flow": 0x540A, "Exclusive": 0x540C, "Serial": 0x541F,
		} {
			u.fail(method, c.err)
			m := &fakeMemory{bytes: make([]byte, 100)}
			if request == 0x541F {
				do(t, u, Call{Request: 0x541E}, m)
			}
			if ret, errno := New(u).Do(t.Context(), Call{Request: request}, m); ret != 0 || errno != c.want {
				t.Errorf("%s with %v: %d, error %v, want %v", method, c.err, ret, errno, c.want)
			}
			u.fail(method, nil)
		}
	}
}

func TestErrnoText(t *testing.T) {
	for _, e := range []Errno{EPERM, EINTR, EIO, EFAULT, EBUSY, EINVAL, ENOTTY, 110} {
		if e.Error() == "" || slices.Contains([]Errno{EPERM, EIO}, e) && e.Error() == Errno(110).Error() {
			t.Errorf("%d has no text of its own", e)
		}
	}
}

// Whatever is asked of a port that is gone, also with a bad pointer or argument, is EIO; what is not ours is not.
func TestGone(t *testing.T) {
	s := base()
	s.Gone = true
	u := newFakeUART(s)
	for _, request := range Requests() {
		if _, errno := New(u).Do(t.Context(), Call{Request: request, Arg: 99}, noMemory); errno != EIO {
			t.Errorf("%#x: error %v", request, errno)
		}
	}
	if _, errno := New(u).Do(t.Context(), Call{Request: 0x541B}, noMemory); errno != ENOTTY {
		t.Errorf("TIOCINQ: error %v", errno)
	}
	if calls := u.noted(); calls != nil {
		t.Errorf("asked the UART: %q", calls)
	}
}

// A bad pointer is EFAULT before anything else happens, at every address of a page whose structure would be one byte too long.
func TestFault(t *testing.T) {
	sizes := map[uint32]int{
		0x5401: 36, 0x5402: 36, 0x5403: 36, 0x5404: 36, 0x5405: 18, 0x5406: 18, 0x5407: 18, 0x5408: 18,
		0x802C542A: 44, 0x402C542B: 44, 0x402C542C: 44, 0x402C542D: 44,
		0x5411: 4, 0x5415: 4, 0x5416: 4, 0x5417: 4, 0x5418: 4, 0x5419: 4, 0x541A: 4, 0x80045440: 4, 0x5459: 4,
		0x541E: 0, 0x541F: 0, 0x545D: 80,
	}
	for request := range sizes {
		for _, arch := range arches {
			size := sizes[request]
			if size == 0 {
				size = map[bool]int{false: 72, true: 60}[arch == I386 || arch == ARM]
			}
			u := newFakeUART(base())
			for n, want := range map[int]Errno{size: 0, size - 1: EFAULT, 0: EFAULT} {
				m := &fakeMemory{base: at, bytes: make([]byte, n)}
				if request == 0x541F && n == size { // only what is there already is acceptable
					do(t, u, Call{Arch: arch, Request: 0x541E, Arg: at}, m)
				}
				_, errno := New(u).Do(t.Context(), Call{Arch: arch, Request: request, Arg: at}, m)
				if errno != want {
					t.Errorf("%s %#x with %d bytes: error %v, want %v", arch, request, n, errno, want)
				}
				if calls := u.noted(); want != 0 && calls != nil {
					t.Errorf("%s %#x with %d bytes: asked the UART: %q", arch, request, n, calls)
				}
			}
		}
	}
}

// An address of a 32-bit program has 32 bits, whatever the register says.
func TestAddressWidth(t *testing.T) {
	for arch, want := range map[Arch]Errno{AMD64: EFAULT, ARM64: EFAULT, I386: 0, ARM: 0} {
		_, errno := New(newFakeUART(base())).Do(t.Context(), Call{Arch: arch, Request: 0x5415, Arg: at | 1<<40}, word(0))
		if errno != want {
			t.Errorf("%s: error %v, want %v", arch, errno, want)
		}
	}
}

func TestRequests(t *testing.T) {
	all := Requests()
	if !slices.IsSorted(all) || len(slices.Compact(slices.Clone(all))) != len(all) {
		t.Errorf("not in ascending order, each once: %#x", all)
	}
	u := newFakeUART(base())
	for _, r := range all {
		if !Known(r) {
			t.Errorf("%#x is not known", r)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // for TIOCMIWAIT
		if _, errno := New(u).Do(ctx, Call{Request: r}, noMemory); errno == ENOTTY {
			t.Errorf("%#x is known and not done", r)
		}
	}
	// The kernel's own: TIOCSCTTY TIOCGPGRP TIOCSPGRP TIOCSTI TIOCGWINSZ TIOCSWINSZ TIOCINQ TIOCLINUX TIOCCONS TIOCPKT FIONBIO TIOCNOTTY
	// TIOCSETD TIOCGETD TIOCGSID TIOCGRS485 TIOCSRS485 TIOCGPTN TIOCVHANGUP FIOCLEX TIOCSERCONFIG TIOCGLCKTRMIOS TIOCSLCKTRMIOS
	for _, r := range []uint32{
		0x540E, 0x540F, 0x5410, 0x5412, 0x5413, 0x5414, 0x541B, 0x541C, 0x541D, 0x5420, 0x5421, 0x5422, 0x5423, 0x5424, 0x5429, 0x542E,
		0x542F, 0x80045430, 0x5437, 0x5451, 0x5453, 0x5456, 0x5457, 0, 0x5400, 0x542A, math.MaxUint32,
	} {
		if Known(r) || Reads(r) || Blocks(r) || Restarts(r) {
			t.Errorf("%#x is the kernel's", r)
		}
		if _, errno := New(u).Do(t.Context(), Call{Request: r}, noMemory); errno != ENOTTY {
			t.Errorf("%#x: error %v, want ENOTTY", r, errno)
		}
	}
}

func TestBlocksAndRestarts(t *testing.T) {
	// By what tty_io.c and tty_ioctl.c wait for: TIOCMIWAIT and the W and F forms restart, breaks and tcdrain do not.
	restarts := []uint32{0x545C, 0x5403, 0x5404, 0x5407, 0x5408, 0x402C542C, 0x402C542D}
	blocks := append([]uint32{0x5409, 0x5425, 0x5427}, restarts...)
	for _, r := range Requests() {
		if Blocks(r) != slices.Contains(blocks, r) || Restarts(r) != slices.Contains(restarts, r) {
			t.Errorf("%#x: blocks %v, restarts %v", r, Blocks(r), Restarts(r))
		}
	}
}

// TestReads: of the requests those that ask nothing of the UART but its State.
func TestReads(t *testing.T) {
	// TCGETS TCGETA TIOCOUTQ TIOCMGET TIOCGSOFTCAR TIOCGSERIAL TIOCSERGETLSR TIOCGICOUNT TIOCGEXCL TCGETS2
	reads := []uint32{0x5401, 0x5405, 0x5411, 0x5415, 0x5419, 0x541E, 0x5459, 0x545D, 0x80045440, 0x802C542A}
	for _, r := range Requests() {
		if Reads(r) != slices.Contains(reads, r) {
			t.Errorf("%#x: reads %v", r, Reads(r))
		}
	}
}

func TestArch(t *testing.T) {
	for a, want := range map[Arch]string{AMD64: "amd64", I386: "i386", ARM64: "arm64", ARM: "arm", 9: "unknown"} {
		if a.String() != want || a.Is32() != (a == I386 || a == ARM) {
			t.Errorf("%d is %s, 32 bits: %v", a, a, a.Is32())
		}
	}
}

// What programs poll makes no garbage.
func TestQuestionsDoNotAllocate(t *testing.T) {
	e := New(newFakeUART(base()))
	m := &fakeMemory{base: at, bytes: make([]byte, 100)}
	for _, arch := range arches {
		for _, r := range []uint32{0x5401, 0x802C542A, 0x5405, 0x5415, 0x545D, 0x541E, 0x5411, 0x5419, 0x5459, 0x80045440} {
			c := Call{Arch: arch, Request: r, Arg: at}
			if n := testing.AllocsPerRun(100, func() { e.Do(t.Context(), c, m) }); n != 0 {
				t.Errorf("%s %#x: %v allocations", arch, r, n)
			}
		}
	}
}

func BenchmarkTIOCMGET(b *testing.B) {
	e := New(newFakeUART(base()))
	m := word(0)
	c := Call{Request: 0x5415, Arg: at}
	b.ReportAllocs()
	for b.Loop() {
		e.Do(b.Context(), c, m)
	}
}
