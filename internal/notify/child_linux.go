package notify

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// childVariable tells a process that it is to become a program: the descriptor of
// its socket, whether it may gain privileges, and the requests.
const childVariable = "VCOMD_RUN_CHILD"

// step is what the child was at when it failed.
type step uint8

const (
	stepNone step = iota
	stepNoNewPrivs
	stepFilter
	stepListener
	stepExec
)

func (s step) String() string {
	switch s {
	case stepNoNewPrivs:
		return "set no_new_privs"
	case stepFilter:
		return "install the seccomp filter"
	case stepListener:
		return "hand the seccomp listener over"
	case stepExec:
		return "execute the program"
	default:
		return "start"
	}
}

// MaybeChild turns the process into the program, if Start has started it, and never
// returns then. It is to be called first of all in main.
func MaybeChild() {
	how, ok := os.LookupEnv(childVariable)
	if !ok {
		return
	}
	// The filter is the thread's, and so it has to be this one that executes.
	runtime.LockOSThread()
	socket, at, err := become(how)
	// Only on a failure: the supervisor tells it, and which exit status it means.
	var errno unix.Errno
	errors.As(err, &errno)
	report := binary.LittleEndian.AppendUint32([]byte{byte(at)}, uint32(errno))
	_, _ = unix.Write(socket, report)
	os.Exit(125)
}

func become(how string) (socket int, at step, err error) {
	fields := strings.Split(how, ",")
	if len(fields) < 3 {
		return -1, stepNone, unix.EINVAL
	}
	if socket, err = strconv.Atoi(fields[0]); err != nil {
		return -1, stepNone, unix.EINVAL
	}
	unix.CloseOnExec(socket)
	var requests []uint32
	for _, f := range fields[2:] {
		n, err := strconv.ParseUint(f, 16, 32)
		if err != nil {
			return socket, stepNone, unix.EINVAL
		}
		requests = append(requests, uint32(n))
	}
	program, err := exec.LookPath(os.Args[0])
	if err != nil {
		return socket, stepExec, lookError(err)
	}
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, childVariable+"=") {
			env = append(env, v)
		}
	}
	if fields[1] == "1" {
		if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
			return socket, stepNoNewPrivs, err
		}
	}
	listener, err := install(requests)
	if err != nil {
		return socket, stepFilter, err
	}
	if err := unix.Sendmsg(socket, []byte{byte(stepNone)}, unix.UnixRights(listener), nil, 0); err != nil {
		return socket, stepListener, err
	}
	// From here on an ioctl of ours is answered by the supervisor: not before it
	// says that it has the listener.
	var ack [1]byte
	if n, err := unix.Read(socket, ack[:]); n != 1 {
		return socket, stepListener, errors.Join(err, unix.EPIPE)
	}
	_ = unix.Close(listener)
	return socket, stepExec, syscall.Exec(program, os.Args, env) //nolint:gosec // that is what it is for
}

// lookError gives the number for what exec.LookPath says in words.
func lookError(err error) error {
	if errno, ok := errors.AsType[unix.Errno](err); ok {
		return errno
	}
	if errors.Is(err, os.ErrPermission) {
		return unix.EACCES
	}
	return unix.ENOENT
}

// install installs the filter for this thread and what it executes.
func install(requests []uint32) (listener int, err error) {
	raw, err := assemble(abis, requests)
	if err != nil {
		return -1, fmt.Errorf("%w: %w", unix.EINVAL, err)
	}
	filter := make([]unix.SockFilter, len(raw))
	for i, r := range raw {
		filter[i] = unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K}
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]} //nolint:gosec // bounded by assemble
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER|unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}
