package integration

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	rc "github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
	"github.com/vcomd/vcomd/test/certs"
)

// ser2netTLS runs ser2net with its ssl gensio on a device of the test's. An authDir
// has it demand certificates of clients: authDir/COMMON-NAME/allowed_certs holds
// those, found by their hashes.
func ser2netTLS(t *testing.T, own *certs.Certificate, authDir string) server {
	t.Helper()
	need(t, "ser2net")
	d, port := newDevice(t), freePort(t)
	ssl := "key=" + own.KeyFile(t) + ",cert=" + own.CertFile(t)
	options := ""
	if authDir != "" {
		ssl += ",clientauth"
		options = "  options:\n    authdir: " + authDir + "\n"
	}
	config := filepath.Join(t.TempDir(), "ser2net.yaml")
	text := "connection: &vcomd\n" +
		"  accepter: telnet(rfc2217),ssl(" + ssl + "),tcp,127.0.0.1," + port + "\n" +
		"  connector: serialdev," + d.path + ",9600n81,local\n" + options
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	spawn(t, "ser2net", "-n", "-u", "-d", "-c", config)
	listening(t, port)
	return server{name: "ser2net", remote: "rfc2217s://127.0.0.1:" + port, device: d}
}

// Servers that are not ours.
func TestTLSServers(t *testing.T) {
	ca := certs.NewAuthority(t, "the authority")
	own := ca.Issue(certs.Options{})
	roots := ca.CertFile(t)
	serves := func(t *testing.T, s server, flags ...string) {
		t.Helper()
		v := start(t, s.remote, flags...)
		tty := openTTY(t, v.link)
		v.waitEvent("connected")
		setSpeed(t, tty, 115200)
		eventually(t, "the server acknowledges the speed", func() bool { return v.received("SET-BAUDRATE 115200") })
		if got := s.device.speed(t); got != 115200 {
			t.Errorf("the server's device is at %d bit/s, want 115200", got)
		}
		exchange(t, tty, s.device.File, append(allBytes(), pattern(256<<10, 1)...), append(allBytes(), pattern(256<<10, 2)...))
	}
	t.Run("ser2net", func(t *testing.T) {
		serves(t, ser2netTLS(t, own, ""), "--tls-ca", roots)
	})
	t.Run("ser2net with a pinned key", func(t *testing.T) {
		serves(t, ser2netTLS(t, own, ""), "--tls-insecure", "--tls-pin", rc.PinOf(own.X509).String())
	})
	t.Run("ser2net with a client certificate", func(t *testing.T) {
		need(t, "openssl")
		// The authority signs the client's, whose common name is the user's.
		client := ca.Issue(certs.Options{Names: []string{"gps"}, CommonNameOnly: true})
		allowed := filepath.Join(t.TempDir(), "gps", "allowed_certs")
		if err := os.MkdirAll(allowed, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(allowed, "ca.pem"), ca.CertPEM, 0o644); err != nil {
			t.Fatal(err)
		}
		mustRun(t, "openssl", "rehash", allowed)
		s := ser2netTLS(t, own, filepath.Dir(filepath.Dir(allowed)))
		serves(t, s, "--tls-ca", roots, "--tls-cert", client.CertFile(t), "--tls-key", client.KeyFile(t))
		v := start(t, s.remote, "--connect", "always", "--tls-ca", roots)
		if err := v.waitEvent("disconnected").Err; !strings.Contains(err, "the server asks for a certificate of this end, and there is none to show") {
			t.Errorf("without a certificate the error is %q", err)
		}
		stranger := ca.Issue(certs.Options{Names: []string{"stranger"}, CommonNameOnly: true})
		v = start(t, s.remote, "--connect", "always", "--tls-ca", roots, "--tls-cert", stranger.CertFile(t), "--tls-key", stranger.KeyFile(t))
		if err := v.waitEvent("disconnected").Err; !strings.Contains(err, "certificate") || !strings.Contains(err, "--tls-cert") {
			t.Errorf("with a certificate that is not allowed the error is %q", err)
		}
	})
	t.Run("openssl s_server", func(t *testing.T) {
		need(t, "openssl")
		port := freePort(t)
		// It sends each line back, from its end to its beginning.
		spawn(t, "openssl", "s_server", "-accept", "127.0.0.1:"+port, "-cert", own.CertFile(t), "-key", own.KeyFile(t), "-rev")
		listening(t, port)
		for _, flags := range [][]string{{"--tls-ca", roots}, {"--tls-ca", roots, "--tls-server-name", "localhost"}} {
			v := start(t, "tls://127.0.0.1:"+port, flags...)
			tty := openTTY(t, v.link)
			write(t, tty, []byte("*IDN?\n"))
			readUntil(t, tty, "?NDI*\n")
			v.end()
		}
	})
}

