package port

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/vcomd/vcomd/internal/evloop"
	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/termiosmirror"
)

// handler is the Port as its client knows it.
type handler Port

var _ rfc2217client.Handler = (*handler)(nil)

// Connected puts the remote UART into the state that programs asked for, before
// any byte, and asks for what nobody set.
func (h *handler) Connected(m rfc2217client.Mode) {
	p := (*Port)(h)
	p.since = p.loop.Now()
	p.greeting.up()
	if errors.Is(p.lastErr, ErrInUse) {
		// A server that is busy may say so only now, and at every try.
		evloop.Cancel(&p.calmTimer)
		p.calmTimer = p.loop.AfterFunc(calm, func() {
			p.calmTimer = nil
			p.tellConnected(m)
		})
	} else {
		p.tellConnected(m)
	}
	if m == rfc2217client.ModeComPort {
		p.bridge.ForgetChanges()
		p.client.Request(p.opening()...)
	}
	p.purgeDue = 0
	p.bridge.LinkUp()
	p.tellLost()
	p.pump()
	p.changed()
}

// calm is how long a connection must last that follows on one which the server
// ended as soon as it was there.
const calm = time.Second

func (p *Port) tellConnected(m rfc2217client.Mode) {
	p.lastErr, p.reasons = nil, nil
	p.emit(Event{Kind: KindConnected, New: m.String(), Text: p.cfg.Remote.String()})
	p.warnUnverified()
}

// opening is what a connection starts with: all that was asked for, and queries
// for the rest, so that the tty can show what the server is set to. The server's
// signature is not asked for: gensiot dies of the question if it has none.
func (p *Port) opening() []comport.Message {
	want := p.mirror.Want()
	messages := append([]comport.Message(nil), termiosmirror.Diff(want, p.client.Effective())...)
	if want.BaudRate == 0 {
		messages = append(messages, comport.SetBaudRate{})
	}
	if want.DataSize == 0 {
		messages = append(messages, comport.SetDataSize{})
	}
	if want.Parity == 0 {
		messages = append(messages, comport.SetParity{})
	}
	if want.StopSize == 0 {
		messages = append(messages, comport.SetStopSize{})
	}
	if p.cfg.SetModemMask {
		messages = append(messages, comport.SetModemStateMask{Mask: p.cfg.ModemMask})
	}
	if p.attached > 0 {
		messages = append(messages, lineErrors)
	}
	if p.purgeDue != 0 {
		// Last: what waits at the server was received with other settings.
		messages = append(messages, comport.PurgeData{What: p.purgeDue})
	}
	return messages
}

// Received hands serial data to the program.
func (h *handler) Received(data []byte) int {
	p := (*Port)(h)
	if !p.greeting.serial(data, &p.cfg, p.emit) {
		p.greeting.dropped += uint64(len(data))
		return len(data)
	}
	return p.bridge.Received(data)
}

// maxReasons is how many reasons for one outage are told.
const maxReasons = 8

// Sendable has the program's bytes flow again.
func (h *handler) Sendable() { (*Port)(h).pump() }

