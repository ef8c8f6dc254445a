package rfc2217client

import "github.com/vcomd/vcomd/rfc2217client/comport"

// Mode is what a connection can carry.
type Mode uint8

// The modes.
const (
	ModeNegotiating Mode = iota // not known yet: data must wait
	ModeComPort                 // data, settings, lines, break, notifications
	ModeTelnet                  // data; a break as IAC BRK
	ModeRaw                     // data
)

// String names the mode.
func (m Mode) String() string {
	switch m {
	case ModeNegotiating:
		return "negotiating"
	case ModeComPort:
		return "rfc2217"
	case ModeTelnet:
		return "telnet"
	case ModeRaw:
		return "raw"
	default:
		return "?"
	}
}

// EventKind says what an Event tells.
type EventKind uint8

// The kinds of event of a Session.
const (
	// EventMode: the negotiation has come to a result, Event.Mode. Text says
	// why when the server does not speak RFC 2217. It comes again if the server
	// agrees to COM-PORT later.
	EventMode EventKind = iota + 1
	// EventReport: the server told a value, Event.Message. Event.Request is the
	// newest request when this answers it; nil when nobody asked.
	EventReport
	// EventUnanswered: Event.Request was sent twice and never acknowledged. It
	// comes once a command and session.
	EventUnanswered
	// EventModemState and EventLineState: Event.Message is the notification.
	EventModemState
	EventLineState
	// EventBreak: the server sent IAC BRK.
	EventBreak
	// EventBanner: Event.Data was dropped as the server's greeting. It is valid
	// during the call.
	EventBanner
	// EventSuspended and EventResumed: the server stopped and restarted what
	// this end sends.
	EventSuspended
	EventResumed
)

// Event is something the server said or failed to say.
type Event struct {
	Kind    EventKind
	Mode    Mode
	Message comport.Message
	Request comport.Message
	Text    string
	Data    []byte
}

// Direction of a TraceEntry.
type Direction uint8

// The directions.
const (
	Sent Direction = iota
	Received
)

// TraceEntry is one element of the wire, decoded.
type TraceEntry struct {
	Direction Direction
	// Data is serial data, valid during the call; nil for a command.
	Data []byte
	// Text is a command in words, safe to print.
	Text string
}

// Counters count what a Session or Client has seen since it was made.
type Counters struct {
	BytesSent        uint64 // serial data, before escaping
	BytesReceived    uint64 // serial data, after unescaping
	CommandsSent     uint64 // COM-PORT messages
	CommandsReceived uint64
	IgnoredCommands  uint64 // Telnet commands without a meaning for a serial line
	UnknownMessages  uint64 // COM-PORT messages that could not be parsed; other subnegotiations
	BrokenMessages   uint64 // subnegotiations cut short or too long
	Unanswered       uint64 // requests given up
	PurgedBytes      uint64 // received after an input flush and before its acknowledgement
	BannerBytes      uint64 // dropped as the server's greeting
	Unconfirmed      uint64 // bytes of the wire that were sent, or about to be, when a connection was lost
	Undelivered      uint64 // serial data received, and not taken by the program when the connection was lost
	DroppedRequests  uint64 // requests that there was no room for: the server is suspended or does not read
	RefusedOptions   uint64 // options refused
}

func (c *Counters) add(o Counters) {
	c.BytesSent += o.BytesSent
	c.BytesReceived += o.BytesReceived
	c.CommandsSent += o.CommandsSent
	c.CommandsReceived += o.CommandsReceived
	c.IgnoredCommands += o.IgnoredCommands
	c.UnknownMessages += o.UnknownMessages
	c.BrokenMessages += o.BrokenMessages
	c.Unanswered += o.Unanswered
	c.PurgedBytes += o.PurgedBytes
	c.BannerBytes += o.BannerBytes
	c.Unconfirmed += o.Unconfirmed
	c.Undelivered += o.Undelivered
	c.DroppedRequests += o.DroppedRequests
	c.RefusedOptions += o.RefusedOptions
}
