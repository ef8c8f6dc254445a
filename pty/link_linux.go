package pty

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// Link is a name that programs use for a port, claimed by this process until
// Release or its end. It is for one goroutine.
type Link struct {
	path   string
	target string // what Point has made it point to
	lock   *lockFile
}

// ClaimLink takes the lock for a link at path, which is made absolute, and
// checks that the name is free: nothing is there, or a symbolic link that
// dangles, or one that a process now gone has left there according to the
// record in the lock file. What is there is not touched yet.
//
// The lock is runDir/lock/HEX, HEX being the SHA-256 of the absolute path;
// both directories are made if need be. The error is a *LinkError.
func ClaimLink(path, runDir string) (*Link, error) {
	abs, err := absoluteLink(path)
	if err != nil {
		return nil, err
	}
	if err := checkDirectory(abs); err != nil {
		return nil, err
	}
	lock, err := lockLink(runDir, abs)
	if errors.Is(err, errLocked) {
		return nil, &LinkError{
			Op: "claim", Path: abs, Found: "it is served" + byProcess(lock.record.PID),
			Advice: "stop that process or choose another name", Kind: ErrLinkServed,
		}
	}
	if errors.Is(err, errNotPrivate) {
		return nil, &LinkError{
			Op: "claim", Path: abs, Found: "its lock cannot be taken",
			Advice: "choose another run directory, or see who made this one", Kind: ErrLinkUnusable, Err: err,
		}
	}
	if err != nil {
		return nil, &LinkError{
			Op: "claim", Path: abs, Found: "its lock in " + filepath.Join(runDir, "lock") + " cannot be taken",
			Advice: "make that directory writable or choose another run directory", Kind: ErrLinkUnusable, Err: err,
		}
	}
	l := &Link{path: abs, lock: lock}
	if err := l.checkFree("claim"); err != nil {
		return nil, errors.Join(err, lock.abandon())
	}
	// The targets of a process now gone stay on record until Point: should we
	// be killed before, its link is still known as left behind.
	claim := record{Version: recordVersion, Link: abs, Targets: lock.record.Targets, PID: os.Getpid()}
	if err := lock.write(claim); err != nil {
		return nil, errors.Join(l.unusable("claim", "its record cannot be written", err), lock.abandon())
	}
	return l, nil
}

// Path is the link's absolute path.
func (l *Link) Path() string { return l.path }

// Target is what Point last made the link point to, empty before.
func (l *Link) Target() string { return l.target }

// Point makes the link point to target, atomically: at no moment is there no
// link. What stands at the path is checked again first, as in ClaimLink. The
// error is a *LinkError, and then the link is as it was.
func (l *Link) Point(target string) error {
	if err := l.checkFree("point"); err != nil {
		return err
	}
	// Both targets are on record while either may be what a SIGKILL leaves.
	before := l.lock.record
	moving := before
	moving.Targets = append(slices.Clone(before.Targets), target)
	if err := l.lock.write(moving); err != nil {
		return l.unusable("point", "its record cannot be written", err)
	}
	if err := l.replace(target); err != nil {
		return errors.Join(err, l.lock.write(before))
	}
	l.target = target
	moving.Targets = []string{target}
	if err := l.lock.write(moving); err != nil {
		return l.unusable("point", "its record cannot be written", err)
	}
	return nil
}

func (l *Link) replace(target string) error {
	// Where nothing is, symlink(2) is atomic and never replaces what somebody
	// else has just put there.
	err := os.Symlink(target, l.path)
	if err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrExist) {
		return l.unusable("point", "it cannot be made", err)
	}
	// The temporary name is this link's own, and we have its lock: one that is
	// there was left by a process that was killed here.
	temporary := filepath.Join(filepath.Dir(l.path), ".vcomd-"+lockName(l.path)[:16])
	if err := removeSymlink(temporary); err != nil {
		return l.unusable("point", "its temporary name "+temporary+" is taken", err)
	}
	if err := os.Symlink(target, temporary); err != nil {
		return l.unusable("point", "it cannot be made", err)
	}
	if err := os.Rename(temporary, l.path); err != nil {
		return l.unusable("point", "it cannot be replaced", errors.Join(err, removeSymlink(temporary)))
	}
	return nil
}

