package integration

import (
	"context"
	"net"
	"testing"

	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// simulated is an access server in the test's own process: its UART is the
// witness.
type simulated struct {
	*rfc2217test.Server
	uart *rfc2217test.UART
	addr string
}

// serve runs a simulated access server until the test ends.
func serve(t *testing.T, s *rfc2217test.Server) *simulated {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return serveOn(t, ln, s)
}

// serveOn is serve at a listener.
func serveOn(t *testing.T, ln net.Listener, s *rfc2217test.Server) *simulated {
	t.Helper()
	if s.UART == nil {
		s.UART = &rfc2217test.UART{Unpaced: true}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the simulated server: %v", err)
		}
	})
	return &simulated{Server: s, uart: s.UART, addr: ln.Addr().String()}
}

// await waits until the UART is as wanted.
func (s *simulated) await(t *testing.T, what string, done func(rfc2217test.Snapshot) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := s.uart.WaitFor(ctx, done); err != nil {
		t.Fatalf("the UART never had %s; it is %+v, and did %v", what, s.uart.Snapshot(), lastEntries(s.uart, 20))
	}
}

// awaitBytes waits until n bytes have left the UART, whole or spoilt.
func (s *simulated) awaitBytes(t *testing.T, n int) {
	t.Helper()
	s.await(t, "sent the bytes", func(u rfc2217test.Snapshot) bool { return u.Total.Bytes+u.Total.Spoiled >= uint64(n) })
}

func lastEntries(u *rfc2217test.UART, n int) []string {
	j := u.Journal()
	j = j[max(0, len(j)-n):]
	out := make([]string, 0, len(j))
	for _, e := range j {
		out = append(out, e.String())
	}
	return out
}
