package control

import (
	"errors"
	"os"
	"time"

	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// Controlled is what a Server needs of a port. The methods are called on the poll
// loop.
type Controlled interface {
	Status() port.Status
	UART() port.UART
	Settable() error
	DriveLines(dtr, rts comport.Control) error
	SetBreak(on bool) error
	SendBreak(d time.Duration, done func(error)) (cancel func())
	SetLine(line comport.State) error
	Reconnect() bool
	Disconnect()
	Purge(what comport.Purge) error
	Watch(trace func(rfc2217client.TraceEntry), wire func(rfc2217client.Wire))
}

var _ Controlled = (*port.Port)(nil)

// ErrMissing is what a Controlled answers for a port that could not be made.
var ErrMissing = errors.New("the port is not there; vcomd status says why")

// maxError bounds a text for people, in bytes: a server may have a part in it.
const maxError = 1024

// describe takes a snapshot.
func describe(p Controlled) Port {
	s, u := p.Status(), p.UART()
	d := Port{
		Name: s.Name, PID: os.Getpid(), Links: s.Links, Overlay: s.Overlay, TTY: s.TTY, Remote: s.Remote,
		Open: s.Open, Connected: s.Up, Since: s.Since, Mode: s.Mode.String(), Suspended: s.Suspended,
		Wanted: settings(s.Wanted), Reported: settings(s.Reported),
		DTR: level(s.Wanted.DTR, s.Reported.DTR, comport.ControlDTROn), RTS: level(s.Wanted.RTS, s.Reported.RTS, comport.ControlRTSOn),
		Break: s.Wanted.Break == comport.ControlBreakOn,
		CTS:   s.ModemState&comport.ModemCTS != 0, DSR: s.ModemState&comport.ModemDSR != 0,
		DCD: s.ModemState&comport.ModemDCD != 0, RI: s.ModemState&comport.ModemRI != 0,
		OutQueue: u.OutQueue,
		Counters: Counters{
			FromProgram: s.Bytes.FromProgram, ToProgram: s.Bytes.ToProgram,
			DroppedClosed: s.Bytes.DroppedClosed, DroppedFlush: s.Bytes.DroppedFlush, DroppedUnsent: s.Bytes.DroppedUnsent,
			DroppedStale: s.Bytes.DroppedStale, DroppedDown: s.Bytes.DroppedDown, FlushedUnsent: s.Bytes.FlushedUnsent,
			DroppedBanner: s.DroppedBanner, Unconfirmed: s.Client.Unconfirmed, Undelivered: s.Client.Undelivered, Purged: s.Client.PurgedBytes,
			BytesSent: s.Client.BytesSent, BytesReceived: s.Client.BytesReceived,
			CommandsSent: s.Client.CommandsSent, CommandsReceived: s.Client.CommandsReceived, Unanswered: s.Client.Unanswered,
			DroppedRequests: s.Client.DroppedRequests, UnknownMessages: s.Client.UnknownMessages, BrokenMessages: s.Client.BrokenMessages,
			IgnoredCommands: s.Client.IgnoredCommands, RefusedOptions: s.Client.RefusedOptions,
			CTS: u.Counts.CTS, DSR: u.Counts.DSR, DCD: u.Counts.DCD, Ring: u.Counts.RNG,
			Framing: u.Counts.Frame, Parity: u.Counts.Parity, Overrun: u.Counts.Overrun, Break: u.Counts.Brk, BufOverrun: u.Counts.BufOverrun,
		},
	}
	if d.Links == nil {
		d.Links = []string{} // [] in JSON, not null
	}
	d.Disconnected = errors.Is(s.LastError, port.ErrDisconnected)
	if s.LastError != nil {
		d.LastError = message(s.LastError)
	}
	return d
}

// message is an error's text, safe to show.
func message(err error) string {
	text := err.Error()
	return Escape(text[:min(len(text), maxError)])
}

func settings(s comport.State) Settings {
	flow := func(c comport.Control) string {
		switch c {
		case comport.ControlFlowNone, comport.ControlInboundNone:
			return "none"
		case comport.ControlFlowXonXoff, comport.ControlInboundXonXoff:
			return "xonxoff"
		case comport.ControlFlowHardware, comport.ControlInboundHardware:
			return "hardware"
		case comport.ControlFlowDCD:
			return "DCD"
		case comport.ControlFlowDSR:
			return "DSR"
		case comport.ControlInboundDTR:
			return "DTR"
		default:
			return ""
		}
	}
	return Settings{Line: s.Line(), Flow: flow(s.Outbound), FlowInbound: flow(s.Inbound)}
}

// level is what a line is driven to: as was asked for, or else as the server has
// said.
func level(wanted, reported, on comport.Control) string {
	c := wanted
	if c == 0 {
		c = reported
	}
	switch c {
	case 0:
		return "unknown"
	case on:
		return "on"
	default:
		return "off"
	}
}
