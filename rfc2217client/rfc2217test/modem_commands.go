package rfc2217test

import (
	"fmt"
	"strconv"
	"strings"
)

// result is a result code of the Hayes command set: a number and a text.
type result struct {
	code int
	text string
}

var (
	ok        = result{0, "OK"}
	connect   = result{1, "CONNECT " + modemSpeed}
	ring      = result{2, "RING"}
	noCarrier = result{3, "NO CARRIER"}
	failed    = result{4, "ERROR"}
)

// resultLocked reports r as ATV and ATQ will have it.
func (m *Modem) resultLocked(r result) {
	if m.quiet {
		return
	}
	if m.verbose {
		m.textLocked(r.text)
		return
	}
	m.out.offer(append(strconv.AppendInt(nil, int64(r.code), 10), m.s[3]))
}

// textLocked says a line of its own.
func (m *Modem) textLocked(text string) {
	if !m.quiet {
		m.out.offer([]byte(fmt.Sprintf("%c%c%s%c%c", m.s[3], m.s[4], text, m.s[3], m.s[4])))
	}
}

// resetLocked sets the factory configuration.
func (m *Modem) resetLocked() {
	m.echo, m.verbose, m.quiet = true, true, false
	m.s = [32]byte{2: '+', 3: '\r', 4: '\n', 5: '\b', 6: 2, 7: 50, 8: 2, 9: 6, 10: 14, 11: 95, 12: 50}
}

// executeLocked runs the commands of a line, up to the first that fails or that
// ends a line by itself.
func (m *Modem) executeLocked(line string) {
	line = strings.ToUpper(strings.ReplaceAll(line, " ", ""))
	for line != "" {
		command := line[0]
		line = line[1:]
		switch command {
		case 'D':
			if m.mode == modeEscaped {
				m.resultLocked(failed)
				return
			}
			m.stopRingingLocked()
			m.dialLocked()
			return
		case 'A':
			if !m.ringing {
				m.resultLocked(noCarrier)
				return
			}
			m.connectLocked()
			return
		case '&':
			if line == "" {
				m.resultLocked(failed)
				return
			}
			command, line = line[0], line[1:]
			_, line = number(line)
			if command == 'F' {
				m.resetLocked()
			}
			// Other & settings have no meaning here and are accepted, so that
			// the initialisation strings of real programs work.
			continue
		case 'S':
			var good bool
			if line, good = m.registerLocked(line); !good {
				m.resultLocked(failed)
				return
			}
			continue
		}
		var n int
		n, line = number(line)
		if done := m.simpleLocked(command, n); done {
			return
		}
	}
	m.resultLocked(ok)
}

// simpleLocked runs a command of a letter and a number; done ends the line, as
// the result was reported.
func (m *Modem) simpleLocked(command byte, n int) (done bool) {
	if n > 1 && strings.IndexByte("EHQVZ", command) >= 0 {
		m.resultLocked(failed)
		return true
	}
	switch command {
	case 'E':
		m.echo = n == 1
	case 'Q':
		m.quiet = n == 1
	case 'V':
		m.verbose = n == 1
	case 'H':
		if n == 0 {
			m.endCallLocked()
		}
	case 'Z':
		m.endCallLocked()
		m.resetLocked()
	case 'I':
		m.textLocked("vcomd simulated modem")
	case 'L', 'M', 'X', 'W', 'N': // loudspeaker, result sets, modulation: accepted
	case 'O':
		if m.mode != modeEscaped {
			m.resultLocked(noCarrier)
			return true
		}
		m.onlineLocked()
		return true
	default:
		m.resultLocked(failed)
		return true
	}
	return false
}

func (m *Modem) endCallLocked() {
	if m.mode == modeEscaped {
		m.hangUpLocked()
		m.resultLocked(noCarrier)
	}
}

// registerLocked runs what follows S: n=v sets a register, n? shows it.
func (m *Modem) registerLocked(line string) (rest string, good bool) {
	n, rest := number(line)
	if n >= len(m.s) || rest == "" {
		return rest, false
	}
	operator := rest[0]
	rest = rest[1:]
	switch operator {
	case '?':
		m.textLocked(fmt.Sprintf("%03d", m.s[n]))
		return rest, true
	case '=':
		var v int
		if v, rest = number(rest); v > 255 {
			return rest, false
		}
		m.s[n] = byte(v)
		return rest, true
	default:
		return rest, false
	}
}

// number takes a decimal number off s; none is 0, as in AT commands. What is
// too large for any use stays at 9999.
func number(s string) (n int, rest string) {
	for s != "" && s[0] >= '0' && s[0] <= '9' {
		n = min(10*n+int(s[0]-'0'), 9999)
		s = s[1:]
	}
	return n, s
}
