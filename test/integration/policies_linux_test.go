package integration

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// recorder is a device that notes when each byte has come.
type recorder struct {
	mu    sync.Mutex
	times []time.Time
	end   chan struct{}
	once  sync.Once
}

func newRecorder() *recorder { return &recorder{end: make(chan struct{})} }

func (r *recorder) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range p {
		r.times = append(r.times, time.Now())
	}
	return len(p), nil
}

func (r *recorder) Read([]byte) (int, error) {
	<-r.end
	return 0, io.EOF
}

func (r *recorder) Close() error {
	r.once.Do(func() { close(r.end) })
	return nil
}

func (r *recorder) all() []time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]time.Time(nil), r.times...)
}

// With --pace what a program writes at once arrives as slowly as its line carries
// it. How much slower a busy machine makes it is no matter here; how much faster
// would be.
func TestPace(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		line  string
		speed uint32
		stop  bool
		n     int
		bits  int // of a character
	}{
		{"8N1", 9600, false, 400, 10},
		{"7E2", 9600, true, 400, 11},
		{"8N1", 300, false, 13, 10},
	} {
		t.Run(fmt.Sprintf("%d-%s", tt.speed, tt.line), func(t *testing.T) {
			t.Parallel()
			device := newRecorder()
			s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Device: device, Unpaced: true}})
			v := start(t, s.addr, "--pace", "--line", tt.line)
			tty := openTTY(t, v.link)
			v.waitEvent("connected")
			tio := getTermios(t, tty)
			if tt.stop {
				tio.Cflag |= unix.CSTOPB
			}
			setTermios(t, tty, tio)
			setSpeed(t, tty, tt.speed)
			s.awaitSpeed(t, tt.speed)
			write(t, tty, pattern(tt.n, 5))
			eventually(t, "all bytes have arrived", func() bool { return len(device.all()) == tt.n })
			times := device.all()
			// What a late timer may make up for (20 ms and a quantum of 2 ms), and
			// the way of the first byte.
			const slack = 60 * time.Millisecond
			for i, at := range times {
				due := time.Duration(i*tt.bits) * time.Second / time.Duration(tt.speed)
				if early := due - at.Sub(times[0]); early > slack {
					t.Fatalf("byte %d of %d came %v after the first, %v before its time", i, tt.n, at.Sub(times[0]), early)
				}
			}
		})
	}
}

// Without --pace nothing holds them.
func TestNoPace(t *testing.T) {
	device := newRecorder()
	s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Device: device, Unpaced: true}})
	v := start(t, s.addr)
	tty := openTTY(t, v.link)
	v.waitEvent("connected")
	setSpeed(t, tty, 300)
	write(t, tty, pattern(600, 5)) // 20 s at 300 bit/s
	eventually(t, "all bytes have arrived", func() bool { return len(device.all()) == 600 })
	times := device.all()
	if took := times[599].Sub(times[0]); took > 10*time.Second {
		t.Errorf("they took %v", took)
	}
}

// What a program wrote just before the end of the port, or of vcomd, arrives.
func TestDrain(t *testing.T) {
	text := pattern(18<<10, 3)
	t.Run("close", func(t *testing.T) {
		s := serve(t, &rfc2217test.Server{})
		v := start(t, s.addr, "--close-delay", "0")
		tty := openTTY(t, v.link)
		write(t, tty, text) // before there is a connection
		closeTTY(t, tty)
		v.waitEvent("stopped")
		eventually(t, "all of it has left the UART", func() bool { return bytes.Equal(s.uart.Sent(), text) })
	})
	t.Run("SIGTERM", func(t *testing.T) {
		s := serve(t, &rfc2217test.Server{})
		v := start(t, s.addr)
		tty := openTTY(t, v.link)
		v.waitEvent("connected")
		write(t, tty, text)
		v.end()
		eventually(t, "all of it has left the UART", func() bool { return bytes.Equal(s.uart.Sent(), text) })
	})
	t.Run("never", func(t *testing.T) {
		addr := deadHost(t)
		v := start(t, addr, "--close-delay", "0", "--drain", "50ms")
		tty := openTTY(t, v.link)
		write(t, tty, []byte("into the void"))
		closeTTY(t, tty)
		v.waitEvent("stopped")
		v.end()
		if got := v.waitEnded(); got.DroppedUnsent != 13 {
			t.Errorf("dropped_unsent is %d, want 13", got.DroppedUnsent)
		}
	})
}

// deadHost is an address that answers nothing: a listener whose backlog is full.
func deadHost(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := unix.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", name.(*unix.SockaddrInet4).Port)
	for range 4 { // until one is not answered any more
		conn, err := net.DialTimeout("tcp", addr, 300*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { _ = conn.Close() })
	}
	t.Fatal("the backlog does not fill")
	return ""
}

// Opening, writing, setting and closing a port whose server does not answer take
// no longer than at any time.
func TestDeadHostBlocksNothing(t *testing.T) {
	v := start(t, deadHost(t))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 20 {
			tty := openTTY(t, v.link)
			write(t, tty, []byte("x"))
			setSpeed(t, tty, 19200)
			closeTTY(t, tty)
		}
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatal("the program is blocked")
	}
	if n := len(v.events("connected")); n > 0 {
		t.Error("the host was not dead")
	}
}

