package conformance

import "maps"

// gaps are the checks that are known not to hold, by kind, and why.
var gaps = map[Kind]map[string]string{
	Hardware: because("its clock allows 115200 bit/s", "speed of BOTHER is read back"),
	PTY: join(
		because("the kernel strips PARENB and CSIZE from a pseudo-terminal",
			"parity is read back", "odd parity is read back", "mark and space parity are read back", "data bits are read back",
			"5 and 6 data bits are read back", "data bits outlive a close", "7E1 arrives", "8O2 arrives", "8M1 arrives", "8S1 arrives",
			"6N1 arrives", "5N1 arrives"),
		because("a pseudo-terminal has no modem lines",
			"both lines are up after the open", "lines are up again at the next open", "TIOCMBIC drops a line", "TIOCMBIS raises a line",
			"TIOCMSET sets both", "B0 drops both lines", "DTR and RTS arrive", "TIOCMIWAIT wakes at a change",
			"CTS is read", "DSR is read", "DCD is read", "RI is read",
			"TIOCMGET with a bad pointer", "TIOCMSET with a bad pointer"),
		because("a pseudo-terminal has no counters",
			"TIOCGICOUNT counts CTS", "TIOCGICOUNT counts DSR", "TIOCGICOUNT counts DCD", "TIOCGICOUNT counts RI",
			"TIOCGICOUNT counts characters", "TIOCGICOUNT counts a received parity error", "TIOCGICOUNT counts a received framing error",
			"TIOCGICOUNT counts a received break", "TIOCGICOUNT counts a received overrun", "TIOCGICOUNT with a bad pointer"),
		because("a pseudo-terminal has no serial_struct", "TIOCGSERIAL has a base"),
		because("a break is nothing on a pseudo-terminal",
			"tcsendbreak takes a quarter of a second", "TCSBRKP takes its tenths of a second", "a break arrives, and its end"),
		because("the kernel never asks the master of a pseudo-terminal", "tcdrain takes as long as the line"),
		because("the server is not asked for line errors", "an overrun leaves raw data alone",
			"PARMRK marks a received parity error", "PARMRK marks a received framing error", "PARMRK marks a received break"),
	),
	USB: join(
		because("ftdi_sio has no 5 and 6 data bits", "5 and 6 data bits are read back", "6N1 arrives", "5N1 arrives"),
		because("ftdi_sio counts both edges", "TIOCGICOUNT counts RI"),
		because("it is not told: ftdi_sio would put a NUL for it among the data of a raw tty", "TIOCGICOUNT counts a received overrun"),
	),
}

func because(why string, names ...string) map[string]string {
	m := make(map[string]string, len(names))
	for _, name := range names {
		m[name] = why
	}
	return m
}

func join(lists ...map[string]string) map[string]string {
	all := make(map[string]string)
	for _, list := range lists {
		maps.Copy(all, list)
	}
	return all
}