// Release removes the link if it still points where Point made it point to,
// and gives the lock back. A link that is gone or is another's now is left as
// it is, without an error. Release is to be called once.
func (l *Link) Release() error {
	var err error
	if now, readErr := os.Readlink(l.path); readErr == nil && l.target != "" && now == l.target {
		err = removeSymlink(l.path)
	}
	if err != nil {
		// The record stays, for the next process to know the link by.
		return errors.Join(&LinkError{
			Op: "release", Path: l.path, Found: "it cannot be removed",
			Advice: "remove it by hand", Kind: ErrLinkUnusable, Err: err,
		}, l.lock.f.Close())
	}
	if err := l.lock.remove(); err != nil {
		return l.unusable("release", "its lock cannot be removed", err)
	}
	return nil
}

// Leave gives the lock back and leaves the link where it is, on record: a process that
// goes on with its terminal claims it again. It is called in place of Release.
func (l *Link) Leave() error { return l.lock.f.Close() }

// abandon gives the lock back and leaves the record as it was found; a lock
// file that holds none is our own making and goes.
func (l *lockFile) abandon() error {
	if l.record.Version == 0 {
		return l.remove()
	}
	return l.f.Close()
}

// checkFree decides whether the name may be used. The lock must be held: it is
// what makes a record speak of a process that is gone, or of ourselves.
func (l *Link) checkFree(op string) error {
	info, err := os.Lstat(l.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return l.unusable(op, "it cannot be looked at", err)
	case info.Mode()&fs.ModeSymlink == 0:
		return &LinkError{
			Op: op, Path: l.path, Found: describe(info.Mode()) + " is there",
			Advice: "remove it or choose another name", Kind: ErrLinkTaken,
		}
	}
	target, err := os.Readlink(l.path)
	if err != nil {
		return l.unusable(op, "it cannot be read", err)
	}
	if l.lock.record.owns(l.path, target) {
		return nil
	}
	// Only "no such file" is dangling; whatever cannot be looked at may live.
	if _, err := os.Stat(l.path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return &LinkError{
		Op: op, Path: l.path, Found: "a link to " + target + " is there, made by another program",
		Advice: "remove it or choose another name", Kind: ErrLinkTaken,
	}
}

func (l *Link) unusable(op, found string, err error) error {
	return &LinkError{
		Op: op, Path: l.path, Found: found,
		Advice: "check the permissions of " + filepath.Dir(l.path) + " or choose another name",
		Kind:   ErrLinkUnusable, Err: err,
	}
}

func absoluteLink(path string) (string, error) {
	if path == "" {
		return "", &LinkError{
			Op: "claim", Path: `""`, Found: "the path is empty",
			Advice: "give the path of the link", Kind: ErrLinkUnusable,
		}
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", &LinkError{
			Op: "claim", Path: path, Found: "the path cannot be made absolute",
			Advice: "give an absolute path", Kind: ErrLinkUnusable, Err: err,
		}
	}
	return abs, nil
}

// checkDirectory finds early what Point would fail on: a port should not be
// set up for a link that can never be made.
func checkDirectory(link string) error {
	dir := filepath.Dir(link)
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return &LinkError{
			Op: "claim", Path: link, Found: dir + " is not a directory",
			Advice: "choose another name", Kind: ErrLinkUnusable,
		}
	}
	err := unix.Faccessat(unix.AT_FDCWD, dir, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	if err == nil {
		return nil
	}
	e := &LinkError{Op: "claim", Path: link, Kind: ErrLinkUnusable, Err: err}
	switch {
	case errors.Is(err, unix.ENOENT):
		e.Found, e.Advice = "directory "+dir, "make it or choose another name"
	default:
		e.Found, e.Advice = "the directory "+dir+" is not writable", "change its permissions or choose another name"
	}
	return e
}

// removeSymlink removes a symbolic link and nothing else; none is fine.
func removeSymlink(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink == 0:
		return fs.ErrExist
	default:
		return os.Remove(path)
	}
}

func byProcess(pid int) string {
	if pid <= 0 {
		return " by another process"
	}
	return " by process " + strconv.Itoa(pid)
}

func describe(mode fs.FileMode) string {
	switch mode.Type() {
	case 0:
		return "a regular file"
	case fs.ModeDir:
		return "a directory"
	case fs.ModeSymlink:
		return "a symbolic link"
	case fs.ModeNamedPipe:
		return "a named pipe"
	case fs.ModeSocket:
		return "a socket"
	case fs.ModeDevice, fs.ModeDevice | fs.ModeCharDevice:
		return "a device node"
	default:
		return "something else than a link"
	}
}
