package integration

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
	"github.com/vcomd/vcomd/rfc2217client/telnet"
)

// hostility is how much a hostile server sends, in bytes: far more than all
// buffers together.
const hostility = 16 << 20

// drain reads a tty all the time, as a program does, and keeps the last bytes.
type drain struct {
	mu   sync.Mutex
	tail []byte
}

// newDrain drains f until the test ends.
func newDrain(t *testing.T, f *os.File) *drain {
	t.Helper()
	d := &drain{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 16<<10)
		for {
			n, err := f.Read(buf)
			d.mu.Lock()
			d.tail = append(d.tail, buf[:n]...)
			d.tail = d.tail[max(0, len(d.tail)-1024):]
			d.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		_ = f.Close()
		<-done
	})
	return d
}

// has reports whether text is among the last bytes.
func (d *drain) has(text string) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return bytes.Contains(d.tail, []byte(text))
}

// awaitServer waits for something about the server itself. It looks again and
// again: bytes on the wire are no change that Server.WaitFor tells of.
func (s *simulated) awaitServer(t *testing.T, what string, done func(rfc2217test.Stats) bool) {
	t.Helper()
	eventually(t, what, func() bool { return done(s.Stats()) })
}

// awaitText waits until the bytes that have left the UART contain text.
func (s *simulated) awaitText(t *testing.T, text string) {
	t.Helper()
	eventually(t, "the UART has sent "+text, func() bool { return bytes.Contains(s.uart.Sent(), []byte(text)) })
}

// usable checks that data passes both ways and that settings arrive.
func (s *simulated) usable(t *testing.T, tty *os.File, d *drain) {
	t.Helper()
	s.working(t, tty, d)
	setSpeed(t, tty, 28_800)
	s.await(t, "the new speed", func(u rfc2217test.Snapshot) bool { return u.State.BaudRate == 28_800 })
}

// working checks that data passes both ways.
func (s *simulated) working(t *testing.T, tty *os.File, d *drain) {
	t.Helper()
	write(t, tty, []byte("still there?"))
	s.awaitText(t, "still there?")
	s.uart.Receive([]byte("yes, still here"))
	eventually(t, "the program receives data", func() bool { return d.has("yes, still here") })
}

// junk repeats what calls of piece give.
func junk(piece func(i int) []byte) func(int) []byte {
	var all []byte
	for i := 0; len(all) < 64<<10; i++ {
		all = append(all, piece(i)...)
	}
	return func(int) []byte { return all }
}

func message(m comport.Message) []byte {
	return telnet.AppendSubnegotiation(nil, telnet.ComPort, comport.Append(nil, comport.ToClient, m))
}

// A server may send what it likes: memory is bounded, it is counted, and the
// port is as good as before when it is over.
func TestHostileServer(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		name    string
		garbage func(n int) []byte
		counted func(ended logLine) uint64 // nil: nothing of it is an error
		restart bool                       // what it leaves ends only with the connection
	}{
		{
			name: "random bytes",
			garbage: junk(func(int) []byte {
				b := make([]byte, 4096)
				for i := range b {
					b[i] = byte(random.Uint32())
				}
				return b
			}),
			counted: func(l logLine) uint64 { return l.Broken + l.Ignored + l.Unknown },
			restart: true,
		},
		{
			name: "random commands",
			garbage: junk(func(int) []byte {
				return []byte{255, byte(240 + random.Uint32()%16), byte(random.Uint32() % 50), byte(random.Uint32())}
			}),
			counted: func(l logLine) uint64 { return l.Broken + l.Ignored },
			restart: true,
		},
		{
			name: "never-ending subnegotiation",
			garbage: func(n int) []byte {
				if n == 0 {
					return []byte{255, 250, 44}
				}
				return bytes.Repeat([]byte{101}, 64<<10)
			},
			restart: true,
		},
		{
			name: "oversized subnegotiations",
			garbage: junk(func(int) []byte {
				return telnet.AppendSubnegotiation(nil, telnet.ComPort, make([]byte, 5000))
			}),
			counted: func(l logLine) uint64 { return l.Broken },
		},
		{
			name:    "empty subnegotiations",
			garbage: junk(func(i int) []byte { return telnet.AppendSubnegotiation(nil, telnet.Option(i), nil) }),
			counted: func(l logLine) uint64 { return l.Unknown },
		},
		{
			name: "offers of every option",
			garbage: junk(func(i int) []byte {
				if o := telnet.Option(i); o != telnet.ComPort && o != telnet.Binary && o != telnet.SGA {
					return telnet.AppendNegotiation(telnet.AppendNegotiation(nil, telnet.WILL, o), telnet.DO, o)
				}
				return nil
			}),
			counted: func(l logLine) uint64 { return l.Refused },
		},
		{
			name: "options on and off",
			garbage: junk(func(i int) []byte {
				o := []telnet.Option{telnet.Binary, telnet.SGA, telnet.Echo, telnet.ComPort}[i%4]
				var b []byte
				for _, verb := range []telnet.Command{telnet.DONT, telnet.WONT, telnet.DO, telnet.WILL} {
					b = telnet.AppendNegotiation(b, verb, o)
				}
				return b
			}),
			restart: true,
		},
		{
			name:    "notifications",
			garbage: junk(func(i int) []byte { return message(comport.NotifyModemState{State: comport.ModemState(i)}) }),
		},
		{
			name:    "acknowledgements of nothing",
			garbage: junk(func(i int) []byte { return message(comport.SetBaudRate{Rate: uint32(9600 + i%2)}) }),
		},
		{
			name:    "signatures asked for",
			garbage: junk(func(int) []byte { return message(comport.SignatureText{}) }),
		},
		{
			name: "suspend and resume",
			garbage: junk(func(int) []byte {
				return append(message(comport.FlowControlSuspend{}), message(comport.FlowControlResume{})...)
			}),
		},
		{
			name:    "are you there",
			garbage: junk(func(int) []byte { return telnet.AppendCommand(nil, telnet.AYT) }),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, &rfc2217test.Server{})
			v := startUntraced(t, s.addr, "--retry", "20ms")
			tty := openTTY(t, v.link)
			d := newDrain(t, tty)
			v.waitEvent("connected")
			before := v.rss()
			begin := s.Stats().BytesOut
			var over atomic.Bool
			s.SetFaults(rfc2217test.Faults{Garbage: func(n int) []byte {
				if over.Load() {
					return nil
				}
				return c.garbage(n)
			}})
			s.awaitServer(t, "it has sent its junk", func(st rfc2217test.Stats) bool { return st.BytesOut-begin > hostility })
			if after := v.rss(); after > before+growth {
				t.Errorf("VmRSS %d KiB before the junk, %d KiB after it", before, after)
			}
			over.Store(true)
			s.SetFaults(rfc2217test.Faults{})
			if c.restart {
				n := s.Stats().Connections
				s.Disconnect()
				s.awaitServer(t, "the next connection", func(st rfc2217test.Stats) bool { return st.Connections > n && st.ComPort == 1 })
			}
			s.usable(t, tty, d)
			if size := len(v.out.String()); size > 256<<10 {
				t.Errorf("the log has %d bytes: a server can fill the disk", size)
			}
			v.end()
			if c.counted != nil {
				if ended := v.waitEvent("ended"); c.counted(ended) == 0 {
					t.Errorf("nothing of it was counted: %+v", ended)
				}
			}
		})
	}
}

