package pty

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// errLocked: another process holds the lock.
var errLocked = errors.New("locked by another process")

// lockFile is a locked file that holds a link's record. flock(2) ends with the
// process, however that ends.
type lockFile struct {
	f      *os.File
	path   string
	record record
}

// lockName is the file's name for a link: its path as such may be too long for
// a file name, and holds slashes.
func lockName(link string) string {
	sum := sha256.Sum256([]byte(link))
	return hex.EncodeToString(sum[:])
}

// checkPrivate refuses a directory that somebody else may have prepared or can
// change: a run directory may be in a /tmp that all users share. A shared one may
// also be root's, and one like /tmp itself, where nobody can replace what is
// another's.
func checkPrivate(dir string, shared bool) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is %s: %w", dir, describe(info.Mode()), errNotPrivate)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() && (!shared || st.Uid != 0) {
		return fmt.Errorf("%s belongs to user %d: %w", dir, st.Uid, errNotPrivate)
	}
	const group, others = 0o020, 0o002
	refused := fs.FileMode(group | others)
	if shared {
		refused = others
		if info.Mode()&fs.ModeSticky != 0 {
			refused = 0
		}
	}
	if info.Mode()&refused != 0 {
		return fmt.Errorf("%s is writable by others (%v): %w", dir, info.Mode(), errNotPrivate)
	}
	return nil
}

// errNotPrivate: other users can change what is in the directory.
var errNotPrivate = errors.New("locks there would not be safe from other users")

// lockLink takes the lock for an absolute link path. With errLocked the
// returned lockFile is not nil and holds the record of whoever has the lock,
// but nothing else of it may be used.
func lockLink(runDir, link string) (*lockFile, error) {
	dir := filepath.Join(runDir, "lock")
	if err := PrepareRunDir(runDir); err != nil {
		return nil, err
	}
	// The locks are nobody's business: who can open one can lock it for ever.
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := checkPrivate(dir, false); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, lockName(link))
	for {
		l, err := openLock(path)
		if err != nil {
			return l, err
		}
		// Whoever releases a link removes its file before unlocking it, so
		// what we waited for may no longer be the file at path.
		current, err := l.isCurrent()
		if err != nil {
			return nil, errors.Join(err, l.f.Close())
		}
		if current {
			return l, nil
		}
		if err := l.f.Close(); err != nil {
			return nil, err
		}
	}
}

// PrepareRunDir makes the directory for locks and sockets, if need be, and refuses
// one in which others than its owner and root can change what is there.
func PrepareRunDir(dir string) error {
	// It holds sockets that others may connect to.
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // see above
		return err
	}
	return checkPrivate(dir, true)
}

func openLock(path string) (*lockFile, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	l := &lockFile{f: f, path: path}
	err = l.control(func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		l.read()
		return l, errors.Join(errLocked, f.Close())
	case err != nil:
		return nil, errors.Join(os.NewSyscallError("flock", err), f.Close())
	}
	l.read()
	return l, nil
}

// control runs do on the descriptor without os.File.Fd, which would make the
// file blocking.
func (l *lockFile) control(do func(fd int) error) error {
	raw, err := l.f.SyscallConn()
	if err != nil {
		return err
	}
	var doErr error
	err = raw.Control(func(fd uintptr) {
		for {
			doErr = do(int(fd))
			if !errors.Is(doErr, unix.EINTR) {
				return
			}
		}
	})
	return errors.Join(err, doErr)
}

func (l *lockFile) isCurrent() (bool, error) {
	opened, err := l.f.Stat()
	if err != nil {
		return false, err
	}
	there, err := os.Lstat(l.path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return os.SameFile(opened, there), nil
}

// read fills in the record; one that is missing or not understood is zero and
// owns nothing.
func (l *lockFile) read() {
	b, err := io.ReadAll(io.NewSectionReader(l.f, 0, maxRecord))
	if err != nil {
		return
	}
	if r, err := parseRecord(b); err == nil {
		l.record = r
	}
}

// write replaces the record. The new one is complete before the rest of a
// longer old one is cut off: a process killed in between leaves a record that
// parseRecord reads.
func (l *lockFile) write(r record) error {
	b, err := r.marshal()
	if err != nil {
		return err
	}
	if _, err := l.f.WriteAt(b, 0); err != nil {
		return err
	}
	if err := l.f.Truncate(int64(len(b))); err != nil {
		return err
	}
	l.record = r
	return nil
}

// remove deletes the file, then unlocks it: in this order nobody can lock a
// file that is about to be deleted without noticing (see lockLink).
func (l *lockFile) remove() error {
	err := os.Remove(l.path)
	if closeErr := l.f.Close(); closeErr != nil {
		err = errors.Join(err, closeErr)
	}
	if err != nil {
		return fmt.Errorf("link record: %w", err)
	}
	return nil
}
