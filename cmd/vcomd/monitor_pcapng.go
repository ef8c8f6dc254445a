package main

import (
	"errors"
	"io"
	"net/netip"

	"github.com/vcomd/vcomd/internal/control"
	"github.com/vcomd/vcomd/internal/pcapng"
	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/rfc2217client"
)

// The addresses of packets are those that documentation uses (RFC 5737): the real ones
// may be of IPv6, of a Unix socket, or a proxy's.
var (
	clientAddress = netip.MustParseAddr("192.0.2.1")
	serverAddress = netip.MustParseAddr("192.0.2.2")
)

const (
	telnetPort = 23   // by which Wireshark knows what it is
	rawPort    = 4001 // that it knows nothing of
	// Each connection has a client's port of its own, from the first to the last of those
	// that are given out freely (RFC 6335).
	firstPort = 49152
	freePorts = 1 << 14
)

// capture writes a port's connections to a file.
type capture struct {
	w          *pcapng.Writer
	server     netip.AddrPort
	connection uint64
	now        *pcapng.Conversation // nil: there is none
}

func newCapture(w io.Writer, application string, p control.Port) (*capture, error) {
	to := uint16(telnetPort)
	if r, err := rfc2217client.ParseRemote(p.Remote); err == nil && r.Protocol == rfc2217client.ProtocolRaw {
		to = rawPort
	}
	file, err := pcapng.NewWriter(w, application, p.Name)
	if err != nil {
		return nil, err
	}
	return &capture{w: file, server: netip.AddrPortFrom(serverAddress, to)}, nil
}

// take writes what an entry has of it.
func (c *capture) take(e control.Entry) error {
	from := pcapng.FromServer
	if e.Direction == control.DirectionSent {
		from = pcapng.FromClient
	}
	switch e.Kind {
	case control.KindWire:
		if c.now == nil || e.Connection != c.connection {
			if err := c.begin(e); err != nil {
				return err
			}
		}
		return c.now.Write(e.Time, from, e.Data)
	case control.KindLost:
		if c.now != nil && e.Lost != nil {
			return errors.Join(c.now.Skip(e.Time, pcapng.FromClient, e.Lost.WireSent), c.now.Skip(e.Time, pcapng.FromServer, e.Lost.WireReceived))
		}
	case control.KindEvent:
		if e.Event == string(port.KindDisconnected) || e.Event == string(port.KindStopped) {
			return c.end(e)
		}
	case control.KindBegin, control.KindData, control.KindCommand:
	}
	return nil
}

func (c *capture) begin(e control.Entry) error {
	if err := c.end(e); err != nil {
		return err
	}
	c.connection = e.Connection
	client := netip.AddrPortFrom(clientAddress, uint16(firstPort+e.Connection%freePorts))
	c.now = pcapng.NewConversation(c.w, client, c.server)
	if c.server.Port() == telnetPort {
		c.now.Telnet()
	}
	return c.now.Open(e.Time)
}

func (c *capture) end(e control.Entry) error {
	if c.now == nil {
		return nil
	}
	was := c.now
	c.now = nil
	return was.Close(e.Time)
}
