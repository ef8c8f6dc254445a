// Package socket makes the Unix sockets of a run directory: each has a name, an
// owner, a group and a mode before anybody can connect; one that is stale is
// replaced, and one that is alive is not; and it is removed by who has made it.
package socket

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/pty"
)

// ErrNameTaken says that another vcomd listens on the socket of this name.
var ErrNameTaken = errors.New("the name is taken")

// Error says in three parts why there can be no socket. Kind is
// ErrNameTaken or nil.
type Error struct {
	Path   string // the socket's
	Found  string // what stood in the way
	Advice string // what to do next
	Kind   error
	Err    error // the system's, nil if none was involved
}

// Error implements error.
func (e *Error) Error() string {
	s := "cannot make the socket " + e.Path + ": " + e.Found
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s + "; " + e.Advice
}

// Unwrap returns Kind and Err.
func (e *Error) Unwrap() []error {
	var all []error
	for _, err := range []error{e.Kind, e.Err} {
		if err != nil {
			all = append(all, err)
		}
	}
	return all
}

// Socket says where a vcomd listens, and who may connect.
type Socket struct {
	RunDir   string      // made if it is not there
	Name     string      // of the file, without a slash
	Packets  bool        // SOCK_SEQPACKET, not SOCK_STREAM
	UID, GID int         // who owns the tty; -1: this process does
	Mode     fs.FileMode // of the tty: who may write it may connect, others aside
}

// network is what package net calls the kind.
func network(packets bool) string {
	if packets {
		return "unixpacket"
	}
	return "unix"
}

// Permissions of a socket.
const (
	ownerMode fs.FileMode = 0o600
	groupMode fs.FileMode = 0o060
)

func (s Socket) mode() fs.FileMode {
	if s.Mode&groupMode == groupMode {
		return ownerMode | groupMode
	}
	return ownerMode
}

// How long it may take to find out who has a socket, and to have the directory's
// lock, which others hold as long.
const (
	dialTimeout = time.Second
	lockTimeout = 5 * time.Second
	lockTry     = 5 * time.Millisecond
)

// Listener is a socket. It removes it at the end, if it is still the same.
type Listener struct {
	*net.UnixListener
	path string
	made unix.Stat_t
	lock string // directory

	close    sync.Once
	closeErr error
}

// Listen makes the socket. The error is an *Error.
func (s Socket) Listen(ctx context.Context) (*Listener, error) {
	path := filepath.Join(s.RunDir, s.Name)
	fail := func(found string, err error, advice string) (*Listener, error) {
		return nil, &Error{Path: path, Found: found, Advice: advice, Err: err}
	}
	const otherDir = "choose another directory with --run-dir"
	if err := pty.PrepareRunDir(s.RunDir); err != nil {
		return fail("the directory cannot be used", err, otherDir)
	}
	lock := filepath.Join(s.RunDir, "lock")
	dir, err := lockDirectory(ctx, lock)
	if err != nil {
		return fail("the directory cannot be locked", err, otherDir)
	}
	defer func() { _ = dir.Close() }() // and unlock it
	if err := removeStale(ctx, path, s.Packets); err != nil {
		return nil, err
	}
	l, err := s.publish(ctx, dir, path)
	if err != nil {
		return fail("it does not work", err, "choose another --name or --run-dir")
	}
	l.lock = lock
	return l, nil
}

// lockDirectory takes the lock that is held while sockets come and go. The
// directory is this user's own: who can open it could lock it for ever.
func lockDirectory(ctx context.Context, path string) (*os.File, error) {
	const mode = 0o700
	if err := os.MkdirAll(path, mode); err != nil {
		return nil, err
	}
	dir, err := os.OpenFile(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*os.File, error) { return nil, errors.Join(err, dir.Close()) }
	st, err := stat(dir)
	if err != nil {
		return fail(err)
	}
	if int(st.Uid) != os.Geteuid() || st.Mode&0o077 != 0 {
		return fail(fmt.Errorf("%s belongs to user %d with mode %03o: others could change what is there", path, st.Uid, st.Mode&0o777))
	}
	ctx, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	try := time.NewTicker(lockTry)
	defer try.Stop()
	for {
		err := onDescriptor(dir, func(fd int) error { return unix.Flock(fd, unix.LOCK_EX|unix.LOCK_NB) })
		switch {
		case err == nil:
			return dir, nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return fail(os.NewSyscallError("flock", err))
		}
		select {
		case <-try.C:
		case <-ctx.Done():
			return fail(fmt.Errorf("another vcomd has locked %s: %w", path, context.Cause(ctx)))
		}
	}
}

// onDescriptor runs do without os.File.Fd, which would make the file blocking.
func onDescriptor(f *os.File, do func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var doErr error
	return errors.Join(raw.Control(func(fd uintptr) { doErr = do(int(fd)) }), doErr)
}

