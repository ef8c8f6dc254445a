package termiosmirror

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// raw9600 is a tty as vcomd starts it: B9600 CS8 CREAD HUPCL CLOCAL, raw.
func raw9600() unix.Termios {
	return unix.Termios{Cflag: unix.B9600 | unix.CS8 | unix.CREAD | unix.HUPCL | unix.CLOCAL, Ispeed: 9600, Ospeed: 9600}
}

// with is t with control flags and input flags set.
func with(t unix.Termios, cflag, iflag uint32) unix.Termios {
	t.Cflag |= cflag
	t.Iflag |= iflag
	return t
}

func withSpeed(t unix.Termios, code, ospeed uint32) unix.Termios {
	t.Cflag = t.Cflag&^unix.CBAUD | code
	t.Ospeed = ospeed
	return t
}

// plain is what raw9600 asks for.
func plain() comport.State {
	return comport.State{BaudRate: 9600, StopSize: comport.StopSize1, Outbound: comport.ControlFlowNone}
}

func TestNothingIsAskedBeforeAProgramAsks(t *testing.T) {
	var m Mirror
	m.Start(raw9600())
	m.Shown(withSpeed(raw9600(), unix.B115200, 115200))
	if m.Asked() || m.Want() != (comport.State{}) {
		t.Errorf("asked %t, want %+v", m.Asked(), m.Want())
	}
	got, asked := m.Observe(raw9600())
	if !asked || !m.Asked() || got != plain() || got != m.Want() {
		t.Errorf("after an identical tcsetattr: asked %t, %+v, Want %+v", asked, got, m.Want())
	}
}

