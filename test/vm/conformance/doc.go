// Package conformance is what a program may expect of a serial port, as checks that run on any tty: a pseudo-terminal of
// vcomd's, the same under vcomd run, a kernel tty of vcomd's, or real hardware.
//
// Run makes the checks on a tty whose line's far end is in its hands ([Far]): the simulated access server of a port of vcomd's
// ([Simulated]), or another UART at the other end of a null-modem cable ([Wire]). What a far end cannot show or do is not
// tried; so a check of hardware says less than one of vcomd.
//
// # Adding a check
//
// Append it to the list of its idea: data, settings, lines, breaks and queues, line errors, bad arguments (checks_*_linux.go). A
// check begins with the tty open, raw, 9600-8N1 and with its inputs CTS, DSR and DCD on; it gives nil if the port does as a
// UART would, and else an error whose text is short and always the same, because it is what docs/compatibility.md will show.
// Where it is known not to hold, name it in gaps.go, with the reason; a gap that has closed fails as well. Then make test-vm UPDATE=1.
//
// Names are those of test/integration's suite where the check is the same.
package conformance
