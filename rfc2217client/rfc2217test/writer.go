package rfc2217test

import "github.com/vcomd/vcomd/rfc2217client/telnet"

// sendRun is how much data from the line is sent in one write, unescaped.
const sendRun = 32 << 10

// write is the session's writer: commands first, then data from the line.
func (c *session) write() {
	defer c.end()
	var wire []byte
	for calls := 0; ; {
		var f Faults
		var ok bool
		wire, f, ok = c.take(wire[:0])
		if !ok {
			return
		}
		if !f.Mute && len(wire) > 0 && !c.put(wire, f) {
			return
		}
		if f.Garbage != nil && !f.Mute {
			if junk := f.Garbage(calls); len(junk) > 0 {
				calls++
				if !c.put(junk, f) {
					return
				}
				continue
			}
		}
		if len(wire) == 0 {
			<-c.wake
		}
	}
}

// take gives what may be sent now, encoded into wire, and the faults of the
// moment; ok is false when the session is over.
func (c *session) take(wire []byte) (_ []byte, f Faults, ok bool) {
	u := c.uart
	u.mu.Lock()
	defer u.mu.Unlock()
	f = c.server.faults
	if c.dead {
		return wire, f, false
	}
	if c.suspended {
		return wire, f, true
	}
	wire = append(wire, c.out...)
	c.out = c.out[:0]
	n := min(len(c.rx), sendRun)
	if n == 0 {
		return wire, f, true
	}
	switch data := c.rx[:n]; {
	case c.server.Raw:
		wire = append(wire, data...)
	case c.binary:
		wire = telnet.AppendData(wire, data)
	default:
		wire = telnet.AppendDataNVT(wire, data)
	}
	c.rx = append(c.rx[:0], c.rx[n:]...)
	u.touchLocked() // the device waits for room
	return wire, f, true
}

// put writes to the connection as the faults will have it; false ends the
// session.
func (c *session) put(p []byte, f Faults) bool {
	step := len(p)
	if f.SplitEveryByte {
		step = 1
	}
	for len(p) > 0 {
		n := min(step, len(p))
		if _, err := c.conn.Write(p[:n]); err != nil {
			return false
		}
		if c.count(0, n) {
			c.reset()
			return false
		}
		p = p[n:]
	}
	return true
}
