// Package comport is RFC 2217, the Telnet Com Port Control Option, as types.
//
// A COM-PORT subnegotiation travels as
//
//	IAC SB 44 <code> <value...> IAC SE
//
// This package reads and writes the part between the option byte and IAC SE:
// the code and its value, not escaped. The Telnet layer below adds the frame
// and doubles the bytes that equal IAC. The access client sends codes 0 to 12;
// the access server sends the same codes plus 100 (RFC 2217, section 2).
//
// # Messages
//
// Every message is a small comparable value: SetBaudRate{9600} is both the
// request (Append with ToServer) and its acknowledgement (ToClient). An
// acknowledgement carries the value now in effect, which may differ from the
// one asked for. A zero value in a SET message is a query.
//
//	payload := comport.Append(nil, comport.ToServer, comport.SetBaudRate{Rate: 9600})
//	dir, msg, err := comport.Parse(payload)
//
// Parse is tolerant, because access servers are not exact: a value that is too
// long is read as far as it is needed (sredird acknowledges a baud rate with
// eight bytes), values outside the RFC's tables are passed through as they are,
// and only what cannot be read at all is an error, of type *ParseError.
//
// # State
//
// State folds messages into the settings and lines of one UART. It is
// comparable, so two states are equal exactly when ==.
//
// # Text from the peer
//
// Signatures are text written by the peer. Messages print them escaped and
// bounded (see Printable); SignatureText.Text itself holds the raw bytes.
//
// The package is pure: it touches no socket, no clock and no file, starts no
// goroutine, and panics on no input.
package comport
