package integration

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

const orderRounds = 3000

// A byte written before a tcsetattr leaves at the old speed, and one written in
// the same burst after it at the new speed.
func TestOrderWriteThenSettings(t *testing.T) {
	s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}})
	v := startUntraced(t, s.addr, "--settle", "0")
	tty := openTTY(t, v.link)
	v.waitEvent("connected")
	setSpeed(t, tty, 10_000)
	write(t, tty, []byte("start")) // bytes have been sent since the open
	s.awaitBytes(t, 5)
	for i := range orderRounds {
		// One change at a time: several that vcomd has not looked at make one
		// status, as the kernel has it.
		piece := []byte(fmt.Sprintf("<%d>", i))
		write(t, tty, piece)
		setSpeed(t, tty, uint32(10_001+i))
		s.await(t, "the speed", func(u rfc2217test.Snapshot) bool { return u.State.BaudRate == uint32(10_001+i) })
	}
	checkOrder(t, s, func(i int) uint32 { return uint32(10_000 + i) })
}

// checkOrder looks for every piece "<i>" in the journal and compares the speed
// at which it left with the one expected.
func checkOrder(t *testing.T, s *simulated, want func(i int) uint32) {
	t.Helper()
	speeds := make(map[int]uint32)
	var open []byte
	for _, e := range s.uart.Journal() {
		if e.Kind != rfc2217test.EntryData {
			continue
		}
		for _, c := range e.Data {
			if c == '<' {
				open = open[:0]
			}
			open = append(open, c)
			if c == '>' {
				var n int
				if _, err := fmt.Sscanf(string(open), "<%d>", &n); err == nil {
					speeds[n] = e.State.BaudRate
				}
			}
		}
	}
	wrong := 0
	for i := range orderRounds {
		if speeds[i] != want(i) {
			if wrong++; wrong <= 5 {
				t.Errorf("piece %d left at %d bit/s, want %d", i, speeds[i], want(i))
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d pieces left at the wrong speed", wrong, orderRounds)
	}
}

// What a program does at its start, open, tcsetattr, write, arrives in that
// order.
func TestOrderOpenSettingsWrite(t *testing.T) {
	s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}, KeepSettings: true})
	v := startUntraced(t, s.addr, "--settle", "0", "--connect", "always", "--log-level", "debug")
	v.waitEvent("connected")
	sent := 0
	for i := range orderRounds {
		tty, err := openOnce(v.link)
		if err != nil {
			t.Fatal(err)
		}
		setSpeed(t, tty, uint32(20_000+i))
		piece := []byte(fmt.Sprintf("<%d>", i))
		write(t, tty, piece)
		sent += len(piece)
		s.awaitBytes(t, sent)
		if err := tty.Close(); err != nil {
			t.Fatal(err)
		}
		// The next program comes when this one's visit is over.
		v.waitEvents("closed", i+1)
	}
	checkOrder(t, s, func(i int) uint32 { return uint32(20_000 + i) })
}

func openOnce(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// With settle, a change of speed waits until what was written before has left a
// slow UART: not a byte is spoilt.
func TestSettleSpoilsNothingAt300Baud(t *testing.T) {
	s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{}})
	v := start(t, s.addr)
	tty := openTTY(t, v.link)
	v.waitEvent("connected")
	setSpeed(t, tty, 300)
	s.await(t, "300 bit/s", func(u rfc2217test.Snapshot) bool { return u.State.BaudRate == 300 })
	write(t, tty, []byte("!")) // bytes have been sent since the open: see bridge
	s.awaitBytes(t, 1)
	text := []byte("twenty bytes at 300.")
	begin := time.Now()
	write(t, tty, text)
	setSpeed(t, tty, 9600)
	s.await(t, "9600 bit/s", func(u rfc2217test.Snapshot) bool { return u.State.BaudRate == 9600 })
	if took, least := time.Since(begin), 20*10*time.Second/300; took < least {
		t.Errorf("the speed changed after %v; the bytes need %v", took, least)
	}
	u := s.uart.Snapshot()
	if u.Total.Spoiled != 0 || u.Total.Bytes != uint64(1+len(text)) {
		t.Errorf("%d bytes spoilt, %d sent; want 0, %d", u.Total.Spoiled, u.Total.Bytes, 1+len(text))
	}
}

// Without settle the same bytes are spoilt: the test above can fail.
func TestNoSettleSpoils(t *testing.T) {
	s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{}})
	v := start(t, s.addr, "--settle", "0")
	tty := openTTY(t, v.link)
	v.waitEvent("connected")
	setSpeed(t, tty, 300)
	s.await(t, "300 bit/s", func(u rfc2217test.Snapshot) bool { return u.State.BaudRate == 300 })
	write(t, tty, []byte("!"))
	s.awaitBytes(t, 1)
	write(t, tty, []byte("twenty bytes at 300."))
	setSpeed(t, tty, 9600)
	s.await(t, "spoilt bytes", func(u rfc2217test.Snapshot) bool { return u.Total.Spoiled > 0 })
}

