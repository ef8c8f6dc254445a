package rfc2217client_test

import (
	"testing"
	"time"

	rc "github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

var (
	rate9600   = comport.SetBaudRate{Rate: 9600}
	rate19200  = comport.SetBaudRate{Rate: 19200}
	rate115200 = comport.SetBaudRate{Rate: 115200}
)

func TestRequestsLeaveInOrder(t *testing.T) {
	r := connected(t, rc.SessionConfig{})
	r.Request(r.now, rate9600, comport.SetDataSize{Size: 7}, comport.SetControl{Control: comport.ControlDTROn}, comport.SetControl{Control: comport.ControlRTSOff})
	r.Data([]byte("data"))
	r.wantSent("SET-BAUDRATE 9600", "SET-DATASIZE 7", "SET-CONTROL DTR=on", "SET-CONTROL RTS=off", `"data"`)
	if n := r.Counters().CommandsSent; n != 4 {
		t.Errorf("%d commands counted, want 4", n)
	}
}

// TestAckAnswers: what the server tells after a request, and which of it answers
// the request.
func TestAckAnswers(t *testing.T) {
	r := connected(t, rc.SessionConfig{})
	for _, tt := range []struct {
		name string
		m    comport.Message
		wire string
		seen string
	}{
		{"the value asked for", rate9600, "ff fa 2c 65 00 00 25 80 ff f0", "told SET-BAUDRATE 9600 for SET-BAUDRATE 9600"},
		{"eight bytes, as sredird", rate19200, "ff fa 2c 65 00 00 4b 00 00 00 00 00 ff f0", "told SET-BAUDRATE 19200 for SET-BAUDRATE 19200"},
		{"another value", rate115200, "ff fa 2c 65 00 00 25 80 ff f0", "told SET-BAUDRATE 9600 for SET-BAUDRATE 115200"},
		{"a query", comport.SetBaudRate{}, "ff fa 2c 65 00 00 4b 00 ff f0", "told SET-BAUDRATE 19200 for SET-BAUDRATE ?"},
		{"size", comport.SetDataSize{Size: 7}, "ff fa 2c 66 07 ff f0", "told SET-DATASIZE 7 for SET-DATASIZE 7"},
		{"parity", comport.SetParity{Parity: comport.ParityEven}, "ff fa 2c 67 01 ff f0", "told SET-PARITY none for SET-PARITY even"},
		{"stop bits", comport.SetStopSize{Size: comport.StopSize2}, "ff fa 2c 68 02 ff f0", "told SET-STOPSIZE 2 for SET-STOPSIZE 2"},
		{"flow", comport.SetControl{Control: comport.ControlFlowHardware}, "ff fa 2c 69 03 ff f0", "told SET-CONTROL flow=hardware for SET-CONTROL flow=hardware"},
		{"DCD flow, answered by another", comport.SetControl{Control: comport.ControlFlowDCD}, "ff fa 2c 69 01 ff f0", "told SET-CONTROL flow=none for SET-CONTROL flow=DCD"},
		{"inbound flow", comport.SetControl{Control: comport.ControlInboundHardware}, "ff fa 2c 69 0e ff f0", "told SET-CONTROL inbound=none for SET-CONTROL inbound=hardware"},
		{"purge", comport.PurgeData{What: comport.PurgeTransmit}, "ff fa 2c 70 02 ff f0", "told PURGE-DATA transmit for PURGE-DATA transmit"},
		{"signature", comport.SignatureText{}, "ff fa 2c 64 61 62 ff f0", `told SIGNATURE "ab" for SIGNATURE ?`},
		{"a mask is not tracked", comport.SetModemStateMask{Mask: 15}, "ff fa 2c 6f 0f ff f0", "told SET-MODEMSTATE-MASK ΔDCD|RI↓|ΔDSR|ΔCTS"},
		{"nor is DTR", comport.SetControl{Control: comport.ControlDTROn}, "ff fa 2c 69 08 ff f0", "told SET-CONTROL DTR=on"},
		{"nor RTS", comport.SetControl{Control: comport.ControlRTSOn}, "ff fa 2c 69 0b ff f0", "told SET-CONTROL RTS=on"},
		{"nor break", comport.SetControl{Control: comport.ControlBreakOn}, "ff fa 2c 69 05 ff f0", "told SET-CONTROL break=on"},
		{"DTR, answered by the flow, as sredird", comport.SetControl{Control: comport.ControlDTROff}, "ff fa 2c 69 01 ff f0", "told SET-CONTROL flow=none"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r.t = t
			r.Request(r.now, tt.m)
			r.feed(unhex(t, tt.wire))
			r.wantSeen(tt.seen)
			r.sent()
			if d := r.Deadline(); !d.IsZero() {
				t.Errorf("still waiting until +%v", d.Sub(epoch))
			}
			r.pass(10 * time.Second)
			r.wantSent()
			r.wantSeen()
		})
	}
}

