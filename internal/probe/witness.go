package probe

import (
	"bytes"
	"errors"
	"slices"
	"strings"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/telnet"
)

// Bounds of what is kept of a server that may send anything.
const (
	maxSaid    = 256 // bytes of data
	maxWords   = 8   // of one option
	maxOptions = 64
)

// witness looks at the bytes of both directions, beside the Session.
type witness struct {
	in, out telnet.Decoder
	options []*option

	first     []byte // of all that was received
	firstSent []byte
	said      []byte // data
	telnet    bool   // the server has sent a command of Telnet that was not this end's own
	agreed    bool   // COM-PORT
	early     int    // bytes of data before the first answer
	answered  bool

	long, broken, clientCode int // messages that are longer than the RFC's; cannot be read; have the client's code
	wrongCode                []byte
	suspended                bool
	askedUs                  bool // for this end's signature

	// message is told what the server says by COM-PORT.
	message func(comport.Message)
}

// option is what both ends have said of one.
type option struct {
	code                             telnet.Option
	said                             []telnet.Command // by the server
	more                             bool             // it has said more than that
	will, do                         bool             // the server's last word
	ourWill, ourDo                   bool             // this end's
	refusedThenAgreed, doAfterAgreed bool
}

// server reports whether the server performs the option, and client whether this end
// does.
func (o *option) server() bool { return o.will && o.ourDo }
func (o *option) client() bool { return o.do && o.ourWill }

func newWitness(message func(comport.Message)) *witness {
	w := &witness{message: message}
	// CR NUL is not the question here.
	w.in.SetBinary(true)
	w.out.SetBinary(true)
	return w
}

// option returns what is known of one; nil: there are too many.
func (w *witness) option(code telnet.Option) *option {
	for _, o := range w.options {
		if o.code == code {
			return o
		}
	}
	if len(w.options) == maxOptions {
		return nil
	}
	o := &option{code: code}
	w.options = append(w.options, o)
	return o
}

// known is option for one that must not be made.
func (w *witness) known(code telnet.Option) option {
	if i := slices.IndexFunc(w.options, func(o *option) bool { return o.code == code }); i >= 0 {
		return *w.options[i]
	}
	return option{code: code}
}

// keep appends to what is kept of a stream, up to a bound.
func keep(kept, p []byte) []byte { return append(kept, p[:min(len(p), maxSaid-len(kept))]...) }

// sent takes what this end sends.
func (w *witness) sent(p []byte) {
	w.firstSent = keep(w.firstSent, p)
	for p = bytes.Clone(p); ; {
		var ev telnet.Event
		if ev, p = w.out.Next(p); ev.Kind == telnet.EventNone {
			return
		}
		if ev.Kind != telnet.EventNegotiation {
			continue
		}
		o := w.option(ev.Option)
		if o == nil {
			continue
		}
		switch ev.Command {
		case telnet.WILL, telnet.WONT:
			o.ourWill = ev.Command == telnet.WILL
		case telnet.DO, telnet.DONT:
			o.ourDo = ev.Command == telnet.DO
		default:
		}
		w.settle(o)
	}
}

// received takes what the server sends.
func (w *witness) received(p []byte) {
	w.first = keep(w.first, p)
	for p = bytes.Clone(p); ; {
		var ev telnet.Event
		ev, p = w.in.Next(p)
		switch ev.Kind {
		case telnet.EventNone:
			return
		case telnet.EventData:
			w.said = keep(w.said, ev.Data)
			if !w.answered {
				w.early += len(ev.Data)
			}
		case telnet.EventCommand:
			w.telnet = true
		case telnet.EventNegotiation:
			w.telnet = true
			w.negotiation(ev.Command, ev.Option)
		case telnet.EventSubnegotiation:
			w.telnet = true
			if ev.Option == telnet.ComPort {
				w.subnegotiation(ev.Data)
			}
		}
	}
}

func (w *witness) negotiation(verb telnet.Command, code telnet.Option) {
	o := w.option(code)
	if o == nil {
		return
	}
	if len(o.said) < maxWords {
		o.said = append(o.said, verb)
	} else {
		o.more = true
	}
	switch verb {
	case telnet.WILL:
		o.will = true
	case telnet.WONT:
		o.will = false
	case telnet.DO:
		o.doAfterAgreed = o.doAfterAgreed || o.client()
		o.do = true
	case telnet.DONT:
		o.do = false
	default:
	}
	w.settle(o)
}

// settle looks whether an option is agreed now.
func (w *witness) settle(o *option) {
	if !o.client() && !o.server() {
		return
	}
	o.refusedThenAgreed = o.refusedThenAgreed || slices.Contains(o.said, telnet.WONT) || slices.Contains(o.said, telnet.DONT)
	if o.code == telnet.ComPort {
		w.agreed = true
	}
}

// words gives what the server said of an option.
func (o *option) words() string {
	words := make([]string, 0, len(o.said)+1)
	for _, c := range o.said {
		words = append(words, c.String())
	}
	if o.more {
		words = append(words, "…")
	}
	return strings.Join(words, " ")
}

func (w *witness) subnegotiation(payload []byte) {
	dir, m, err := comport.Parse(payload)
	if text, is := m.(comport.SignatureText); is && err == nil {
		w.askedUs = w.askedUs || text.Text == ""
	}
	switch {
	case err != nil:
		w.broken++
		failed, ok := errors.AsType[*comport.ParseError](err)
		if ok && errors.Is(err, comport.ErrUnknownCommand) && len(w.wrongCode) < maxWords && !slices.Contains(w.wrongCode, failed.Code) {
			w.wrongCode = append(w.wrongCode, failed.Code)
		}
		return
	case dir != comport.ToClient:
		switch m.(type) {
		case comport.FlowControlSuspend, comport.FlowControlResume, comport.SignatureText: // some servers use both codes
		default:
			w.clientCode++
			return
		}
	}
	if _, isText := m.(comport.SignatureText); !isText && len(payload) > len(comport.Append(nil, dir, m)) {
		w.long++
	}
	switch m.(type) {
	case comport.FlowControlSuspend:
		w.suspended = true
	case comport.FlowControlResume:
		w.suspended = false
	case comport.NotifyLineState, comport.NotifyModemState:
	default:
		w.answered = true
	}
	w.message(m)
}

// echoed reports whether what the server has sent is what it was sent: a device, or a
// wire, that sends everything back.
func (w *witness) echoed() bool {
	const telling = 16 // more than the five options that a Session begins with
	n := min(len(w.first), len(w.firstSent))
	return n >= telling && bytes.Equal(w.first[:n], w.firstSent[:n])
}