func TestLineIsAskedFromTheStart(t *testing.T) {
	line := comport.State{BaudRate: 1200, DataSize: 7, Parity: comport.ParityEven, StopSize: comport.StopSize2}
	m := New(line)
	if !m.Asked() || m.Want() != line {
		t.Fatalf("asked %t, %+v", m.Asked(), m.Want())
	}
	m.Start(Apply(raw9600(), line))
	got, _ := m.Observe(with(raw9600(), unix.PARODD|unix.CMSPAR, 0))
	want := plain()
	want.DataSize, want.Parity = 7, comport.ParityEven // the line's, whatever the hints say
	if got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestObserveSpeed(t *testing.T) {
	for _, tt := range []struct {
		name         string
		code, ospeed uint32
		want         uint32
	}{
		{"B constant", unix.B115200, 115200, 115200},
		{"B constant with a stale c_ospeed", unix.B115200, 9600, 115200},
		{"BOTHER", unix.BOTHER, 74880, 74880},
		{"BOTHER of a standard speed", unix.BOTHER, 9600, 9600},
		{"BOTHER 1", unix.BOTHER, 1, 1},
		{"BOTHER, greatest", unix.BOTHER, 4294967295, 4294967295},
	} {
		var m Mirror
		m.Start(raw9600())
		if got, _ := m.Observe(withSpeed(raw9600(), tt.code, tt.ospeed)); got.BaudRate != tt.want {
			t.Errorf("%s: %d, want %d", tt.name, got.BaudRate, tt.want)
		}
	}
}

func TestObserveB0(t *testing.T) {
	var m Mirror
	m.Start(raw9600())
	down := func(s comport.State) bool { return s.DTR == comport.ControlDTROff && s.RTS == comport.ControlRTSOff }
	up := func(s comport.State) bool { return s.DTR == comport.ControlDTROn && s.RTS == comport.ControlRTSOn }

	got, _ := m.Observe(withSpeed(raw9600(), unix.B0, 0))
	if got.BaudRate != 0 || !down(got) {
		t.Errorf("B0 before any speed: %+v; want no speed, lines down", got)
	}
	got, _ = m.Observe(withSpeed(raw9600(), unix.B19200, 19200))
	if got.BaudRate != 19200 || !up(got) {
		t.Errorf("B0 left: %+v; want 19200, lines up", got)
	}
	got, _ = m.Observe(withSpeed(raw9600(), unix.BOTHER, 0))
	if got.BaudRate != 19200 || !down(got) {
		t.Errorf("BOTHER 0: %+v; want the last speed kept, lines down", got)
	}
	m.Start(raw9600()) // a fresh tty in between
	got, _ = m.Observe(raw9600())
	if got.BaudRate != 9600 || !up(got) {
		t.Errorf("B0 left on a fresh tty: %+v; want 9600, lines up", got)
	}
}

func TestLinesAreNotAskedWithoutB0(t *testing.T) {
	var m Mirror
	m.Start(raw9600())
	if got, _ := m.Observe(withSpeed(raw9600(), unix.B300, 300)); got.DTR != 0 || got.RTS != 0 {
		t.Errorf("%+v: lines asked for", got)
	}
}

func TestObserveStop(t *testing.T) {
	for _, tt := range []struct {
		line  string
		cflag uint32
		want  comport.StopSize
	}{
		{"9600", 0, comport.StopSize1},
		{"9600", unix.CSTOPB, comport.StopSize2},
		{"8N1", unix.CSTOPB, comport.StopSize2},
		{"5N1", unix.CSTOPB, comport.StopSize15},
		{"5N1.5", unix.CSTOPB, comport.StopSize15},
		{"5N2", unix.CSTOPB, comport.StopSize2},
		{"8N1.5", unix.CSTOPB, comport.StopSize15},
		{"5N1.5", 0, comport.StopSize1},
		{"8N2", 0, comport.StopSize1},
	} {
		line, err := ParseLine(tt.line)
		if err != nil {
			t.Fatal(err)
		}
		m := New(line)
		m.Start(Apply(raw9600(), line))
		if got, _ := m.Observe(with(raw9600(), tt.cflag, 0)); got.StopSize != tt.want {
			t.Errorf("line %s, CSTOPB %t: %d, want %d", tt.line, tt.cflag != 0, got.StopSize, tt.want)
		}
	}
}

func TestObserveFlow(t *testing.T) {
	type flow struct{ out, in comport.Control }
	const (
		none, xon, hw       = comport.ControlFlowNone, comport.ControlFlowXonXoff, comport.ControlFlowHardware
		inNone, inXon, inHw = comport.ControlInboundNone, comport.ControlInboundXonXoff, comport.ControlInboundHardware
	)
	steps := []struct {
		name         string
		cflag, iflag uint32
		plain, split flow // before and after the directions have ever differed
	}{
		{"none", 0, 0, flow{none, 0}, flow{none, inNone}},
		{"hardware", unix.CRTSCTS, 0, flow{hw, 0}, flow{hw, inHw}},
		{"hardware and XON", unix.CRTSCTS, unix.IXON | unix.IXOFF, flow{hw, 0}, flow{hw, inHw}},
		{"XON/XOFF", 0, unix.IXON | unix.IXOFF, flow{xon, 0}, flow{xon, inXon}},
		{"IXON", 0, unix.IXON, flow{xon, inNone}, flow{xon, inNone}},
		{"IXOFF", 0, unix.IXOFF, flow{none, inXon}, flow{none, inXon}},
	}
	for _, tt := range steps {
		var m Mirror
		m.Start(raw9600())
		got, _ := m.Observe(with(raw9600(), tt.cflag, tt.iflag))
		if (flow{got.Outbound, got.Inbound}) != tt.plain {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.plain)
		}
		for _, one := range []uint32{unix.IXON, unix.IXOFF} {
			m.Observe(with(raw9600(), 0, one))
			got, _ = m.Observe(with(raw9600(), tt.cflag, tt.iflag))
			if (flow{got.Outbound, got.Inbound}) != tt.split {
				t.Errorf("%s after one direction alone: %+v, want %+v", tt.name, got, tt.split)
			}
		}
	}
}