// Disconnected keeps the program waiting, and forgets what the connection knew.
func (h *handler) Disconnected(err error, retry time.Duration) {
	p := (*Port)(h)
	wasUp := p.greeting.over
	if wasUp {
		p.since = p.loop.Now()
	}
	p.bridge.LinkLost()
	// What waits for a line is to see nothing of an outage: the levels stay what they were.
	p.carried = retry >= 0 && (p.carried || p.told && p.modem&comport.ModemDCD != 0)
	if p.told = false; p.cfg.OnLoss == OnLossHangup {
		p.modem = 0 // as of what is unplugged
	}
	evloop.Cancel(&p.calmTimer)
	err = p.greeting.explain(&p.cfg, err)
	p.greeting.begin()
	p.lastErr = err
	switch {
	case errors.Is(err, rfc2217client.ErrNoMoreTries):
		p.bridge.LinkUnwanted()
		p.emit(Event{Kind: KindGaveUp, Err: err, Text: p.cfg.Remote.String()})
		p.fail(fmt.Errorf("port %s: %w; raise --retries, or leave it out to try without end", p.cfg.Name, err))
		return
	case retry < 0:
		p.lastErr = nil
		p.bridge.LinkUnwanted()
		p.emit(Event{Kind: KindStopped})
		return
	}
	// One line a reason: a server that is away is found so in two or three ways,
	// by turns, and only the first of each is news.
	if text := err.Error(); len(p.reasons) < maxReasons && !slices.Contains(p.reasons, text) {
		p.reasons = append(p.reasons, text)
		p.emit(Event{
			Kind: KindDisconnected, Err: err, New: retry.Round(time.Millisecond).String(),
			Text: p.cfg.Remote.String(),
		})
	}
	if wasUp && p.cfg.OnLoss == OnLossHangup && !errors.Is(err, ErrInUse) {
		p.hangUp(err)
	}
	p.pump() // what the program has written begins to age
}

// Event takes what the server said or failed to say.
func (h *handler) Event(ev rfc2217client.Event) {
	p := (*Port)(h)
	switch ev.Kind {
	case rfc2217client.EventMode:
		// Once until the server does better: every reconnect finds the same.
		known := p.degraded
		if p.degraded = ev.Text != ""; p.degraded && !known {
			p.emit(Event{Kind: KindDegraded, Old: p.cfg.Remote.Protocol.String(), New: ev.Mode.String(), Text: ev.Text})
		}
	case rfc2217client.EventReport:
		p.reported(ev.Message, ev.Request)
	case rfc2217client.EventUnanswered:
		p.emit(Event{Kind: KindUnanswered, Old: ev.Request.String()})
	case rfc2217client.EventModemState:
		if m, ok := ev.Message.(comport.NotifyModemState); ok {
			p.modemState(m.State)
		}
	case rfc2217client.EventLineState:
		if m, ok := ev.Message.(comport.NotifyLineState); ok {
			p.emit(Event{Kind: KindLineState, New: m.State.String()})
			p.lineState(m.State)
		}
	case rfc2217client.EventBreak:
		p.emit(Event{Kind: KindBreak})
		p.lineState(comport.LineBreak)
	case rfc2217client.EventBanner:
		p.greeting.serial(ev.Data, &p.cfg, p.emit) // dropped and counted already
	case rfc2217client.EventSuspended:
		p.emit(Event{Kind: KindSuspended})
	case rfc2217client.EventResumed:
		p.emit(Event{Kind: KindResumed})
	}
}

// modemState takes the levels; of the deltas, which some servers never send, only
// what the levels do not tell.
func (p *Port) modemState(told comport.ModemState) {
	before, now := p.modem, told&comport.ModemLevels
	p.count(before, now, told)
	if (before|now)&comport.ModemRI == 0 && told&comport.ModemTrailingRI != 0 {
		p.tty.modem(now | comport.ModemRI) // it has rung, and is over
		p.tty.modem(now)
	}
	var carried comport.ModemState
	if p.told {
		carried = before
	}
	p.told = true
	if p.carried {
		p.carried = false
		carried |= comport.ModemDCD
	}
	if now != before {
		p.emit(Event{Kind: KindModemState, Old: before.String(), New: now.String()})
		p.modem = now
		p.tty.modem(now)
		p.changed()
	}
	p.carrier(carried, now)
}