func stat(f *os.File) (st unix.Stat_t, err error) {
	err = onDescriptor(f, func(fd int) error { return unix.Fstat(fd, &st) })
	return st, err
}

// removeStale removes a socket that nobody listens on.
func removeStale(ctx context.Context, path string, packets bool) error {
	conn, err := Dial(ctx, path, packets)
	fail := func(found string, err error, advice string) error {
		return &Error{Path: path, Found: found, Err: err, Advice: advice}
	}
	switch {
	case err == nil:
		found := "the name is taken by another vcomd"
		if peer, err := PeerOf(conn); err == nil {
			found = fmt.Sprintf("the name is taken by process %d", peer.PID)
		}
		_ = conn.Close() // nothing was said
		return &Error{Path: path, Found: found, Advice: "choose another with --name", Kind: ErrNameTaken}
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, unix.ECONNREFUSED):
		if err := os.Remove(path); err != nil {
			return fail("nobody listens there any more, but it cannot be removed", err, "remove it, or choose another --name")
		}
		return nil
	case errors.Is(err, ErrNotSocket):
		return fail("something else is there", err, "remove it, or choose another --name")
	default:
		// Whoever has it lives: a full queue, no permission.
		return &Error{Path: path, Found: "the name is taken", Err: err, Advice: "choose another with --name", Kind: ErrNameTaken}
	}
}

// publish makes the socket in the locked directory, where nobody can connect, and
// gives it its name when it has its permissions. Paths go through the descriptor
// of a directory: an address has 107 bytes only (unix(7)).
func (s Socket) publish(ctx context.Context, dir *os.File, path string) (l *Listener, err error) {
	temporary := filepath.Join(dir.Name(), "new.socket")
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err // a killed vcomd has left it
	}
	var ln net.Listener
	err = onDescriptor(dir, func(fd int) (err error) {
		var lc net.ListenConfig
		ln, err = lc.Listen(ctx, network(s.Packets), descriptorPath(fd)+"/"+filepath.Base(temporary))
		return err
	})
	if err != nil {
		return nil, withoutAddress(err)
	}
	unixLn, ok := ln.(*net.UnixListener)
	if !ok {
		return nil, errors.Join(errors.ErrUnsupported, ln.Close())
	}
	unixLn.SetUnlinkOnClose(false)
	l = &Listener{UnixListener: unixLn, path: path}
	defer func() {
		if err != nil {
			err = errors.Join(err, unixLn.Close())
			_ = os.Remove(temporary)
		}
	}()
	if s.UID >= 0 || s.GID >= 0 {
		if err := os.Chown(temporary, s.UID, s.GID); err != nil {
			return nil, err
		}
	}
	if err := os.Chmod(temporary, s.mode()); err != nil {
		return nil, err
	}
	err = unix.Renameat2(unix.AT_FDCWD, temporary, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) { // a file system that cannot tell; the lock keeps other vcomds away
		err = unix.Rename(temporary, path)
	}
	if err != nil {
		return nil, os.NewSyscallError("rename", err)
	}
	if err := unix.Lstat(path, &l.made); err != nil {
		return nil, errors.Join(os.NewSyscallError("lstat", err), os.Remove(path))
	}
	return l, nil
}

// descriptorPath is a short path to what a descriptor of this process is open for
// (proc_pid_fd(5)).
func descriptorPath(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// withoutAddress leaves out the address of an error: it is one of /proc.
func withoutAddress(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}

// Close ends the listening, and removes the socket unless another has taken its
// place. It may be called again.
func (l *Listener) Close() error {
	l.close.Do(func() { l.closeErr = errors.Join(l.remove(), l.UnixListener.Close()) })
	return l.closeErr
}

func (l *Listener) remove() error {
	dir, err := lockDirectory(context.Background(), l.lock)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // somebody has cleared everything away
	}
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	var st unix.Stat_t
	// The inode is not used again while this process listens on it.
	if unix.Lstat(l.path, &st) == nil && st.Dev == l.made.Dev && st.Ino == l.made.Ino {
		return os.Remove(l.path)
	}
	return nil
}

// ErrNotSocket says that a file of another kind stands at a socket's path.
var ErrNotSocket = errors.New("it is not a socket")

// Dial connects to a socket whose path may be longer than an address. A symbolic
// link is not followed.
func Dial(ctx context.Context, path string, packets bool) (*net.UnixConn, error) {
	f, err := os.OpenFile(path, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only looked at
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return nil, fmt.Errorf("%w, but %v", ErrNotSocket, info.Mode())
	}
	var conn net.Conn
	err = onDescriptor(f, func(fd int) (err error) {
		d := net.Dialer{Timeout: dialTimeout}
		conn, err = d.DialContext(ctx, network(packets), descriptorPath(fd))
		return err
	})
	if err != nil {
		return nil, withoutAddress(err)
	}
	unixConn, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(errors.ErrUnsupported, conn.Close())
	}
	return unixConn, nil
}
