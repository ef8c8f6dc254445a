// Package runlink is the line between a vcomd that serves a port and the
// supervisors (vcomd run) of programs on it.
//
//	program ─ioctl─▶ supervisor ─ Client ══ Unix socket NAME.run ══ Server ─▶ internal/port
//	                   State ◀──────────────── state ─────────────────┘
//
// What a program reads is answered from a state that the server sends anew
// whenever it changes, so that a question costs no round trip. What a program does
// is a request with an answer; requests of one supervisor are carried out in the
// order in which they were sent.
//
// Messages are of fixed sizes, little-endian, on a SOCK_SEQPACKET socket: one
// message a packet. The first in each direction has the version.
//
// The supervisor outlives the server: a Client connects again, sends anew what was
// not answered, and its callers wait for that, or are told that the port is gone,
// as the port's policy for a lost connection says.
package runlink
