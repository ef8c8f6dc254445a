package socket

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// TestPermits: whom a mode would let in.
func TestPermits(t *testing.T) {
	me, group := os.Geteuid(), os.Getegid()
	for _, c := range []struct {
		name   string
		socket Socket
		peer   Peer
		want   bool
	}{
		{"root", Socket{UID: -1, GID: -1, Mode: 0o600}, Peer{UID: 0, GID: 0}, true},
		{"this user", Socket{UID: 1234, GID: -1, Mode: 0o600}, Peer{UID: me, GID: 77}, true},
		{"the tty's owner", Socket{UID: 1234, GID: -1, Mode: 0o600}, Peer{UID: 1234, GID: 77}, true},
		{"another user", Socket{UID: 1234, GID: 20, Mode: 0o660}, Peer{UID: 1235, GID: 77}, false},
		{"the group", Socket{UID: -1, GID: 20, Mode: 0o660}, Peer{UID: 1235, GID: 20}, true},
		{"one of the peer's groups", Socket{UID: -1, GID: 20, Mode: 0o660}, Peer{UID: 1235, GID: 77, groups: []int{5, 20}}, true},
		{"the group of a private tty", Socket{UID: -1, GID: 20, Mode: 0o600}, Peer{UID: 1235, GID: 20, groups: []int{20}}, false},
		{"the group that may only read", Socket{UID: -1, GID: 20, Mode: 0o640}, Peer{UID: 1235, GID: 20}, false},
		{"this process's group", Socket{UID: -1, GID: -1, Mode: 0o660}, Peer{UID: 1235, GID: group}, true},
	} {
		if got := c.socket.Permits(c.peer); got != c.want {
			t.Errorf("%s: %t, want %t", c.name, got, c.want)
		}
	}
}

// TestPeer is this process.
func TestPeer(t *testing.T) {
	dir := shortDir(t)
	l, err := ours(dir).Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c, err := Dial(t.Context(), filepath.Join(dir, "tty.sock"), false)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	p, err := PeerOf(c)
	if err != nil || p.PID != os.Getpid() || p.UID != os.Geteuid() || p.GID != os.Getegid() {
		t.Errorf("%+v, %v", p, err)
	}
	groups, err := os.Getgroups()
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(groups)
	slices.Sort(p.groups)
	if !slices.Equal(groups, p.groups) {
		t.Errorf("groups %v, want %v", p.groups, groups)
	}
}
