package ioctl

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// realPTY is a pseudo-terminal's slave, and what keeps it alive.
type realPTY struct {
	t     *testing.T
	slave int
}

func openPTY(t *testing.T) realPTY {
	t.Helper()
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no pseudo-terminal: %v", err)
	}
	t.Cleanup(func() { unix.Close(master) })
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	slave, err := unix.IoctlRetInt(master, unix.TIOCGPTPEER)
	if err != nil { // before Linux 4.13
		n, err := unix.IoctlGetInt(master, unix.TIOCGPTN)
		if err != nil {
			t.Fatal(err)
		}
		if slave, err = unix.Open(fmt.Sprintf("/dev/pts/%d", n), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { unix.Close(slave) })
	return realPTY{t: t, slave: slave}
}

// call makes an ioctl whose argument is a number.
func (p realPTY) call(request uint32, arg uint64) Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(p.slave), uintptr(request), uintptr(arg))
	return Errno(errno)
}

// pass makes an ioctl whose argument points to b.
func (p realPTY) pass(request uint32, b []byte) Errno {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(p.slave), uintptr(request), uintptr(unsafe.Pointer(unsafe.SliceData(b))))
	runtime.KeepAlive(b)
	return Errno(errno)
}

// termios2 is what TCGETS2 says.
func (p realPTY) termios2() []byte {
	p.t.Helper()
	b := make([]byte, 44)
	if errno := p.pass(0x802C542A, b); errno != 0 {
		p.t.Fatal("TCGETS2:", errno)
	}
	return b
}

// nativeArch is this test's own.
func nativeArch(t *testing.T) Arch {
	t.Helper()
	for _, a := range []Arch{AMD64, I386, ARM64, ARM} {
		if a.String() == runtime.GOARCH || a == I386 && runtime.GOARCH == "386" {
			return a
		}
	}
	t.Skipf("no layouts for %s", runtime.GOARCH)
	return 0
}

// twins are a pseudo-terminal and an emulator whose driver does what the pseudo-terminal's does, in the same state.
type twins struct {
	t    *testing.T
	real realPTY
	emul *Emulator
	uart *fakeUART
	arch Arch
}

func newTwins(t *testing.T) twins {
	t.Helper()
	u := newFakeUART(State{Serial: DefaultSerial(0), LineEmpty: true})
	u.driver = func(s *Termios) { // pty_set_termios in drivers/tty/pty.c
		s.Cflag = s.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8 | unix.CREAD
	}
	w := twins{t: t, real: openPTY(t), uart: u, emul: New(u), arch: nativeArch(t)}
	w.align()
	return w
}

// align gives the emulator the pseudo-terminal's settings.
func (w twins) align() {
	b := w.real.termios2()
	w.uart.change(func(s *State) {
		f := binary.LittleEndian
		s.Termios = Termios{
			Iflag: f.Uint32(b), Oflag: f.Uint32(b[4:]), Cflag: f.Uint32(b[8:]), Lflag: f.Uint32(b[12:]), Line: b[16],
			Cc: [19]byte(b[17:36]), Ispeed: f.Uint32(b[36:]), Ospeed: f.Uint32(b[40:]),
		}
	})
}

// both makes the same call of both and compares what they answer and what is true then.
func (w twins) both(request uint32, arg []byte) {
	w.t.Helper()
	theirs, ours := slices.Clone(arg), slices.Clone(arg)
	want := w.real.pass(request, theirs)
	_, got := w.emul.Do(w.t.Context(), Call{Arch: w.arch, Request: request, Arg: at}, page(ours...)) // which writes to ours
	if got != want {
		w.t.Errorf("%#x %x: error %v, the kernel's is %v", request, arg, got, want)
	}
	if !bytes.Equal(theirs, ours) {
		w.t.Errorf("%#x: wrote %x, the kernel %x", request, ours, theirs)
	}
	w.compare(fmt.Sprintf("%#x %x", request, arg))
}

func (w twins) compare(after string) {
	w.t.Helper()
	m := page(make([]byte, 44)...)
	do(w.t, w.uart, Call{Arch: w.arch, Request: 0x802C542A, Arg: at}, m)
	if theirs := w.real.termios2(); !bytes.Equal(m.bytes, theirs) {
		w.t.Fatalf("after %s:\n got %x\nwant %x", after, m.bytes, theirs)
	}
}

// number makes the same call, with a number, of both.
func (w twins) number(request uint32, arg uint64) {
	w.t.Helper()
	want := w.real.call(request, arg)
	_, got := w.emul.Do(w.t.Context(), Call{Arch: w.arch, Request: request, Arg: arg}, noMemory)
	if got != want {
		w.t.Errorf("%#x %#x: error %v, the kernel's is %v", request, arg, got, want)
	}
	w.compare(fmt.Sprintf("%#x %#x", request, arg))
}

