package integration

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// mountDesk is a place with device nodes in a mount namespace of the test's own:
// what a vcomd that is killed leaves mounted goes with the test's thread.
type mountDesk struct {
	t        *testing.T
	dir, run string
	tty      string // the twin of /dev/ttyS0, which is never opened
	original uint64
}

func newMountDesk(t *testing.T) *mountDesk {
	t.Helper()
	if os.Geteuid() != 0 {
		skip(t, "only root may mount")
	}
	drivers, err := os.ReadFile("/proc/tty/drivers")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(drivers), "/dev/ttyS ") {
		skip(t, "the kernel has no driver for /dev/ttyS0")
	}
	runtime.LockOSThread() // for good: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_PRIVATE|unix.MS_REC, ""); err != nil {
		t.Fatal(err)
	}
	d := &mountDesk{t: t, dir: t.TempDir()}
	if err := unix.Mount("nodes", d.dir, "tmpfs", 0, "mode=755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(d.dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	d.run = filepath.Join(d.dir, "run")
	d.tty = d.node("ttyS0", unix.S_IFCHR, 4, 64)
	d.original = d.device(d.tty)
	return d
}

func (d *mountDesk) node(name string, kind, major, minor uint32) string {
	d.t.Helper()
	path := filepath.Join(d.dir, name)
	if err := unix.Mknod(path, kind|0o600, int(unix.Mkdev(major, minor))); err != nil {
		d.t.Fatal(err)
	}
	return path
}

func (d *mountDesk) device(path string) uint64 {
	d.t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		d.t.Fatal(err)
	}
	return uint64(st.Rdev) //nolint:unconvert // 32 bits on some machines
}

// covered fails the test unless the node is a pseudo-terminal: an open would
// otherwise reach a real serial port.
func (d *mountDesk) covered() {
	d.t.Helper()
	const slaves = 136 // Documentation/admin-guide/devices.txt
	if dev := d.device(d.tty); unix.Major(dev) != slaves {
		d.t.Fatalf("%s is device %d:%d, no pseudo-terminal", d.tty, unix.Major(dev), unix.Minor(dev))
	}
}

// bare checks that the node is what it was, and that no lock is left.
func (d *mountDesk) bare() {
	d.t.Helper()
	if dev := d.device(d.tty); dev != d.original {
		d.t.Errorf("%s is still covered", d.tty)
	}
	if left, err := os.ReadDir(filepath.Join(d.run, "lock")); err != nil || len(left) != 0 {
		d.t.Errorf("locks left: %v, %v", left, err)
	}
}

func (d *mountDesk) command(args ...string) *exec.Cmd {
	cmd := exec.Command(binary, append([]string{"--run-dir", d.run}, args...)...)
	cmd.Dir = d.dir
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	return cmd
}

// start runs a vcomd and waits until its port is there.
func (d *mountDesk) start(args ...string) *vcomd {
	d.t.Helper()
	v := &vcomd{process: spawnCmd(d.t, d.command(args...))}
	v.waitEvent("ready")
	return v
}

// refused runs a vcomd that must end by itself with a message.
func (d *mountDesk) refused(code int, want string, args ...string) {
	d.t.Helper()
	out, err := d.command(args...).CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != code {
		d.t.Errorf("vcomd %q: %v, want exit status %d", args, err, code)
	}
	if got := strings.TrimSpace(string(out)); got != want {
		d.t.Errorf("vcomd %q\nsaid %s\nwant %s", args, got, want)
	}
}