// TestNoAck: sent again after a second, given up after two, once a session.
func TestNoAck(t *testing.T) {
	r := connected(t, rc.SessionConfig{})
	r.Request(r.now, rate9600)
	r.wantSent("SET-BAUDRATE 9600")
	r.pass(rc.AckResend - time.Nanosecond)
	r.wantSent()
	r.pass(time.Nanosecond)
	r.wantSent("SET-BAUDRATE 9600")
	r.pass(rc.AckGiveUp - rc.AckResend - time.Nanosecond)
	r.wantSeen()
	r.pass(time.Nanosecond)
	r.wantSeen("unanswered SET-BAUDRATE 9600")
	r.wantSent()

	// From here on nobody waits for a SET-BAUDRATE, but for others.
	r.Request(r.now, rate19200)
	r.wantSent("SET-BAUDRATE 19200")
	if d := r.Deadline(); !d.IsZero() {
		t.Errorf("waiting until +%v for a command that this server does not answer", d.Sub(epoch))
	}
	r.Request(r.now, comport.SetDataSize{Size: 7})
	r.pass(time.Minute)
	r.wantSent("SET-DATASIZE 7", "SET-DATASIZE 7")
	r.wantSeen("unanswered SET-DATASIZE 7")
	if n := r.Counters().Unanswered; n != 2 {
		t.Errorf("%d unanswered counted, want 2", n)
	}
	want := comport.State{BaudRate: 19200, DataSize: 7}
	if got := r.Effective(); got != want {
		t.Errorf("effective %v, want what was asked: %v", got, want)
	}
}

// TestNotResent: what could do harm, or nobody misses.
func TestNotResent(t *testing.T) {
	for _, tt := range []struct {
		m    comport.Message
		seen []string
	}{
		{comport.PurgeData{What: comport.PurgeBoth}, []string{"unanswered PURGE-DATA both"}},
		{comport.SignatureText{}, []string{}},
		{comport.SetControl{Control: comport.ControlDTROn}, []string{}},
		{comport.SetControl{Control: comport.ControlRTSOff}, []string{}},
		{comport.SetControl{Control: comport.ControlBreakOn}, []string{}},
		{comport.SetLineStateMask{Mask: 16}, []string{}},
	} {
		r := connected(t, rc.SessionConfig{})
		r.Request(r.now, tt.m)
		r.wantSent(tt.m.String())
		r.pass(time.Minute)
		r.wantSent()
		r.wantSeen(tt.seen...)
	}
}

// TestLateAck: between the repetition and the end of the wait; the second answer
// tells nothing new.
func TestLateAck(t *testing.T) {
	r := connected(t, rc.SessionConfig{})
	r.Request(r.now, rate115200)
	r.pass(1500 * time.Millisecond)
	r.feed(told(rate9600))
	r.wantSeen("told SET-BAUDRATE 9600 for SET-BAUDRATE 115200")
	r.pass(time.Second)
	r.feed(told(rate9600))
	r.wantSeen("told SET-BAUDRATE 9600")
	if got := r.Effective().BaudRate; got != 115200 {
		t.Errorf("effective %d: the program would be asked again at every call", got)
	}
	if got := r.Reported().BaudRate; got != 9600 {
		t.Errorf("reported %d, want 9600", got)
	}
}

// TestAckOfOlderRequest: only the newest request is answered, by the last of as
// many answers as there were requests.
func TestAckOfOlderRequest(t *testing.T) {
	r := connected(t, rc.SessionConfig{})
	r.Request(r.now, rate9600)
	r.Request(r.now, rate19200)
	r.feed(told(rate9600))
	r.wantSeen("told SET-BAUDRATE 9600")
	if got := r.Effective().BaudRate; got != 19200 {
		t.Errorf("effective %d after the older answer, want 19200", got)
	}
	r.feed(told(rate19200))
	r.wantSeen("told SET-BAUDRATE 19200 for SET-BAUDRATE 19200")
	if d := r.Deadline(); !d.IsZero() {
		t.Errorf("still waiting until +%v", d.Sub(epoch))
	}
}