func TestHints(t *testing.T) {
	const odd, space, mark = unix.PARODD, unix.CMSPAR, unix.PARODD | unix.CMSPAR
	for _, tt := range []struct {
		name  string
		start uint32
		seen  []uint32
		want  []comport.Parity
	}{
		{"no hint", 0, []uint32{0, 0}, []comport.Parity{0, 0}},
		{"stale", odd, []uint32{odd, odd}, []comport.Parity{0, 0}},
		{"set and cleared", 0, []uint32{odd, 0}, []comport.Parity{comport.ParityOdd, comport.ParityNone}},
		{"stale, then cleared", odd, []uint32{odd, 0}, []comport.Parity{0, comport.ParityNone}},
		{"kept", 0, []uint32{odd, odd}, []comport.Parity{comport.ParityOdd, comport.ParityOdd}},
		{"mark, odd, none", 0, []uint32{mark, odd, 0}, []comport.Parity{comport.ParityMark, comport.ParityOdd, comport.ParityNone}},
		{"space, mark", 0, []uint32{space, mark}, []comport.Parity{comport.ParitySpace, comport.ParityMark}},
		{"stale CMSPAR, PARODD new", space, []uint32{mark}, []comport.Parity{comport.ParityMark}},
	} {
		var m Mirror
		m.Start(with(raw9600(), tt.start, 0))
		for i, flags := range tt.seen {
			// PARENB and CSIZE are never there on a pty; were they, they would not count.
			got, _ := m.Observe(with(raw9600(), flags|unix.PARENB, 0))
			if got.Parity != tt.want[i] || got.DataSize != 0 {
				t.Errorf("%s: step %d: parity %d, size %d; want parity %d", tt.name, i, got.Parity, got.DataSize, tt.want[i])
			}
		}
	}
}

func TestExactTakesEveryBit(t *testing.T) {
	for _, tt := range []struct {
		cflag  uint32
		size   comport.DataSize
		parity comport.Parity
		stop   comport.StopSize
	}{
		{unix.CS8, 8, comport.ParityNone, comport.StopSize1},
		{unix.CS7 | unix.PARENB, 7, comport.ParityEven, comport.StopSize1},
		{unix.CS6 | unix.PARENB | unix.PARODD | unix.CSTOPB, 6, comport.ParityOdd, comport.StopSize2},
		{unix.CS5 | unix.PARENB | unix.PARODD | unix.CMSPAR | unix.CSTOPB, 5, comport.ParityMark, comport.StopSize15},
		{unix.CS8 | unix.PARENB | unix.CMSPAR, 8, comport.ParitySpace, comport.StopSize1},
		{unix.CS8 | unix.PARODD | unix.CMSPAR, 8, comport.ParityNone, comport.StopSize1},
	} {
		line, err := ParseLine("300-7M2")
		if err != nil {
			t.Fatal(err)
		}
		m := NewExact(line)
		m.Start(raw9600())
		if m.Want() != line {
			t.Errorf("starts with %+v, want %+v", m.Want(), line)
		}
		term := raw9600()
		term.Cflag = term.Cflag&^unix.CSIZE | tt.cflag
		for range 2 { // a second, identical tcsetattr changes nothing
			got, _ := m.Observe(term)
			if got.DataSize != tt.size || got.Parity != tt.parity || got.StopSize != tt.stop {
				t.Errorf("c_cflag %#o: %+v, want %+v", tt.cflag, got, tt)
			}
		}
	}
}

func TestExactStopFollowsSize(t *testing.T) {
	m := NewExact(comport.State{})
	m.Start(raw9600())
	five := raw9600()
	five.Cflag = five.Cflag&^unix.CSIZE | unix.CS5 | unix.CSTOPB
	m.Observe(five)
	m.Shown(five)
	if got, _ := m.Observe(with(raw9600(), unix.CSTOPB, 0)); got.StopSize != comport.StopSize2 {
		t.Errorf("8 data bits with CSTOPB: %d, want 2", got.StopSize)
	}
}

