// Package telnet is the Telnet layer below RFC 2217: a streaming decoder, an
// appending encoder, and option negotiation by RFC 1143's Q method.
//
// Bytes in, values out: the package touches no socket, no clock and no file,
// and never allocates per read.
package telnet
