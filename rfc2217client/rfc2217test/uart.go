package rfc2217test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// TransmitBuffer is what a UART holds of bytes to send, in bytes. When it is
// full the server stops reading from its client.
const TransmitBuffer = 4096

// ReceiveBuffer is what is held for each client of bytes from the line.
const ReceiveBuffer = 64 << 10

// defaults are the settings of a UART without a session, and those that a
// session begins with.
var defaults = comport.State{
	BaudRate: 9600, DataSize: 8, Parity: comport.ParityNone, StopSize: comport.StopSize1,
	Outbound: comport.ControlFlowNone, DTR: comport.ControlDTROff, RTS: comport.ControlRTSOff, Break: comport.ControlBreakOff,
}

// idleModem is what a UART sees when nothing drives its inputs: a three-wire
// cable with the inputs tied on.
const idleModem = comport.ModemCTS | comport.ModemDSR | comport.ModemDCD

// UART is a serial port and its line: settings, modem lines, a transmit buffer
// that drains at line speed, and a journal. The zero value is ready: 9600-8N1,
// no device, inputs CTS, DSR and DCD on.
//
// The exported fields must not change once the UART is in use. All methods may
// be called concurrently.
type UART struct {
	Clock  Clock  // nil is the real clock
	Device Device // what is on the line; nil: bytes sent go to the journal only
	// Unpaced lets bytes leave at once, whatever the speed, and then nothing
	// ever waits in the transmit buffer.
	Unpaced bool
	// JournalOff keeps only the journal's Total, for long runs.
	JournalOff bool

	// initOnce must not be inside mu: a device calls back when it is attached.
	initOnce sync.Once

	mu        sync.Mutex
	state     comport.State
	modem     comport.ModemState // levels only
	lineMask  comport.LineState
	modemMask comport.ModemState
	journal   journal
	received  uint64 // bytes that came from the line
	overrun   uint64 // of those, the ones that found no room
	unheard   uint64 // of those, the ones that came while no session was on
	running   bool
	sessions  map[*session]struct{}
	changed   chan struct{} // closed at the next change when somebody waits

	// The transmitter, in transmit.go.
	tx       []byte    // at most TransmitBuffer bytes; tx[0] is in the shift register
	suspect  int       // leading bytes of tx that are counted as spoiled already
	txDone   time.Time // when tx[0] will have left
	txTimer  Timer
	halted   bool // flow control holds the transmitter: txDone means nothing
	xoff     bool // the line sent XOFF
	toDevice []byte
}

// Snapshot is a UART at one moment.
type Snapshot struct {
	State     comport.State
	Modem     comport.ModemState // levels of CTS, DSR, RI and DCD
	LineMask  comport.LineState
	ModemMask comport.ModemState
	Queued    int    // bytes in the transmit buffer
	Received  uint64 // bytes that came from the line
	Overrun   uint64 // of those, lost for lack of room
	Unheard   uint64 // of those, lost because no session was on
	Sessions  int
	Entries   int // entries in the journal
	Total     Total
}

func (u *UART) clock() Clock { return orReal(u.Clock) }

func (u *UART) init() {
	u.initOnce.Do(func() {
		u.mu.Lock()
		u.state, u.modemMask = defaults, 255
		u.modem = idleModem
		u.journal.off = u.JournalOff
		u.sessions = make(map[*session]struct{})
		u.mu.Unlock()
		if d, ok := u.Device.(LineDevice); ok {
			d.SetLines(false, false)
			d.NotifyModem(u.setModem)
		}
	})
}

// State gives the settings and lines in force.
func (u *UART) State() comport.State { return u.Snapshot().State }

// Snapshot gives the UART's state at this moment of its clock.
func (u *UART) Snapshot() Snapshot {
	u.init()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.advanceLocked()
	return u.snapshotLocked()
}

func (u *UART) snapshotLocked() Snapshot {
	return Snapshot{
		State: u.state, Modem: u.modem, LineMask: u.lineMask, ModemMask: u.modemMask, Queued: len(u.tx),
		Received: u.received, Overrun: u.overrun, Unheard: u.unheard, Sessions: len(u.sessions),
		Entries: len(u.journal.entries), Total: u.journal.total,
	}
}

