package seccomp

import (
	"encoding/binary"
	"errors"
	"os"
	"runtime"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// childName is the first argument of a process that is to become a program. The others are its socket's descriptor, one of
// the modes, the program's path, and the program's own arguments.
const (
	childName = "vcomd run: becoming the program"
	childArgs = 4 // before the program's own

	modeNoNewPrivs   = "no-new-privs"
	modeKeepPrivs    = "keep-privileges"
	exitChildFailure = 125
)

// maxMessage is more than any message between the two takes: a program is the longest.
const maxMessage = (maxRequests + 50) * sockFilterSize

// sockFilterSize is that of struct sock_filter.
const sockFilterSize = 8

// step is what a child was at when it failed.
type step uint8

const (
	stepReady      step = iota // nothing has failed
	stepStart                  // it could not understand its parent
	stepNoNewPrivs             // prctl
	stepNotify                 // there is no user notification
	stepKillable               // there is no WAIT_KILLABLE_RECV
	stepFilter                 // another reason not to install the filter
	stepListener               // to hand the listener over
	stepExec                   // execve
)

// MaybeChild turns the process into a program, if it was started by [Start] for that, and then does not return. It is to be
// called before anything else in main.
func MaybeChild() {
	if len(os.Args) <= childArgs || os.Args[0] != childName {
		return
	}
	// The filter is this thread's, and so it must be this one that executes.
	runtime.LockOSThread()
	socket, err := strconv.Atoi(os.Args[1])
	if err != nil {
		os.Exit(exitChildFailure)
	}
	unix.CloseOnExec(socket)
	at, err := become(socket, os.Args[2] == modeNoNewPrivs, os.Args[3], os.Args[childArgs:])
	// Only failures come here. What they mean is the parent's to say.
	var errno unix.Errno
	_ = errors.As(err, &errno)
	_, _ = unix.Write(socket, binary.LittleEndian.AppendUint32([]byte{byte(at)}, uint32(errno)))
	os.Exit(exitChildFailure)
}

// become makes this process the program. It returns only when that fails.
func become(socket int, noNewPrivs bool, path string, argv []string) (step, error) {
	message := make([]byte, maxMessage)
	n, err := readMessage(socket, message)
	if err != nil {
		return stepStart, err
	}
	filter := decodeFilter(message[:n])
	if len(filter) == 0 {
		return stepStart, unix.EPIPE // the parent has gone
	}
	if noNewPrivs {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return stepNoNewPrivs, err
		}
	}
	listener, at, err := install(filter)
	if err != nil {
		return at, err
	}
	if err := unix.Sendmsg(socket, []byte{byte(stepReady)}, unix.UnixRights(listener), nil, 0); err != nil {
		return stepListener, err
	}
	// The program must not outlive a parent that never got the listener.
	if n, err := readMessage(socket, message); err != nil || n == 0 {
		return stepListener, errors.Join(err, unix.EPIPE)
	}
	if err := unix.Close(listener); err != nil {
		return stepListener, err
	}
	env := os.Environ()
	err = syscall.Exec(path, argv, env) //nolint:gosec // that is what it is for
	if errors.Is(err, unix.ENOEXEC) {
		// A script without #!, which execvp(3) and all shells have sh read.
		err = syscall.Exec("/bin/sh", append([]string{argv[0], path}, argv[1:]...), env) //nolint:gosec // as above
	}
	return stepExec, err
}

// install installs the filter for this thread and what it will execute.
func install(filter []unix.SockFilter) (listener int, at step, err error) {
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	// SPEC_ALLOW: before Linux 5.16 a filter turned mitigations against speculation on, which is for filters that confine.
	const flags = unix.SECCOMP_FILTER_FLAG_NEW_LISTENER | unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV | unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW
	fd, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flags, uintptr(unsafe.Pointer(&program)))
	switch errno {
	case 0:
		return int(fd), stepReady, nil
	case unix.EINVAL, unix.ENOSYS:
		return -1, missing(), errno
	default:
		return -1, stepFilter, errno
	}
}

// missing finds out what a kernel lacks that does not know the flags.
func missing() step {
	action := uint32(unix.SECCOMP_RET_USER_NOTIF)
	_, _, errno := unix.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_GET_ACTION_AVAIL, 0, uintptr(unsafe.Pointer(&action)))
	if errno != 0 {
		return stepNotify
	}
	return stepKillable
}

// encodeFilter makes a message of a program.
func encodeFilter(raw []bpf.RawInstruction) []byte {
	b := make([]byte, 0, len(raw)*sockFilterSize)
	for _, r := range raw {
		b = binary.LittleEndian.AppendUint16(b, r.Op)
		b = append(b, r.Jt, r.Jf)
		b = binary.LittleEndian.AppendUint32(b, r.K)
	}
	return b
}

// decodeFilter is its inverse.
func decodeFilter(b []byte) []unix.SockFilter {
	filter := make([]unix.SockFilter, 0, len(b)/sockFilterSize)
	for ; len(b) >= sockFilterSize; b = b[sockFilterSize:] {
		filter = append(filter, unix.SockFilter{
			Code: binary.LittleEndian.Uint16(b), Jt: b[2], Jf: b[3], K: binary.LittleEndian.Uint32(b[4:]),
		})
	}
	return filter
}

// readMessage reads one message; 0 bytes are the end.
func readMessage(socket int, p []byte) (int, error) {
	for {
		n, err := unix.Read(socket, p)
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
