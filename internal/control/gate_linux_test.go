package control

import (
	"net"
	"testing"
	"time"

	"github.com/vcomd/vcomd/internal/socket"
)

// TestGate: who gives way to whom.
func TestGate(t *testing.T) {
	const root, other, third, fourth = 0, 1000, 1001, 1002
	g := &gate{}
	closed := make(map[*conn]net.Conn)
	come := func(uid int, begins bool) (*conn, bool) {
		near, far := net.Pipe()
		t.Cleanup(func() { _, _ = near.Close(), far.Close() })
		c := &conn{Conn: near, gate: g, peer: socket.Peer{UID: uid}}
		closed[c] = far
		ok := g.admit(c)
		if ok && begins && !c.begin() {
			t.Error("it has gone before it began")
		}
		return c, ok
	}
	isClosed := func(c *conn) bool { return c.SetDeadline(time.Time{}) != nil }
	// One user, who says nothing: the oldest goes.
	first, _ := come(other, false)
	for range maxPerUser - 1 {
		if _, ok := come(other, false); !ok {
			t.Fatal("no room for one of the first")
		}
	}
	if isClosed(first) {
		t.Error("the first has gone though there was room")
	}
	if _, ok := come(other, true); !ok || !isClosed(first) || len(g.conns) != maxPerUser {
		t.Errorf("one more: %v, the first has gone: %v, %d there", ok, isClosed(first), len(g.conns))
	}
	if first.begin() {
		t.Error("one that has gone begins")
	}
	// Those that are at work stay.
	for range maxPerUser - 1 {
		if _, ok := come(other, true); !ok {
			t.Fatal("those who wait do not give way")
		}
	}
	if _, ok := come(other, true); ok {
		t.Error("there is room for more than a user may have")
	}
	// Another user has room all the same, and so has root when all is full.
	for range maxConns - maxPerUser {
		if _, ok := come(third, false); !ok {
			t.Fatal("no room for another user")
		}
	}
	if len(g.conns) != maxConns {
		t.Fatalf("%d there, want %d", len(g.conns), maxConns)
	}
	if c, ok := come(fourth, true); !ok || isClosed(c) || len(g.conns) != maxConns {
		t.Errorf("a fourth user has no room: %v, %d there", ok, len(g.conns))
	}
	for range maxConns - maxPerUser - 1 {
		if _, ok := come(third, true); !ok {
			t.Fatal("no room for one that waits no longer")
		}
	}
	if _, ok := come(fourth, true); ok {
		t.Error("there is room where all are at work")
	}
	if c, ok := come(root, true); !ok || isClosed(c) {
		t.Error("root has no room")
	}
	for c := range closed {
		_ = c.Close()
	}
	if len(g.conns) != 0 {
		t.Errorf("%d are left", len(g.conns))
	}
}
