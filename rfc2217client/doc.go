// Package rfc2217client is the client of an access server: a COM-PORT session
// (RFC 2217) over Telnet, plain Telnet, or a bare byte stream.
//
// It has three layers. A Session is one connection's protocol as a pure state
// machine: bytes and the time go in; bytes, serial data and events come out. It
// can be driven by anything, and it is what the fuzz targets and the recorded
// transcripts of real servers are run against. A Client lives on a poll loop,
// dials a Remote, runs a Session over each connection, and dials again when one
// is lost. It holds no policy about what the remote UART should be: its Handler
// is told when a connection is up, and says then what to send. A Dialer makes the
// connections: TCP, directly or through a proxy; TLS, when the server has proved who
// it is; Unix sockets. What it cannot do it explains, with a *ConnectError, to
// users of vcomd.
//
// Rules that follow from what real servers do:
//
//   - An acknowledgement may be missing, late, of another value or of another
//     code. It is waited for in the background, asked for again after AckResend,
//     given up after AckGiveUp; data never waits for it.
//   - DO COM-PORT and WILL COM-PORT both mean that the server speaks RFC 2217.
//   - Never sent: an empty NOTIFY, IAC BRK or DM in COM-PORT mode, a message
//     shorter or longer than the RFC's. Each of them kills some server.
//   - Text from the server is untrusted, and escaped wherever it is shown.
package rfc2217client
