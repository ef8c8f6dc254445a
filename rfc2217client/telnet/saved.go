package telnet

import (
	"errors"
	"fmt"
	"slices"
)

// ErrSaved means that a saved state is none that this package makes.
var ErrSaved = errors.New("saved state that cannot be")

// SavedDecoder is a [Decoder] between two bytes of a stream, for another process to go
// on with.
type SavedDecoder struct {
	State   uint8        `json:"state,omitempty"`
	Binary  bool         `json:"binary,omitempty"`
	CR      bool         `json:"cr,omitempty"`
	Over    bool         `json:"over,omitempty"`
	Verb    Command      `json:"verb,omitempty"`
	Option  Option       `json:"option,omitempty"`
	Payload []byte       `json:"payload,omitempty"`
	Stats   DecoderStats `json:"stats"`
}

// Save returns the decoder's state.
func (d *Decoder) Save() SavedDecoder {
	return SavedDecoder{uint8(d.state), d.binary, d.cr, d.over, d.verb, d.option, slices.Clone(d.sb[:d.n]), d.stats}
}

// Restore puts the decoder into a saved state. The error is ErrSaved, and then the
// decoder is as it was.
func (d *Decoder) Restore(s SavedDecoder) error {
	if s.State > uint8(inSBAfterIAC) || len(s.Payload) > len(d.sb) {
		return fmt.Errorf("decoder: %w", ErrSaved)
	}
	*d = Decoder{
		state: decodeState(s.State), binary: s.Binary, cr: s.CR, over: s.Over, verb: s.Verb, option: s.Option,
		n: len(s.Payload), stats: s.Stats,
	}
	copy(d.sb[:], s.Payload)
	return nil
}

// SavedOption is what a [Negotiator] knows of one option.
type SavedOption struct {
	Option Option    `json:"option"`
	Local  SavedSide `json:"local"`
	Remote SavedSide `json:"remote"`
}

// SavedSide is one end's part of a SavedOption.
type SavedSide struct {
	State   State `json:"state,omitempty"`
	Allowed bool  `json:"allowed,omitempty"`
	Refused uint8 `json:"refused,omitempty"`
}

// Save returns what was negotiated: the options that are not as at the start.
func (n *Negotiator) Save() []SavedOption {
	var all []SavedOption
	for i := range n.us.state {
		s := SavedOption{Option(i), n.us.save(i), n.him.save(i)}
		if s.Local != (SavedSide{}) || s.Remote != (SavedSide{}) {
			all = append(all, s)
		}
	}
	return all
}

// Restore puts the negotiator into a saved state. The error is ErrSaved, and then the
// negotiator is as it was.
func (n *Negotiator) Restore(all []SavedOption) error {
	fresh := NewNegotiator()
	for _, s := range all {
		if !fresh.us.restore(int(s.Option), s.Local) || !fresh.him.restore(int(s.Option), s.Remote) {
			return fmt.Errorf("option %v: %w", s.Option, ErrSaved)
		}
	}
	*n = *fresh
	return nil
}

func (s *side) save(option int) SavedSide {
	return SavedSide{s.state[option], s.allowed[option], s.refused[option]}
}

func (s *side) restore(option int, saved SavedSide) bool {
	if saved.State > WantYesOpposite {
		return false
	}
	s.state[option], s.allowed[option], s.refused[option] = saved.State, saved.Allowed, saved.Refused
	return true
}
