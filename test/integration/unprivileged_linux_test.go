package integration

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// startOrdinary runs vcomd as a user without any capability: EXTPROC cannot be
// locked, nor an exclusive tty opened.
func startOrdinary(t *testing.T, remote string, flags ...string) *vcomd {
	t.Helper()
	if os.Geteuid() != 0 {
		return startUntraced(t, remote, append([]string{"--log-level", "debug"}, flags...)...)
	}
	d := newDesk(t)
	v := &vcomd{link: filepath.Join(d.dir, "tty")}
	args := append([]string{"--link", v.link, "--run-dir", d.run, "--log-level", "debug"}, flags...)
	cmd := exec.Command(d.binary, append(args, remote)...)
	cmd.Env = append(os.Environ(), "GOTRACEBACK=all", "GORACE=atexit_sleep_ms=0")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: d.credential}
	v.process = spawnCmd(t, cmd)
	v.waitEvent("ready")
	t.Cleanup(v.end)
	return v
}

// Without the lock a program that fills its termios from zero takes EXTPROC away
// with each call: every setting arrives all the same.
func TestSettingsWithoutCapabilities(t *testing.T) {
	s := serve(t, &rfc2217test.Server{})
	v := startOrdinary(t, s.addr)
	tty := openTTY(t, v.link)
	const changes = 200
	for _, c := range []struct {
		name string
		zero bool // the program fills its termios from zero
		wait bool // and waits until the setting has arrived
	}{
		{"kept flags", false, true},
		{"from zero", true, true},
		{"kept flags, in one go", false, false},
		// From zero in one go loses one now and then: package pty says why.
	} {
		t.Run(c.name, func(t *testing.T) {
			for i := range changes {
				speed := uint32(1200 + i)
				tio := &unix.Termios{Cflag: unix.CS8 | unix.CREAD}
				if !c.zero {
					tio = getTermios(t, tty)
				}
				tio.Cflag = tio.Cflag&^(unix.CBAUD|unix.CBAUDEX) | unix.BOTHER
				tio.Ispeed, tio.Ospeed = speed, speed
				setTermios(t, tty, tio)
				if c.wait || i == changes-1 {
					s.await(t, fmt.Sprint(speed, " bit/s"), func(u rfc2217test.Snapshot) bool { return u.State.BaudRate == speed })
				}
			}
		})
	}
	if n := v.events("tty-failed"); len(n) > 0 {
		t.Errorf("failed: %+v", n)
	}
}

// A program that is gone before vcomd looks, and has left nothing but its exclusive mode, locks
// nobody out either.
func TestExclusiveModeOfAShortVisit(t *testing.T) {
	if os.Geteuid() != 0 {
		skip(t, "only root can show that vcomd needs no privilege for it")
	}
	v := startOrdinary(t, serve(t, &rfc2217test.Server{}).addr)
	for i := range 50 {
		fd, err := unix.Open(v.link, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		err = errors.Join(unix.IoctlSetInt(fd, unix.TIOCEXCL, 0), unix.Close(fd))
		if err != nil {
			t.Fatal(err)
		}
		v.waitEvents("new-tty", i+1)
	}
}

// A tty that a program has left in exclusive mode cannot be opened by a vcomd
// without privilege: another takes its place, and the link leads to that.
func TestExclusiveModeWithoutCapabilities(t *testing.T) {
	if os.Geteuid() != 0 {
		skip(t, "only root can show that vcomd needs no privilege for it")
	}
	s := serve(t, &rfc2217test.Server{})
	v := startOrdinary(t, s.addr)
	want := ""
	for i := range 20 {
		before, err := os.Readlink(v.link)
		if err != nil {
			t.Fatal(err)
		}
		tty := openTTY(t, v.link)
		speed := uint32(2400 + i)
		setSpeed(t, tty, speed)
		control(t, tty, func(fd int) error { return unix.IoctlSetInt(fd, unix.TIOCEXCL, 0) })
		line := fmt.Sprintln("visit", i)
		write(t, tty, []byte(line))
		want += line
		_ = tty.Close()
		v.waitEvents("new-tty", i+1)
		after, err := os.Readlink(v.link)
		if err != nil {
			t.Fatalf("visit %d: the link is gone: %v", i, err)
		}
		if after == before {
			t.Errorf("visit %d: the link still leads to %s", i, before)
		}
		next := openTTY(t, v.link)
		if got := getTermios(t, next).Ospeed; got != speed {
			t.Errorf("visit %d: the new tty is at %d bit/s, the old one was at %d", i, got, speed)
		}
		_ = next.Close()
	}
	s.awaitBytes(t, len(want))
	if got := string(s.uart.Sent()); got != want {
		t.Errorf("the UART has sent %q, want %q", got, want)
	}
}
