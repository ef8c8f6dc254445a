package ioctl

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// A member of a structure, as the kernel's headers have it. Where the architectures differ, offset is the one of 64 bits and
// offset32 the other.
type member struct {
	name             string
	offset, offset32 int
	size             int
}

// structure is a structure of an ioctl: what gets it, and what it consists of.
type structure struct {
	name         string
	request      uint32 // that gets it
	size, size32 int
	members      []member
}

var structures = []structure{
	{"termios", 0x5401, 36, 36, []member{
		{"c_iflag", 0, 0, 4}, {"c_oflag", 4, 4, 4}, {"c_cflag", 8, 8, 4}, {"c_lflag", 12, 12, 4}, {"c_line", 16, 16, 1}, {"c_cc", 17, 17, 19},
	}},
	{"termios2", 0x802C542A, 44, 44, []member{
		{"c_iflag", 0, 0, 4},
		{"c_oflag", 4, 4, 4},
		{"c_cflag", 8, 8, 4},
		{"c_lflag", 12, 12, 4},
		{"c_line", 16, 16, 1},
		{"c_cc", 17, 17, 19},
		{"c_ispeed", 36, 36, 4},
		{"c_ospeed", 40, 40, 4},
	}},
	{"termio", 0x5405, 18, 18, []member{
		{"c_iflag", 0, 0, 2}, {"c_oflag", 2, 2, 2}, {"c_cflag", 4, 4, 2}, {"c_lflag", 6, 6, 2}, {"c_line", 8, 8, 1}, {"c_cc", 9, 9, 8},
	}},
	{"serial_icounter_struct", 0x545D, 80, 80, []member{
		{"cts", 0, 0, 4},
		{"dsr", 4, 4, 4},
		{"rng", 8, 8, 4},
		{"dcd", 12, 12, 4},
		{"rx", 16, 16, 4},
		{"tx", 20, 20, 4},
		{"frame", 24, 24, 4},
		{"overrun", 28, 28, 4},
		{"parity", 32, 32, 4},
		{"brk", 36, 36, 4},
		{"buf_overrun", 40, 40, 4},
		{"reserved", 44, 44, 36},
	}},
	{"serial_struct", 0x541E, 72, 60, []member{
		{"type", 0, 0, 4},
		{"line", 4, 4, 4},
		{"port", 8, 8, 4},
		{"irq", 12, 12, 4},
		{"flags", 16, 16, 4},
		{"xmit_fifo_size", 20, 20, 4},
		{"custom_divisor", 24, 24, 4},
		{"baud_base", 28, 28, 4},
		{"close_delay", 32, 32, 2},
		{"io_type", 34, 34, 1},
		{"reserved_char", 35, 35, 1},
		{"hub6", 36, 36, 4},
		{"closing_wait", 40, 40, 2},
		{"closing_wait2", 42, 42, 2},
		{"iomem_reg_shift", 56, 48, 2},
		{"port_high", 60, 52, 4},
	}},
}

