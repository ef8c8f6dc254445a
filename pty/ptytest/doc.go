// Package ptytest is a conformance suite for terminals that stand in for a
// serial port: what programs expect of a tty, as far as it holds for a plain
// pseudo-terminal. A port that is more than that must pass it all the same.
//
// Run opens a fresh [Port] for every check, plays the program on its slave
// path and the serial device at its far end, and compares. Where a port is
// known not to behave as a plain pseudo-terminal does, it names the check
// among its Gaps with the reason; a gap that is no longer there fails, so that
// the list stays true.
//
//	func TestConformance(t *testing.T) {
//		ptytest.Run(t, func(t *testing.T) ptytest.Port { … })
//	}
package ptytest
