package ioctl

// Termios is struct termios2 (include/uapi/asm-generic/termbits.h). Between calls, Ispeed and Ospeed are the speeds in bit/s
// that the flags in Cflag stand for.
type Termios struct {
	Iflag, Oflag, Cflag, Lflag uint32
	// Line is c_line, which the kernel keeps for programs and does not read.
	Line uint8
	Cc   [19]uint8
	// Ispeed and Ospeed are in bit/s; 0 is B0.
	Ispeed, Ospeed uint32
}

// Bits of c_cflag and places in c_cc (include/uapi/asm-generic/termbits.h, termbits-common.h).
const (
	cbaud   = 0x0000100f
	cbaudex = 0x00001000
	bother  = 0x00001000 // any speed: the one in c_ospeed
	clocal  = 0x00000800
	addrb   = 0x20000000
	ibshift = 16 // from CBAUD to CIBAUD

	vstart = 8
	vstop  = 9
)

// speeds has the speeds in bit/s of the values that CBAUD can have, BOTHER (16) apart: Bnnn without CBAUDEX at its own value,
// those with it 15 higher.
var speeds = [...]uint32{
	0, 50, 75, 110, 134, 150, 200, 300, 600, 1200, 1800, 2400, 4800, 9600, 19200, 38400,
	57600, 115200, 230400, 460800, 500000, 576000, 921600, 1000000, 1152000, 1500000, 2000000,
	2500000, 3000000, 3500000, 4000000,
}

// speedOf is the speed of CBAUD bits other than BOTHER (tty_termios_baud_rate, drivers/tty/tty_baudrate.c).
func speedOf(bits uint32) uint32 {
	i := bits & 0xf
	if bits&cbaudex != 0 {
		i += 15
	}
	return speeds[i]
}

// bitsOf is speedOf's inverse for index i of speeds.
func bitsOf(i int) uint32 {
	if i < 16 {
		return uint32(i)
	}
	return cbaudex | uint32(i-15)
}

// resolve makes the speeds those that Cflag stands for, as set_termios in drivers/tty/tty_ioctl.c does with whatever a program
// has passed: BOTHER takes the number, and an input speed of B0 means the output's.
func (t *Termios) resolve() {
	out := t.Ospeed
	if b := t.Cflag & cbaud; b != bother {
		out = speedOf(b)
	}
	in := t.Ispeed
	switch b := t.Cflag >> ibshift & cbaud; b {
	case 0:
		in = out
	case bother:
	default:
		in = speedOf(b)
	}
	t.Ispeed, t.Ospeed = in, out
}

// SetSpeed makes in and out, in bit/s, the speeds of t, as a driver does to report those that it really runs at
// (tty_termios_encode_baud_rate, drivers/tty/tty_baudrate.c). A speed becomes the Bnnn constant nearest to it if that is within
// 2 %, or exactly equal where t has BOTHER, and else BOTHER. The input speed gets bits of its own only if it differs, or had some
// before.
func (t *Termios) SetSpeed(in, out uint32) {
	if out == 0 { // hung up
		in = 0
	}
	inBits, outBits := t.Cflag>>ibshift&cbaud, t.Cflag&cbaud
	inGiven := inBits != 0
	inSlack, outSlack := in/50, out/50
	if outBits == bother {
		outSlack = 0
		if !inGiven {
			inSlack = 0
		}
	}
	if inBits == bother {
		inSlack = 0
	}

	t.Ispeed, t.Ospeed = in, out
	t.Cflag &^= cbaud | cbaud<<ibshift
	i, o := near(in, inSlack), near(out, outSlack)
	if o >= 0 {
		t.Cflag |= bitsOf(o)
	} else {
		t.Cflag |= bother
	}
	switch {
	case i >= 0 && (i != o || inGiven):
		t.Cflag |= bitsOf(i) << ibshift
	case i < 0 && (in != out || inGiven):
		t.Cflag |= bother << ibshift
	}
}

// near is the index of the constant that is at most slack from the speed, or -1. There is never more than one within 2 %.
func near(speed, slack uint32) int {
	for i, s := range speeds {
		if uint64(speed) <= uint64(s)+uint64(slack) && uint64(s) <= uint64(speed)+uint64(slack) {
			return i
		}
	}
	return -1
}
