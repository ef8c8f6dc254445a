package seccomp

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// Errors of Start. Use errors.Is; the cause is wrapped too.
var (
	// ErrKernel: the kernel lacks what it takes. The message says what.
	ErrKernel = errors.New("the kernel cannot show a program's ioctls to another process")
	// ErrNested: this process is itself supervised. A task has one listener at most.
	ErrNested = errors.New("the ioctls of this process are shown to another supervisor already")
	// ErrPrivilege: without no_new_privs only CAP_SYS_ADMIN may install a filter.
	ErrPrivilege = errors.New("a filter without no_new_privs needs CAP_SYS_ADMIN")
	// ErrNotFound: there is no such program. Shells exit with 127 then.
	ErrNotFound = errors.New("there is no such program")
	// ErrNotExecutable: the program cannot be executed. Shells exit with 126 then.
	ErrNotExecutable = errors.New("the program cannot be executed")
)

// Options say how a program is started.
type Options struct {
	// Argv is the program's. The first element is looked up in PATH if it has no slash.
	Argv []string
	// Env is the program's environment.
	Env []string
	// Dir is the program's working directory; a relative path in Argv is relative to it. Empty is this process's.
	Dir string
	// Requests are the ioctls that the supervisor sees, at most 200: see [Filter].
	Requests []uint32
	// KeepPrivileges leaves no_new_privs unset, which makes set-uid programs inert. It needs CAP_SYS_ADMIN.
	KeepPrivileges bool
	// Adopt makes this process the parent of what the program leaves behind (PR_SET_CHILD_SUBREAPER), as daemons do. Without it
	// an ordinary user may not look into those (ptrace_scope 1 of Yama). The process must have no other children:
	// [Process.Wait] waits for any.
	Adopt bool
}

// Start starts a program with this process's descriptors, terminal and process group. It returns when the program is being
// executed; its first filtered call waits for [Supervisor.Run].
//
// Another fork by this process at the same time may pass on one end of a socket to its child.
func Start(o Options) (*Process, error) {
	if len(o.Argv) == 0 {
		return nil, fmt.Errorf("%w: no name given", ErrNotFound)
	}
	filter, err := Filter(runtime.GOARCH, o.Requests)
	if err != nil {
		return nil, err
	}
	path, err := lookPath(o.Argv[0])
	if err != nil {
		return nil, err
	}
	if o.Adopt {
		if err := unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0); err != nil {
			return nil, os.NewSyscallError("prctl(PR_SET_CHILD_SUBREAPER)", err)
		}
	}
	pid, socket, err := fork(o, path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(socket) }()
	p := &Process{pid: pid, adopts: o.Adopt, listener: -1}
	if err := p.handOver(socket, encodeFilter(filter)); err != nil {
		p.Kill()
		return nil, fmt.Errorf("%s: %w", o.Argv[0], err)
	}
	return p, nil
}

// lookPath finds a program as execvp(3) does.
func lookPath(name string) (string, error) {
	path, err := exec.LookPath(name)
	switch {
	case err == nil, errors.Is(err, exec.ErrDot):
		return path, nil
	case errors.Is(err, os.ErrPermission), errors.Is(err, unix.EISDIR):
		return "", fmt.Errorf("%w: %w", ErrNotExecutable, err)
	default:
		return "", fmt.Errorf("%w: %w", ErrNotFound, err)
	}
}

// fork starts the child, and returns its number and the socket to it.
func fork(o Options, path string) (pid, socket int, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, -1, os.NewSyscallError("socketpair", err)
	}
	defer func() { _ = unix.Close(pair[1]) }()
	// It keeps its number in the child: any other might be a descriptor that the program is to inherit.
	if _, err = unix.FcntlInt(uintptr(pair[1]), unix.F_SETFD, 0); err != nil {
		return 0, -1, errors.Join(os.NewSyscallError("fcntl", err), unix.Close(pair[0]))
	}
	mode := modeNoNewPrivs
	if o.KeepPrivileges {
		mode = modeKeepPrivs
	}
	argv := append([]string{childName, strconv.Itoa(pair[1]), mode, path}, o.Argv...)
	pid, err = syscall.ForkExec("/proc/self/exe", argv, &syscall.ProcAttr{Dir: o.Dir, Env: o.Env, Files: []uintptr{0, 1, 2}})
	if err != nil {
		return 0, -1, errors.Join(fmt.Errorf("start a child: %w", err), unix.Close(pair[0]))
	}
	return pid, pair[0], nil
}

