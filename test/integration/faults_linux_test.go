package integration

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// speedOf is what a tty shows.
func speedOf(t *testing.T, tty *os.File) uint32 {
	t.Helper()
	return getTermios(t, tty).Ospeed
}

// allPass checks that every byte value passes both ways.
func (s *simulated) allPass(t *testing.T, tty *os.File) {
	t.Helper()
	sent := len(s.uart.Sent())
	data := append(allBytes(), "\r\r\n\r\x00\xff\xff\r"...)
	write(t, tty, data)
	eventually(t, "all byte values have left the UART", func() bool { return len(s.uart.Sent()) >= sent+len(data) })
	if got := s.uart.Sent()[sent:]; !bytes.Equal(got, data) {
		t.Errorf("the UART has sent % x, want % x", got, data)
	}
	s.uart.Receive(data)
	if got := readFull(t, tty, len(data)); !bytes.Equal(got, data) {
		t.Errorf("the program received % x, want % x", got, data)
	}
}

// faulty is a vcomd with a program on its port and a faulty server.
type faulty struct {
	*simulated
	*vcomd
	tty *os.File
}

func newFaulty(t *testing.T, faults rfc2217test.Faults, flags ...string) faulty {
	t.Helper()
	s := serve(t, &rfc2217test.Server{Faults: faults})
	v := start(t, s.addr, append([]string{"--retry", "20ms"}, flags...)...)
	return faulty{s, v, openTTY(t, v.link)}
}

// reconnect ends the connection and waits for the next one.
func (f faulty) reconnect(t *testing.T) {
	t.Helper()
	n := len(f.events("connected"))
	f.Disconnect()
	f.waitEvents("connected", n+1)
}

// A server that never acknowledges gets its settings and its data all the same.
func TestFaultNoAck(t *testing.T) {
	f := newFaulty(t, rfc2217test.Faults{NoAck: rfc2217test.AllCommands})
	f.waitEvent("connected")
	setSpeed(t, f.tty, 115_200)
	f.await(t, "the speed", func(u rfc2217test.Snapshot) bool { return u.State.BaudRate == 115_200 })
	f.allPass(t, f.tty)
	var unanswered []logLine
	eventually(t, "the missing acknowledgement is reported", func() bool {
		unanswered = f.events("unanswered")
		return slices.ContainsFunc(unanswered, func(l logLine) bool { return strings.HasPrefix(l.Old, "SET-BAUDRATE") })
	})
	setSpeed(t, f.tty, 57_600)
	f.await(t, "the next speed", func(u rfc2217test.Snapshot) bool { return u.State.BaudRate == 57_600 })
	if speed := speedOf(t, f.tty); speed != 57_600 {
		t.Errorf("the tty shows %d bit/s, want what was asked for", speed)
	}
	for _, l := range f.events("unanswered") {
		if l.Level != "warn" {
			t.Errorf("%s is logged as %s, want warn", l.Old, l.Level)
		}
	}
	f.end()
	count := 0
	for _, l := range f.events("unanswered") {
		if strings.HasPrefix(l.Old, "SET-BAUDRATE") {
			count++
		}
	}
	if count != 1 {
		t.Errorf("SET-BAUDRATE was reported %d times, want once", count)
	}
}

// An acknowledgement that is late is still one.
func TestFaultLateAck(t *testing.T) {
	f := newFaulty(t, rfc2217test.Faults{LateAck: 300 * time.Millisecond})
	f.waitEvent("connected")
	setSpeed(t, f.tty, 115_200)
	setSpeed(t, f.tty, 57_600)
	f.await(t, "the speed", func(u rfc2217test.Snapshot) bool { return u.State.BaudRate == 57_600 })
	f.allPass(t, f.tty)
	eventually(t, "the acknowledgement has come", func() bool { return f.received("SET-BAUDRATE 57600") })
	for _, kind := range []string{"differs", "unanswered", "shown"} {
		if l := f.events(kind); len(l) > 0 && kind != "shown" {
			t.Errorf("it was logged that it %s: %+v", kind, l)
		}
	}
	if speed := speedOf(t, f.tty); speed != 57_600 {
		t.Errorf("the tty shows %d bit/s, want 57600", speed)
	}
}

