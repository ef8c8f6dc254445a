package rfc2217client

// Wire is a piece of what a Client has written to a connection, or read from it: the
// bytes of Telnet, escapes and commands included.
type Wire struct {
	// Connection is another number for each connection of a Client.
	Connection uint64
	Direction  Direction
	Data       []byte // valid during the call
}

// onlooker sees what passes, as long as somebody wants to.
type onlooker struct {
	trace       func(TraceEntry)
	wire        func(Wire)
	connections uint64
}

func (o *onlooker) show(d Direction, p []byte) {
	if o.wire != nil && len(p) > 0 {
		o.wire(Wire{Connection: o.connections, Direction: d, Data: p})
	}
}

// Watch has trace told what passes from now on, decoded, besides Config.Trace; and wire
// the same as the bytes that it is on the wire. nil: it is not told any more. They are
// called on the loop, and call the Client for nothing.
func (c *Client) Watch(trace func(TraceEntry), wire func(Wire)) {
	c.onlooker.trace, c.onlooker.wire = trace, wire
	if c.session != nil {
		c.session.cfg.Trace = c.trace()
	}
}

// trace is what a session's trace goes to.
func (c *Client) trace() func(TraceEntry) {
	always, now := c.cfg.Trace, c.onlooker.trace
	switch {
	case always == nil:
		return now
	case now == nil:
		return always
	}
	return func(e TraceEntry) {
		always(e)
		now(e)
	}
}