// TestAckOfGivenUpRequest must not undo a newer one.
func TestAckOfGivenUpRequest(t *testing.T) {
	r := connected(t, rc.SessionConfig{})
	r.Request(r.now, rate9600)
	r.pass(2500 * time.Millisecond)
	r.Request(r.now, rate19200)
	r.pass(500 * time.Millisecond)
	r.feed(told(rate9600))
	if got := r.Effective().BaudRate; got != 19200 {
		t.Errorf("effective %d, want 19200: that is what the server will have", got)
	}
	r.feed(told(rate19200))
	if got := r.Effective().BaudRate; got != 19200 {
		t.Errorf("effective %d, want 19200", got)
	}
}

// TestUnaskedAck is the truth: another client of a shared port has set it.
func TestUnaskedAck(t *testing.T) {
	r := connected(t, rc.SessionConfig{})
	r.Request(r.now, rate9600)
	r.feed(told(rate9600))
	r.seen()
	r.feed(told(rate19200, comport.SetParity{Parity: comport.ParityOdd}))
	r.wantSeen("told SET-BAUDRATE 19200", "told SET-PARITY odd")
	want := comport.State{BaudRate: 19200, Parity: comport.ParityOdd}
	if got := r.Effective(); got != want {
		t.Errorf("effective %v, want %v", got, want)
	}
}

// TestQueryTellsTheTruth, where a setting's answer does not: a server that
// cannot do it would be asked again and again.
func TestQueryTellsTheTruth(t *testing.T) {
	r := connected(t, rc.SessionConfig{})
	r.Request(r.now, comport.SetBaudRate{})
	r.feed(told(rate115200))
	if got := r.Effective().BaudRate; got != 115200 {
		t.Errorf("effective %d after the answer to a query, want 115200", got)
	}
	r.Request(r.now, rate9600)
	r.feed(told(rate19200))
	if got := r.Effective().BaudRate; got != 9600 {
		t.Errorf("effective %d after another value, want the 9600 asked for", got)
	}
	r.Request(r.now, comport.SetBaudRate{})
	r.feed(told(rate19200))
	if got := r.Effective().BaudRate; got != 19200 {
		t.Errorf("effective %d after a query, want 19200", got)
	}
}

// TestLinesAreAShadow of what was set: ser2net says that break is on for ever,
// and answers queries with the query.
func TestLinesAreAShadow(t *testing.T) {
	r := connected(t, rc.SessionConfig{})
	control := func(c comport.Control) comport.Message { return comport.SetControl{Control: c} }
	r.feed(told(control(comport.ControlDTROn)))
	if got := r.Effective().DTR; got != comport.ControlDTROn {
		t.Errorf("effective DTR %v: told, and nobody set it", got)
	}
	r.Request(r.now, control(comport.ControlDTROn), control(comport.ControlDTROff), control(comport.ControlRTSOn), control(comport.ControlBreakOff))
	r.feed(told(control(comport.ControlDTROn), control(comport.ControlQueryRTS), control(comport.ControlBreakOn)))
	got, want := r.Effective(), comport.State{DTR: comport.ControlDTROff, RTS: comport.ControlRTSOn, Break: comport.ControlBreakOff}
	if got != want {
		t.Errorf("effective %v, want %v", got, want)
	}
	want = comport.State{DTR: comport.ControlDTROn, Break: comport.ControlBreakOn}
	if got := r.Reported(); got != want {
		t.Errorf("reported %v, want %v", got, want)
	}
}

// TestWithdrawnStopsWaiting: nothing is repeated to a server that takes no
// commands any more.
func TestWithdrawnStopsWaiting(t *testing.T) {
	r := connected(t, rc.SessionConfig{})
	r.Request(r.now, rate9600, comport.PurgeData{What: comport.PurgeBoth})
	r.sent()
	r.feed(unhex(t, "ff fe 2c"))
	r.wantSeen("mode telnet: it withdrew COM-PORT")
	r.Request(r.now, rate19200)
	r.pass(time.Minute)
	r.wantSent("WONT COM-PORT")
	r.wantSeen()
}
