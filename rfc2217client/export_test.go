package rfc2217client

import "github.com/vcomd/vcomd/rfc2217client/telnet"

// Agreed reports which ends perform the option.
func (s *Session) Agreed(o telnet.Option) (us, peer bool) {
	return s.neg.Local(o) == telnet.Yes, s.neg.Remote(o) == telnet.Yes
}

// The bounds of a session's requests, suspended and not.
const (
	MaxHeld   = maxHeld
	MaxQueued = maxQueued
)

// OutputCap tells what memory a session holds for output.
func (s *Session) OutputCap() int { return cap(s.out) + cap(s.held) + cap(s.scratch) }
