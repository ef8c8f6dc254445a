package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// gpsd, which gives up root and forks, has a fix; its settings reach the UART, the
// lines are up while it has the port open.
func TestRunGPSD(t *testing.T) {
	need(t, "gpsd", "gpspipe")
	s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Device: rfc2217test.NewGPS(nil)}})
	traversable(t)
	// Its user must be able to open the port again.
	v := start(t, s.addr, "--mode", "0666")
	port := freePort(t)
	on := v.runOn()
	gpsd := spawn(t, on[0], append(on[1:], "gpsd", "-N", "-n", "-S", port, "-F", filepath.Join(t.TempDir(), "control"), v.link)...)
	listening(t, port)
	pipe := spawn(t, "gpspipe", "-w", "127.0.0.1:"+port)
	eventually(t, "gpsd reports a position with height", func() bool { return gpsFixes(pipe.out.String(), v.link) > 0 })
	s.awaitState(t, "both lines up", func(u comport.State) bool {
		return u.DTR == comport.ControlDTROn && u.RTS == comport.ControlRTSOn
	})
	// What ends vcomd run by a signal ends gpsd.
	stopRun(t, gpsd)
	v.waitEvent("closed")
}

// gpsFixes counts the reports of a position with height from a device.
func gpsFixes(reports, device string) (n int) {
	for line := range strings.Lines(reports) {
		var r gpsReport
		if json.Unmarshal([]byte(line), &r) == nil && r.Class == "TPV" && r.Mode == 3 && r.Device == device {
			n++
		}
	}
	return n
}

// stopRun sends the signal that a service manager does, and waits for the end.
func stopRun(t *testing.T, p *process) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	p.wait()
}

// Two programs at once on one port, each under a vcomd run of its own, see what the
// other sets.
func TestRunTwoPrograms(t *testing.T) {
	s, v, a := startRun(t, &rfc2217test.Server{}, "serial")
	b := startPythonBy(t, v.runOn(), "serial", "termios")
	a.do("s = serial.Serial(%q, 9600)", v.link)
	b.do("s = serial.Serial(%q, 9600)", v.link)
	a.do("s.bytesize, s.parity, s.baudrate = 7, 'E', 19200")
	const frame = "termios.tcgetattr(s.fd)[2] & (termios.CSIZE | termios.PARENB) == termios.CS7 | termios.PARENB"
	eventually(t, "the other reads 7E", func() bool { return b.value(frame) == "True" })
	eventually(t, "and the speed", func() bool { return b.value("termios.tcgetattr(s.fd)[5] == termios.B19200") == "True" })
	a.do("s.dtr = False")
	eventually(t, "the other reads DTR down", func() bool {
		return b.value("__import__('fcntl').ioctl(s.fd, 0x5415, bytes(4))[0] & 6") == "4"
	})
	b.do("s.write(b'seven bits')")
	s.awaitSent(t, "seven bits")
	s.awaitState(t, "19200-7E1, DTR down", func(u comport.State) bool {
		return u.BaudRate == 19200 && u.DataSize == 7 && u.Parity == comport.ParityEven && u.DTR == comport.ControlDTROff
	})
	a.do("s.close()")
	if got := b.value(frame); got != "True" {
		t.Error("after one program's close the other's settings are gone")
	}
}

// A static Go program has its ioctls answered as any other.
func TestRunStaticGo(t *testing.T) {
	program := filepath.Join(t.TempDir(), "lines")
	build := exec.Command("go", "build", "-o", program, "testdata/lines.go")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	s := serve(t, &rfc2217test.Server{})
	v := start(t, s.addr, "--connect", "always")
	v.waitEvent("connected")
	on := v.runOn()
	if out, code := run(t, on[0], append(on[1:], program, v.link)...); code != 0 || out != "ok\n" {
		t.Errorf("exit status %d: %s", code, out)
	}
	s.awaitState(t, "7E1", func(u comport.State) bool { return u.DataSize == 7 && u.Parity == comport.ParityEven })
}

// A program in a session of its own, and one that is left behind by its parent, are
// served to their end; the status is that of the program that was started.
func TestRunDaemon(t *testing.T) {
	need(t, "setsid", "sh", "stty")
	for _, tt := range []struct {
		name, script string
		code         int
	}{
		{"own session", `exec setsid --wait stty -F "$0" 19200 cs7 parenb`, 0},
		{"left behind", `(while kill -0 $$ 2>&-; do :; done; stty -F "$0" 19200 cs7 parenb) & exit 3`, 3},
		{"left behind in its own session", `setsid -f sh -c 'sleep 0.1; stty -F "$0" 19200 cs7 parenb' "$0"; exit 4`, 4},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, &rfc2217test.Server{})
			v := start(t, s.addr, "--connect", "always")
			v.waitEvent("connected")
			on := v.runOn()
			if out, code := run(t, on[0], append(on[1:], "sh", "-c", tt.script, v.link)...); code != tt.code || out != "" {
				t.Errorf("exit status %d, want %d: %s", code, tt.code, out)
			}
			s.awaitState(t, "19200-7E1", func(u comport.State) bool {
				return u.BaudRate == 19200 && u.DataSize == 7 && u.Parity == comport.ParityEven
			})
		})
	}
}

// By default what a program executes cannot gain privileges; root may leave that
// open, and others are told that they may not.
func TestRunKeepPrivileges(t *testing.T) {
	if os.Geteuid() != 0 {
		skip(t, "not root")
	}
	need(t, "grep", "setpriv")
	traversable(t)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	// The binary's own directory is closed to others.
	program := filepath.Join(dir, "vcomd")
	b, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(program, b, 0o755); err != nil {
		t.Fatal(err)
	}
	other := []string{"setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"}
	for i, tt := range []struct {
		by    []string
		flags []string
		code  int
		want  string
	}{
		{nil, nil, 0, "NoNewPrivs:\t1"},
		{nil, []string{"--no-new-privs=false"}, 0, "NoNewPrivs:\t0"},
		{other, nil, 0, "NoNewPrivs:\t1"},
		{other, []string{"--no-new-privs=false"}, 125, "leave --no-new-privs=false out"},
	} {
		argv := slices.Concat(tt.by, []string{program, "run", "--run-dir", filepath.Join(dir, strconv.Itoa(i))}, tt.flags,
			[]string{"sim:echo", "--", "grep", "NoNewPrivs", "/proc/self/status"})
		out, code := run(t, argv[0], argv[1:]...)
		if code != tt.code || !strings.Contains(out, tt.want) {
			t.Errorf("%q: exit status %d: %s; want %d and %q", argv, code, out, tt.code, tt.want)
		}
	}
}
