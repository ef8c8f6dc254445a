package integration

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// serviceOf runs vcomd serve on a file with these ports, each a table's lines.
func serviceOf(t *testing.T, dir string, ports ...string) *vcomd {
	t.Helper()
	return serviceWith(t, dir, nil, ports...)
}

// serviceWith is serviceOf with more in the environment.
func serviceWith(t *testing.T, dir string, env []string, ports ...string) *vcomd {
	t.Helper()
	writeService(t, dir, ports...)
	cmd := exec.Command(binary, "serve", "-c", filepath.Join(dir, "vcomd.toml"))
	cmd.Env = append(append(os.Environ(), "GORACE=atexit_sleep_ms=0"), env...)
	v := &vcomd{process: spawnCmd(t, cmd)}
	t.Cleanup(func() {
		if v.running() {
			v.stop(syscall.SIGTERM)
			if code := v.cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("vcomd serve ended with status %d after SIGTERM, want 0", code)
			}
		}
	})
	v.waitEvents("ready", len(ports))
	return v
}

func writeService(t *testing.T, dir string, ports ...string) {
	t.Helper()
	text := fmt.Sprintf("run-dir = %q\nlog-level = \"debug\"\n", filepath.Join(dir, "run"))
	for _, p := range ports {
		text += "[[port]]\n" + p + "\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "vcomd.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (v *vcomd) signal(s syscall.Signal) {
	v.t.Helper()
	if err := v.cmd.Process.Signal(s); err != nil {
		v.t.Fatal(err)
	}
}

// Twenty times vcomd becomes its successor, under a program that has a megabyte each way
// through a real server: the stream is whole, the program's descriptor and the server's
// connection are the same ones, and what the program has set is set.
func TestServeRestartUnderTraffic(t *testing.T) {
	const times, size = 20, 1 << 20
	s := ser2net(t)
	dir := t.TempDir()
	link, closed := filepath.Join(dir, "tty"), filepath.Join(dir, "closed")
	v := serviceOf(t, dir,
		fmt.Sprintf("link = %q\nremote = %q", link, s.remote),
		fmt.Sprintf("link = %q\nremote = \"sim:echo\"", closed))
	tty := openTTY(t, link)
	v.waitEvent("connected")
	setSpeed(t, tty, 115200)
	eventually(t, "the server has the speed", func() bool { return s.device.speed(t) == unix.B115200 || s.device.speed(t) == 115200 })
	up, down := pattern(size, 1), pattern(size, 2)
	var wg sync.WaitGroup
	wg.Go(func() {
		for range times {
			n := len(v.events("restart"))
			v.signal(unix.SIGUSR2)
			v.waitEvents("restart", n+1)
			v.waitEvents("taken-over", 2*(n+1))
		}
	})
	exchange(t, tty, s.device.File, up, down)
	wg.Wait()
	exchange(t, tty, s.device.File, up[:1000], down[:1000])
	if n := len(v.events("connected")); n != 1 {
		t.Errorf("it has connected %d times, want once", n)
	}
	if got := s.device.speed(t); got != 115200 {
		t.Errorf("the server is at %d bit/s, want 115200", got)
	}
	setSpeed(t, tty, 9600)
	eventually(t, "the program's next wish is carried out", func() bool { return s.device.speed(t) == 9600 })
	echo(t, openTTY(t, closed), []byte("the port that was closed all the time"))
	for _, kind := range []string{"not-resumed", "disconnected", "hung-up", "dropped"} {
		if lines := v.events(kind); len(lines) > 0 {
			t.Errorf("%s: %+v", kind, lines)
		}
	}
}

// Whoever sends a service one signal after the other while it becomes its successor finds
// it alive: none of them ends it, the last file counts, and the service manager hears of
// no end.
func TestServeSignalsInABurst(t *testing.T) {
	dir := t.TempDir()
	link, second := filepath.Join(dir, "tty"), filepath.Join(dir, "second")
	s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true, Device: rfc2217test.NewEcho()}})
	port := func(link string) string { return fmt.Sprintf("link = %q\nremote = %q", link, s.addr) }
	notified, notify := notifySocket(t)
	v := serviceWith(t, dir, []string{"NOTIFY_SOCKET=" + notify}, port(link))
	tty := openTTY(t, link)
	for n := range 5 {
		v.signal(unix.SIGUSR2)
		for range 200 { // some of them just after the exec
			v.signal(unix.SIGHUP)
			v.signal(unix.SIGUSR2)
			time.Sleep(50 * time.Microsecond)
		}
		v.waitEvents("taken-over", n+1)
	}
	// One request may still wait. A SIGTERM in the first milliseconds of the next vcomd
	// would end it as SIGKILL does (docs/installation.md).
	restarts, quiet := 0, 0
	eventually(t, "no restart is under way", func() bool {
		before := restarts
		if restarts = len(v.events("restart")); restarts != before || restarts != len(v.events("taken-over")) {
			quiet = 0
		}
		quiet++
		time.Sleep(10 * time.Millisecond)
		return quiet > 50
	})
	writeService(t, dir, port(link), port(second))
	v.signal(unix.SIGHUP)
	eventually(t, "the last file counts", func() bool { _, err := os.Lstat(second); return err == nil })
	echo(t, tty, []byte("the program's descriptor is the same"))
	eventually(t, "it is ready again", func() bool { return strings.HasSuffix(notified(), "READY=1") })
	if strings.Contains(notified(), "STOPPING=1") {
		t.Errorf("the service manager was told of an end: %s", notified())
	}
}

