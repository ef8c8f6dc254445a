package integration

import (
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// accepted is a port whose server has accepted all that a program has asked for, and
// which is then connected again to one with faults.
func accepted(t *testing.T, later rfc2217test.Faults, flags ...string) faulty {
	t.Helper()
	f := newFaulty(t, rfc2217test.Faults{}, flags...)
	f.waitEvent("connected")
	tio := getTermios(t, f.tty)
	tio.Cflag = tio.Cflag&^(unix.CBAUD|unix.CBAUDEX) | unix.BOTHER | unix.CSTOPB
	tio.Ispeed, tio.Ospeed = 250_000, 250_000
	setTermios(t, f.tty, tio)
	eventually(t, "all is accepted", func() bool { return f.status("tty").Reported.Line == "250000-7E2" })
	for _, kind := range []string{"differs", "unanswered", "degraded"} {
		if l := f.events(kind); len(l) > 0 {
			t.Errorf("of a server that accepts all it is logged: %+v", l)
		}
	}
	f.SetFaults(later)
	f.reconnect(t)
	return f
}

// askedAgain checks that the new connection was told all that the first one was.
func (f faulty) askedAgain(t *testing.T) {
	t.Helper()
	f.await(t, "250000-7E2", func(u rfc2217test.Snapshot) bool { return u.Sessions == 1 && u.State.Line() == "250000-7E2" })
}

// A server that has accepted settings, and answers others when they are replayed on the
// next connection: each is logged as a warning, the status has both, and the tty shows
// what a pseudo-terminal can. One that is well again has all as asked.
func TestReplayAnsweredOtherwise(t *testing.T) {
	f := accepted(t, rfc2217test.Faults{AckOther: func(m comport.Message) comport.Message {
		switch m.(type) {
		case comport.SetBaudRate:
			return comport.SetBaudRate{Rate: 230_400}
		case comport.SetDataSize:
			return comport.SetDataSize{Size: 8}
		case comport.SetParity:
			return comport.SetParity{Parity: comport.ParityNone}
		case comport.SetStopSize:
			return comport.SetStopSize{Size: comport.StopSize1}
		default:
			return m
		}
	}}, "--line", "9600-7E1")
	f.askedAgain(t)
	differs := make([]string, 0, 4)
	for _, l := range f.waitEvents("differs", 4) {
		differs = append(differs, l.Level+": "+l.Old+" / "+l.New)
	}
	slices.Sort(differs)
	if want := []string{
		"warn: SET-BAUDRATE 250000 / SET-BAUDRATE 230400", "warn: SET-DATASIZE 7 / SET-DATASIZE 8",
		"warn: SET-PARITY even / SET-PARITY none", "warn: SET-STOPSIZE 2 / SET-STOPSIZE 1",
	}; !slices.Equal(differs, want) {
		t.Errorf("logged %q, want %q", differs, want)
	}
	if p := f.status("tty"); p.Wanted.Line != "250000-7E2" || p.Reported.Line != "230400-8N1" {
		t.Errorf("the status has wanted %+v, reported %+v", p.Wanted, p.Reported)
	}
	eventually(t, "the tty shows the truth", func() bool {
		tio := getTermios(t, f.tty)
		return tio.Ospeed == 230_400 && tio.Cflag&unix.CSTOPB == 0
	})
	f.allPass(t, f.tty)

	f.SetFaults(rfc2217test.Faults{})
	f.reconnect(t)
	f.askedAgain(t)
	eventually(t, "all is accepted", func() bool { return f.status("tty").Reported.Line == "250000-7E2" })
	if l := f.events("differs"); len(l) > 4 {
		t.Errorf("of a server that is well it is logged: %+v", l[4:])
	}
}

// One that does not answer the replay of a setting any more.
func TestReplayUnanswered(t *testing.T) {
	f := accepted(t, rfc2217test.Faults{NoAck: rfc2217test.Commands(comport.CommandSetBaudRate)}, "--line", "9600-7E1")
	f.askedAgain(t)
	if l := f.waitEvent("unanswered"); l.Level != "warn" || l.Old != "SET-BAUDRATE 250000" {
		t.Errorf("logged: %+v", l)
	}
	if p := f.status("tty"); p.Wanted.Line != "250000-7E2" || p.Reported.Line != "7E2" {
		t.Errorf("the status has wanted %+v, reported %+v", p.Wanted, p.Reported)
	}
	f.allPass(t, f.tty)
}

// One that refuses RFC 2217 altogether.
func TestReplayRefused(t *testing.T) {
	f := accepted(t, rfc2217test.Faults{RefuseComPort: true}, "--line", "9600-7E1")
	if l := f.waitEvent("degraded"); l.Level != "warn" || !strings.Contains(l.Old, "rfc2217") || l.New != "telnet" {
		t.Errorf("logged: %+v", l)
	}
	if p := f.status("tty"); p.Mode != "telnet" || p.Wanted.Line != "250000-7E2" || p.Reported.Line != "" {
		t.Errorf("the status has mode %s, wanted %+v, reported %+v", p.Mode, p.Wanted, p.Reported)
	}
	f.allPass(t, f.tty)
	f.SetFaults(rfc2217test.Faults{})
	f.reconnect(t)
	f.askedAgain(t)
	eventually(t, "all is accepted", func() bool { return f.status("tty").Reported.Line == "250000-7E2" })
}

// On a server with several clients another one's setting is told just before the
// answer to the own one: the tty must show what the last one says.
func TestAnswerBehindAnothersSetting(t *testing.T) {
	f := newFaulty(t, rfc2217test.Faults{})
	f.waitEvent("connected")
	eventually(t, "the question is answered", func() bool { return f.received("SET-STOPSIZE 1") })
	f.SetFaults(rfc2217test.Faults{NoAck: rfc2217test.Commands(comport.CommandSetStopSize)})
	tio := getTermios(t, f.tty)
	tio.Cflag |= unix.CSTOPB
	setTermios(t, f.tty, tio)
	f.awaitStop(t, comport.StopSize2)
	f.Send(comport.SetStopSize{Size: comport.StopSize1}) // told of another client's, from before
	f.Send(comport.SetStopSize{Size: comport.StopSize2}) // the answer
	eventually(t, "both are received", func() bool { return f.received("SET-STOPSIZE 2") })
	time.Sleep(500 * time.Millisecond) // the tty is told after 100 ms
	if got := settingsOn(t, f.tty).stop; got != comport.StopSize2 {
		t.Errorf("the tty shows stop size %v, the UART has 2", got)
	}
}

// A server that answered otherwise and is well again: the tty must show that.
func TestReplayAcceptedAgainIsShown(t *testing.T) {
	f := accepted(t, rfc2217test.Faults{AckOther: func(m comport.Message) comport.Message {
		if _, ok := m.(comport.SetBaudRate); ok {
			return comport.SetBaudRate{Rate: 230_400}
		}
		return m
	}}, "--line", "9600-7E1")
	eventually(t, "the tty shows the truth", func() bool { return speedOf(t, f.tty) == 230_400 })
	f.SetFaults(rfc2217test.Faults{})
	f.reconnect(t)
	f.askedAgain(t)
	eventually(t, "it is accepted", func() bool { return f.status("tty").Reported.Line == "250000-7E2" })
	eventuallyWithin(t, 3*time.Second, "the tty shows it", func() bool { return speedOf(t, f.tty) == 250_000 })
}
