package metrics

import (
	"time"

	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// buckets are the upper bounds of the histogram of acknowledgements: from a server on the
// same machine to the time after which they are given up.
var buckets = [...]time.Duration{
	time.Millisecond, 2 * time.Millisecond, 5 * time.Millisecond, 10 * time.Millisecond, 20 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 200 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second,
}

// Meter counts of one port what its status does not. The zero value is ready. Its methods
// are for the loop's thread.
type Meter struct {
	connections, losses, settings uint64

	connected bool
	acks      histogram
}

// histogram counts times, each in the first bucket that it fits into; the last is for
// those that fit into none.
type histogram struct {
	counts [len(buckets) + 1]uint64
	sum    time.Duration
}

// Event counts what has happened to the port.
func (m *Meter) Event(ev port.Event) {
	switch ev.Kind {
	case port.KindConnected:
		m.connections++
		m.connected = true
	case port.KindDisconnected:
		if m.connected { // else a try to connect has failed
			m.losses++
		}
		m.connected = false
	case port.KindStopped, port.KindGaveUp:
		m.connected = false
	case port.KindWanted:
		m.settings++
	default:
	}
}

// Acknowledged counts an acknowledgement: see port.Config.
func (m *Meter) Acknowledged(_ comport.Command, latency time.Duration) {
	i := 0
	for i < len(buckets) && latency > buckets[i] {
		i++
	}
	m.acks.counts[i]++
	m.acks.sum += latency
}

// Resumed is for a port that goes on where another process has left it, with a connection
// or without.
func (m *Meter) Resumed(connected bool) { m.connected = connected }
