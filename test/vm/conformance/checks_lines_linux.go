package conformance

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// Both lines.
const bothLines = unix.TIOCM_DTR | unix.TIOCM_RTS

// inputs are the lines that a port reads: their names, bits, and counters.
var inputs = []struct {
	name    string
	level   comport.ModemState
	bit     int
	counted func(counters) int32
	edges   int32 // counted when it goes off and on, or on and off
}{
	{"CTS", comport.ModemCTS, unix.TIOCM_CTS, func(c counters) int32 { return c.CTS }, 2},
	{"DSR", comport.ModemDSR, unix.TIOCM_DSR, func(c counters) int32 { return c.DSR }, 2},
	{"DCD", comport.ModemDCD, unix.TIOCM_CD, func(c counters) int32 { return c.DCD }, 2},
	{"RI", comport.ModemRI, unix.TIOCM_RI, func(c counters) int32 { return c.RNG }, 1}, // a 16550 tells of its trailing edge
}

var linesChecks = append([]check{
	{"both lines are up after the open", func(p *port) error { return p.linesAre(bothLines) }},
	{"lines are up again at the next open", func(p *port) error {
		if err := p.set("TIOCMBIC", unix.TIOCMBIC, bothLines); err != nil {
			return err
		}
		if err := p.reopen(); err != nil {
			return err
		}
		return p.linesAre(bothLines)
	}},
	{"TIOCMBIC drops a line", func(p *port) error {
		if err := p.set("TIOCMBIC", unix.TIOCMBIC, unix.TIOCM_DTR); err != nil {
			return err
		}
		return p.linesAre(unix.TIOCM_RTS)
	}},
	{"TIOCMBIS raises a line", func(p *port) error {
		if err := p.set("TIOCMBIC", unix.TIOCMBIC, bothLines); err != nil {
			return err
		}
		if err := p.set("TIOCMBIS", unix.TIOCMBIS, unix.TIOCM_RTS); err != nil {
			return err
		}
		return p.linesAre(unix.TIOCM_RTS)
	}},
	{"TIOCMSET sets both", func(p *port) error {
		if err := p.set("TIOCMSET", unix.TIOCMSET, unix.TIOCM_DTR); err != nil {
			return err
		}
		return p.linesAre(unix.TIOCM_DTR)
	}},
	{"B0 drops both lines", func(p *port) error {
		if _, err := p.change(unix.TCSETS, unix.CBAUD, unix.B0); err != nil {
			return err
		}
		return p.linesAre(0)
	}},
	{"B0 arrives as both lines down", func(p *port) error {
		if _, err := p.change(unix.TCSETS, unix.CBAUD, unix.B0); err != nil {
			return err
		}
		if err := p.linesArrive(0); err != nil {
			return err
		}
		if _, err := p.change(unix.TCSETS, unix.CBAUD, unix.B9600); err != nil {
			return err
		}
		return p.linesArrive(bothLines)
	}},
	{"DTR and RTS arrive", func(p *port) error {
		for _, lines := range []int{unix.TIOCM_DTR, unix.TIOCM_RTS, 0, bothLines} {
			if err := p.set("TIOCMSET", unix.TIOCMSET, lines); err != nil {
				return err
			}
			if err := p.linesArrive(lines); err != nil {
				return err
			}
		}
		return nil
	}},
	{"TIOCMIWAIT wakes at a change", func(p *port) error { return p.wakes() }},
	{"TIOCGSERIAL has a base", func(p *port) error {
		var serial [18]uint32 // struct serial_struct of <linux/serial.h> is 72 bytes
		if err := p.raw(unix.TIOCGSERIAL, address(&serial[0])); err != nil {
			return says("TIOCGSERIAL", err)
		}
		const base = 7 // baud_base
		if serial[base] == 0 {
			return errors.New("it is 0")
		}
		return nil
	}},
	{"TIOCGSOFTCAR is CLOCAL", func(p *port) error {
		for _, local := range []uint32{0, unix.CLOCAL} {
			if _, err := p.change(unix.TCSETS, unix.CLOCAL, local); err != nil {
				return err
			}
			got, err := p.get("TIOCGSOFTCAR", unix.TIOCGSOFTCAR)
			if err != nil {
				return err
			}
			if (got != 0) != (local != 0) {
				return errors.New("it is not")
			}
		}
		return nil
	}},
}, inputChecks()...)

// inputChecks are those that are made of each input.
func inputChecks() []check {
	all := make([]check, 0, 2*len(inputs))
	for _, in := range inputs {
		all = append(all, check{in.name + " is read", func(p *port) error {
			for _, levels := range []comport.ModemState{idleModem ^ in.level, idleModem} {
				if err := p.inputBecomes(in.bit, levels, levels&in.level != 0); err != nil {
					return err
				}
			}
			return nil
		}}, check{"TIOCGICOUNT counts " + in.name, func(p *port) error {
			if err := p.far.Edges(); err != nil {
				return err
			}
			before, err := p.counted()
			if err != nil {
				return err
			}
			for _, levels := range []comport.ModemState{idleModem ^ in.level, idleModem} {
				if err := p.inputBecomes(in.bit, levels, levels&in.level != 0); err != nil {
					return err
				}
			}
			after, err := p.counted()
			if err != nil {
				return err
			}
			if got := in.counted(after) - in.counted(before); got != in.edges {
				return fmt.Errorf("%d counted, not %d", got, in.edges)
			}
			return nil
		}})
	}
	return all
}

// inputBecomes sets the inputs and waits until TIOCMGET says so of one.
func (p *port) inputBecomes(bit int, levels comport.ModemState, on bool) error {
	// A port without lines says so at once.
	if _, err := p.get("TIOCMGET", unix.TIOCMGET); err != nil {
		return err
	}
	if err := p.far.SetModem(levels); err != nil {
		return err
	}
	return p.eventually(func() (bool, error) {
		n, err := p.get("TIOCMGET", unix.TIOCMGET)
		return (n&bit != 0) == on, err
	}, "TIOCMGET does not show it")
}

// linesArrive waits until the far UART drives the lines so.
func (p *port) linesArrive(lines int) error {
	dtr, rts := comport.DTR(lines&unix.TIOCM_DTR != 0), comport.RTS(lines&unix.TIOCM_RTS != 0)
	return p.arrives(lineNames(lines), func(s comport.State) bool { return s.DTR == dtr && s.RTS == rts })
}

// wakes waits in TIOCMIWAIT while CTS changes to and fro: nothing tells when the call has begun to wait.
func (p *port) wakes() error {
	// A call that never wakes would keep the port open.
	if err := p.far.Edges(); err != nil {
		return err
	}
	awake := make(chan error, 1)
	fd := p.fd
	go func() { awake <- says("TIOCMIWAIT", unix.IoctlSetInt(fd, unix.TIOCMIWAIT, unix.TIOCM_CTS)) }()
	ctx, cancel := p.within()
	defer cancel()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	levels := idleModem
	for {
		select {
		case err := <-awake:
			return err
		case <-again.C:
			levels ^= comport.ModemCTS
			if err := p.far.SetModem(levels); err != nil {
				return err
			}
		case <-ctx.Done():
			return errors.New("it does not")
		}
	}
}
