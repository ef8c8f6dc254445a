package comport

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// MaxSignature is how many bytes of a signature Parse keeps.
const MaxSignature = 256

// The reasons a payload cannot be read; Parse wraps them in a *ParseError.
var (
	ErrEmpty          = errors.New("no command")
	ErrShort          = errors.New("value too short")
	ErrUnknownCommand = errors.New("unknown command")
)

// ParseError says which payload Parse could not read.
type ParseError struct {
	Code   byte  // the command's code as received; 0 when the payload was empty
	Length int   // bytes of value that came with it
	Err    error // ErrEmpty, ErrShort or ErrUnknownCommand
}

// Error describes the payload.
func (e *ParseError) Error() string {
	if errors.Is(e.Err, ErrEmpty) {
		return "COM-PORT message: " + e.Err.Error()
	}
	return fmt.Sprintf("COM-PORT message %d of %d bytes: %v", e.Code, e.Length, e.Err)
}

// Unwrap gives the reason.
func (e *ParseError) Unwrap() error { return e.Err }

// Append appends the payload of m as sent in the given direction: the code and
// the value, not escaped and without the IAC SB 44 and IAC SE around it. A nil
// message appends nothing. It does not allocate when dst has room.
func Append(dst []byte, dir Direction, m Message) []byte {
	var offset byte
	if dir == ToClient {
		offset = toClientOffset
	}
	// A switch on the types, not a method call, lets the compiler see that m
	// does not escape, so that a caller's literal stays on the stack.
	switch m := m.(type) {
	case SignatureText:
		return append(append(dst, offset+byte(CommandSignature)), m.Text...)
	case SetBaudRate:
		return binary.BigEndian.AppendUint32(append(dst, offset+byte(CommandSetBaudRate)), m.Rate)
	case SetDataSize:
		return append(dst, offset+byte(CommandSetDataSize), byte(m.Size))
	case SetParity:
		return append(dst, offset+byte(CommandSetParity), byte(m.Parity))
	case SetStopSize:
		return append(dst, offset+byte(CommandSetStopSize), byte(m.Size))
	case SetControl:
		return append(dst, offset+byte(CommandSetControl), byte(m.Control))
	case NotifyLineState:
		return append(dst, offset+byte(CommandNotifyLineState), byte(m.State))
	case NotifyModemState:
		return append(dst, offset+byte(CommandNotifyModemState), byte(m.State))
	case FlowControlSuspend:
		return append(dst, offset+byte(CommandFlowControlSuspend))
	case FlowControlResume:
		return append(dst, offset+byte(CommandFlowControlResume))
	case SetLineStateMask:
		return append(dst, offset+byte(CommandSetLineStateMask), byte(m.Mask))
	case SetModemStateMask:
		return append(dst, offset+byte(CommandSetModemStateMask), byte(m.Mask))
	case PurgeData:
		return append(dst, offset+byte(CommandPurgeData), byte(m.What))
	default:
		return dst
	}
}

// Parse reads one payload: what follows the option byte of a COM-PORT
// subnegotiation, with doubled IAC bytes already undone.
//
// A value longer than needed is read from its start; a signature is cut after
// MaxSignature bytes. The error is a *ParseError that wraps ErrEmpty, ErrShort
// or ErrUnknownCommand. The message keeps nothing of payload.
func Parse(payload []byte) (Direction, Message, error) {
	if len(payload) == 0 {
		return ToServer, nil, &ParseError{Err: ErrEmpty}
	}
	code, value := payload[0], payload[1:]
	dir, command := ToServer, Command(code)
	if code >= firstToClientCode && code <= lastCode {
		dir, command = ToClient, Command(code-toClientOffset)
	}
	if command > lastCommand {
		return dir, nil, &ParseError{Code: code, Length: len(value), Err: ErrUnknownCommand}
	}
	if len(value) < valueLength(command) {
		return dir, nil, &ParseError{Code: code, Length: len(value), Err: ErrShort}
	}
	return dir, read(command, value), nil
}

// valueLength gives the bytes of value that a command needs at least.
func valueLength(c Command) int {
	switch c {
	case CommandSignature, CommandFlowControlSuspend, CommandFlowControlResume:
		return 0
	case CommandSetBaudRate:
		return 4
	case CommandSetDataSize, CommandSetParity, CommandSetStopSize, CommandSetControl,
		CommandNotifyLineState, CommandNotifyModemState,
		CommandSetLineStateMask, CommandSetModemStateMask, CommandPurgeData:
		return 1
	default:
		return 0
	}
}

// read builds the message of a known command from a value that is long enough.
func read(c Command, value []byte) Message {
	switch c {
	case CommandSignature:
		return SignatureText{Text: string(value[:min(len(value), MaxSignature)])}
	case CommandSetBaudRate:
		return SetBaudRate{Rate: binary.BigEndian.Uint32(value)}
	case CommandSetDataSize:
		return SetDataSize{Size: DataSize(value[0])}
	case CommandSetParity:
		return SetParity{Parity: Parity(value[0])}
	case CommandSetStopSize:
		return SetStopSize{Size: StopSize(value[0])}
	case CommandSetControl:
		return SetControl{Control: Control(value[0])}
	case CommandNotifyLineState:
		return NotifyLineState{State: LineState(value[0])}
	case CommandNotifyModemState:
		return NotifyModemState{State: ModemState(value[0])}
	case CommandFlowControlSuspend:
		return FlowControlSuspend{}
	case CommandFlowControlResume:
		return FlowControlResume{}
	case CommandSetLineStateMask:
		return SetLineStateMask{Mask: LineState(value[0])}
	case CommandSetModemStateMask:
		return SetModemStateMask{Mask: ModemState(value[0])}
	case CommandPurgeData:
		return PurgeData{What: Purge(value[0])}
	default:
		return nil
	}
}