// Whatever is set by whichever form, TCGETS2 then says what it says of a real terminal.
func TestSetFormsAsTheKernel(t *testing.T) {
	w := newTwins(t)
	sizes := map[string]int{"termios": 36, "termios2": 44, "termio": 18}
	speeds := []uint32{0, 0xd, 0x1002, 0x1000, 0x100f, 0x100d, 0xf, 0x1001}
	random := rand.New(rand.NewPCG(2217, 4))
	for range 300 {
		for name, requests := range setForms {
			for _, request := range requests {
				b := make([]byte, sizes[name])
				for i := range b {
					b[i] = byte(random.Uint32())
				}
				if name != "termio" { // a random speed is hardly ever one of interest
					cflag := binary.LittleEndian.Uint32(b[8:]) &^ 0x100f100f
					cflag |= speeds[random.IntN(len(speeds))] | speeds[random.IntN(len(speeds))]<<16
					binary.LittleEndian.PutUint32(b[8:], cflag)
				}
				w.both(request, b)
			}
		}
	}
}

// Each speed by itself, by both structures, from each of two states before.
func TestSpeedsAsTheKernel(t *testing.T) {
	w := newTwins(t)
	for bits := range uint32(32) {
		cbaud := bits&0xf | bits>>4<<12
		for inBits := range uint32(32) {
			in := inBits&0xf | inBits>>4<<12
			for _, before := range [][2]uint32{{75, 250000}, {0, 0}, {9600, 9600}} {
				b := make([]byte, 44)
				binary.LittleEndian.PutUint32(b[8:], 0x1000|0x1000<<16|0x8b0)
				binary.LittleEndian.PutUint32(b[36:], before[0])
				binary.LittleEndian.PutUint32(b[40:], before[1])
				w.both(0x402C542B, b)
				binary.LittleEndian.PutUint32(b[8:], cbaud|in<<16|0x8b0)
				w.both(0x5402, b[:36])
				binary.LittleEndian.PutUint32(b[36:], 31250)
				binary.LittleEndian.PutUint32(b[40:], 12345)
				w.both(0x402C542B, b)
			}
		}
	}
}

func TestTheRestAsTheKernel(t *testing.T) {
	w := newTwins(t)
	for _, v := range []uint32{0, 1, 2, 1 << 31, 0} {
		w.both(0x541A, binary.LittleEndian.AppendUint32(nil, v))
		w.both(0x5419, []byte{9, 9, 9, 9, 9})
	}
	for _, request := range []uint32{0x5401, 0x5405, 0x802C542A, 0x5411, 0x80045440} {
		w.both(request, make([]byte, 60))
	}
	for _, request := range []uint32{0x540C, 0x80045440, 0x540D, 0x80045440} {
		w.both(request, make([]byte, 8))
	}
	// A pseudo-terminal has no break and nothing to drain: only what it answers is compared.
	for _, request := range []uint32{0x5409, 0x5425, 0x5427, 0x5428} {
		w.number(request, 0)
		w.number(request, 1)
	}
	for _, arg := range []uint64{0, 1, 2, 3, 4, 5, 1 << 31, 1 << 32, 1<<32 + 1, ^uint64(0)} {
		w.number(0x540A, arg) // TCXONC
		w.number(0x540B, arg) // TCFLSH
	}
	w.number(0x540A, 1)
	for _, request := range Requests() {
		switch request {
		case 0x5415, 0x5416, 0x5417, 0x5418, 0x541E, 0x541F, 0x5459, 0x545C, 0x545D: // not of a pseudo-terminal
		case 0x5409, 0x540A, 0x540B, 0x540C, 0x540D, 0x5425, 0x5427, 0x5428: // a number
		default:
			w.number(request, 1) // not an address
			w.number(request, 0)
		}
	}
}

// What is not Known must be what the kernel answers without a UART; what is, what it does not or not truly.
func TestKnownIsNotTheKernels(t *testing.T) {
	p := openPTY(t)
	for _, request := range []uint32{0x5415, 0x5459, 0x545C, 0x545D, 0x541E} { // TIOCMGET TIOCSERGETLSR TIOCMIWAIT TIOCGICOUNT TIOCGSERIAL
		if errno := p.pass(request, make([]byte, 100)); errno != ENOTTY || !Known(request) {
			t.Errorf("%#x: the kernel says %v, known %v", request, errno, Known(request))
		}
	}
	for _, request := range []uint32{0x541B, 0x5413, 0x5424, 0x5456} { // TIOCINQ TIOCGWINSZ TIOCGETD TIOCGLCKTRMIOS
		if errno := p.pass(request, make([]byte, 100)); errno != 0 || Known(request) {
			t.Errorf("%#x: the kernel says %v, known %v", request, errno, Known(request))
		}
	}
}

func TestErrnosAreTheSystems(t *testing.T) {
	for ours, theirs := range map[Errno]unix.Errno{
		EPERM: unix.EPERM, EINTR: unix.EINTR, EIO: unix.EIO, EFAULT: unix.EFAULT, EBUSY: unix.EBUSY, EINVAL: unix.EINVAL, ENOTTY: unix.ENOTTY,
	} {
		if unix.Errno(ours) != theirs || ours.Error() != theirs.Error() {
			t.Errorf("%d %q is %d %q", ours, ours.Error(), theirs, theirs.Error())
		}
	}
}
