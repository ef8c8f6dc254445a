package rfc2217test

import (
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// CommandSet is a set of COM-PORT commands.
type CommandSet uint16

// AllCommands holds every command.
const AllCommands CommandSet = 1<<13 - 1

// Commands gives the set of the commands named.
func Commands(commands ...comport.Command) CommandSet {
	var set CommandSet
	for _, c := range commands {
		set |= 1 << c
	}
	return set
}

// Has reports whether c is in the set.
func (s CommandSet) Has(c comport.Command) bool { return s&(1<<c) != 0 }

// Faults is what a Server does wrong. The zero value is a correct server. What
// is about the start of a session counts for the sessions that begin after it
// was set; everything else at once.
type Faults struct {
	// At the start of a session.
	PortInUse       bool // every client is told "Port already in use" and closed
	NoGreeting      bool // no option is offered; what the client asks for is answered
	WillInsteadOfDo bool // greets with WILL COM-PORT, as pyserial does, and accepts DO
	RefuseComPort   bool // answers WILL COM-PORT with DONT
	IgnoreComPort   bool // answers nothing to COM-PORT, options and messages alike
	NoBinary        bool // refuses BINARY both ways

	// Acknowledgements.
	NoAck       CommandSet    // these are done but not acknowledged
	LateAck     time.Duration // acknowledgements come so much later
	LongBaudAck bool          // SET-BAUDRATE is acknowledged with 8 bytes, as sredird does
	// AckOther replaces an acknowledgement; nil drops it.
	AckOther func(comport.Message) comport.Message

	// The connection.
	Mute           bool // nothing at all is sent
	Stalled        bool // nothing is read: the client's sends pile up
	SplitEveryByte bool // every byte is sent on its own
	// ResetAfter resets the connection once so many bytes went through it,
	// both directions together; 0 is never.
	ResetAfter uint64
	// Garbage gives bytes to send as they are, again and again until it gives
	// none; n counts its calls.
	Garbage func(n int) []byte
}
