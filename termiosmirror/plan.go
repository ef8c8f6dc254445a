package termiosmirror

import "github.com/vcomd/vcomd/rfc2217client/comport"

// Plan is the SET commands that take an access server from one state to another, in the order in which they are to be sent:
// BAUDRATE, DATASIZE, PARITY, STOPSIZE, then SET-CONTROL for outbound flow, inbound flow, DTR, RTS and BREAK.
type Plan []comport.Message

// Disturbs reports whether the plan spoils characters that still wait in the remote UART: servers apply a speed, data size, parity, stop
// size or break at once, also to what they have not sent yet. Flow control and the modem lines leave characters whole.
func (p Plan) Disturbs() bool {
	for _, m := range p {
		switch m := m.(type) {
		case comport.SetBaudRate, comport.SetDataSize, comport.SetParity, comport.SetStopSize:
			return true
		case comport.SetControl:
			if m.Control == comport.ControlBreakOn || m.Control == comport.ControlBreakOff {
				return true
			}
		default:
		}
	}
	return false
}

// Diff is the plan that makes have into want. A field that is zero in want, or equal in both, gives nothing, with one
// exception: a wanted inbound flow follows every change of the outbound flow, because SET-CONTROL 1 to 3 may set both
// directions at the server (RFC 2217 section 3, SET-CONTROL).
func Diff(want, have comport.State) Plan {
	var p Plan
	if want.BaudRate != 0 && want.BaudRate != have.BaudRate {
		p = append(p, comport.SetBaudRate{Rate: want.BaudRate})
	}
	if want.DataSize != 0 && want.DataSize != have.DataSize {
		p = append(p, comport.SetDataSize{Size: want.DataSize})
	}
	if want.Parity != 0 && want.Parity != have.Parity {
		p = append(p, comport.SetParity{Parity: want.Parity})
	}
	if want.StopSize != 0 && want.StopSize != have.StopSize {
		p = append(p, comport.SetStopSize{Size: want.StopSize})
	}
	outbound := want.Outbound != 0 && want.Outbound != have.Outbound
	if outbound {
		p = append(p, comport.SetControl{Control: want.Outbound})
	}
	if want.Inbound != 0 && (outbound || want.Inbound != have.Inbound) {
		p = append(p, comport.SetControl{Control: want.Inbound})
	}
	for _, line := range [...]struct{ want, have comport.Control }{
		{want.DTR, have.DTR}, {want.RTS, have.RTS}, {want.Break, have.Break},
	} {
		if line.want != 0 && line.want != line.have {
			p = append(p, comport.SetControl{Control: line.want})
		}
	}
	return p
}
