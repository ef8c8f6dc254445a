package rfc2217client_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	rc "github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/test/certs"
)

// tlsServer accepts TLS, keeps what it is sent, and answers with a greeting.
type tlsServer struct {
	addr net.Addr
	mu   sync.Mutex
	got  bytes.Buffer
	wg   sync.WaitGroup
}

func serveTLS(t *testing.T, cfg *tls.Config) *tlsServer {
	t.Helper()
	s := &tlsServer{}
	s.addr = listen(t, "tcp", "127.0.0.1:0", func(raw net.Conn) {
		s.wg.Go(func() {
			defer raw.Close()
			conn := tls.Server(raw, cfg)
			if err := conn.Handshake(); err != nil {
				_, _ = io.Copy(io.Discard, raw) // no reset that overtakes the alert
				return
			}
			if _, err := conn.Write([]byte("hello")); err != nil {
				return
			}
			buf := make([]byte, 1024)
			for {
				n, err := conn.Read(buf)
				s.mu.Lock()
				s.got.Write(buf[:n])
				s.mu.Unlock()
				if err != nil {
					return
				}
			}
		})
	})
	t.Cleanup(s.wg.Wait)
	return s
}

func (s *tlsServer) received() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.got.String()
}

// attempt dials and reads a greeting, as the client does: in TLS 1.3 the server's
// verdict comes only then.
func attempt(t *testing.T, d *rc.Dialer, r rc.Remote) error {
	t.Helper()
	conn, err := d.Dial(within(t), r)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, ok := conn.(interface{ NetConn() net.Conn }).NetConn().(*net.TCPConn); !ok {
		t.Errorf("there is no TCP connection below")
	}
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 5)
	if _, err := io.ReadFull(conn, buf); err != nil {
		return err
	}
	if string(buf) != "hello" {
		return fmt.Errorf("greeted with %q", buf)
	}
	return nil
}

