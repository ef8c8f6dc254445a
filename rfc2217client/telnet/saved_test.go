package telnet_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vcomd/vcomd/rfc2217client/telnet"
)

// A decoder that is handed to another process between any two bytes decodes what one
// does that is not, outside of binary mode too.
func TestDecoderHandedOn(t *testing.T) {
	stream := []byte("A\r\x00B\r\nC\xff\xff\xff\xf1D\xff\xfd\x2cE\xff\xfa\x2c\x65\xff\xff\x01\xff\xf0F\r")
	stream = append(stream, 0xff, 0xfa, 44)
	stream = append(stream, bytes.Repeat([]byte{7}, telnet.MaxSubnegotiation+5)...) // too long
	stream = append(stream, 0xff, 0xf0, 0xff, 0xf0, 'G')
	decode := func(handOn bool) (got []string) {
		var d telnet.Decoder
		for _, b := range stream {
			if handOn {
				text, err := json.Marshal(d.Save())
				if err != nil {
					t.Fatal(err)
				}
				var saved telnet.SavedDecoder
				if err := json.Unmarshal(text, &saved); err != nil {
					t.Fatal(err)
				}
				d = telnet.Decoder{}
				if err := d.Restore(saved); err != nil {
					t.Fatal(err)
				}
			}
			for ev, rest := d.Next([]byte{b}); ev.Kind != telnet.EventNone; ev, rest = d.Next(rest) {
				got = append(got, fmt.Sprint(ev))
			}
		}
		return append(got, fmt.Sprint(d.Stats()))
	}
	if d := cmp.Diff(decode(false), decode(true)); d != "" {
		t.Errorf("events (-whole +handed on):\n%s", d)
	}
}

// So does a negotiator, in every state.
func TestNegotiatorHandedOn(t *testing.T) {
	n := telnet.NewNegotiator()
	n.Allow(telnet.Binary, true, false)
	n.RequestLocal(telnet.Binary, true)
	n.RequestRemote(telnet.SGA, true)
	n.RequestRemote(telnet.SGA, false)
	n.Receive(telnet.DO, telnet.Echo) // refused, and counted
	other := telnet.NewNegotiator()
	if err := other.Restore(n.Save()); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(n.Save(), other.Save()); d != "" {
		t.Error(d)
	}
	for _, verb := range []telnet.Command{telnet.WILL, telnet.WONT, telnet.DO, telnet.DONT} {
		for _, o := range []telnet.Option{telnet.Binary, telnet.SGA, telnet.Echo} {
			if a, b := answer(n, verb, o), answer(other, verb, o); a != b {
				t.Errorf("%v %v: %s, handed on %s", verb, o, a, b)
			}
		}
	}
}

func answer(n *telnet.Negotiator, verb telnet.Command, o telnet.Option) string {
	command, send, changed := n.Receive(verb, o)
	return fmt.Sprint(command, send, changed)
}
