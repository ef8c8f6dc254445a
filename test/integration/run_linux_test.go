package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// runOn is the command in front of a program that uses a port of vcomd's.
func (v *vcomd) runOn() []string {
	return []string{binary, "run", "--link", v.link, "--run-dir", filepath.Join(filepath.Dir(v.link), "run"), "--"}
}

// startRun is a served port and a Python interpreter to which it is a UART.
func startRun(t *testing.T, server *rfc2217test.Server, modules ...string) (*simulated, *vcomd, *pythonProcess) {
	t.Helper()
	s := serve(t, server)
	v := start(t, s.addr)
	return s, v, startPythonBy(t, v.runOn(), modules...)
}

// standardSpeeds are those from 300 bit/s that termios has a constant for.
var standardSpeeds = []uint32{
	300, 600, 1200, 1800, 2400, 4800, 9600, 19_200, 38_400, 57_600, 115_200, 230_400, 460_800, 500_000, 576_000, 921_600,
	1_000_000, 1_152_000, 1_500_000, 2_000_000, 2_500_000, 3_000_000, 3_500_000, 4_000_000,
}

// Every frame and speed that pyserial can ask for arrives, and is what it reads
// back.
func TestRunPyserialSettings(t *testing.T) {
	s, v, p := startRun(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}}, "serial", "fcntl", "struct")
	p.do("s = serial.Serial(%q, 9600)", v.link)
	v.waitEvent("connected")
	// TCGETS2: c_cflag is the third member of struct termios2, c_ospeed the last.
	p.do("back = lambda: [struct.unpack_from('I', fcntl.ioctl(s.fd, 0x802c542a, bytes(44)), at)[0] for at in (8, 40)]")
	parities := []struct {
		letter string
		parity comport.Parity
		flags  uint32
	}{
		{"N", comport.ParityNone, 0},
		{"E", comport.ParityEven, unix.PARENB},
		{"O", comport.ParityOdd, unix.PARENB | unix.PARODD},
		{"M", comport.ParityMark, unix.PARENB | unix.PARODD | unix.CMSPAR},
		{"S", comport.ParitySpace, unix.PARENB | unix.CMSPAR},
	}
	sizes := map[int]uint32{5: unix.CS5, 6: unix.CS6, 7: unix.CS7, 8: unix.CS8}
	const frame = unix.CSIZE | unix.CSTOPB | unix.PARENB | unix.PARODD | unix.CMSPAR
	for _, speed := range append([]uint32{250_000}, standardSpeeds...) { // that one needs BOTHER
		p.do("s.baudrate = %d", speed)
		for _, parity := range parities {
			for size := 5; size <= 8; size++ {
				for stop := 1; stop <= 2; stop++ {
					p.do("s.parity, s.bytesize, s.stopbits = %q, %d, %d; got = back()", parity.letter, size, stop)
					stopSize, flags := comport.StopSize1, parity.flags|sizes[size]
					if stop == 2 {
						stopSize, flags = comport.StopSize2, flags|unix.CSTOPB
						if size == 5 {
							stopSize = comport.StopSize15 // so does a UART
						}
					}
					what := fmt.Sprintf("%d-%d%s%d", speed, size, parity.letter, stop)
					s.awaitState(t, what, func(u comport.State) bool {
						return u.BaudRate == speed && u.DataSize == comport.DataSize(size) && u.Parity == parity.parity && u.StopSize == stopSize
					})
					if got, want := p.value(fmt.Sprintf("(got[0] & %d, got[1])", frame)), fmt.Sprintf("(%d, %d)", flags, speed); got != want {
						t.Errorf("%s is read back as %s, want %s", what, got, want)
					}
				}
			}
		}
	}
}

