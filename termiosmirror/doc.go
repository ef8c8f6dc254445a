// Package termiosmirror turns the termios of a virtual tty into the line settings that a program wants of the remote
// UART, and the difference between two sets of line settings into an ordered list of RFC 2217 commands.
//
// Line settings are a [comport.State]: a comparable value in which a zero field means "not known" or "not asked for".
//
//	program ── tcsetattr ──▶ termios ── Mirror.Observe ──▶ wanted State ┐
//	                           ▲                                        ├─ Diff ──▶ Plan: SET-BAUDRATE, SET-DATASIZE, …
//	                           └────── Apply ◀── acknowledged State ────┘
//
// The package has no goroutine, no clock and no file: termios values and settings in, settings and messages out. A
// [Mirror] is not safe for concurrent use; its owner is the one that watches the tty.
//
// # What a pseudo-terminal hides
//
// The kernel strips CSIZE and PARENB from the termios of a pseudo-terminal (pty_set_termios in drivers/tty/pty.c: CS8,
// no PARENB) before its master can look. Speed, CSTOPB, CRTSCTS, IXON, IXOFF, PARODD and CMSPAR survive. A Mirror made by [New]
// therefore takes data bits and parity from the line given to it ([ParseLine]), and without one only from hints: PARODD
// or CMSPAR count when they change from one observation to the next, and never by being set, because they may be left
// over from long ago. Where a back end sees everything a program asks for, [NewExact] takes every bit as it is.
//
// # Stop bits
//
// termios has one bit for "more than one stop bit". CSTOPB means what the line said, if the line said 1.5 or 2; else 1.5
// stop bits with 5 data bits, as on every 16550, and 2 with more.
//
// # Flow control
//
//	CRTSCTS          hardware, both ways (whatever IXON and IXOFF say)
//	IXON and IXOFF   XON/XOFF, both ways
//	IXON             XON/XOFF outbound, none inbound
//	IXOFF            none outbound, XON/XOFF inbound
//	none of them     none, both ways
//
// RFC 2217's SET-CONTROL 1 to 3 already mean both ways on most servers, so the inbound values are asked for only where
// the two directions differ, and from then on always: a server that has once been told of an inbound setting of its own must be told
// when that ends. [Diff] sends inbound after outbound, and again whenever outbound changes, as RFC 2217 section 3 asks.
//
// # B0
//
// A speed of zero is not a speed but a request to hang up: DTR and RTS off. The mirror keeps the last speed asked for,
// turns both lines off, and turns them on again with the next real speed.
package termiosmirror
