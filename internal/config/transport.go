package config

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"

	"github.com/vcomd/vcomd/rfc2217client"
)

// Transport is how a port's connection is made, as it was written: empty means
// default.
type Transport struct {
	Bind          string
	Proxy         string
	TLSCA         string
	TLSCert       string
	TLSKey        string
	TLSServerName string
	TLSPin        string
	TLSInsecure   bool
}

// NoProxy is the value of --proxy that ignores the environment's.
const NoProxy = "none"

// defaultSOCKSPort is the port of a proxy that names none (RFC 1928 section 3).
const defaultSOCKSPort = "1080"

// maxPEM bounds what is read of a file with certificates or a key, in bytes: a list
// of all public authorities has a fifth of that.
const maxPEM = 1 << 20

// dialer returns how r is to be connected to. Files are read now: what is wrong
// with one is found before anything is set up.
func (t Transport) dialer(r rfc2217client.Remote, files *cache) (rfc2217client.Dialer, error) {
	var d rfc2217client.Dialer
	if err := t.contradictions(r); err != nil {
		return d, err
	}
	var err error
	if d.Proxy, err = t.proxy(r); err != nil {
		return d, err
	}
	if d.Bind, err = t.bind(r, d.Proxy); err != nil {
		return d, err
	}
	d.TLS, err = t.tls(files)
	return d, err
}

// contradictions finds flags that do not go with the remote, or with each other.
func (t Transport) contradictions(r rfc2217client.Remote) error {
	if !r.TLS {
		hint := "leave it out"
		if r.Host != "" {
			secure := r
			secure.TLS = true
			hint = fmt.Sprintf("write %v, or leave it out", secure)
		}
		for _, f := range []struct{ name, value string }{
			{"--tls-ca", t.TLSCA},
			{"--tls-cert", t.TLSCert},
			{"--tls-key", t.TLSKey},
			{"--tls-server-name", t.TLSServerName},
			{"--tls-pin", t.TLSPin},
		} {
			if f.value != "" {
				return &Error{f.name, f.value, fmt.Sprintf("it is for TLS, which the remote %s does not use", r), hint, nil}
			}
		}
		if t.TLSInsecure {
			return &Error{"--tls-insecure", "", fmt.Sprintf("it is for TLS, which the remote %s does not use", r), hint, nil}
		}
	}
	if r.Host == "" {
		found := fmt.Sprintf("it is for TCP, which the remote %s does not use", r)
		if t.Bind != "" {
			return &Error{"--bind", t.Bind, found, "leave it out", nil}
		}
		if t.Proxy != "" && t.Proxy != NoProxy {
			return &Error{"--proxy", redact(t.Proxy), found, "leave it out", nil}
		}
	}
	switch {
	case t.TLSCert != "" && t.TLSKey == "":
		return &Error{"--tls-cert", t.TLSCert, "there is no --tls-key with it", "give the certificate's private key with --tls-key FILE; it may be the same file", nil}
	case t.TLSKey != "" && t.TLSCert == "":
		return &Error{"--tls-key", t.TLSKey, "there is no --tls-cert with it", "give the key's certificate with --tls-cert FILE; it may be the same file", nil}
	case t.TLSInsecure && t.TLSCA != "":
		return &Error{"--tls-insecure", "", "it contradicts --tls-ca: one checks the server's certificate, the other does not", "leave one of them out", nil}
	}
	return nil
}

// bind reads --bind, which has to fit what is connected to.
func (t Transport) bind(r rfc2217client.Remote, proxy *rfc2217client.Proxy) (netip.Addr, error) {
	if t.Bind == "" {
		return netip.Addr{}, nil
	}
	addr, err := netip.ParseAddr(t.Bind)
	if err != nil || addr.IsMulticast() {
		return netip.Addr{}, &Error{"--bind", t.Bind, "this is not an address of this machine", "write an IP address, without a port: 192.0.2.1 or 2001:db8::1", err}
	}
	addr = addr.Unmap()
	what, host := "remote "+r.String(), r.Host
	if proxy != nil {
		what = "proxy " + proxy.String()
		host = netHost(proxy.Address)
	}
	if to, err := netip.ParseAddr(host); err == nil && to.Unmap().Is4() != addr.Is4() {
		return netip.Addr{}, &Error{
			"--bind", t.Bind, fmt.Sprintf("one of it and the %s is an IPv4 address, the other an IPv6 address", what),
			"bind to an address of the same family, or leave it out", nil,
		}
	}
	return addr, nil
}

