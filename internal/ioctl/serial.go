package ioctl

// Serial is what a program sees and sets of struct serial_struct (include/uapi/linux/serial.h). Its members that say where a
// port is in memory are always 0.
type Serial struct {
	// Type is PORT_*, the kind of UART; Line the port's number; Port its I/O address; IRQ its interrupt, 0 for none.
	Type, Line int32
	Port       uint32
	IRQ        int32
	// Flags are ASYNC_* (include/uapi/linux/tty_flags.h).
	Flags uint32
	// XmitFIFO is the size of the transmitter's FIFO in bytes.
	XmitFIFO int32
	// CustomDivisor makes the speed BaudBase / CustomDivisor where Flags say so: see Speed.
	CustomDivisor int32
	// BaudBase is the speed in bit/s at a divisor of 1.
	BaudBase int32
	// CloseDelay and ClosingWait are in hundredths of a second: how long an open waits after a close, and how long a close
	// waits for output to be sent, where 0 is for ever and 65535 not at all.
	CloseDelay, ClosingWait uint16
}

// Members of Flags that are of interest (include/uapi/linux/tty_flags.h).
const (
	FlagSpeedHi    uint32 = 0x0010 // ASYNC_SPD_HI
	FlagSpeedVHi   uint32 = 0x0020 // ASYNC_SPD_VHI
	FlagSpeedSHi   uint32 = 0x1000 // ASYNC_SPD_SHI
	FlagLowLatency uint32 = 0x2000 // ASYNC_LOW_LATENCY
	// FlagSpeedCustom is ASYNC_SPD_CUST.
	FlagSpeedCustom = FlagSpeedHi | FlagSpeedVHi
	// FlagSpeedWarp is ASYNC_SPD_WARP.
	FlagSpeedWarp = FlagSpeedHi | FlagSpeedSHi

	flagsSpeed = FlagSpeedHi | FlagSpeedVHi | FlagSpeedSHi // ASYNC_SPD_MASK
	// flagsUser may be changed by anybody (UPF_USR_MASK, include/linux/serial_core.h), flagsAdmin with CAP_SYS_ADMIN
	// (UPF_CHANGE_MASK).
	flagsUser  = flagsSpeed | FlagLowLatency
	flagsAdmin = 0x17fff
)

const (
	port16550A = 4 // PORT_16550A
	// minBaudBase is the lowest that serial_core.c accepts.
	minBaudBase = 9600
	// altSpeed is B38400's, in bit/s: the one that flagsSpeed replaces.
	altSpeed = 38400
)

// DefaultSerial is what an untouched port shows: a 16550A with a FIFO of 16 bytes and a baud_base of 24,000,000 (the
// package's description has the reason), 0.5 s of close_delay and 30 s of closing_wait, the kernel's defaults. line is its number.
func DefaultSerial(line int32) Serial {
	return Serial{Type: port16550A, Line: line, XmitFIFO: 16, BaudBase: 24_000_000, CloseDelay: 50, ClosingWait: 3000}
}

// Speed is the speed in bit/s that a line runs at if its termios asks for speed: another one only for 38,400, where Flags may
// replace that by 57,600, 115,200, 230,400, 460,800 or BaudBase / CustomDivisor (setserial(8); uart_get_baud_rate and
// uart_get_divisor in drivers/tty/serial/serial_core.c). A custom divisor that gives no speed changes nothing.
func (s Serial) Speed(speed uint32) uint32 {
	if speed != altSpeed {
		return speed
	}
	switch s.Flags & flagsSpeed {
	case FlagSpeedHi:
		return 57600
	case FlagSpeedVHi:
		return 115200
	case FlagSpeedSHi:
		return 230400
	case FlagSpeedWarp:
		return 460800
	case FlagSpeedCustom:
		if s.CustomDivisor > 0 && s.BaudBase >= s.CustomDivisor {
			return uint32(s.BaudBase / s.CustomDivisor)
		}
	}
	return speed
}

// change is what TIOCSSERIAL makes of s when asked for n, by a caller with CAP_SYS_ADMIN if admin (uart_set_info in
// drivers/tty/serial/serial_core.c, for a port that is UPF_FIXED_PORT).
func (s Serial) change(n Serial, admin bool) (Serial, Errno) {
	mask := flagsUser
	if admin {
		if n.IRQ < 0 || n.BaudBase < minBaudBase {
			return s, EINVAL
		}
		mask = flagsAdmin
		s.CloseDelay, s.ClosingWait = n.CloseDelay, n.ClosingWait
		if n.XmitFIFO != 0 {
			s.XmitFIFO = n.XmitFIFO
		}
	} else if n.BaudBase != s.BaudBase || n.CloseDelay != s.CloseDelay || n.ClosingWait != s.ClosingWait ||
		n.XmitFIFO != 0 && n.XmitFIFO != s.XmitFIFO || (n.Flags^s.Flags)&^flagsUser != 0 {
		return s, EPERM
	}
	s.Flags = s.Flags&^mask | n.Flags&mask
	s.CustomDivisor = n.CustomDivisor
	return s, 0
}