// handOver gives the child its filter, takes the listener, and lets the child execute the program.
func (p *Process) handOver(socket int, filter []byte) error {
	if _, err := unix.Write(socket, filter); err != nil {
		return os.NewSyscallError("write", err)
	}
	message, rights := make([]byte, maxMessage), make([]byte, unix.CmsgSpace(4))
	n, oobn, err := receiveRights(socket, message, rights)
	if err != nil {
		return os.NewSyscallError("recvmsg", err)
	}
	// If it fails p has none, and is killed.
	if p.listener, err = listenerIn(rights[:oobn]); err != nil {
		return err
	}
	if p.listener < 0 {
		return childFailure(message[:n])
	}
	// From here on ^C and ^Z are the program's.
	p.catchSignals()
	if _, err := unix.Write(socket, []byte{byte(stepReady)}); err != nil {
		return os.NewSyscallError("write", err)
	}
	// Executing closes the child's end.
	n, err = readMessage(socket, message)
	switch {
	case err != nil:
		return os.NewSyscallError("read", err)
	case n > 0:
		return childFailure(message[:n])
	default:
		return nil
	}
}

func receiveRights(socket int, message, rights []byte) (n, oobn int, err error) {
	for {
		n, oobn, _, _, err = unix.Recvmsg(socket, message, rights, unix.MSG_CMSG_CLOEXEC)
		if !errors.Is(err, unix.EINTR) {
			return n, oobn, err
		}
	}
}

// listenerIn returns the descriptor that has come, -1 if none has.
func listenerIn(rights []byte) (int, error) {
	if len(rights) == 0 {
		return -1, nil
	}
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return -1, fmt.Errorf("the child's control message: %w", err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return -1, fmt.Errorf("the child's control message: %w", err)
	}
	return fds[0], nil
}

// childFailure makes an error of what a child tells.
func childFailure(message []byte) error {
	if len(message) != 5 {
		return errors.New("the child has ended before it was a program")
	}
	errno := unix.Errno(binary.LittleEndian.Uint32(message[1:]))
	switch at := step(message[0]); at {
	case stepNoNewPrivs:
		return fmt.Errorf("set no_new_privs: %w", errno)
	case stepNotify:
		return fmt.Errorf("%w: it has no seccomp user notification (Linux 5.0, CONFIG_SECCOMP_FILTER): %w", ErrKernel, errno)
	case stepKillable:
		return fmt.Errorf("%w: it has no SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (Linux 5.19): %w", ErrKernel, errno)
	case stepFilter:
		return filterFailure(errno)
	case stepListener:
		return fmt.Errorf("hand the listener over: %w", errno)
	case stepExec:
		if errno == unix.ENOENT || errno == unix.ENOTDIR {
			return fmt.Errorf("%w: %w", ErrNotFound, errno)
		}
		return fmt.Errorf("%w: %w", ErrNotExecutable, errno)
	case stepReady, stepStart:
		return fmt.Errorf("the child could not begin: %w", errno)
	default:
		return fmt.Errorf("the child failed at step %d: %w", at, errno)
	}
}

func filterFailure(errno unix.Errno) error {
	switch errno {
	case unix.EBUSY:
		return fmt.Errorf("%w: %w", ErrNested, errno)
	case unix.EACCES:
		return fmt.Errorf("%w: %w", ErrPrivilege, errno)
	default:
		return fmt.Errorf("install the seccomp filter: %w", errno)
	}
}
