package vhci

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Grant gives the tty to a user and a group (-1 leaves either as it is), and sets
// its permissions, of which only the lowest nine bits count. If udev runs it
// is ErrNotYet until udev has handled the node's event. Where udev runs and does
// not handle it within seconds, as in some containers, [Host.GrantNow] does it
// all the same. The error is an *Error.
func (h *Host) Grant(t TTY, uid, gid int, mode fs.FileMode) error {
	if h.UdevRuns() && !h.handled(t) {
		return &Error{Op: "give " + t.Path + " its owner", Found: "udev has not handled it yet", Kind: ErrNotYet}
	}
	return h.GrantNow(t, uid, gid, mode)
}

// GrantNow is Grant without regard for udev.
func (h *Host) GrantNow(t TTY, uid, gid int, mode fs.FileMode) error {
	op := "give " + t.Path + " its owner"
	if err := h.checkNode(t); err != nil {
		return &Error{Op: op, Found: "the tty is gone", Kind: ErrGone, Err: err}
	}
	// The node, not what a link may lead to, and without opening the tty: O_PATH
	// asks the driver nothing. What was looked at above may have been replaced
	// since; the number of a node cannot change, so it counts what this one has.
	fd, err := unix.Open(t.Path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return &Error{Op: op, Found: "the tty is gone", Kind: ErrGone, Err: err}
	}
	defer func() { _ = unix.Close(fd) }()
	magic := "/proc/self/fd/" + strconv.Itoa(fd)
	err = h.checkOpened(t, magic)
	if err == nil {
		err = failed(unix.Fchownat(fd, "", uid, gid, unix.AT_EMPTY_PATH), "chown")
	}
	if err == nil {
		err = failed(unix.Chmod(magic, uint32(mode.Perm())), "chmod") // fchmod(2) does not take an O_PATH descriptor
	}
	switch {
	case errors.Is(err, fs.ErrPermission):
		return &Error{Op: op, Found: "only root may give it to any user or group", Advice: "run vcomd as root", Kind: ErrPermission, Err: err}
	case err != nil:
		return &Error{Op: op, Found: fmt.Sprintf("user %d, group %d, mode %04o cannot be set", uid, gid, mode.Perm()), Err: err}
	}
	return nil
}

// checkOpened makes sure that what was opened is the tty. A kernel of a test's
// own has plain files for nodes.
func (h *Host) checkOpened(t TTY, magic string) error {
	if h.Device != nil {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Stat(magic, &st); err != nil {
		return failed(err, "stat")
	}
	if st.Mode&unix.S_IFMT != unix.S_IFCHR || unix.Major(st.Rdev) != t.Major || unix.Minor(st.Rdev) != t.Minor {
		return errors.New("another node has taken its place")
	}
	return nil
}

// UdevRuns reports whether a udev handles this machine's devices.
func (h *Host) UdevRuns() bool {
	_, err := os.Lstat(h.path("run/udev/control"))
	return err == nil
}

// handled reports whether udev is through with the node: it writes its record
// of a device last. A record of an earlier device of the same number does
// not count; each has the time when it was made (sd-device, "I:").
func (h *Host) handled(t TTY) bool {
	record, err := os.ReadFile(h.path("run/udev/data", fmt.Sprintf("c%d:%d", t.Major, t.Minor)))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(record)) {
		if at, ok := strings.CutPrefix(strings.TrimSpace(line), "I:"); ok {
			initialized, err := strconv.ParseUint(at, 10, 64)
			return err == nil && initialized >= t.since
		}
	}
	return true
}
