package port

import (
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// OnLoss says what a program notices of a lost connection.
type OnLoss uint8

// The policies.
const (
	OnLossHold   OnLoss = iota // nothing: what it reads and writes waits
	OnLossHangup               // what it would of an adapter that is unplugged
)

// Lines says what becomes of DTR and RTS when programs open and close the port.
type Lines uint8

// The policies.
const (
	LinesAuto  Lines = iota // LinesRaise for programs whose ioctls are seen, else LinesLeave
	LinesLeave              // nothing: many boards reset on a toggle
	LinesRaise              // up at the first open; down at the last close, with HUPCL
)

// Policy is how a port behaves where users want it differently.
type Policy struct {
	Tries          int           // to connect, that may fail in a row; 0: without end
	DeadAfter      time.Duration // without a sign of life a connection is lost
	Probe          time.Duration // in silence, after which the server is asked something; 0: never
	Drain          time.Duration // that output in flight has when the port is closed
	RequireRFC2217 bool          // a server that does not speak it is an error

	OnLoss     OnLoss
	StaleAfter time.Duration // bytes that waited longer for a connection are dropped; 0: never
	Discard    bool          // bytes written while the connection is lost are dropped
	DCDHangup  bool          // DCD dropping hangs up a program without CLOCAL

	Lines Lines
	DTR   comport.Control // fixed start value; 0: as Lines says
	RTS   comport.Control // the same

	DropBanner  bool // what the server says at first is dropped: see rfc2217client.SessionConfig
	PurgeOnOpen bool // the server's receive buffer is flushed at the first open

	Pace    bool // output leaves at the line's speed
	Suspend bool // FLOWCONTROL-SUSPEND while the program does not read
	PlainCR bool // no CR NUL where BINARY is not agreed

	// ModemMask is what the server is told with SET-MODEMSTATE-MASK, if
	// SetModemMask says so.
	ModemMask    comport.ModemState
	SetModemMask bool
}