// A server that cannot do a speed says which one it has set: then the tty shows
// it, and what is asked for again after a reconnect is still the program's wish.
func TestFaultOtherSpeed(t *testing.T) {
	f := newFaulty(t, rfc2217test.Faults{AckOther: func(m comport.Message) comport.Message {
		if b, ok := m.(comport.SetBaudRate); ok && b.Rate == 250_000 {
			return comport.SetBaudRate{Rate: 230_400}
		}
		return m
	}})
	f.waitEvent("connected")
	setSpeed(t, f.tty, 250_000)
	eventually(t, "the tty shows the truth", func() bool { return speedOf(t, f.tty) == 230_400 })
	if l := f.waitEvent("differs"); l.Old != "SET-BAUDRATE 250000" || l.New != "SET-BAUDRATE 230400" || l.Level != "warn" {
		t.Errorf("logged: %+v", l)
	}
	// A look at the tty, as stty does, asks for nothing new.
	setTermios(t, f.tty, getTermios(t, f.tty))
	f.allPass(t, f.tty)
	asked := 0
	for _, m := range f.Messages() {
		if m == (comport.SetBaudRate{Rate: 250_000}) {
			asked++
		}
		if m == (comport.SetBaudRate{Rate: 230_400}) {
			t.Error("the server's own value was asked for")
		}
	}
	if asked != 1 {
		t.Errorf("250000 bit/s was asked for %d times, want once", asked)
	}
	f.reconnect(t)
	f.await(t, "the program's speed again", func(u rfc2217test.Snapshot) bool { return u.State.BaudRate == 250_000 && u.Sessions == 1 })
}

// A speed within what a UART's divisor can do is the speed asked for.
func TestFaultSpeedALittleOff(t *testing.T) {
	f := newFaulty(t, rfc2217test.Faults{AckOther: func(m comport.Message) comport.Message {
		if b, ok := m.(comport.SetBaudRate); ok && b.Rate == 115_200 {
			return comport.SetBaudRate{Rate: 115_107}
		}
		return m
	}})
	f.waitEvent("connected")
	setSpeed(t, f.tty, 115_200)
	eventually(t, "the acknowledgement has come", func() bool { return f.received("SET-BAUDRATE 115107") })
	f.allPass(t, f.tty)
	if speed := speedOf(t, f.tty); speed != 115_200 {
		t.Errorf("the tty shows %d bit/s, want 115200", speed)
	}
	if l := f.events("differs"); len(l) > 0 {
		t.Errorf("logged: %+v", l)
	}
}

// Other settings are reported, and the tty keeps what was asked for.
func TestFaultOtherFrame(t *testing.T) {
	f := newFaulty(t, rfc2217test.Faults{AckOther: func(m comport.Message) comport.Message {
		switch m.(type) {
		case comport.SetDataSize:
			return comport.SetDataSize{Size: 8}
		case comport.SetParity:
			return comport.SetParity{Parity: comport.ParityNone}
		default:
			return m
		}
	}}, "--line", "9600-7E1")
	f.waitEvent("connected")
	f.await(t, "7E1", func(u rfc2217test.Snapshot) bool {
		return u.State.DataSize == 7 && u.State.Parity == comport.ParityEven
	})
	differs := make([]string, 0, 2)
	for _, l := range f.waitEvents("differs", 2) {
		differs = append(differs, l.Old+" / "+l.New)
	}
	slices.Sort(differs)
	if want := []string{"SET-DATASIZE 7 / SET-DATASIZE 8", "SET-PARITY even / SET-PARITY none"}; !slices.Equal(differs, want) {
		t.Errorf("logged %q, want %q", differs, want)
	}
	f.allPass(t, f.tty)
}

// Acknowledgements of something else, or none at all, harm nobody.
func TestFaultWrongAcks(t *testing.T) {
	f := newFaulty(t, rfc2217test.Faults{AckOther: func(m comport.Message) comport.Message {
		switch m.(type) {
		case comport.SetBaudRate:
			return comport.SetParity{Parity: comport.ParityMark}
		case comport.SetParity:
			return comport.SetBaudRate{Rate: 1}
		case comport.SetStopSize:
			return comport.SetControl{Control: comport.ControlDTROff}
		default:
			return nil
		}
	}})
	f.waitEvent("connected")
	setSpeed(t, f.tty, 19_200)
	f.await(t, "the speed", func(u rfc2217test.Snapshot) bool { return u.State.BaudRate == 19_200 })
	f.allPass(t, f.tty)
}

// sredird acknowledges a speed with eight bytes.
func TestFaultLongBaudAck(t *testing.T) {
	f := newFaulty(t, rfc2217test.Faults{LongBaudAck: true})
	f.waitEvent("connected")
	setSpeed(t, f.tty, 115_200)
	eventually(t, "the acknowledgement has come", func() bool { return f.received("SET-BAUDRATE 115200") })
	f.allPass(t, f.tty)
	f.end()
	if l := f.waitEvent("ended"); l.Unknown != 0 || l.Broken != 0 {
		t.Errorf("counted as faults: %+v", l)
	}
	if l := f.events("differs"); len(l) > 0 {
		t.Errorf("logged: %+v", l)
	}
}

