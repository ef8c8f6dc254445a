package rfc2217client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// ConnectError says why a connection to an access server cannot be had, in words
// that are safe to print and the same as long as the reason is. It unwraps to the
// cause.
type ConnectError struct {
	Doing string // what was being done to what: "connect to 192.0.2.7:2217"
	Found string // what was found
	Hint  string // what to do next
	Err   error
}

func (e *ConnectError) Error() string { return e.Doing + ": " + e.Found + "; " + e.Hint }

// Unwrap returns the cause.
func (e *ConnectError) Unwrap() error { return e.Err }

// maxQuoted bounds what is shown of a text that came from outside, in bytes.
const maxQuoted = 200

// quoted makes a text from outside safe to print.
func quoted(text string) string {
	if len(text) > maxQuoted {
		text = strings.ToValidUTF8(text[:maxQuoted], "") + "…"
	}
	q := strconv.QuoteToGraphic(text)
	return q[1 : len(q)-1]
}

// root returns what is below the wrappings of package net, which name ports of this
// end that differ from try to try.
func root(err error) error {
	for {
		var inner error
		switch e := err.(type) { //nolint:errorlint // layer by layer
		case *net.OpError:
			inner = e.Err
		case *os.SyscallError:
			inner = e.Err
		}
		if inner == nil {
			return err
		}
		err = inner
	}
}

func timedOut(err error) bool {
	var n net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}

