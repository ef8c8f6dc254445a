package pty

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Overlay is a port put over an existing tty node, such as /dev/ttyS0, by a bind
// mount: for programs whose device name cannot be changed. Whoever opens the
// node gets the pseudo-terminal, with its owner and mode; the node itself is
// never opened. It is claimed by this process until Release or its end, and for
// one goroutine. It is seen in this process's mount namespace, and in others as
// far as mounts are shared with them.
type Overlay struct {
	path   string
	target string // what Point has mounted there last
	lock   *lockFile
	// stackOnly: the kernel cannot put one mount beneath another (before 6.5).
	stackOnly bool
}

// maxStacked bounds the mounts that are on top of one another where the kernel
// cannot replace one.
const maxStacked = 64

// ClaimOverlay takes the lock for the tty node at path, symbolic links
// resolved, and takes off what a process that is gone has left mounted over it
// according to the record in the lock file. The node must belong to a driver of
// serial ports, consoles or pseudo-terminals (/proc/tty/drivers), and must not
// be covered by somebody else's pseudo-terminal. It is not covered yet.
//
// The lock is that of [ClaimLink]. The error is an *OverlayError.
func ClaimOverlay(path, runDir string) (*Overlay, error) { return claimNode(path, runDir, "") }

// ReclaimOverlay is ClaimOverlay for a process that goes on with the pseudo-terminal
// target, which another has left over the node (Leave): it stays there.
func ReclaimOverlay(path, runDir, target string) (*Overlay, error) {
	return claimNode(path, runDir, target)
}

func claimNode(path, runDir, keep string) (*Overlay, error) {
	o := &Overlay{path: path}
	if abs, err := filepath.Abs(path); err == nil && path != "" {
		o.path = abs
	}
	node, err := filepath.EvalSymlinks(o.path)
	if err != nil {
		return nil, o.fault("claim", "it cannot be looked at", "give the path of a tty that is there", ErrLinkUnusable, err)
	}
	o.path = node
	// What covers it is a tty too, so this can be told beforehand, and to users
	// who may not mount.
	if err := o.checkNode(); err != nil {
		return nil, err
	}
	if !hasSysAdmin() {
		return nil, o.fault("claim", "only root may mount (CAP_SYS_ADMIN)", "run vcomd as root, or use --link and have the program open that",
			ErrNotPermitted, nil)
	}
	if err := o.takeLock(runDir); err != nil {
		return nil, err
	}
	if err := o.clearLeftovers(keep); err != nil {
		return nil, errors.Join(err, o.lock.abandon())
	}
	claim := record{Version: recordVersion, Link: node, Overlay: true, PID: os.Getpid()}
	if o.target != "" {
		claim.Targets = []string{o.target}
	}
	if err := o.lock.write(claim); err != nil {
		return nil, errors.Join(o.unrecorded("claim", err), o.lock.abandon())
	}
	return o, nil
}

func (o *Overlay) takeLock(runDir string) error {
	lock, err := lockLink(runDir, o.path)
	switch {
	case errors.Is(err, errLocked):
		return o.fault("claim", "it is served"+byProcess(lock.record.PID), "stop that process or choose another tty", ErrLinkServed, nil)
	case errors.Is(err, errNotPrivate):
		return o.fault("claim", "its lock cannot be taken", "choose another run directory, or see who made this one", ErrLinkUnusable, err)
	case err != nil:
		return o.fault("claim", "its lock in "+filepath.Join(runDir, "lock")+" cannot be taken",
			"make that directory writable or choose another run directory", ErrLinkUnusable, err)
	}
	o.lock = lock
	return nil
}

