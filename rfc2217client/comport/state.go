package comport

import (
	"iter"
	"strconv"
	"strings"
)

// State is the settings and lines of one UART as RFC 2217 tells them. It is
// comparable. The zero value of a field means "not known" in a state that was
// read, and "not asked" in one that is wanted.
type State struct { //nolint:recvcheck // Set folds a message in; all else reads a comparable value
	BaudRate uint32 // bit/s
	DataSize DataSize
	Parity   Parity
	StopSize StopSize
	Outbound Control // flow control of GroupFlow; also inbound while Inbound is 0
	Inbound  Control // flow control of GroupInbound
	DTR      Control // ControlDTROn or ControlDTROff
	RTS      Control // ControlRTSOn or ControlRTSOff
	Break    Control // ControlBreakOn or ControlBreakOff
}

// Set folds a SET message, request or acknowledgement, into the state. It
// reports whether m told a value: queries, values outside the RFC's tables and
// other messages change nothing. A changed outbound flow control is for both
// directions and so forgets the inbound one (RFC 2217, section 3).
func (s *State) Set(m Message) (known bool) {
	switch m := m.(type) {
	case SetBaudRate:
		if known = m.Rate != 0; known {
			s.BaudRate = m.Rate
		}
	case SetDataSize:
		if known = m.Size.Valid(); known {
			s.DataSize = m.Size
		}
	case SetParity:
		if known = m.Parity.Valid(); known {
			s.Parity = m.Parity
		}
	case SetStopSize:
		if known = m.Size.Valid(); known {
			s.StopSize = m.Size
		}
	case SetControl:
		return s.setControl(m.Control)
	}
	return known
}

func (s *State) setControl(c Control) (known bool) {
	if c.IsQuery() {
		return false
	}
	switch c.Group() {
	case GroupFlow:
		if s.Outbound != c {
			s.Outbound, s.Inbound = c, 0
		}
	case GroupInbound:
		s.Inbound = c
	case GroupDTR:
		s.DTR = c
	case GroupRTS:
		s.RTS = c
	case GroupBreak:
		s.Break = c
	case GroupUnknown:
		return false
	}
	return true
}

// Requests yields one request for each known field, in the order in which they
// are best sent: speed, size, parity and stop bits, then flow control (inbound
// after outbound), DTR, RTS and break.
func (s State) Requests() iter.Seq[Message] {
	return func(yield func(Message) bool) {
		_ = (s.BaudRate == 0 || yield(SetBaudRate{s.BaudRate})) &&
			(s.DataSize == 0 || yield(SetDataSize{s.DataSize})) &&
			(s.Parity == 0 || yield(SetParity{s.Parity})) &&
			(s.StopSize == 0 || yield(SetStopSize{s.StopSize})) &&
			(s.Outbound == 0 || yield(SetControl{s.Outbound})) &&
			(s.Inbound == 0 || yield(SetControl{s.Inbound})) &&
			(s.DTR == 0 || yield(SetControl{s.DTR})) &&
			(s.RTS == 0 || yield(SetControl{s.RTS})) &&
			(s.Break == 0 || yield(SetControl{s.Break}))
	}
}

// Line gives the line settings in the usual notation, such as "9600-8N1". An
// unknown speed is left out, and so is an unknown character format; a part of
// the format that is unknown alone is "?".
func (s State) Line() string {
	var b strings.Builder
	if s.BaudRate != 0 {
		b.WriteString(strconv.FormatUint(uint64(s.BaudRate), 10))
	}
	if s.DataSize != 0 || s.Parity != 0 || s.StopSize != 0 {
		if b.Len() > 0 {
			b.WriteByte('-')
		}
		b.WriteString(s.DataSize.String())
		b.WriteByte(s.Parity.Letter())
		b.WriteString(s.StopSize.String())
	}
	return b.String()
}

// String gives all that is known, such as
// "9600-8N1 flow=hardware DTR=on RTS=off".
func (s State) String() string {
	var parts []string
	if line := s.Line(); line != "" {
		parts = append(parts, line)
	}
	for _, c := range [...]Control{s.Outbound, s.Inbound, s.DTR, s.RTS, s.Break} {
		if c != 0 {
			parts = append(parts, c.String())
		}
	}
	return strings.Join(parts, " ")
}

// CharHalfBits gives the length of one character on the line in half bits:
// start, data, parity and stop bits. Half bits, because stop bits may be one
// and a half. Unknown fields count as 8N1. At a speed of r bit/s a character
// takes CharHalfBits/(2r) seconds.
func (s State) CharHalfBits() int {
	bits := 1 + 8
	if s.DataSize.Valid() {
		bits = 1 + int(s.DataSize)
	}
	if s.Parity.Valid() && s.Parity != ParityNone {
		bits++
	}
	switch s.StopSize {
	case StopSize2:
		return 2*bits + 4
	case StopSize15:
		return 2*bits + 3
	default:
		return 2*bits + 2
	}
}
