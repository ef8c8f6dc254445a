package rfc2217client

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"golang.org/x/net/proxy"
)

// Proxy is a SOCKS 5 proxy (RFC 1928).
type Proxy struct {
	// Address is its host and port.
	Address string
	// User and Password are shown to a proxy that asks for them (RFC 1929), at most
	// 255 bytes each; an empty User: there are none.
	User, Password string
	// ResolvesNames has the proxy look up names, instead of this machine.
	ResolvesNames bool
}

// String gives the proxy as a URL, without the password.
func (p *Proxy) String() string {
	scheme, user := "socks5", ""
	if p.ResolvesNames {
		scheme = "socks5h"
	}
	if p.User != "" {
		user = "…@"
	}
	return scheme + "://" + user + p.Address
}

// dialProxy connects to r through the proxy. A name that is resolved here may have
// several addresses: they are tried in turn, each on a connection of its own.
func (d *Dialer) dialProxy(ctx context.Context, r Remote) (net.Conn, error) {
	targets := []string{r.Address()}
	if _, err := netip.ParseAddr(r.Host); err != nil && !d.Proxy.ResolvesNames {
		addresses, err := net.DefaultResolver.LookupNetIP(ctx, "ip", r.Host)
		if err != nil {
			return nil, explainTCP("connect to "+r.Address(), "the server", d.Bind, err)
		}
		targets = targets[:0]
		for _, a := range addresses {
			targets = append(targets, net.JoinHostPort(a.Unmap().String(), r.Port))
		}
	}
	var first error
	for _, target := range targets {
		conn, err := d.askProxy(ctx, r, target)
		if err == nil {
			return conn, nil
		}
		if first == nil {
			first = err
		}
		if ctx.Err() != nil {
			break
		}
	}
	return nil, first
}

// socksDialer is what proxy.SOCKS5 returns, beyond its type: the connection to the
// proxy stays the caller's, to be used by its descriptor.
type socksDialer interface {
	DialWithConn(ctx context.Context, c net.Conn, network, address string) (net.Addr, error)
}

// askProxy connects to the proxy, and has it connect to target.
func (d *Dialer) askProxy(ctx context.Context, r Remote, target string) (net.Conn, error) {
	p := d.Proxy
	conn, err := d.direct(ctx, p.Address)
	if err != nil {
		return nil, explainTCP("connect to the proxy "+p.Address, "the proxy", d.Bind, err)
	}
	var auth *proxy.Auth
	if p.User != "" {
		auth = &proxy.Auth{User: p.User, Password: p.Password}
	}
	dialer, err := proxy.SOCKS5("tcp", p.Address, auth, nil)
	socks, ok := dialer.(socksDialer)
	if err == nil && !ok {
		err = fmt.Errorf("%T cannot use a connection that is there", dialer)
	}
	heard := &recorder{Conn: conn}
	if err == nil {
		_, err = socks.DialWithConn(ctx, heard, "tcp", target)
	}
	if err != nil {
		_ = conn.Close()
		return nil, explainProxy(p, r, heard.bytes, err)
	}
	return conn, nil
}

// recorder keeps the first bytes that a proxy sends: its answers are told apart by
// their codes, and package proxy only has them as text.
type recorder struct {
	net.Conn
	bytes []byte
}

// maxRecorded is as long as the answers up to the reply's code are.
const maxRecorded = 8

func (c *recorder) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.bytes = append(c.bytes, p[:min(n, maxRecorded-len(c.bytes))]...)
	return n, err
}