func TestTLS(t *testing.T) {
	ca, other := certs.NewAuthority(t, "the authority"), certs.NewAuthority(t, "another authority")
	good := ca.Issue(certs.Options{})
	now := time.Now()
	server := func(c *certs.Certificate) *tls.Config {
		return &tls.Config{Certificates: []tls.Certificate{c.TLS}}
	}
	demanding := func(version uint16) *tls.Config {
		c := server(good)
		c.ClientAuth, c.ClientCAs, c.MaxVersion = tls.RequireAndVerifyClientCert, ca.Pool(), version
		return c
	}
	old := server(good)
	old.MaxVersion = tls.VersionTLS11
	old.MinVersion = tls.VersionTLS10
	trusting := rc.TLSConfig{Roots: ca.Pool()}
	with := func(change func(*rc.TLSConfig)) rc.TLSConfig {
		c := trusting
		change(&c)
		return c
	}
	certificate := func(c *certs.Certificate) rc.TLSConfig {
		return with(func(t *rc.TLSConfig) { t.Certificate = &c.TLS })
	}
	for _, c := range []struct {
		name        string
		server      *tls.Config
		client      rc.TLSConfig
		found, hint string // empty: it works
	}{
		{"right", server(good), trusting, "", ""},
		{"TLS 1.2", &tls.Config{Certificates: []tls.Certificate{good.TLS}, MaxVersion: tls.VersionTLS12}, trusting, "", ""},
		{"unknown authority", server(good), rc.TLSConfig{Roots: other.Pool()}, "unknown authority", "--tls-ca"},
		{"the system's authorities", server(good), rc.TLSConfig{}, "authorit", "--tls-ca"},
		{"expired", server(ca.Issue(certs.Options{NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Hour)})), trusting, "has expired on", "renew"},
		{"not yet valid", server(ca.Issue(certs.Options{NotBefore: now.Add(time.Hour), NotAfter: now.Add(2 * time.Hour)})), trusting, "not valid before", "clock"},
		{"wrong name", server(ca.Issue(certs.Options{Names: []string{"gps.example", "10.0.0.1"}})), trusting, "not for 127.0.0.1: it is for gps.example, 10.0.0.1", "--tls-server-name"},
		{"hostile names", server(ca.Issue(certs.Options{Names: []string{"a\x1b[2Jb", "c"}})), trusting, `it is for a\x1b[2Jb, c`, ""},
		{"many names", server(ca.Issue(certs.Options{Names: []string{"a.b", "c.d", "e.f", "g.h", "i.j"}})), trusting, "a.b, c.d, e.f, g.h, others", ""},
		{"the name asked for", server(ca.Issue(certs.Options{Names: []string{"gps.example"}})), with(func(t *rc.TLSConfig) { t.ServerName = "gps.example" }), "", ""},
		{"not the name asked for", server(good), with(func(t *rc.TLSConfig) { t.ServerName = "gps.example" }), "not for gps.example", ""},
		{"common name only", server(ca.Issue(certs.Options{Names: []string{"127.0.0.1"}, CommonNameOnly: true})), trusting, "no subjectAltName", "--tls-pin"},
		{"for clients only", server(ca.Issue(certs.Options{Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})), trusting, "not for servers", "serverAuth"},

		{"insecure", server(other.Issue(certs.Options{Names: []string{"x"}})), rc.TLSConfig{Insecure: true}, "", ""},
		{"pin besides", server(good), with(func(t *rc.TLSConfig) { t.Pin = rc.PinOf(good.X509) }), "", ""},
		{"pin instead", server(good), rc.TLSConfig{Insecure: true, Pin: rc.PinOf(good.X509)}, "", ""},
		{"pin is not enough", server(good), rc.TLSConfig{Roots: other.Pool(), Pin: rc.PinOf(good.X509)}, "unknown authority", "--tls-ca"},
		{"wrong pin besides", server(good), with(func(t *rc.TLSConfig) { t.Pin = rc.PinOf(ca.X509) }), "it is " + rc.PinOf(good.X509).String(), "--tls-pin"},
		{"wrong pin instead", server(good), rc.TLSConfig{Insecure: true, Pin: rc.PinOf(ca.X509)}, "not the one pinned", "--tls-pin"},

		{"client certificate", demanding(0), certificate(ca.Issue(certs.Options{})), "", ""},
		{"client certificate, TLS 1.2", demanding(tls.VersionTLS12), certificate(ca.Issue(certs.Options{})), "", ""},
		{"no client certificate", demanding(0), trusting, "asks for a certificate", "--tls-cert"},
		{"no client certificate, TLS 1.2", demanding(tls.VersionTLS12), trusting, "asks for a certificate", "--tls-cert"},
		{"unknown client certificate", demanding(0), certificate(other.Issue(certs.Options{})), "does not know the authority", "--tls-cert"},
		{"unknown client certificate, TLS 1.2", demanding(tls.VersionTLS12), certificate(other.Issue(certs.Options{})), "does not know the authority", "--tls-cert"},
		{"expired client certificate", demanding(0), certificate(ca.Issue(certs.Options{NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Hour)})), "has expired", "--tls-cert"},
		{"client certificate for servers", demanding(0), certificate(ca.Issue(certs.Options{Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}})), "does not accept", "clientAuth"},
		{"TLS 1.1", old, trusting, "version", "1.2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serveTLS(t, c.server)
			err := attempt(t, &rc.Dialer{TLS: c.client}, remoteAt(t, "rfc2217s", s.addr))
			if c.found == "" && c.hint == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil {
				t.Fatal("there is a connection")
			}
			explained(t, err, c.found, c.hint)
			if got := s.received(); got != "" {
				t.Errorf("the server was sent %q", got)
			}
		})
	}
}

// A server that demands a certificate may break the connection instead of saying
// so, or this end may find out only when it writes.
func TestCertificateWantedHoweverItEnds(t *testing.T) {
	ca := certs.NewAuthority(t, "the authority")
	cfg := &tls.Config{Certificates: []tls.Certificate{ca.Issue(certs.Options{}).TLS}, ClientAuth: tls.RequestClientCert}
	for _, c := range []struct {
		name string
		end  func(*tls.Conn, *net.TCPConn)
	}{
		{"goodbye", func(c *tls.Conn, _ *net.TCPConn) { _ = c.CloseWrite() }},
		{"close", func(_ *tls.Conn, c *net.TCPConn) { _ = c.CloseWrite() }},
		{"reset", func(_ *tls.Conn, c *net.TCPConn) { _ = c.SetLinger(0); _ = c.Close() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var wg sync.WaitGroup
			defer wg.Wait()
			addr := listen(t, "tcp", "127.0.0.1:0", func(raw net.Conn) {
				wg.Go(func() {
					defer raw.Close()
					conn := tls.Server(raw, cfg)
					if err := conn.Handshake(); err != nil {
						t.Error(err)
						return
					}
					// Only when this end has done with the handshake, too.
					_, _ = conn.Read(make([]byte, 1))
					c.end(conn, raw.(*net.TCPConn))
				})
			})
			for found, own := range map[string]*tls.Certificate{
				"asks for a certificate": nil, "had seen this end's certificate": &ca.Issue(certs.Options{}).TLS,
			} {
				d := rc.Dialer{TLS: rc.TLSConfig{Roots: ca.Pool(), Certificate: own}}
				conn, err := d.Dial(within(t), remoteAt(t, "tls", addr))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := conn.Write([]byte("x")); err != nil {
					t.Fatal(err)
				}
				_, err = conn.Read(make([]byte, 1))
				_ = conn.Close()
				explained(t, err, found, "--tls-cert")
				if errors.Is(err, io.EOF) {
					t.Error("it would be taken for an ordinary end")
				}
			}
		})
	}
}

