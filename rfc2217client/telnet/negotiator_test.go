package telnet_test

import (
	"fmt"
	"testing"

	"github.com/vcomd/vcomd/rfc2217client/telnet"
)

// run drives one option of a Negotiator by words: "+" and "-" are this end's
// wishes to enable and disable, "WILL" and so on come from the peer. The answer
// is what was sent, "" for nothing.
func run(n *telnet.Negotiator, o telnet.Option, word string) string {
	var verb telnet.Command
	var send bool
	switch word {
	case "+us":
		verb, send = n.RequestLocal(o, true)
	case "-us":
		verb, send = n.RequestLocal(o, false)
	case "+him":
		verb, send = n.RequestRemote(o, true)
	case "-him":
		verb, send = n.RequestRemote(o, false)
	default:
		for _, c := range []telnet.Command{telnet.WILL, telnet.WONT, telnet.DO, telnet.DONT} {
			if c.String() == word {
				verb, send, _ = n.Receive(c, o)
			}
		}
	}
	if !send {
		return ""
	}
	return verb.String()
}

// Each row is a dialogue; the right-hand sides are RFC 1143, section 7, by hand.
func TestNegotiator(t *testing.T) {
	type turn struct{ in, out string }
	for _, tt := range []struct {
		name    string
		allow   bool
		turns   []turn
		us, him telnet.State
	}{
		{name: "asked and granted", turns: []turn{{"+us", "WILL"}, {"DO", ""}, {"DO", ""}}, us: telnet.Yes},
		{name: "asked and refused", turns: []turn{{"+us", "WILL"}, {"DONT", ""}, {"DONT", ""}}, us: telnet.No},
		{name: "asked by the peer, granted", allow: true, turns: []turn{{"DO", "WILL"}, {"DO", ""}}, us: telnet.Yes},
		{name: "peer performs, granted", allow: true, turns: []turn{{"WILL", "DO"}, {"WILL", ""}}, him: telnet.Yes},
		{name: "each request is refused", turns: []turn{{"DO", "WONT"}, {"DO", "WONT"}, {"WILL", "DONT"}, {"WILL", "DONT"}}},
		{name: "refused, withdrawn, refused", turns: []turn{{"DO", "WONT"}, {"DONT", ""}, {"DO", "WONT"}}},
		{name: "peer stops", allow: true, turns: []turn{{"WILL", "DO"}, {"WONT", "DONT"}, {"WONT", ""}}, him: telnet.No},
		{name: "changed mind before the answer", turns: []turn{{"+us", "WILL"}, {"-us", ""}, {"DO", "WONT"}, {"DONT", ""}}, us: telnet.No},
		{name: "changed mind twice", turns: []turn{{"+us", "WILL"}, {"-us", ""}, {"+us", ""}, {"DO", ""}}, us: telnet.Yes},
		{name: "stopped and asked again", turns: []turn{{"+him", "DO"}, {"WILL", ""}, {"-him", "DONT"}, {"+him", ""}, {"WONT", "DO"}, {"WILL", ""}}, him: telnet.Yes},
		{name: "stopped, asked, stopped", turns: []turn{{"+him", "DO"}, {"WILL", ""}, {"-him", "DONT"}, {"+him", ""}, {"-him", ""}, {"WONT", ""}}, him: telnet.No},
		{name: "DONT answered by WILL", turns: []turn{{"+him", "DO"}, {"WILL", ""}, {"-him", "DONT"}, {"WILL", ""}}, him: telnet.No},
		{name: "DONT answered by WILL, mind changed", turns: []turn{{"+him", "DO"}, {"WILL", ""}, {"-him", "DONT"}, {"+him", ""}, {"WILL", ""}}, him: telnet.Yes},
		{name: "changed mind and refused", turns: []turn{{"+us", "WILL"}, {"-us", ""}, {"DONT", ""}}, us: telnet.No},
		{name: "both sides of one option", allow: true, turns: []turn{{"+us", "WILL"}, {"WILL", "DO"}, {"DO", ""}}, us: telnet.Yes, him: telnet.Yes},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := telnet.NewNegotiator()
			n.Allow(telnet.ComPort, tt.allow, tt.allow)
			for i, turn := range tt.turns {
				if got := run(n, telnet.ComPort, turn.in); got != turn.out {
					t.Errorf("turn %d, %s: answered %q, want %q", i, turn.in, got, turn.out)
				}
			}
			if n.Local(telnet.ComPort) != tt.us || n.Remote(telnet.ComPort) != tt.him {
				t.Errorf("us %v, him %v; want %v, %v", n.Local(telnet.ComPort), n.Remote(telnet.ComPort), tt.us, tt.him)
			}
		})
	}
}

