package checkup

import (
	"errors"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/usbtty/vhci"
	"github.com/vcomd/vcomd/udev"
)

// Machine is what is looked at.
type Machine struct {
	// Root is where proc, sys, dev and the rest are; "" is "/". What system calls
	// tell is always this machine's.
	Root string
	// RunDir is the directory for sockets and locks.
	RunDir string
}

func (m Machine) path(path string) string { return m.Root + "/" + path }

// read returns a file's text, or "".
func (m Machine) read(path string) string {
	text, _ := os.ReadFile(m.path(path)) // what cannot be read is not there
	return strings.TrimSpace(string(text))
}

func (m Machine) has(path string) bool {
	_, err := os.Lstat(m.path(path))
	return err == nil
}

// number reads a file with a number in it.
func (m Machine) number(path string, otherwise int) int {
	n, err := strconv.Atoi(m.read(path))
	if err != nil {
		return otherwise
	}
	return n
}

// Gather looks.
func Gather(m Machine) Facts {
	host := &vhci.Host{Root: m.Root}
	f := Facts{
		Release: m.read("proc/sys/kernel/osrelease"), Architecture: runtime.GOARCH, User: m.user(), Pty: m.pty(), Seccomp: m.seccomp(),
		Beneath: beneath(), RunDir: DirFacts{Path: m.RunDir, Err: mayWrite(m.RunDir)},
		Systemd: m.has("run/systemd/system"), // sd_booted(3)
		USB: USBFacts{
			Modules: host.Modules(), Missing: host.Missing(), Locked: m.number("proc/sys/kernel/modules_disabled", 0) != 0,
			Devtmpfs: isDevtmpfs(m.read("proc/self/mounts")),
		},
		Udev: UdevFacts{Runs: host.UdevRuns()},
	}
	f.USB.Free, f.USB.FreeErr = host.Free()
	dirs := udev.Dirs()
	for i := range dirs {
		dirs[i] = m.Root + dirs[i]
	}
	path, state := udev.Find(dirs...)
	f.Udev.Rules, f.Udev.Edited = strings.TrimPrefix(path, m.Root), state == udev.Edited
	return f
}

func (m Machine) user() User {
	u := User{UID: os.Geteuid(), Dialout: groupNumber(m.read("etc/group"), "dialout")}
	if account, err := user.LookupId(strconv.Itoa(u.UID)); err == nil {
		u.Name = account.Username
	}
	u.Capabilities, _ = strconv.ParseUint(statusField(m.read("proc/self/status"), "CapEff"), 16, 64) // 0: none
	groups, _ := os.Getgroups()
	for _, g := range append(groups, os.Getegid()) {
		u.InDialout = u.InDialout || g == u.Dialout
	}
	return u
}

// groupNumber looks a group up in a group(5) file; -1: there is none.
func groupNumber(file, name string) int {
	for line := range strings.Lines(file) {
		fields := strings.Split(strings.TrimSpace(line), ":")
		if len(fields) < 3 || fields[0] != name {
			continue
		}
		if n, err := strconv.ParseUint(fields[2], 10, 31); err == nil {
			return int(n)
		}
	}
	return -1
}

// statusField returns a field of a /proc/PID/status.
func statusField(status, name string) string {
	for line := range strings.Lines(status) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func isDevtmpfs(mounts string) bool {
	is := false
	for line := range strings.Lines(mounts) {
		if fields := strings.Fields(line); len(fields) > 2 && fields[1] == "/dev" {
			is = fields[2] == "devtmpfs" // the last one is on top
		}
	}
	return is
}

func (m Machine) pty() PtyFacts {
	p := PtyFacts{
		InUse: m.number("proc/sys/kernel/pty/nr", 0), Most: m.number("proc/sys/kernel/pty/max", 0),
		NoDevpts: !strings.Contains(m.read("proc/self/mounts"), " devpts "),
	}
	// The pseudo-terminal is nobody else's, and is gone when it is closed.
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		p.Err = &fs.PathError{Op: "open", Path: "/dev/ptmx", Err: err}
		return p
	}
	defer func() { _ = unix.Close(fd) }()
	// No flag locked, as it is: permitted or not.
	p.Exact = unix.IoctlSetTermios(fd, unix.TIOCSLCKTRMIOS, &unix.Termios{}) == nil
	return p
}

// mayWrite reports why a directory could not be written, or made.
func mayWrite(dir string) error {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for at := abs; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at):
			continue
		case err != nil:
			return err
		case !info.IsDir():
			return &fs.PathError{Op: "use", Path: at, Err: unix.ENOTDIR}
		}
		if err := unix.Faccessat(unix.AT_FDCWD, at, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
			return &fs.PathError{Op: "write to", Path: at, Err: err}
		}
		return nil
	}
}