// A server that is content ends a connection as any other does.
func TestTLSEndsOrdinarily(t *testing.T) {
	ca := certs.NewAuthority(t, "the authority")
	cfg := &tls.Config{Certificates: []tls.Certificate{ca.Issue(certs.Options{}).TLS}, ClientAuth: tls.RequestClientCert}
	for name, end := range map[string]func(*tls.Conn, net.Conn){
		"goodbye": func(c *tls.Conn, _ net.Conn) { _ = c.Close() },
		"close":   func(_ *tls.Conn, c net.Conn) { _ = c.Close() },
		"close in the middle of a record": func(_ *tls.Conn, c net.Conn) {
			_, _ = c.Write([]byte("\x17\x03\x03"))
			_ = c.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			var wg sync.WaitGroup
			defer wg.Wait()
			addr := listen(t, "tcp", "127.0.0.1:0", func(raw net.Conn) {
				wg.Go(func() {
					conn := tls.Server(raw, cfg)
					_, _ = conn.Write([]byte("hello"))
					end(conn, raw)
				})
			})
			d := rc.Dialer{TLS: rc.TLSConfig{Roots: ca.Pool()}}
			conn, err := d.Dial(within(t), remoteAt(t, "tls", addr))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			got, err := io.ReadAll(conn)
			if string(got) != "hello" || err != nil {
				t.Errorf("%q, %v; want an ordinary end", got, err)
			}
		})
	}
}

// A server that does not speak TLS.
func TestNotTLS(t *testing.T) {
	ca := certs.NewAuthority(t, "the authority")
	for name, c := range map[string]struct {
		serve       func(net.Conn)
		found, hint string
	}{
		"speaks Telnet": {func(c net.Conn) { _, _ = c.Write([]byte("\xff\xfb\x03\xff\xfd\x03\xff\xfd\x2c")) }, "does not speak TLS", "write rfc2217://127.0.0.1"},
		"closes":        {func(c net.Conn) { _ = c.Close() }, "closed the connection during the handshake", "rfc2217://"},
		"nonsense":      {func(c net.Conn) { _, _ = c.Write([]byte("\x16\x03\x01\x00\x04\x7f\x00\x00\x00")) }, "", "log"},
	} {
		t.Run(name, func(t *testing.T) {
			addr := listen(t, "tcp", "127.0.0.1:0", c.serve)
			d := rc.Dialer{TLS: rc.TLSConfig{Roots: ca.Pool()}}
			_, err := d.Dial(within(t), remoteAt(t, "rfc2217s", addr))
			explained(t, err, c.found, c.hint)
		})
	}
}

func TestPins(t *testing.T) {
	sum := bytes.Repeat([]byte{0xab, 0x01}, 16)
	digits := hex.EncodeToString(sum)
	for _, text := range []string{
		"sha256:" + digits, "sha256:" + strings.ToUpper(digits), "sha256:" + base64.StdEncoding.EncodeToString(sum),
		"sha256:" + strings.TrimSuffix(strings.Repeat("ab:01:", 16), ":"),
	} {
		p, err := rc.ParsePin(text)
		if err != nil || !bytes.Equal(p[:], sum) || p.String() != "sha256:"+digits {
			t.Errorf("%q is %v, %v", text, p, err)
		}
	}
	for _, text := range []string{
		"", digits, "sha256:", "sha1:" + digits, "sha256:" + digits[2:], "sha256:" + digits + "00", "sha256:" + strings.Repeat("0", 64),
		"sha256:" + strings.Repeat("g", 64), "SHA256:" + digits, "sha256:" + base64.RawStdEncoding.EncodeToString(sum),
	} {
		if p, err := rc.ParsePin(text); !errors.Is(err, rc.ErrPin) {
			t.Errorf("%q is %v, %v; want ErrPin", text, p, err)
		}
	}
}
