package termiosmirror

import (
	"cmp"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// Mirror keeps the line settings that the programs on one tty want of the remote UART. The zero value is a pseudo-terminal's
// mirror without line settings of its own: nothing is wanted until a program asks.
type Mirror struct {
	line     comport.State // what the user said the line is
	exact    bool          // size and parity are in the termios
	shown    unix.Termios  // the termios as last started with, shown or observed
	want     comport.State
	told     bool                               // shown holds what vcomd wrote, or what a program made of that
	observed bool                               // a program has asked for settings
	split    bool                               // inbound flow has been asked for by itself
	hungUp   bool                               // the tty is at B0
	open     struct{ dtr, rts comport.Control } // what the lines are when it is not; zero: on
}

// New makes the mirror of a pseudo-terminal. line is what the user says the line is, zero for nothing: its data size and
// parity hold for good, its speed and stop size until a program asks for others. A tty meant to start with the line's settings is given
// them by [Apply].
func New(line comport.State) *Mirror {
	return &Mirror{line: line, want: line}
}

// NewExact makes the mirror of a back end that sees every bit that a program sets: CSIZE, PARENB, PARODD and CMSPAR are taken as
// they are. line is only what the port starts with.
func NewExact(line comport.State) *Mirror {
	return &Mirror{line: line, want: line, exact: true}
}

// SetLines has DTR and RTS wanted so from now on, or not asked for where one is zero. At B0 both are off, whatever
// was wanted; then it is what they become when a program asks for a speed again.
func (m *Mirror) SetLines(dtr, rts comport.Control) {
	m.open.dtr, m.open.rts = dtr, rts
	if !m.hungUp {
		m.want.DTR, m.want.RTS = dtr, rts
	}
}

// SetLine has what line knows wanted from now on, as if it had been among the line settings from the start. Whoever calls it
// has written it to the tty, too, and told that by [Mirror.Shown].
func (m *Mirror) SetLine(line comport.State) {
	for request := range line.Requests() {
		m.line.Set(request)
		m.want.Set(request)
	}
	if line.BaudRate != 0 {
		m.leaveB0()
	}
}

// ReplaceLine is SetLine for another line in the place of the first: what only that one knew is wanted until a program asks for
// something else.
func (m *Mirror) ReplaceLine(line comport.State) {
	m.line = comport.State{}
	m.SetLine(line)
}

// leaveB0 gives the lines back what B0 has taken from them.
func (m *Mirror) leaveB0() {
	if !m.hungUp {
		return
	}
	m.hungUp = false
	m.want.DTR = cmp.Or(m.open.dtr, comport.ControlDTROn)
	m.want.RTS = cmp.Or(m.open.rts, comport.ControlRTSOn)
}

// Start gives the termios that a tty starts with, at first and whenever a fresh tty takes its place: the base against
// which hints count as changed. It asks for nothing; lines that B0 turned off come back with the next speed asked for.
func (m *Mirror) Start(t unix.Termios) {
	m.shown, m.told = t, false
}

// Shown tells that vcomd itself has written t to the tty, to show what the server said. It asks for nothing, and what a program
// leaves as it was shown stays wanted as it was last asked for: after the tty was told that 9,600 became 4,800, a tcsetattr that
// changes only the flow control does not make 4,800 the program's wish.
func (m *Mirror) Shown(t unix.Termios) {
	m.shown, m.told = t, true
}

// Observe takes the termios after a program's tcsetattr and returns the settings now wanted. asked is [Mirror.Asked], hence
// true. Changes that vcomd made itself are for Shown.
func (m *Mirror) Observe(t unix.Termios) (want comport.State, asked bool) {
	keep := m.told && m.observed
	m.observed = true
	m.observeSpeed(t, keep)
	m.observeSizeAndParity(t)
	m.observeStop(t, keep)
	m.observeFlow(t)
	m.shown = t
	return m.want, true
}

// ObserveExact is Observe for settings that came on a way that strips nothing: CSIZE and PARENB count, once.
func (m *Mirror) ObserveExact(t unix.Termios) (want comport.State) {
	was := m.exact
	m.exact = true
	want, _ = m.Observe(t)
	m.exact = was
	return want
}

// Drive has DTR and RTS wanted so, whatever the speed is; one that is zero stays as it is.
func (m *Mirror) Drive(dtr, rts comport.Control) {
	m.want.DTR, m.want.RTS = cmp.Or(dtr, m.want.DTR), cmp.Or(rts, m.want.RTS)
	m.open.dtr, m.open.rts = cmp.Or(dtr, m.open.dtr), cmp.Or(rts, m.open.rts)
}

// SetBreak has a break condition wanted; its end is not asked for anew at a reconnect, which ends it in any case.
func (m *Mirror) SetBreak(b comport.Control) {
	if b == comport.ControlBreakOff {
		b = 0
	}
	m.want.Break = b
}

// Want is the state now wanted: what programs have asked for, over the line settings. A zero field has not been asked for.
func (m *Mirror) Want() comport.State { return m.want }

// Asked reports whether anything is asked for, by line settings or by a program.
func (m *Mirror) Asked() bool { return m.observed || m.line != comport.State{} }

func (m *Mirror) observeSpeed(t unix.Termios, keep bool) {
	speed := Speed(t)
	if speed == 0 {
		m.hungUp = true
		m.want.DTR, m.want.RTS = comport.ControlDTROff, comport.ControlRTSOff
		return
	}
	m.leaveB0()
	if keep && m.want.BaudRate != 0 && speed == Speed(m.shown) {
		return // as it was shown: no new wish
	}
	m.want.BaudRate = speed
}

// parityHints are the parity flags that survive on a pseudo-terminal.
const parityHints = unix.PARODD | unix.CMSPAR

func (m *Mirror) observeSizeAndParity(t unix.Termios) {
	if m.exact {
		m.want.DataSize = dataSize(t)
		m.want.Parity = comport.ParityNone
		if t.Cflag&unix.PARENB != 0 {
			m.want.Parity = parity(t, comport.ParityEven)
		}
		return
	}
	if m.line.Parity == 0 && (t.Cflag^m.shown.Cflag)&parityHints != 0 {
		m.want.Parity = parity(t, comport.ParityNone)
	}
}

// parity reads PARODD and CMSPAR; neither means plain.
func parity(t unix.Termios, plain comport.Parity) comport.Parity {
	switch t.Cflag & parityHints {
	case unix.PARODD:
		return comport.ParityOdd
	case unix.CMSPAR:
		return comport.ParitySpace
	case unix.CMSPAR | unix.PARODD:
		return comport.ParityMark
	default:
		return plain
	}
}

func (m *Mirror) observeStop(t unix.Termios, keep bool) {
	same := (t.Cflag^m.shown.Cflag)&unix.CSTOPB == 0
	if m.exact { // the meaning of CSTOPB also follows the data size
		same = same && (t.Cflag^m.shown.Cflag)&unix.CSIZE == 0
	}
	if keep && m.want.StopSize != 0 && same {
		return // as it was shown: no new wish
	}
	switch {
	case t.Cflag&unix.CSTOPB == 0:
		m.want.StopSize = comport.StopSize1
	case !m.exact && (m.line.StopSize == comport.StopSize15 || m.line.StopSize == comport.StopSize2):
		m.want.StopSize = m.line.StopSize
	case m.want.DataSize == 5:
		m.want.StopSize = comport.StopSize15
	default:
		m.want.StopSize = comport.StopSize2
	}
}

func (m *Mirror) observeFlow(t unix.Termios) {
	ixon, ixoff := t.Iflag&unix.IXON != 0, t.Iflag&unix.IXOFF != 0
	inbound := comport.ControlInboundNone
	switch {
	case t.Cflag&unix.CRTSCTS != 0:
		m.want.Outbound, inbound = comport.ControlFlowHardware, comport.ControlInboundHardware
	case ixon && ixoff:
		m.want.Outbound, inbound = comport.ControlFlowXonXoff, comport.ControlInboundXonXoff
	case ixon:
		m.want.Outbound, m.split = comport.ControlFlowXonXoff, true
	case ixoff:
		m.want.Outbound, inbound, m.split = comport.ControlFlowNone, comport.ControlInboundXonXoff, true
	default:
		m.want.Outbound = comport.ControlFlowNone
	}
	if m.split {
		m.want.Inbound = inbound
	}
}