func TestShownIsNotAWish(t *testing.T) {
	var m Mirror
	m.Start(raw9600())
	m.Observe(with(withSpeed(raw9600(), unix.B115200, 115200), unix.CSTOPB, 0))
	told := withSpeed(raw9600(), unix.B57600, 57600) // the server did 57,600 with one stop bit
	m.Shown(told)
	for range 2 {
		got, _ := m.Observe(with(told, unix.CRTSCTS, 0))
		want := comport.State{BaudRate: 115200, StopSize: comport.StopSize2, Outbound: comport.ControlFlowHardware}
		if got != want {
			t.Errorf("after a change of flow control alone: %+v, want %+v", got, want)
		}
	}
	if got, _ := m.Observe(withSpeed(raw9600(), unix.B9600, 9600)); got.BaudRate != 9600 {
		t.Errorf("after a new speed: %+v, want 9600", got)
	}
	m.Observe(withSpeed(raw9600(), unix.B115200, 115200))
	m.Shown(told)
	m.Start(told) // a fresh tty: what it starts with may be asked for again
	if got, _ := m.Observe(told); got.BaudRate != 57600 {
		t.Errorf("after the base speed on a fresh tty: %+v, want 57600", got)
	}
}

// TestSetLines: lines wanted from outside hold, but for the time that the tty is at B0.
func TestSetLines(t *testing.T) {
	on, off := comport.ControlDTROn, comport.ControlDTROff
	rtsOn, rtsOff := comport.ControlRTSOn, comport.ControlRTSOff
	m := New(comport.State{})
	m.Start(raw9600())
	lines := func(step string, dtr, rts comport.Control) {
		t.Helper()
		if want := m.Want(); want.DTR != dtr || want.RTS != rts {
			t.Errorf("%s: %v %v, want %v %v", step, want.DTR, want.RTS, dtr, rts)
		}
	}
	m.SetLines(on, rtsOff)
	lines("set", on, rtsOff)
	m.Observe(withSpeed(raw9600(), unix.B0, 0))
	lines("at B0", off, rtsOff)
	m.Observe(raw9600())
	lines("after B0", on, rtsOff)
	m.Observe(withSpeed(raw9600(), unix.B0, 0))
	m.SetLines(on, rtsOn)
	lines("set at B0", off, rtsOff)
	m.Observe(raw9600())
	lines("after B0, set there", on, rtsOn)
	m.SetLines(0, 0)
	lines("not asked for", 0, 0)
}

// What SetLine gives is wanted like line settings; the rest stays unasked.
func TestSetLine(t *testing.T) {
	var m Mirror
	m.Start(raw9600())
	line := comport.State{DataSize: 7, Parity: comport.ParityOdd, StopSize: comport.StopSize1}
	m.Shown(Apply(raw9600(), line))
	m.SetLine(line)
	if m.Want() != line {
		t.Errorf("wanted %v, want no more than %v", m.Want(), line)
	}
	// A program that fills its termios from zero clears the hints: they do not
	// count beside line settings.
	got, _ := m.Observe(raw9600())
	want := plain()
	want.DataSize, want.Parity = 7, comport.ParityOdd
	if got != want {
		t.Errorf("after a tcsetattr: %v, want %v", got, want)
	}
}

// A speed ends B0, whoever gives it.
func TestSetLineEndsB0(t *testing.T) {
	var m Mirror
	m.Start(raw9600())
	m.Observe(withSpeed(raw9600(), unix.B0, 0))
	m.SetLine(comport.State{StopSize: comport.StopSize2})
	if got := m.Want(); got.DTR != comport.ControlDTROff {
		t.Errorf("stop bits end B0: %v", got)
	}
	m.SetLine(comport.State{BaudRate: 1200})
	if got := m.Want(); got.DTR != comport.ControlDTROn || got.RTS != comport.ControlRTSOn || got.BaudRate != 1200 {
		t.Errorf("after a speed: %v, want 1200, and DTR and RTS on", got)
	}
}
