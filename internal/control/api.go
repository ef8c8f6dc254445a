package control

import "time"

// Version is that of the protocol which this package speaks.
const Version = 1

// Reply is the body of every answer. One of the other fields has what was asked
// for.
type Reply struct {
	Version int      `json:"version"`
	Ports   []Port   `json:"ports,omitempty"`
	Port    *Port    `json:"port,omitempty"`
	Results []Result `json:"results,omitempty"`
	// Reloaded answers a POST to /v1/reload.
	Reloaded *Reloaded `json:"reloaded,omitempty"`
	Error    *Error    `json:"error,omitempty"`
}

// Port is what is known of one port.
type Port struct {
	Name      string    `json:"name"`
	PID       int       `json:"pid"` // of the vcomd that serves it
	Links     []string  `json:"links"`
	Overlay   string    `json:"overlay,omitempty"` // the node that the port is mounted over
	TTY       string    `json:"tty"`
	Remote    string    `json:"remote"`
	Open      bool      `json:"open"`      // a program has it open
	Connected bool      `json:"connected"` // to the access server
	Since     time.Time `json:"since"`     // when Connected became what it is
	Mode      string    `json:"mode"`      // rfc2217, telnet or raw; negotiating without a connection
	Suspended bool      `json:"suspended"` // the server holds the output
	// Disconnected: somebody has ended the connection by request, and none is made.
	Disconnected bool `json:"disconnected,omitempty"`

	Wanted   Settings `json:"wanted"`   // what programs, --line and vcomd set ask for
	Reported Settings `json:"reported"` // what the server has said in this connection

	DTR      string `json:"dtr"` // on, off, or unknown where nobody asked for either
	RTS      string `json:"rts"`
	Break    bool   `json:"break"` // one is being sent
	CTS      bool   `json:"cts"`   // this and the next three as the server has told last
	DSR      bool   `json:"dsr"`
	DCD      bool   `json:"dcd"`
	RI       bool   `json:"ri"`
	OutQueue int    `json:"out_queue"` // bytes written by programs and not sent yet

	Counters  Counters `json:"counters"`
	LastError string   `json:"last_error,omitempty"` // why there is no connection; escaped
}

// Settings are line settings. What is not known, or not asked for, is empty.
type Settings struct {
	Line string `json:"line"` // such as 9600-8N1
	Flow string `json:"flow"` // none, xonxoff, hardware, DCD or DSR: both ways, or of output alone
	// FlowInbound is that of input, where it was set by itself; also DTR.
	FlowInbound string `json:"flow_inbound,omitempty"`
}

// Counters count since the port was made. The first group is named as in the log's
// event=ended; the last is what TIOCGICOUNT tells and wraps around at 2^32.
type Counters struct {
	FromProgram   uint64 `json:"from_program"` // bytes
	ToProgram     uint64 `json:"to_program"`   // bytes, and so on
	DroppedClosed uint64 `json:"dropped_closed"`
	DroppedFlush  uint64 `json:"dropped_flush"`
	DroppedUnsent uint64 `json:"dropped_unsent"`
	DroppedStale  uint64 `json:"dropped_stale"`
	DroppedDown   uint64 `json:"dropped_down"`
	FlushedUnsent uint64 `json:"flushed_unsent"`
	DroppedBanner uint64 `json:"dropped_banner"`
	Unconfirmed   uint64 `json:"tx_unconfirmed"`
	Undelivered   uint64 `json:"rx_undelivered"`
	Purged        uint64 `json:"purged"`

	BytesSent        uint64 `json:"bytes_sent"`     // serial data, before escaping
	BytesReceived    uint64 `json:"bytes_received"` // serial data, after unescaping
	CommandsSent     uint64 `json:"commands_sent"`  // RFC 2217
	CommandsReceived uint64 `json:"commands_received"`
	Unanswered       uint64 `json:"unanswered"`
	DroppedRequests  uint64 `json:"dropped_requests"`
	UnknownMessages  uint64 `json:"unknown_messages"`
	BrokenMessages   uint64 `json:"broken_messages"`
	IgnoredCommands  uint64 `json:"ignored_commands"`
	RefusedOptions   uint64 `json:"refused_options"`

	CTS        uint32 `json:"cts"` // changes
	DSR        uint32 `json:"dsr"`
	DCD        uint32 `json:"dcd"`
	Ring       uint32 `json:"rng"`     // ends of rings
	Framing    uint32 `json:"frame"`   // reports of the server, for this and the rest
	Parity     uint32 `json:"parity"`  // reports
	Overrun    uint32 `json:"overrun"` // reports
	Break      uint32 `json:"brk"`
	BufOverrun uint32 `json:"buf_overrun"`
}

// SetRequest is the body of a PATCH.
type SetRequest struct {
	Version int         `json:"version"`
	Set     []Operation `json:"set"`
}

// Operation is one thing to do, as people write it: see [Operation.Check].
type Operation struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// String gives the operation as people write it.
func (o Operation) String() string { return o.Key + "=" + o.Value }

// Result is what became of an operation.
type Result struct {
	Operation
	State State `json:"state"`
}

// State is what became of an operation.
type State string

// The states.
const (
	StateDone   State = "done"   // handed to the access server
	StateStored State = "stored" // there is no connection: the next one begins with it
	StateLocal  State = "local"  // done here; the access server has nothing like it
)

// ActionRequest is the body of a POST to one of a port's actions. It may be left away.
type ActionRequest struct {
	Version int `json:"version"`
	// What is to be purged: rx, what was received for the program; tx, what it has
	// written; or both, which is the default.
	What string `json:"what,omitempty"`
}

// Reloaded says what another configuration has changed, by the names of ports.
type Reloaded struct {
	Added   []string `json:"added"`
	Changed []string `json:"changed"`
	Removed []string `json:"removed"`
	Failed  []string `json:"failed"` // new or changed, and could not be made: tried again later
	Kept    int      `json:"kept"`   // ports that nothing has changed for
}

// Code says for programs what an Error is about.
type Code string

// The codes.
const (
	CodeVersion    Code = "unknown-version" // another version of the protocol was asked for
	CodeNotFound   Code = "not-found"       // there is no such port, or no such path
	CodeBadRequest Code = "bad-request"     // the request is wrong, and nothing was done
	CodeRefused    Code = "refused"         // this user may not
	CodeCannot     Code = "cannot"          // the access server cannot do it
	CodeFailed     Code = "failed"          // it could not be done now
	CodeEnding     Code = "ending"          // this vcomd is about to end, or does not get to it
	CodeBusy       Code = "busy"            // there are too many connections, of this user or at all
	// CodeConfiguration: the configuration file is wrong; the ports are as they were.
	CodeConfiguration Code = "configuration"
)

// Error is a failure, for programs by its code and for people by its message.
type Error struct {
	Code    Code   `json:"code"`
	Message string `json:"message"`
}

// Error gives the message.
func (e *Error) Error() string { return e.Message }
