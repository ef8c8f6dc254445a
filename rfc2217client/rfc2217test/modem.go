package rfc2217test

import (
	"strings"
	"sync"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

const (
	modemBuffer = 64 << 10 // bytes to the terminal that nobody has read yet
	modemLine   = 256      // bytes of a command line; a longer one is an ERROR
	modemSpeed  = "9600"

	dialTime    = time.Second     // from ATD to RINGING, and from there to CONNECT
	ringOn      = 2 * time.Second // RI is on so long ...
	ringPeriod  = 6 * time.Second // ... of this
	ringsAtMost = 10              // then the caller gives up
)

type modemMode uint8

// The modes:
//
//	            ATD, ATA, ATO                +++ and silence
//	modeCommand ─────────────▶ modeOnline ◀─────────────────▶ modeEscaped
//	     ▲    (modeDialing)        │               ATO            │
//	     └─────────────────────────┴──────────────────────────────┘
//	                     ATH, ATZ, DTR drops
const (
	modeCommand modemMode = iota // no call
	modeDialing                  // ATD is under way; any byte but LF ends it
	modeOnline                   // a call is up and bytes are data
	modeEscaped                  // a call is up and bytes are commands
)

// Modem is a Hayes modem. It knows AT, A/, ATA, ATD (any number), ATE, ATH, ATI,
// ATO, ATQ, ATV, ATZ, AT&F and the S registers. Every call reaches a station
// that sends back what it receives; Ring makes that station call. DSR and CTS
// are always on, DCD follows the call, RI the ringing. DTR going off hangs up,
// as with &D2. ATH during a call answers NO CARRIER and then OK.
type Modem struct {
	clock Clock
	out   *pipe

	mu      sync.Mutex
	closed  bool
	mode    modemMode
	echo    bool
	verbose bool
	quiet   bool
	s       [32]byte
	line    []byte
	tooLong bool
	last    string // for A/
	dtr     bool
	ringing bool
	rings   int
	lastIn  time.Time // the last byte from the terminal while online
	pluses  int       // escape characters in a row, after enough silence
	modem   comport.ModemState
	call    uint64 // tells timers of a call that is over
	timer   Timer  // dialling or ringing
	escape  Timer  // the silence after +++
	notify  func(comport.ModemState)
}

// NewModem makes a Modem on a clock; nil is the real one.
func NewModem(clock Clock) *Modem {
	m := &Modem{clock: orReal(clock), out: newPipe(modemBuffer), modem: comport.ModemDSR | comport.ModemCTS, dtr: true}
	m.resetLocked()
	return m
}

// Read waits for what the modem says.
func (m *Modem) Read(p []byte) (int, error) { return m.out.Read(p) }

// Close ends Read and whatever the modem does.
func (m *Modem) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.cancelLocked()
	return m.out.Close()
}

// NotifyModem registers the listener for the modem lines; see LineDevice.
func (m *Modem) NotifyModem(f func(comport.ModemState)) {
	m.mu.Lock()
	m.notify = f
	levels := m.modem
	m.mu.Unlock()
	f(levels)
}

// SetLines takes DTR, which hangs up when it drops, and RTS, which is ignored.
func (m *Modem) SetLines(dtr, _ bool) {
	m.do(func() {
		dropped := m.dtr && !dtr
		m.dtr = dtr
		if dropped && m.mode != modeCommand {
			m.hangUpLocked()
			m.resultLocked(noCarrier)
		}
	})
}

// Ring makes the far station call: RI and RING until the call is answered or
// ten rings are over. During a call the line is busy and nothing happens.
func (m *Modem) Ring() {
	m.do(func() {
		if m.closed || m.ringing || m.mode != modeCommand {
			return
		}
		m.ringing, m.rings = true, 0
		m.ringLocked()
	})
}

// do runs f under the lock, and tells of changed lines after it.
func (m *Modem) do(f func()) {
	m.mu.Lock()
	before := m.modem
	f()
	after, notify := m.modem, m.notify
	m.mu.Unlock()
	if after != before && notify != nil {
		notify(after)
	}
}

// Write takes bytes from the terminal: commands, or data of a call, which come
// back.
func (m *Modem) Write(p []byte) (int, error) {
	total := len(p)
	for len(p) > 0 {
		var data []byte
		m.do(func() { data, p = m.inputLocked(p) })
		// Data may wait for the reader, so not under the lock.
		if len(data) > 0 {
			if _, err := m.out.Write(data); err != nil {
				return total - len(p), err
			}
		}
	}
	return total, nil
}

