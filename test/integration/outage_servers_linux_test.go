package integration

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// restartable is a real access server that a test kills and starts again.
type restartable struct {
	t       *testing.T
	port    string
	device  *device // nil: a loop
	command func() *exec.Cmd
	process *process
}

func (s *restartable) start() {
	s.t.Helper()
	s.process = spawnGroup(s.t, s.command())
	listening(s.t, s.port)
}

// kill ends the server as the kernel does when it needs memory.
func (s *restartable) kill() {
	s.t.Helper()
	if err := syscall.Kill(-s.process.cmd.Process.Pid, syscall.SIGKILL); err != nil {
		s.t.Fatal(err)
	}
	<-s.process.exited
}

func restartableSer2net(t *testing.T) *restartable {
	t.Helper()
	need(t, "ser2net")
	s := &restartable{t: t, port: freePort(t), device: newDevice(t)}
	config := filepath.Join(t.TempDir(), "ser2net.yaml")
	text := "connection: &vcomd\n" +
		"  accepter: telnet(rfc2217),tcp,127.0.0.1," + s.port + "\n" +
		"  connector: serialdev," + s.device.path + ",9600n81,local\n"
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s.command = func() *exec.Cmd { return exec.Command("ser2net", "-n", "-u", "-c", config) }
	s.start()
	return s
}

func restartableSredird(t *testing.T) *restartable {
	t.Helper()
	need(t, "sredird", "socat")
	s := &restartable{t: t, port: freePort(t), device: newDevice(t)}
	lock := filepath.Join(t.TempDir(), "lock")
	s.command = func() *exec.Cmd {
		_ = os.Remove(lock) // of one that was killed
		return exec.Command("socat", "TCP-LISTEN:"+s.port+",bind=127.0.0.1,reuseaddr,fork",
			"EXEC:sredird 5 "+s.device.path+" "+lock)
	}
	s.start()
	return s
}

func restartablePyserial(t *testing.T) *restartable {
	t.Helper()
	const script = "/usr/share/doc/python3-serial/examples/rfc2217_server.py"
	if _, err := os.Stat(script); err != nil {
		skip(t, script+" is not installed: scripts/deps.sh installs it")
	}
	s := &restartable{t: t, port: freePort(t)}
	s.command = func() *exec.Cmd { return exec.Command(python, script, "-p", s.port, "loop://") }
	s.start()
	return s
}

// A real server that is killed and comes back has the program's settings, those
// of the meantime too, before the first byte.
func TestServerRestart(t *testing.T) {
	t.Parallel()
	for name, run := range map[string]func(*testing.T) *restartable{
		"ser2net": restartableSer2net, "sredird": restartableSredird, "pyserial": restartablePyserial,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := run(t)
			proxy := newFaultProxy(t, "127.0.0.1:"+s.port)
			v := start(t, proxy.addr, "--retry", "50ms", "--retry-max", "200ms")
			tty := openTTY(t, v.link)
			v.waitEvent("connected")
			passes := func(text string) {
				t.Helper()
				write(t, tty, []byte(text))
				if s.device == nil {
					readUntil(t, tty, text)
					return
				}
				readUntil(t, s.device.File, text)
				write(t, s.device.File, []byte(text))
				readUntil(t, tty, text)
			}
			speeds := []uint32{57_600, 115_200, 19_200, 38_400}
			setSpeed(t, tty, speeds[0])
			passes("before")
			for i, speed := range speeds[1:] {
				known, lost := len(v.events("connected")), len(v.events("disconnected"))
				if i == 0 {
					// Only the connection: pyserial's server is then mute for a while.
					proxy.refuse()
				} else {
					s.kill()
				}
				v.waitEvents("disconnected", lost+1)
				setSpeed(t, tty, speed)
				if i == 0 {
					proxy.admit()
				} else {
					s.start()
				}
				passes("again")
				if got := firstSpeed(t, proxy); got != speed {
					t.Errorf("the first byte of connection %d went with %d bit/s, want %d", proxy.connections(), got, speed)
				}
				if s.device != nil && s.device.speed(t) != speed {
					t.Errorf("the server's device is at %d bit/s, want %d", s.device.speed(t), speed)
				}
				if now := len(v.waitEvents("connected", known+1)); now != known+1 {
					t.Errorf("%d connections for one restart", now-known)
				}
			}
		})
	}
}

// firstSpeed is the speed that the last connection asked for ahead of its first
// byte, in bit/s; 0: for none.
func firstSpeed(t *testing.T, p *faultProxy) (speed uint32) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	data := false
	var s splitter
	s.split(p.records[len(p.records)-1].passed[up], func(raw []byte, isCommand bool) {
		if data = data || !isCommand; data || len(raw) < 6 || raw[1] != sbByte || raw[2] != comPortByte {
			return
		}
		_, m, err := comport.Parse(raw[3 : len(raw)-2])
		if rate, ok := m.(comport.SetBaudRate); ok && err == nil && rate.Rate != 0 {
			speed = rate.Rate
		}
	})
	if !data {
		t.Error("no byte went through the last connection")
	}
	return speed
}

// gpsd has fixes again, without being touched, when the server at the other end
// was killed and started.
func TestGPSDOutlivesTheServer(t *testing.T) {
	need(t, "gpsd", "gpspipe")
	t.Parallel()
	s := restartableSer2net(t)
	feedGPS(t, s.device)
	traversable(t)
	v := start(t, "127.0.0.1:"+s.port, "--mode", "0666", "--retry", "50ms", "--retry-max", "200ms")

	port := freePort(t)
	gpsd := spawn(t, "gpsd", "-N", "-n", "-S", port, "-F", filepath.Join(t.TempDir(), "control"), v.link)
	listening(t, port)
	pipe := spawn(t, "gpspipe", "-w", "127.0.0.1:"+port)
	fixes := func() (n int) {
		for line := range strings.Lines(pipe.out.String()) {
			var r gpsReport
			if json.Unmarshal([]byte(line), &r) == nil && r.Class == "TPV" && r.Mode == 3 {
				n++
			}
		}
		return n
	}
	eventually(t, "gpsd has a fix", func() bool { return fixes() > 0 })
	for range 3 {
		lost, opened := len(v.events("disconnected")), len(v.events("opened"))
		s.kill()
		v.waitEvents("disconnected", lost+1)
		before := fixes()
		s.start()
		// The first one may have been on its way.
		eventually(t, "gpsd has fixes again", func() bool { return fixes() >= before+2 })
		if now := len(v.events("opened")); now != opened {
			t.Errorf("the port was opened again %d times: it had been closed", now-opened)
		}
	}
	if !gpsd.running() {
		t.Error("gpsd has ended")
	}
}
