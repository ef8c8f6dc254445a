package integration

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// traversable lets other users reach what lies in this test's directories:
// some programs become another user before they open the port.
func traversable(t *testing.T) {
	t.Helper()
	// All directories of one test lie in one, which is closed to others.
	if err := os.Chmod(filepath.Dir(t.TempDir()), 0o755); err != nil {
		t.Fatal(err)
	}
}

// awaitState waits until the UART's settings are as wanted.
func (s *simulated) awaitState(t *testing.T, what string, holds func(comport.State) bool) {
	t.Helper()
	s.await(t, what, func(u rfc2217test.Snapshot) bool { return holds(u.State) })
}

// awaitSpeed waits until the UART is at a speed, in bit/s.
func (s *simulated) awaitSpeed(t *testing.T, speed uint32) {
	t.Helper()
	s.awaitState(t, fmt.Sprintf("%d bit/s", speed), func(u comport.State) bool { return u.BaudRate == speed })
}

// awaitFlow waits until the UART's flow control is as wanted, both ways.
func (s *simulated) awaitFlow(t *testing.T, flow comport.Control) {
	t.Helper()
	s.awaitState(t, "flow control "+flow.String(), func(u comport.State) bool {
		return u.Outbound == flow && u.Inbound == 0
	})
}

// awaitStop waits until the UART sends so many stop bits.
func (s *simulated) awaitStop(t *testing.T, stop comport.StopSize) {
	t.Helper()
	s.awaitState(t, stop.String()+" stop bits", func(u comport.State) bool { return u.StopSize == stop })
}

// awaitSent waits until a text has left the UART.
func (s *simulated) awaitSent(t *testing.T, text string) {
	t.Helper()
	eventually(t, fmt.Sprintf("the UART has sent %q", text), func() bool {
		return bytes.Contains(s.uart.Sent(), []byte(text))
	})
}

// count tells how often the server was sent a message.
func (s *simulated) count(want comport.Message) int {
	n := 0
	for _, m := range s.Messages() {
		if m == want {
			n++
		}
	}
	return n
}

// awaitCount waits until the server was sent a message so many times.
func (s *simulated) awaitCount(t *testing.T, want comport.Message, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("the server is sent %v, %d times", want, n), func() bool { return s.count(want) >= n })
}