// The ways in which servers come to COM-PORT.
func TestFaultGreetings(t *testing.T) {
	for _, c := range []struct {
		name   string
		faults rfc2217test.Faults
	}{
		{"WILL instead of DO", rfc2217test.Faults{WillInsteadOfDo: true}},
		{"no greeting", rfc2217test.Faults{NoGreeting: true}},
		{"no BINARY", rfc2217test.Faults{NoBinary: true}},
		{"one byte at a time", rfc2217test.Faults{SplitEveryByte: true}},
		{"one byte at a time and no BINARY", rfc2217test.Faults{SplitEveryByte: true, NoBinary: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFaulty(t, c.faults)
			if l := f.waitEvent("connected"); l.New != "rfc2217" {
				t.Fatalf("connected as %q, want rfc2217", l.New)
			}
			setSpeed(t, f.tty, 115_200)
			f.await(t, "the speed", func(u rfc2217test.Snapshot) bool { return u.State.BaudRate == 115_200 })
			f.allPass(t, f.tty)
			if l := f.events("degraded"); len(l) > 0 {
				t.Errorf("logged: %+v", l)
			}
		})
	}
}

// Without COM-PORT data passes, with one warning however often it reconnects;
// and the second time nothing waits for an answer that will not come.
func TestFaultWithoutComPort(t *testing.T) {
	for _, c := range []struct {
		name   string
		faults rfc2217test.Faults
	}{
		{"refused", rfc2217test.Faults{RefuseComPort: true}},
		{"ignored", rfc2217test.Faults{IgnoreComPort: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFaulty(t, c.faults, "--negotiate-timeout", "400ms")
			if l := f.waitEvent("connected"); l.New != "telnet" {
				t.Fatalf("connected as %q, want telnet", l.New)
			}
			f.allPass(t, f.tty)
			for range 3 {
				f.reconnect(t)
				f.allPass(t, f.tty)
			}
			setSpeed(t, f.tty, 115_200)
			f.allPass(t, f.tty)
			f.end()
			if l := f.events("degraded"); len(l) != 1 || l[0].Level != "warn" {
				t.Errorf("%d warnings, want one: %+v", len(l), l)
			}
			if n := f.Stats().Early; n != 0 {
				t.Errorf("%d COM-PORT messages were sent to a server that does not know them", n)
			}
		})
	}
}

// A server that says nothing at all still gets the program's bytes.
func TestFaultMute(t *testing.T) {
	f := newFaulty(t, rfc2217test.Faults{Mute: true}, "--negotiate-timeout", "200ms")
	if l := f.waitEvent("connected"); l.New != "telnet" {
		t.Errorf("connected as %q, want telnet", l.New)
	}
	write(t, f.tty, []byte("hello?"))
	f.awaitText(t, "hello?")
}

// A connection that breaks comes back with all that the program asked for, and
// the bytes follow.
func TestFaultReset(t *testing.T) {
	f := newFaulty(t, rfc2217test.Faults{})
	f.waitEvent("connected")
	setSpeed(t, f.tty, 57_600)
	f.await(t, "the speed", func(u rfc2217test.Snapshot) bool { return u.State.BaudRate == 57_600 })
	f.SetFaults(rfc2217test.Faults{ResetAfter: 1})
	write(t, f.tty, []byte("lost")) // the server's reset takes it along
	f.waitEvent("disconnected")
	// Every try is reset until the server is well.
	n := f.Stats().Connections
	f.awaitServer(t, "another try", func(st rfc2217test.Stats) bool { return st.Connections > n+1 })
	write(t, f.tty, []byte("written meanwhile"))
	f.SetFaults(rfc2217test.Faults{})
	f.awaitText(t, "written meanwhile")
	for _, e := range f.uart.Journal() {
		if e.Kind == rfc2217test.EntryData && e.State.BaudRate != 57_600 {
			t.Errorf("%s left at %d bit/s, want 57600", e, e.State.BaudRate)
		}
	}
	if speed := speedOf(t, f.tty); speed != 57_600 {
		t.Errorf("the tty shows %d bit/s, want 57600", speed)
	}
}

// A port that another client has is tried again, and more and more seldom.
func TestFaultPortInUse(t *testing.T) {
	f := newFaulty(t, rfc2217test.Faults{PortInUse: true}, "--retry", "20ms", "--retry-max", "80ms")
	f.awaitServer(t, "six tries", func(st rfc2217test.Stats) bool { return st.Refused >= 6 })
	if l := f.waitEvent("disconnected"); !strings.Contains(l.Err, "in use") {
		t.Errorf("the reason logged is %q", l.Err)
	}
	if l := f.events("connected"); len(l) > 0 {
		t.Errorf("a refused connection counts as one: %+v", l)
	}
	// What was under way at each of them was the negotiation alone.
	if n := f.status("tty").Counters.Unconfirmed; n != 0 {
		t.Errorf("%d bytes count as perhaps lost, and none was sent", n)
	}
	f.SetFaults(rfc2217test.Faults{})
	f.waitEvent("connected")
	write(t, f.tty, []byte("at last"))
	f.awaitText(t, "at last")
	if l := f.events("disconnected"); len(l) > 1 {
		t.Errorf("%d lines of log for the same reason, want one a change", len(l))
	}
}
