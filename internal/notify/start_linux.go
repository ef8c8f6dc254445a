package notify

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Errors of Start. They are found with errors.Is.
var (
	// ErrKernel: the kernel lacks user notification or a flag of it.
	ErrKernel = errors.New("the kernel cannot show a program's ioctls to another (seccomp user notification with WAIT_KILLABLE_RECV, Linux 5.19)")
	// ErrNested: the process has a listener already, from another vcomd run, say.
	ErrNested = errors.New("the ioctls of this process are shown to another supervisor already")
	// ErrNotFound and ErrNotExecutable: the program cannot be executed.
	ErrNotFound      = errors.New("there is no such program")
	ErrNotExecutable = errors.New("the program cannot be executed")
	// ErrPrivilege: without no_new_privs a filter needs CAP_SYS_ADMIN.
	ErrPrivilege = errors.New("a filter without no_new_privs needs CAP_SYS_ADMIN")
)

// Options say how a program is started.
type Options struct {
	Argv []string
	Env  []string
	// Requests are the ioctls that are notified of.
	Requests []uint32
	// KeepPrivileges leaves no_new_privs unset, with which set-uid programs are
	// inert. It needs CAP_SYS_ADMIN.
	KeepPrivileges bool
}

// childSocket is the least number that the child's socket gets: those that the
// program is to inherit are below.
const childSocket = 100

// Start starts a program, whose descriptors, working directory, process group and
// terminal are this process's. It returns its process id and the listener, which
// belongs to the caller.
func Start(o Options) (pid int, listener *os.File, err error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, os.NewSyscallError("socketpair", err)
	}
	defer unix.Close(pair[0])
	theirs, err := unix.FcntlInt(uintptr(pair[1]), unix.F_DUPFD, childSocket)
	_ = unix.Close(pair[1])
	if err != nil {
		return 0, nil, os.NewSyscallError("fcntl", err)
	}
	how := []string{strconv.Itoa(theirs), "1"}
	if o.KeepPrivileges {
		how[1] = "0"
	}
	for _, r := range o.Requests {
		how = append(how, strconv.FormatUint(uint64(r), 16))
	}
	env := append(o.Env[:len(o.Env):len(o.Env)], childVariable+"="+strings.Join(how, ","))
	pid, err = syscall.ForkExec("/proc/self/exe", o.Argv, &syscall.ProcAttr{Env: env, Files: []uintptr{0, 1, 2}})
	_ = unix.Close(theirs)
	if err != nil {
		return 0, nil, fmt.Errorf("start the child: %w", err)
	}
	listener, err = takeListener(pair[0])
	if err == nil {
		err = handOver(pair[0])
	}
	if err != nil {
		// It ends by itself; an error of it would be of no use.
		var status unix.WaitStatus
		_, _ = unix.Wait4(pid, &status, 0, nil)
		if listener != nil {
			_ = listener.Close()
		}
		return 0, nil, err
	}
	return pid, listener, nil
}

// takeListener receives the listener, or what went wrong.
func takeListener(socket int) (*os.File, error) {
	data, oob := make([]byte, 16), make([]byte, unix.CmsgSpace(4))
	n, oobn, _, _, err := unix.Recvmsg(socket, data, oob, unix.MSG_CMSG_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("recvmsg", err)
	}
	if n > 1 {
		return nil, failure(data[:n])
	}
	messages, err := unix.ParseSocketControlMessage(oob[:oobn])
	if err != nil || len(messages) == 0 {
		return nil, errors.New("the child has ended before it was a program")
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, errors.New("the child has handed no listener over")
	}
	return os.NewFile(uintptr(fds[0]), "seccomp listener"), nil
}

// handOver lets the child execute the program, and finds out whether it could: its
// socket is closed then.
func handOver(socket int) error {
	if _, err := unix.Write(socket, []byte{1}); err != nil {
		return os.NewSyscallError("write", err)
	}
	data := make([]byte, 16)
	n, err := unix.Read(socket, data)
	if err != nil {
		return os.NewSyscallError("read", err)
	}
	if n > 1 {
		return failure(data[:n])
	}
	return nil
}

// failure makes an error of what the child has reported.
func failure(report []byte) error {
	if len(report) != 5 {
		return errors.New("the child has failed, and not said why")
	}
	at, errno := step(report[0]), unix.Errno(binary.LittleEndian.Uint32(report[1:]))
	kind := map[step]map[unix.Errno]error{
		stepFilter: {unix.EINVAL: ErrKernel, unix.ENOSYS: ErrKernel, unix.EBUSY: ErrNested, unix.EACCES: ErrPrivilege},
		stepExec:   {unix.ENOENT: ErrNotFound, unix.ENOTDIR: ErrNotFound},
	}[at][errno]
	if kind == nil && at == stepExec {
		kind = ErrNotExecutable
	}
	if kind == nil {
		return fmt.Errorf("%v: %w", at, errno)
	}
	return fmt.Errorf("%v: %w: %w", at, kind, errno)
}
