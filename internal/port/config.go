package port

import (
	"context"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/vcomd/vcomd/internal/usbtty/vhci"
	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// Connect says when a port is connected to its access server.
type Connect uint8

// The policies.
const (
	ConnectOnOpen Connect = iota // while a program has the port open, and CloseDelay longer
	ConnectAlways                // from start to end
)

// String gives the policy as flags spell it.
func (c Connect) String() string {
	if c == ConnectAlways {
		return "always"
	}
	return "on-open"
}

// ParseConnect reads a policy.
func ParseConnect(s string) (Connect, error) {
	for _, c := range []Connect{ConnectOnOpen, ConnectAlways} {
		if s == c.String() {
			return c, nil
		}
	}
	return 0, fmt.Errorf("%q is none of on-open, always", s)
}

// Purge says which flushes of a program (tcflush) are passed on to the access
// server.
type Purge uint8

// The policies. On a plain pseudo-terminal tcdrain cannot wait, and a flush of
// output would destroy what a program believes to be sent: hence PurgeReceive.
const (
	PurgeAuto    Purge = iota // input only; both for programs whose ioctls are seen
	PurgeReceive              // input only
	PurgeBoth
	PurgeNone
)

// String gives the policy as flags spell it.
func (p Purge) String() string {
	switch p {
	case PurgeAuto, PurgeReceive:
		return "rx"
	case PurgeBoth:
		return "both"
	case PurgeNone:
		return "none"
	default:
		return "?"
	}
}

// ParsePurge reads a policy.
func ParsePurge(s string) (Purge, error) {
	for _, p := range []Purge{PurgeReceive, PurgeBoth, PurgeNone} {
		if s == p.String() {
			return p, nil
		}
	}
	return 0, fmt.Errorf("%q is none of rx, both, none", s)
}

// TTY says which kind of tty programs get.
type TTY uint8

// The kinds.
const (
	TTYPseudo TTY = iota // a pseudo-terminal
	TTYUSB               // a tty of the kernel, for an emulated USB serial adapter
	TTYAuto              // TTYUSB where that can be had, else TTYPseudo
)

// String gives the kind as flags spell it.
func (t TTY) String() string {
	switch t {
	case TTYUSB:
		return "usb"
	case TTYAuto:
		return "auto"
	default:
		return "pty"
	}
}

// ParseTTY reads a kind.
func ParseTTY(s string) (TTY, error) {
	for _, t := range []TTY{TTYPseudo, TTYUSB, TTYAuto} {
		if s == t.String() {
			return t, nil
		}
	}
	return 0, fmt.Errorf("%q is none of pty, usb, auto", s)
}

// Config is one port's configuration, validated.
type Config struct {
	Name             string
	Links            []string // absolute or relative paths, each once
	Overlay          string   // a tty node to put the port over; empty: none
	RunDir           string   // where locks are
	Remote           rfc2217client.Remote
	Line             comport.State // --line; zero: none
	Connect          Connect
	CloseDelay       time.Duration
	RetryMin         time.Duration
	RetryMax         time.Duration
	NegotiateTimeout time.Duration
	Settle           time.Duration
	Purge            Purge
	UID, GID         int // -1: left as they are
	Mode             os.FileMode
	// TTY is which kind of tty programs get. A kernel tty is made by the kernel's USB/IP
	// controller on USB's host.
	TTY TTY
	USB *vhci.Host
	// Prepared says how PrepareTTY has ended, for a caller that has called it beside the
	// loop; nil: it is called when the tty is made.
	Prepared func() error
	Policy
	Signature string // what a server is told that asks who this is
	// Fingerprint is the same for two configurations if one may stand for the other.
	Fingerprint string

	// Dialer connects to Remote.
	Dialer rfc2217client.Dialer
	// Dial replaces the Dialer: the embedded server.
	Dial func(ctx context.Context, r rfc2217client.Remote) (net.Conn, error)
	// Changed is called when UART may give something else; on the loop.
	Changed func()
	// Failed is called when the port cannot be served any longer; on the loop.
	Failed func(error)
	// Events receives what happens; it is called on the loop and must not block.
	Events func(Event)
	// Acknowledged, if set, is told on the loop how long an acknowledgement has taken: see
	// rfc2217client.SessionConfig.
	Acknowledged func(c comport.Command, latency time.Duration)
	// Trace, if set, receives all that passes on the wire.
	Trace func(rfc2217client.TraceEntry)
}
