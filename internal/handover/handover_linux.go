package handover

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/port"
)

// Version is that of the text that is passed.
const Version = 1

// maxText bounds the text, in bytes: a thousand ports with full queues are less.
const maxText = 256 << 20

// Port is one port on its way. Who has it has its descriptors.
type Port struct {
	Name string `json:"name"`
	// Fingerprint is that of its configuration: see port.Config.
	Fingerprint string       `json:"fingerprint"`
	State       port.Saved   `json:"state"`
	Handles     port.Handles `json:"handles"` // numbers that hold in the process which reads this
}

// text is what is passed.
type text struct {
	Version int    `json:"version"`
	Ports   []Port `json:"ports"`
}

// Errors of Take: what was left is not used.
var (
	ErrVersion = errors.New("it is of another version of vcomd")
	ErrText    = errors.New("it cannot be read")
)

// Close closes the descriptors of ports that nobody wants.
func Close(ports []Port) error {
	var err error
	for i := range ports {
		err = errors.Join(err, ports[i].Handles.Close())
	}
	return err
}

// variable names the descriptor of the text for the program that is executed.
const variable = "VCOMD_HANDOVER"

// Exec executes a program in this process's place, which then Takes the ports. It
// returns only with an error, and then the ports are still the caller's.
//
// The program begins with SIGUSR2 blocked, so that another request that comes before it
// is ready for one waits, and does not end it: Go's os/signal unblocks what it is asked
// for. Others cannot wait so: Go unblocks SIGHUP, SIGINT and SIGTERM at its start.
func Exec(program string, argv, env []string, ports []Port) error {
	state, err := write(ports)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(state) }()
	kept, err := inherit(ports)
	if err == nil {
		_, err = unix.FcntlInt(uintptr(state), unix.F_SETFD, 0)
	}
	if err == nil {
		err = execBlocked(program, argv, append(env, variable+"="+strconv.Itoa(state)))
		err = fmt.Errorf("execute %s: %w", program, err)
	}
	for _, fd := range kept {
		unix.CloseOnExec(fd)
	}
	return err
}

// execBlocked is exec(2) with SIGUSR2 blocked. It returns only with an error.
func execBlocked(program string, argv, env []string) error {
	runtime.LockOSThread() // whose mask the program inherits
	defer runtime.UnlockOSThread()
	var block, before unix.Sigset_t
	const bits = int(unsafe.Sizeof(block.Val[0])) * 8
	block.Val[(int(unix.SIGUSR2)-1)/bits] |= 1 << ((int(unix.SIGUSR2) - 1) % bits)
	if err := unix.PthreadSigmask(unix.SIG_BLOCK, &block, &before); err != nil {
		return os.NewSyscallError("rt_sigprocmask", err)
	}
	err := unix.Exec(program, argv, env)
	return errors.Join(err, os.NewSyscallError("rt_sigprocmask", unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)))
}

// inherit has the ports' descriptors survive an exec.
func inherit(ports []Port) (kept []int, err error) {
	for _, p := range ports {
		for _, fd := range []int{p.Handles.TTY, p.Handles.Connection} {
			if fd < 0 {
				continue
			}
			if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
				return kept, os.NewSyscallError("fcntl", err)
			}
			kept = append(kept, fd)
		}
	}
	return kept, nil
}

// write makes the text, in memory, and returns its descriptor.
func write(ports []Port) (int, error) {
	b, err := json.Marshal(text{Version, ports})
	if err != nil {
		return -1, fmt.Errorf("hand over: %w", err)
	}
	fd, err := unix.MemfdCreate("vcomd", unix.MFD_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("hand over: %w", os.NewSyscallError("memfd_create", err))
	}
	for len(b) > 0 {
		n, err := unix.Write(fd, b)
		if err != nil {
			return -1, errors.Join(fmt.Errorf("hand over: %w", os.NewSyscallError("write", err)), unix.Close(fd))
		}
		b = b[n:]
	}
	return fd, nil
}

// read takes a text apart, and closes it.
func read(fd int) ([]Port, error) {
	f := os.NewFile(uintptr(fd), "handover")
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.NewSectionReader(f, 0, maxText))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrText, err)
	}
	// The version first: what follows may look quite different.
	var v struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(b, &v); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrText, err)
	}
	if v.Version != Version {
		return nil, fmt.Errorf("%w: %d, and this one knows %d", ErrVersion, v.Version, Version)
	}
	var t text
	if err := json.Unmarshal(b, &t); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrText, err)
	}
	return t.Ports, nil
}

// Take returns the ports that were left for this process, by whichever way; none is
// no error. With an error what was left is lost, and closed. It is to be called once,
// early: the descriptors are marked close-on-exec.
func Take() ([]Port, error) {
	if number, ok := os.LookupEnv(variable); ok {
		_ = os.Unsetenv(variable)
		return takeInherited(number)
	}
	return takeStored()
}

func takeInherited(number string) ([]Port, error) {
	fd, err := strconv.Atoi(number)
	if err != nil || fd < 0 {
		return nil, fmt.Errorf("take over: %w: %s=%q", ErrText, variable, number)
	}
	unix.CloseOnExec(fd)
	ports, err := read(fd)
	if err != nil {
		return nil, fmt.Errorf("take over: %w", err)
	}
	for i := range ports {
		h := &ports[i].Handles
		for _, fd := range []*int{&h.TTY, &h.Connection} {
			if *fd < 0 {
				continue
			}
			if _, err := unix.FcntlInt(uintptr(*fd), unix.F_GETFD, 0); err != nil || *fd < 3 {
				*fd = -1 // it was not handed over, whatever the text says
				continue
			}
			unix.CloseOnExec(*fd)
		}
	}
	return ports, nil
}
