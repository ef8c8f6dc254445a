package comport

import "strconv"

// Message is one COM-PORT message. The concrete types are comparable values;
// there are no others than those of this package.
type Message interface {
	// Command gives the message's code as the client sends it.
	Command() Command
	// String gives the command and its value for logs: safe to print, whatever
	// the peer sent.
	String() string
	message()
}

// SignatureText carries a signature; empty text asks for the peer's. The text
// is the peer's own and untrusted: String escapes it.
type SignatureText struct{ Text string }

// SetBaudRate sets or reports the speed in bit/s; 0 asks.
type SetBaudRate struct{ Rate uint32 }

// SetDataSize sets or reports the data bits of a character; 0 asks.
type SetDataSize struct{ Size DataSize }

// SetParity sets or reports the parity; 0 asks.
type SetParity struct{ Parity Parity }

// SetStopSize sets or reports the stop bits; 0 asks.
type SetStopSize struct{ Size StopSize }

// SetControl sets, reports or asks for flow control, break, DTR or RTS.
type SetControl struct{ Control Control }

// NotifyLineState reports the line state, as far as the mask lets it.
type NotifyLineState struct{ State LineState }

// NotifyModemState reports the modem lines, as far as the mask lets it.
type NotifyModemState struct{ State ModemState }

// FlowControlSuspend asks the peer to send neither data nor commands until
// FlowControlResume.
type FlowControlSuspend struct{}

// FlowControlResume ends a FlowControlSuspend.
type FlowControlResume struct{}

// SetLineStateMask chooses the bits that raise a NotifyLineState.
type SetLineStateMask struct{ Mask LineState }

// SetModemStateMask chooses the bits that raise a NotifyModemState.
type SetModemStateMask struct{ Mask ModemState }

// PurgeData empties buffers of the access server.
type PurgeData struct{ What Purge }

// Command gives CommandSignature.
func (SignatureText) Command() Command { return CommandSignature }

// Command gives CommandSetBaudRate.
func (SetBaudRate) Command() Command { return CommandSetBaudRate }

// Command gives CommandSetDataSize.
func (SetDataSize) Command() Command { return CommandSetDataSize }

// Command gives CommandSetParity.
func (SetParity) Command() Command { return CommandSetParity }

// Command gives CommandSetStopSize.
func (SetStopSize) Command() Command { return CommandSetStopSize }

// Command gives CommandSetControl.
func (SetControl) Command() Command { return CommandSetControl }

// Command gives CommandNotifyLineState.
func (NotifyLineState) Command() Command { return CommandNotifyLineState }

// Command gives CommandNotifyModemState.
func (NotifyModemState) Command() Command { return CommandNotifyModemState }

// Command gives CommandFlowControlSuspend.
func (FlowControlSuspend) Command() Command { return CommandFlowControlSuspend }

// Command gives CommandFlowControlResume.
func (FlowControlResume) Command() Command { return CommandFlowControlResume }

// Command gives CommandSetLineStateMask.
func (SetLineStateMask) Command() Command { return CommandSetLineStateMask }

// Command gives CommandSetModemStateMask.
func (SetModemStateMask) Command() Command { return CommandSetModemStateMask }

// Command gives CommandPurgeData.
func (PurgeData) Command() Command { return CommandPurgeData }

func (SignatureText) message()      {}
func (SetBaudRate) message()        {}
func (SetDataSize) message()        {}
func (SetParity) message()          {}
func (SetStopSize) message()        {}
func (SetControl) message()         {}
func (NotifyLineState) message()    {}
func (NotifyModemState) message()   {}
func (FlowControlSuspend) message() {}
func (FlowControlResume) message()  {}
func (SetLineStateMask) message()   {}
func (SetModemStateMask) message()  {}
func (PurgeData) message()          {}

func (m SignatureText) String() string {
	if m.Text == "" {
		return CommandSignature.String() + " ?"
	}
	return CommandSignature.String() + ` "` + Printable(m.Text, MaxSignature) + `"`
}

func (m SetBaudRate) String() string {
	if m.Rate == 0 {
		return CommandSetBaudRate.String() + " ?"
	}
	return CommandSetBaudRate.String() + " " + strconv.FormatUint(uint64(m.Rate), 10)
}

func (m SetDataSize) String() string { return m.Command().String() + " " + m.Size.String() }

func (m SetParity) String() string { return m.Command().String() + " " + m.Parity.String() }

func (m SetStopSize) String() string { return m.Command().String() + " " + m.Size.String() }

func (m SetControl) String() string { return m.Command().String() + " " + m.Control.String() }

func (m NotifyLineState) String() string { return m.Command().String() + " " + m.State.String() }

func (m NotifyModemState) String() string { return m.Command().String() + " " + m.State.String() }

func (m FlowControlSuspend) String() string { return m.Command().String() }

func (m FlowControlResume) String() string { return m.Command().String() }

func (m SetLineStateMask) String() string { return m.Command().String() + " " + m.Mask.String() }

func (m SetModemStateMask) String() string { return m.Command().String() + " " + m.Mask.String() }

func (m PurgeData) String() string { return m.Command().String() + " " + m.What.String() }

// IsQuery reports whether m, sent by a client, asks for a value without setting
// one.
func IsQuery(m Message) bool {
	switch m := m.(type) {
	case SignatureText:
		return m.Text == ""
	case SetBaudRate:
		return m.Rate == 0
	case SetDataSize:
		return m.Size == 0
	case SetParity:
		return m.Parity == 0
	case SetStopSize:
		return m.Size == 0
	case SetControl:
		return m.Control.IsQuery()
	default:
		return false
	}
}
