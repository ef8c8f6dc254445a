package telnet

// State is one side's state of one option, by RFC 1143's Q method.
//
//	          ask                 agreed
//	No ───────────────▶ WantYes ───────────▶ Yes
//	 ▲                    │ refused           │
//	 ├────────────────────┘                   │ stop asked
//	 └───────────────── WantNo ◀──────────────┘
//	       confirmed
//
// The Opposite states carry the queued change of mind: once the peer has
// answered the request on its way, the opposite one is sent.
type State uint8

// The states of RFC 1143, section 7.
const (
	No State = iota
	Yes
	WantNo
	WantNoOpposite
	WantYes
	WantYesOpposite
)

// String gives the RFC's name of the state.
func (s State) String() string {
	switch s {
	case No:
		return "NO"
	case Yes:
		return "YES"
	case WantNo:
		return "WANTNO"
	case WantNoOpposite:
		return "WANTNO/OPPOSITE"
	case WantYes:
		return "WANTYES"
	case WantYesOpposite:
		return "WANTYES/OPPOSITE"
	default:
		return "?"
	}
}

// MaxRefusals is how often one and the same request is refused in a row. RFC 1143
// wants each answered, and a peer that asks again after each refusal would make
// a loop of it: after so many it is left without an answer.
const MaxRefusals = 32

// side is the state of all options on one side of the connection.
type side struct {
	state   [256]State
	allowed [256]bool  // the peer's request to enable is granted
	refused [256]uint8 // how often it was refused in a row, up to MaxRefusals
	yes, no Command    // what this end sends to enable and to disable: WILL/WONT or DO/DONT
}

// Negotiator keeps the state of every option, and says what to send. It is a
// table of RFC 1143, section 7; it never answers an acknowledgement, so it
// cannot loop, whatever the peer does. Use NewNegotiator.
type Negotiator struct {
	us  side // options that this end performs: WILL and WONT are sent, DO and DONT received
	him side // options that the peer performs: DO and DONT are sent, WILL and WONT received
}

// NewNegotiator returns a Negotiator that refuses every option.
func NewNegotiator() *Negotiator {
	n := &Negotiator{}
	n.us.yes, n.us.no = WILL, WONT
	n.him.yes, n.him.no = DO, DONT
	return n
}

// Allow sets what is granted when the peer asks: local, that this end performs o;
// remote, that the peer does.
func (n *Negotiator) Allow(o Option, local, remote bool) {
	n.us.allowed[o], n.him.allowed[o] = local, remote
}

// Local returns the state of o as this end performs it.
func (n *Negotiator) Local(o Option) State { return n.us.state[o] }

// Remote returns the state of o as the peer performs it.
func (n *Negotiator) Remote(o Option) State { return n.him.state[o] }

// RequestLocal asks to perform o, or to stop. It returns the command to send, if
// one is due now.
func (n *Negotiator) RequestLocal(o Option, on bool) (verb Command, send bool) {
	return n.us.request(o, on)
}

// RequestRemote asks the peer to perform o, or to stop.
func (n *Negotiator) RequestRemote(o Option, on bool) (verb Command, send bool) {
	return n.him.request(o, on)
}

// Receive takes WILL, WONT, DO or DONT from the peer. It returns the answer, if
// one is due; changed is true if the option's state is now another one, agreed
// or refused.
func (n *Negotiator) Receive(verb Command, o Option) (answer Command, send, changed bool) {
	s, on := &n.us, verb == DO || verb == WILL
	switch verb {
	case DO, DONT:
	case WILL, WONT:
		s = &n.him
	default:
		return 0, false, false
	}
	before := s.state[o]
	if on {
		answer, send = s.enabled(o)
	} else {
		answer, send = s.disabled(o)
	}
	return answer, send, s.state[o] != before
}

func (s *side) request(o Option, on bool) (Command, bool) {
	s.allowed[o] = on
	switch st := &s.state[o]; *st {
	case No:
		if on {
			*st = WantYes
			return s.yes, true
		}
	case Yes:
		if !on {
			*st = WantNo
			return s.no, true
		}
	case WantNo:
		if on {
			*st = WantNoOpposite
		}
	case WantNoOpposite:
		if !on {
			*st = WantNo
		}
	case WantYes:
		if !on {
			*st = WantYesOpposite
		}
	case WantYesOpposite:
		if on {
			*st = WantYes
		}
	}
	return 0, false
}

// enabled handles the peer's WILL or DO.
func (s *side) enabled(o Option) (Command, bool) {
	switch st := &s.state[o]; *st {
	case No:
		if s.allowed[o] {
			*st = Yes
			return s.yes, true
		}
		if s.refused[o] == MaxRefusals {
			return 0, false
		}
		s.refused[o]++
		return s.no, true
	case Yes:
	case WantNo: // RFC 1143: an error of the peer, DONT answered by WILL
		*st = No
	case WantNoOpposite: // the same error, but this end has changed its mind
		*st = Yes
	case WantYes:
		*st = Yes
	case WantYesOpposite:
		*st = WantNo
		return s.no, true
	}
	return 0, false
}

// disabled handles the peer's WONT or DONT.
func (s *side) disabled(o Option) (Command, bool) {
	s.refused[o] = 0
	switch st := &s.state[o]; *st {
	case No:
	case Yes:
		*st = No
		return s.no, true
	case WantNo, WantYes, WantYesOpposite:
		*st = No
	case WantNoOpposite:
		*st = WantYes
		return s.yes, true
	}
	return 0, false
}
