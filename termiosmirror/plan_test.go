package termiosmirror

import (
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

func TestDiffOrder(t *testing.T) {
	want := comport.State{
		BaudRate: 9600, DataSize: 7, Parity: comport.ParityEven, StopSize: comport.StopSize2,
		Outbound: comport.ControlFlowXonXoff, Inbound: comport.ControlInboundNone,
		DTR: comport.ControlDTROn, RTS: comport.ControlRTSOff, Break: comport.ControlBreakOn,
	}
	plan := Plan{
		comport.SetBaudRate{Rate: 9600},
		comport.SetDataSize{Size: 7},
		comport.SetParity{Parity: comport.ParityEven},
		comport.SetStopSize{Size: comport.StopSize2},
		comport.SetControl{Control: comport.ControlFlowXonXoff},
		comport.SetControl{Control: comport.ControlInboundNone},
		comport.SetControl{Control: comport.ControlDTROn},
		comport.SetControl{Control: comport.ControlRTSOff},
		comport.SetControl{Control: comport.ControlBreakOn},
	}
	if got := Diff(want, comport.State{}); !reflect.DeepEqual(got, plan) {
		t.Errorf("from nothing: %v, want %v", got, plan)
	}
	if got := Diff(want, want); len(got) != 0 {
		t.Errorf("from the same: %v, want nothing", got)
	}
	if got := Diff(comport.State{}, want); len(got) != 0 {
		t.Errorf("nothing asked for: %v, want nothing", got)
	}
}

func TestDiffInboundFollowsOutbound(t *testing.T) {
	have := comport.State{Outbound: comport.ControlFlowNone, Inbound: comport.ControlInboundNone}
	want := comport.State{Outbound: comport.ControlFlowXonXoff, Inbound: comport.ControlInboundNone}
	plan := Plan{
		comport.SetControl{Control: comport.ControlFlowXonXoff},
		comport.SetControl{Control: comport.ControlInboundNone},
	}
	if got := Diff(want, have); !reflect.DeepEqual(got, plan) {
		t.Errorf("got %v, want %v: the server may have turned inbound flow on with the first", got, plan)
	}
}

func TestDisturbs(t *testing.T) {
	for _, tt := range []struct {
		want comport.State
		is   bool
	}{
		{comport.State{}, false},
		{comport.State{BaudRate: 300}, true},
		{comport.State{DataSize: 7}, true},
		{comport.State{Parity: comport.ParityOdd}, true},
		{comport.State{StopSize: comport.StopSize2}, true},
		{comport.State{Outbound: comport.ControlFlowHardware, Inbound: comport.ControlInboundXonXoff}, false},
		{comport.State{DTR: comport.ControlDTROn, RTS: comport.ControlRTSOff}, false},
		{comport.State{Break: comport.ControlBreakOn}, true},
		{comport.State{Break: comport.ControlBreakOff}, true},
		{comport.State{DTR: comport.ControlDTROff, Break: comport.ControlBreakOff}, true},
	} {
		if got := Diff(tt.want, comport.State{}).Disturbs(); got != tt.is {
			t.Errorf("a plan for %+v: Disturbs() = %t", tt.want, got)
		}
	}
}

// randomState has each field unknown about once in three.
func randomState(r *rand.Rand) comport.State {
	return comport.State{
		BaudRate: pick[uint32](r, 0, 0, 0, 1, 300, 9600, 115200, 4294967295),
		DataSize: pick[comport.DataSize](r, 0, 0, 5, 6, 7, 8),
		Parity: pick(r, 0, 0, comport.ParityNone, comport.ParityOdd, comport.ParityEven,
			comport.ParityMark, comport.ParitySpace),
		StopSize: pick(r, 0, comport.StopSize1, comport.StopSize2, comport.StopSize15),
		Outbound: pick(r, 0, comport.ControlFlowNone, comport.ControlFlowXonXoff, comport.ControlFlowHardware),
		Inbound:  pick(r, 0, comport.ControlInboundNone, comport.ControlInboundXonXoff, comport.ControlInboundHardware),
		DTR:      pick(r, 0, comport.ControlDTROn, comport.ControlDTROff),
		RTS:      pick(r, 0, comport.ControlRTSOn, comport.ControlRTSOff),
		Break:    pick(r, 0, comport.ControlBreakOn, comport.ControlBreakOff),
	}
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// TestDiffMakesHaveIntoWant is the meaning of Diff: after its plan every known field of want holds, no other field has
// changed, and nothing is left to send.
func TestDiffMakesHaveIntoWant(t *testing.T) {
	r := rand.New(rand.NewPCG(22, 17))
	for range 50000 {
		want, have := randomState(r), randomState(r)
		got := have
		for _, m := range Diff(want, have) {
			if !got.Set(m) {
				t.Fatalf("%v does not change a State", m)
			}
		}
		base := have
		if want.Outbound != 0 && want.Outbound != have.Outbound {
			base.Inbound = 0 // a changed outbound flow is for both ways: what inbound was is no longer known
		}
		if expect := overlay(base, want); got != expect {
			t.Fatalf("have %+v, want %+v: %v makes %+v", have, want, Diff(want, have), got)
		}
		if p := Diff(want, got); len(p) != 0 {
			t.Fatalf("have %+v, want %+v: %v is left", have, want, p)
		}
	}
}

// overlay is below with the known fields of above in place of its own.
func overlay(below, above comport.State) comport.State {
	b, a := reflect.ValueOf(&below).Elem(), reflect.ValueOf(above)
	for i := range a.NumField() {
		if !a.Field(i).IsZero() {
			b.Field(i).Set(a.Field(i))
		}
	}
	return below
}
