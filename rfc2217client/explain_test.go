package rfc2217client

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
)

// failed is an error as package net returns it: with addresses of this end, that
// differ from try to try.
func failed(err error) error {
	return &net.OpError{
		Op: "dial", Net: "tcp", Source: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 54321},
		Addr: &net.TCPAddr{IP: net.IPv4(192, 0, 2, 7), Port: 2217}, Err: err,
	}
}

func TestExplainTCP(t *testing.T) {
	bind := netip.MustParseAddr("192.0.2.1")
	for _, c := range []struct {
		err         error
		bind        netip.Addr
		found, hint string
	}{
		{&net.DNSError{Err: "no such host", Name: "gps", IsNotFound: true}, netip.Addr{}, "no such host", "correct the name"},
		{&net.DNSError{Err: "server misbehaving", Name: "gps", Server: "192.0.2.53:53", IsTemporary: true}, netip.Addr{}, "cannot be looked up now: server misbehaving", "/etc/resolv.conf"},
		{&net.DNSError{Err: "i/o timeout", Name: "gps", IsTimeout: true, IsTemporary: true}, netip.Addr{}, "the resolver does not answer", "/etc/resolv.conf"},
		{os.NewSyscallError("connect", syscall.ECONNREFUSED), netip.Addr{}, "connection refused: nobody listens there", "start the server"},
		{os.NewSyscallError("connect", syscall.ENETUNREACH), netip.Addr{}, "network is unreachable", "routes"},
		{os.NewSyscallError("connect", syscall.EHOSTUNREACH), netip.Addr{}, "no route to host", "switched on"},
		{os.NewSyscallError("connect", syscall.EACCES), netip.Addr{}, "permission denied", "rules"},
		{os.NewSyscallError("connect", syscall.EPERM), netip.Addr{}, "permission denied", "rules"},
		{os.NewSyscallError("connect", syscall.ETIMEDOUT), netip.Addr{}, "no answer", "switched on"},
		{context.DeadlineExceeded, netip.Addr{}, "no answer", "firewalls"},
		{os.NewSyscallError("bind", syscall.EADDRNOTAVAIL), bind, "does not have the address 192.0.2.1", "ip address"},
		{os.NewSyscallError("connect", syscall.EADDRNOTAVAIL), netip.Addr{}, "cannot assign requested address", "network"},
		{&net.AddrError{Err: "no suitable address found", Addr: "::1"}, bind, "no address of the family of 192.0.2.1", "IPv6"},
		{errors.New("\x1b[31mred"), netip.Addr{}, `\x1b[31mred`, "network"},
		{errors.New(strings.Repeat("ä", 500)), netip.Addr{}, "…", "network"},
	} {
		e := explainTCP("connect to gps:2217", "the server", c.bind, failed(c.err))
		if !strings.Contains(e.Found, c.found) || !strings.Contains(e.Hint, c.hint) {
			t.Errorf("%v: %q; %q, want %q; %q", c.err, e.Found, e.Hint, c.found, c.hint)
		}
		if !errors.Is(e, c.err) {
			t.Errorf("%v does not unwrap to its cause", e)
		}
		text := e.Error()
		if strings.Contains(text, "54321") || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' }) || len(text) > 600 {
			t.Errorf("%q differs from try to try, or is not safe to print", text)
		}
	}
}

// The end of a connection on which nothing was heard tells what may be behind it;
// any other stays what it was.
func TestClosedUnheard(t *testing.T) {
	for _, c := range []struct {
		remote string
		err    error
		hint   string // empty: as it was
	}{
		{"host", ErrClosedByServer, "write rfc2217s://host:2217"},
		{"telnet://host:1", ErrClosedByServer, "write telnets://host:1"},
		{"host", lost("receive", os.NewSyscallError("read", syscall.ECONNRESET)), "write rfc2217s://host:2217"},
		{"host", io.ErrUnexpectedEOF, ""},
		{"rfc2217s://host", ErrClosedByServer, ""},
		{"tcp://host:1", ErrClosedByServer, ""},
		{"unix:/run/s", ErrClosedByServer, ""},
	} {
		r, err := ParseRemote(c.remote)
		if err != nil {
			t.Fatal(err)
		}
		got := closedUnheard(r, c.err)
		says, ok := errors.AsType[*ConnectError](got)
		if ok != (c.hint != "") || ok && !strings.Contains(says.Hint, c.hint) || !errors.Is(got, c.err) {
			t.Errorf("%s, %v: %v", c.remote, c.err, got)
		}
	}
}

// Every alert is told in words, whatever this end has shown.
func TestEveryAlert(t *testing.T) {
	r := Remote{TLS: true, Host: "host", Port: "2217"}
	for a := range 256 {
		err := &net.OpError{Op: "remote error", Err: errors.New(alert(a).String())}
		code, ok := alertOf(err)
		if !ok || code.String() != alert(a).String() {
			t.Fatalf("alert %d is taken for %d, %v", a, code, ok)
		}
		for _, uncertified := range []bool{false, true} {
			if e := explainTLS(r, "host", uncertified, err); e.Found == "" || e.Hint == "" || !errors.Is(e, err) {
				t.Errorf("alert %d: %+v", a, e)
			}
		}
	}
	if _, ok := alertOf(&net.OpError{Op: "local error", Err: errors.New(alert(48).String())}); ok {
		t.Error("an alert of this end's is taken for the server's")
	}
}
