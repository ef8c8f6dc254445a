package rfc2217test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/telnet"
)

const (
	readSize = 64 << 10
	// maxPending bounds the commands that wait for a client that does not read.
	maxPending = 64 << 10
	// telnetBreak is how long the break of IAC BRK lasts: as tcsendbreak's.
	telnetBreak = 250 * time.Millisecond
)

// errSessionOver ends a session that is over for a good reason.
var errSessionOver = errors.New("session over")

// session is one client. The reader decodes what the client sends and blocks on
// the UART; the writer is the only one to write to the connection.
type session struct {
	server *Server
	uart   *UART
	conn   net.Conn
	id     uint64
	wake   chan struct{} // tells the writer to look again
	late   [][]byte      // acknowledgements that wait for their time; under uart.mu

	// Used by the reader only.
	telnet  telnet.Decoder
	options *telnet.Negotiator

	// Guarded by uart.mu.
	dead      bool
	comPort   bool   // COM-PORT is agreed
	binary    bool   // the server sends in BINARY
	suspended bool   // the client asked for silence
	out       []byte // telnet and COM-PORT commands, encoded
	rx        []byte // from the line, not encoded
}

func newSession(s *Server, u *UART, conn net.Conn, id uint64) *session {
	return &session{
		server: s, uart: u, conn: conn, id: id,
		wake: make(chan struct{}, 1), options: telnet.NewNegotiator(),
	}
}

// end ends the session from any goroutine. It must not wait for anything: it is
// what unblocks everybody else.
func (c *session) end() {
	_ = c.conn.Close()
	c.uart.mu.Lock()
	defer c.uart.mu.Unlock()
	c.dead = true
	c.rx = nil
	c.wakeLocked()
	c.uart.touchLocked()
}

// reset ends the session with a TCP reset, where the connection knows such.
func (c *session) reset() {
	if tcp, ok := c.conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	c.end()
}

func (c *session) wakeLocked() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

func (c *session) run(ctx context.Context) error {
	c.uart.open(c)
	var wg sync.WaitGroup
	defer func() {
		c.end()
		wg.Wait()
		c.uart.close(c, c.server.KeepSettings)
		c.uart.mu.Lock()
		defer c.uart.mu.Unlock()
		stats := &c.server.stats
		stats.Active--
		if c.comPort {
			stats.ComPort--
		}
		if c.suspended {
			stats.Suspended--
		}
		c.uart.touchLocked()
	}()
	if !c.server.Raw {
		c.greet()
	}
	wg.Go(c.write)
	return c.read(ctx)
}

// greet offers the options as sredird does.
func (c *session) greet() {
	f := c.server.currentFaults()
	c.options.Allow(telnet.Binary, !f.NoBinary, !f.NoBinary)
	c.options.Allow(telnet.SGA, true, true)
	c.options.Allow(telnet.Echo, true, false)
	c.options.Allow(telnet.ComPort, f.WillInsteadOfDo && !f.RefuseComPort, !f.RefuseComPort)
	if f.NoGreeting {
		return
	}
	var hello []byte
	offer := func(verb telnet.Command, send bool, o telnet.Option) {
		if send {
			hello = telnet.AppendNegotiation(hello, verb, o)
		}
	}
	local := func(o telnet.Option) { verb, send := c.options.RequestLocal(o, true); offer(verb, send, o) }
	remote := func(o telnet.Option) { verb, send := c.options.RequestRemote(o, true); offer(verb, send, o) }
	if !f.NoBinary {
		local(telnet.Binary)
		remote(telnet.Binary)
	}
	local(telnet.Echo)
	local(telnet.SGA)
	remote(telnet.SGA)
	switch {
	case f.RefuseComPort || f.IgnoreComPort:
	case f.WillInsteadOfDo:
		local(telnet.ComPort)
	default:
		remote(telnet.ComPort)
	}
	c.queue(hello)
}

