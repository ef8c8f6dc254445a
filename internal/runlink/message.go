package runlink

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// version is that of the messages; a peer of another one is refused.
const version uint16 = 2

// magic begins the first message of either side.
var magic = [8]byte{'v', 'c', 'o', 'm', 'd', 'r', 'u', 'n'}

// maxMessage is more than any message has, in bytes.
const maxMessage = 4096

// maxName bounds a port's name, a link or a tty's path as a supervisor asks for it,
// in bytes.
const maxName = 512

// maxPaths bounds all paths of a port together, in bytes.
const maxPaths = 3072

// hello is a supervisor's first message: which port it wants.
type hello struct {
	Magic   [8]byte
	Version uint16
	_       uint16
	PID     uint32
	Name    [maxName]byte // the port's name, one of its links or its tty's path
}

// welcome answers it.
type welcome struct {
	Magic   [8]byte
	Version uint16
	Refused uint16 // why, see below; 0: not
	Hangup  uint32 // 1: what cannot be done without a server fails
	// The paths of links and overlay, each followed by a zero; empty if they have no room.
	Paths [maxPaths]byte
}

// Why a supervisor is refused.
const (
	refusedVersion uint16 = 1 + iota
	refusedName
)

// op is what a request asks for.
type op uint8

const (
	opSet       op = 1 + iota // Settings
	opLines                   // A: set, B: clear (TIOCM_DTR, TIOCM_RTS)
	opBreak                   // A: 1 on, 0 off
	opSendBreak               // Time
	opDrain
	opFlush  // A: bit 0 input, bit 1 output
	opLook   // has the state sent anew: how much waits, and whether the port is open, changes untold
	opCancel // A: the request that is given up
	opSerial // Serial
)

// request is one thing to be done.
type request struct {
	ID       uint32
	Op       op
	_        [3]byte
	A, B     uint32
	Time     int64 // ns
	Settings settings
	Serial   serial
}

// serial is what of struct serial_struct can be changed.
type serial struct {
	Flags                   uint32
	XmitFIFO, CustomDivisor int32
	CloseDelay, ClosingWait uint16
}

// settings is struct termios2 with the members that have a fixed size.
type settings struct {
	Iflag, Oflag, Cflag, Lflag uint32
	Line                       uint8
	Cc                         [19]uint8
	Ispeed, Ospeed             uint32
}

// kind is what a server's message is.
type kind uint8

const (
	kindReply kind = 1 + iota
	kindState
)

// answer is a server's message after the first.
type answer struct {
	Kind kind
	_    [3]byte
	// Of a reply.
	ID    uint32
	Errno uint32
	// Of a state.
	State state
}

// state is all that a program can ask about.
type state struct {
	Path     [64]byte // of the tty
	Settings settings
	Lines    uint32 // TIOCM_*
	Hangups  uint32 // how often the port was hung up
	Counts   [11]uint32
	Serial   serial
	OutQueue uint32
	Open     uint32 // 1: a program is known to have the port open
}

// usual is room for all messages that are sent often, in bytes.
const usual = 512

// encode makes a packet of a message.
func encode(m any) []byte {
	b, err := binary.Append(make([]byte, 0, usual), binary.LittleEndian, m)
	if err != nil {
		panic(fmt.Sprintf("runlink: %T has no fixed size", m)) // a mistake in this file
	}
	return b
}

var errShort = errors.New("a message of another length than it should have")

// decode reads a packet that has to be all of m.
func decode(p []byte, m any) error {
	n, err := binary.Decode(p, binary.LittleEndian, m)
	if err != nil || n != len(p) {
		return errShort
	}
	return nil
}

// texts are the strings in a field.
func texts(field []byte) (all []string) {
	for len(field) > 0 && field[0] != 0 {
		one := text(field)
		all = append(all, one)
		field = field[min(len(one)+1, len(field)):]
	}
	return all
}

// text is a string in a field; the rest of it is zero.
func text(field []byte) string {
	for i, c := range field {
		if c == 0 {
			return string(field[:i])
		}
	}
	return string(field)
}
