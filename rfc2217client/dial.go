package rfc2217client

import (
	"context"
	"errors"
	"net"
	"net/netip"
)

// Dialer connects to access servers. The zero value connects directly, from the
// address that the system chooses, and trusts the system's authorities in TLS. It
// may be used by several goroutines at a time.
type Dialer struct {
	// Bind is the address that TCP connections come from, the proxy's too; the zero
	// Addr leaves that to the system.
	Bind netip.Addr
	// Proxy is what TCP connections go through; nil: nothing.
	Proxy *Proxy
	// TLS is for those Remotes that have it.
	TLS TLSConfig
	// KeepAlive is set on TCP connections; zero: what net.Dialer does without.
	KeepAlive net.KeepAliveConfig
}

var errSimulated = errors.New("the simulated server has no address")

// Dial connects to r. Names are resolved anew, and all their addresses tried. The
// connection is a *net.TCPConn or a *net.UnixConn, or a TLS connection whose
// NetConn is a *net.TCPConn: then the server has proved who it is, and nothing but
// the handshake was sent. All of this ends with ctx. Errors are of type
// *ConnectError.
func (d *Dialer) Dial(ctx context.Context, r Remote) (net.Conn, error) {
	switch {
	case r.Sim != "":
		return nil, &ConnectError{Doing: "connect to " + r.String(), Found: "it is simulated", Hint: "use rfc2217test", Err: errSimulated}
	case r.Path != "":
		conn, err := new(net.Dialer).DialContext(ctx, "unix", r.Path)
		if err != nil {
			return nil, explainUnix(r, err)
		}
		return conn, nil
	}
	conn, err := d.dialTCP(ctx, r)
	if err != nil || !r.TLS {
		return conn, err
	}
	secure, err := d.TLS.handshake(ctx, conn, r)
	if err != nil {
		_ = conn.Close()
		return nil, err
	}
	return secure, nil
}

// dialTCP connects to r's host and port, in one of two ways.
func (d *Dialer) dialTCP(ctx context.Context, r Remote) (net.Conn, error) {
	if d.Proxy != nil {
		return d.dialProxy(ctx, r)
	}
	conn, err := d.direct(ctx, r.Address())
	if err != nil {
		return nil, explainTCP("connect to "+r.Address(), "the server", d.Bind, err)
	}
	return conn, nil
}

// direct connects to an address by TCP, from Bind.
func (d *Dialer) direct(ctx context.Context, address string) (net.Conn, error) {
	dialer := net.Dialer{KeepAliveConfig: d.KeepAlive}
	if d.Bind.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(d.Bind, 0))
	}
	return dialer.DialContext(ctx, "tcp", address)
}
