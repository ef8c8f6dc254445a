// Package certs makes certificates for tests: authorities, and what they sign.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// Authority signs certificates.
type Authority struct {
	*Certificate
	t *testing.T
}

// Certificate is a certificate with its key.
type Certificate struct {
	X509            *x509.Certificate
	TLS             tls.Certificate
	CertPEM, KeyPEM []byte
}

// Options say what a certificate is like. The zero value is one that is valid today
// for localhost and 127.0.0.1, for servers and clients.
type Options struct {
	// Names are whom it is for, names and addresses; nil: localhost, 127.0.0.1, ::1.
	Names []string
	// NotBefore and NotAfter are when it is valid; zero: an hour ago, in an hour.
	NotBefore, NotAfter time.Time
	// CommonNameOnly leaves the names out of subjectAltName.
	CommonNameOnly bool
	// Usage is what it is for; nil: servers and clients.
	Usage []x509.ExtKeyUsage
}

// NewAuthority makes an authority.
func NewAuthority(t *testing.T, name string) *Authority {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	return &Authority{Certificate: sign(t, template, nil), t: t}
}

// Issue makes a certificate.
func (a *Authority) Issue(o Options) *Certificate {
	a.t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "localhost"},
		NotBefore: o.NotBefore, NotAfter: o.NotAfter, ExtKeyUsage: o.Usage, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-time.Hour)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(time.Hour)
	}
	if o.Usage == nil {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	}
	names := o.Names
	if names == nil {
		names = []string{"localhost", "127.0.0.1", "::1"}
	}
	for _, name := range names {
		if o.CommonNameOnly {
			template.Subject.CommonName = name
		} else if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return sign(a.t, template, a)
}

// Pool is the authority as the only one.
func (a *Authority) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.X509)
	return pool
}

// sign makes a certificate of a template; by nil, it signs itself.
func sign(t *testing.T, template *x509.Certificate, by *Authority) *Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, signer := template, key
	if by != nil {
		var ok bool
		if signer, ok = by.TLS.PrivateKey.(*ecdsa.PrivateKey); !ok {
			t.Fatalf("the authority's key is a %T", by.TLS.PrivateKey)
		}
		parent = by.X509
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	c := &Certificate{
		CertPEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		KeyPEM:  pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}
	if c.TLS, err = tls.X509KeyPair(c.CertPEM, c.KeyPEM); err != nil {
		t.Fatal(err)
	}
	if c.X509, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return c
}

// CertFile returns a file with the certificate.
func (c *Certificate) CertFile(t *testing.T) string {
	t.Helper()
	return file(t, "cert.pem", c.CertPEM)
}

// KeyFile returns a file with the key.
func (c *Certificate) KeyFile(t *testing.T) string {
	t.Helper()
	return file(t, "key.pem", c.KeyPEM)
}

func file(t *testing.T, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