// numbers are the requests, the bits and the other numbers that the code has, by the headers' names.
var numbers = map[string]uint32{
	"TCGETS": reqTCGETS, "TCSETS": reqTCSETS, "TCSETSW": reqTCSETSW, "TCSETSF": reqTCSETSF,
	"TCGETA": reqTCGETA, "TCSETA": reqTCSETA, "TCSETAW": reqTCSETAW, "TCSETAF": reqTCSETAF,
	"TCGETS2": reqTCGETS2, "TCSETS2": reqTCSETS2, "TCSETSW2": reqTCSETSW2, "TCSETSF2": reqTCSETSF2,
	"TCSBRK": reqTCSBRK, "TCSBRKP": reqTCSBRKP, "TIOCSBRK": reqTIOCSBRK, "TIOCCBRK": reqTIOCCBRK,
	"TCXONC": reqTCXONC, "TCFLSH": reqTCFLSH, "TIOCEXCL": reqTIOCEXCL, "TIOCNXCL": reqTIOCNXCL, "TIOCGEXCL": reqTIOCGEXCL,
	"TIOCOUTQ": reqTIOCOUTQ, "TIOCMGET": reqTIOCMGET, "TIOCMBIS": reqTIOCMBIS, "TIOCMBIC": reqTIOCMBIC, "TIOCMSET": reqTIOCMSET,
	"TIOCGSOFTCAR": reqTIOCGSOFTCAR, "TIOCSSOFTCAR": reqTIOCSSOFTCAR, "TIOCGSERIAL": reqTIOCGSERIAL, "TIOCSSERIAL": reqTIOCSSERIAL,
	"TIOCSERGETLSR": reqTIOCSERGETLSR, "TIOCMIWAIT": reqTIOCMIWAIT, "TIOCGICOUNT": reqTIOCGICOUNT, "TIOCSER_TEMT": 1,

	"TCIFLUSH": uint32(QueueInput), "TCOFLUSH": uint32(QueueOutput), "TCIOFLUSH": uint32(QueueBoth),
	"TCOOFF": uint32(StopOutput), "TCOON": uint32(StartOutput), "TCIOFF": uint32(SendStop), "TCION": uint32(SendStart),

	"TIOCM_LE": uint32(LineLE), "TIOCM_DTR": uint32(LineDTR), "TIOCM_RTS": uint32(LineRTS), "TIOCM_ST": uint32(LineST),
	"TIOCM_SR": uint32(LineSR), "TIOCM_CTS": uint32(LineCTS), "TIOCM_CD": uint32(LineCD), "TIOCM_RI": uint32(LineRNG),
	"TIOCM_DSR": uint32(LineDSR), "TIOCM_OUT1": uint32(LineOUT1), "TIOCM_OUT2": uint32(LineOUT2), "TIOCM_LOOP": uint32(LineLOOP),

	"CBAUD": cbaud, "CBAUDEX": cbaudex, "BOTHER": bother, "CLOCAL": clocal, "IBSHIFT": ibshift, "VSTART": vstart, "VSTOP": vstop,
	"CIBAUD": cbaud << ibshift, "NCC": numCC, "NCCS": uint32(len(Termios{}.Cc)),

	"PORT_16550A": port16550A, "ASYNC_SPD_HI": FlagSpeedHi, "ASYNC_SPD_VHI": FlagSpeedVHi, "ASYNC_SPD_SHI": FlagSpeedSHi,
	"ASYNC_SPD_CUST": FlagSpeedCustom, "ASYNC_SPD_WARP": FlagSpeedWarp, "ASYNC_SPD_MASK": flagsSpeed, "ASYNC_LOW_LATENCY": FlagLowLatency,
}

