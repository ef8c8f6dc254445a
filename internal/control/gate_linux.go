package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/vcomd/vcomd/internal/socket"
)

// gate accepts no more than so many connections at a time, and of one user. One that
// has not said yet what it wants gives way to the next, the oldest first: whoever opens
// connections and says nothing keeps nobody out.
type gate struct {
	net.Listener
	ctx context.Context //nolint:containedctx // it is the server's life

	mu    sync.Mutex
	conns []*conn // the oldest first
}

// acceptPause is how long accept rests after a failure, which is most often one of
// too many open files.
const acceptPause = 100 * time.Millisecond

// Accept returns an error only at the end.
func (g *gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		switch {
		case err == nil:
			one := &conn{Conn: c, gate: g}
			if unixConn, ok := c.(*net.UnixConn); ok {
				if one.peer, one.peerErr = socket.PeerOf(unixConn); one.peerErr != nil {
					one.peer = socket.Peer{UID: -1} // not root
				}
			}
			if g.admit(one) {
				return one, nil
			}
			one.refuse()
			continue
		case errors.Is(err, net.ErrClosed):
			return nil, err
		}
		pause := time.NewTimer(acceptPause)
		select {
		case <-pause.C:
		case <-g.ctx.Done():
			pause.Stop()
			return nil, net.ErrClosed
		}
	}
}

// admit finds room for a connection, and reports whether there was any. For root there
// is, whatever others do.
func (g *gate) admit(c *conn) bool {
	g.mu.Lock()
	mine, waiting := 0, make(map[int]int)
	for _, other := range g.conns {
		if other.peer.UID == c.peer.UID {
			mine++
		}
		if !other.began {
			waiting[other.peer.UID]++
		}
	}
	from, full := c.peer.UID, mine >= maxPerUser
	if !full && len(g.conns) >= maxConns && c.peer.UID != 0 {
		full = true
		for uid, n := range waiting {
			if n > waiting[from] {
				from = uid // who has the most gives way
			}
		}
	}
	var gone *conn
	if full {
		if gone = g.waiting(from); gone != nil {
			g.remove(gone)
			full = false
		}
	}
	if !full {
		g.conns = append(g.conns, c)
	}
	g.mu.Unlock()
	if gone != nil {
		_ = gone.Close()
	}
	return !full
}

// waiting returns the oldest connection of a user that has not said what it wants, or
// nil.
func (g *gate) waiting(uid int) *conn {
	i := slices.IndexFunc(g.conns, func(c *conn) bool { return c.peer.UID == uid && !c.began })
	if i < 0 {
		return nil
	}
	return g.conns[i]
}

func (g *gate) remove(c *conn) {
	g.conns = slices.DeleteFunc(g.conns, func(other *conn) bool { return other == c })
}

// conn is a connection whose peer is known.
type conn struct {
	net.Conn
	gate    *gate
	peer    socket.Peer
	peerErr error
	began   bool // it has said what it wants: the gate's
}

// begin says that the whole request is there. It reports false if the connection has
// had to give way.
func (c *conn) begin() bool {
	c.gate.mu.Lock()
	defer c.gate.mu.Unlock()
	c.began = true
	return slices.Contains(c.gate.conns, c)
}

// Close ends the connection, and makes room.
func (c *conn) Close() error {
	c.gate.mu.Lock()
	c.gate.remove(c)
	c.gate.mu.Unlock()
	return c.Conn.Close()
}

// busy says that there are too many connections.
func busy() *Error {
	return &Error{CodeBusy, "too many connections of this user's are at work here; end some (vcomd monitor, vcomd status --watch), and try again"}
}

// refuse ends a connection that there is no room for. The socket's own buffer takes the
// answer.
func (c *conn) refuse() {
	body, err := json.Marshal(Reply{Version: Version, Error: busy()})
	if err == nil {
		_ = c.SetWriteDeadline(time.Now().Add(acceptPause))
		_, _ = fmt.Fprintf(c.Conn, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
			http.StatusServiceUnavailable, http.StatusText(http.StatusServiceUnavailable), len(body), body)
	}
	_ = c.Conn.Close()
}

// connKey is that of a request's conn.
type connKey struct{}

// began says that a request has all come. It reports false if its connection has gone.
func began(r *http.Request) bool {
	c, ok := r.Context().Value(connKey{}).(*conn)
	return ok && c.begin()
}
