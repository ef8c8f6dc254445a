package termiosmirror

import (
	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// standardSpeeds are the encodings of asm-generic/termbits.h. Their values, and which of them are in CBAUDEX, differ between
// architectures; the names do not.
var standardSpeeds = [...]struct{ code, rate uint32 }{
	{unix.B50, 50},
	{unix.B75, 75},
	{unix.B110, 110},
	{unix.B134, 134},
	{unix.B150, 150},
	{unix.B200, 200},
	{unix.B300, 300},
	{unix.B600, 600},
	{unix.B1200, 1200},
	{unix.B1800, 1800},
	{unix.B2400, 2400},
	{unix.B4800, 4800},
	{unix.B9600, 9600},
	{unix.B19200, 19200},
	{unix.B38400, 38400},
	{unix.B57600, 57600},
	{unix.B115200, 115200},
	{unix.B230400, 230400},
	{unix.B460800, 460800},
	{unix.B500000, 500000},
	{unix.B576000, 576000},
	{unix.B921600, 921600},
	{unix.B1000000, 1000000},
	{unix.B1152000, 1152000},
	{unix.B1500000, 1500000},
	{unix.B2000000, 2000000},
	{unix.B2500000, 2500000},
	{unix.B3000000, 3000000},
	{unix.B3500000, 3500000},
	{unix.B4000000, 4000000},
}

// Speed is the output speed of t in bit/s, from a B constant or, with BOTHER, from c_ospeed. It is 0 for B0, the request to hang up; a
// BOTHER of zero is the same to the kernel (uart_get_baud_rate in drivers/tty/serial/serial_core.c). t is as TCGETS2 gives it.
func Speed(t unix.Termios) uint32 {
	code := t.Cflag & unix.CBAUD
	switch code {
	case unix.B0:
		return 0
	case unix.BOTHER:
		return t.Ospeed
	}
	for _, s := range standardSpeeds {
		if s.code == code {
			return s.rate
		}
	}
	// An encoding of this architecture alone; the kernel has worked it out.
	return t.Ospeed
}

// setSpeed encodes rate for both directions: the B constant where there is one, because programs built on cfgetospeed know no
// other, else BOTHER. A zero input speed code (CIBAUD) means "as the output".
func setSpeed(t *unix.Termios, rate uint32) {
	code := uint32(unix.BOTHER)
	for _, s := range standardSpeeds {
		if s.rate == rate {
			code = s.code
			break
		}
	}
	t.Cflag = t.Cflag&^(unix.CBAUD|unix.CIBAUD) | code
	t.Ispeed, t.Ospeed = rate, rate
}

// Apply writes the known fields of s into t, for TCSETS2: speed (which ends B0), data size, parity, stop size, and flow control as
// far as termios can express it. Inbound flow that is not known follows outbound, as it does at the server. Modem lines and break have
// no place in a termios. On a pseudo-terminal the kernel then strips size and parity again.
func Apply(t unix.Termios, s comport.State) unix.Termios {
	if s.BaudRate != 0 {
		setSpeed(&t, s.BaudRate)
	}
	applySize(&t, s.DataSize)
	applyParity(&t, s.Parity)
	switch s.StopSize {
	case comport.StopSize1:
		t.Cflag &^= unix.CSTOPB
	case comport.StopSize2, comport.StopSize15:
		t.Cflag |= unix.CSTOPB
	default: // not known
	}
	applyFlow(&t, s.Outbound, s.Inbound)
	return t
}

func dataSize(t unix.Termios) comport.DataSize {
	switch t.Cflag & unix.CSIZE {
	case unix.CS5:
		return 5
	case unix.CS6:
		return 6
	case unix.CS7:
		return 7
	default:
		return 8
	}
}

func applySize(t *unix.Termios, size comport.DataSize) {
	var code uint32
	switch size {
	case 5:
		code = unix.CS5
	case 6:
		code = unix.CS6
	case 7:
		code = unix.CS7
	case 8:
		code = unix.CS8
	default: // not known
		return
	}
	t.Cflag = t.Cflag&^unix.CSIZE | code
}

func applyParity(t *unix.Termios, p comport.Parity) {
	var code uint32
	switch p {
	case comport.ParityNone:
	case comport.ParityOdd:
		code = unix.PARENB | unix.PARODD
	case comport.ParityEven:
		code = unix.PARENB
	case comport.ParityMark:
		code = unix.PARENB | unix.PARODD | unix.CMSPAR
	case comport.ParitySpace:
		code = unix.PARENB | unix.CMSPAR
	default: // not known
		return
	}
	t.Cflag = t.Cflag&^(unix.PARENB|unix.PARODD|unix.CMSPAR) | code
}

func applyFlow(t *unix.Termios, outbound, inbound comport.Control) {
	switch outbound {
	case comport.ControlFlowNone:
		setFlow(t, false, false, false)
	case comport.ControlFlowXonXoff:
		setFlow(t, false, true, true)
	case comport.ControlFlowHardware:
		setFlow(t, true, false, false)
	default: // not known, or by DCD or DSR, which termios cannot say
	}
	switch inbound {
	case comport.ControlInboundNone:
		t.Iflag &^= unix.IXOFF
	case comport.ControlInboundXonXoff:
		t.Iflag |= unix.IXOFF
	case comport.ControlInboundHardware:
		// One flag for both ways: hardware inbound is CRTSCTS even when outbound is not.
		t.Cflag |= unix.CRTSCTS
		t.Iflag &^= unix.IXOFF
	default: // not known, or by DTR, which termios cannot say
	}
}

func setFlow(t *unix.Termios, hardware, ixon, ixoff bool) {
	t.Cflag &^= unix.CRTSCTS
	t.Iflag &^= unix.IXON | unix.IXOFF
	if hardware {
		t.Cflag |= unix.CRTSCTS
	}
	if ixon {
		t.Iflag |= unix.IXON
	}
	if ixoff {
		t.Iflag |= unix.IXOFF
	}
}