// lost is why a connection ended on which doing something has failed.
func lost(doing string, err error) error {
	if says, ok := errors.AsType[*ConnectError](err); ok {
		return says
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// closedUnheard explains the end of a connection to a Telnet server that has said
// nothing: most servers that expect TLS close without a word.
func closedUnheard(r Remote, err error) error {
	ended := errors.Is(err, ErrClosedByServer) || errors.Is(err, syscall.ECONNRESET)
	if !ended || r.TLS || r.Host == "" || r.Protocol == ProtocolRaw {
		return err
	}
	e := &ConnectError{Doing: "talk to " + r.Address(), Found: ErrClosedByServer.Error() + " before it has said anything", Err: err}
	r.TLS = true
	e.Hint = "look at its log: it may lack its device, or serve somebody else; if it expects TLS, write " + r.String()
	return e
}

// explainTCP explains why there is no TCP connection with who.
func explainTCP(doing, who string, bind netip.Addr, err error) *ConnectError {
	e := &ConnectError{Doing: doing, Err: err}
	dns, isDNS := errors.AsType[*net.DNSError](err)
	_, isFamily := errors.AsType[*net.AddrError](err)
	switch {
	case isDNS && dns.IsNotFound:
		e.Found, e.Hint = "no such host: the resolver does not know the name", "correct the name, or give the address"
	case isDNS && dns.IsTimeout:
		e.Found, e.Hint = "the name cannot be looked up now: the resolver does not answer", "look at the network and at /etc/resolv.conf"
	case isDNS:
		e.Found, e.Hint = "the name cannot be looked up now: "+quoted(dns.Err), "look at the network and at /etc/resolv.conf"
	case isFamily && bind.IsValid():
		e.Found = who + " has no address of the family of " + bind.String() + ", which is to be bound to"
		e.Hint = "bind to an IPv4 address for an IPv4 server, and to an IPv6 address for an IPv6 server"
	case errors.Is(err, syscall.EADDRNOTAVAIL) && bind.IsValid():
		e.Found, e.Hint = "this machine does not have the address "+bind.String()+" to bind to", "choose one that ip address lists"
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Found, e.Hint = "connection refused: nobody listens there", "start "+who+", or correct the port"
	case errors.Is(err, syscall.ENETUNREACH):
		e.Found, e.Hint = "network is unreachable: this machine has no route there", "look at this machine's network and its routes"
	case errors.Is(err, syscall.EHOSTUNREACH):
		e.Found, e.Hint = "no route to host: it does not answer on its network, or a router says so", "look whether "+who+" is switched on and connected"
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		e.Found, e.Hint = "permission denied: a firewall of this machine forbids it", "look at its rules"
	case timedOut(err):
		e.Found, e.Hint = "no answer", "look whether "+who+" is switched on and connected, and at firewalls on the way"
	default:
		e.Found, e.Hint = quoted(root(err).Error()), "look at "+who+" and at the network"
	}
	return e
}

// explainUnix explains why there is no connection to r's Unix socket.
func explainUnix(r Remote, err error) *ConnectError {
	e := &ConnectError{Doing: "connect to " + r.String(), Err: err}
	switch {
	case errors.Is(err, syscall.ENOENT):
		e.Found, e.Hint = "there is no such socket", "start the server, or correct the path"
	case errors.Is(err, syscall.ECONNREFUSED):
		e.Found, e.Hint = "connection refused: nobody listens there", "start the server; a socket file outlives the server that made it"
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EPERM):
		e.Found, e.Hint = "permission denied", "let this user write to the socket, and search the directories above it"
	case errors.Is(err, syscall.ENOTSOCK), errors.Is(err, syscall.ENOTDIR):
		e.Found, e.Hint = "this is not a socket", "correct the path"
	case errors.Is(err, syscall.EPROTOTYPE):
		e.Found, e.Hint = "this is a datagram socket", "have the server make a stream socket"
	case errors.Is(err, syscall.EAGAIN), timedOut(err):
		e.Found, e.Hint = "the server does not accept connections", "look at the server"
	default:
		e.Found, e.Hint = quoted(root(err).Error()), "look at the server and at the path"
	}
	return e
}

// What a SOCKS 5 proxy answers (RFC 1928 sections 3 and 6, RFC 1929 section 2).
const (
	socksVersion     = 5
	socksPassword    = 2
	socksNoMethod    = 0xff
	socksFailure     = 1
	socksNotAllowed  = 2
	socksNetwork     = 3
	socksHost        = 4
	socksRefused     = 5
	socksExpired     = 6
	socksNoCommand   = 7
	socksNoAddresses = 8
)

// explainProxy explains why the proxy p has not connected to r, from what it has
// answered so far.
func explainProxy(p *Proxy, r Remote, answer []byte, err error) *ConnectError {
	e := &ConnectError{Doing: "connect to " + r.Address() + " through the proxy " + p.Address, Err: err}
	at := func(i int) int { // -1: it did not come so far
		if i < len(answer) {
			return int(answer[i])
		}
		return -1
	}
	reply := 3
	if at(1) == socksPassword {
		reply = 5 // behind the two bytes about the password
	}
	switch {
	case at(0) >= 0 && at(0) != socksVersion:
		e.Found, e.Hint = "the proxy does not speak SOCKS 5", "give a SOCKS 5 proxy: a proxy for HTTP is none"
	case at(1) == socksNoMethod && p.User == "":
		e.Found, e.Hint = "the proxy wants to know who connects", "give user and password: socks5://USER:PASSWORD@"+p.Address
	case at(1) == socksNoMethod:
		e.Found, e.Hint = "the proxy does not take a user and a password", "give it without: socks5://"+p.Address
	case at(1) == socksPassword && at(3) > 0:
		e.Found, e.Hint = "the proxy refuses the user or the password", "correct them"
	case at(reply) == socksFailure:
		e.Found, e.Hint = "the proxy has failed", "look at its log"
	case at(reply) == socksNotAllowed:
		e.Found, e.Hint = "the proxy does not allow it", "look at its rules"
	case at(reply) == socksNetwork:
		e.Found, e.Hint = "the proxy says: network is unreachable", "look at the proxy's network"
	case at(reply) == socksHost:
		e.Found, e.Hint = "the proxy says: host unreachable, or a name it does not know", "look whether the server is switched on, and whether the proxy reaches it"
	case at(reply) == socksRefused:
		e.Found, e.Hint = "the proxy says: connection refused", "start the server, or correct the port"
	case at(reply) == socksExpired:
		e.Found, e.Hint = "the proxy says: no answer in time", "look whether the server is switched on, and whether the proxy reaches it"
	case at(reply) == socksNoCommand:
		e.Found, e.Hint = "the proxy does not make connections", "use another one"
	case at(reply) == socksNoAddresses && p.ResolvesNames:
		e.Found, e.Hint = "the proxy does not take this kind of address", "use socks5:// in place of socks5h://, so that names are looked up here"
	case at(reply) == socksNoAddresses:
		e.Found, e.Hint = "the proxy does not take this kind of address", "use socks5h:// in place of socks5://, so that the proxy looks up names"
	case at(reply) > 0:
		e.Found, e.Hint = "the proxy refuses with code "+strconv.Itoa(at(reply)), "look at its log"
	case timedOut(err):
		e.Found, e.Hint = "the proxy does not answer", "look at its log, and whether it reaches the server"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET):
		e.Found, e.Hint = "the proxy has closed the connection", "look at its log, and whether it is a SOCKS 5 proxy"
	default:
		e.Found, e.Hint = quoted(root(err).Error()), "look at the proxy"
	}
	return e
}
