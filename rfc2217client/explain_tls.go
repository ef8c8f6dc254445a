package rfc2217client

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
)

// alert is how a server ends TLS, in the protocol's code.
type alert uint8

func (a alert) String() string { return tls.AlertError(a).Error() }

// The alerts that have a meaning for users (RFC 8446 section 6, RFC 6066).
const (
	alertHandshakeFailure       alert = 40
	alertBadCertificate         alert = 42
	alertUnsupportedCertificate alert = 43
	alertCertificateRevoked     alert = 44
	alertCertificateExpired     alert = 45
	alertCertificateUnknown     alert = 46
	alertUnknownCA              alert = 48
	alertAccessDenied           alert = 49
	alertDecryptError           alert = 51
	alertProtocolVersion        alert = 70
	alertUnrecognizedName       alert = 112
	alertCertificateRequired    alert = 116
)

// alertOf returns the alert with which the server has ended the connection. The
// type that package tls has for one is its own; what it says is the same.
func alertOf(err error) (alert, bool) {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || op.Op != "remote error" || op.Err == nil {
		return 0, false
	}
	for a := range 256 {
		if alert(a).String() == op.Err.Error() {
			return alert(a), true
		}
	}
	return 0, false
}

// certificateWanted means that a server wants a certificate, and there is none.
func certificateWanted(r Remote, cause error) *ConnectError {
	return &ConnectError{
		Doing: "TLS with " + r.Address(),
		Found: "the server asks for a certificate of this end, and there is none to show",
		Hint:  "give one that the server accepts, with --tls-cert FILE --tls-key FILE",
		Err:   cause,
	}
}

// certificateRefused means that a server has ended the connection when it had seen
// this end's certificate, without a word.
func certificateRefused(r Remote, cause error) *ConnectError {
	return &ConnectError{
		Doing: "TLS with " + r.Address(),
		Found: "the server has closed the connection when it had seen this end's certificate",
		Hint:  "look at the server's log: it may not accept the certificate in --tls-cert",
		Err:   cause,
	}
}

// plainScheme is r's scheme without TLS.
func plainScheme(r Remote) string {
	r.TLS = false
	return r.Scheme()
}

// explainTLS explains why there is no TLS with r, whose certificate was to be for
// name.
func explainTLS(r Remote, name string, uncertified bool, err error) *ConnectError {
	e := &ConnectError{Doing: "TLS with " + r.Address(), Err: err}
	pin, isPin := errors.AsType[*PinError](err)
	header, isHeader := errors.AsType[tls.RecordHeaderError](err)
	verification, isVerification := errors.AsType[*tls.CertificateVerificationError](err)
	code, isAlert := alertOf(err)
	switch {
	case isPin:
		e.Found = "the server's key is not the one pinned: it is " + pin.Got.String()
		e.Hint = "if the server was given another key, pin that with --tls-pin; if not, somebody else answers in its place"
	case isVerification:
		e.certificate(name, verification.Err)
	case isHeader && !looksLikeRecord(header.RecordHeader[:]):
		e.Found = "the server does not speak TLS"
		e.Hint = "write " + plainScheme(r) + "://" + r.Address() + " to speak without, or switch TLS on at the server"
	case isAlert && uncertified && (code == alertCertificateRequired || code == alertBadCertificate || code == alertHandshakeFailure):
		return certificateWanted(r, err)
	case isAlert:
		e.ended(name, code)
	case timedOut(err):
		e.Found = "the server does not answer the handshake"
		e.Hint = "does it speak TLS? To speak without, write " + plainScheme(r) + "://" + r.Address()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		e.Found = "the server has closed the connection during the handshake"
		e.Hint = "look at the server's log: it may serve somebody else, lack its certificate, or not speak TLS (then write " +
			plainScheme(r) + "://" + r.Address() + ")"
	default:
		e.Found, e.Hint = quoted(root(err).Error()), "look at the server's log and its versions of TLS; vcomd speaks 1.2 and 1.3"
	}
	return e
}

// looksLikeRecord reports whether a header is that of a TLS record (RFC 8446
// section 5.1).
func looksLikeRecord(header []byte) bool {
	return header[0] >= 20 && header[0] <= 23 && header[1] == 3
}

