package handover

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The names of descriptors in the service manager's store: the text, and for each port
// "tty." or "net." and its name.
const (
	storedText       = "vcomd"
	storedTTY        = "tty."
	storedConnection = "net."
)

// storeTimeout bounds the wait for the service manager.
const storeTimeout = 20 * time.Second

// ErrNoStore means that there is no service manager to leave anything with.
var ErrNoStore = errors.New("there is no service manager that keeps descriptors (NOTIFY_SOCKET)")

// Store gives the ports to the service manager (sd_notify(3), FDSTORE), for the process
// that it starts next. The descriptors are closed here then; with an error the ports
// are still the caller's, and what was stored already is taken back.
func Store(ports []Port) (err error) {
	n, err := dialManager()
	if err != nil {
		return err
	}
	defer n.close()
	state, err := write(ports)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(state) }()
	var stored []string
	defer func() {
		if err != nil {
			err = errors.Join(err, n.remove(stored))
		}
	}()
	store := func(name string, fd int) error {
		if fd < 0 {
			return nil
		}
		stored = append(stored, name)
		// The manager's poll would take a terminal that no program has open for one
		// that has gone, and forget it: FDPOLL=0.
		return n.send("FDSTORE=1\nFDNAME="+name+"\nFDPOLL=0", fd)
	}
	for _, p := range ports {
		if err := errors.Join(store(storedTTY+p.Name, p.Handles.TTY), store(storedConnection+p.Name, p.Handles.Connection)); err != nil {
			return err
		}
	}
	// Last: without it the rest is of no use to anybody.
	if err := store(storedText, state); err != nil {
		return err
	}
	if err := n.barrier(); err != nil {
		return err
	}
	return Close(ports)
}

// takeStored takes what the service manager has handed to this process (sd_listen_fds(3)),
// and has it forget that.
func takeStored() ([]Port, error) {
	handles, err := listenFDs()
	if err != nil || len(handles) == 0 {
		return nil, err
	}
	defer func() {
		for _, fd := range handles {
			_ = unix.Close(fd) // those that no port has
		}
	}()
	forget(handles)
	state, ok := handles[storedText]
	if !ok {
		return nil, fmt.Errorf("take over: %w: the service manager has kept %d descriptors and not what they are", ErrText, len(handles))
	}
	delete(handles, storedText)
	ports, err := read(state)
	if err != nil {
		return nil, fmt.Errorf("take over: %w", err)
	}
	for i := range ports {
		p := &ports[i]
		p.Handles.TTY = pick(handles, storedTTY+p.Name)
		p.Handles.Connection = pick(handles, storedConnection+p.Name)
	}
	return ports, nil
}

func pick(handles map[string]int, name string) int {
	fd, ok := handles[name]
	if !ok {
		return -1
	}
	delete(handles, name)
	return fd
}

// listenFDs returns the descriptors that the service manager has passed, by name.
func listenFDs() (map[string]int, error) {
	pid, count, names := os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS"), os.Getenv("LISTEN_FDNAMES")
	for _, v := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"} {
		_ = os.Unsetenv(v)
	}
	if count == "" || pid != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	const first = 3 // SD_LISTEN_FDS_START
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 {
		return nil, fmt.Errorf("take over: %w: LISTEN_FDS=%q", ErrText, count)
	}
	all := make(map[string]int, n)
	for i, name := range strings.Split(names, ":") {
		if i >= n {
			break
		}
		fd := first + i
		unix.CloseOnExec(fd)
		if old, twice := all[name]; twice {
			_ = unix.Close(old) // left by one that was killed while it stored
		}
		all[name] = fd
	}
	return all, nil
}

// forget has the service manager close its own copies.
func forget(handles map[string]int) {
	n, err := dialManager()
	if err != nil {
		return
	}
	defer n.close()
	names := make([]string, 0, len(handles))
	for name := range handles {
		names = append(names, name)
	}
	_ = n.remove(names) // what stays is closed when the service stops
}

func (m manager) remove(names []string) error {
	var err error
	for _, name := range names {
		err = errors.Join(err, m.send("FDSTOREREMOVE=1\nFDNAME="+name, -1))
	}
	return err
}

// manager is a socket to the service manager.
type manager struct{ fd int }

func dialManager() (manager, error) {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return manager{}, ErrNoStore
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return manager{}, os.NewSyscallError("socket", err)
	}
	limit := unix.NsecToTimeval(int64(storeTimeout))
	err = errors.Join(
		os.NewSyscallError("setsockopt", unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &limit)),
		os.NewSyscallError("connect", unix.Connect(fd, &unix.SockaddrUnix{Name: path})))
	if err != nil {
		_ = unix.Close(fd)
		return manager{}, fmt.Errorf("reach the service manager: %w", err)
	}
	return manager{fd}, nil
}

func (m manager) close() { _ = unix.Close(m.fd) }

// send tells the service manager something, with a descriptor if there is one.
func (m manager) send(message string, fd int) error {
	var rights []byte
	if fd >= 0 {
		rights = unix.UnixRights(fd)
	}
	for {
		err := unix.Sendmsg(m.fd, []byte(message), rights, nil, unix.MSG_NOSIGNAL)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("tell the service manager: %w", os.NewSyscallError("sendmsg", err))
		}
		return nil
	}
}

// barrier waits until the service manager has read all that was sent (sd_notify(3),
// BARRIER): it forgets messages of a process that has gone.
func (m manager) barrier() error {
	var pipe [2]int
	if err := unix.Pipe2(pipe[:], unix.O_CLOEXEC); err != nil {
		return os.NewSyscallError("pipe2", err)
	}
	defer func() { _ = unix.Close(pipe[0]) }()
	err := m.send("BARRIER=1", pipe[1])
	_ = unix.Close(pipe[1])
	if err != nil {
		return err
	}
	// A hang-up: the manager has closed its end.
	poll := []unix.PollFd{{Fd: int32(pipe[0])}}
	for end := time.Now().Add(storeTimeout); ; {
		n, err := unix.Poll(poll, int(time.Until(end).Milliseconds())+1)
		switch {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return os.NewSyscallError("poll", err)
		case n == 0:
			return errors.New("the service manager does not answer")
		default:
			return nil
		}
	}
}
