package pty

import (
	"errors"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Saved is what a [Master] knows besides its descriptor, for another process to go on
// with.
type Saved struct {
	Lockable   bool         `json:"lockable,omitempty"`
	Released   bool         `json:"released,omitempty"`
	Known      unix.Termios `json:"known"`
	Fresh      unix.Termios `json:"fresh"`
	Abandoned  bool         `json:"abandoned,omitempty"`
	Pending    Status       `json:"pending,omitempty"`
	HangupSeen bool         `json:"hangup_seen,omitempty"`
	Written    bool         `json:"written,omitempty"`
}

// Save ends the Master as far as this process goes: the descriptor is the caller's,
// and no program notices.
func (m *Master) Save() (Saved, int) {
	fd := m.fd
	m.fd = -1
	return Saved{m.lockable, m.released, m.known, m.fresh, m.abandoned, m.pending, m.hangupSeen, m.written}, fd
}

// Restore makes the Master that was saved of its descriptor, which it then has. The
// error is an *OpError; then the descriptor is still the caller's.
func Restore(fd int, s Saved) (*Master, error) {
	number, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err == nil {
		err = os.NewSyscallError("fcntl", unix.SetNonblock(fd, true))
	}
	if err != nil {
		return nil, &OpError{Op: "go on with a pseudo-terminal", Err: errors.Join(errors.New("the descriptor is none of a master"), err)}
	}
	unix.CloseOnExec(fd)
	return &Master{
		descriptor: descriptor{fd: fd}, path: "/dev/pts/" + strconv.FormatUint(uint64(number), 10),
		lockable: s.Lockable, released: s.Released, known: s.Known, fresh: s.Fresh, abandoned: s.Abandoned, pending: s.Pending,
		hangupSeen: s.HangupSeen, written: s.Written,
	}, nil
}