// alert says what a server means that ends the handshake.
func (e *ConnectError) ended(name string, a alert) {
	switch a {
	case alertCertificateRequired:
		e.Found, e.Hint = "the server demands a certificate of this end", "give one with --tls-cert FILE --tls-key FILE"
	case alertUnknownCA:
		e.Found = "the server does not know the authority that has signed this end's certificate"
		e.Hint = "give the server that authority's certificate, or use one in --tls-cert that it knows"
	case alertCertificateExpired:
		e.Found = "the server says that this end's certificate has expired, or is not valid yet"
		e.Hint = "renew the certificate in --tls-cert, and look at the server's clock"
	case alertCertificateRevoked:
		e.Found, e.Hint = "the server says that this end's certificate is revoked", "give another one with --tls-cert and --tls-key"
	case alertBadCertificate, alertUnsupportedCertificate, alertCertificateUnknown, alertAccessDenied, alertDecryptError:
		e.Found = "the server does not accept this end's certificate: " + quoted(a.String())
		e.Hint = "look at the server's log, and whether the certificate in --tls-cert is for clients (extendedKeyUsage clientAuth)"
	case alertProtocolVersion:
		e.Found, e.Hint = "the server speaks no version of TLS that vcomd does", "vcomd speaks 1.2 and 1.3: update the server"
	case alertUnrecognizedName:
		e.Found = "the server has no certificate for " + quoted(name)
		e.Hint = "give the name that it has one for with --tls-server-name"
	default:
		e.Found, e.Hint = "the server has ended TLS: "+quoted(a.String()), "look at the server's log"
	}
}

// certificate says what is wrong with the server's certificate.
func (e *ConnectError) certificate(name string, err error) {
	const date = "2006-01-02 15:04 MST"
	var (
		hostname  x509.HostnameError
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		roots     x509.SystemRootsError
	)
	switch {
	case errors.As(err, &hostname):
		names := namesOf(hostname.Certificate)
		if names == "" {
			e.Found = "the server's certificate is for no host: it has no subjectAltName"
			e.Hint = "make it again with one, or pin its key: --tls-insecure with --tls-pin"
			return
		}
		e.Found = fmt.Sprintf("the server's certificate is not for %s: it is for %s", quoted(name), names)
		e.Hint = "write the name that it is for, in the REMOTE or with --tls-server-name"
	case errors.As(err, &authority):
		e.Found = "the server's certificate is signed by an unknown authority"
		e.Hint = "give that authority's certificate with --tls-ca FILE"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && time.Now().Before(invalid.Cert.NotBefore):
		e.Found = "the server's certificate is not valid before " + invalid.Cert.NotBefore.UTC().Format(date)
		e.Hint = "look at this machine's clock: it is " + time.Now().UTC().Format(time.DateOnly)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		e.Found = "the server's certificate has expired on " + invalid.Cert.NotAfter.UTC().Format(date)
		e.Hint = "renew it at the server, or look at this machine's clock: it is " + time.Now().UTC().Format(time.DateOnly)
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		e.Found, e.Hint = "the server's certificate is not for servers", "make one with extendedKeyUsage serverAuth"
	case errors.As(err, &invalid) && invalid.Reason == x509.NotAuthorizedToSign:
		e.Found = "the server's certificate is signed by one that is not an authority's"
		e.Hint = "make the authority's certificate with basicConstraints CA:TRUE"
	case errors.As(err, &roots):
		e.Found, e.Hint = "this machine has no list of authorities", "install ca-certificates, or give one with --tls-ca FILE"
	default:
		e.Found, e.Hint = "the server's certificate cannot be verified: "+quoted(err.Error()), "look at it with openssl s_client -connect"
	}
}

// maxNames is how many of a certificate's names are shown.
const maxNames = 4

// namesOf lists whom a certificate is for, safe to print.
func namesOf(c *x509.Certificate) string {
	var names []string
	for _, n := range c.DNSNames {
		names = append(names, quoted(n))
	}
	for _, ip := range c.IPAddresses {
		names = append(names, ip.String())
	}
	if len(names) > maxNames {
		names = append(names[:maxNames], "others")
	}
	return strings.Join(names, ", ")
}
