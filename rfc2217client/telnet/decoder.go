package telnet

import "bytes"

// MaxSubnegotiation is the longest subnegotiation payload, in bytes and without
// the option code, that a Decoder keeps. RFC 2217's longest message is the
// signature; what is longer is dropped whole, and counted.
const MaxSubnegotiation = 1024

// Kind says what an Event is.
type Kind uint8

// The kinds of event.
const (
	EventNone           Kind = iota // the input is used up
	EventData                       // Event.Data is serial data
	EventCommand                    // Event.Command stands alone: NOP, BRK, AYT, DM, …
	EventNegotiation                // Event.Command is WILL, WONT, DO or DONT, for Event.Option
	EventSubnegotiation             // Event.Data is the payload of a subnegotiation of Event.Option
)

// Event is one element of the Telnet stream.
type Event struct {
	Kind    Kind
	Command Command
	Option  Option
	// Data is valid until the next call of Next. Serial data lies in the
	// buffer that was given to Next; a subnegotiation's payload in the Decoder.
	Data []byte
}

// DecoderStats counts what a Decoder could not pass on.
type DecoderStats struct {
	Oversized uint64 // subnegotiations longer than MaxSubnegotiation, dropped
	Malformed uint64 // subnegotiations ended by something else than IAC SE, dropped; stray IAC SE
}

type decodeState uint8

const (
	inData       decodeState = iota
	afterIAC                 // IAC seen in data
	afterVerb                // IAC WILL/WONT/DO/DONT seen
	afterSB                  // IAC SB seen: the option follows
	inSB                     // in a payload
	inSBAfterIAC             // IAC seen in a payload
)

// Decoder takes a Telnet stream apart. It may be fed in pieces of any size. The
// zero value is ready, and expects a peer that is not in binary mode.
//
// Data is unescaped in place: what Next returns is a part of its input, and a
// run without IAC is not copied at all.
type Decoder struct {
	state  decodeState
	binary bool
	cr     bool // the last data byte was CR, outside binary mode
	over   bool // the present subnegotiation is too long
	verb   Command
	option Option
	n      int
	sb     [MaxSubnegotiation]byte
	stats  DecoderStats
}

// SetBinary says whether BINARY (RFC 856) is in effect for what the peer sends.
// Without it CR NUL is received as CR (RFC 854, "THE NVT PRINTER AND KEYBOARD").
func (d *Decoder) SetBinary(on bool) {
	d.binary = on
	if on {
		d.cr = false
	}
}

// Stats returns the counters.
func (d *Decoder) Stats() DecoderStats { return d.stats }

// Next returns the first event of p and what follows it. It uses p as scratch
// space. An Event of kind EventNone means that p is used up; what is not
// complete is remembered for the next call.
func (d *Decoder) Next(p []byte) (Event, []byte) {
	for len(p) > 0 {
		if d.state == inData {
			data, rest := d.data(p)
			if len(data) > 0 {
				return Event{Kind: EventData, Data: data}, rest
			}
			p = rest
			continue
		}
		c := p[0]
		p = p[1:]
		if ev, ok := d.step(c); ok {
			return ev, p
		}
	}
	return Event{}, nil
}

// data takes the longest run of data off p, unescaped, and leaves the decoder
// after the IAC of a command when one ends the run.
func (d *Decoder) data(p []byte) (data, rest []byte) {
	w, r := 0, 0 // p[:w] is unescaped, p[r:] is not looked at yet
	for r < len(p) {
		// An IAC right here is looked for by hand: in data that is all 0xFF a
		// search for each one would cost more than the copying.
		if p[r] != byte(IAC) {
			i := bytes.IndexByte(p[r:], byte(IAC))
			if i < 0 {
				i = len(p) - r
			}
			if w != r {
				copy(p[w:], p[r:r+i])
			}
			w += i
			r += i
			if r == len(p) {
				break
			}
		}
		if r+1 == len(p) {
			d.state = afterIAC
			r++
			break
		}
		if p[r+1] != byte(IAC) {
			d.state = afterIAC
			r++
			break
		}
		p[w] = byte(IAC)
		w++
		r += 2
	}
	data = p[:w]
	if !d.binary {
		data = d.stripNUL(data)
	}
	return data, p[r:]
}

// stripNUL removes the NUL after each CR, in place.
func (d *Decoder) stripNUL(p []byte) []byte {
	if !d.cr && bytes.IndexByte(p, '\r') < 0 {
		return p
	}
	w := 0
	for _, c := range p {
		if d.cr && c == 0 {
			d.cr = false
			continue
		}
		d.cr = c == '\r'
		p[w] = c
		w++
	}
	return p[:w]
}

// step handles one byte outside plain data.
func (d *Decoder) step(c byte) (Event, bool) {
	switch d.state {
	case inData: // handled by data
	case afterIAC:
		return d.command(Command(c))
	case afterVerb:
		d.state = inData
		return Event{Kind: EventNegotiation, Command: d.verb, Option: Option(c)}, true
	case afterSB:
		d.option, d.n, d.over, d.state = Option(c), 0, false, inSB
	case inSB:
		if c == byte(IAC) {
			d.state = inSBAfterIAC
		} else {
			d.payload(c)
		}
	case inSBAfterIAC:
		switch Command(c) {
		case IAC:
			d.state = inSB
			d.payload(c)
		case SE:
			d.state = inData
			if d.over {
				d.stats.Oversized++
				return Event{}, false
			}
			return Event{Kind: EventSubnegotiation, Option: d.option, Data: d.sb[:d.n]}, true
		default:
			// The peer gave the subnegotiation up without an end. What came of
			// it cannot be trusted, but the command that follows can.
			d.stats.Malformed++
			return d.command(Command(c))
		}
	}
	return Event{}, false
}

func (d *Decoder) payload(c byte) {
	if d.n == len(d.sb) {
		d.over = true
		return
	}
	d.sb[d.n] = c
	d.n++
}

// command handles the byte after an IAC.
func (d *Decoder) command(c Command) (Event, bool) {
	d.state = inData
	switch c {
	case IAC: // the first byte of a run whose IAC ended the previous input
		d.cr = false
		d.sb[0] = byte(IAC)
		return Event{Kind: EventData, Data: d.sb[:1]}, true
	case WILL, WONT, DO, DONT:
		d.verb, d.state = c, afterVerb
		return Event{}, false
	case SB:
		d.state = afterSB
		return Event{}, false
	case SE:
		d.stats.Malformed++
		return Event{}, false
	case NOP, DM, BRK, IP, AO, AYT, EC, EL, GA:
		return Event{Kind: EventCommand, Command: c}, true
	default:
		// RFC 854 gives the codes below SE no meaning; they are not data either.
		return Event{Kind: EventCommand, Command: c}, true
	}
}