// The tables above are what the kernel's headers say, by a compiler for each architecture. Nothing is linked or run, so that
// 32 bits need no second C library; arm64 and arm need Debian's gcc-aarch64-linux-gnu and gcc-arm-linux-gnueabihf, with the
// linux-libc-dev of either.
func TestHeaders(t *testing.T) {
	for _, c := range []struct {
		arch     Arch
		compiler []string
	}{
		{AMD64, []string{"gcc", "-m64"}},
		{I386, []string{"gcc", "-m32", "-idirafter", "/usr/include/x86_64-linux-gnu"}},
		{ARM64, []string{"aarch64-linux-gnu-gcc"}},
		{ARM, []string{"arm-linux-gnueabihf-gcc"}},
	} {
		t.Run(c.arch.String(), func(t *testing.T) {
			if _, err := compile(t, c.compiler, headers); err != nil {
				t.Skipf("%s cannot compile with the kernel's headers: %v", strings.Join(c.compiler, " "), err)
			}
			if out, err := compile(t, c.compiler, headers+assertions(c.arch.Is32())); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

const headers = `
#include <stddef.h>
#include <linux/ioctl.h>
#include <asm/termios.h>
#include <asm/ioctls.h>
#include <linux/serial.h>
#if !(defined __x86_64__ || defined __i386__ || defined __aarch64__ || defined __arm__) || __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error another architecture
#endif
`

// assertions has the compiler check numbers and structures.
func assertions(is32 bool) string {
	var b strings.Builder
	assert := func(expression string, value uint32) {
		fmt.Fprintf(&b, "_Static_assert((unsigned)(%s) == %#x, %q);\n", expression, value, expression)
	}
	assert("sizeof(long)", map[bool]uint32{false: 8, true: 4}[is32])
	for name, v := range numbers {
		assert(name, v)
	}
	for i, speed := range speeds {
		assert(fmt.Sprintf("B%d", speed), bitsOf(i))
	}
	for _, s := range structures {
		size := s.size
		if is32 {
			size = s.size32
		}
		assert("sizeof(struct "+s.name+")", uint32(size))
		for _, m := range s.members {
			offset := m.offset
			if is32 {
				offset = m.offset32
			}
			assert(fmt.Sprintf("offsetof(struct %s, %s)", s.name, m.name), uint32(offset))
			assert(fmt.Sprintf("sizeof(((struct %s *)0)->%s)", s.name, m.name), uint32(m.size))
		}
	}
	return b.String()
}

func compile(t *testing.T, compiler []string, source string) ([]byte, error) {
	t.Helper()
	path, err := exec.LookPath(compiler[0])
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(t.Context(), path, append(compiler[1:], "-std=gnu11", "-fsyntax-only", "-xc", "-")...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.Stdin = strings.NewReader(source)
	return cmd.CombinedOutput()
}

// values are what a port has, by the structures' members.
func values(s *State) map[string][]byte {
	u32 := func(v uint32) []byte { return binary.LittleEndian.AppendUint32(nil, v) }
	u16 := func(v uint16) []byte { return binary.LittleEndian.AppendUint16(nil, v) }
	return map[string][]byte{
		"c_iflag": u32(s.Termios.Iflag), "c_oflag": u32(s.Termios.Oflag), "c_cflag": u32(s.Termios.Cflag), "c_lflag": u32(s.Termios.Lflag),
		"c_line": {s.Termios.Line}, "c_cc": s.Termios.Cc[:], "c_ispeed": u32(s.Termios.Ispeed), "c_ospeed": u32(s.Termios.Ospeed),
		"cts": u32(s.Counts.CTS), "dsr": u32(s.Counts.DSR), "rng": u32(s.Counts.RNG), "dcd": u32(s.Counts.CD), "rx": u32(s.Counts.RX),
		"tx": u32(s.Counts.TX), "frame": u32(s.Counts.Frame), "overrun": u32(s.Counts.Overrun), "parity": u32(s.Counts.Parity),
		"brk": u32(s.Counts.Break), "buf_overrun": u32(s.Counts.BufOverrun), "reserved": make([]byte, 36),
		"type": u32(uint32(s.Serial.Type)), "line": u32(uint32(s.Serial.Line)), "port": u32(s.Serial.Port), "irq": u32(uint32(s.Serial.IRQ)),
		"flags": u32(s.Serial.Flags), "xmit_fifo_size": u32(uint32(s.Serial.XmitFIFO)), "custom_divisor": u32(uint32(s.Serial.CustomDivisor)),
		"baud_base": u32(uint32(s.Serial.BaudBase)), "close_delay": u16(s.Serial.CloseDelay), "closing_wait": u16(s.Serial.ClosingWait),
		"io_type": {0}, "reserved_char": {0}, "hub6": u32(0), "closing_wait2": u16(0), "iomem_reg_shift": u16(0), "port_high": u32(0),
	}
}

// distinct is a port whose serial_struct, too, has a different value everywhere.
func distinct() State {
	s := base()
	s.Serial = Serial{
		Type: 0x1112, Line: 0x2122, Port: 0x31323334, IRQ: 0x4142, Flags: 0x51525354, XmitFIFO: 0x6162, CustomDivisor: 0x7172,
		BaudBase: 0x00818283, CloseDelay: 0x9192, ClosingWait: 0xa1a2,
	}
	return s
}

// bytesOf is the structure as the kernel would write it, made from the tables.
func (s structure) bytesOf(arch Arch, values map[string][]byte) []byte {
	p := make([]byte, s.size)
	if arch.Is32() {
		p = p[:s.size32]
	}
	for _, m := range s.members {
		offset := m.offset
		if arch.Is32() {
			offset = m.offset32
		}
		copy(p[offset:offset+m.size], values[m.name])
	}
	return p
}

func TestGetStructures(t *testing.T) {
	for _, c := range structures {
		t.Run(c.name, func(t *testing.T) {
			for _, arch := range arches {
				s := distinct()
				m := page(bytes.Repeat([]byte{0xee}, 100)...)
				e := New(newFakeUART(s))
				// Another program's call is before: nothing of it may be seen in what is padding or reserved.
				if _, errno := e.Do(t.Context(), Call{Arch: AMD64, Request: 0x541F, Arg: at}, m); errno != EPERM {
					t.Errorf("%s: error %v", arch, errno)
				}
				if _, errno := e.Do(t.Context(), Call{Arch: arch, Request: c.request, Arg: at}, m); errno != 0 {
					t.Errorf("%s: error %v", arch, errno)
				}
				want := c.bytesOf(arch, values(&s))
				if got := m.bytes[:len(want)]; !bytes.Equal(got, want) {
					t.Errorf("%s:\n got %x\nwant %x", arch, got, want)
				}
				if !bytes.Equal(m.bytes[len(want):], bytes.Repeat([]byte{0xee}, 100-len(want))) {
					t.Errorf("%s: wrote more than %d bytes", arch, len(want))
				}
			}
		})
	}
}