// Bytes written before the connection is up leave after the settings.
func TestBytesBeforeTheConnection(t *testing.T) {
	port := freePort(t)
	v := start(t, "127.0.0.1:"+port, "--retry", "20ms", "--retry-max", "20ms")
	tty := openTTY(t, v.link)
	v.waitEvent("disconnected")
	setSpeed(t, tty, 4800)
	write(t, tty, []byte("early"))
	ln, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	s := serveOn(t, ln, &rfc2217test.Server{})
	s.awaitSent(t, "early")
	for _, e := range s.uart.Journal() {
		if e.Kind == rfc2217test.EntryData && e.State.BaudRate != 4800 {
			t.Errorf("%q left at %d bit/s", e.Data, e.State.BaudRate)
		}
	}
}

// When as many tries have failed as were allowed, vcomd ends and says so.
func TestRetriesUsedUp(t *testing.T) {
	v := startUntraced(t, "127.0.0.1:"+freePort(t), "--retries", "2", "--retry", "10ms", "--connect", "always")
	if code := v.wait(); code != 1 {
		t.Errorf("exit status %d, want 1", code)
	}
	out := v.out.String()
	for _, want := range []string{`"event":"gave-up"`, "(3)", "--retries", "connection refused"} {
		if !strings.Contains(out, want) {
			t.Errorf("nothing of %q in %s", want, out)
		}
	}
	if _, err := os.Lstat(v.link); err == nil {
		t.Error("the link is still there")
	}
}

// A server without RFC 2217 is an error, told once and tried again.
func TestRequireRFC2217(t *testing.T) {
	s := serve(t, &rfc2217test.Server{Faults: rfc2217test.Faults{RefuseComPort: true}})
	v := start(t, s.addr, "--require-rfc2217", "--retry", "10ms", "--retry-max", "10ms")
	tty := openTTY(t, v.link)
	write(t, tty, []byte("not for you"))
	v.waitEvent("disconnected")
	s.SetFaults(rfc2217test.Faults{})
	v.waitEvent("connected")
	s.awaitSent(t, "not for you")
	lines := v.events("disconnected")
	if len(lines) != 1 || !strings.Contains(lines[0].Err, "does not speak RFC 2217") {
		t.Errorf("told %+v", lines)
	}
	if sent := s.uart.Sent(); string(sent) != "not for you" {
		t.Errorf("the UART has sent %q", sent)
	}
}

