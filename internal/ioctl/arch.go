package ioctl

import "encoding/binary"

// Arch is the architecture that a program was compiled for: it decides the layout of the structures that its ioctls point
// to. All of them are little-endian and have the request numbers of the generic headers.
type Arch uint8

// The architectures.
const (
	AMD64 Arch = iota
	I386
	ARM64
	ARM // EABI
)

// String implements fmt.Stringer. It is Go's name for the architecture, except for I386, which Go calls 386.
func (a Arch) String() string {
	switch a {
	case AMD64:
		return "amd64"
	case I386:
		return "i386"
	case ARM64:
		return "arm64"
	case ARM:
		return "arm"
	default:
		return "unknown"
	}
}

// Is32 reports whether pointers and longs are 32 bits wide.
func (a Arch) Is32() bool { return a == I386 || a == ARM }

// Sizes of structures in bytes. All but struct serial_struct are the same on every Arch.
const (
	sizeInt      = 4
	sizeTermio   = 18 // 17 and a byte of padding: NCC is 8 (include/uapi/asm-generic/termios.h)
	sizeTermios  = 36 // NCCS is 19 (include/uapi/asm-generic/termbits.h)
	sizeTermios2 = 44
	sizeCounts   = 20 * sizeInt // nine of them reserved

	sizeSerial64 = 72
	sizeSerial32 = 60

	maxSize = sizeCounts // of all the structures
)

// numCC is NCC: how many control characters struct termio has.
const numCC = 8

// le is the byte order of every Arch.
var le = binary.LittleEndian

// putTermios writes the 36 bytes of struct termios, or the 44 of struct termios2 if p has room for them.
func putTermios(p []byte, t *Termios) {
	le.PutUint32(p[0:], t.Iflag)
	le.PutUint32(p[4:], t.Oflag)
	le.PutUint32(p[8:], t.Cflag)
	le.PutUint32(p[12:], t.Lflag)
	p[16] = t.Line
	copy(p[17:sizeTermios], t.Cc[:])
	if len(p) >= sizeTermios2 {
		le.PutUint32(p[36:], t.Ispeed)
		le.PutUint32(p[40:], t.Ospeed)
	}
}

// getTermios is putTermios' inverse. The speeds are left alone where p has none.
func getTermios(p []byte, t *Termios) {
	t.Iflag = le.Uint32(p[0:])
	t.Oflag = le.Uint32(p[4:])
	t.Cflag = le.Uint32(p[8:])
	t.Lflag = le.Uint32(p[12:])
	t.Line = p[16]
	copy(t.Cc[:], p[17:sizeTermios])
	if len(p) >= sizeTermios2 {
		t.Ispeed = le.Uint32(p[36:])
		t.Ospeed = le.Uint32(p[40:])
	}
}

// putTermio writes the 18 bytes of struct termio, the padding as zero.
func putTermio(p []byte, t *Termios) {
	le.PutUint16(p[0:], uint16(t.Iflag))
	le.PutUint16(p[2:], uint16(t.Oflag))
	le.PutUint16(p[4:], uint16(t.Cflag))
	le.PutUint16(p[6:], uint16(t.Lflag))
	p[8] = t.Line
	copy(p[9:9+numCC], t.Cc[:])
	p[9+numCC] = 0
}

// getTermio takes struct termio over and leaves alone what that has not.
func getTermio(p []byte, t *Termios) {
	low := func(word uint32, v []byte) uint32 { return word&0xffff0000 | uint32(le.Uint16(v)) }
	t.Iflag = low(t.Iflag, p[0:])
	t.Oflag = low(t.Oflag, p[2:])
	t.Cflag = low(t.Cflag, p[4:])
	t.Lflag = low(t.Lflag, p[6:])
	t.Line = p[8]
	copy(t.Cc[:], p[9:9+numCC])
}

// putCounts writes the 80 bytes of struct serial_icounter_struct.
func putCounts(p []byte, c *Counts) {
	for i, n := range [...]uint32{c.CTS, c.DSR, c.RNG, c.CD, c.RX, c.TX, c.Frame, c.Overrun, c.Parity, c.Break, c.BufOverrun} {
		le.PutUint32(p[i*sizeInt:], n)
	}
	clear(p[11*sizeInt : sizeCounts])
}

// sizeSerial is the size of struct serial_struct (include/uapi/linux/serial.h).
func (a Arch) sizeSerial() int {
	if a.Is32() {
		return sizeSerial32
	}
	return sizeSerial64
}

// putSerial writes struct serial_struct. What follows its closing_wait is a port's place in memory, and the only part that
// depends on the architecture: zero.
func putSerial(p []byte, s *Serial) {
	clear(p)
	le.PutUint32(p[0:], uint32(s.Type))
	le.PutUint32(p[4:], uint32(s.Line))
	le.PutUint32(p[8:], s.Port)
	le.PutUint32(p[12:], uint32(s.IRQ))
	le.PutUint32(p[16:], s.Flags)
	le.PutUint32(p[20:], uint32(s.XmitFIFO))
	le.PutUint32(p[24:], uint32(s.CustomDivisor))
	le.PutUint32(p[28:], uint32(s.BaudBase))
	le.PutUint16(p[32:], s.CloseDelay)
	le.PutUint16(p[40:], s.ClosingWait)
}

// getSerial is putSerial's inverse.
func getSerial(p []byte) Serial {
	return Serial{
		Type:          int32(le.Uint32(p[0:])),
		Line:          int32(le.Uint32(p[4:])),
		Port:          le.Uint32(p[8:]),
		IRQ:           int32(le.Uint32(p[12:])),
		Flags:         le.Uint32(p[16:]),
		XmitFIFO:      int32(le.Uint32(p[20:])),
		CustomDivisor: int32(le.Uint32(p[24:])),
		BaudBase:      int32(le.Uint32(p[28:])),
		CloseDelay:    le.Uint16(p[32:]),
		ClosingWait:   le.Uint16(p[40:]),
	}
}