// Journal gives what happened so far, oldest first. Bytes are in it when they
// have left the UART.
func (u *UART) Journal() []Entry {
	u.init()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.advanceLocked()
	return u.journal.snapshot()
}

// Sent gives the bytes in the journal, joined.
func (u *UART) Sent() []byte {
	var sent []byte
	for _, e := range u.Journal() {
		if e.Kind == EntryData {
			sent = append(sent, e.Data...)
		}
	}
	return sent
}

// WaitFor waits until done says so about the UART; done is called at once and
// after each change, and must not call the UART. The error is ctx's.
func (u *UART) WaitFor(ctx context.Context, done func(Snapshot) bool) error {
	u.init()
	return u.await(ctx, func() bool { return done(u.snapshotLocked()) })
}

func (u *UART) await(ctx context.Context, doneLocked func() bool) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	for {
		u.advanceLocked()
		if doneLocked() {
			return nil
		}
		if u.changed == nil {
			u.changed = make(chan struct{})
		}
		changed := u.changed
		u.mu.Unlock()
		var err error
		select {
		case <-changed:
		case <-ctx.Done():
			err = fmt.Errorf("waiting for the UART: %w", ctx.Err())
		}
		u.mu.Lock()
		if err != nil {
			return err
		}
	}
}

// touchLocked wakes everybody who waits for a change.
func (u *UART) touchLocked() {
	if u.changed != nil {
		close(u.changed)
		u.changed = nil
	}
}

// Run carries bytes between the device and the UART until ctx ends; then it
// closes the device and returns nil. Server.Serve and Server.ServeConn run the
// UART themselves when nobody else does. Without a device there is nothing to
// carry.
func (u *UART) Run(ctx context.Context) error {
	if !u.claim() {
		return errors.New("this UART is running already")
	}
	return u.run(ctx)
}

// claim makes the caller the one that runs the UART, unless somebody does.
func (u *UART) claim() bool {
	u.init()
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.running {
		return false
	}
	u.running = true
	return true
}

func (u *UART) run(ctx context.Context) error {
	defer func() {
		u.mu.Lock()
		u.running = false
		u.mu.Unlock()
	}()
	if u.Device == nil {
		<-ctx.Done()
		return nil
	}
	stop := context.AfterFunc(ctx, func() { _ = u.Device.Close() })
	defer stop()
	var wg sync.WaitGroup
	if !u.Unpaced {
		wg.Go(func() { u.feedDevice(ctx) })
	}
	err := u.readDevice(ctx)
	<-ctx.Done()
	wg.Wait()
	if err != nil {
		return fmt.Errorf("reading the device: %w", err)
	}
	return nil
}

// readDevice passes on what the device says. It waits while a client has no
// room, as a device with flow control does.
func (u *UART) readDevice(ctx context.Context) error {
	buf := make([]byte, 32<<10)
	for {
		n, err := u.Device.Read(buf)
		for p := buf[:n]; len(p) > 0; {
			var took int
			room := u.await(ctx, func() bool { took = u.receiveLocked(p); return took > 0 })
			if room != nil {
				return endOf(ctx, room)
			}
			p = p[took:]
		}
		if err != nil {
			return endOf(ctx, err)
		}
	}
}

// endOf gives nil for the errors that mean the end of a run, or of a device.
func endOf(ctx context.Context, err error) error {
	over := ctx.Err() != nil || errors.Is(err, io.EOF)
	if over {
		return nil
	}
	return err
}

// Receive lets bytes arrive from the line, as the device would send them. What
// a client has no room for is lost and reported as an overrun; the return value
// says how much was not.
func (u *UART) Receive(p []byte) int {
	u.init()
	u.mu.Lock()
	defer u.mu.Unlock()
	n := u.receiveLocked(p)
	if n < len(p) {
		u.overrun += uint64(len(p) - n)
		u.received += uint64(len(p) - n)
		u.notifyLineLocked(comport.LineOverrunError)
	}
	return n
}