// proxy reads --proxy, or the environment's proxy for this remote.
func (t Transport) proxy(r rfc2217client.Remote) (*rfc2217client.Proxy, error) {
	switch {
	case t.Proxy == NoProxy || r.Host == "":
		return nil, nil
	case t.Proxy != "":
		return parseProxy("--proxy", t.Proxy)
	}
	for _, name := range []string{"ALL_PROXY", "all_proxy"} {
		value := os.Getenv(name)
		if value == "" {
			continue
		}
		if bypasses(cmp.Or(os.Getenv("NO_PROXY"), os.Getenv("no_proxy")), r.Host, r.Port) {
			return nil, nil
		}
		p, err := parseProxy(name, value)
		if wrong, ok := errors.AsType[*Error](err); ok {
			wrong.Hint += ", or --proxy none to ignore " + name
		}
		return p, err
	}
	return nil, nil
}

// parseProxy reads the URL of a SOCKS 5 proxy.
func parseProxy(setting, text string) (*rfc2217client.Proxy, error) {
	const hint = "write socks5://host:1080, or socks5h://host:1080 to have the proxy look up names; with USER:PASSWORD@ before the host if it asks"
	fail := func(found string) (*rfc2217client.Proxy, error) {
		return nil, &Error{setting, redact(text), found, hint, nil}
	}
	scheme, _, ok := strings.Cut(text, "://")
	if !ok {
		return fail("this is not the URL of a proxy")
	}
	var p rfc2217client.Proxy
	switch strings.ToLower(scheme) {
	case "socks5":
	case "socks5h":
		p.ResolvesNames = true
	default:
		return fail("this is not a SOCKS 5 proxy")
	}
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || strings.ContainsFunc(u.Host, func(c rune) bool { return c <= ' ' || c == 0x7f }) {
		return fail("there is no host that could be read")
	}
	if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "" {
		return fail("there is something after the host and the port")
	}
	port := cmp.Or(u.Port(), defaultSOCKSPort)
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fail("the port is not a number from 1 to 65535")
	}
	p.Address = rfc2217client.Remote{Host: u.Hostname(), Port: port}.Address()
	if u.User != nil {
		p.User = u.User.Username()
		p.Password, _ = u.User.Password()
		if p.User == "" || len(p.User) > 255 || len(p.Password) > 255 {
			return fail("the user has not 1 to 255 bytes, or the password more than 255")
		}
	}
	return &p, nil
}

// redact hides user and password of a URL, however wrong it is.
func redact(text string) string {
	at := strings.LastIndexByte(text, '@')
	if at < 0 {
		return text
	}
	begin := 0
	if i := strings.Index(text, "://"); i >= 0 && i < at {
		begin = i + len("://")
	}
	return text[:begin] + "…" + text[at:]
}

// tls reads what is about TLS.
func (t Transport) tls(files *cache) (rfc2217client.TLSConfig, error) {
	c := rfc2217client.TLSConfig{Insecure: t.TLSInsecure}
	var err error
	if t.TLSCA != "" {
		if c.Roots, err = files.roots.get(t.TLSCA, func() (*x509.CertPool, error) { return readRoots(files, t.TLSCA) }); err != nil {
			return c, err
		}
	}
	if t.TLSCert != "" {
		if c.Certificate, err = files.pairs.get([2]string{t.TLSCert, t.TLSKey}, func() (*tls.Certificate, error) {
			return readCertificate(files, t.TLSCert, t.TLSKey)
		}); err != nil {
			return c, err
		}
	}
	if c.ServerName = t.TLSServerName; c.ServerName != "" && !isServerName(c.ServerName) {
		return c, &Error{"--tls-server-name", t.TLSServerName, "this is not a host's name or address", "write the name in the server's certificate, without scheme and port", nil}
	}
	if t.TLSPin != "" {
		if c.Pin, err = rfc2217client.ParsePin(t.TLSPin); err != nil {
			return c, &Error{
				"--tls-pin", t.TLSPin, "this is not the SHA-256 of a key",
				"write sha256: and 64 hexadecimal digits, or base64; docs/configuration.md says how to compute it", err,
			}
		}
	}
	return c, nil
}

