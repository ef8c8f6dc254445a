package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// hangupServer is a simulated server and a vcomd that hangs up when it is lost.
func hangupServer(t *testing.T, flags ...string) (*simulated, *vcomd) {
	t.Helper()
	s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}})
	return s, start(t, s.addr, append([]string{"--on-loss", "hangup", "--retry", "50ms"}, flags...)...)
}

// isHungUp reports whether a tty was hung up under its program.
func isHungUp(t *testing.T, f *os.File) bool {
	t.Helper()
	hup := false
	control(t, f, func(fd int) error {
		p := []unix.PollFd{{Fd: int32(fd)}}
		_, err := unix.Poll(p, 0)
		hup = p[0].Revents&unix.POLLHUP != 0
		return err
	})
	return hup
}

// A program on a port that is hung up sees what it would of an adapter that is
// unplugged, and finds the port again under its name.
func TestHangupOnLoss(t *testing.T) {
	s, v := hangupServer(t)
	tty := openTTY(t, v.link)
	v.waitEvent("connected")
	before, err := os.Readlink(v.link)
	if err != nil {
		t.Fatal(err)
	}
	s.Disconnect()
	eventually(t, "the program's tty is hung up", func() bool { return isHungUp(t, tty) })
	if n, err := tty.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) && !errors.Is(err, syscall.EIO) {
		t.Errorf("a read gives %d bytes, %v; want the end of the file or EIO", n, err)
	}
	if _, err := tty.WriteString("x"); !errors.Is(err, syscall.EIO) {
		t.Errorf("a write gives %v, want EIO", err)
	}
	if after, err := os.Readlink(v.link); err != nil || after == before {
		t.Errorf("the link leads to %q, %v; it led to %q before", after, err, before)
	}
	again := openTTY(t, v.link)
	setSpeed(t, again, 19200)
	write(t, again, []byte("here again"))
	s.awaitSent(t, "here again")
	s.awaitSpeed(t, 19200)
	closeTTY(t, again)
	v.waitEvents("closed", 2)
}

// Without a program on the port nothing is hung up, and its link stays.
func TestHangupOfAClosedPort(t *testing.T) {
	s, v := hangupServer(t, "--connect", "always")
	v.waitEvent("connected")
	before, _ := os.Readlink(v.link)
	s.Disconnect()
	v.waitEvents("connected", 2)
	if after, _ := os.Readlink(v.link); after != before || len(v.events("hung-up")) > 0 {
		t.Errorf("the link leads to %q, before to %q", after, before)
	}
}

// Whoever opens the port while it is hung up again and again always can.
func TestHangupWhileReopening(t *testing.T) {
	const rounds = 200
	s, v := hangupServer(t, "--retry", "10ms")
	stop := make(chan struct{})
	failed := make(chan error, 1)
	go func() {
		defer close(failed)
		for opens := 0; ; opens++ {
			select {
			case <-stop:
				return
			default:
			}
			fd, err := unix.Open(v.link, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
			if err != nil {
				failed <- fmt.Errorf("open %d: %w", opens, err)
				return
			}
			// It stays until it is hung up, as a program does, or a little while.
			p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			_, _ = unix.Poll(p, 2+opens%20)
			_ = unix.Close(fd)
		}
	}()
	for round := 1; len(v.events("hung-up")) < rounds; round++ {
		v.waitEvents("connected", round)
		s.Disconnect()
		v.waitEvents("disconnected", len(v.events("disconnected")))
		select {
		case err := <-failed:
			t.Fatal(err)
		default:
		}
	}
	close(stop)
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
}

// minicom notices that its port is gone, and is back by itself.
func TestHangupMinicom(t *testing.T) {
	need(t, "tmux", "minicom")
	s, v := hangupServer(t)
	home := t.TempDir()
	config := "pu baudrate 57600\npu minit \npu mreset \npu rtscts No\npu lock " + home + "\n"
	if err := os.WriteFile(filepath.Join(home, ".minirc.dfl"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	tty := newScreen(t, []string{"HOME=" + home, "MINICOM="}, "minicom", "-D", v.link)
	tty.await("57600 8N1")
	tty.typeText("before")
	s.awaitSent(t, "before")
	for round := 1; round <= 2; round++ {
		s.Disconnect()
		v.waitEvents("hung-up", round)
		v.waitEvents("opened", round+1)
		v.waitEvents("connected", round+1)
		text := fmt.Sprintf("after %d", round)
		eventually(t, "minicom takes what is typed", func() bool {
			tty.typeText(text)
			return strings.Contains(string(s.uart.Sent()), text)
		})
		s.awaitSpeed(t, 57600)
	}
}

// gpsd does not notice that an adapter was unplugged: udev tells it so, with
// gpsdctl, and of the next one. Told the same of a port that was hung up it has
// fixes again. (With hold it needs nothing: see TestGPSDOutlivesTheServer.)
func TestHangupGPSD(t *testing.T) {
	t.Parallel()
	need(t, "gpsd", "gpspipe", "gpsdctl")
	gps := rfc2217test.NewGPS(nil)
	t.Cleanup(func() { _ = gps.Close() })
	s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Device: gps}})
	traversable(t)
	v := start(t, s.addr, "--on-loss", "hangup", "--retry", "50ms", "--mode", "0666")
	port, socket := freePort(t), filepath.Join(t.TempDir(), "control")
	spawn(t, "gpsd", "-N", "-n", "-S", port, "-F", socket, v.link)
	listening(t, port)
	pipe := spawn(t, "gpspipe", "-w", "127.0.0.1:"+port)
	fixes := func() (n int) {
		for line := range strings.Lines(pipe.out.String()) {
			var r gpsReport
			if json.Unmarshal([]byte(line), &r) == nil && r.Class == "TPV" && r.Mode >= 2 {
				n++
			}
		}
		return n
	}
	eventually(t, "gpsd has a fix", func() bool { return fixes() > 0 })
	s.Disconnect()
	v.waitEvent("hung-up")
	before := fixes()
	for _, what := range []string{"remove", "add"} {
		cmd := exec.Command("gpsdctl", what, v.link)
		cmd.Env = append(os.Environ(), "GPSD_SOCKET="+socket)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("gpsdctl %s: %v: %s", what, err, out)
		}
	}
	eventually(t, "gpsd has fixes again", func() bool { return fixes() > before })
}

