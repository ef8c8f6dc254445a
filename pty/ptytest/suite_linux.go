package ptytest

import (
	"io"
	"maps"
	"slices"
	"testing"
)

// Port is what the suite is run on.
type Port struct {
	// Path is what programs open.
	Path string
	// Far is the other end: what programs write is read there, what is
	// written there programs read. Its Read waits while no program has the
	// port open, and ends when Far is closed; closing it hangs the port up.
	// Reading, writing and closing may happen at the same time. Run closes it.
	Far io.ReadWriteCloser
	// Gaps are the checks that this kind of port is expected to fail, by
	// name, with the reason.
	Gaps map[string]string
}

// check is one expectation. It returns what was not met, so that an expected
// failure can be told from a success.
type check func(*bench) error

func checks() map[string]check {
	all := make(map[string]check)
	for _, group := range []map[string]check{dataChecks, readChecks, settingsChecks, disciplineChecks, lifeChecks} {
		maps.Copy(all, group)
	}
	return all
}

// Run runs every check as a subtest on a port of its own. open must fail the
// test when there is no port to be had, and leave nothing running once Far is
// closed.
func Run(t *testing.T, open func(t *testing.T) Port) {
	t.Helper()
	all := checks()
	for _, name := range slices.Sorted(maps.Keys(all)) {
		t.Run(name, func(t *testing.T) {
			p := open(t)
			b := newBench(p)
			defer b.close(t)
			for gap := range p.Gaps {
				if _, ok := all[gap]; !ok {
					t.Errorf("there is no check for the gap %q", gap)
				}
			}
			err := all[name](b)
			reason, gap := p.Gaps[name]
			switch {
			case gap && err == nil:
				t.Errorf("works now, but is listed as a gap: %s", reason)
			case gap:
				t.Logf("expected gap (%s): %v", reason, err)
			case err != nil:
				t.Error(err)
			}
		})
	}
}
