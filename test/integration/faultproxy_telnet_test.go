package integration

import "testing"

// The bytes of Telnet that a splitter knows (RFC 854), and of RFC 2217.
const (
	iacByte      = 255
	sbByte       = 250
	seByte       = 240
	willByte     = 251 // the first of the four that name an option
	comPortByte  = 44
	firstFromSrv = 100 // codes from here on are the server's
)

// splitter takes data and commands of a Telnet stream apart. It is not the one
// under test.
type splitter struct {
	command []byte // one that has begun
}

// split hands over what is complete, as it is on the wire; of data a doubled IAC
// comes alone.
func (s *splitter) split(b []byte, emit func(raw []byte, isCommand bool)) {
	from := 0 // of data not handed over yet
	for i, c := range b {
		if len(s.command) == 0 {
			if c == iacByte {
				if i > from {
					emit(b[from:i], false)
				}
				s.command = append(s.command, c)
			}
			continue
		}
		s.command = append(s.command, c)
		from = i + 1
		if !s.complete() {
			continue
		}
		emit(s.command, s.command[1] != iacByte)
		s.command = s.command[:0]
	}
	if len(s.command) == 0 && from < len(b) {
		emit(b[from:], false)
	}
}

// complete reports whether the command is all there.
func (s *splitter) complete() bool {
	n := len(s.command)
	switch c := s.command[1]; {
	case c == sbByte:
		if n < 4 || s.command[n-1] != seByte {
			return false
		}
		escapes := 0 // an odd number of IAC before SE ends it
		for i := n - 2; i >= 2 && s.command[i] == iacByte; i-- {
			escapes++
		}
		return escapes%2 == 1
	case c >= willByte && c != iacByte:
		return n == 3
	default:
		return true
	}
}

// without gives what is complete, all of it or without the server's COM-PORT
// messages. What is not is kept for the next call.
func (s *splitter) without(b []byte, comPort bool) []byte {
	out := make([]byte, 0, len(b))
	s.split(b, func(raw []byte, isCommand bool) {
		if comPort && isCommand && len(raw) > 3 && raw[1] == sbByte && raw[2] == comPortByte && raw[3] >= firstFromSrv {
			return
		}
		out = append(out, raw...)
	})
	return out
}

// dataOf gives the data of a stream in which BINARY is in effect.
func dataOf(wire []byte) []byte {
	var s splitter
	out := make([]byte, 0, len(wire))
	s.split(wire, func(raw []byte, isCommand bool) {
		switch {
		case isCommand:
		case len(raw) == 2 && raw[0] == iacByte && raw[1] == iacByte:
			out = append(out, iacByte)
		default:
			out = append(out, raw...)
		}
	})
	return out
}

// The proxy's own view of Telnet, at every split point.
func TestSplitter(t *testing.T) {
	const wire = "a\xff\xffb\xff\xfd\x2cc\xff\xfa\x2c\x65\x00\x00\xff\xff\xf0\xff\xf0d\xff\xf1e\xff\xfa\x2c\x01x\xff\xf0\xff\xff"
	const data = "a\xffbcde\xff"
	const without = "a\xff\xffb\xff\xfd\x2ccd\xff\xf1e\xff\xfa\x2c\x01x\xff\xf0\xff\xff"
	if got := dataOf([]byte(wire)); string(got) != data {
		t.Errorf("the data is %q, want %q", got, data)
	}
	for i := range len(wire) + 1 {
		for drop, want := range map[bool]string{false: wire, true: without} {
			var s splitter
			got := string(s.without([]byte(wire[:i]), drop)) + string(s.without([]byte(wire[i:]), drop))
			if got != want {
				t.Errorf("split at %d: %q, want %q", i, got, want)
			}
		}
	}
}