// recording accepts TLS, and keeps what it is sent in it.
type recording struct {
	addr string
	mu   sync.Mutex
	got  bytes.Buffer
}

func recordTLS(t *testing.T, cfg *tls.Config) *recording {
	t.Helper()
	r := &recording{}
	r.addr = listenAt(t, "tcp", "127.0.0.1:0", func(raw net.Conn) {
		c := tls.Server(raw, cfg)
		if err := c.Handshake(); err != nil {
			_, _ = io.Copy(io.Discard, raw)
			return
		}
		buf := make([]byte, 4096)
		for {
			n, err := c.Read(buf)
			r.mu.Lock()
			r.got.Write(buf[:n])
			r.mu.Unlock()
			if err != nil {
				return
			}
			if _, err := c.Write(buf[:n]); err != nil {
				return
			}
		}
	})
	return r
}

func (r *recording) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.got.String()
}

// Whatever is wrong with a certificate has a message of its own, and not one byte
// that the program has written leaves.
func TestTLSRefusals(t *testing.T) {
	ca, other := certs.NewAuthority(t, "the authority"), certs.NewAuthority(t, "another authority")
	good := ca.Issue(certs.Options{})
	own, foreign := ca.Issue(certs.Options{}), other.Issue(certs.Options{})
	roots, now := ca.CertFile(t), time.Now()
	serving := func(c *certs.Certificate) *tls.Config { return &tls.Config{Certificates: []tls.Certificate{c.TLS}} }
	demanding := serving(good)
	demanding.ClientAuth, demanding.ClientCAs = tls.RequireAndVerifyClientCert, ca.Pool()
	demanding12 := demanding.Clone()
	demanding12.MaxVersion = tls.VersionTLS12
	for _, c := range []struct {
		name   string
		server *tls.Config
		flags  []string
		err    string // empty: it works
	}{
		{"right", serving(good), []string{"--tls-ca", roots}, ""},
		{"right, with the pin", serving(good), []string{"--tls-ca", roots, "--tls-pin", rc.PinOf(good.X509).String()}, ""},
		{"right, with client certificate", demanding, []string{"--tls-ca", roots, "--tls-cert", own.CertFile(t), "--tls-key", own.KeyFile(t)}, ""},
		{"wrong authority", serving(good), []string{"--tls-ca", other.CertFile(t)}, "signed by an unknown authority; give that authority's certificate with --tls-ca"},
		{"no authority of this machine's", serving(good), nil, "authorit"},
		{"expired", serving(ca.Issue(certs.Options{NotBefore: now.Add(-2 * time.Hour), NotAfter: now.Add(-time.Hour)})), []string{"--tls-ca", roots}, "certificate has expired on"},
		{"not yet valid", serving(ca.Issue(certs.Options{NotBefore: now.Add(time.Hour), NotAfter: now.Add(2 * time.Hour)})), []string{"--tls-ca", roots}, "certificate is not valid before"},
		{"wrong name", serving(ca.Issue(certs.Options{Names: []string{"gps.example"}})), []string{"--tls-ca", roots}, "certificate is not for 127.0.0.1: it is for gps.example; write the name that it is for"},
		{"wrong pin", serving(good), []string{"--tls-ca", roots, "--tls-pin", rc.PinOf(own.X509).String()}, "key is not the one pinned: it is " + rc.PinOf(good.X509).String()},
		{"wrong pin alone", serving(good), []string{"--tls-insecure", "--tls-pin", rc.PinOf(own.X509).String()}, "key is not the one pinned"},
		{"missing client certificate", demanding, []string{"--tls-ca", roots}, "asks for a certificate of this end, and there is none to show; give one"},
		{"missing client certificate, TLS 1.2", demanding12, []string{"--tls-ca", roots}, "asks for a certificate of this end, and there is none to show; give one"},
		{"foreign client certificate", demanding, []string{"--tls-ca", roots, "--tls-cert", foreign.CertFile(t), "--tls-key", foreign.KeyFile(t)}, "does not know the authority that has signed this end's certificate"},
		{"certificate for clients", serving(ca.Issue(certs.Options{Usage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})), []string{"--tls-ca", roots}, "certificate is not for servers"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := recordTLS(t, c.server)
			v := start(t, "tls://"+s.addr, append([]string{"--retry", "20ms", "--retry-max", "50ms"}, c.flags...)...)
			tty := openTTY(t, v.link)
			write(t, tty, []byte("secret"))
			if c.err == "" {
				readUntil(t, tty, "secret")
				return
			}
			l := v.waitEvent("disconnected")
			if !strings.Contains(l.Err, c.err) || l.Level != "warn" {
				t.Errorf("logged %+v; want the error %q", l, c.err)
			}
			// Another program opens the port: that is a try of its own.
			openTTY(t, v.link)
			v.end()
			if got := s.String(); got != "" {
				t.Errorf("the server was sent %q", got)
			}
			if n := len(v.events("disconnected")); n > 3 {
				t.Errorf("told %d times, want once a reason", n)
			}
		})
	}
}

