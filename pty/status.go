package pty

import "strings"

// Status is what a packet-mode master reads in place of data: TIOCPKT_* bits
// (ioctl_tty(2), include/uapi/asm-generic/ioctls.h). The kernel collects bits
// until they are read, so one Status may stand for several events.
type Status uint8

// The bits of a [Status].
const (
	// StatusFlushRead: a program dropped its input queue (tcflush TCIFLUSH).
	StatusFlushRead Status = 0x01
	// StatusFlushWrite: a program dropped its output queue (tcflush TCOFLUSH).
	// Bytes that the master has already read are not undone.
	StatusFlushWrite Status = 0x02
	// StatusStop: a program stopped its output (tcflow TCOOFF).
	StatusStop Status = 0x04
	// StatusStart: a program started its output again (tcflow TCOON).
	StatusStart Status = 0x08
	// StatusNoStop: IXON with the usual ^S and ^Q has been turned off.
	StatusNoStop Status = 0x10
	// StatusDoStop: IXON with the usual ^S and ^Q has been turned on.
	StatusDoStop Status = 0x20
	// StatusIoctl: a program has called tcsetattr, maybe with what was already
	// set. See [Master.Observe].
	StatusIoctl Status = 0x40
)

// statusNames are the kernel's own, without the prefix, lowest bit first.
var statusNames = [...]string{
	"FLUSHREAD", "FLUSHWRITE", "STOP", "START", "NOSTOP", "DOSTOP", "IOCTL", "0x80",
}

// String names the bits as the kernel does, joined by "|"; "none" for zero.
func (s Status) String() string {
	if s == 0 {
		return "none"
	}
	var names []string
	for bit, name := range statusNames {
		if s&(1<<bit) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "|")
}