// A server that asks and never reads the answers: what waits for it is bounded,
// and when it reads again all goes on.
func TestServerThatDoesNotRead(t *testing.T) {
	s := serve(t, &rfc2217test.Server{})
	v := startUntraced(t, s.addr)
	tty := openTTY(t, v.link)
	d := newDrain(t, tty)
	v.waitEvent("connected")
	before := v.rss()
	storm := junk(func(int) []byte { return telnet.AppendCommand(nil, telnet.AYT) })
	var over atomic.Bool
	s.SetFaults(rfc2217test.Faults{Stalled: true, Garbage: func(n int) []byte {
		if over.Load() {
			return nil
		}
		return storm(n)
	}})
	stalled(t, func() int64 { return int64(s.Stats().BytesOut) })
	if after := v.rss(); after > before+growth {
		t.Errorf("VmRSS %d KiB before the storm, %d KiB after it", before, after)
	}
	over.Store(true)
	s.SetFaults(rfc2217test.Faults{})
	s.usable(t, tty, d)
}

// A server that suspends the output for ever blocks the program, as it should,
// but neither memory nor the port's next user.
func TestSuspendedForEver(t *testing.T) {
	s := serve(t, &rfc2217test.Server{})
	v := startUntraced(t, s.addr, "--close-delay", "0")
	tty := openTTY(t, v.link)
	v.waitEvent("connected")
	// The server knows of the agreement a little later than vcomd.
	s.awaitServer(t, "COM-PORT is agreed", func(st rfc2217test.Stats) bool { return st.ComPort == 1 })
	s.Send(comport.FlowControlSuspend{})
	v.waitEvent("suspended")
	before := v.rss()
	// The program writes until it blocks.
	if err := tty.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
		t.Fatal(err)
	}
	total := 0
	for total < flood {
		n, err := tty.Write(make([]byte, 4096))
		total += n
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if total > 1<<20 {
		t.Errorf("%d bytes were taken from the program for a server that takes none", total)
	}
	// Changes of settings pile up nowhere either.
	for i := range 2000 {
		setSpeed(t, tty, uint32(1000+i))
	}
	if after := v.rss(); after > before+growth {
		t.Errorf("VmRSS %d KiB before, %d KiB while suspended", before, after)
	}
	// Received data still comes.
	s.uart.Receive([]byte("not suspended"))
	if got := readUntil(t, tty, "not suspended"); got != "not suspended" {
		t.Errorf("%q was received", got)
	}
	if n := s.uart.Snapshot().Total.Bytes; n != 0 {
		t.Errorf("%d bytes were sent in spite of the suspend", n)
	}
	if err := tty.Close(); err != nil {
		t.Fatal(err)
	}
	v.waitEvent("dropped")
	v.waitEvent("stopped")
	tty = openTTY(t, v.link)
	d := newDrain(t, tty)
	v.waitEvents("connected", 2)
	s.usable(t, tty, d)
	if sent := s.uart.Sent(); string(sent) != "still there?" {
		t.Errorf("the next program's bytes came with %d others", len(sent)-len("still there?"))
	}
}
