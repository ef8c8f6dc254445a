package telnet

import "fmt"

// Command is a byte that follows IAC (RFC 854, "TELNET COMMAND STRUCTURE").
type Command byte

// The commands of RFC 854 and RFC 855.
const (
	SE   Command = 240 // end of subnegotiation parameters
	NOP  Command = 241 // no operation
	DM   Command = 242 // data mark, the end of a Synch
	BRK  Command = 243 // the break key
	IP   Command = 244 // interrupt process
	AO   Command = 245 // abort output
	AYT  Command = 246 // are you there
	EC   Command = 247 // erase character
	EL   Command = 248 // erase line
	GA   Command = 249 // go ahead
	SB   Command = 250 // subnegotiation of the option that follows
	WILL Command = 251 // the sender wants to perform the option, or confirms that it does
	WONT Command = 252 // the sender refuses to perform the option, or stops
	DO   Command = 253 // the sender wants the receiver to perform the option
	DONT Command = 254 // the sender wants the receiver to stop performing the option
	IAC  Command = 255 // interpret as command; doubled, the data byte 255
)

var commandNames = [...]string{
	"SE", "NOP", "DM", "BRK", "IP", "AO", "AYT", "EC", "EL", "GA", "SB", "WILL", "WONT", "DO", "DONT", "IAC",
}

// String gives the RFC's name of the command, or its number.
func (c Command) String() string {
	if c >= SE {
		return commandNames[c-SE]
	}
	return fmt.Sprintf("Command(%d)", byte(c))
}

// Option is a Telnet option code (IANA, "Telnet Options").
type Option byte

// The options that a serial session meets.
const (
	Binary       Option = 0  // RFC 856
	Echo         Option = 1  // RFC 857
	SGA          Option = 3  // suppress go ahead, RFC 858
	Status       Option = 5  // RFC 859
	TimingMark   Option = 6  // RFC 860
	TerminalType Option = 24 // RFC 1091
	NAWS         Option = 31 // RFC 1073
	Linemode     Option = 34 // RFC 1184
	ComPort      Option = 44 // RFC 2217
)

// String gives the option's usual name, or its number.
func (o Option) String() string {
	switch o {
	case Binary:
		return "BINARY"
	case Echo:
		return "ECHO"
	case SGA:
		return "SGA"
	case Status:
		return "STATUS"
	case TimingMark:
		return "TIMING-MARK"
	case TerminalType:
		return "TERMINAL-TYPE"
	case NAWS:
		return "NAWS"
	case Linemode:
		return "LINEMODE"
	case ComPort:
		return "COM-PORT"
	default:
		return fmt.Sprintf("Option(%d)", byte(o))
	}
}
