package control

import "time"

// Entry is one line of a stream: of events, or of what passes between a port and its
// access server.
type Entry struct {
	Version int       `json:"version,omitempty"` // in the first one
	Time    time.Time `json:"time"`
	Port    string    `json:"port,omitempty"`
	Kind    Kind      `json:"kind"`

	// Event says what has happened, as in the log: see Old, New, Text and Error, which are
	// escaped.
	Event string `json:"event,omitempty"`
	Old   string `json:"old,omitempty"`
	New   string `json:"new,omitempty"`
	Error string `json:"error,omitempty"`

	Direction  Direction `json:"direction,omitempty"`
	Connection uint64    `json:"connection,omitempty"` // of wire: another number for each
	Data       []byte    `json:"data,omitempty"`       // of data and wire
	Text       string    `json:"text,omitempty"`       // of a command, escaped; of an event: more, for people

	Lost *Lost `json:"lost,omitempty"`
}

// Kind is what an Entry is about.
type Kind string

// The kinds.
const (
	KindBegin   Kind = "begin"   // the first entry: what happens from here on follows
	KindEvent   Kind = "event"   // something has happened to a port
	KindData    Kind = "data"    // serial data
	KindCommand Kind = "command" // a command of Telnet or RFC 2217, in Text
	KindWire    Kind = "wire"    // bytes as they are on the wire
	KindLost    Kind = "lost"    // the reader was too slow for what stood here
)

// Direction is where something goes.
type Direction string

// The directions.
const (
	DirectionSent     Direction = "sent"     // to the access server
	DirectionReceived Direction = "received" // from it
)

// Lost is what a reader has missed.
type Lost struct {
	Entries uint64 `json:"entries"`
	// Bytes of data; and of the wire.
	Sent         uint64 `json:"sent,omitempty"`
	Received     uint64 `json:"received,omitempty"`
	WireSent     uint64 `json:"wire_sent,omitempty"`
	WireReceived uint64 `json:"wire_received,omitempty"`
}

func (l *Lost) add(e Entry) {
	l.Entries++
	n := uint64(len(e.Data))
	switch {
	case e.Kind == KindWire && e.Direction == DirectionSent:
		l.WireSent += n
	case e.Kind == KindWire:
		l.WireReceived += n
	case e.Direction == DirectionSent:
		l.Sent += n
	default:
		l.Received += n
	}
}
