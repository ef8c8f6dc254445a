package rfc2217client

import (
	"cmp"
	"context"
	"crypto/sha256"
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
	"sync/atomic"
	"time"
)

// TLSConfig says how an access server proves in TLS who it is, and how this end
// does. The zero value checks the server's certificate against the system's
// authorities and the Remote's host, and has no certificate to show. The version
// is 1.2 or newer.
type TLSConfig struct {
	// Roots are the authorities to trust instead of the system's; nil: those.
	Roots *x509.CertPool
	// Certificate is what a server is shown that asks for one; nil: none.
	Certificate *tls.Certificate
	// ServerName is the name or address that the certificate must have instead of
	// the Remote's host, and that the server is told (SNI, RFC 6066).
	ServerName string
	// Pin is the key that the server must have besides; zero: any.
	Pin Pin
	// Insecure has the certificate not checked. The Pin still is: with one, the
	// connection is as safe as the server's key.
	Insecure bool
}

// Unverified reports whether anybody could pretend to be the server.
func (t *TLSConfig) Unverified() bool { return t.Insecure && t.Pin == Pin{} }

// Pin is the SHA-256 of a public key in its certificate's encoding
// (SubjectPublicKeyInfo, RFC 7469 section 2.4). It outlives the certificate, which
// can be renewed for the same key. The zero Pin stands for none.
type Pin [sha256.Size]byte

// PinOf returns a certificate's pin.
func PinOf(c *x509.Certificate) Pin { return sha256.Sum256(c.RawSubjectPublicKeyInfo) }

// String gives the pin as ParsePin takes it.
func (p Pin) String() string { return pinPrefix + hex.EncodeToString(p[:]) }

const pinPrefix = "sha256:"

// ErrPin is what ParsePin returns.
var ErrPin = errors.New("not a pin: sha256: and 64 hexadecimal digits, or base64")

// ParsePin reads sha256:HEX, with or without colons between the bytes, or
// sha256:BASE64.
func ParsePin(text string) (Pin, error) {
	digits, ok := strings.CutPrefix(text, pinPrefix)
	if !ok {
		return Pin{}, ErrPin
	}
	sum, err := hex.DecodeString(strings.ReplaceAll(digits, ":", ""))
	if err != nil || len(sum) != sha256.Size {
		sum, err = base64.StdEncoding.Strict().DecodeString(digits)
	}
	if err != nil || len(sum) != sha256.Size || Pin(sum) == (Pin{}) {
		return Pin{}, ErrPin
	}
	return Pin(sum), nil
}

// PinError means that the server's key is another than the one pinned.
type PinError struct{ Want, Got Pin }

func (e *PinError) Error() string { return fmt.Sprintf("the key is %v, not %v", e.Got, e.Want) }

// handshake speaks TLS on a connection to r. On an error the caller closes it.
func (t *TLSConfig) handshake(ctx context.Context, conn net.Conn, r Remote) (net.Conn, error) {
	host, _, _ := strings.Cut(r.Host, "%") // a zone is this machine's business
	c := &tlsConn{remote: r, name: cmp.Or(t.ServerName, host), ended: make(chan struct{})}
	c.Conn = tls.Client(conn, &tls.Config{
		MinVersion:         tls.VersionTLS12,
		RootCAs:            t.Roots,
		ServerName:         c.name,
		InsecureSkipVerify: t.Insecure, //nolint:gosec // only if the user says so; the daemon warns at each connection
		VerifyConnection: func(s tls.ConnectionState) error {
			if (t.Pin == Pin{}) {
				return nil
			}
			if got := PinOf(s.PeerCertificates[0]); got != t.Pin {
				return &PinError{Want: t.Pin, Got: got}
			}
			return nil
		},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if c.asked = true; t.Certificate == nil {
				return new(tls.Certificate), nil
			}
			c.shown = true
			return t.Certificate, nil
		},
	})
	if err := c.HandshakeContext(ctx); err != nil {
		return nil, explainTLS(c.remote, c.name, c.asked && !c.shown, err)
	}
	return c, nil
}

// tlsConn is a TLS connection that says why it ends. In TLS 1.3 this end has done
// with the handshake before the server has looked at its certificate: what the
// server thinks of it comes with the first read, or as a connection that breaks.
type tlsConn struct {
	*tls.Conn

	remote Remote
	name   string
	asked  bool        // the server has asked for a certificate
	shown  bool        // there was one to show
	heard  atomic.Bool // the server has sent something: it is content

	once   sync.Once
	ended  chan struct{} // closed when Read has failed, with reason set
	reason error
}

// reasonWait bounds how long a Write that has failed waits for Read to say why.
const reasonWait = time.Second

func (c *tlsConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.heard.Store(true)
	}
	if err = c.explain(err); err != nil {
		c.once.Do(func() {
			c.reason = err
			close(c.ended)
		})
	}
	return n, err
}

// Write prefers the reason that another goroutine's Read finds: when a server has
// sent it and closed the connection, a Write only finds that closed.
func (c *tlsConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err == nil || errors.Is(err, net.ErrClosed) {
		return n, err
	}
	timeout := time.NewTimer(reasonWait)
	defer timeout.Stop()
	select {
	case <-c.ended:
		if _, says := errors.AsType[*ConnectError](c.reason); says {
			return n, c.reason
		}
	case <-timeout.C:
	}
	return n, c.explain(err)
}

func (c *tlsConn) explain(err error) error {
	if err == nil {
		return nil
	}
	// Many servers end a connection without TLS's own goodbye.
	ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	if ended {
		err = io.EOF
	}
	_, isAlert := alertOf(err)
	switch {
	case isAlert:
		return explainTLS(c.remote, c.name, c.asked && !c.shown, err)
	case errors.Is(err, net.ErrClosed):
		return err
	case c.asked && !c.heard.Load():
		if ended {
			err = ErrClosedByServer
		}
		if c.shown {
			return certificateRefused(c.remote, root(err))
		}
		return certificateWanted(c.remote, root(err))
	default:
		return root(err)
	}
}
