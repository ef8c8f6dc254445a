package conformance

import (
	"context"
	"fmt"
	"net"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
	"github.com/vcomd/vcomd/test/vm/feed"
)

// Simulated is the far end of a port of vcomd's: a simulated access server and its UART. The port has to connect when it is
// opened and disconnect at the last close (--connect on-open --close-delay 0): that is how the far end knows of either.
type Simulated struct {
	server *rfc2217test.Server
	uart   *rfc2217test.UART
	line   *feed.Device
	bytes  uint64 // that had come when the tty was opened
	begin  int    // entries that the journal had then
	sent   int    // bytes that it had then
}

// NewSimulated makes one; Serve has to run.
func NewSimulated() *Simulated {
	line := feed.New()
	uart := &rfc2217test.UART{Unpaced: true, Device: line}
	return &Simulated{server: &rfc2217test.Server{UART: uart}, uart: uart, line: line}
}

// Serve accepts vcomd's connections until ctx ends.
func (s *Simulated) Serve(ctx context.Context, ln net.Listener) error { return s.server.Serve(ctx, ln) }

// Opened waits for a session.
func (s *Simulated) Opened(ctx context.Context) error {
	if err := s.server.WaitFor(ctx, func(st rfc2217test.Stats) bool { return st.ComPort > 0 }); err != nil {
		return err
	}
	u := s.uart.Snapshot()
	s.bytes, s.begin, s.sent = u.Total.Bytes, u.Entries, len(s.uart.Sent())
	return nil
}

// Closed waits until there is no session.
func (s *Simulated) Closed(ctx context.Context) error {
	return s.server.WaitFor(ctx, func(st rfc2217test.Stats) bool { return st.Active == 0 })
}

// Receive has the device on the far UART's line say it.
func (s *Simulated) Receive(ctx context.Context, p []byte) error { return s.line.Say(ctx, p) }

// Sent gives the bytes of the journal.
func (s *Simulated) Sent(ctx context.Context, n int) ([]byte, error) {
	err := s.uart.WaitFor(ctx, func(u rfc2217test.Snapshot) bool { return u.Total.Bytes >= s.bytes+uint64(n) })
	return s.uart.Sent()[s.sent:], err
}

// Await waits for a state of the UART.
func (s *Simulated) Await(ctx context.Context, holds func(comport.State) bool) error {
	return s.uart.WaitFor(ctx, func(u rfc2217test.Snapshot) bool { return holds(u.State) })
}

// Happened looks into the journal.
func (s *Simulated) Happened(holds func(comport.State) bool) (bool, error) {
	for _, e := range s.uart.Journal()[s.begin:] {
		if holds(e.State) {
			return true, nil
		}
	}
	return false, nil
}

// Edges are told of, in NOTIFY-MODEMSTATE.
func (s *Simulated) Edges() error { return nil }

// SetModem sets the levels of the inputs.
func (s *Simulated) SetModem(levels comport.ModemState) error {
	s.uart.SetModem(levels)
	return nil
}

// LineError reports a break or an error, and then the byte that came with it: 0 for a break.
func (s *Simulated) LineError(ctx context.Context, state comport.LineState) error {
	// A client that wants to be told says so only some time after it has agreed.
	if err := s.uart.WaitFor(ctx, func(u rfc2217test.Snapshot) bool { return u.LineMask&state == state }); err != nil {
		return fmt.Errorf("nobody asks for %v", state)
	}
	s.uart.LineError(state)
	if state != comport.LineBreak {
		return s.Receive(ctx, []byte("x"))
	}
	return nil
}

// Stall stops the server from reading, and lets it go on.
func (s *Simulated) Stall(on bool) error {
	s.server.SetFaults(rfc2217test.Faults{Stalled: on})
	return nil
}