// receiveLocked takes as many bytes as every client has room for.
func (u *UART) receiveLocked(p []byte) int {
	n, heard := len(p), false
	for s := range u.sessions {
		if !s.dead {
			heard = true
			n = min(n, ReceiveBuffer-len(s.rx))
		}
	}
	if n == 0 {
		return 0
	}
	if u.state.Outbound == comport.ControlFlowXonXoff {
		u.watchXonXoffLocked(p[:n])
	}
	u.received += uint64(n)
	if !heard {
		u.unheard += uint64(n)
	}
	for s := range u.sessions {
		if !s.dead {
			s.rx = append(s.rx, p[:n]...)
			s.wakeLocked()
		}
	}
	u.notifyLineLocked(comport.LineDataReady)
	u.touchLocked()
	return n
}

// LineError reports a reception error or a break on the line to the clients
// whose mask asks for it.
func (u *UART) LineError(state comport.LineState) {
	u.init()
	u.mu.Lock()
	defer u.mu.Unlock()
	u.notifyLineLocked(state)
}

func (u *UART) notifyLineLocked(state comport.LineState) {
	if state &= u.lineMask; state == 0 {
		return
	}
	for s := range u.sessions {
		s.sendLocked(comport.NotifyLineState{State: state})
	}
}

// SetModem sets the inputs CTS, DSR, RI and DCD; delta bits are computed here.
func (u *UART) SetModem(levels comport.ModemState) {
	u.init()
	u.setModem(levels)
}

func (u *UART) setModem(levels comport.ModemState) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.advanceLocked()
	levels = levels.Levels()
	old := u.modem
	if levels == old {
		return
	}
	u.modem = levels
	u.journal.add(Entry{Kind: EntryModem, Time: u.clock().Now(), State: u.state, Modem: levels})
	u.restartLocked()
	deltas := levels.DeltasSince(old)
	if (levels^old|deltas)&u.modemMask != 0 {
		for s := range u.sessions {
			s.sendLocked(comport.NotifyModemState{State: (levels | deltas) & u.modemMask})
		}
	}
	u.touchLocked()
}

// Set does what a request says and gives the acknowledgement: the same kind of
// message with the value now in effect. Messages that are not requests of a
// UART give nil.
func (u *UART) Set(m comport.Message) comport.Message {
	u.init()
	u.mu.Lock()
	ack := u.setLocked(m)
	state := u.state
	u.mu.Unlock()
	if c, ok := m.(comport.SetControl); ok {
		u.driveLines(c.Control.Group(), state)
	}
	return ack
}

// driveLines tells the device about DTR and RTS. Never under the lock: the
// device answers with its own lines.
func (u *UART) driveLines(group comport.ControlGroup, state comport.State) {
	if group != comport.GroupDTR && group != comport.GroupRTS {
		return
	}
	if d, ok := u.Device.(LineDevice); ok {
		d.SetLines(state.DTR == comport.ControlDTROn, state.RTS == comport.ControlRTSOn)
	}
}

func (u *UART) setLocked(m comport.Message) comport.Message {
	u.advanceLocked()
	before := u.state
	switch m := m.(type) {
	case comport.SetBaudRate, comport.SetDataSize, comport.SetParity, comport.SetStopSize, comport.SetControl:
		u.state.Set(m)
		if c, ok := m.(comport.SetControl); ok && c.Control.Group() == comport.GroupFlow && !c.Control.IsQuery() {
			u.state.Inbound = 0 // RFC 2217: outbound sets both, until inbound is set
		}
	case comport.SetLineStateMask:
		u.lineMask = m.Mask
		u.touchLocked()
		return m
	case comport.SetModemStateMask:
		u.modemMask = m.Mask
		u.touchLocked()
		return m
	case comport.PurgeData:
		if !u.purgeLocked(m) {
			return nil
		}
		u.touchLocked()
		return m
	default:
		return nil
	}
	if u.state != before {
		u.recordLocked(m, before)
		// DTR and RTS do not disturb the character that is being sent.
		wasDriven := before
		wasDriven.DTR, wasDriven.RTS = u.state.DTR, u.state.RTS
		if u.state != wasDriven {
			u.restartLocked()
		}
	}
	u.touchLocked()
	return u.effectiveLocked(m)
}

