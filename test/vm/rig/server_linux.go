package rig

import (
	"context"
	"fmt"
	"net"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
	"github.com/vcomd/vcomd/test/vm/feed"
)

// Server is a simulated access server on the loopback interface.
type Server struct {
	*rfc2217test.Server
	UART *rfc2217test.UART
	Addr string
	line *feed.Device
	end  func() error
}

// Serve starts one whose UART sends at once. Without a journal only the count and the sum are kept of what it sends.
func Serve(ctx context.Context, journal bool) (*Server, error) {
	line := feed.New()
	uart := &rfc2217test.UART{Unpaced: true, Device: line, JournalOff: !journal}
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &Server{Server: &rfc2217test.Server{UART: uart, Shared: true}, UART: uart, Addr: ln.Addr().String(), line: line}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, ln) }()
	s.end = func() error { cancel(); return <-ended }
	return s, nil
}

// Stop ends it.
func (s *Server) Stop() error { return s.end() }

// Await waits until the UART is as wanted.
func (s *Server) Await(ctx context.Context, within time.Duration, what string, holds func(rfc2217test.Snapshot) bool) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if err := s.UART.WaitFor(ctx, holds); err != nil {
		u := s.UART.Snapshot()
		return fmt.Errorf("the far UART never has %s: it has %v, and has sent %d bytes", what, u.State, u.Total.Bytes)
	}
	return nil
}

// AwaitSpeed waits until the UART has a speed.
func (s *Server) AwaitSpeed(ctx context.Context, within time.Duration, speed uint32) error {
	return s.Await(ctx, within, fmt.Sprint(speed, " bit/s"), func(u rfc2217test.Snapshot) bool { return u.State.BaudRate == speed })
}

// AwaitLines waits until the UART drives DTR and RTS so.
func (s *Server) AwaitLines(ctx context.Context, within time.Duration, dtr, rts bool) error {
	return s.Await(ctx, within, fmt.Sprintf("DTR %t, RTS %t", dtr, rts), func(u rfc2217test.Snapshot) bool {
		return u.State.DTR == comport.DTR(dtr) && u.State.RTS == comport.RTS(rts)
	})
}

// AwaitBytes waits until so many bytes have left the UART since the first, and gives those from the one numbered from.
func (s *Server) AwaitBytes(ctx context.Context, within time.Duration, from, to int) ([]byte, error) {
	err := s.Await(ctx, within, fmt.Sprint(to, " bytes"), func(u rfc2217test.Snapshot) bool { return u.Total.Bytes >= uint64(to) })
	sent := s.UART.Sent()
	return sent[min(from, len(sent)):], err
}

// Receive has the UART receive bytes; it waits until all before them have been taken.
func (s *Server) Receive(ctx context.Context, p []byte, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	return s.line.Say(ctx, p)
}