func TestNegotiatorReceiveIgnoresOtherCommands(t *testing.T) {
	n := telnet.NewNegotiator()
	if _, send, changed := n.Receive(telnet.NOP, telnet.Binary); send || changed {
		t.Error("NOP was taken for a negotiation")
	}
}

func TestNegotiatorChanged(t *testing.T) {
	n := telnet.NewNegotiator()
	n.RequestLocal(telnet.Binary, true)
	if _, _, changed := n.Receive(telnet.DO, telnet.Binary); !changed {
		t.Error("agreement is not reported as a change")
	}
	if _, _, changed := n.Receive(telnet.DO, telnet.Binary); changed {
		t.Error("a repeated DO is reported as a change")
	}
}

func TestNegotiatorStubbornPeer(t *testing.T) {
	n := telnet.NewNegotiator()
	answers := 0
	for range 1000 {
		if run(n, telnet.NAWS, "DO") != "" {
			answers++
		}
	}
	if answers != telnet.MaxRefusals {
		t.Errorf("%d refusals, want %d", answers, telnet.MaxRefusals)
	}
	run(n, telnet.NAWS, "DONT")
	if got := run(n, telnet.NAWS, "DO"); got != "WONT" {
		t.Errorf("after it gave up and asked anew, the peer got %q, want WONT", got)
	}
}

// FuzzNegotiator lets two Negotiators with any policies and any wishes talk to
// each other: they must fall silent, and agree.
func FuzzNegotiator(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7}, uint8(0x0f))
	f.Add([]byte{4, 6, 0x14, 0x16, 5, 7}, uint8(0))
	f.Fuzz(func(t *testing.T, wishes []byte, policy uint8) {
		const o = telnet.ComPort
		if len(wishes) > telnet.MaxRefusals {
			wishes = wishes[:telnet.MaxRefusals]
		}
		ends := [2]*telnet.Negotiator{telnet.NewNegotiator(), telnet.NewNegotiator()}
		ends[0].Allow(o, policy&1 != 0, policy&2 != 0)
		ends[1].Allow(o, policy&4 != 0, policy&8 != 0)
		var queue [2][]telnet.Command // queue[i] is on its way to ends[i]
		total := 0
		deliver := func(i int) {
			verb := queue[i][0]
			queue[i] = queue[i][1:]
			if answer, send, _ := ends[i].Receive(verb, o); send {
				queue[1-i] = append(queue[1-i], answer)
				total++
			}
		}
		for _, w := range wishes {
			i, on := int(w>>4)&1, w&1 == 0
			var verb telnet.Command
			var send bool
			switch w & 6 {
			case 0, 2: // let something arrive first
				if len(queue[i]) > 0 {
					deliver(i)
				}
				continue
			case 4:
				verb, send = ends[i].RequestLocal(o, on)
			case 6:
				verb, send = ends[i].RequestRemote(o, on)
			}
			if send {
				queue[1-i] = append(queue[1-i], verb)
				total++
			}
		}
		for len(queue[0])+len(queue[1]) > 0 {
			if total > 6*len(wishes)+4 {
				t.Fatalf("%d commands after %d wishes: a loop", total, len(wishes))
			}
			for i := range queue {
				if len(queue[i]) > 0 {
					deliver(i)
				}
			}
		}
		if a, b := ends[0].Local(o), ends[1].Remote(o); a != b {
			t.Errorf("the first performs: %v, the second believes %v", a, b)
		}
		if a, b := ends[1].Local(o), ends[0].Remote(o); a != b {
			t.Errorf("the second performs: %v, the first believes %v", a, b)
		}
	})
}

func TestStateNames(t *testing.T) {
	for s, want := range map[telnet.State]string{telnet.No: "NO", telnet.WantYesOpposite: "WANTYES/OPPOSITE", 9: "?"} {
		if got := fmt.Sprint(s); got != want {
			t.Errorf("state %d is called %q, want %q", uint8(s), got, want)
		}
	}
}
