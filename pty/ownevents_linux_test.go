package pty

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Which events are our own, on kernels that tell of TIOCGPTPEER's open and on older
// ones.
func TestOwnEvents(t *testing.T) {
	const opened, closed = unix.IN_OPEN, unix.IN_CLOSE_NOWRITE
	for name, events := range map[string][]struct {
		mask uint32
		own  bool
	}{
		"Linux 6.5":  {{opened, true}, {closed, true}, {opened, false}, {closed, false}},
		"Linux 6.1":  {{closed, true}, {opened, false}, {closed, false}},
		"in between": {{opened, true}, {opened, false}, {closed, true}, {opened, false}},
	} {
		m := &Master{ownOpens: 1, ownCloses: 1}
		for i, e := range events {
			if got := m.isOwnEvent(e.mask); got != e.own {
				t.Errorf("%s: event %d is our own: %v, want %v", name, i, got, e.own)
			}
		}
	}
}
