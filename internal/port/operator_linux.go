package port

import (
	"errors"

	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// ErrDisconnected is why there is no connection after Disconnect.
var ErrDisconnected = errors.New("disconnected by request; vcomd reconnect ends that")

// connect has the port connected, at once also when it is waiting to try again, unless
// somebody has said that it is not to be.
func (p *Port) connect() {
	if p.halted {
		return
	}
	if errors.Is(p.lastErr, ErrDisconnected) {
		p.lastErr = nil
	}
	p.client.Start()
}

// Reconnect ends the connection as if it had been lost, and connects again at once; it
// undoes Disconnect. It reports whether there will be a connection now: a port that is
// connected while programs have it open, and is not open, waits for one.
func (p *Port) Reconnect() bool {
	p.wake()
	p.halted = false
	if p.client.Reconnect() {
		return true
	}
	if !p.open && p.cfg.Connect == ConnectOnOpen {
		return false
	}
	p.connect()
	return true
}

// Disconnect ends the connection. It is made again when a program opens the port the
// next time; where it is kept up always, at Reconnect only. To a program that has the
// port open it looks like a lost connection.
func (p *Port) Disconnect() {
	p.wake()
	p.halted = p.cfg.Connect == ConnectAlways
	wasUp := p.client.Up()
	p.client.Stop()
	if !p.open && !p.halted {
		return // as it is when nobody has the port open
	}
	p.lastErr = ErrDisconnected
	p.bridge.LinkLost()
	if wasUp && p.cfg.OnLoss == OnLossHangup {
		p.hangUp(ErrDisconnected)
	}
}

// Purge drops what waits here for the program (comport.PurgeReceive) or for the access
// server (comport.PurgeTransmit), and has the server do the same with its buffers,
// whatever Config.Purge says. Without a connection a purge of input is made up for by
// the next one.
func (p *Port) Purge(what comport.Purge) error {
	return p.flush(what&comport.PurgeReceive != 0, what&comport.PurgeTransmit != 0, true)
}

// Watch has trace and wire told what passes on the connections: see
// rfc2217client.Client.Watch.
func (p *Port) Watch(trace func(rfc2217client.TraceEntry), wire func(rfc2217client.Wire)) {
	p.client.Watch(trace, wire)
}
