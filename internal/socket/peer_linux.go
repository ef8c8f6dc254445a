package socket

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"slices"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Peer is who is at the other end of a connection, as the kernel says
// (SO_PEERCRED, unix(7)): when it connected, or when it began to listen.
type Peer struct {
	PID, UID, GID int
	groups        []int // supplementary
}

// PeerOf asks who is at the other end.
func PeerOf(c *net.UnixConn) (p Peer, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return p, err
	}
	var doErr error
	err = raw.Control(func(fd uintptr) {
		var cred *unix.Ucred
		if cred, doErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); doErr != nil {
			doErr = os.NewSyscallError("getsockopt", doErr)
			return
		}
		p.PID, p.UID, p.GID = int(cred.Pid), int(cred.Uid), int(cred.Gid)
		p.groups = peerGroups(int(fd))
	})
	return p, errors.Join(err, doErr)
}

// maxGroups is how many supplementary groups are looked at: NGROUPS_MAX.
const maxGroups = 65536

// peerGroups asks for the peer's supplementary groups (SO_PEERGROUPS, socket(7),
// Linux 4.13). Without an answer there are none.
func peerGroups(fd int) []int {
	list := make([]uint32, 32)
	for {
		size := uint32(4 * len(list))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&list[0])), uintptr(unsafe.Pointer(&size)), 0)
		n := int(size / 4)
		switch {
		case errno == unix.ERANGE && n > len(list) && n <= maxGroups:
			list = make([]uint32, n) // the kernel has said how many there are
			continue
		case errno != 0 || n > len(list):
			return nil
		}
		groups := make([]int, n)
		for i, g := range list[:n] {
			groups[i] = int(g)
		}
		return groups
	}
}

// Permits reports whether a peer may do what the socket's mode is to allow: a mode
// does not bind who has CAP_DAC_OVERRIDE, nor whom a connection was given.
func (s Socket) Permits(p Peer) bool {
	uid, gid := s.UID, s.GID
	if uid < 0 {
		uid = os.Geteuid()
	}
	if gid < 0 {
		gid = os.Getegid()
	}
	switch p.UID {
	case 0, os.Geteuid(), uid:
		return true
	}
	return s.mode()&groupMode != fs.FileMode(0) && (p.GID == gid || slices.Contains(p.groups, gid))
}
