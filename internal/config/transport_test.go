package config

import (
	"encoding/pem"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/test/certs"
)

// noEnvironment takes the proxies of whoever runs the test away.
func noEnvironment(t *testing.T) {
	t.Helper()
	for _, name := range []string{"ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"} {
		t.Setenv(name, "")
	}
}

func writeFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTransport(t *testing.T) {
	noEnvironment(t)
	ca := certs.NewAuthority(t, "the authority")
	own := ca.Issue(certs.Options{})
	pin := rfc2217client.PinOf(own.X509)
	c, err := Port{Remote: "tls://host:1", Transport: Transport{
		Bind: "192.0.2.1", Proxy: "socks5h://me:p%40ss@proxy", TLSCA: ca.CertFile(t), TLSCert: own.CertFile(t), TLSKey: own.KeyFile(t),
		TLSServerName: "gps.example", TLSPin: pin.String(),
	}}.Validate()
	if err != nil {
		t.Fatal(err)
	}
	d := c.Dialer
	if want := (rfc2217client.Proxy{Address: "proxy:1080", User: "me", Password: "p@ss", ResolvesNames: true}); d.Proxy == nil || *d.Proxy != want {
		t.Errorf("proxy %+v, want %+v", d.Proxy, want)
	}
	if got := d.Proxy.String(); got != "socks5h://…@proxy:1080" {
		t.Errorf("the proxy is shown as %s", got)
	}
	if d.Bind != netip.MustParseAddr("192.0.2.1") || d.TLS.ServerName != "gps.example" || d.TLS.Pin != pin || d.TLS.Insecure {
		t.Errorf("got %+v", d)
	}
	if !d.TLS.Roots.Equal(ca.Pool()) {
		t.Error("other roots")
	}
	if d.TLS.Certificate == nil || !d.TLS.Certificate.Leaf.Equal(own.X509) {
		t.Error("another certificate")
	}
}

func TestTransportDefaults(t *testing.T) {
	noEnvironment(t)
	for _, remote := range []string{"host", "tls://host:1", "unix:/run/s", "sim:gps"} {
		c, err := Port{Remote: remote}.Validate()
		if err != nil || !reflect.DeepEqual(c.Dialer, rfc2217client.Dialer{}) {
			t.Errorf("%s: %+v, %v; want the zero Dialer", remote, c.Dialer, err)
		}
	}
	for _, c := range []struct {
		remote    string
		transport Transport
	}{
		{"unix:/run/s", Transport{Proxy: "none"}},
		{"sim:gps", Transport{Proxy: "none"}},
		{"tls://host:1", Transport{TLSInsecure: true}},
		{"tls://host:1", Transport{TLSInsecure: true, TLSServerName: "10.0.0.1", TLSPin: "sha256:" + strings.Repeat("ab", 32)}},
		{"[2001:db8::1]", Transport{Bind: "2001:db8::2"}},
		{"host", Transport{Bind: "fe80::1%eth0"}},
		{"[2001:db8::1]", Transport{Bind: "192.0.2.1", Proxy: "socks5://192.0.2.7"}}, // it is the proxy that is connected to
	} {
		if _, err := (Port{Remote: c.remote, Transport: c.transport}).Validate(); err != nil {
			t.Errorf("%s with %+v: %v", c.remote, c.transport, err)
		}
	}
}