// reported compares what the server said with what was asked.
func (p *Port) reported(got, request comport.Message) {
	// What nobody has asked for looks on the tty like it is at the server.
	var told comport.State
	if want := p.mirror.Want(); told.Set(got) {
		if want.BaudRate != 0 {
			told.BaudRate = 0
		}
		if want.StopSize != 0 {
			told.StopSize = 0
		}
		if told.BaudRate != 0 || told.StopSize != 0 {
			p.showLater(told, 0)
			return
		}
	}
	if again := p.askedFor(got); again != (comport.State{}) {
		p.showLater(again, showDelay)
	}
	if request == nil || comport.IsQuery(request) || got == request {
		return
	}
	switch m := got.(type) {
	case comport.SetBaudRate:
		asked, ok := request.(comport.SetBaudRate)
		if !ok || !termiosmirror.SpeedDiffers(asked.Rate, m.Rate) {
			return
		}
		p.showLater(comport.State{BaudRate: m.Rate}, showDelay)
	case comport.SetStopSize:
		p.showLater(comport.State{StopSize: m.Size}, showDelay)
	case comport.PurgeData, comport.SignatureText:
		return
	default:
	}
	p.emit(Event{Kind: KindDiffers, Old: request.String(), New: got.String()})
}

// askedFor returns what of a server's word is as was asked for, where the tty shows, or is about to, that the server has
// set something else: it may have done so before, or have spoken of another client's wish.
func (p *Port) askedFor(got comport.Message) (told comport.State) {
	want, shown := p.mirror.Want(), termiosmirror.Apply(p.termios, p.show)
	speed := termiosmirror.Speed(shown)
	if speed == 0 {
		return told // B0 hangs up, and stays
	}
	switch m := got.(type) {
	case comport.SetBaudRate:
		if m.Rate != 0 && want.BaudRate != speed && !termiosmirror.SpeedDiffers(want.BaudRate, m.Rate) {
			told.BaudRate = want.BaudRate // none: nobody has asked
		}
	case comport.SetStopSize:
		if again := (comport.State{StopSize: m.Size}); m.Size == want.StopSize && termiosmirror.Apply(shown, again) != shown {
			told = again
		}
	default:
	}
	return told
}

// Status is a snapshot of a port.
type Status struct {
	Name, TTY, Remote string
	Links             []string // absolute paths
	Overlay           string   // the node's path, symbolic links resolved; empty: none
	Open              bool
	Mode              rfc2217client.Mode
	Up, Suspended     bool
	Since             time.Time // when Up became what it is
	Wanted, Reported  comport.State
	ModemState        comport.ModemState // as this connection has told it
	Bytes             Bytes
	DroppedBanner     uint64 // said by the server, and no serial data
	Client            rfc2217client.Counters
	LastError         error
}

// Bytes counts the serial data at the tty.
type Bytes struct {
	FromProgram, ToProgram, DroppedClosed, DroppedFlush, DroppedUnsent, DroppedStale, DroppedDown, FlushedUnsent uint64
}

// Status takes a snapshot.
func (p *Port) Status() Status {
	s := Status{
		Name: p.cfg.Name, TTY: p.tty.path(), Remote: p.cfg.Remote.String(),
		Open: p.open, Mode: p.client.Mode(), Up: p.client.Up(), Suspended: p.client.Suspended(), Since: p.since,
		Wanted: p.mirror.Want(), Reported: p.client.Reported(), ModemState: p.modem,
		Bytes: Bytes(p.bridge.Counters()), DroppedBanner: p.greeting.dropped + p.client.Counters().BannerBytes, Client: p.client.Counters(), LastError: p.lastErr,
	}
	if !p.told {
		s.ModemState = 0
	}
	s.Links, s.Overlay = p.names.paths()
	return s
}

// tellLost tells, once an outage, of the bytes that waited too long.
func (p *Port) tellLost() {
	total := p.bridge.Counters().DroppedStale + p.bridge.Counters().DroppedDown
	if n := total - p.toldLost; n > 0 {
		p.toldLost = total
		p.emit(Event{Kind: KindDropped, New: strconv.FormatUint(n, 10), Text: "bytes were never sent: they were written while there was no connection (--stale-after, --while-down)"})
	}
}
