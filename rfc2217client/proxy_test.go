package rfc2217client_test

import (
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"

	rc "github.com/vcomd/vcomd/rfc2217client"
)

// socksProxy is a SOCKS 5 proxy (RFC 1928) that does as it is told.
type socksProxy struct {
	method byte   // that it chooses
	status byte   // of user and password
	reply  byte   // to the request
	raw    string // instead of all that
	cut    int    // closes after so many messages; 0: never

	asked chan string // what it was asked for
	from  chan string // by whom
	auth  chan string
}

func newSocksProxy() *socksProxy {
	return &socksProxy{asked: make(chan string, 16), from: make(chan string, 16), auth: make(chan string, 16)}
}

// serve handles one client, and then says hello as what it is connected to.
func (p *socksProxy) serve(c net.Conn) {
	p.from <- c.RemoteAddr().String()
	if p.raw != "" {
		_, _ = io.WriteString(c, p.raw)
		return
	}
	fail := func(err error) bool {
		if err != nil {
			_ = c.Close()
		}
		return err != nil
	}
	step := 0
	answer := func(b ...byte) bool {
		if step++; step == p.cut {
			_ = c.Close()
			return false
		}
		_, err := c.Write(b)
		return !fail(err)
	}
	head := make([]byte, 2)
	if _, err := io.ReadFull(c, head); fail(err) {
		return
	}
	if _, err := io.ReadFull(c, make([]byte, head[1])); fail(err) || !answer(5, p.method) {
		return
	}
	if p.method == 2 {
		var parts []string
		if _, err := io.ReadFull(c, head[:1]); fail(err) {
			return
		}
		for range 2 {
			if _, err := io.ReadFull(c, head[:1]); fail(err) {
				return
			}
			part := make([]byte, head[0])
			if _, err := io.ReadFull(c, part); fail(err) {
				return
			}
			parts = append(parts, string(part))
		}
		p.auth <- strings.Join(parts, ":")
		if !answer(1, p.status) || p.status != 0 {
			return
		}
	}
	request := make([]byte, 4)
	if _, err := io.ReadFull(c, request); fail(err) {
		return
	}
	var host string
	switch request[3] {
	case 1, 4:
		addr := make([]byte, map[byte]int{1: 4, 4: 16}[request[3]])
		_, _ = io.ReadFull(c, addr)
		a, _ := netip.AddrFromSlice(addr)
		host = a.String()
	case 3:
		_, _ = io.ReadFull(c, head[:1])
		name := make([]byte, head[0])
		_, _ = io.ReadFull(c, name)
		host = "name " + string(name)
	}
	if _, err := io.ReadFull(c, head); fail(err) {
		return
	}
	p.asked <- host
	// 192.0.2.9:258 is where it is connected from.
	if answer(5, p.reply, 0, 1, 192, 0, 2, 9, 1, 2) && p.reply == 0 {
		_, _ = c.Write([]byte("hello"))
	}
}

