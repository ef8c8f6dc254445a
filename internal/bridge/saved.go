package bridge

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// ErrSaved means that a saved state is none that this package makes.
var ErrSaved = errors.New("saved state that cannot be")

// Saved is what a [Bridge] holds, for another process to go on with.
type Saved struct {
	Open      bool          `json:"open,omitempty"`
	Started   bool          `json:"started,omitempty"`
	Full      bool          `json:"full,omitempty"`
	Down      bool          `json:"down,omitempty"`
	Data      []byte        `json:"data,omitempty"`
	Head      uint64        `json:"head"`
	OldEnd    uint64        `json:"old_end"`
	Changes   []SavedChange `json:"changes,omitempty"`
	Ages      []SavedAge    `json:"ages,omitempty"`
	FullSince time.Time     `json:"full_since"`
	BusyUntil time.Time     `json:"busy_until"`
	PaceUntil time.Time     `json:"pace_until"`
	Counters  Counters      `json:"counters"`
}

// SavedChange is what is to be asked of the remote UART after a certain byte.
type SavedChange struct {
	At   uint64        `json:"at"`
	Want comport.State `json:"want"`
	// Order has messages in place of Want, as RFC 2217 has them.
	Order [][]byte `json:"order,omitempty"`
}

// SavedAge says since when the bytes up to an offset wait.
type SavedAge struct {
	End   uint64    `json:"end"`
	Since time.Time `json:"since"`
}

// Save ends the bridge as far as this process goes, and returns what it holds. Who
// waits for an order is told that it was not sent: he is to ask again.
func (b *Bridge) Save() Saved {
	s := Saved{
		Open: b.open, Started: b.started, Full: b.full, Down: b.down, Data: slices.Clone(b.queue.data), Head: b.queue.head, OldEnd: b.oldEnd,
		FullSince: b.hold.full, BusyUntil: b.busyUntil, PaceUntil: b.pace.until, Counters: b.counters,
	}
	for _, c := range b.queue.changes {
		change := SavedChange{At: c.at, Want: c.want}
		for _, m := range c.order {
			change.Order = append(change.Order, comport.Append(nil, comport.ToServer, m))
		}
		s.Changes = append(s.Changes, change)
	}
	for _, m := range b.hold.marks {
		s.Ages = append(s.Ages, SavedAge{m.end, m.since})
	}
	b.stopSettling()
	b.stopPacing()
	b.forgetAges()
	b.queue = queue{}
	return s
}

// Restore puts a new bridge where the saved one stopped. The error wraps ErrSaved, and
// then the bridge is as it was.
func (b *Bridge) Restore(s Saved) error {
	q := queue{data: slices.Clone(s.Data), head: s.Head}
	if len(s.Data) > maxStaged || len(s.Changes) > maxChanges || len(s.Ages) > ageSteps+1 {
		return fmt.Errorf("bridge: %w", ErrSaved)
	}
	at := q.head
	for _, c := range s.Changes {
		if c.At < at && c.At < q.head || c.At > q.tail() {
			return fmt.Errorf("bridge: a change: %w", ErrSaved)
		}
		one := change{at: c.At, want: c.Want}
		for _, wire := range c.Order {
			_, m, err := comport.Parse(wire)
			if err != nil {
				return fmt.Errorf("bridge: an order: %w: %w", ErrSaved, err)
			}
			one.order = append(one.order, m)
		}
		q.changes, at = append(q.changes, one), c.At
	}
	b.queue = q
	b.open, b.started, b.full, b.down, b.oldEnd = s.Open, s.Started, s.Full, s.Down, s.OldEnd
	b.busyUntil, b.pace.until, b.counters = s.BusyUntil, s.PaceUntil, s.Counters
	for _, m := range s.Ages {
		b.hold.marks = append(b.hold.marks, mark{m.End, m.Since})
	}
	b.hold.full = s.FullSince
	b.armStale()
	return nil
}