func isServerName(name string) bool {
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	return len(name) <= 253 && !strings.ContainsFunc(name, notInName)
}

// readRoots reads the authorities to trust.
func readRoots(files *cache, path string) (*x509.CertPool, error) {
	certificates, err := readCertificates(files, "--tls-ca", path)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	for _, c := range certificates {
		pool.AddCert(c)
	}
	return pool, nil
}

// readCertificates reads a file of certificates, all of which must be valid.
func readCertificates(files *cache, setting, path string) ([]*x509.Certificate, error) {
	text, err := files.pem(setting, path)
	if err != nil {
		return nil, err
	}
	var all []*x509.Certificate
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, &Error{setting, path, fmt.Sprintf("certificate %d in the file is damaged", len(all)+1), "look at it with openssl x509 -text -in", err}
		}
		all = append(all, c)
	}
	if len(all) > 0 {
		return all, nil
	}
	if _, err := x509.ParseCertificate(text); err == nil {
		return nil, &Error{setting, path, "the certificate is in DER form, not PEM", "convert it: openssl x509 -inform der -in FILE -out FILE.pem", nil}
	}
	return nil, &Error{setting, path, "there is no certificate in the file", "give a file in PEM form, with a line -----BEGIN CERTIFICATE-----", nil}
}

// readCertificate reads this end's certificate, with those that lead to its
// authority, and its key.
func readCertificate(files *cache, certPath, keyPath string) (*tls.Certificate, error) {
	if _, err := readCertificates(files, "--tls-cert", certPath); err != nil {
		return nil, err
	}
	cert, err := files.pem("--tls-cert", certPath)
	if err != nil {
		return nil, err
	}
	key, err := readKey(files, keyPath)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, &Error{
			"--tls-key", keyPath, fmt.Sprintf("it is not the key of the certificate in --tls-cert %q: %v", certPath, err),
			"give the two that were made together", err,
		}
	}
	return &pair, nil
}

// readKey reads a file with a private key, which vcomd must be able to use without
// asking anybody.
func readKey(files *cache, path string) ([]byte, error) {
	text, err := files.pem("--tls-key", path)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		if strings.HasPrefix(block.Type, "ENCRYPTED") || strings.Contains(block.Headers["Proc-Type"], "ENCRYPTED") {
			return nil, &Error{"--tls-key", path, "the key is encrypted, and there is nobody to ask for the passphrase", "decrypt it: openssl pkey -in FILE -out FILE.key", nil}
		}
		return text, nil
	}
	return nil, &Error{"--tls-key", path, "there is no private key in the file", "give a file in PEM form, with a line -----BEGIN PRIVATE KEY-----", nil}
}

// readPEM reads a file that a flag names.
func readPEM(setting, path string) ([]byte, error) {
	f, err := os.Open(path)
	var text []byte
	if err == nil {
		defer func() { _ = f.Close() }()
		text, err = io.ReadAll(io.LimitReader(f, maxPEM+1))
	}
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		err = failed.Err // the path is named already
	}
	if err != nil {
		return nil, &Error{setting, path, "the file cannot be read: " + err.Error(), "give a file that this user may read", err}
	}
	if len(text) > maxPEM {
		return nil, &Error{setting, path, "the file is longer than a MiB", "give a file with nothing but certificates and keys in PEM form", nil}
	}
	return text, nil
}