// TIOCEXCL outlives the program that set it; the next one, of a user without
// privileges, must not be locked out.
func TestExclusiveModeEndsWithItsProgram(t *testing.T) {
	if os.Geteuid() != 0 {
		skip(t, "it needs root, to become another user")
	}
	need(t, "setpriv", "/usr/bin/python3")
	s := serve(t, &rfc2217test.Server{})
	v := start(t, s.addr, "--mode", "0666")
	p := spawn(t, "/usr/bin/python3", "-c", `
import fcntl, os, sys, termios, time
fd = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)
fcntl.ioctl(fd, termios.TIOCEXCL)
print("held", flush=True)
time.sleep(1000)
`, v.link)
	eventually(t, "the program holds the port", func() bool { return p.out.String() == "held\n" })
	target, err := os.Readlink(v.link)
	if err != nil {
		t.Fatal(err)
	}
	asNobody := func() int {
		_, code := run(t, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all",
			"/usr/bin/python3", "-c", "import os,sys; os.close(os.open(sys.argv[1], os.O_RDWR|os.O_NOCTTY))", target)
		return code
	}
	if asNobody() == 0 {
		t.Error("the port could be opened while another program held it exclusively")
	}
	p.stop(9)
	v.waitEvent("closed")
	eventually(t, "another user can open the port", func() bool { return asNobody() == 0 })
}

// Programs that want a terminal get one: lines, and signals.
func TestCanonicalProgram(t *testing.T) {
	s := serve(t, &rfc2217test.Server{})
	v := start(t, s.addr)
	tty := openTTY(t, v.link)
	v.waitEvent("connected")
	raw := getTermios(t, tty)
	lines := *raw
	lines.Lflag |= unix.ICANON | unix.ISIG
	lines.Iflag |= unix.ICRNL
	setTermios(t, tty, &lines)
	// The server must find the line discipline as the program wants it.
	eventually(t, "lines are assembled", func() bool { return getTermios(t, tty).Lflag&unix.EXTPROC == 0 })
	s.uart.Receive([]byte("half "))
	s.uart.Receive([]byte("a line\rrest"))
	if got := string(readFull(t, tty, len("half a line\n"))); got != "half a line\n" {
		t.Errorf("read %q, want the line", got)
	}
	if n, err := unixRead(t, tty); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("after the line, %d bytes and %v; want nothing until the next one ends", n, err)
	}
	// ^C reaches the foreground process group of a program whose terminal it is.
	need(t, "setsid", "/usr/bin/python3")
	p := spawn(t, "setsid", "/usr/bin/python3", "-c", `
import fcntl, os, signal, sys, termios
signal.signal(signal.SIGINT, lambda *a: (print("interrupted", flush=True), os._exit(0)))
fd = os.open(sys.argv[1], os.O_RDWR)
fcntl.ioctl(fd, termios.TIOCSCTTY, 0)
print("ready", flush=True)
while True: signal.pause()
`, v.link)
	eventually(t, "the program has its terminal", func() bool { return p.out.String() == "ready\n" })
	s.uart.Receive([]byte{3})
	eventually(t, "^C interrupts it", func() bool { return p.out.String() == "ready\ninterrupted\n" })

	setTermios(t, tty, raw)
	eventually(t, "the port is raw again", func() bool { return getTermios(t, tty).Lflag&unix.EXTPROC != 0 })
	s.uart.Receive([]byte("\r\x03!"))
	if got := readUntil(t, tty, "!"); got[max(0, len(got)-3):] != "\r\x03!" {
		t.Errorf("raw again, %q was read", got)
	}
	// And changes are seen again.
	setSpeed(t, tty, 57600)
	s.await(t, "57600 bit/s", func(u rfc2217test.Snapshot) bool { return u.State.BaudRate == 57600 })
}

func unixRead(t *testing.T, f *os.File) (n int, err error) {
	t.Helper()
	raw, cerr := f.SyscallConn()
	if cerr != nil {
		t.Fatal(cerr)
	}
	buf := make([]byte, 64)
	if cerr := raw.Control(func(fd uintptr) { n, err = unix.Read(int(fd), buf) }); cerr != nil {
		t.Fatal(cerr)
	}
	return n, err
}

// Reading a port configures nothing.
func TestNothingIsSentThatNobodyAskedFor(t *testing.T) {
	s := serve(t, &rfc2217test.Server{})
	v := start(t, s.addr)
	cat := spawn(t, "cat", v.link)
	v.waitEvent("connected")
	s.uart.Receive([]byte("text\n"))
	eventually(t, "cat prints", func() bool { return cat.out.String() == "text\n" })
	for _, m := range s.Messages() {
		state := s.uart.State()
		if state.Set(m) {
			t.Errorf("%v was sent, and nobody had asked for it", m)
		}
	}
	if len(s.Messages()) == 0 {
		t.Error("the server was not even asked for its settings")
	}
}
