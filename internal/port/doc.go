// Package port is one virtual port: the only place where the tty, the mirror of
// its settings, the bridge and the client of the access server meet.
//
// A Port lives on a poll loop. Its state is two independent facts, whether a
// program has the tty open and whether the access server is connected:
//
//	closed ──open()──▶ open            idle ─▶ connecting ─▶ up
//	   ▲                 │                       ▲     │ lost │
//	   └──last close()───┘                       └─────┴──────┘
//
// With connect on-open, the first drives the second. Everything a Port has to
// tell goes into one stream of typed events, and into a Status that can be taken
// at any time.
package port
