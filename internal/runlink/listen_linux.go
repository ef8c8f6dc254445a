package runlink

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/pty"
)

// ErrTaken says that another vcomd listens there.
var ErrTaken = errors.New("another vcomd serves a port of this name; choose another with --name")

// dialTimeout is how long it may take to find out whether somebody listens.
const dialTimeout = time.Second

// Listen makes the socket at path, for the owner and a group (-1: the process's
// own). A socket that nobody listens at any more is replaced.
func Listen(ctx context.Context, path string, gid int) (net.Listener, error) {
	fail := func(err error) (net.Listener, error) {
		return nil, fmt.Errorf("cannot listen at %s: %w", path, err)
	}
	if err := pty.PrepareRunDir(filepath.Dir(path)); err != nil {
		return fail(err)
	}
	if err := removeStale(ctx, path); err != nil {
		return fail(err)
	}
	// Nobody may connect before the permissions are set: the socket is made
	// under another name.
	temporary := fmt.Sprintf("%s.%d", path, os.Getpid())
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "unixpacket", temporary)
	if err != nil {
		return fail(err)
	}
	unixLn, ok := ln.(*net.UnixListener)
	if !ok {
		return fail(errors.Join(errors.ErrUnsupported, ln.Close()))
	}
	unixLn.SetUnlinkOnClose(false)
	const mode = 0o660
	err = os.Chmod(temporary, mode)
	if err == nil && gid >= 0 {
		err = os.Chown(temporary, -1, gid)
	}
	if err == nil {
		err = os.Rename(temporary, path)
	}
	l := &listener{UnixListener: unixLn, path: path}
	if err == nil {
		err = unix.Lstat(path, &l.made)
	}
	if err != nil {
		return fail(errors.Join(err, ln.Close(), os.Remove(temporary)))
	}
	return l, nil
}

// removeStale removes a socket that nobody listens at.
func removeStale(ctx context.Context, path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("something else is there (%v); remove it or choose another --name", info.Mode())
	}
	d := net.Dialer{Timeout: dialTimeout}
	conn, err := d.DialContext(ctx, "unixpacket", path)
	switch {
	case err == nil:
		return errors.Join(ErrTaken, conn.Close())
	case errors.Is(err, unix.ECONNREFUSED):
		return os.Remove(path)
	default:
		return err
	}
}

// listener removes its socket at the end, if it is still its own.
type listener struct {
	*net.UnixListener
	path string
	made unix.Stat_t
}

func (l *listener) Close() error {
	var st unix.Stat_t
	// Numbers of inodes are used again at once: the time tells them apart.
	if unix.Lstat(l.path, &st) == nil && st.Ino == l.made.Ino && st.Ctim == l.made.Ctim {
		_ = os.Remove(l.path)
	}
	return l.UnixListener.Close()
}
