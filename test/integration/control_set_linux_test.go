package integration

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// set is vcomd set of the port.
func (v *vcomd) set(operations ...string) (out string, code int) {
	v.t.Helper()
	return run(v.t, binary, append([]string{"set", "--run-dir", v.runDir(), v.link}, operations...)...)
}

func (v *vcomd) mustSet(operations ...string) {
	v.t.Helper()
	if out, code := v.set(operations...); code != 0 || out != "" {
		v.t.Fatalf("vcomd set %s: exit status %d, %q", strings.Join(operations, " "), code, out)
	}
}

// happened is what a UART did since an entry of its journal, data aside.
func happened(j []rfc2217test.Entry) (all []string) {
	for _, e := range j {
		if e.Kind == rfc2217test.EntryLine || e.Kind == rfc2217test.EntryBreak || e.Kind == rfc2217test.EntrySetting {
			all = append(all, e.Message.String())
		}
	}
	return all
}

// TestSetReachesTheUART: each operation, in the order written, under a program that
// works on.
func TestSetReachesTheUART(t *testing.T) {
	s := serve(t, &rfc2217test.Server{})
	v := start(t, s.addr)
	tty := openTTY(t, v.link)
	v.waitEvent("connected")
	write(t, tty, []byte("before"))
	s.awaitBytes(t, 6)
	from := len(s.uart.Journal())
	v.mustSet("dtr=off", "rts=off", "rts=on", "line=1200-7E2", "break=100ms", "dtr=on", "speed=115200")
	write(t, tty, []byte("after"))
	s.awaitBytes(t, 11)
	j := s.uart.Journal()[from:]
	sent := func(c comport.Control) string { return comport.SetControl{Control: c}.String() }
	want := []string{
		sent(comport.ControlDTROff), sent(comport.ControlRTSOff), sent(comport.ControlRTSOn),
		comport.SetBaudRate{Rate: 1200}.String(), comport.SetDataSize{Size: 7}.String(),
		comport.SetParity{Parity: comport.ParityEven}.String(), comport.SetStopSize{Size: comport.StopSize2}.String(),
		sent(comport.ControlBreakOn), sent(comport.ControlBreakOff),
		sent(comport.ControlDTROn), comport.SetBaudRate{Rate: 115200}.String(),
	}
	if got := happened(j); !slices.Equal(got, want) {
		t.Errorf("the UART did %q,\nwant %q", got, want)
	}
	var broken []time.Time
	for _, e := range j {
		if e.Kind == rfc2217test.EntryBreak {
			broken = append(broken, e.Time)
		}
		if e.Kind == rfc2217test.EntryData && e.State.Line() != "115200-7E2" {
			t.Errorf("%q left at %s", e.Data, e.State.Line())
		}
	}
	if len(broken) == 2 && broken[1].Sub(broken[0]) < 90*time.Millisecond {
		t.Errorf("the break took %v", broken[1].Sub(broken[0]))
	}
	if got := getTermios(t, tty).Ospeed; got != 115200 {
		t.Errorf("the tty shows %d bit/s", got)
	}
	// The program goes on as it likes; what a pseudo-terminal cannot carry stays.
	setSpeed(t, tty, 9600)
	s.awaitState(t, "9600-7E2", func(u comport.State) bool { return u.Line() == "9600-7E2" })
	if got := string(s.uart.Sent()); got != "beforeafter" {
		t.Errorf("the UART has sent %q", got)
	}
	p := v.status("tty")
	if p.DTR != "on" || p.RTS != "on" || p.Wanted.Line != "9600-7E2" || p.Break {
		t.Errorf("the status: %+v", p)
	}
	v.mustSet("break=on")
	s.awaitState(t, "a break", func(u comport.State) bool { return u.Break == comport.ControlBreakOn })
	if !v.status("tty").Break {
		t.Error("the status has no break")
	}
	v.mustSet("break=off")
	s.awaitState(t, "no break", func(u comport.State) bool { return u.Break == comport.ControlBreakOff })
}

// TestSetIsKept for the next connection, and told again at each.
func TestSetIsKept(t *testing.T) {
	s := serve(t, &rfc2217test.Server{})
	v := start(t, s.addr)
	out, code := v.set("dtr=off", "rts=on", "line=2400-8O1")
	if code != 0 || !strings.Contains(out, "there is no connection to rfc2217://"+s.addr+"; kept for the next one: dtr=off rts=on line=2400-8O1") {
		t.Fatalf("exit status %d, %q", code, out)
	}
	if len(s.Messages()) > 0 {
		t.Error("somebody has connected")
	}
	out, code = v.set("dtr=off", "break=10ms")
	if code != 1 || !strings.Contains(out, "break=10ms: there is no connection") || !strings.Contains(out, "(1 of 2 were done before)") {
		t.Errorf("a break: exit status %d, %q", code, out)
	}
	openTTY(t, v.link)
	holds := func(u comport.State) bool {
		return u.Line() == "2400-8O1" && u.DTR == comport.ControlDTROff && u.RTS == comport.ControlRTSOn
	}
	s.awaitState(t, "what was kept", holds)
	for round := range 2 {
		s.Disconnect()
		v.waitEvents("connected", round+2)
		s.awaitState(t, "what was kept, after a loss", holds)
	}
}

// TestSetWithoutRFC2217: a server that cannot is an error that says so; Telnet has
// a break.
func TestSetWithoutRFC2217(t *testing.T) {
	for _, c := range []struct {
		name, scheme string
		faults       rfc2217test.Faults
		breaks       bool
	}{
		{"it refuses", "", rfc2217test.Faults{RefuseComPort: true}, true},
		{"telnet", "telnet://", rfc2217test.Faults{}, true},
		{"raw", "tcp://", rfc2217test.Faults{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, &rfc2217test.Server{Faults: c.faults})
			v := start(t, c.scheme+s.addr, "--connect", "always")
			v.waitEvent("connected")
			for _, o := range []string{"dtr=on", "rts=off", "speed=9600", "line=7E1"} {
				if out, code := v.set(o); code != 1 || !strings.Contains(out, o+": it cannot be set: the access server does not speak RFC 2217") {
					t.Errorf("%s: exit status %d, %q", o, code, out)
				}
			}
			out, code := v.set("break=10ms")
			if got := code == 0; got != c.breaks {
				t.Errorf("a break: exit status %d, %q", code, out)
			}
		})
	}
}