func TestProxy(t *testing.T) {
	for _, c := range []struct {
		name   string
		server socksProxy
		client rc.Proxy
		host   string
		asked  string // what the proxy is asked for
	}{
		{"address", socksProxy{}, rc.Proxy{}, "192.0.2.1", "192.0.2.1"},
		{"IPv6", socksProxy{}, rc.Proxy{}, "2001:db8::1", "2001:db8::1"},
		{"name looked up here", socksProxy{}, rc.Proxy{}, "localhost", "127.0.0.1"},
		{"name looked up there", socksProxy{}, rc.Proxy{ResolvesNames: true}, "gps.example", "name gps.example"},
		{"password", socksProxy{method: 2}, rc.Proxy{User: "me", Password: "secret"}, "192.0.2.1", "192.0.2.1"},
		{"password not needed", socksProxy{}, rc.Proxy{User: "me", Password: "secret"}, "192.0.2.1", "192.0.2.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newSocksProxy()
			p.method = c.server.method
			c.client.Address = listen(t, "tcp", "127.0.0.1:0", p.serve).String()
			d := rc.Dialer{Proxy: &c.client, Bind: netip.MustParseAddr("127.0.0.8")}
			conn, err := d.Dial(within(t), rc.Remote{Host: c.host, Port: "7"})
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, ok := conn.(*net.TCPConn); !ok {
				t.Errorf("the connection is a %T, want that to the proxy itself", conn)
			}
			// localhost may be ::1 first: that is asked for in its turn.
			if got := <-p.asked; got != c.asked && (c.host != "localhost" || got != "::1") {
				t.Errorf("asked for %q, want %q", got, c.asked)
			}
			if from := <-p.from; !strings.HasPrefix(from, "127.0.0.8:") {
				t.Errorf("the proxy was connected to from %s, want 127.0.0.8", from)
			}
			if p.method == 2 {
				if got := <-p.auth; got != "me:secret" {
					t.Errorf("user and password %q", got)
				}
			}
			got := make([]byte, 5)
			if _, err := io.ReadFull(conn, got); err != nil || string(got) != "hello" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestProxyErrors(t *testing.T) {
	user := rc.Proxy{User: "me", Password: "secret"}
	for _, c := range []struct {
		name        string
		server      socksProxy
		client      rc.Proxy
		found, hint string
	}{
		{"HTTP", socksProxy{raw: "HTTP/1.1 400 Bad Request\r\n\r\n"}, rc.Proxy{}, "does not speak SOCKS 5", "HTTP"},
		{"wants a password", socksProxy{method: 0xff}, rc.Proxy{}, "who connects", "USER:PASSWORD"},
		{"wants none", socksProxy{method: 0xff}, user, "does not take a user", "without"},
		{"wrong password", socksProxy{method: 2, status: 1}, user, "refuses the user or the password", "correct"},
		{"failure", socksProxy{reply: 1}, rc.Proxy{}, "has failed", "log"},
		{"not allowed", socksProxy{reply: 2}, rc.Proxy{}, "does not allow", "rules"},
		{"network", socksProxy{reply: 3}, rc.Proxy{}, "network is unreachable", "network"},
		{"host", socksProxy{reply: 4}, rc.Proxy{}, "host unreachable", "switched on"},
		{"refused", socksProxy{reply: 5}, rc.Proxy{}, "connection refused", "start the server"},
		{"refused behind a password", socksProxy{method: 2, reply: 5}, user, "connection refused", "start the server"},
		{"expired", socksProxy{reply: 6}, rc.Proxy{}, "no answer", "switched on"},
		{"no CONNECT", socksProxy{reply: 7}, rc.Proxy{}, "does not make connections", "another"},
		{"no such addresses", socksProxy{reply: 8}, rc.Proxy{}, "kind of address", "socks5h://"},
		{"no names", socksProxy{reply: 8}, rc.Proxy{ResolvesNames: true}, "kind of address", "socks5://"},
		{"another code", socksProxy{reply: 99}, rc.Proxy{}, "code 99", "log"},
		{"closes at once", socksProxy{cut: 1}, rc.Proxy{}, "closed the connection", "log"},
		{"closes later", socksProxy{cut: 2}, rc.Proxy{}, "closed the connection", "log"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newSocksProxy()
			p.method, p.status, p.reply, p.raw, p.cut = c.server.method, c.server.status, c.server.reply, c.server.raw, c.server.cut
			c.client.Address = listen(t, "tcp", "127.0.0.1:0", p.serve).String()
			d := rc.Dialer{Proxy: &c.client}
			conn, err := d.Dial(within(t), rc.Remote{Host: "192.0.2.1", Port: "7"})
			if err == nil {
				_ = conn.Close()
				t.Fatal("there is a connection")
			}
			e := explained(t, err, c.found, c.hint)
			if !strings.Contains(e.Doing, "192.0.2.1:7") || !strings.Contains(e.Doing, c.client.Address) {
				t.Errorf("%q does not say what through what", e.Doing)
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("the error tells the password: %v", err)
			}
		})
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = free.Close()
	d := rc.Dialer{Proxy: &rc.Proxy{Address: free.Addr().String()}}
	_, err = d.Dial(within(t), rc.Remote{Host: "192.0.2.1", Port: "7"})
	if e := explained(t, err, "connection refused", "start the proxy"); !strings.Contains(e.Doing, "the proxy "+free.Addr().String()) {
		t.Errorf("%q does not name the proxy", e.Doing)
	}
}
