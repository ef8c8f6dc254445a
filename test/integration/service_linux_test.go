package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// serviceOf runs vcomd serve on a file with these ports, each a table's lines.
func serviceOf(t *testing.T, dir string, ports ...string) *vcomd {
	t.Helper()
	writeService(t, dir, ports...)
	cmd := exec.Command(binary, "serve", "-c", filepath.Join(dir, "vcomd.toml"))
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
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
}
