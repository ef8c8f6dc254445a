// Package rfc2217test is a simulated access server with a full virtual UART
// and devices on its line. It is what tests use for the far end, and what
// `vcomd sim` serves to any RFC 2217 client.
//
// # Parts
//
//	client ── net.Conn ── Server ── UART ── Device
//	                      (telnet,   (settings, lines,  (echo, gps, modem,
//	                       COM-PORT)  line speed)        or yours)
//
// A zero Server is a correct access server of a port at 9600-8N1 without a
// device:
//
//	uart := &rfc2217test.UART{Device: rfc2217test.NewGPS(nil)}
//	server := &rfc2217test.Server{UART: uart}
//	err := server.Serve(ctx, listener)
//
// # The UART is the witness
//
// A test that wants to know what a client really did to the port asks the UART,
// never the client. Its Journal lists, in order, the bytes as they left with
// the settings in force while each was sent, and every change of settings,
// lines and break between them. Bytes leave at line speed on the UART's Clock,
// so a setting that comes too early finds bytes in the transmit buffer, and the
// journal says how many it spoiled. Unpaced lets bytes leave at once, for tests
// of throughput; JournalOff then keeps only the count and the CRC-32C of them.
//
// As on real servers, a session raises DTR and RTS when it begins, and its end
// brings the defaults back.
//
// # Waiting
//
// WaitFor of UART and Server wait for a condition without polling; with a
// FakeClock, or inside testing/synctest, no test needs to sleep.
//
// # Faults
//
// Faults makes the server one of those that exist: acknowledgements that are
// missing, late, longer or about something else, options offered the wrong way
// round or refused, a port in use, a reset in the middle.
//
// # Known limits
//
// The transmit buffer stands between client and line, and a full one stops the
// server from reading, commands included. So a client that never reads from a
// port with an Echo on it blocks itself, as it would on a real port. XON and
// XOFF from the line are obeyed but also passed on.
package rfc2217test
