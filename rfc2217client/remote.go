package rfc2217client

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
	"unicode"
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
	DefaultPort          = "2217" // rfc2217://, rfc2217s://, and a bare host
	DefaultTelnetPort    = "23"   // telnet:// (RFC 854)
	DefaultTelnetTLSPort = "992"  // telnets:// (IANA)
)

// schemes are those of URLs with a host.
var schemes = map[string]Remote{
	"rfc2217":  {Protocol: ProtocolRFC2217, Port: DefaultPort},
	"telnet":   {Protocol: ProtocolTelnet, Port: DefaultTelnetPort},
	"tcp":      {Protocol: ProtocolRaw},
	"rfc2217s": {Protocol: ProtocolRFC2217, TLS: true, Port: DefaultPort},
	"telnets":  {Protocol: ProtocolTelnet, TLS: true, Port: DefaultTelnetTLSPort},
	"tls":      {Protocol: ProtocolRaw, TLS: true},
}

// unixSchemes stand before the path of a Unix socket.
var unixSchemes = map[string]Protocol{
	"unix":        ProtocolRFC2217,
	"telnet+unix": ProtocolTelnet,
	"raw+unix":    ProtocolRaw,
}

// SimDevices are the devices of the embedded simulated access server.
var SimDevices = [...]string{"gps", "echo", "modem"}

// Remote is where an access server is and what it speaks. The zero value is not
// valid: use ParseRemote.
type Remote struct {
	Protocol Protocol
	TLS      bool   // what is spoken is spoken in TLS
	Host     string // name or address, without brackets
	Port     string // number
	Path     string // instead of Host and Port: a Unix socket; one that begins with @ is abstract (unix(7))
	Sim      string // instead of Host and Port: a device of the embedded server
}

// Scheme gives the scheme that String begins with.
func (r Remote) Scheme() string {
	switch {
	case r.Sim != "":
		return "sim"
	case r.Path != "":
		for scheme, protocol := range unixSchemes {
			if protocol == r.Protocol {
				return scheme
			}
		}
	case r.TLS && r.Protocol == ProtocolRaw:
		return "tls"
	case r.TLS:
		return r.Protocol.String() + "s"
	}
	return r.Protocol.String()
}

// String gives the remote in a form that ParseRemote takes.
func (r Remote) String() string {
	switch {
	case r.Sim != "":
		return "sim:" + r.Sim
	case r.Path != "":
		return r.Scheme() + ":" + r.Path
	}
	return r.Scheme() + "://" + r.Address()
}

// Address gives host and port as net.Dial takes them, or the path of the Unix
// socket.
func (r Remote) Address() string {
	if r.Path != "" {
		return r.Path
	}
	return net.JoinHostPort(r.Host, r.Port)
}

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

const (
	remoteForms = "write host[:port], rfc2217://host[:port], telnet://host[:port], tcp://host:port " +
		"(in TLS: rfc2217s, telnets, tls), unix:PATH, or sim:gps"
	unixForms = "write unix:PATH, telnet+unix:PATH or raw+unix:PATH"
)

// maxPath is the longest path of a Unix socket, in bytes (unix(7), sun_path,
// with its final 0).
const maxPath = 107

// ParseRemote reads the REMOTE of a command line: host[:port]; a URL of one of
// the schemes rfc2217, telnet and tcp, or rfc2217s, telnets and tls for the same
// in TLS; unix:PATH, telnet+unix:PATH or raw+unix:PATH; or sim:DEVICE. An IPv6
// address stands in brackets. Errors are of type *RemoteError.
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
	if scheme, path, ok := strings.Cut(text, ":"); ok {
		if protocol, ok := unixSchemes[strings.ToLower(scheme)]; ok {
			return parseUnix(text, protocol, path)
		}
		if strings.HasSuffix(strings.ToLower(scheme), "+unix") {
			return fail(fmt.Sprintf("unknown scheme %q", scheme), unixForms)
		}
	}
	if strings.HasPrefix(text, "/") || strings.HasPrefix(text, "./") || strings.HasPrefix(text, "../") {
		return fail("this is a path", "if it is a Unix socket, write unix:PATH; else "+remoteForms)
	}
	r, rest := schemes["rfc2217"], text
	if scheme, after, ok := strings.Cut(text, "://"); ok {
		if r, ok = schemes[strings.ToLower(scheme)]; !ok {
			return fail(fmt.Sprintf("unknown scheme %q", scheme), remoteForms)
		}
		rest = strings.TrimSuffix(after, "/")
	}
	u := url.URL{Host: rest}
	if strings.ContainsFunc(rest, notInAddress) {
		return fail("there is more than a host and a port", remoteForms)
	}
	if r.Host = u.Hostname(); r.Host == "" {
		return fail("no host", remoteForms)
	}
	if strings.Count(rest, ":") > 1 && !strings.HasPrefix(rest, "[") {
		return fail("more than one colon", "write an IPv6 address in brackets: [2001:db8::1]:2217")
	}
	if strings.ContainsAny(r.Host, "[]") {
		return fail("the brackets are not around an address", "write an IPv6 address as [2001:db8::1]:2217")
	}
	if tail := rest[strings.LastIndexByte(rest, ']')+1:]; strings.Contains(tail, ":") {
		r.Port = u.Port()
		n, err := strconv.ParseUint(r.Port, 10, 16)
		if err != nil || n == 0 {
			return fail("the port is not a number from 1 to 65535", "write host:2217")
		}
	}
	if r.Port == "" {
		return fail("no port", "a raw server has no usual one: write "+r.Scheme()+"://host:port")
	}
	return r, nil
}

// parseUnix reads what follows the scheme of a Unix socket.
func parseUnix(text string, p Protocol, path string) (Remote, error) {
	fail := func(found, hint string) (Remote, error) {
		return Remote{}, &RemoteError{Text: text, Found: found, Hint: hint}
	}
	switch {
	case path == "" || path == "@":
		return fail("no path", unixForms)
	case len(path) > maxPath:
		return fail(fmt.Sprintf("the path has %d bytes, and a Unix socket's has at most %d", len(path), maxPath),
			"use a shorter path, or a relative one")
	case !utf8.ValidString(path) || strings.ContainsFunc(path, func(c rune) bool { return !unicode.IsPrint(c) }):
		return fail("there is something in the path that cannot be printed", unixForms)
	}
	return Remote{Protocol: p, Path: path}, nil
}