// clearLeftovers takes off what a vcomd that was killed has left, and makes sure
// that the node itself is what is there then; or keep, if that is what is left.
func (o *Overlay) clearLeftovers(keep string) error {
	if o.lock.record.Overlay && o.lock.record.Link == o.path {
		mounts, err := mountsAt(o.path)
		if tty, ok := top(mounts); err == nil && ok && tty == keep && o.owns(mounts[0]) {
			o.target = keep
			return nil
		}
		if err := o.takeOff("claim"); err != nil {
			return err
		}
	}
	mounts, err := mountsAt(o.path)
	if err != nil {
		return o.fault("claim", "the mount table cannot be read", "check that /proc is mounted", ErrLinkUnusable, err)
	}
	if len(mounts) > 0 {
		if tty, ok := mounts[0].terminal(); ok {
			return o.fault("claim", tty+" is mounted over it, by another program", "stop that program, or umount "+o.path+" if it is gone",
				ErrLinkTaken, nil)
		}
	}
	return o.checkNode()
}

// top returns the terminal that the topmost of mounts shows.
func top(mounts []mount) (tty string, ok bool) {
	if len(mounts) == 0 {
		return "", false
	}
	return mounts[0].terminal()
}

// Leave gives the lock back and leaves the terminal over the node, on record: see
// [ReclaimOverlay]. It is called in place of Release.
func (o *Overlay) Leave() error { return o.lock.f.Close() }

// Path is the node's absolute path, symbolic links resolved.
func (o *Overlay) Path() string { return o.path }

// Target is what Point has put over the node last, empty before.
func (o *Overlay) Target() string { return o.target }

// Point puts the pseudo-terminal at target over the node. Where another one is
// there already, the new one takes its place in one step: at no moment does a
// program that opens the node fail, or get the node itself. The error is an
// *OverlayError, and then what programs open is as it was.
func (o *Overlay) Point(target string) error {
	mounts, err := mountsAt(o.path)
	if err != nil {
		return o.fault("point", "the mount table cannot be read", "check that /proc is mounted", ErrLinkUnusable, err)
	}
	covered := len(mounts) > 0 && o.owns(mounts[0])
	if tty, _ := top(mounts); covered && tty == target && target == o.target {
		return nil
	}
	if !covered && slices.ContainsFunc(mounts, o.owns) {
		return o.fault("point", "something else was mounted over it", "umount that", ErrLinkTaken, nil)
	}
	if len(mounts) >= maxStacked {
		if err := o.takeOff("point"); err != nil {
			return err
		}
		covered = false
	}
	// Both are on record while either may be what a SIGKILL leaves.
	before := o.lock.record
	moving := before
	moving.Targets = append(slices.Clone(before.Targets), target)
	if err := o.lock.write(moving); err != nil {
		return o.unrecorded("point", err)
	}
	replaced, err := o.mount(target, covered)
	if err != nil {
		return errors.Join(o.fault("point", target+" cannot be mounted over it", "check that vcomd may mount in this container or unit",
			ErrLinkUnusable, err), o.lock.write(before))
	}
	o.target = target
	if replaced {
		moving.Targets = []string{target}
		if err := o.lock.write(moving); err != nil {
			return o.unrecorded("point", err)
		}
	}
	return nil
}

// mount covers the node, and reports whether nothing of ours is beneath.
func (o *Overlay) mount(target string, covered bool) (alone bool, err error) {
	if covered && !o.stackOnly {
		// Beneath the one that is there, which is then taken off: programs see
		// the one, then the other.
		err := mountBeneath(target, o.path)
		if err == nil {
			return true, umount(o.path)
		}
		o.stackOnly = true
	}
	err = os.NewSyscallError("mount", unix.Mount(target, o.path, "", unix.MS_BIND, ""))
	return !covered, err
}

// mountBeneath binds source at a mount point, under the top mount there (Linux
// 6.5, include/uapi/linux/mount.h).
func mountBeneath(source, point string) error {
	const moveMountBeneath = 0x200 // MOVE_MOUNT_BENEATH
	fd, err := unix.OpenTree(unix.AT_FDCWD, source, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("open_tree", err)
	}
	tree := descriptor{fd}
	err = unix.MoveMount(fd, "", unix.AT_FDCWD, point, unix.MOVE_MOUNT_F_EMPTY_PATH|moveMountBeneath)
	return errors.Join(os.NewSyscallError("move_mount", err), tree.close())
}