// A pyserial program that opens its port again when it fails never stops working.
func TestHangupPyserial(t *testing.T) {
	s, v := hangupServer(t)
	p := startPython(t, "serial", "threading", "time")
	p.do("port, rounds, stop = None, [], False")
	for _, line := range []string{
		"def loop():",
		"    global port",
		"    while not stop:",
		"        try:",
		"            with serial.Serial(" + fmt.Sprintf("%q", v.link) + ", 38400, timeout=0.05) as port:",
		"                rounds.append('opened')",
		"                while not stop: port.read(100) and port.write(b'pong')",
		"        except (serial.SerialException, OSError) as e: rounds.append(repr(e))",
	} {
		p.do("source = globals().get('source', '') + %q", line+"\n")
	}
	p.do("exec(source, globals()); thread = threading.Thread(target=loop); thread.start()")
	for round := 1; round <= 5; round++ {
		v.waitEvents("connected", round)
		want := strings.Repeat("pong", round)
		eventually(t, "the program answers", func() bool {
			s.uart.Receive([]byte("ping"))
			return strings.Contains(string(s.uart.Sent()), want)
		})
		s.awaitSpeed(t, 38400)
		s.Disconnect()
		v.waitEvents("hung-up", round)
	}
	p.do("stop = True; thread.join()")
}

// With DCD a terminal on a modem line is hung up: a session leader is sent SIGHUP,
// others find their tty ended. A port that is local (CLOCAL) does not mind.
func TestHangupOnDCD(t *testing.T) {
	need(t, "setsid", "sh")
	for _, local := range []bool{false, true} {
		t.Run(fmt.Sprintf("clocal=%v", local), func(t *testing.T) {
			s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Device: rfc2217test.NewModem(nil)}})
			v := start(t, s.addr, "--dcd", "hangup")
			tty := openTTY(t, v.link)
			tio := getTermios(t, tty)
			tio.Cflag &^= unix.CLOCAL
			if local {
				tio.Cflag |= unix.CLOCAL
			}
			setTermios(t, tty, tio)
			// A session whose terminal this is, as getty would make one: the leader
			// opens it without O_NOCTTY.
			said := filepath.Join(t.TempDir(), "said")
			leader := exec.Command("setsid", "--wait", "sh", "-c",
				`trap 'echo SIGHUP >>"$1"; exit 0' HUP; exec 3<>"$2"; echo ready >>"$1"; while :; do sleep 0.1; done`, "sh", said, v.link)
			session := spawnCmd(t, leader)
			has := func(what string) bool {
				b, _ := os.ReadFile(said)
				return strings.Contains(string(b), what)
			}
			eventually(t, "the session is there", func() bool { return has("ready") })
			v.waitEvent("connected")
			write(t, tty, []byte("ATS12=0D1\r")) // no silence around the escape
			readUntil(t, tty, "CONNECT")
			eventually(t, "there is a carrier", func() bool { return s.uart.Snapshot().Modem&comport.ModemDCD != 0 })
			write(t, tty, []byte("+++"))
			readUntil(t, tty, "OK")
			write(t, tty, []byte("ATH\r"))
			eventually(t, "the carrier has dropped", func() bool { return s.uart.Snapshot().Modem&comport.ModemDCD == 0 })
			if local {
				readUntil(t, tty, "OK")
				if isHungUp(t, tty) || has("SIGHUP") {
					t.Error("a local line was hung up")
				}
				session.stop(syscall.SIGKILL)
				return
			}
			v.waitEvent("hung-up")
			eventually(t, "the session leader is sent SIGHUP", func() bool { return has("SIGHUP") })
			eventually(t, "the other program's tty is ended", func() bool { return isHungUp(t, tty) })
			again := openTTY(t, v.link)
			write(t, again, []byte("AT\r"))
			readUntil(t, again, "OK")
		})
	}
}