// The lines, breaks and queues are as on real hardware.
func TestRunPyserialLines(t *testing.T) {
	s, v, p := startRun(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}}, "serial", "time")
	p.do("s = serial.Serial(%q, 9600, timeout=5)", v.link)
	v.waitEvent("connected")
	line := func(what string, holds func(comport.State) bool) { t.Helper(); s.awaitState(t, what, holds) }
	line("both up after the open", func(u comport.State) bool { return u.DTR == comport.ControlDTROn && u.RTS == comport.ControlRTSOn })
	p.do("s.dtr = False")
	line("DTR down", func(u comport.State) bool { return u.DTR == comport.ControlDTROff })
	p.do("s.rts = False")
	line("RTS down", func(u comport.State) bool { return u.RTS == comport.ControlRTSOff })
	p.do("s.dtr = s.rts = True")
	line("both up", func(u comport.State) bool { return u.DTR == comport.ControlDTROn && u.RTS == comport.ControlRTSOn })
	for mask, want := range map[comport.ModemState]string{
		0:                                      "(False, False, False, False)",
		comport.ModemCTS:                       "(True, False, False, False)",
		comport.ModemDSR:                       "(False, True, False, False)",
		comport.ModemDCD | comport.ModemRI:     "(False, False, True, True)",
		comport.ModemCTS | comport.ModemLevels: "(True, True, True, True)",
	} {
		s.uart.SetModem(mask)
		eventually(t, fmt.Sprintf("%v reads as %s", mask, want), func() bool { return p.value("(s.cts, s.dsr, s.cd, s.ri)") == want })
	}
	p.do("s.break_condition = True")
	line("break", func(u comport.State) bool { return u.Break == comport.ControlBreakOn })
	p.do("s.break_condition = False")
	line("no break", func(u comport.State) bool { return u.Break == comport.ControlBreakOff })

	p.do("s.write(b'0123456789'); s.flush()")
	if got := p.value("s.out_waiting"); got != "0" {
		t.Errorf("after a flush %s bytes wait", got)
	}
	s.awaitSent(t, "0123456789")
	s.uart.Receive([]byte("abcdef"))
	eventually(t, "in_waiting is 6", func() bool { return p.value("s.in_waiting") == "6" })
	p.do("s.reset_input_buffer(); s.reset_output_buffer()")
	if got := p.value("s.in_waiting"); got != "0" {
		t.Errorf("after reset_input_buffer %s bytes wait", got)
	}
	s.awaitCount(t, comport.PurgeData{What: comport.PurgeTransmit}, 1)
	p.do("s.close()")
	line("down at the close", func(u comport.State) bool { return u.DTR == comport.ControlDTROff && u.RTS == comport.ControlRTSOff })
}

// stty sets parity and size, exits 0 and reads the same back; without vcomd run it
// cannot.
func TestRunStty(t *testing.T) {
	need(t, "stty")
	s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}})
	v := start(t, s.addr, "--connect", "always")
	v.waitEvent("connected")
	on := v.runOn()
	stty := func(args ...string) (string, int) {
		return run(t, on[0], append(on[1:], append([]string{"stty", "-F", v.link}, args...)...)...)
	}
	if out, code := stty("9600", "cs7", "parenb", "-parodd"); code != 0 {
		t.Fatalf("exit status %d: %s", code, out)
	}
	s.awaitState(t, "9600-7E1", func(u comport.State) bool {
		return u.BaudRate == 9600 && u.DataSize == 7 && u.Parity == comport.ParityEven
	})
	out, _ := stty("-a")
	words := strings.Fields(strings.ReplaceAll(out, ";", " "))
	for _, want := range []string{"9600", "parenb", "-parodd", "cs7"} {
		if !slices.Contains(words, want) {
			t.Errorf("nothing of %q in %s", want, out)
		}
	}
}

// The program's status is vcomd run's, and so is the signal that ended it.
func TestRunExitStatus(t *testing.T) {
	for _, tt := range []struct {
		program []string
		want    int
	}{
		{[]string{"true"}, 0},
		{[]string{"sh", "-c", "exit 7"}, 7},
		{[]string{"sh", "-c", "kill -TERM $$"}, 128 + int(syscall.SIGTERM)},
		{[]string{"/nonexistent/program"}, 127},
		{[]string{"/etc/passwd"}, 126},
	} {
		args := append([]string{"run", "--run-dir", filepath.Join(t.TempDir(), "run"), "sim:echo", "--"}, tt.program...)
		if out, code := run(t, binary, args...); code != tt.want {
			t.Errorf("%q: exit status %d, want %d: %s", tt.program, code, tt.want, out)
		}
	}
}