// umount takes the top mount off. Programs keep what they have open.
func umount(point string) error {
	return os.NewSyscallError("umount2", unix.Unmount(point, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW))
}

// Release takes the pseudo-terminal off the node and gives the lock back. What
// is ours but covered by another mount stays, with an error; what somebody has
// taken off already is no error. Release is to be called once.
func (o *Overlay) Release() error {
	if err := o.takeOff("release"); err != nil {
		// The record stays, for the next process to know the mount by.
		return errors.Join(err, o.lock.f.Close())
	}
	if err := o.lock.remove(); err != nil {
		return o.fault("release", "its lock cannot be removed", "remove it by hand", ErrLinkUnusable, err)
	}
	return nil
}

// takeOff removes what is on record from the top of the node.
func (o *Overlay) takeOff(op string) error {
	for {
		mounts, err := mountsAt(o.path)
		switch {
		case err != nil:
			return o.fault(op, "the mount table cannot be read", "umount "+o.path+" by hand", ErrLinkUnusable, err)
		case !slices.ContainsFunc(mounts, o.owns):
			return nil
		case !o.owns(mounts[0]):
			return o.fault(op, "something else was mounted over it", "umount "+o.path+" until the tty itself is there again", ErrLinkTaken, nil)
		}
		if err := umount(o.path); err != nil {
			return o.fault(op, "it cannot be taken off", "umount "+o.path+" by hand", ErrLinkUnusable, err)
		}
	}
}

// owns reports that a mount is on record as ours. Numbers of terminals are used
// again; a mount of that very number at this very place is not somebody else's.
func (o *Overlay) owns(m mount) bool {
	tty, ok := m.terminal()
	return ok && slices.Contains(o.lock.record.Targets, tty)
}

// checkNode refuses whatever is not a tty that programs use as one. It asks the
// kernel's table and does not open the node: to open a serial port raises DTR.
func (o *Overlay) checkNode() error {
	const advice = "give the path of a serial port or another tty"
	var st unix.Stat_t
	if err := unix.Stat(o.path, &st); err != nil {
		return o.fault("claim", "it cannot be looked at", "give the path of a tty that is there", ErrLinkUnusable, os.NewSyscallError("stat", err))
	}
	if st.Mode&unix.S_IFMT != unix.S_IFCHR {
		info, err := os.Stat(o.path)
		if err != nil {
			return o.fault("claim", "it cannot be looked at", advice, ErrLinkUnusable, err)
		}
		found := describe(info.Mode())
		if st.Mode&unix.S_IFMT == unix.S_IFBLK {
			found = "a block device"
		}
		return o.fault("claim", "it is "+found, advice, ErrNotTTY, nil)
	}
	d, ok, err := driverOf(uint64(unix.Major(uint64(st.Rdev))), uint64(unix.Minor(uint64(st.Rdev)))) //nolint:unconvert // 32 bits on some machines
	switch {
	case err != nil:
		return o.fault("claim", "it cannot be told whether it is a tty", "check that /proc is mounted", ErrLinkUnusable, err)
	case !ok:
		return o.fault("claim", "it is a device, but not a tty", advice, ErrNotTTY, nil)
	case strings.HasPrefix(d.kind, "system") || d.kind == "pty:master":
		return o.fault("claim", "it is "+d.name+", which other programs need as it is", advice, ErrNotTTY, nil)
	}
	return nil
}

func (o *Overlay) unrecorded(op string, err error) error {
	return o.fault(op, "its record cannot be written", "make the run directory writable or choose another one", ErrLinkUnusable, err)
}

func (o *Overlay) fault(op, found, advice string, kind, err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok && e.Path == o.path {
		err = e.Err // it is named already
	}
	return &OverlayError{Op: op, Path: o.path, Found: found, Advice: advice, Kind: kind, Err: err}
}