// Programs with a hard-wired name: what they open is the port, what they set and
// write arrives, and at the end the node is what it was.
func TestOverlay(t *testing.T) {
	for _, linked := range []bool{false, true} {
		t.Run(fmt.Sprintf("with a link=%v", linked), func(t *testing.T) {
			need(t, "stty", "tty", "sh")
			d := newMountDesk(t)
			byID := filepath.Join(d.dir, "usb-Prolific-port0")
			if err := os.Symlink("ttyS0", byID); err != nil {
				t.Fatal(err)
			}
			s := serve(t, &rfc2217test.Server{})
			args := []string{"--overlay", "usb-Prolific-port0", "--mode", "0640", "--connect", "always", s.addr}
			if linked {
				args = append(args, "--link", "tty")
			}
			v := d.start(args...)
			d.covered()
			if out := mustRun(t, "stat", "-c", "%a", d.tty); out != "640\n" {
				t.Errorf("mode %q, want that of the port", out)
			}
			// All three in one open: the port's connection lasts.
			out := mustRun(t, "sh", "-c", `exec 0<>"$1"; stty 19200 cstopb -echo raw; tty; stty -a; printf 'hello' >&0`, "sh", d.tty)
			if !strings.Contains(out, d.tty) || !strings.Contains(out, "speed 19200 baud") {
				t.Errorf("a program on %s: %s", d.tty, out)
			}
			s.await(t, "the speed", func(u rfc2217test.Snapshot) bool { return u.State.BaudRate == 19_200 })
			s.awaitBytes(t, 5)
			paths := []string{byID}
			if linked {
				paths = append(paths, filepath.Join(d.dir, "tty"))
			}
			for _, path := range paths {
				f := openTTY(t, path)
				if _, err := f.WriteString("more"); err != nil {
					t.Errorf("%s: %v", path, err)
				}
				if err := f.Close(); err != nil {
					t.Error(err)
				}
			}
			s.awaitBytes(t, 5+4*len(paths))

			d.refused(1, fmt.Sprintf("vcomd: cannot put the port over %s: it is served by process %d; stop that process or choose another tty",
				d.tty, v.cmd.Process.Pid), "--overlay", "ttyS0", "sim:echo")
			d.covered()

			v.stop(syscall.SIGTERM)
			if code := v.cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("exit status %d after SIGTERM", code)
			}
			d.bare()
			if _, err := os.Lstat(filepath.Join(d.dir, "tty")); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("the link is still there: %v", err)
			}
		})
	}
}

// What a vcomd leaves that is killed, the next one at this node takes off,
// whatever its remote is.
func TestOverlayOfAKilledVcomdIsTakenOver(t *testing.T) {
	d := newMountDesk(t)
	for range 3 {
		v := d.start("--overlay", "ttyS0", "sim:echo")
		d.covered()
		v.stop(syscall.SIGKILL)
		if d.device(d.tty) == d.original {
			t.Fatal("nothing is left of a vcomd that was killed: the test shows nothing")
		}
		if fd, err := unix.Open(d.tty, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); !errors.Is(err, unix.EIO) {
			t.Errorf("open of a dead port: %d, %v; docs/troubleshooting.md says it is an I/O error", fd, err)
		}
	}
	v := d.start("--overlay", "ttyS0", "sim:gps")
	d.covered()
	f := openTTY(t, d.tty)
	if got := string(readFull(t, f, 1)); got != "$" {
		t.Errorf("the simulated receiver's first byte is %q", got)
	}
	v.stop(syscall.SIGTERM)
	d.bare()
}

