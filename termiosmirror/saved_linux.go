package termiosmirror

import (
	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// Saved is a [Mirror], for another process to go on with.
type Saved struct {
	Line     comport.State   `json:"line"`
	Exact    bool            `json:"exact,omitempty"`
	Shown    unix.Termios    `json:"shown"`
	Want     comport.State   `json:"want"`
	Told     bool            `json:"told,omitempty"`
	Observed bool            `json:"observed,omitempty"`
	Split    bool            `json:"split,omitempty"`
	HungUp   bool            `json:"hung_up,omitempty"`
	DTR      comport.Control `json:"dtr"` // what it is when the tty is not at B0
	RTS      comport.Control `json:"rts"`
}

// Save returns all that the mirror knows.
func (m *Mirror) Save() Saved {
	return Saved{m.line, m.exact, m.shown, m.want, m.told, m.observed, m.split, m.hungUp, m.open.dtr, m.open.rts}
}

// Restore returns the mirror that was saved.
func Restore(s Saved) *Mirror {
	m := &Mirror{
		line: s.Line, exact: s.Exact, shown: s.Shown, want: s.Want, told: s.Told, observed: s.Observed, split: s.Split, hungUp: s.HungUp,
	}
	m.open.dtr, m.open.rts = s.DTR, s.RTS
	return m
}