// Every error names the flag, says what was found, and what to do; contradictions
// name both.
func TestTransportErrors(t *testing.T) {
	noEnvironment(t)
	ca := certs.NewAuthority(t, "the authority")
	own, other := ca.Issue(certs.Options{}), ca.Issue(certs.Options{})
	cert, key, otherKey := own.CertFile(t), own.KeyFile(t), other.KeyFile(t)
	missing := filepath.Join(t.TempDir(), "missing")
	const secure = "rfc2217s://host"
	for _, c := range []struct {
		remote    string
		transport Transport
		setting   string
		found     string // parts, divided by …
		hint      string
	}{
		{"host", Transport{TLSCA: cert}, "--tls-ca", "TLS…rfc2217://host:2217", "write rfc2217s://host:2217"},
		{"telnet://host", Transport{TLSCert: cert}, "--tls-cert", "TLS…telnet://host:23", "telnets://host:23"},
		{"tcp://host:1", Transport{TLSPin: "x"}, "--tls-pin", "TLS…tcp://host:1", "tls://host:1"},
		{"tcp://host:1", Transport{TLSKey: key}, "--tls-key", "TLS…tcp://host:1", "tls://host:1"},
		{"tcp://host:1", Transport{TLSServerName: "x"}, "--tls-server-name", "TLS…tcp://host:1", "tls://host:1"},
		{"unix:/run/s", Transport{TLSInsecure: true}, "--tls-insecure", "TLS…unix:/run/s", "leave it out"},
		{"sim:gps", Transport{TLSInsecure: true}, "--tls-insecure", "TLS…sim:gps", "leave it out"},
		{"unix:/run/s", Transport{Bind: "192.0.2.1"}, "--bind", "TCP…unix:/run/s", "leave it out"},
		{"sim:gps", Transport{Proxy: "socks5://me:secret@p"}, "--proxy", "TCP…sim:gps", "leave it out"},
		{secure, Transport{TLSCert: cert}, "--tls-cert", "no --tls-key", "--tls-key FILE"},
		{secure, Transport{TLSKey: key}, "--tls-key", "no --tls-cert", "--tls-cert FILE"},
		{secure, Transport{TLSInsecure: true, TLSCA: cert}, "--tls-insecure", "contradicts --tls-ca", "one of them"},
		{"192.0.2.7", Transport{Bind: "2001:db8::1"}, "--bind", "IPv4…rfc2217://192.0.2.7:2217", "same family"},
		{"host", Transport{Bind: "2001:db8::1", Proxy: "socks5://192.0.2.7"}, "--bind", "IPv4…proxy socks5://192.0.2.7:1080", "same family"},

		{"host", Transport{Bind: "eth0"}, "--bind", "not an address", "IP address"},
		{"host", Transport{Bind: "192.0.2.1:0"}, "--bind", "not an address", "IP address"},
		{"host", Transport{Bind: "224.0.0.1"}, "--bind", "not an address", "IP address"},
		{"host", Transport{Proxy: "proxy:1080"}, "--proxy", "not the URL", "socks5://host:1080"},
		{"host", Transport{Proxy: "http://proxy:1080"}, "--proxy", "not a SOCKS 5", "socks5h://"},
		{"host", Transport{Proxy: "socks5://"}, "--proxy", "no host", "socks5://"},
		{"host", Transport{Proxy: "socks5://me:secret@proxy:x"}, "--proxy", "no host", "socks5://"},
		{"host", Transport{Proxy: "socks5://proxy:0"}, "--proxy", "1 to 65535", "socks5://"},
		{"host", Transport{Proxy: "socks5://proxy/path"}, "--proxy", "after the host", "socks5://"},
		{"host", Transport{Proxy: "socks5://:secret@proxy"}, "--proxy", "user", "socks5://"},
		{"host", Transport{Proxy: "socks5://" + strings.Repeat("u", 256) + ":secret@proxy"}, "--proxy", "user", "socks5://"},
		{"host", Transport{Proxy: "socks5://me\x00:secret@proxy"}, "--proxy", "no host", "socks5://"},
		{secure, Transport{TLSPin: "sha256:1234"}, "--tls-pin", "not the SHA-256", "64 hexadecimal"},
		{secure, Transport{TLSServerName: "https://host"}, "--tls-server-name", "not a host", "without scheme"},
		{secure, Transport{TLSCA: missing}, "--tls-ca", "cannot be read: no such file", "may read"},
		{secure, Transport{TLSCA: t.TempDir()}, "--tls-ca", "is a directory", "may read"},
		{secure, Transport{TLSCA: writeFile(t, "")}, "--tls-ca", "no certificate", "PEM"},
		{secure, Transport{TLSCA: key}, "--tls-ca", "no certificate", "PEM"},
		{secure, Transport{TLSCA: writeFile(t, string(own.X509.Raw))}, "--tls-ca", "DER", "openssl x509 -inform der"},
		{secure, Transport{TLSCA: writeFile(t, string(ca.CertPEM)+"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")}, "--tls-ca", "certificate 2 in the file is damaged", "openssl"},
		{secure, Transport{TLSCA: writeFile(t, strings.Repeat("x", 1<<20+1))}, "--tls-ca", "longer than a MiB", "PEM"},
		{secure, Transport{TLSCert: missing, TLSKey: key}, "--tls-cert", "no such file", "may read"},
		{secure, Transport{TLSCert: cert, TLSKey: missing}, "--tls-key", "no such file", "may read"},
		{secure, Transport{TLSCert: cert, TLSKey: cert}, "--tls-key", "no private key", "BEGIN PRIVATE KEY"},
		{secure, Transport{TLSCert: cert, TLSKey: otherKey}, "--tls-key", "not the key…--tls-cert", "together"},
		{
			secure,
			Transport{TLSCert: cert, TLSKey: writeFile(t, string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte{1}})))},
			"--tls-key", "encrypted", "openssl pkey",
		},
		{
			secure,
			Transport{TLSCert: cert, TLSKey: writeFile(t, string(pem.EncodeToMemory(&pem.Block{
				Type: "RSA PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"}, Bytes: []byte{1},
			})))},
			"--tls-key", "encrypted", "openssl pkey",
		},
	} {
		t.Run(c.setting+" "+c.found, func(t *testing.T) {
			_, err := Port{Remote: c.remote, Transport: c.transport}.Validate()
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("error %v, want an *Error", err)
			}
			if e.Setting != c.setting || !strings.Contains(e.Hint, c.hint) {
				t.Errorf("got %+v", e)
			}
			for part := range strings.SplitSeq(c.found, "…") {
				if !strings.Contains(e.Found, part) {
					t.Errorf("found %q, want %q in it", e.Found, part)
				}
			}
			if text := err.Error(); strings.ContainsAny(text, "\n\x00") || strings.Contains(text, "secret") || strings.Contains(text, `""`) {
				t.Errorf("%q is not one line that may be shown", text)
			}
		})
	}
}