// recordLocked writes a change of settings or lines to the journal.
func (u *UART) recordLocked(m comport.Message, before comport.State) {
	now := u.clock().Now()
	kind := EntrySetting
	if c, ok := m.(comport.SetControl); ok {
		switch c.Control.Group() {
		case comport.GroupBreak:
			kind = EntryBreak
		case comport.GroupDTR, comport.GroupRTS:
			kind = EntryLine
		case comport.GroupFlow, comport.GroupInbound, comport.GroupUnknown:
		}
	}
	if u.state.Line() != before.Line() || kind == EntryBreak {
		if n := len(u.tx) - u.suspect; n > 0 {
			u.journal.total.Spoiled += uint64(n)
			u.journal.add(Entry{Kind: EntrySpoiled, Time: now, State: u.state, Message: m, Count: n})
			u.suspect = len(u.tx)
		}
	}
	u.journal.add(Entry{Kind: kind, Time: now, State: u.state, Message: m})
}

// effectiveLocked gives the value in effect of what m sets or asks for.
func (u *UART) effectiveLocked(m comport.Message) comport.Message {
	switch m := m.(type) {
	case comport.SetBaudRate:
		return comport.SetBaudRate{Rate: u.state.BaudRate}
	case comport.SetDataSize:
		return comport.SetDataSize{Size: u.state.DataSize}
	case comport.SetParity:
		return comport.SetParity{Parity: u.state.Parity}
	case comport.SetStopSize:
		return comport.SetStopSize{Size: u.state.StopSize}
	case comport.SetControl:
		switch m.Control.Group() {
		case comport.GroupFlow:
			return comport.SetControl{Control: u.state.Outbound}
		case comport.GroupBreak:
			return comport.SetControl{Control: u.state.Break}
		case comport.GroupDTR:
			return comport.SetControl{Control: u.state.DTR}
		case comport.GroupRTS:
			return comport.SetControl{Control: u.state.RTS}
		case comport.GroupInbound:
			return comport.SetControl{Control: inbound(u.state)}
		case comport.GroupUnknown:
			return nil
		}
	}
	return nil
}

// inbound gives the inbound flow control in effect: the outbound one, while no
// other was set.
func inbound(s comport.State) comport.Control {
	if s.Inbound != 0 {
		return s.Inbound
	}
	switch s.Outbound {
	case comport.ControlFlowXonXoff:
		return comport.ControlInboundXonXoff
	case comport.ControlFlowHardware:
		return comport.ControlInboundHardware
	default:
		return comport.ControlInboundNone
	}
}

func (u *UART) purgeLocked(m comport.PurgeData) bool {
	if m.What < comport.PurgeReceive || m.What > comport.PurgeBoth {
		return false
	}
	count := 0
	if m.What&comport.PurgeReceive != 0 {
		for s := range u.sessions {
			count += len(s.rx)
			s.rx = s.rx[:0]
		}
	}
	if m.What&comport.PurgeTransmit != 0 {
		count += u.dropLocked()
	}
	u.journal.add(Entry{Kind: EntryPurge, Time: u.clock().Now(), State: u.state, Message: m, Count: count})
	return true
}

// open begins a session. As on real servers, opening the device raises DTR and
// RTS.
func (u *UART) open(s *session) {
	u.init()
	u.mu.Lock()
	u.sessions[s] = struct{}{}
	if len(u.sessions) == 1 {
		u.state.DTR, u.state.RTS = comport.ControlDTROn, comport.ControlRTSOn
		u.journal.add(Entry{Kind: EntryOpen, Time: u.clock().Now(), State: u.state})
	}
	state := u.state
	u.touchLocked()
	u.mu.Unlock()
	u.driveLines(comport.GroupDTR, state)
}

// close ends a session; with the last one the UART goes back to its defaults,
// unless keep says otherwise.
func (u *UART) close(s *session, keep bool) {
	u.mu.Lock()
	u.advanceLocked()
	delete(u.sessions, s)
	if len(u.sessions) == 0 {
		lost := 0
		if !keep {
			lost = u.dropLocked()
			u.state, u.lineMask, u.modemMask, u.xoff = defaults, 0, 255, false
			u.restartLocked()
		}
		u.journal.add(Entry{Kind: EntryClose, Time: u.clock().Now(), State: u.state, Count: lost})
	}
	state := u.state
	u.touchLocked()
	u.mu.Unlock()
	u.driveLines(comport.GroupDTR, state)
}
