package port

import (
	"context"
	"errors"
	"fmt"
	"net"

	"github.com/vcomd/vcomd/rfc2217client"
)

// dial returns how the port's client connects.
func (p *Port) dial() func(ctx context.Context, r rfc2217client.Remote) (net.Conn, error) {
	if p.cfg.Dial != nil {
		return p.cfg.Dial
	}
	d := p.cfg.Dialer
	d.KeepAlive = rfc2217client.KeepAlive(p.cfg.DeadAfter)
	return d.Dial
}

// warnUnverified tells, as often as it may matter, that TLS protects from nobody.
func (p *Port) warnUnverified() {
	if p.cfg.Remote.TLS && p.cfg.Dialer.TLS.Unverified() {
		p.emit(Event{Kind: KindUnverified, Text: p.cfg.Remote.String()})
	}
}

// ErrSpeaksTLS means that the access server wants TLS, and was spoken to without.
var ErrSpeaksTLS = errors.New("the access server speaks TLS")

// speaksTLS is ErrSpeaksTLS for a remote, with what to write instead.
func speaksTLS(r rfc2217client.Remote, cause error) error {
	if r.Host == "" || r.TLS {
		return fmt.Errorf("%w: %w", ErrSpeaksTLS, cause)
	}
	r.TLS = true
	return fmt.Errorf("%w; write %v", ErrSpeaksTLS, r)
}

// tlsAlert is how long an alert is: the header of its record, level and
// description (RFC 8446 sections 5.1 and 6).
const tlsAlert = 7

// looksLikeTLS reports whether all that came over a connection is a TLS alert, with
// which a server answers what it takes for a broken handshake.
func looksLikeTLS(all []byte) bool {
	return len(all) == tlsAlert && all[0] == 21 && all[1] == 3 && all[3] == 0 && all[4] == 2 && (all[5] == 1 || all[5] == 2)
}
