package conformance

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// frameBits are the bits of c_cflag that say how a character is framed.
const frameBits = unix.CSIZE | unix.PARENB | unix.PARODD | unix.CMSPAR | unix.CSTOPB

var settingsChecks = []check{
	{"speed is read back", func(p *port) error { return p.keeps(unix.CBAUD, unix.B19200) }},
	{"speed of BOTHER is read back", func(p *port) error {
		got, err := p.bother(250000)
		if err == nil && got != 250000 {
			err = fmt.Errorf("it reads as %d", got)
		}
		return err
	}},
	{"stop bits are read back", func(p *port) error { return p.keeps(unix.CSTOPB, unix.CSTOPB) }},
	{"flow control is read back", func(p *port) error { return p.keeps(unix.CRTSCTS, unix.CRTSCTS) }},
	{"parity is read back", func(p *port) error { return p.keeps(unix.PARENB, unix.PARENB) }},
	{"odd parity is read back", func(p *port) error { return p.keeps(unix.PARENB|unix.PARODD, unix.PARENB|unix.PARODD) }},
	{"mark and space parity are read back", func(p *port) error {
		const space, mark = unix.PARENB | unix.CMSPAR, unix.PARENB | unix.CMSPAR | unix.PARODD
		if err := p.keeps(mark, space); err != nil {
			return err
		}
		return p.keeps(mark, mark)
	}},
	{"data bits are read back", func(p *port) error { return p.keeps(unix.CSIZE, unix.CS7) }},
	{"5 and 6 data bits are read back", func(p *port) error {
		if err := p.keeps(unix.CSIZE, unix.CS5); err != nil {
			return err
		}
		return p.keeps(unix.CSIZE, unix.CS6)
	}},
	{"data bits outlive a close", func(p *port) error { return p.outlives(unix.CSIZE, unix.CS7) }},
	{"stop bits outlive a close", func(p *port) error { return p.outlives(unix.CSTOPB, unix.CSTOPB) }},

	{"standard speeds arrive, 300 to 3000000", func(p *port) error {
		for _, s := range []struct{ code, speed uint32 }{
			{unix.B300, 300},
			{unix.B600, 600},
			{unix.B1200, 1200},
			{unix.B2400, 2400},
			{unix.B4800, 4800},
			{unix.B9600, 9600},
			{unix.B19200, 19200},
			{unix.B38400, 38400},
			{unix.B57600, 57600},
			{unix.B115200, 115200},
			{unix.B230400, 230400},
			{unix.B460800, 460800},
			{unix.B921600, 921600},
			{unix.B1000000, 1000000},
			{unix.B2000000, 2000000},
			{unix.B3000000, 3000000},
		} {
			if err := p.keeps(unix.CBAUD, s.code); err != nil {
				return fmt.Errorf("%d: %w", s.speed, err)
			}
			if err := p.speedArrives(s.speed); err != nil {
				return err
			}
		}
		return nil
	}},
	{"other speeds arrive: 12345, 31250, 250000", func(p *port) error {
		for _, speed := range []uint32{12345, 31250, 250000} {
			if _, err := p.bother(speed); err != nil {
				return err
			}
			if err := p.speedArrives(speed); err != nil {
				return err
			}
		}
		return nil
	}},
	frameArrives("7E1", unix.CS7|unix.PARENB, 7, comport.ParityEven, comport.StopSize1),
	frameArrives("8O2", unix.CS8|unix.PARENB|unix.PARODD|unix.CSTOPB, 8, comport.ParityOdd, comport.StopSize2),
	frameArrives("8M1", unix.CS8|unix.PARENB|unix.PARODD|unix.CMSPAR, 8, comport.ParityMark, comport.StopSize1),
	frameArrives("8S1", unix.CS8|unix.PARENB|unix.CMSPAR, 8, comport.ParitySpace, comport.StopSize1),
	frameArrives("8N2", unix.CS8|unix.CSTOPB, 8, comport.ParityNone, comport.StopSize2),
	frameArrives("6N1", unix.CS6, 6, comport.ParityNone, comport.StopSize1),
	frameArrives("5N1", unix.CS5, 5, comport.ParityNone, comport.StopSize1),
	{"CRTSCTS arrives", func(p *port) error {
		if err := p.keeps(unix.CRTSCTS, unix.CRTSCTS); err != nil {
			return err
		}
		return p.arrives("RTS/CTS", func(s comport.State) bool { return s.Outbound == comport.ControlFlowHardware })
	}},
	{"IXON arrives", func(p *port) error {
		t, err := p.attributes()
		if err != nil {
			return err
		}
		t.Iflag |= unix.IXON | unix.IXOFF
		t.Cc[unix.VSTART], t.Cc[unix.VSTOP] = 0x11, 0x13
		if err := unix.IoctlSetTermios(p.fd, unix.TCSETS, &t); err != nil {
			return says("TCSETS", err)
		}
		return p.arrives("XON/XOFF", func(s comport.State) bool { return s.Outbound == comport.ControlFlowXonXoff })
	}},
}

// frameArrives is the check that a frame arrives at the far UART. One that cannot be read back is not waited for.
func frameArrives(name string, bits uint32, size comport.DataSize, parity comport.Parity, stop comport.StopSize) check {
	return check{name + " arrives", func(p *port) error {
		if err := p.keeps(frameBits, bits); err != nil {
			return err
		}
		return p.arrives(name, func(s comport.State) bool { return s.DataSize == size && s.Parity == parity && s.StopSize == stop })
	}}
}

func (p *port) speedArrives(speed uint32) error {
	return p.arrives(fmt.Sprint(speed), func(s comport.State) bool { return s.BaudRate == speed })
}

// outlives fails unless bits of c_cflag are the same after a close.
func (p *port) outlives(mask, bits uint32) error {
	if _, err := p.change(unix.TCSETS, mask, bits); err != nil {
		return err
	}
	if err := p.reopen(); err != nil {
		return err
	}
	t, err := p.attributes()
	return readBack(t, err, mask, bits)
}
