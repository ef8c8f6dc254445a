package rfc2217test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func script(u *UART) string {
	var b strings.Builder
	for _, e := range u.Journal() {
		fmt.Fprintln(&b, e)
	}
	return b.String()
}

func TestLineSpeed(t *testing.T) {
	clock := NewFakeClock(epoch)
	u := &UART{Clock: clock}
	// 300-8N1: ten bits a character, 33.3 ms.
	u.Set(comport.SetBaudRate{Rate: 300})
	if err := u.Send(t.Context(), []byte("0123456789")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		advance time.Duration
		left    int
	}{{33 * time.Millisecond, 0}, {time.Millisecond, 1}, {66 * time.Millisecond, 3}, {200 * time.Millisecond, 9}, {34 * time.Millisecond, 10}} {
		clock.Advance(tt.advance)
		if got := u.Snapshot(); int(got.Total.Bytes) != tt.left || got.Queued != 10-tt.left {
			t.Errorf("after %v: %d left, %d wait, want %d left", clock.Now().Sub(epoch), got.Total.Bytes, got.Queued, tt.left)
		}
	}
}

func TestSpoiled(t *testing.T) {
	clock := NewFakeClock(epoch)
	u := &UART{Clock: clock}
	u.Set(comport.SetBaudRate{Rate: 1200}) // 8.33 ms a character
	_ = u.Send(t.Context(), []byte("abcdef"))
	clock.Advance(17 * time.Millisecond) // a and b have left
	u.Set(comport.SetBaudRate{Rate: 1200})
	u.Set(comport.SetBaudRate{Rate: 2400})
	u.Set(comport.SetParity{Parity: comport.ParityEven})
	u.Set(comport.SetControl{Control: comport.ControlRTSOn})
	_ = u.Send(t.Context(), []byte("g"))
	clock.Advance(time.Second)
	u.Set(comport.SetControl{Control: comport.ControlBreakOn})
	_ = u.Send(t.Context(), []byte("hi"))
	clock.Advance(time.Second)
	u.Set(comport.SetControl{Control: comport.ControlBreakOff})
	_ = u.Send(t.Context(), []byte("jkl"))
	clock.Advance(5 * time.Millisecond) // 2400-8E1: 4.58 ms
	u.Set(comport.PurgeData{What: comport.PurgeTransmit})
	want := `setting SET-BAUDRATE 1200
data "ab" at 1200-8N1
spoiled 4 bytes by SET-BAUDRATE 2400
setting SET-BAUDRATE 2400
setting SET-PARITY even
line SET-CONTROL RTS=on
data "cdefg" at 2400-8E1
break SET-CONTROL break=on
spoiled 2 bytes by SET-CONTROL break=on
break SET-CONTROL break=off
data "j" at 2400-8E1
purge 2 bytes by PURGE-DATA transmit
`
	if got := script(u); got != want {
		t.Errorf("journal:\n%swant:\n%s", got, want)
	}
	if got := u.Snapshot().Total; got.Bytes != 8 || got.Spoiled != 6 || got.Lost != 2 {
		t.Errorf("%+v", got)
	}
}

func TestFlowControlHoldsTheTransmitter(t *testing.T) {
	for _, tt := range []struct {
		flow      comport.Control
		hold, run func(u *UART)
	}{
		{comport.ControlFlowHardware, func(u *UART) { u.SetModem(comport.ModemDCD) }, func(u *UART) { u.SetModem(comport.ModemCTS) }},
		{comport.ControlFlowDSR, func(u *UART) { u.SetModem(comport.ModemCTS) }, func(u *UART) { u.SetModem(comport.ModemDSR) }},
		{comport.ControlFlowDCD, func(u *UART) { u.SetModem(0) }, func(u *UART) { u.SetModem(comport.ModemDCD) }},
		{comport.ControlFlowXonXoff, func(u *UART) { u.Receive([]byte("a\x13")) }, func(u *UART) { u.Receive([]byte("\x11b")) }},
	} {
		clock := NewFakeClock(epoch)
		u := &UART{Clock: clock}
		u.Set(comport.SetControl{Control: tt.flow})
		tt.hold(u)
		_ = u.Send(t.Context(), []byte("abc"))
		clock.Advance(time.Second)
		if got := u.Snapshot(); got.Queued != 3 {
			t.Errorf("%v: %d of 3 wait", tt.flow, got.Queued)
		}
		tt.run(u)
		clock.Advance(time.Second)
		if got := u.Snapshot(); got.Queued != 0 {
			t.Errorf("%v: %d wait after the release", tt.flow, got.Queued)
		}
	}
}

func TestFullBufferHoldsTheSender(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := &UART{} // time in the bubble is the bubble's
		start := time.Now()
		if err := u.Send(t.Context(), make([]byte, TransmitBuffer+960)); err != nil {
			t.Fatal(err)
		}
		// 960 characters of ten bits at 9600 bit/s must leave first: one second.
		if took := time.Since(start); took < 990*time.Millisecond || took > 1010*time.Millisecond {
			t.Errorf("took %v", took)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := u.Send(ctx, make([]byte, TransmitBuffer)); err == nil {
			t.Error("a full buffer took more")
		}
		if err := u.WaitFor(t.Context(), func(s Snapshot) bool { return s.Queued == 0 }); err != nil {
			t.Error(err)
		}
	})
}

func TestOverrun(t *testing.T) {
	u := &UART{}
	if n := u.Receive([]byte("abc")); n != 3 {
		t.Errorf("took %d", n)
	}
	if got := u.Snapshot(); got.Received != 3 || got.Unheard != 3 {
		t.Errorf("%+v", got)
	}
}

func TestFakeClock(t *testing.T) {
	clock := NewFakeClock(epoch)
	var got []string
	note := func(s string) func() {
		return func() { got = append(got, fmt.Sprint(s, clock.Now().Sub(epoch))) }
	}
	clock.AfterFunc(2*time.Second, func() {
		note("b")()
		clock.AfterFunc(time.Second, note("d"))
	})
	clock.AfterFunc(time.Second, note("a"))
	clock.AfterFunc(2*time.Second, note("c"))
	stopped := clock.AfterFunc(time.Second, note("never"))
	if !stopped.Stop() || stopped.Stop() {
		t.Error("Stop is wrong")
	}
	clock.Advance(3 * time.Second)
	if want := "[a1s b2s c2s d3s]"; fmt.Sprint(got) != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if clock.Pending() != 0 {
		t.Error("timers are left")
	}
}
