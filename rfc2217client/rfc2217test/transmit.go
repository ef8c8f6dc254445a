package rfc2217test

import (
	"context"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// timerGrain is the least time between two wake-ups of the transmitter: bytes
// that leave sooner than that after one another are handed on together. What
// has left at a given moment is computed, so this costs no precision.
const timerGrain = time.Millisecond

// charTime gives how long one character takes on the line.
func charTime(s comport.State) time.Duration {
	return max(1, time.Duration(int64(s.CharHalfBits())*int64(time.Second)/(2*int64(max(s.BaudRate, 1)))))
}

// transmit gives the UART bytes to send and waits until they all fit into the
// transmit buffer, or left at once.
func (u *UART) transmit(ctx context.Context, p []byte, abandoned func() bool) error {
	if u.Unpaced {
		return u.transmitUnpaced(p)
	}
	for len(p) > 0 {
		n := 0
		if err := u.await(ctx, func() bool {
			n = u.queueLocked(p)
			return n > 0 || abandoned()
		}); err != nil {
			return err
		}
		if n == 0 {
			return errSessionOver
		}
		p = p[n:]
	}
	return nil
}

// Send gives the UART bytes to send, as a client does, and waits while the
// transmit buffer is full.
func (u *UART) Send(ctx context.Context, p []byte) error {
	u.init()
	return u.transmit(ctx, p, func() bool { return false })
}

func (u *UART) transmitUnpaced(p []byte) error {
	u.mu.Lock()
	lost := u.state.Break == comport.ControlBreakOn
	if lost {
		u.spoilLocked(len(p))
	} else {
		now := time.Time{}
		if !u.journal.off {
			now = u.clock().Now()
		}
		u.journal.data(now, p, u.state)
	}
	u.touchLocked()
	u.mu.Unlock()
	if u.Device == nil || lost {
		return nil
	}
	_, err := u.Device.Write(p)
	return err
}

// queueLocked puts as much of p as there is room for into the transmit buffer.
func (u *UART) queueLocked(p []byte) int {
	n := min(len(p), TransmitBuffer-len(u.tx))
	if n == 0 {
		return 0
	}
	idle := len(u.tx) == 0
	u.tx = append(u.tx, p[:n]...)
	if idle {
		u.txDone = u.clock().Now().Add(charTime(u.state))
		u.halted = u.stoppedLocked()
	}
	u.scheduleLocked()
	u.touchLocked()
	return n
}

// stoppedLocked tells whether flow control, or a device that takes nothing,
// holds the transmitter.
func (u *UART) stoppedLocked() bool {
	if len(u.toDevice) >= TransmitBuffer {
		return true
	}
	switch u.state.Outbound {
	case comport.ControlFlowHardware:
		return u.modem&comport.ModemCTS == 0
	case comport.ControlFlowXonXoff:
		return u.xoff
	case comport.ControlFlowDCD:
		return u.modem&comport.ModemDCD == 0
	case comport.ControlFlowDSR:
		return u.modem&comport.ModemDSR == 0
	default:
		return false
	}
}

// advanceLocked lets everything leave that has left by now.
func (u *UART) advanceLocked() {
	if len(u.tx) == 0 || u.halted {
		return
	}
	now := u.clock().Now()
	if u.txDone.After(now) {
		return
	}
	char := charTime(u.state)
	n := int(min(int64(now.Sub(u.txDone)/char)+1, int64(len(u.tx))))
	first := u.txDone
	u.txDone = u.txDone.Add(time.Duration(n) * char)
	u.leaveLocked(first, n)
	u.halted = u.stoppedLocked()
	u.touchLocked()
	u.scheduleLocked()
}

// leaveLocked moves the first n bytes of the transmit buffer onto the line.
func (u *UART) leaveLocked(now time.Time, n int) {
	p := u.tx[:n]
	if u.state.Break == comport.ControlBreakOn {
		u.spoilLocked(n - min(n, u.suspect))
	} else {
		u.journal.data(now, p, u.state)
		if u.Device != nil {
			u.toDevice = append(u.toDevice, p...)
		}
	}
	u.suspect = max(0, u.suspect-n)
	u.tx = append(u.tx[:0], u.tx[n:]...)
	if len(u.tx) == 0 {
		u.notifyLineLocked(comport.LineHoldingEmpty | comport.LineTransmitterEmpty)
	}
}

// spoilLocked counts bytes that met a break.
func (u *UART) spoilLocked(n int) {
	if n == 0 {
		return
	}
	u.journal.total.Spoiled += uint64(n)
	if e := u.journal.last(); e != nil && e.Kind == EntrySpoiled && e.State == u.state {
		e.Count += n
		return
	}
	u.journal.add(Entry{
		Kind: EntrySpoiled, Time: u.clock().Now(), State: u.state,
		Message: comport.SetControl{Control: comport.ControlBreakOn}, Count: n,
	})
}

// restartLocked is called after a change of settings, lines or flow control.
// The character in the shift register begins anew: what it takes until it has
// left cannot be told from two speeds.
func (u *UART) restartLocked() {
	u.halted = u.stoppedLocked()
	if len(u.tx) > 0 {
		u.txDone = u.clock().Now().Add(charTime(u.state))
	}
	u.scheduleLocked()
}

// scheduleLocked sets the timer to the next moment at which bytes are handed on.
func (u *UART) scheduleLocked() {
	if u.txTimer != nil {
		u.txTimer.Stop()
		u.txTimer = nil
	}
	if len(u.tx) == 0 || u.halted {
		return
	}
	clock := u.clock()
	now := clock.Now()
	last := u.txDone.Add(time.Duration(len(u.tx)-1) * charTime(u.state))
	at := u.txDone
	if grain := now.Add(timerGrain); at.Before(grain) {
		at = grain
	}
	if last.Before(at) {
		at = last
	}
	u.txTimer = clock.AfterFunc(max(0, at.Sub(now)), func() {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.advanceLocked()
	})
}

// dropLocked empties the transmit buffer.
func (u *UART) dropLocked() int {
	n := len(u.tx)
	u.tx, u.suspect = u.tx[:0], 0
	u.journal.total.Lost += uint64(n)
	u.scheduleLocked()
	return n
}

func (u *UART) watchXonXoffLocked(p []byte) {
	const xon, xoff = 0x11, 0x13
	u.advanceLocked()
	before := u.xoff
	for _, c := range p {
		switch c {
		case xon:
			u.xoff = false
		case xoff:
			u.xoff = true
		}
	}
	if u.xoff != before {
		u.restartLocked()
	}
}

// feedDevice hands what has left to the device, which may take its time.
func (u *UART) feedDevice(ctx context.Context) {
	var p []byte
	for {
		if u.await(ctx, func() bool {
			p = append(p[:0], u.toDevice...)
			u.toDevice = u.toDevice[:0]
			if len(p) > 0 && u.halted {
				u.restartLocked()
			}
			return len(p) > 0
		}) != nil {
			return
		}
		if _, err := u.Device.Write(p); err != nil {
			return
		}
	}
}