func TestProxyOfTheEnvironment(t *testing.T) {
	for _, c := range []struct {
		name      string
		all, no   string
		lowerCase bool
		remote    string
		flag      string
		want      string // the proxy
		err       string // its setting
	}{
		{"used", "socks5://p:1", "", false, "host", "", "socks5://p:1", ""},
		{"lower case", "socks5h://p", "", true, "host", "", "socks5h://p:1080", ""},
		{"bypassed", "socks5://p:1", "other, host", false, "host", "", "", ""},
		{"bypassed in lower case", "socks5://p:1", "*", true, "host", "", "", ""},
		{"not the flag", "socks5://p:1", "*", false, "host", "socks5://q:2", "socks5://q:2", ""},
		{"ignored", "socks5://p:1", "", false, "host", "none", "", ""},
		{"not for Unix sockets", "http://p:1", "", false, "unix:/run/s", "", "", ""},
		{"not for the simulator", "http://p:1", "", false, "sim:gps", "", "", ""},
		{"another kind", "http://p:1", "", false, "host", "", "", "ALL_PROXY"},
		{"another kind, bypassed", "http://p:1", "host", false, "host", "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			noEnvironment(t)
			names := []string{"ALL_PROXY", "NO_PROXY"}
			if c.lowerCase {
				names = []string{"all_proxy", "no_proxy"}
			}
			t.Setenv(names[0], c.all)
			t.Setenv(names[1], c.no)
			got, err := Port{Remote: c.remote, Transport: Transport{Proxy: c.flag}}.Validate()
			if e, ok := errors.AsType[*Error](err); ok {
				if e.Setting != c.err || !strings.Contains(e.Hint, "--proxy none") {
					t.Errorf("error %v", err)
				}
				return
			}
			text := ""
			if got.Dialer.Proxy != nil {
				text = got.Dialer.Proxy.String()
			}
			if err != nil || text != c.want || c.err != "" {
				t.Errorf("proxy %q, %v; want %q, an error for %q", text, err, c.want, c.err)
			}
		})
	}
}

func TestBypasses(t *testing.T) {
	for _, c := range []struct {
		list, host string
		want       bool
	}{
		{"", "host", false},
		{"*", "host", true},
		{"*", "192.0.2.1", true},
		{"host", "host", true},
		{"HOST", "host.", true},
		{"host", "gps.host", true},
		{"host", "myhost", false},
		{".host", "gps.host", true},
		{".host", "host", false},
		{"*.host", "gps.host", true},
		{"*.host", "host", false},
		{"a, host ,b", "host", true},
		{"host:2217", "host", true},
		{"host:23", "host", false},
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1:2217", "192.0.2.1", true},
		{"192.0.2.1:23", "192.0.2.1", false},
		{"192.0.2.0/24", "192.0.2.1", true},
		{"192.0.3.0/24", "192.0.2.1", false},
		{"2001:db8::/32", "2001:db8::1", true},
		{"2001:db8::1", "2001:db8::1", true},
		{"[2001:db8::1]", "2001:db8::1", true},
		{"[2001:db8::1]:2217", "2001:db8::1", true},
		{"::ffff:192.0.2.1", "192.0.2.1", true},
		{"2.1", "192.0.2.1", false}, // the end of a name, not of an address
		{".", "host", false},
		{",", "host", false},
	} {
		if got := bypasses(c.list, c.host, "2217"); got != c.want {
			t.Errorf("%q bypasses %s: %v, want %v", c.list, c.host, got, c.want)
		}
	}
}

// A port's default name can stand in a file's name and in logs.
func TestDefaultNames(t *testing.T) {
	for remote, want := range map[string]string{
		"rfc2217s://host":                  "host-2217",
		"unix:/run/ser2net.sock":           "ser2net.sock",
		"unix:@abstract":                   "abstract",
		"raw+unix:a b":                     "a-b",
		"unix:/run/.hidden":                "-hidden",
		"unix:/":                           "-",
		"bücher.example":                   "b-cher.example-2217",
		"[fe80::1%eth0]":                   "fe80--1-eth0-2217",
		"sim:gps":                          "sim-gps",
		"unix:" + strings.Repeat("x", 100): strings.Repeat("x", 64),
	} {
		c, err := Port{Remote: remote}.Validate()
		if err != nil || c.Name != want {
			t.Errorf("%s is called %q, %v; want %q", remote, c.Name, err, want)
		}
		if _, err := (Port{Remote: remote, Name: c.Name}).Validate(); err != nil {
			t.Errorf("the name made of %s is none: %v", remote, err)
		}
	}
}