// {} is the port's path, and the port is there only while the program runs.
func TestRunOwnPort(t *testing.T) {
	need(t, "sh", "stty")
	dir := t.TempDir()
	link := filepath.Join(dir, "tty")
	s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}})
	out, code := run(t, binary, "run", "--link", link, "--run-dir", filepath.Join(dir, "run"), s.addr, "--",
		"sh", "-c", `test -c "$0" && stty -F "$0" 19200 cs7 parenb && printf words >"$0" && echo "$0"`, "{}")
	if code != 0 || strings.TrimSpace(out) != link {
		t.Errorf("exit status %d, printed %q, want %s", code, out, link)
	}
	s.awaitSent(t, "words")
	for _, e := range s.uart.Journal() {
		if e.Kind == rfc2217test.EntryData && e.State.DataSize != 7 {
			t.Errorf("%q left as %v", e.Data, e.State)
		}
	}
	if _, err := os.Lstat(link); err == nil {
		t.Error("the link is still there")
	}
}

// Each byte leaves with the settings that were in force when it was written,
// however fast they change: three programs, 3,000 pairs each. The connection is
// there before them: what is written earlier goes with the newest settings.
func TestRunOrder(t *testing.T) {
	const rounds = 3000
	for i := range 3 {
		s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}})
		v := startUntraced(t, s.addr, "--settle", "0", "--connect", "always")
		v.waitEvent("connected")
		on := v.runOn()
		script := fmt.Sprintf(`
import os, termios
fd = os.open(%q, os.O_RDWR | os.O_NOCTTY)
a = termios.tcgetattr(fd)
speeds = [termios.B1200, termios.B2400]
for i in range(%d):
    a[4] = a[5] = speeds[i %% 2]
    termios.tcsetattr(fd, termios.TCSANOW, a)
    os.write(fd, b'ab'[i %% 2 : i %% 2 + 1])
termios.tcdrain(fd)
`, v.link, rounds)
		if out, code := run(t, on[0], append(on[1:], python, "-c", script)...); code != 0 {
			t.Fatalf("run %d: exit status %d: %s", i, code, out)
		}
		s.awaitBytes(t, rounds)
		for _, e := range s.uart.Journal() {
			if e.Kind != rfc2217test.EntryData {
				continue
			}
			for _, b := range e.Data {
				if want := map[byte]uint32{'a': 1200, 'b': 2400}[b]; e.State.BaudRate != want {
					t.Fatalf("run %d: %q left at %d bit/s, want %d", i, b, e.State.BaudRate, want)
				}
			}
		}
	}
}

// Who is no port's is told so, and that no vcomd serves one is as well.
func TestRunErrors(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"run", "host"}, 2, "no program given"},
		{[]string{"run", "host", "--"}, 2, "no program after --"},
		{[]string{"run", "host", "other", "--", "true"}, 2, `unexpected argument "other"`},
		{[]string{"run", "--", "true"}, 2, "which port?"},
		{[]string{"run", "--run-dir", dir, "--link", filepath.Join(dir, "tty"), "--", "true"}, 125, "no vcomd serves"},
	} {
		out, code := run(t, binary, tt.args...)
		if code != tt.code || !strings.Contains(out, tt.want) {
			t.Errorf("%q: exit status %d, %s; want %d and %q", tt.args, code, out, tt.code, tt.want)
		}
	}
	// One in another.
	out, code := run(t, binary, "run", "--run-dir", filepath.Join(dir, "a"), "sim:echo", "--",
		binary, "run", "--run-dir", filepath.Join(dir, "b"), "sim:echo", "--", "true")
	if code != 125 || !strings.Contains(out, "cannot run in another") {
		t.Errorf("nested: exit status %d: %s", code, out)
	}
}
