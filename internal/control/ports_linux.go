package control

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/vcomd/vcomd/internal/port"
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
		CTS:   u.Modem&comport.ModemCTS != 0, DSR: u.Modem&comport.ModemDSR != 0,
		DCD: u.Modem&comport.ModemDCD != 0, RI: u.Modem&comport.ModemRI != 0,
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

// apply carries out one action. It waits for the end of a break.
func (s *Server) apply(ctx context.Context, name string, o Operation, a action) (State, error) {
	var (
		state  = StateDone
		err    error
		broken chan error  // gets the end of a break
		end    func()      // the break, early
		keep   func() bool // has it end by itself
	)
	if doErr := s.onLoop(ctx, func() {
		var p Controlled
		if p, err = s.port(name); err != nil {
			return
		}
		switch plain := p.Settable(); {
		case errors.Is(plain, port.ErrNotConnected) && a.breakFor != 0:
			err = &Error{CodeFailed, o.String() + ": there is no connection to the access server, and a break cannot wait for one; " +
				"see vcomd status, or begin one with break=on and end it with break=off"}
			return
		case errors.Is(plain, port.ErrNotConnected):
			state = StateStored
		case errors.Is(plain, ErrMissing):
			err = &Error{CodeFailed, Escape(o.String()) + ": " + ErrMissing.Error()}
			return
		case errors.Is(plain, port.ErrTelnet) && (a.breakFor != 0 || a.breakOn != 0):
		case plain != nil:
			err = cannot(o, plain)
			return
		}
		switch {
		case a.dtr != 0 || a.rts != 0:
			err = p.DriveLines(a.dtr, a.rts)
		case a.breakOn != 0:
			err = p.SetBreak(a.breakOn == comport.ControlBreakOn)
		case a.breakFor != 0:
			broken = make(chan error, 1)
			end = p.SendBreak(a.breakFor, func(err error) { broken <- err })
			// The line must not stay broken for a client that has gone, not even
			// for one that went a moment ago.
			early := end
			keep = context.AfterFunc(ctx, func() { s.cfg.Post(early) })
		default:
			err = p.SetLine(a.line)
		}
	}); doErr != nil {
		return "", doErr
	}
	if broken != nil {
		select {
		case err = <-broken:
			keep()
		case <-ctx.Done():
			s.cfg.Post(end) // before this server's end, which may be the reason
			return "", s.ended(ctx)
		}
	}
	if err == nil {
		return state, nil
	}
	if _, known := errors.AsType[*Error](err); known {
		return "", err
	}
	return "", &Error{CodeFailed, Escape(o.String()) + ": " + message(err) + "; try again"}
}

func cannot(o Operation, why error) error {
	return &Error{CodeCannot, Escape(o.String()) + ": it cannot be set: " + why.Error() +
		"; only one that does has settings and lines (REMOTE without a scheme, rfc2217:// or rfc2217s://)"}
}
