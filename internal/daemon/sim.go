package daemon

import (
	"context"
	"net"
	"sync"

	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// simulators are the embedded access servers of the ports whose remote is
// sim:DEVICE. Each keeps its UART and device over reconnects.
type simulators struct {
	ctx context.Context //nolint:containedctx // it is the daemon's life, and that of every simulator
	wg  sync.WaitGroup

	mu   sync.Mutex
	over bool // wait was called: a dial that comes late must not start a server
}

func newSimulators(ctx context.Context) *simulators { return &simulators{ctx: ctx} }

// dialer returns a dial function that reaches a server of its own, and what ends that.
func (s *simulators) dialer(device string) (dial func(context.Context, rfc2217client.Remote) (net.Conn, error), end context.CancelFunc, err error) {
	dev, err := rfc2217test.NewDevice(device, nil)
	if err != nil {
		return nil, nil, err
	}
	ctx, end := context.WithCancel(s.ctx)
	uart := &rfc2217test.UART{Device: dev, JournalOff: true}
	// It runs on while no client is there: a receiver does not stop either.
	s.wg.Go(func() { _ = uart.Run(ctx) })
	server := &rfc2217test.Server{UART: uart}
	return func(context.Context, rfc2217client.Remote) (net.Conn, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.over || ctx.Err() != nil {
			return nil, net.ErrClosed
		}
		near, far := net.Pipe()
		s.wg.Go(func() {
			// It ends with the connection, and how does not matter to anybody.
			_ = server.ServeConn(ctx, far)
		})
		return near, nil
	}, end, nil
}

// wait waits for the servers to end; their context has.
func (s *simulators) wait() {
	s.mu.Lock()
	s.over = true
	s.mu.Unlock()
	s.wg.Wait()
}