// inputLocked takes a command byte, or all that is data, off p.
func (m *Modem) inputLocked(p []byte) (data, rest []byte) {
	switch m.mode {
	case modeOnline:
		m.watchEscapeLocked(p)
		return p, nil
	case modeDialing:
		if p[0] == m.s[4] {
			break // the line feed of a program that ends its command with CR LF
		}
		m.hangUpLocked()
		m.resultLocked(noCarrier)
	case modeCommand, modeEscaped:
		m.commandByteLocked(p[0])
	}
	return nil, p[1:]
}

// watchEscapeLocked looks for three escape characters with silence around them.
func (m *Modem) watchEscapeLocked(p []byte) {
	now := m.clock.Now()
	silent := now.Sub(m.lastIn) >= m.guardTime()
	m.lastIn = now
	if m.escape != nil {
		m.escape.Stop()
		m.escape = nil
	}
	for i, c := range p {
		switch {
		case c != m.s[2] || m.s[2] > 127:
			m.pluses = 0
			silent = false
		case m.pluses > 0 || silent && i == 0:
			m.pluses++
		}
	}
	if m.pluses != 3 {
		return
	}
	call := m.call
	m.escape = m.clock.AfterFunc(m.guardTime(), func() {
		m.do(func() {
			if m.mode == modeOnline && m.call == call && m.pluses == 3 {
				m.mode, m.pluses = modeEscaped, 0
				m.resultLocked(ok)
			}
		})
	})
}

// guardTime is S12, in fiftieths of a second.
func (m *Modem) guardTime() time.Duration { return time.Duration(m.s[12]) * time.Second / 50 }

func (m *Modem) commandByteLocked(c byte) {
	c &= 0x7F // terminals may send parity
	if m.echo {
		m.out.offer([]byte{c})
	}
	switch {
	case c == m.s[3]:
		line, tooLong := string(m.line), m.tooLong
		m.line, m.tooLong = m.line[:0], false
		m.lineLocked(line, tooLong)
	case c == m.s[5]:
		m.line = m.line[:max(0, len(m.line)-1)]
	case len(m.line) == modemLine:
		m.tooLong = true
	case c >= ' ' && c < 0x7F:
		m.line = append(m.line, c)
		if strings.EqualFold(string(m.line), "A/") {
			m.line = m.line[:0]
			m.executeLocked(m.last)
		}
	}
}

func (m *Modem) lineLocked(line string, tooLong bool) {
	at := strings.Index(strings.ToUpper(line), "AT")
	switch {
	case at < 0: // not a command: modems say nothing
	case tooLong:
		m.resultLocked(failed)
	default:
		m.last = line[at+2:]
		m.executeLocked(m.last)
	}
}

// dialLocked begins a call; the far station answers after two delays.
func (m *Modem) dialLocked() {
	m.mode = modeDialing
	m.call++
	m.afterLocked(dialTime, func() {
		m.textLocked("RINGING")
		m.afterLocked(dialTime, m.connectLocked)
	})
}

// connectLocked brings a call up.
func (m *Modem) connectLocked() {
	m.stopRingingLocked()
	m.call++
	m.onlineLocked()
}

// onlineLocked begins, or resumes, the data mode of a call.
func (m *Modem) onlineLocked() {
	m.mode = modeOnline
	m.modem |= comport.ModemDCD
	m.lastIn, m.pluses = m.clock.Now(), 0
	m.resultLocked(connect)
}

// hangUpLocked ends a call or the attempt at one.
func (m *Modem) hangUpLocked() {
	m.cancelLocked()
	m.mode, m.pluses = modeCommand, 0
	m.modem &^= comport.ModemDCD
	m.line = m.line[:0]
}

func (m *Modem) ringLocked() {
	if m.rings == ringsAtMost {
		m.stopRingingLocked()
		return
	}
	m.rings++
	m.s[1] = byte(m.rings)
	m.modem |= comport.ModemRI
	m.resultLocked(ring)
	m.afterLocked(ringOn, func() {
		m.modem &^= comport.ModemRI
		if m.s[0] > 0 && m.rings >= int(m.s[0]) {
			m.connectLocked()
			return
		}
		m.afterLocked(ringPeriod-ringOn, m.ringLocked)
	})
}

func (m *Modem) stopRingingLocked() {
	m.ringing, m.rings, m.s[1] = false, 0, 0
	m.modem &^= comport.ModemRI
	if m.timer != nil {
		m.timer.Stop()
	}
}

// afterLocked calls f under the lock after d, unless the call is over by then.
func (m *Modem) afterLocked(d time.Duration, f func()) {
	if m.closed {
		return
	}
	call := m.call
	m.timer = m.clock.AfterFunc(d, func() {
		m.do(func() {
			if m.call == call && !m.closed {
				f()
			}
		})
	})
}

// cancelLocked stops all that is to happen later.
func (m *Modem) cancelLocked() {
	m.call++
	m.stopRingingLocked()
	if m.escape != nil {
		m.escape.Stop()
		m.escape = nil
	}
}