// ser2net's banner is dropped, and nothing after it.
func TestDropBannerOfSer2net(t *testing.T) {
	need(t, "ser2net")
	for _, drop := range []bool{false, true} {
		d, port := newDevice(t), freePort(t)
		config := filepath.Join(t.TempDir(), "ser2net.yaml")
		if err := os.WriteFile(config, []byte("connection: &vcomd\n"+
			"  accepter: telnet(rfc2217),tcp,127.0.0.1,"+port+"\n"+
			"  connector: serialdev,"+d.path+",9600n81,local\n"+
			"  options:\n    banner: WELCOME\\r\\n\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		spawn(t, "ser2net", "-n", "-u", "-c", config)
		listening(t, port)
		flags := []string{"--retry", "20ms"}
		if drop {
			flags = append(flags, "--drop-banner")
		}
		v := start(t, "127.0.0.1:"+port, flags...)
		tty := openTTY(t, v.link)
		v.waitEvent("connected")
		eventually(t, "the server has answered", func() bool { return v.received("SET-DATASIZE 8") })
		write(t, d.File, []byte("from the line"))
		got := readUntil(t, tty, "from the line")
		if has := strings.Contains(got, "WELCOME"); has == drop {
			t.Errorf("drop %v: the program reads %q", drop, got)
		}
	}
}

// With --lines raise DTR and RTS follow opens and closes, as at a UART, and B0 drops
// them.
func TestLinesRaise(t *testing.T) {
	s := serve(t, &rfc2217test.Server{})
	v := start(t, s.addr, "--lines", "raise", "--connect", "always")
	v.waitEvent("connected")
	lines := func(what string, dtr comport.Control) {
		t.Helper()
		s.awaitState(t, what, func(u comport.State) bool { return u.DTR == dtr })
	}
	lines("DTR down: nobody has the port open", comport.ControlDTROff)
	for range 3 {
		tty := openTTY(t, v.link)
		lines("DTR up at the open", comport.ControlDTROn)
		setSpeed(t, tty, 0)
		lines("DTR down at B0", comport.ControlDTROff)
		setSpeed(t, tty, 9600)
		lines("DTR up again", comport.ControlDTROn)
		closeTTY(t, tty)
		lines("DTR down at the close", comport.ControlDTROff)
	}
	v.waitEvents("closed", 3)
	tty := openTTY(t, v.link)
	v.waitEvents("opened", 4)
	tio := getTermios(t, tty)
	tio.Cflag &^= unix.HUPCL
	setTermios(t, tty, tio)
	setSpeed(t, tty, 4800)
	s.awaitSpeed(t, 4800) // then that has been seen, too
	opened := s.count(comport.SetControl{Control: comport.ControlDTROff})
	closeTTY(t, tty)
	v.waitEvents("closed", 4)
	openTTY(t, v.link)
	v.waitEvents("opened", 5)
	if got := s.count(comport.SetControl{Control: comport.ControlDTROff}); got != opened {
		t.Errorf("without HUPCL DTR was dropped %d times more", got-opened)
	}
}

// What grew stale during an outage is dropped and counted; --while-down discard
// drops at once; --stale-after 0 keeps everything.
func TestWhileDown(t *testing.T) {
	for _, tt := range []struct {
		name    string
		flags   []string
		want    string
		dropped func(logLine) uint64
		n       uint64
	}{
		{"stale", []string{"--stale-after", "300ms"}, "new", func(l logLine) uint64 { return l.DroppedStale }, 3},
		{"discard", []string{"--while-down", "discard"}, "", func(l logLine) uint64 { return l.DroppedDown }, 6},
		{"keep", []string{"--stale-after", "0"}, "oldnew", func(l logLine) uint64 { return l.DroppedStale + l.DroppedDown }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			addr := ln.Addr().String()
			v := start(t, addr, append(tt.flags, "--retry", "20ms", "--retry-max", "20ms")...)
			tty := openTTY(t, v.link)
			conn, err := ln.Accept()
			if err != nil {
				t.Fatal(err)
			}
			_ = ln.Close()
			_ = conn.Close()
			v.waitEvent("disconnected")
			write(t, tty, []byte("old"))
			if tt.name == "stale" {
				time.Sleep(400 * time.Millisecond) // they have to grow old
			}
			write(t, tty, []byte("new"))
			if tt.name == "discard" {
				time.Sleep(100 * time.Millisecond) // nothing tells that they are gone
			}
			again, err := net.Listen("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			s := serveOn(t, again, &rfc2217test.Server{})
			v.waitEvent("connected")
			write(t, tty, []byte("."))
			s.awaitSent(t, tt.want+".")
			if got := string(s.uart.Sent()); got != tt.want+"." {
				t.Errorf("the UART has sent %q, want %q", got, tt.want+".")
			}
			v.stop(syscall.SIGTERM)
			if got := tt.dropped(v.waitEnded()); got != tt.n {
				t.Errorf("%d bytes counted, want %d", got, tt.n)
			}
		})
	}
}

// With --suspend the server is told to wait while the program does not read, and
// to go on when it does.
func TestSuspend(t *testing.T) {
	s := serve(t, &rfc2217test.Server{})
	v := startUntraced(t, s.addr, "--suspend")
	tty := openTTY(t, v.link)
	v.waitEvent("connected")
	data := pattern(256<<10, 9)
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for rest := data; len(rest) > 0; {
			n := s.uart.Receive(rest[:min(len(rest), 4096)])
			rest = rest[n:]
			if n == 0 {
				time.Sleep(time.Millisecond) // the UART's buffer is full: its server holds back
			}
		}
	}()
	s.awaitCount(t, comport.FlowControlSuspend{}, 1)
	if got := readFull(t, tty, len(data)); !bytes.Equal(got, data) {
		t.Errorf("what was read differs at %d", firstDifference(got, data))
	}
	<-sent
	eventually(t, "each SUSPEND has its RESUME", func() bool {
		return s.count(comport.FlowControlResume{}) == s.count(comport.FlowControlSuspend{})
	})
}

// A Telnet server that is spoken to as a raw one is told from the bytes that it
// begins with, once.
func TestTelnetServerTakenForRaw(t *testing.T) {
	s := ser2net(t)
	v := start(t, "tcp://"+s.remote, "--connect", "always")
	line := v.waitEvent("mismatch")
	if !strings.Contains(line.Message, "rfc2217://") {
		t.Errorf("the message does not say what to write: %q", line.Message)
	}
}

// A server that refuses BINARY gets CR NUL, unless it is one that knows nothing of
// that.
func TestCRNUL(t *testing.T) {
	for _, tt := range []struct {
		flags []string
		want  string
	}{
		{nil, "a\r\x00b"},
		{[]string{"--cr-nul", "off"}, "a\rb"},
	} {
		var wire bytes.Buffer
		var mu sync.Mutex
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			// DONT BINARY, WONT BINARY: nothing else is agreed either.
			_, _ = conn.Write([]byte{255, 254, 0, 255, 252, 0})
			buf := make([]byte, 4096)
			for {
				n, err := conn.Read(buf)
				mu.Lock()
				wire.Write(buf[:n])
				mu.Unlock()
				if err != nil {
					return
				}
			}
		}()
		v := start(t, "telnet://"+ln.Addr().String(), tt.flags...)
		tty := openTTY(t, v.link)
		v.waitEvent("connected")
		write(t, tty, []byte("a\rb"))
		eventually(t, "the bytes are on the wire as they should", func() bool {
			mu.Lock()
			defer mu.Unlock()
			return strings.HasSuffix(wire.String(), tt.want)
		})
		v.end()
		_ = ln.Close()
		<-done
	}
}
