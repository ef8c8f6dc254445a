package rfc2217test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/telnet"
)

const (
	// inUse is what ser2net tells a client for which the port has no room.
	inUse = "Port already in use\r\n"
	// maxRecords bounds the lists of commands and negotiations.
	maxRecords = 1 << 16
	// maxShared bounds the clients of a shared port.
	maxShared = 64
	// refusalTime is how long a refused client may take to be told so.
	refusalTime = time.Second
	// defaultName is the signature of a Server without Name.
	defaultName = "vcomd simulated access server"
)

// Server is a simulated access server in front of a UART. The zero value is
// ready; its UART then is one of its own, see Port. The exported fields must
// not change once it serves.
type Server struct {
	UART *UART
	// Name is the signature it answers with; "" is a text that names vcomd.
	Name string
	// Faults is what it does wrong from the start; SetFaults changes it later.
	Faults Faults
	// Raw serves plain TCP without telnet.
	Raw bool
	// Shared lets more than one client on the port: all receive what the line
	// sends, and each is told of the settings that another one makes.
	Shared bool
	// KeepSettings leaves the UART as it is when a session ends, where real
	// servers set it back to its defaults and drop DTR and RTS.
	KeepSettings bool

	once sync.Once
	port *UART
	// What follows is guarded by port.mu.
	faults       Faults
	stats        Stats
	commands     []Received
	negotiations []Negotiation
}

// Received is a COM-PORT message from a client.
type Received struct {
	Time       time.Time
	Connection uint64 // 1 is the first one accepted
	Message    comport.Message
}

// Negotiation is a Telnet option command from a client.
type Negotiation struct {
	Time       time.Time
	Connection uint64
	Verb       telnet.Command
	Option     telnet.Option
}

// String gives "WILL COM-PORT".
func (n Negotiation) String() string { return n.Verb.String() + " " + n.Option.String() }

// Stats counts what a Server met.
type Stats struct {
	Connections  uint64 // accepted, refused ones included
	Refused      uint64 // told "Port already in use"
	Active       int    // sessions now
	ComPort      int    // of those, the ones that agreed on COM-PORT
	Suspended    int    // of those, the ones that sent FLOWCONTROL-SUSPEND
	Commands     uint64 // COM-PORT messages received
	Negotiations uint64 // Telnet option commands received
	Early        uint64 // COM-PORT messages before the option was agreed: not obeyed
	Malformed    uint64 // COM-PORT messages that cannot be read
	Breaks       uint64 // IAC BRK received
	Unsent       uint64 // messages dropped because a client does not read
	BytesIn      uint64 // on the wire
	BytesOut     uint64
}

// Port gives the server's UART.
func (s *Server) Port() *UART {
	s.once.Do(func() {
		s.port = s.UART
		if s.port == nil {
			s.port = &UART{}
		}
		s.port.init()
		s.faults = s.Faults
	})
	return s.port
}

// SetFaults changes what the server does wrong.
func (s *Server) SetFaults(f Faults) {
	u := s.Port()
	u.mu.Lock()
	defer u.mu.Unlock()
	s.faults = f
	for c := range u.sessions {
		c.wakeLocked()
	}
	u.touchLocked()
}

func (s *Server) currentFaults() Faults {
	u := s.Port()
	u.mu.Lock()
	defer u.mu.Unlock()
	return s.faults
}

// Stats gives the counters.
func (s *Server) Stats() Stats {
	u := s.Port()
	u.mu.Lock()
	defer u.mu.Unlock()
	return s.stats
}

// Commands gives the COM-PORT messages received, in order, the first 65,536.
// A request is listed once it is done and before it is acknowledged.
func (s *Server) Commands() []Received {
	u := s.Port()
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]Received(nil), s.commands...)
}

// Messages gives the messages of Commands.
func (s *Server) Messages() []comport.Message {
	commands := s.Commands()
	messages := make([]comport.Message, 0, len(commands))
	for _, c := range commands {
		messages = append(messages, c.Message)
	}
	return messages
}

// Negotiations gives the Telnet option commands received, in order, the first
// 65,536.
func (s *Server) Negotiations() []Negotiation {
	u := s.Port()
	u.mu.Lock()
	defer u.mu.Unlock()
	return append([]Negotiation(nil), s.negotiations...)
}

// WaitFor waits until done says so about the server; done is called at once and
// after each change, and must not call the server. The error is ctx's.
func (s *Server) WaitFor(ctx context.Context, done func(Stats) bool) error {
	return s.Port().await(ctx, func() bool { return done(s.stats) })
}

// Send sends a message to every client that agreed on COM-PORT: a notification,
// FLOWCONTROL-SUSPEND and -RESUME, a query for the client's signature, or an
// acknowledgement nobody asked for.
func (s *Server) Send(m comport.Message) {
	u := s.Port()
	u.mu.Lock()
	defer u.mu.Unlock()
	for c := range u.sessions {
		c.sendLocked(m)
	}
}

// Disconnect ends all sessions, as a server does that is restarted.
func (s *Server) Disconnect() {
	u := s.Port()
	u.mu.Lock()
	sessions := make([]*session, 0, len(u.sessions))
	for c := range u.sessions {
		sessions = append(sessions, c)
	}
	u.mu.Unlock()
	for _, c := range sessions {
		c.end()
	}
}

// Serve accepts clients on ln until ctx ends, and returns nil then. One client
// is served at a time, unless Shared. It closes ln, and runs the UART if nobody
// else does, which closes its device in the end.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	u := s.Port()
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	if u.claim() {
		wg.Go(func() { _ = u.run(ctx) })
	}
	stop := context.AfterFunc(ctx, func() { _ = ln.Close() })
	defer stop()
	for {
		conn, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			_ = ln.Close()
			return fmt.Errorf("accepting a client: %w", err)
		}
		wg.Go(func() { _ = s.serveConn(ctx, conn) })
	}
}

// ServeConn serves one client until it goes or ctx ends, which both give nil,
// and closes conn. It runs the UART if nobody else does, which closes its device
// in the end: where the device must live on, UART.Run must be running.
func (s *Server) ServeConn(ctx context.Context, conn net.Conn) error {
	u := s.Port()
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	if u.Device != nil && u.claim() {
		wg.Go(func() { _ = u.run(ctx) })
	}
	return s.serveConn(ctx, conn)
}

func (s *Server) serveConn(ctx context.Context, conn net.Conn) error {
	defer func() { _ = conn.Close() }()
	c, ok := s.admit(conn)
	if !ok {
		_ = conn.SetWriteDeadline(time.Now().Add(refusalTime))
		_, _ = conn.Write([]byte(inUse))
		return nil
	}
	stop := context.AfterFunc(ctx, c.end)
	defer stop()
	err := c.run(ctx)
	if ctx.Err() != nil || errors.Is(err, errSessionOver) {
		return nil
	}
	return err
}

// admit gives the client a session, if the port has room for it.
func (s *Server) admit(conn net.Conn) (*session, bool) {
	u := s.Port()
	u.mu.Lock()
	defer u.mu.Unlock()
	s.stats.Connections++
	limit := 1
	if s.Shared {
		limit = maxShared
	}
	defer u.touchLocked()
	if s.stats.Active >= limit || s.faults.PortInUse {
		s.stats.Refused++
		return nil, false
	}
	s.stats.Active++
	return newSession(s, u, conn, s.stats.Connections), true
}
