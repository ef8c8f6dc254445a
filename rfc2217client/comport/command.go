package comport

import "fmt"

// Option is the Telnet option code of COM-PORT-OPTION (RFC 2217, section 2).
const Option = 44

// Direction tells who sends a message.
type Direction uint8

// The two directions of RFC 2217, section 2.
const (
	ToServer Direction = iota // client to access server, codes 0 to 12
	ToClient                  // access server to client, codes 100 to 112
)

// toClientOffset is what the access server adds to every code.
const toClientOffset = 100

// String gives "to server" or "to client".
func (d Direction) String() string {
	switch d {
	case ToServer:
		return "to server"
	case ToClient:
		return "to client"
	default:
		return fmt.Sprintf("Direction(%d)", uint8(d))
	}
}

// Command is the code of a message as the client sends it, 0 to 12.
type Command uint8

// The commands of RFC 2217, sections 2 to 5, each with its value as it follows
// the code on the wire. The access server's codes are these plus 100.
const (
	CommandSignature            Command = 0  // text, any length; empty asks for the peer's
	CommandSetBaudRate          Command = 1  // u32 big-endian, bit/s; 0 asks
	CommandSetDataSize          Command = 2  // u8, 5 to 8; 0 asks
	CommandSetParity            Command = 3  // u8, 1 none to 5 space; 0 asks
	CommandSetStopSize          Command = 4  // u8, 1 one, 2 two, 3 one and a half; 0 asks
	CommandSetControl           Command = 5  // u8, 0 to 19, see Control
	CommandNotifyLineState      Command = 6  // u8, bits of LineState; never acknowledged
	CommandNotifyModemState     Command = 7  // u8, bits of ModemState; never acknowledged
	CommandFlowControlSuspend   Command = 8  // no value
	CommandFlowControlResume    Command = 9  // no value
	CommandSetLineStateMask     Command = 10 // u8, bits of LineState; 0 at first
	CommandSetModemStateMask    Command = 11 // u8, bits of ModemState; 255 at first
	CommandPurgeData            Command = 12 // u8, 1 receive, 2 transmit, 3 both buffers
	lastCommand                         = CommandPurgeData
	firstToClientCode, lastCode         = toClientOffset, toClientOffset + uint8(lastCommand)
)

// String gives the RFC's name of the command, such as "SET-BAUDRATE".
func (c Command) String() string {
	switch c {
	case CommandSignature:
		return "SIGNATURE"
	case CommandSetBaudRate:
		return "SET-BAUDRATE"
	case CommandSetDataSize:
		return "SET-DATASIZE"
	case CommandSetParity:
		return "SET-PARITY"
	case CommandSetStopSize:
		return "SET-STOPSIZE"
	case CommandSetControl:
		return "SET-CONTROL"
	case CommandNotifyLineState:
		return "NOTIFY-LINESTATE"
	case CommandNotifyModemState:
		return "NOTIFY-MODEMSTATE"
	case CommandFlowControlSuspend:
		return "FLOWCONTROL-SUSPEND"
	case CommandFlowControlResume:
		return "FLOWCONTROL-RESUME"
	case CommandSetLineStateMask:
		return "SET-LINESTATE-MASK"
	case CommandSetModemStateMask:
		return "SET-MODEMSTATE-MASK"
	case CommandPurgeData:
		return "PURGE-DATA"
	default:
		return fmt.Sprintf("Command(%d)", uint8(c))
	}
}