// read is the reader: it returns when the connection or the session is over.
func (c *session) read(ctx context.Context) error {
	buf := make([]byte, readSize)
	for {
		if err := c.uart.await(ctx, func() bool { return c.dead || !c.server.faults.Stalled }); err != nil {
			return err
		}
		n, err := c.conn.Read(buf)
		if n > 0 {
			if over := c.count(n, 0); over {
				c.reset()
				return errSessionOver
			}
			if err := c.receive(ctx, buf[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
			return nil
		default:
			return fmt.Errorf("reading from the client: %w", err)
		}
	}
}

// count adds to the bytes on the wire and tells whether ResetAfter is reached.
func (c *session) count(in, out int) (over bool) {
	c.uart.mu.Lock()
	defer c.uart.mu.Unlock()
	stats := &c.server.stats
	stats.BytesIn += uint64(in)
	stats.BytesOut += uint64(out)
	limit := c.server.faults.ResetAfter
	return limit > 0 && stats.BytesIn+stats.BytesOut >= limit
}

// receive takes what the client sent.
func (c *session) receive(ctx context.Context, p []byte) error {
	if c.server.Raw {
		return c.uart.transmit(ctx, p, c.isDeadLocked)
	}
	for {
		var ev telnet.Event
		ev, p = c.telnet.Next(p)
		switch ev.Kind {
		case telnet.EventNone:
			return nil
		case telnet.EventData:
			if err := c.uart.transmit(ctx, ev.Data, c.isDeadLocked); err != nil {
				return err
			}
		case telnet.EventCommand:
			c.command(ev.Command)
		case telnet.EventNegotiation:
			c.negotiate(ev.Command, ev.Option)
		case telnet.EventSubnegotiation:
			if ev.Option == telnet.ComPort {
				c.subnegotiation(ev.Data)
			}
		}
	}
}

func (c *session) isDeadLocked() bool { return c.dead }

func (c *session) command(command telnet.Command) {
	switch command {
	case telnet.AYT:
		c.queue(telnet.AppendCommand(nil, telnet.NOP))
	case telnet.BRK:
		c.uart.mu.Lock()
		c.server.stats.Breaks++
		c.uart.mu.Unlock()
		c.uart.Set(comport.SetControl{Control: comport.ControlBreakOn})
		c.uart.clock().AfterFunc(telnetBreak, func() {
			c.uart.Set(comport.SetControl{Control: comport.ControlBreakOff})
		})
	default: // the other commands of RFC 854 mean nothing to a serial line
	}
}

func (c *session) negotiate(verb telnet.Command, o telnet.Option) {
	u, s := c.uart, c.server
	u.mu.Lock()
	defer u.mu.Unlock()
	s.stats.Negotiations++
	if len(s.negotiations) < maxRecords {
		s.negotiations = append(s.negotiations, Negotiation{u.clock().Now(), c.id, verb, o})
	}
	defer u.touchLocked()
	if o == telnet.ComPort && s.faults.IgnoreComPort {
		return
	}
	if answer, send, _ := c.options.Receive(verb, o); send {
		c.queueLocked(telnet.AppendNegotiation(nil, answer, o))
	}
	switch o {
	case telnet.Binary:
		c.binary = c.options.Local(o) == telnet.Yes
		c.telnet.SetBinary(c.options.Remote(o) == telnet.Yes)
	case telnet.ComPort:
		on := c.options.Remote(o) == telnet.Yes || c.options.Local(o) == telnet.Yes
		if on == c.comPort {
			return
		}
		c.comPort = on
		if !on {
			s.stats.ComPort--
			return
		}
		s.stats.ComPort++
		// Every real server reports the lines once the option is agreed.
		c.sendLocked(comport.NotifyModemState{State: u.modem & u.modemMask})
	default:
	}
}

func (c *session) subnegotiation(payload []byte) {
	dir, m, err := comport.Parse(payload)
	u, s := c.uart, c.server
	u.mu.Lock()
	agreed := c.comPort
	switch {
	case s.faults.IgnoreComPort, !agreed:
		s.stats.Early++
		u.touchLocked()
		u.mu.Unlock()
		return
	case err != nil || dir != comport.ToServer:
		s.stats.Malformed++
		u.touchLocked()
		u.mu.Unlock()
		return
	}
	u.mu.Unlock()

	ack := c.obey(m)

	u.mu.Lock()
	defer u.mu.Unlock()
	s.stats.Commands++
	if len(s.commands) < maxRecords {
		s.commands = append(s.commands, Received{u.clock().Now(), c.id, m})
	}
	u.touchLocked()
	if ack == nil {
		return
	}
	c.acknowledgeLocked(ack)
	if comport.IsQuery(m) {
		return
	}
	for other := range u.sessions {
		if other != c {
			other.sendLocked(ack)
		}
	}
}

// obey does what a message says and gives its acknowledgement, if it has one.
func (c *session) obey(m comport.Message) comport.Message {
	switch m := m.(type) {
	case comport.SignatureText:
		if m.Text != "" {
			return nil // the client introduces itself
		}
		if c.server.Name == "" {
			return comport.SignatureText{Text: defaultName}
		}
		return comport.SignatureText{Text: c.server.Name}
	case comport.FlowControlSuspend:
		c.suspend(true)
		return nil
	case comport.FlowControlResume:
		c.suspend(false)
		return nil
	case comport.NotifyLineState, comport.NotifyModemState:
		return nil
	default:
		return c.uart.Set(m)
	}
}

func (c *session) suspend(on bool) {
	c.uart.mu.Lock()
	defer c.uart.mu.Unlock()
	if on == c.suspended {
		return
	}
	c.suspended = on
	if on {
		c.server.stats.Suspended++
	} else {
		c.server.stats.Suspended--
		c.wakeLocked()
	}
}

// acknowledgeLocked sends an acknowledgement as the faults will have it.
func (c *session) acknowledgeLocked(ack comport.Message) {
	f := c.server.faults
	if f.NoAck.Has(ack.Command()) {
		return
	}
	if f.AckOther != nil {
		if ack = f.AckOther(ack); ack == nil {
			return
		}
	}
	payload := comport.Append(nil, comport.ToClient, ack)
	if _, ok := ack.(comport.SetBaudRate); ok && f.LongBaudAck {
		payload = append(payload, 0, 0, 0, 0)
	}
	wire := telnet.AppendSubnegotiation(nil, telnet.ComPort, payload)
	if f.LateAck <= 0 {
		c.queueLocked(wire)
		return
	}
	// In order, though timers that are due together may run in any.
	c.late = append(c.late, wire)
	c.uart.clock().AfterFunc(f.LateAck, c.queueLate)
}

// queueLate sends the oldest of the late acknowledgements.
func (c *session) queueLate() {
	c.uart.mu.Lock()
	defer c.uart.mu.Unlock()
	wire := c.late[0]
	c.late = c.late[1:]
	c.queueLocked(wire)
}

// sendLocked sends a message once COM-PORT is agreed.
func (c *session) sendLocked(m comport.Message) {
	if !c.comPort {
		return
	}
	c.queueLocked(telnet.AppendSubnegotiation(nil, telnet.ComPort, comport.Append(nil, comport.ToClient, m)))
}

func (c *session) queue(wire []byte) {
	c.uart.mu.Lock()
	defer c.uart.mu.Unlock()
	c.queueLocked(wire)
}

func (c *session) queueLocked(wire []byte) {
	if c.dead || len(c.out)+len(wire) > maxPending {
		c.server.stats.Unsent++
		return
	}
	c.out = append(c.out, wire...)
	c.wakeLocked()
}
