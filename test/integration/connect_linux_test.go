package integration

import (
	"bytes"
	"context"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

func closeTTY(t *testing.T, tty *os.File) {
	t.Helper()
	if err := tty.Close(); err != nil {
		t.Fatal(err)
	}
}

// On-open: no program, no connection; and it outlives the last close by
// --close-delay, so that a program that comes back finds it.
func TestConnectOnOpen(t *testing.T) {
	s := serve(t, &rfc2217test.Server{})
	v := start(t, s.addr, "--close-delay", "300ms")
	if n := s.Stats().Connections; n != 0 {
		t.Errorf("%d connections before any program has opened the port", n)
	}
	tty := openTTY(t, v.link)
	v.waitEvent("connected")
	closeTTY(t, tty)
	v.waitEvent("closed")
	// Back in time: the same connection.
	tty = openTTY(t, v.link)
	v.waitEvents("opened", 2)
	write(t, tty, []byte("again"))
	s.awaitText(t, "again")
	if n := s.Stats().Connections; n != 1 {
		t.Errorf("%d connections, want the first one still", n)
	}
	closed := time.Now()
	closeTTY(t, tty)
	v.waitEvent("stopped")
	if took := time.Since(closed); took < 300*time.Millisecond {
		t.Errorf("disconnected %v after the close, want the delay", took)
	}
	s.awaitServer(t, "the end of the session", func(st rfc2217test.Stats) bool { return st.Active == 0 })
	// A new one when the next program comes.
	tty = openTTY(t, v.link)
	v.waitEvents("connected", 2)
	write(t, tty, []byte("and again"))
	s.awaitText(t, "and again")
}

// Always: connected from the start, whoever opens or closes the port.
func TestConnectAlways(t *testing.T) {
	s := serve(t, &rfc2217test.Server{})
	v := start(t, s.addr, "--connect", "always", "--close-delay", "0", "--retry", "20ms")
	v.waitEvent("connected")
	for i := range 3 {
		tty := openTTY(t, v.link)
		v.waitEvents("opened", i+1)
		closeTTY(t, tty)
		v.waitEvents("closed", i+1)
	}
	if n := s.Stats().Connections; n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
	s.Disconnect()
	v.waitEvents("connected", 2) // though no program has it open
	if l := v.events("stopped"); len(l) > 0 {
		t.Errorf("disconnected for lack of programs: %+v", l)
	}
}

// A server that is down does not keep a program from opening the port; when it
// comes up, what was written goes out, settings first.
func TestServerStartsLater(t *testing.T) {
	addr := "127.0.0.1:" + freePort(t)
	v := start(t, addr, "--retry", "20ms", "--retry-max", "100ms")
	begin := time.Now()
	tty := openTTY(t, v.link)
	setSpeed(t, tty, 38_400)
	write(t, tty, []byte("patience"))
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("a dead server kept the program for %v", took)
	}
	l := v.waitEvent("disconnected")
	if l.Level != "warn" || l.Err == "" || l.New == "" {
		t.Errorf("logged: %+v; want the reason and when it tries again", l)
	}
	s := &simulated{Server: &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}}, addr: addr}
	s.uart = s.UART
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	t.Cleanup(func() { cancel(); <-done })
	s.awaitText(t, "patience")
	for _, e := range s.uart.Journal() {
		if e.Kind == rfc2217test.EntryData && e.State.BaudRate != 38_400 {
			t.Errorf("%s left at %d bit/s, want 38400", e, e.State.BaudRate)
		}
	}
}

// An open of the port tries at once, however long the wait was to be.
func TestOpenTriesAtOnce(t *testing.T) {
	s := serve(t, &rfc2217test.Server{Faults: rfc2217test.Faults{PortInUse: true}})
	v := start(t, s.addr, "--connect", "always", "--retry", "1h", "--retry-max", "1h")
	v.waitEvent("disconnected")
	s.SetFaults(rfc2217test.Faults{})
	openTTY(t, v.link)
	v.waitEvent("connected")
}

// A reconnect repeats what the program has asked for, all of it and nothing
// else, ahead of the first byte.
func TestReplay(t *testing.T) {
	s := serve(t, &rfc2217test.Server{})
	v := start(t, s.addr, "--retry", "20ms", "--line", "7E1")
	tty := openTTY(t, v.link)
	v.waitEvent("connected")
	setSpeed(t, tty, 19_200)
	s.await(t, "the speed", func(u rfc2217test.Snapshot) bool { return u.State.BaudRate == 19_200 })
	write(t, tty, []byte("before"))
	s.awaitText(t, "before")
	s.Disconnect()
	v.waitEvents("connected", 2)
	write(t, tty, []byte("after"))
	s.awaitText(t, "after")

	var second []comport.Message
	for _, c := range s.Commands() {
		if c.Connection == 2 {
			second = append(second, c.Message)
		}
	}
	for _, want := range []comport.Message{
		comport.SetBaudRate{Rate: 19_200},
		comport.SetDataSize{Size: 7},
		comport.SetParity{Parity: comport.ParityEven},
		comport.SetStopSize{Size: comport.StopSize1},
	} {
		if !slices.Contains(second, want) {
			t.Errorf("%v was not repeated; the second connection began with %v", want, second)
		}
	}
	for _, m := range second {
		if c, ok := m.(comport.SetControl); ok && c.Control.Group() != comport.GroupFlow && c.Control.Group() != comport.GroupInbound {
			t.Errorf("%v was sent, and nobody had asked for it", m)
		}
	}
	for _, e := range s.uart.Journal() {
		if e.Kind == rfc2217test.EntryData && bytes.Contains(e.Data, []byte("after")) {
			if e.State.BaudRate != 19_200 || e.State.DataSize != 7 || e.State.Parity != comport.ParityEven {
				t.Errorf("the first byte left at %s", e.State.Line())
			}
		}
	}
}

