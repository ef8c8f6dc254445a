package config

import (
	"cmp"
	"fmt"
	"strconv"
	"time"

	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// Defaults of a Policy, as users write them.
const (
	DefaultDeadAfter  = "30s"
	DefaultDrain      = "5s"
	DefaultOnLoss     = "hold"
	DefaultStaleAfter = "10s"
	DefaultWhileDown  = "hold"
	DefaultDCD        = "ignore"
	DefaultLines      = "leave"
	DefaultCRNUL      = "on"
)

// Policy is how a port behaves, as it was written: empty means default.
type Policy struct {
	Retries        string
	DeadAfter      string
	Probe          string
	Drain          string
	RequireRFC2217 bool
	OnLoss         string
	StaleAfter     string
	WhileDown      string
	DCD            string
	Lines          string
	DTR            string
	RTS            string
	DropBanner     bool
	PurgeOnOpen    bool
	Pace           bool
	Suspend        bool
	CRNUL          string
	ModemMask      string
}

// minProbe is the shortest --probe.
const minProbe = 100 * time.Millisecond

// maxRetries bounds --retries.
const maxRetries = 1_000_000

// choice is a setting of a few words.
type choice struct {
	name, value, byDefault string
	words                  [2]string
	second                 *bool // set if it is the second word
}

func (s Policy) validate(r rfc2217client.Remote) (port.Policy, error) {
	p := port.Policy{
		RequireRFC2217: s.RequireRFC2217, DropBanner: s.DropBanner, PurgeOnOpen: s.PurgeOnOpen,
		Pace: s.Pace, Suspend: s.Suspend,
	}
	if err := s.contradictions(r); err != nil {
		return p, err
	}
	var hangup, raise bool
	for _, c := range []choice{
		{"--on-loss", s.OnLoss, DefaultOnLoss, [2]string{"hold", "hangup"}, &hangup},
		{"--while-down", s.WhileDown, DefaultWhileDown, [2]string{"hold", "discard"}, &p.Discard},
		{"--dcd", s.DCD, DefaultDCD, [2]string{"ignore", "hangup"}, &p.DCDHangup},
		{"--lines", s.Lines, DefaultLines, [2]string{"leave", "raise"}, &raise},
		{"--cr-nul", s.CRNUL, DefaultCRNUL, [2]string{"on", "off"}, &p.PlainCR},
	} {
		switch cmp.Or(c.value, c.byDefault) {
		case c.words[0]:
		case c.words[1]:
			*c.second = true
		default:
			return p, &Error{c.name, c.value, "there is no such choice", "write " + c.words[0] + " or " + c.words[1], nil}
		}
	}
	if hangup {
		p.OnLoss = port.OnLossHangup
	}
	switch {
	case raise:
		p.Lines = port.LinesRaise
	case s.Lines != "":
		p.Lines = port.LinesLeave
	}
	var err error
	if p.DTR, err = line("--dtr", s.DTR, comport.ControlDTROn, comport.ControlDTROff); err != nil {
		return p, err
	}
	if p.RTS, err = line("--rts", s.RTS, comport.ControlRTSOn, comport.ControlRTSOff); err != nil {
		return p, err
	}
	if err := s.numbers(&p); err != nil {
		return p, err
	}
	err = s.times(&p)
	return p, err
}

// line reads a fixed start value.
func line(name, value string, on, off comport.Control) (comport.Control, error) {
	switch value {
	case "":
		return 0, nil
	case "on":
		return on, nil
	case "off":
		return off, nil
	default:
		return 0, &Error{name, value, "a line is on or off", "write on or off, or leave it out to have it left as it is", nil}
	}
}

func (s Policy) numbers(p *port.Policy) error {
	if s.Retries != "" {
		n, err := strconv.ParseUint(s.Retries, 10, 32)
		if err != nil || n > maxRetries {
			return &Error{
				"--retries", s.Retries, "this is not a number of tries",
				fmt.Sprintf("write 0 to %d, or leave it out to have it try without end", maxRetries), err,
			}
		}
		p.Tries = int(n) + 1
	}
	if s.ModemMask != "" {
		n, err := strconv.ParseUint(s.ModemMask, 0, 8)
		if err != nil {
			return &Error{
				"--modem-mask", s.ModemMask, "this is not a mask of 8 bits",
				"write 0 to 255 or 0x00 to 0xff: the bits of NOTIFY-MODEMSTATE that the server is to report", err,
			}
		}
		p.ModemMask, p.SetModemMask = comport.ModemState(n), true
	}
	return nil
}

func (s Policy) times(p *port.Policy) error {
	if err := readTimes([]timeSetting{
		{"--dead-after", s.DeadAfter, DefaultDeadAfter, time.Second, &p.DeadAfter},
		{"--probe", s.Probe, "0", 0, &p.Probe},
		{"--drain", s.Drain, DefaultDrain, 0, &p.Drain},
		{"--stale-after", s.StaleAfter, DefaultStaleAfter, 0, &p.StaleAfter},
	}); err != nil {
		return err
	}
	if p.Probe != 0 && p.Probe < minProbe {
		return &Error{"--probe", s.Probe, "so often a server is not to be asked", fmt.Sprintf("write a time from %v to 24h, or 0 to never ask", minProbe), nil}
	}
	return nil
}

// contradictions finds what does not go with the remote, or with each other.
func (s Policy) contradictions(r rfc2217client.Remote) error {
	needs := func(name, value, what string) error {
		return &Error{name, value, fmt.Sprintf("%s, which the remote %s does not speak", what, r), "write rfc2217://, or leave it out", nil}
	}
	if r.Protocol != rfc2217client.ProtocolRFC2217 {
		for _, f := range []struct {
			name, value string
			set         bool
		}{
			{"--require-rfc2217", "", s.RequireRFC2217},
			{"--purge-on-open", "", s.PurgeOnOpen},
			{"--suspend", "", s.Suspend},
			{"--modem-mask", s.ModemMask, s.ModemMask != ""},
			{"--probe", s.Probe, s.Probe != "" && s.Probe != "0"},
			{"--dcd", s.DCD, s.DCD == "hangup"},
			{"--lines", s.Lines, s.Lines == "raise"},
			{"--dtr", s.DTR, s.DTR != ""},
			{"--rts", s.RTS, s.RTS != ""},
		} {
			if f.set {
				return needs(f.name, f.value, "it needs RFC 2217")
			}
		}
	}
	if r.Protocol == rfc2217client.ProtocolRaw {
		if s.DropBanner {
			return &Error{"--drop-banner", "", fmt.Sprintf("nothing tells a banner from data in the raw bytes of %s", r), "leave it out", nil}
		}
		if s.CRNUL != "" {
			return &Error{"--cr-nul", s.CRNUL, fmt.Sprintf("it is about Telnet, which the remote %s does not speak", r), "leave it out", nil}
		}
	}
	if s.WhileDown == "discard" && s.StaleAfter != "" {
		return &Error{
			"--stale-after", s.StaleAfter, "with --while-down discard nothing waits that could grow stale",
			"leave one of the two out", nil,
		}
	}
	return nil
}