func TestOverlayRefusals(t *testing.T) {
	d := newMountDesk(t)
	at := func(name string) string { return filepath.Join(d.dir, name) }
	for _, err := range []error{
		os.WriteFile(at("file"), []byte("precious"), 0o600),
		os.Mkdir(at("directory"), 0o700),
		os.Symlink("file", at("link")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	d.node("null", unix.S_IFCHR, 1, 3)
	d.node("disk", unix.S_IFBLK, 4, 64)
	const advice = "give the path of a serial port or another tty"
	for _, c := range []struct{ name, node, found string }{
		{"file", "file", "it is a regular file"},
		{"link", "file", "it is a regular file"},
		{"directory", "directory", "it is a directory"},
		{"null", "null", "it is a device, but not a tty"},
		{"disk", "disk", "it is a block device"},
	} {
		d.refused(1, fmt.Sprintf("vcomd: cannot put the port over %s: %s; %s", at(c.node), c.found, advice), "--overlay", c.name, "sim:echo")
	}
	// All names or none.
	d.refused(1, fmt.Sprintf("vcomd: cannot put the port over %s: it is a regular file; %s", at("file"), advice),
		"--link", "tty", "--overlay", "file", "sim:echo")
	if _, err := os.Lstat(at("tty")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the link was made: %v", err)
	}
	d.bare()
}

// A program that opens the port again all the time, over two hundred hang-ups:
// no open fails, none finds the node itself, and the port works afterwards.
func TestOverlayHangups(t *testing.T) {
	d := newMountDesk(t)
	s := serve(t, &rfc2217test.Server{})
	v := d.start("--overlay", "ttyS0", "--on-loss", "hangup", "--retry", "10ms", "--retry-max", "10ms", s.addr)
	d.covered()
	// The program is the test's own thread: it is in the mount namespace.
	const hangups = 200
	for hung := range hangups {
		fd, err := unix.Open(d.tty, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatalf("after %d hang-ups: open: %v", hung, err)
		}
		eventually(t, "the connection is up and cut again", func() bool {
			if s.Stats().Active > 0 {
				s.Disconnect()
			}
			fds := []unix.PollFd{{Fd: int32(fd)}}
			if _, err := unix.Poll(fds, 0); err != nil && !errors.Is(err, unix.EINTR) {
				t.Fatal(err)
			}
			return fds[0].Revents&unix.POLLHUP != 0
		})
		if err := unix.Close(fd); err != nil {
			t.Fatal(err)
		}
	}
	d.covered()
	mounted, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(mounted), " "+d.tty+" "); n != 1 {
		t.Errorf("%d mounts over the node, want 1", n)
	}
	f := openTTY(t, d.tty)
	if _, err := f.WriteString("after all"); err != nil {
		t.Error(err)
	}
	s.awaitBytes(t, len("after all"))
	if got := string(s.uart.Sent()); got != "after all" {
		t.Errorf("the UART has sent %q", got)
	}
	v.stop(syscall.SIGTERM)
	d.bare()
}

// A program that never closes its dead descriptor: what comes meanwhile is for
// nobody, and the next program reads and writes like the first.
func TestOverlayHangupWithADeadDescriptor(t *testing.T) {
	d := newMountDesk(t)
	s := serve(t, &rfc2217test.Server{})
	trace := filepath.Join(d.dir, "trace")
	v := d.start("--overlay", "ttyS0", "--on-loss", "hangup", "--connect", "always", "--retry", "10ms", "--retry-max", "10ms",
		"--log-level", "debug", "--trace", trace, s.addr)
	v.waitEvent("connected")
	d.covered()
	dead := openTTY(t, d.tty)
	tio := getTermios(t, dead)
	tio.Lflag |= unix.ICANON | unix.ECHO // of a terminal user, whose settings go
	tio.Cflag = tio.Cflag&^(unix.CBAUD|unix.CBAUDEX) | unix.BOTHER
	tio.Ispeed, tio.Ospeed = 57_600, 57_600
	setTermios(t, dead, tio)
	s.await(t, "the speed", func(u rfc2217test.Snapshot) bool { return u.State.BaudRate == 57_600 })
	s.Disconnect()
	v.waitEvent("hung-up")
	v.waitEvents("connected", 2)
	s.await(t, "the speed again", func(u rfc2217test.Snapshot) bool { return u.State.BaudRate == 57_600 })

	s.uart.Receive([]byte("for nobody"))
	eventually(t, "the bytes have come", func() bool {
		b, err := os.ReadFile(trace)
		return err == nil && strings.Contains(string(b), "for nobody")
	})
	next := openTTY(t, d.tty)
	tio = getTermios(t, next)
	if tio.Ospeed != 57_600 || tio.Lflag&(unix.ICANON|unix.ECHO) != 0 {
		t.Errorf("the next program finds speed %d, c_lflag %#o; want 57600, raw", tio.Ospeed, tio.Lflag)
	}
	if _, err := next.WriteString("here"); err != nil {
		t.Error(err)
	}
	s.awaitBytes(t, len("here"))
	s.uart.Receive([]byte("for you"))
	if got := string(readFull(t, next, len("for you"))); got != "for you" {
		t.Errorf("the next program reads %q", got)
	}
	setSpeed(t, next, 1200)
	s.await(t, "the next program's speed", func(u rfc2217test.Snapshot) bool { return u.State.BaudRate == 1200 })
	for _, f := range []*os.File{next, dead} {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	v.stop(syscall.SIGTERM)
	if n := v.waitEnded().DroppedClosed; n != uint64(len("for nobody")) {
		t.Errorf("%d bytes dropped because the port was closed, want %d", n, len("for nobody"))
	}
	d.bare()
}