// Nobody who has asked for nothing gets a reconnect that configures something.
func TestReplayOfNothing(t *testing.T) {
	s := serve(t, &rfc2217test.Server{})
	v := start(t, s.addr, "--retry", "20ms")
	openTTY(t, v.link)
	v.waitEvent("connected")
	s.Disconnect()
	v.waitEvents("connected", 2)
	s.awaitServer(t, "the queries of the second connection", func(st rfc2217test.Stats) bool {
		n := 0
		for _, c := range s.Commands() {
			if c.Connection == 2 {
				n++
			}
		}
		return n >= 4
	})
	for _, m := range s.Messages() {
		if state := (comport.State{}); state.Set(m) {
			t.Errorf("%v was sent, and nobody had asked for it", m)
		}
	}
}

// What comes while no program has the port open is dropped and counted, and the
// next program never sees it.
func TestBytesWhileClosed(t *testing.T) {
	s := serve(t, &rfc2217test.Server{})
	v := start(t, s.addr, "--connect", "always")
	v.waitEvent("connected")
	for i := range 20 {
		s.uart.Receive([]byte("stale"))
		eventually(t, "it has come", func() bool { return v.hasAll(s) })
		if i%2 == 1 {
			tty := openTTY(t, v.link)
			v.waitEvents("opened", i/2+1)
			s.uart.Receive([]byte("|"))
			if got := readFull(t, tty, 1); string(got) != "|" {
				t.Fatalf("round %d: the program read %q, want |", i, got)
			}
			closeTTY(t, tty)
			v.waitEvents("closed", i/2+1)
		}
	}
	v.end()
	if l := v.waitEnded(); l.DroppedClosed != 20*5 || l.ToProgram != 10 {
		t.Errorf("dropped_closed is %d, want 100; to_program is %d, want 10", l.DroppedClosed, l.ToProgram)
	}
}

// What a program did not read is not for the next one: neither what is in the
// tty nor what waits behind it.
func TestUnreadBytesAreNotForTheNextProgram(t *testing.T) {
	for _, c := range []struct {
		name   string
		unread int
	}{
		{"a few", 100},
		{"a full tty", 60_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, &rfc2217test.Server{})
			v := start(t, s.addr)
			for i := range 5 {
				tty := openTTY(t, v.link)
				v.waitEvents("opened", i+1)
				if i == 0 {
					v.waitEvent("connected")
				}
				s.uart.Receive(append([]byte("|"), bytes.Repeat([]byte{'x'}, c.unread)...))
				if got := readFull(t, tty, 1); string(got) != "|" {
					t.Fatalf("round %d: the first byte is %q, want |", i, got)
				}
				closeTTY(t, tty)
				v.waitEvents("closed", i+1)
				// What is still on its way arrives while the port is closed, or
				// it would be the next program's by right.
				eventually(t, "all has come", func() bool { return v.hasAll(s) })
			}
		})
	}
}

// hasAll reports whether vcomd has all that the server received from the line.
func (v *vcomd) hasAll(s *simulated) bool {
	v.t.Helper()
	trace, err := os.ReadFile(v.trace)
	if err != nil {
		v.t.Fatal(err)
	}
	var n uint64
	for line := range strings.Lines(string(trace)) {
		if _, data, ok := strings.Cut(line, " < data "); ok {
			size, _, _ := strings.Cut(data, " ")
			k, err := strconv.ParseUint(size, 10, 64)
			if err != nil {
				v.t.Fatalf("the trace says %q: %v", line, err)
			}
			n += k
		}
	}
	return n == s.uart.Snapshot().Received
}

// A program that has lines assembled changes its speed and says nothing: the
// change arrives all the same.
func TestSettingsOfACanonicalProgramThatIsSilent(t *testing.T) {
	s := serve(t, &rfc2217test.Server{})
	v := start(t, s.addr)
	tty := openTTY(t, v.link)
	v.waitEvent("connected")
	tio := getTermios(t, tty)
	tio.Lflag |= unix.ICANON
	setTermios(t, tty, tio)
	eventually(t, "lines are assembled", func() bool { return getTermios(t, tty).Lflag&unix.EXTPROC == 0 })
	setSpeed(t, tty, 4800)
	s.await(t, "the speed", func(u rfc2217test.Snapshot) bool { return u.State.BaudRate == 4800 })
}
