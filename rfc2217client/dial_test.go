package rfc2217client_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	rc "github.com/vcomd/vcomd/rfc2217client"
)

// listen accepts connections at an address of this machine until the test ends,
// and has each served.
func listen(t *testing.T, network, address string, serve func(net.Conn)) net.Addr {
	t.Helper()
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	served := make(chan net.Conn, 64)
	go func() {
		defer close(done)
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			served <- conn
			serve(conn)
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		for {
			select {
			case conn := <-served:
				_ = conn.Close()
			case <-done:
				for len(served) > 0 {
					_ = (<-served).Close()
				}
				return
			}
		}
	})
	return ln.Addr()
}

func remoteAt(t *testing.T, scheme string, addr net.Addr) rc.Remote {
	t.Helper()
	r, err := rc.ParseRemote(scheme + "://" + addr.String())
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// within gives a dial long enough not to fail for lack of time.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// explained checks that an error says what was done to what, what was found and
// what to do, on one line.
func explained(t *testing.T, err error, found, hint string) *rc.ConnectError {
	t.Helper()
	var e *rc.ConnectError
	if !errors.As(err, &e) {
		t.Fatalf("error %v (%T), want a *ConnectError", err, err)
	}
	if e.Doing == "" || !strings.Contains(e.Found, found) || !strings.Contains(e.Hint, hint) || e.Err == nil {
		t.Errorf("%+v; want found %q and hint %q", e, found, hint)
	}
	if text := e.Error(); !strings.Contains(text, e.Doing+": "+e.Found+"; "+e.Hint) || strings.ContainsFunc(text, func(c rune) bool { return c < ' ' }) {
		t.Errorf("%q is not three parts, or not safe to print", text)
	}
	return e
}

func TestDial(t *testing.T) {
	path := filepath.Join(t.TempDir(), "socket")
	greet := func(c net.Conn) { _, _ = c.Write([]byte("hello")) }
	tcp := listen(t, "tcp", "127.0.0.1:0", greet)
	listen(t, "unix", path, greet)
	for _, c := range []struct {
		name   string
		remote rc.Remote
		is     func(net.Conn) bool
	}{
		{"TCP", remoteAt(t, "tcp", tcp), func(c net.Conn) bool { _, is := c.(*net.TCPConn); return is }},
		{"Unix", rc.Remote{Path: path}, func(c net.Conn) bool { _, is := c.(*net.UnixConn); return is }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d rc.Dialer
			conn, err := d.Dial(within(t), c.remote)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if !c.is(conn) {
				t.Errorf("the connection is a %T", conn)
			}
			got := make([]byte, 5)
			if _, err := conn.Read(got); err != nil || string(got) != "hello" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
}

func TestBind(t *testing.T) {
	from := make(chan string, 1)
	addr := listen(t, "tcp", "127.0.0.1:0", func(c net.Conn) { from <- c.RemoteAddr().String() })
	d := rc.Dialer{Bind: netip.MustParseAddr("127.0.0.7")}
	conn, err := d.Dial(within(t), remoteAt(t, "tcp", addr))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if got := <-from; !strings.HasPrefix(got, "127.0.0.7:") {
		t.Errorf("the server saw %s, want 127.0.0.7", got)
	}
}

// All addresses of a name are tried: one that only IPv4 serves is found.
func TestEveryAddressOfAName(t *testing.T) {
	addresses, err := net.LookupHost("localhost")
	if err != nil || len(addresses) < 2 {
		t.Skipf("localhost has the addresses %v, %v; want two", addresses, err)
	}
	for _, network := range []string{"127.0.0.1:0", "[::1]:0"} {
		addr := listen(t, "tcp", network, func(net.Conn) {})
		_, port, _ := net.SplitHostPort(addr.String())
		var d rc.Dialer
		conn, err := d.Dial(within(t), rc.Remote{Host: "localhost", Port: port})
		if err != nil {
			t.Errorf("with a server at %s: %v", addr, err)
			continue
		}
		_ = conn.Close()
	}
}

func TestDialErrors(t *testing.T) {
	closed := listen(t, "tcp", "127.0.0.1:0", func(net.Conn) {})
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = free.Close()
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	_ = ln.Close()
	datagram := filepath.Join(dir, "datagram")
	pc, err := net.ListenPacket("unixgram", datagram)
	if err != nil {
		t.Fatal(err)
	}
	defer pc.Close()
	for _, c := range []struct {
		name        string
		dialer      rc.Dialer
		remote      rc.Remote
		found, hint string
		cause       error
	}{
		{"refused", rc.Dialer{}, remoteAt(t, "tcp", free.Addr()), "connection refused", "start the server", syscall.ECONNREFUSED},
		{"not this machine's", rc.Dialer{Bind: netip.MustParseAddr("192.0.2.1")}, remoteAt(t, "tcp", closed), "does not have the address 192.0.2.1", "ip address", syscall.EADDRNOTAVAIL},
		{"of another family", rc.Dialer{Bind: netip.MustParseAddr("::1")}, remoteAt(t, "tcp", closed), "family", "IPv6", nil},
		{"no such name", rc.Dialer{}, rc.Remote{Host: "vcomd.invalid", Port: "1"}, "host", "", nil}, // or no resolver at all
		{"simulated", rc.Dialer{}, rc.Remote{Sim: "gps"}, "simulated", "", nil},
		{"no socket", rc.Dialer{}, rc.Remote{Path: filepath.Join(dir, "missing")}, "no such socket", "path", syscall.ENOENT},
		{"stale socket", rc.Dialer{}, rc.Remote{Path: stale}, "connection refused", "outlives", syscall.ECONNREFUSED},
		{"below a socket", rc.Dialer{}, rc.Remote{Path: stale + "/x"}, "not a socket", "path", syscall.ENOTDIR},
		{"datagrams", rc.Dialer{}, rc.Remote{Path: datagram}, "datagram", "stream", syscall.EPROTOTYPE},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := c.dialer.Dial(within(t), c.remote)
			if err == nil {
				_ = conn.Close()
				t.Fatal("there is a connection")
			}
			if c.name == "no such name" {
				explained(t, err, "", "")
				return
			}
			explained(t, err, c.found, c.hint)
			if c.cause != nil && !errors.Is(err, c.cause) {
				t.Errorf("%v does not unwrap to %v", err, c.cause)
			}
		})
	}
}

// What may be behind an end is only told of a server that has said nothing.
func TestEndWithoutAWord(t *testing.T) {
	for words, told := range map[string]bool{"": true, "\xff\xfb\x00": false, "x": false} {
		ends := func(*clientRig) dialer {
			return func(context.Context, int) (net.Conn, error) {
				near, far := net.Pipe()
				go func() {
					_, _ = far.Read(make([]byte, 1024))
					if words != "" {
						_, _ = far.Write([]byte(words))
					}
					_ = far.Close()
				}()
				return near, nil
			}
		}
		inBubble(t, rc.Config{Remote: rc.Remote{Host: "host", Port: "2217"}}, ends, func(r *clientRig) {
			var lost error
			r.onDisconnected = func(err error) { lost = err }
			r.do(r.Start)
			r.do(func() {
				if _, says := errors.AsType[*rc.ConnectError](lost); says != told || !errors.Is(lost, rc.ErrClosedByServer) {
					t.Errorf("after %q: %v", words, lost)
				}
			})
		})
	}
}

// A dial ends with its context, whatever it waits for.
func TestDialEndsWithContext(t *testing.T) {
	mute := listen(t, "tcp", "127.0.0.1:0", func(net.Conn) {}) // accepts and says nothing
	for _, c := range []struct {
		name   string
		dialer rc.Dialer
		remote rc.Remote
		found  string
	}{
		{"TLS", rc.Dialer{}, remoteAt(t, "tls", mute), "does not answer the handshake"},
		{"proxy", rc.Dialer{Proxy: &rc.Proxy{Address: mute.String()}}, rc.Remote{Host: "192.0.2.1", Port: "1"}, "the proxy does not answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			begin := time.Now()
			conn, err := c.dialer.Dial(ctx, c.remote)
			if err == nil {
				_ = conn.Close()
				t.Fatal("there is a connection")
			}
			explained(t, err, c.found, "")
			if took := time.Since(begin); took > patience/2 {
				t.Errorf("it took %v", took)
			}
		})
	}
}