// notifySocket is a service manager's, and what was said to it.
func notifySocket(t *testing.T) (said func() string, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var all []string
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, err := conn.Read(buf)
			if err != nil {
				return
			}
			mu.Lock()
			all = append(all, string(buf[:n]))
			mu.Unlock()
		}
	}()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		return strings.Join(all, "\n")
	}, path
}

// What looks like a panic to a service manager is none of the exit statuses that vcomd
// has: those that it does not start vcomd again after least of all.
func TestServeCrashIsNoUsageError(t *testing.T) {
	dir := t.TempDir()
	writeService(t, dir, fmt.Sprintf("link = %q\nremote = \"sim:echo\"", filepath.Join(dir, "tty")))
	v := &vcomd{process: spawn(t, binary, "serve", "-c", filepath.Join(dir, "vcomd.toml"))}
	v.waitEvent("ready")
	v.signal(unix.SIGQUIT) // Go ends it as after a panic
	v.wait()
	if status, ok := v.cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
		t.Errorf("it ended with %v, want a signal", v.cmd.ProcessState)
	}
}

// A file that is read again changes what it changes, and a wrong one nothing.
func TestServeReload(t *testing.T) {
	dir := t.TempDir()
	one, two, three := filepath.Join(dir, "one"), filepath.Join(dir, "two"), filepath.Join(dir, "three")
	port := func(link, more string) string { return fmt.Sprintf("link = %q\nremote = \"sim:echo\"\n%s", link, more) }
	v := serviceOf(t, dir, port(one, ""), port(two, ""))
	kept, gone := openTTY(t, one), openTTY(t, two)
	echo(t, kept, []byte("before"))
	echo(t, gone, []byte("before"))

	writeService(t, dir, port(one, ""), "link = 3")
	v.signal(unix.SIGHUP)
	v.waitEvent("not-reloaded")
	v.signal(unix.SIGUSR2)
	v.waitEvent("not-restarted")
	echo(t, gone, []byte("the configuration is as it was"))

	writeService(t, dir, port(one, ""), port(three, ""))
	v.signal(unix.SIGHUP)
	v.waitEvent("reloaded")
	echo(t, kept, []byte("after"))
	echo(t, openTTY(t, three), []byte("new"))
	if _, err := os.Lstat(two); err == nil {
		t.Error("the link of the port that has gone is there")
	}
	if n := len(v.events("connected")); n != 3 {
		t.Errorf("ports have connected %d times, want once each", n)
	}
	text, err := os.ReadFile(filepath.Join(dir, "vcomd.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "vcomd.toml"), append([]byte("metrics = \"127.0.0.1:9117\"\n"), text...), 0o600); err != nil {
		t.Fatal(err)
	}
	if lines := v.events("configuration"); len(lines) > 0 {
		t.Errorf("nothing was changed but ports, and it says %+v", lines)
	}
	v.signal(unix.SIGHUP)
	v.waitEvents("reloaded", 2)
	if lines := v.events("configuration"); len(lines) != 1 || lines[0].Message != "metrics has changed: that counts from the next restart" {
		t.Errorf("of what a reload does not change it says %+v", lines)
	}
}
