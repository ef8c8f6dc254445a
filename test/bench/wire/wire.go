// Package wire is the bench's own access-server side of Telnet and RFC 2217, written apart from the code that the bench
// measures: as much of the protocol as a client needs to be served, and fast enough not to be what is measured.
package wire

import "bytes"

// Telnet commands and options (RFC 854, 856, 858, 2217).
const (
	se   = 240
	sb   = 250
	will = 251
	wont = 252
	do   = 253
	dont = 254
	iac  = 255

	optBinary  = 0
	optSGA     = 3
	optComPort = 44
)

// Client-to-server COM-PORT codes; the answer's code is 100 more.
const (
	signature         = 0
	setBaudRate       = 1
	setDataSize       = 2
	setParity         = 3
	setStopSize       = 4
	setControl        = 5
	setLinestateMask  = 10
	setModemstateMask = 11
	purgeData         = 12
	toClient          = 100
)

// maxSub bounds a subnegotiation; no message a client sends is longer, but for a signature, which is cut.
const maxSub = 1024

// Greeting is what the access server says at once: WILL and DO BINARY, WILL and DO SGA, DO COM-PORT.
func Greeting() []byte {
	return []byte{
		iac, will, optBinary, iac, do, optBinary,
		iac, will, optSGA, iac, do, optSGA,
		iac, do, optComPort,
	}
}

// Escape appends data to dst with every 0xFF doubled.
func Escape(dst, data []byte) []byte {
	for {
		i := bytes.IndexByte(data, iac)
		if i < 0 {
			return append(dst, data...)
		}
		dst = append(dst, data[:i+1]...)
		dst = append(dst, iac)
		data = data[i+1:]
	}
}

// Handler is what a Decoder calls. A slice is valid until the call returns.
type Handler interface {
	// Data takes bytes of the serial line.
	Data(p []byte)
	// Reply sends bytes to the client as they are.
	Reply(p []byte)
	// BaudRate takes the value of a SET-BAUDRATE in bit/s; it is never 0.
	BaudRate(rate uint32)
}

type state uint8

const (
	inData state = iota
	afterIAC
	afterVerb // WILL, WONT, DO, DONT
	inSub
	inSubAfterIAC
)

// Decoder takes the client's bytes, at any split. Its zero value is ready; H must be set.
type Decoder struct {
	H Handler

	state state
	verb  byte
	sub   []byte
	rate  uint32
}

// doubled is a run of decoded 0xFF.
var doubled = bytes.Repeat([]byte{iac}, 32<<10)

// Feed takes the next bytes of the stream.
func (d *Decoder) Feed(p []byte) {
	for len(p) > 0 {
		if d.state == inData {
			p = d.data(p)
			continue
		}
		c := p[0]
		p = p[1:]
		d.command(c)
	}
}

// data delivers data up to the next command, and returns what is left after that command's IAC.
func (d *Decoder) data(p []byte) []byte {
	if p[0] != iac {
		i := bytes.IndexByte(p, iac)
		if i < 0 {
			i = len(p)
		}
		d.H.Data(p[:i])
		return p[i:]
	}
	// Whole runs of IAC IAC at once: data of all 0xFF is one of the columns measured.
	if n := run(p) / 2; n > 0 {
		d.H.Data(doubled[:n])
		return p[2*n:]
	}
	d.state = afterIAC
	return p[1:]
}

// run is the length of the run of 0xFF at the start of p, at most twice that of doubled.
func run(p []byte) int {
	n := 0
	for len(p)-n >= 4096 && n+4096 <= len(doubled)*2 && bytes.Equal(p[n:n+4096], doubled[:4096]) {
		n += 4096
	}
	for n < len(p) && n < len(doubled)*2 && p[n] == iac {
		n++
	}
	return n
}

func (d *Decoder) command(c byte) {
	switch d.state {
	case inData: // not reached: Feed
	case afterIAC:
		d.state = inData
		switch c {
		case iac:
			d.H.Data(doubled[:1])
		case will, wont, do, dont:
			d.verb, d.state = c, afterVerb
		case sb:
			d.sub, d.state = d.sub[:0], inSub
		default: // NOP and the like
		}
	case afterVerb:
		d.state = inData
		d.option(c)
	case inSub:
		if c == iac {
			d.state = inSubAfterIAC
			return
		}
		d.appendSub(c)
	case inSubAfterIAC:
		if c == iac {
			d.state = inSub
			d.appendSub(c)
			return
		}
		d.state = inData
		if c == se {
			d.comPort(d.sub)
		}
	}
}

func (d *Decoder) appendSub(c byte) {
	if len(d.sub) < maxSub {
		d.sub = append(d.sub, c)
	}
}

// option answers an offer or a request that the greeting has not made already.
func (d *Decoder) option(o byte) {
	known := o == optBinary || o == optSGA
	switch {
	case d.verb == will && !known && o != optComPort:
		d.H.Reply([]byte{iac, dont, o})
	case d.verb == do && !known:
		d.H.Reply([]byte{iac, wont, o})
	default: // agreed to, or a refusal
	}
}

// comPort answers a COM-PORT message: every SET with its own value, every query with what is in effect.
func (d *Decoder) comPort(p []byte) {
	if len(p) < 2 || p[0] != optComPort {
		return
	}
	code, value := p[1], p[2:]
	switch code {
	case signature:
		if len(value) == 0 {
			d.answer(code, []byte("vcomd bench")...)
		}
	case setBaudRate:
		if len(value) < 4 {
			return
		}
		rate := uint32(value[0])<<24 | uint32(value[1])<<16 | uint32(value[2])<<8 | uint32(value[3])
		if rate != 0 {
			d.rate = rate
			d.H.BaudRate(rate)
		} else if d.rate == 0 {
			d.rate = 9600
		}
		d.answer(code, byte(d.rate>>24), byte(d.rate>>16), byte(d.rate>>8), byte(d.rate))
	case setDataSize, setParity, setStopSize, setControl, setLinestateMask, setModemstateMask, purgeData:
		if len(value) > 0 {
			d.answer(code, inEffect(code, value[0]))
		}
	default: // notifications and flow control are not answered
	}
}

// inEffect is the value acknowledged for one asked for: itself, or for a query 8N1 without flow control, lines up, no break.
func inEffect(code, value byte) byte {
	switch {
	case code == setDataSize && value == 0:
		return 8
	case (code == setParity || code == setStopSize) && value == 0:
		return 1
	case code != setControl:
		return value
	}
	switch value {
	case 0:
		return 1
	case 4:
		return 6
	case 7:
		return 8
	case 10:
		return 11
	case 13:
		return 14
	default:
		return value
	}
}

func (d *Decoder) answer(code byte, value ...byte) {
	p := append(make([]byte, 0, 24), iac, sb, optComPort, code+toClient)
	p = Escape(p, value)
	d.H.Reply(append(p, iac, se))
}
