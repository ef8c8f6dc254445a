package probe

import (
	"math"
	"slices"
	"time"
)

// Version is that of the JSON: another one has other meanings, more fields do not make
// one.
const Version = 1

// Report is what was found. Text that came from the server is escaped. Times are
// milliseconds.
type Report struct {
	Version int    `json:"version"`
	Remote  string `json:"remote"`
	// Speaks is what the server was found to speak.
	Speaks Speaks `json:"speaks"`
	// Error says why the server could not be reached, or why the conversation ended
	// before its time.
	Error       string       `json:"error,omitempty"`
	Connection  *Connection  `json:"connection,omitempty"` // nil: there was none
	Negotiation *Negotiation `json:"negotiation,omitempty"`
	Said        string       `json:"said,omitempty"` // serial data or text, the first 256 bytes
	Signature   *string      `json:"signature,omitempty"`
	RoundTrip   *Latency     `json:"round_trip,omitempty"` // of all that was answered
	Commands    []Command    `json:"commands"`
	Settings    Settings     `json:"settings"`
	Lines       Lines        `json:"lines"`
	Notify      Notify       `json:"notify"`
	Checks      []Check      `json:"checks"`
}

// Speaks is what a server speaks.
type Speaks string

// What servers speak.
const (
	SpeaksRFC2217 Speaks = "rfc2217"
	SpeaksTelnet  Speaks = "telnet"  // and no RFC 2217
	SpeaksNothing Speaks = "nothing" // of Telnet: it says nothing, or serial data alone
	SpeaksUnknown Speaks = "unknown" // it could not be asked
)

// Connection is how the server was reached.
type Connection struct {
	Address   string  `json:"address"` // of the server or the proxy; empty: simulated
	Local     string  `json:"local,omitempty"`
	Proxy     string  `json:"proxy,omitempty"`
	ConnectMS float64 `json:"connect_ms"` // TLS and looking up names included
	TLS       *TLS    `json:"tls,omitempty"`
}

// TLS is what was agreed, and with whom.
type TLS struct {
	Version     string    `json:"version"`
	Cipher      string    `json:"cipher"`
	Certificate string    `json:"certificate"` // its subject
	NotAfter    time.Time `json:"not_after"`
	Pin         string    `json:"pin"` // as --tls-pin takes it
	Unverified  bool      `json:"unverified,omitempty"`
}

// Negotiation is what became of the Telnet options.
type Negotiation struct {
	TookMS  float64  `json:"took_ms"`
	Options []Option `json:"options"`
}

// Option is one Telnet option and what the two ends do of it.
type Option struct {
	Name   string `json:"name"`
	Code   uint8  `json:"code"`
	Server bool   `json:"server"` // the server performs it, and this end has agreed
	Client bool   `json:"client"` // this end performs it, and the server has agreed
	Said   string `json:"said"`   // what the server said, in order: "DO WILL"; at most 8 words
}

// Latency is how long answers took.
type Latency struct {
	MinMS    float64 `json:"min_ms"`
	MedianMS float64 `json:"median_ms"`
	MaxMS    float64 `json:"max_ms"`
	Answers  int     `json:"answers"`
}

// State is what became of a question.
type State string

// The states.
const (
	StateAcknowledged State = "acknowledged"
	StateUnanswered   State = "unanswered"
	StateNotAsked     State = "not-asked"
)

// Command is one command of RFC 2217, and how the server takes it.
type Command struct {
	Name    string   `json:"name"` // such as "SET-BAUDRATE", "SET-CONTROL flow"
	Asked   string   `json:"asked,omitempty"`
	State   State    `json:"state"`
	Answer  string   `json:"answer,omitempty"`
	Latency *Latency `json:"latency,omitempty"`
}

// Settings are those of the server's UART, as it has told.
type Settings struct {
	Line        string `json:"line"` // such as 9600-8N1; empty: it has not told
	Flow        string `json:"flow"`
	FlowInbound string `json:"flow_inbound"`
}

// Lines are the lines of the server's UART: on, off, or unknown.
type Lines struct {
	DTR   string `json:"dtr"`
	RTS   string `json:"rts"`
	Break string `json:"break"`
	CTS   string `json:"cts"`
	DSR   string `json:"dsr"`
	DCD   string `json:"dcd"`
	RI    string `json:"ri"`
}

// Notify is what the server reports by itself, counted.
type Notify struct {
	ModemState int `json:"modem_state"`
	LineState  int `json:"line_state"`
}

// Verdict is what became of a check.
type Verdict string

// The verdicts.
const (
	Shown    Verdict = "shown"    // the server has this quirk
	Absent   Verdict = "absent"   // it was looked for, and is not there
	Untested Verdict = "untested" // it could not be looked for
)

// Check is one quirk of servers, as docs/compatibility.md has them.
type Check struct {
	ID      string  `json:"id"`
	Verdict Verdict `json:"verdict"`
	Quirk   string  `json:"quirk"`
	Found   string  `json:"found,omitempty"`
	Effect  string  `json:"effect,omitempty"` // what vcomd does about it, or what to do
}

// millis gives milliseconds to the microsecond.
func millis(d time.Duration) float64 { return math.Round(float64(d)/float64(time.Microsecond)) / 1000 }

// latency sums samples up; nil: there are none.
func latency(samples []time.Duration) *Latency {
	if len(samples) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(samples))
	n := len(sorted)
	median := sorted[n/2]
	if n%2 == 0 {
		median = (median + sorted[n/2-1]) / 2
	}
	return &Latency{MinMS: millis(sorted[0]), MedianMS: millis(median), MaxMS: millis(sorted[n-1]), Answers: n}
}
