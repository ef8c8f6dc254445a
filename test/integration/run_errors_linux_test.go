package integration

import (
	"strings"
	"testing"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// awaitLineMask waits until the server was asked to tell of damaged characters.
func (s *simulated) awaitLineMask(t *testing.T) {
	t.Helper()
	s.await(t, "the mask of line errors", func(u rfc2217test.Snapshot) bool {
		return u.LineMask&comport.LineErrors == comport.LineErrors
	})
}

// What was received damaged is counted by TIOCGICOUNT, each kind by itself.
func TestRunLineErrors(t *testing.T) {
	s, v, p := startRun(t, &rfc2217test.Server{}, "serial", "fcntl", "struct")
	p.do("s = serial.Serial(%q, 9600)", v.link)
	s.awaitLineMask(t)
	// struct serial_icounter_struct: cts dsr rng dcd rx tx frame overrun parity brk.
	p.do("count = lambda: struct.unpack('20i', fcntl.ioctl(s.fd, 0x545d, bytes(80)))[6:10]")
	before := p.value("count()")
	if before != "(0, 0, 0, 0)" {
		t.Errorf("at first frame, overrun, parity and brk are %s", before)
	}
	for _, tt := range []struct {
		state comport.LineState
		want  string // frame, overrun, parity, brk
	}{
		{comport.LineFramingError, "(1, 0, 0, 0)"},
		{comport.LineOverrunError, "(1, 1, 0, 0)"},
		{comport.LineParityError, "(1, 1, 1, 0)"},
		{comport.LineBreak, "(1, 1, 1, 1)"},
		{comport.LineBreak | comport.LineFramingError, "(2, 1, 1, 2)"},
	} {
		s.uart.LineError(tt.state)
		eventually(t, tt.state.String()+" makes it "+tt.want, func() bool { return p.value("count()") == tt.want })
	}
}

// A received break interrupts the foreground process group of the session whose
// terminal the port is, and drops what was received before, if BRKINT asks for it.
func TestRunReceivedBreak(t *testing.T) {
	for _, tt := range []struct{ flags, read, signals string }{
		{"termios.BRKINT", "b'new'", "1"},
		{"termios.BRKINT | termios.IGNBRK", "b'oldnew'", "0"},
		{"0", `b'old\x00new'`, "0"},
		{"termios.PARMRK", `b'old\xff\x00\x00new'`, "0"},
	} {
		t.Run(tt.flags, func(t *testing.T) {
			s, v, p := startRun(t, &rfc2217test.Server{}, "fcntl", "os", "signal", "struct", "termios")
			p.do("got = []; signal.signal(signal.SIGINT, lambda *a: got.append(1))")
			p.do("os.setsid(); fd = os.open(%q, os.O_RDWR); fcntl.ioctl(fd, termios.TIOCSCTTY, 0)", v.link)
			p.do("a = termios.tcgetattr(fd); a[0] = a[0] & ~(termios.IGNBRK | termios.BRKINT | termios.PARMRK) | %s", tt.flags)
			p.do("termios.tcsetattr(fd, termios.TCSANOW, a)")
			p.do("waiting = lambda: struct.unpack('i', fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0]")
			s.awaitLineMask(t)
			s.uart.Receive([]byte("old"))
			eventually(t, "3 bytes wait", func() bool { return p.value("waiting()") == "3" })
			s.uart.LineError(comport.LineBreak)
			v.waitEvent("line-state")
			s.uart.Receive([]byte("new"))
			want := p.value("len(" + tt.read + ")")
			eventually(t, want+" bytes wait", func() bool { return p.value("waiting()") == want })
			if got := p.value("os.read(fd, 9)"); got != tt.read {
				t.Errorf("it read %s, want %s", got, tt.read)
			}
			if got := p.value("len(got)"); got != tt.signals {
				t.Errorf("%s signals, want %s", got, tt.signals)
			}
		})
	}
}

// The first call after an open finds both lines up, also where the last program has
// dropped them: as early as it can be. Of a close that it has not heard of yet vcomd run
// knows nothing, and nothing tells when it has: a few misses are none of its.
func TestRunLinesAtEveryOpen(t *testing.T) {
	_, v, p := startRun(t, &rfc2217test.Server{}, "fcntl", "os", "struct")
	p.do("number = lambda request, value=0: struct.unpack('I', fcntl.ioctl(fd, request, struct.pack('I', value)))[0]")
	const opens, mayMiss = 50, 10
	missed := 0
	for i := 1; i <= opens; i++ {
		p.do("fd = os.open(%q, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK); first = number(0x5415)", v.link)
		if p.value("first & 6") != "6" {
			missed++
		}
		p.do("number(0x5417, 6); os.close(fd)") // TIOCMBIC
		v.waitEvents("closed", i)
		time.Sleep(20 * time.Millisecond)
	}
	if missed > mayMiss {
		t.Errorf("%d of %d opens found lines down", missed, opens)
	}
}

// setserial and its ioctls are answered: low_latency is kept, and a custom divisor
// makes 38,400 bit/s another speed.
func TestRunSerialStruct(t *testing.T) {
	s, v, p := startRun(t, &rfc2217test.Server{}, "serial")
	p.do("s = serial.Serial(%q, 38400)", v.link)
	s.awaitSpeed(t, 38400)
	p.do("s.set_low_latency_mode(True)")
	p.do("import fcntl, struct")
	p.do("get = lambda: struct.unpack('16I', fcntl.ioctl(s.fd, 0x541e, bytes(72))[:64])")
	if got := p.value("get()[4] & 0x2000 != 0"); got != "True" {
		t.Error("low_latency is not read back")
	}
	// baud_base 24,000,000 / 96, with ASYNC_SPD_CUST: custom_divisor is the seventh
	// member of struct serial_struct, baud_base the eighth.
	p.do("g = list(get()); g[4] |= 0x30; g[6] = g[7] // 250000; fcntl.ioctl(s.fd, 0x541f, struct.pack('16I', *g) + bytes(8))")
	s.awaitSpeed(t, 250000)
	if got := p.value("(get()[6], get()[7])"); got != "(96, 24000000)" {
		t.Errorf("divisor and base are %s", got)
	}
	p.do("g[4] &= ~0x30; fcntl.ioctl(s.fd, 0x541f, struct.pack('16I', *g) + bytes(8))")
	s.awaitSpeed(t, 38400)
}

// setserial, the program; what it sets is there for the next one, under a vcomd run of its own.
func TestRunSetserial(t *testing.T) {
	need(t, "setserial", "stty")
	s := serve(t, &rfc2217test.Server{})
	v := start(t, s.addr, "--connect", "always")
	v.waitEvent("connected")
	on := v.runOn()
	out := mustRun(t, on[0], append(on[1:], "sh", "-c",
		`exec 3<>"$0"; setserial "$0" low_latency spd_cust divisor 240; stty -F "$0" 38400; setserial -a "$0"`, v.link)...)
	s.awaitSpeed(t, 100000)
	for _, out := range []string{out, mustRun(t, on[0], append(on[1:], "setserial", "-a", v.link)...)} {
		for _, want := range []string{"low_latency", "spd_cust", "divisor: 240"} {
			if !strings.Contains(out, want) {
				t.Errorf("nothing of %q in %s", want, out)
			}
		}
	}
	mustRun(t, on[0], append(on[1:], "stty", "-F", v.link, "19200")...)
	s.awaitSpeed(t, 19200)
	mustRun(t, on[0], append(on[1:], "stty", "-F", v.link, "38400")...)
	s.awaitSpeed(t, 100000)
}
