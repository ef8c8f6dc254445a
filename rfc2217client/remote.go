package rfc2217client

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Protocol is what is spoken over a connection.
type Protocol uint8

// The protocols.
const (
	ProtocolRFC2217 Protocol = iota // Telnet with COM-PORT (rfc2217://)
	ProtocolTelnet                  // Telnet, COM-PORT not offered (telnet://)
	ProtocolRaw                     // bytes (tcp://)
)

// String gives the URL scheme of the protocol over TCP.
func (p Protocol) String() string {
	switch p {
	case ProtocolRFC2217:
		return "rfc2217"
	case ProtocolTelnet:
		return "telnet"
	case ProtocolRaw:
		return "tcp"
	default:
		return "?"
	}
}

// The TCP ports of a REMOTE that names none.
const (
	DefaultPort       = "2217" // rfc2217://, and a bare host
	DefaultTelnetPort = "23"   // telnet:// (RFC 854)
)

// SimDevices are the devices of the embedded simulated access server.
var SimDevices = [...]string{"gps", "echo", "modem"}

// Remote is where an access server is and what it speaks. The zero value is not
// valid: use ParseRemote.
type Remote struct {
	Protocol Protocol
	Host     string // name or address, without brackets
	Port     string // number
	Sim      string // instead of Host and Port: a device of the embedded server
}

// String gives the remote in a form that ParseRemote takes.
func (r Remote) String() string {
	if r.Sim != "" {
		return "sim:" + r.Sim
	}
	return r.Protocol.String() + "://" + r.Address()
}

// Address gives host and port as net.Dial takes them.
func (r Remote) Address() string { return net.JoinHostPort(r.Host, r.Port) }

// RemoteError says why a REMOTE is not valid.
type RemoteError struct {
	Text  string // what was given
	Found string // what is wrong with it
	Hint  string // what to write instead
}

func (e *RemoteError) Error() string {
	return fmt.Sprintf("remote %q: %s; %s", e.Text, e.Found, e.Hint)
}

// notInAddress reports whether c cannot stand in a host or a port.
func notInAddress(c rune) bool {
	return c <= ' ' || c == 0x7f || c == utf8.RuneError || strings.ContainsRune(`/\?#@"'<>`, c)
}

const remoteForms = "write host[:port], rfc2217://host[:port], telnet://host[:port], tcp://host:port, or sim:gps"

// ParseRemote reads the REMOTE of a command line: host[:port], a URL of one of
// the schemes rfc2217, telnet and tcp, or sim:DEVICE. An IPv6 address stands in
// brackets. Errors are of type *RemoteError.
func ParseRemote(text string) (Remote, error) {
	fail := func(found, hint string) (Remote, error) {
		return Remote{}, &RemoteError{Text: text, Found: found, Hint: hint}
	}
	if device, ok := strings.CutPrefix(text, "sim:"); ok {
		for _, d := range SimDevices {
			if device == d {
				return Remote{Sim: device}, nil
			}
		}
		return fail("no such simulated device", "the devices are sim:gps, sim:echo and sim:modem")
	}
	var r Remote
	rest := text
	if scheme, after, ok := strings.Cut(text, "://"); ok {
		switch strings.ToLower(scheme) {
		case "rfc2217":
			r.Protocol = ProtocolRFC2217
		case "telnet":
			r.Protocol = ProtocolTelnet
		case "tcp":
			r.Protocol = ProtocolRaw
		default:
			return fail(fmt.Sprintf("unknown scheme %q", scheme), remoteForms)
		}
		rest = strings.TrimSuffix(after, "/")
	}
	u := url.URL{Host: rest}
	if strings.ContainsFunc(rest, notInAddress) {
		return fail("there is more than a host and a port", remoteForms)
	}
	r.Host, r.Port = u.Hostname(), u.Port()
	if r.Host == "" {
		return fail("no host", remoteForms)
	}
	if strings.Count(rest, ":") > 1 && !strings.HasPrefix(rest, "[") {
		return fail("more than one colon", "write an IPv6 address in brackets: [2001:db8::1]:2217")
	}
	if strings.ContainsAny(r.Host, "[]") {
		return fail("the brackets are not around an address", "write an IPv6 address as [2001:db8::1]:2217")
	}
	if tail := rest[strings.LastIndexByte(rest, ']')+1:]; strings.Contains(tail, ":") {
		n, err := strconv.ParseUint(r.Port, 10, 16)
		if err != nil || n == 0 {
			return fail("the port is not a number from 1 to 65535", "write host:2217")
		}
	}
	if r.Port == "" {
		switch r.Protocol {
		case ProtocolRFC2217:
			r.Port = DefaultPort
		case ProtocolTelnet:
			r.Port = DefaultTelnetPort
		case ProtocolRaw:
			return fail("no port", "a raw server has no usual one: write tcp://host:port")
		}
	}
	return r, nil
}