// What speaks TLS and what does not find each other out.
func TestTLSMismatch(t *testing.T) {
	ca := certs.NewAuthority(t, "the authority")
	own, roots := ca.Issue(certs.Options{}), ca.CertFile(t)
	t.Run("server without TLS", func(t *testing.T) {
		s := serve(t, &rfc2217test.Server{})
		v := start(t, "rfc2217s://"+s.addr, "--connect", "always", "--tls-ca", roots)
		if err := v.waitEvent("disconnected").Err; !strings.Contains(err, "does not speak TLS; write rfc2217://"+s.addr) {
			t.Errorf("the error is %q", err)
		}
	})
	// OpenSSL closes without a word; others send an alert.
	t.Run("server with TLS that says so", func(t *testing.T) {
		addr := listenAt(t, "tcp", "127.0.0.1:0", func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1))
			_, _ = c.Write([]byte("\x15\x03\x01\x00\x02\x02\x46")) // fatal, protocol_version
		})
		for _, scheme := range []string{"rfc2217", "telnet", "tcp"} {
			v := start(t, scheme+"://"+addr)
			write(t, openTTY(t, v.link), []byte("x"))
			secure := map[string]string{"rfc2217": "rfc2217s", "telnet": "telnets", "tcp": "tls"}[scheme]
			if err := v.waitEvent("disconnected").Err; !strings.Contains(err, "speaks TLS; write "+secure+"://"+addr) {
				t.Errorf("the error is %q", err)
			}
		}
	})
	t.Run("server with TLS", func(t *testing.T) {
		need(t, "openssl")
		port := freePort(t)
		spawn(t, "openssl", "s_server", "-accept", "127.0.0.1:"+port, "-cert", own.CertFile(t), "-key", own.KeyFile(t), "-rev")
		listening(t, port)
		v := start(t, "127.0.0.1:"+port, "--connect", "always")
		if err := v.waitEvent("disconnected").Err; !strings.Contains(err, "write rfc2217s://127.0.0.1:"+port) {
			t.Errorf("the error is %q", err)
		}
	})
}

// An unverified connection is warned of at the start and each time it is made,
// unless the key is pinned.
func TestInsecureIsWarnedOf(t *testing.T) {
	ca := certs.NewAuthority(t, "the authority")
	own := ca.Issue(certs.Options{})
	s := recordTLS(t, &tls.Config{Certificates: []tls.Certificate{own.TLS}})
	v := start(t, "tls://"+s.addr, "--tls-insecure", "--close-delay", "0")
	if l := v.waitEvent("unverified"); l.Level != "warn" || !strings.Contains(l.Message, "NOT checked (--tls-insecure)") {
		t.Errorf("logged at the start: %+v", l)
	}
	for i := range 2 {
		v.carries("hello")
		v.waitEvents("stopped", i+1)
		if n := len(v.waitEvents("unverified", i+2)); n != i+2 {
			t.Errorf("%d warnings after %d connections", n, i+1)
		}
	}
	v = start(t, "tls://"+s.addr, "--tls-insecure", "--tls-pin", rc.PinOf(own.X509).String())
	v.carries("hello")
	if l := v.events("unverified"); len(l) > 0 {
		t.Errorf("warned though the key is pinned: %+v", l)
	}
}

// The pin is what docs/configuration.md computes with openssl.
func TestPinByOpenSSL(t *testing.T) {
	need(t, "openssl", "sh")
	own := certs.NewAuthority(t, "the authority").Issue(certs.Options{})
	out := mustRun(t, "sh", "-c", "openssl x509 -in "+own.CertFile(t)+" -noout -pubkey | openssl pkey -pubin -outform der | openssl dgst -sha256 -r")
	digits, _, _ := strings.Cut(out, " ")
	if pin, err := rc.ParsePin("sha256:" + digits); err != nil || pin != rc.PinOf(own.X509) {
		t.Errorf("openssl says %q, %v; want %v", digits, err, rc.PinOf(own.X509))
	}
}
