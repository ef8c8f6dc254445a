package port

import (
	"bytes"
	"errors"

	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/telnet"
)

// ErrInUse means that the access server has another client on its port, and says so.
var ErrInUse = errors.New(`the port is in use: the access server says "` + inUse + `"; end the other client, or see the server's kickolduser option`)

// inUse is what ser2net tells, as plain text, and then closes.
const inUse = "Port already in use"

// maxEarly is how much of what a connection begins with is looked at, in bytes.
const maxEarly = 64

// greeting is what a connection begins with: what a server says before it is
// used, and what it says if it is of another kind than was thought.
type greeting struct {
	early    []byte
	over     bool   // the connection is up
	mismatch bool   // the server speaks Telnet where raw bytes were agreed, and that was told
	dropped  uint64 // bytes of an error that the server told as data
}

// begin is for a new connection.
func (g *greeting) begin() { g.early, g.over = g.early[:0], false }

// up is for a connection that can be used. What came before is kept: a raw
// connection may have begun with it.
func (g *greeting) up() { g.over = true }

// explain finds in what a server said why it has ended the connection.
func (g *greeting) explain(cfg *Config, err error) error {
	switch {
	case bytes.Contains(g.early, []byte(inUse)):
		return ErrInUse // how the connection ended then matters no more
	case looksLikeTLS(g.early):
		return speaksTLS(cfg.Remote, err)
	default:
		return err
	}
}

// serial reports whether data is from the serial line, and looks at it.
func (g *greeting) serial(data []byte, cfg *Config, emit func(Event)) bool {
	room := maxEarly - len(g.early)
	if room > 0 {
		g.early = append(g.early, data[:min(room, len(data))]...)
	}
	if room == maxEarly && bytes.HasPrefix(data, []byte(inUse)) {
		return false
	}
	if room > 0 && g.over && cfg.Remote.Protocol == rfc2217client.ProtocolRaw {
		g.lookForTelnet(cfg, emit)
	}
	return true
}

// lookForTelnet finds a server that negotiates where it is not expected to.
func (g *greeting) lookForTelnet(cfg *Config, emit func(Event)) {
	switch found := len(g.early) > 1 && telnet.Command(g.early[0]) == telnet.IAC && isNegotiation(telnet.Command(g.early[1])); {
	case found && !g.mismatch:
		g.mismatch = true
		emit(Event{Kind: KindMismatch, Old: cfg.Remote.Protocol.String(), New: rfc2217client.ProtocolTelnet.String()})
	case !found && len(g.early) == maxEarly:
		g.mismatch = false
	}
}

func isNegotiation(c telnet.Command) bool { return c >= telnet.WILL && c <= telnet.DONT }
