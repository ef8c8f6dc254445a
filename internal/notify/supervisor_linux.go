package notify

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Device identifies a tty: two descriptors of one device have the same.
type Device struct{ Dev, Rdev uint64 }

// DeviceOf returns the device at a path.
func DeviceOf(path string) (Device, error) {
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		return Device{}, fmt.Errorf("stat %s: %w", path, err)
	}
	return Device{uint64(st.Dev), uint64(st.Rdev)}, nil //nolint:unconvert // they differ between architectures
}

// Call is an ioctl of a task on the supervisor's tty.
type Call struct {
	// AMD64, I386, ARM64 or ARM.
	Arch    Arch
	Request uint32
	Arg     uint64
	TID     int
}

// Arch is a program's architecture.
type Arch uint8

// The architectures.
const (
	AMD64 Arch = iota
	I386
	ARM64
	ARM
)

// Action is what becomes of a call.
type Action uint8

// The actions.
const (
	// Continue leaves the call to the kernel.
	Continue Action = iota
	// Now has Do called by the loop: it must not wait for anything.
	Now
	// Later has Do called in a goroutine of its own.
	Later
)

// Handler answers calls.
type Handler interface {
	// Decide says what becomes of a call. It must not wait.
	Decide(c Call) Action
	// Do carries a call out. ctx ends when the task has ended, or is to take a
	// signal; the errno that Do returns then is sent unless Restart(c) is
	// true: then the kernel decides between EINTR and calling again.
	Do(ctx context.Context, c Call, m *Memory) (value int64, errno uint16)
	// Uncertain returns nil while SetDevice has said which tty is the
	// supervisor's, and otherwise what is closed when it has.
	Uncertain() <-chan struct{}
	// Interruptible reports whether a signal ends the call.
	Interruptible(c Call) bool
	// Restart reports whether a real driver would let the call be called again
	// after a signal whose handler asks for that (SA_RESTART).
	Restart(c Call) bool
}

// maxLater is how many calls are answered at once; one more fails with EAGAIN.
const maxLater = 1024

// Supervisor answers the notifications of a listener. Use New.
type Supervisor struct {
	fd      int
	file    *os.File
	handler Handler
	devices atomic.Pointer[[]Device]
	wake    int // eventfd: look at ctx
	foreign foreign

	busy    chan struct{} // a token for each call that is being answered
	waiting waiting
	wg      sync.WaitGroup
}

// New returns a Supervisor for a listener, which it closes at the end of Run.
func New(listener *os.File, h Handler) (*Supervisor, error) {
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	// Blocking and out of the runtime's poller: the loop is a thread of its own.
	s := &Supervisor{fd: int(listener.Fd()), file: listener, handler: h, wake: wake, busy: make(chan struct{}, maxLater)}
	s.devices.Store(&[]Device{})
	// A kernel before 6.6 does not have it; nothing but speed is lost.
	_, _, _ = unix.Syscall(unix.SYS_IOCTL, uintptr(s.fd), notifSetFlags, syncWakeUp)
	return s, nil
}

// The listener's requests that x/sys does not have (include/uapi/linux/seccomp.h).
const (
	notifIDValid  = 0x40082102
	notifSetFlags = 0x40082104
	syncWakeUp    = 1
	flagContinue  = 1
)

// SetDevice makes d the supervisor's tty, and what was before no more.
func (s *Supervisor) SetDevice(d Device) {
	s.foreign.forget(d)
	s.devices.Store(&[]Device{d})
}

// notification is struct seccomp_notif, with the struct seccomp_data in it.
type notification struct {
	id     uint64
	pid    uint32 // of the thread
	flags  uint32
	number int32
	arch   uint32
	ip     uint64
	args   [6]uint64
}

// response is struct seccomp_notif_resp.
type response struct {
	id    uint64
	val   int64
	error int32
	flags uint32
}

// Run answers until the last task that is filtered has ended, and returns nil. ctx
// ends it early; from then on the filtered calls of what still runs fail with
// ENOSYS.
func (s *Supervisor) Run(ctx context.Context) (err error) {
	stop := context.AfterFunc(ctx, func() {
		var one [8]byte
		one[0] = 1
		_, _ = unix.Write(s.wake, one[:])
	})
	run, cancel := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		s.waiting.watch(run, s.alive)
	}()
	done := make(chan error, 1)
	go func() {
		// A locked thread: the kernel wakes it on the program's processor.
		runtime.LockOSThread()
		done <- s.loop(run)
	}()
	err = <-done
	cancel()
	s.wg.Wait()
	<-watched
	stop()
	return errors.Join(err, s.file.Close(), unix.Close(s.wake))
}

func (s *Supervisor) loop(ctx context.Context) error {
	fds := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}, {Fd: int32(s.wake), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(fds, -1); err != nil && !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("poll", err)
		}
		if ctx.Err() != nil {
			return nil
		}
		switch {
		case fds[0].Revents&unix.POLLIN != 0:
			if err := s.receive(ctx); err != nil {
				return err
			}
		case fds[0].Revents != 0:
			return nil // the last task has ended
		}
	}
}

// receive answers one notification.
func (s *Supervisor) receive(ctx context.Context) error {
	var n notification // the kernel wants it to be zero
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(s.fd), unix.SECCOMP_IOCTL_NOTIF_RECV, uintptr(unsafe.Pointer(&n)))
	switch errno {
	case 0:
	case unix.ENOENT, unix.EINTR, unix.EAGAIN:
		return nil // the task has ended meanwhile
	default:
		return os.NewSyscallError("SECCOMP_IOCTL_NOTIF_RECV", errno)
	}
	arch, known := archOf(n.arch)
	device, isTTY := deviceOf(int(n.pid), n.args[0])
	c := Call{Arch: arch, Request: uint32(n.args[1]), Arg: n.args[2], TID: int(n.pid)}
	switch {
	case known && isTTY && s.isOurs(device):
		s.handle(ctx, n.id, c)
	case known && isTTY && s.mayBecomeOurs(device):
		s.later(ctx, n.id, c, func(call *waitingCall) { s.whenCertain(call, c, device) })
	default:
		s.send(response{id: n.id, flags: flagContinue})
	}
	return nil
}

// handle has a call answered.
func (s *Supervisor) handle(ctx context.Context, id uint64, c Call) {
	switch s.handler.Decide(c) {
	case Continue:
		s.send(response{id: id, flags: flagContinue})
	case Now:
		s.answer(ctx, id, c)
	case Later:
		s.later(ctx, id, c, func(call *waitingCall) { s.answerLater(call, c) })
	}
}

// later has a call answered by a goroutine of its own.
func (s *Supervisor) later(ctx context.Context, id uint64, c Call, answer func(*waitingCall)) {
	select {
	case s.busy <- struct{}{}:
	default:
		s.send(response{id: id, error: -int32(unix.EAGAIN)})
		return
	}
	s.wg.Go(func() {
		defer func() { <-s.busy }()
		call := s.waiting.add(ctx, id, c, s.handler.Interruptible(c))
		defer s.waiting.remove(call)
		answer(call)
	})
}

// certainty is how long a call on a tty that may be ours waits until that is known.
const certainty = 3 * time.Second

// mayBecomeOurs reports whether a tty that is not ours may be said to be soon. It
// remembers the others.
func (s *Supervisor) mayBecomeOurs(d Device) bool {
	if s.handler.Uncertain() == nil {
		s.foreign.add(d)
		return false
	}
	return isPTS(d) && !s.foreign.has(d)
}

// whenCertain answers a call on a tty that nobody has seen before, when it is known
// whose it is.
func (s *Supervisor) whenCertain(call *waitingCall, c Call, d Device) {
	if certain := s.handler.Uncertain(); certain != nil {
		limit := time.NewTimer(certainty)
		defer limit.Stop()
		select {
		case <-certain:
		case <-limit.C:
		case <-call.ctx.Done():
		}
	}
	if !s.isOurs(d) || s.handler.Decide(c) == Continue {
		s.send(response{id: call.id, flags: flagContinue})
		return
	}
	s.answerLater(call, c)
}

func (s *Supervisor) answer(ctx context.Context, id uint64, c Call) {
	m := Memory{tid: c.TID, alive: func() bool { return s.alive(id) }}
	value, errno := s.handler.Do(ctx, c, &m)
	s.send(response{id: id, val: value, error: -int32(errno)})
}

// restartSys is ERESTARTSYS (include/linux/errno.h), which the kernel never shows.
const restartSys = 512

func (s *Supervisor) answerLater(call *waitingCall, c Call) {
	m := Memory{tid: c.TID, alive: func() bool { return s.alive(call.id) }}
	value, errno := s.handler.Do(call.ctx, c, &m)
	if errno == uint16(unix.EINTR) && call.interrupted.Load() && s.handler.Restart(c) {
		s.send(response{id: call.id, error: -restartSys})
		return
	}
	s.send(response{id: call.id, val: value, error: -int32(errno)})
}

// send answers; a task that has ended meanwhile needs no answer.
func (s *Supervisor) send(r response) {
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(s.fd), unix.SECCOMP_IOCTL_NOTIF_SEND, uintptr(unsafe.Pointer(&r)))
		if errno != unix.EINTR {
			return
		}
	}
}

// alive reports whether a notification still waits for its answer: its task lives,
// and its process id is its own.
func (s *Supervisor) alive(id uint64) bool {
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(s.fd), notifIDValid, uintptr(unsafe.Pointer(&id)))
	return errno == 0
}

// isOurs reports whether a device is the supervisor's tty.
func (s *Supervisor) isOurs(d Device) bool { return slices.Contains(*s.devices.Load(), d) }

// deviceOf returns the device of a task's descriptor; false if that is none.
func deviceOf(tid int, fd uint64) (Device, bool) {
	// Only the lower half of the number counts, as for the kernel.
	var path [48]byte
	b := append(path[:0], "/proc/"...)
	b = strconv.AppendInt(b, int64(tid), 10)
	b = append(b, "/fd/"...)
	b = strconv.AppendUint(b, uint64(uint32(fd)), 10)
	b = append(b, 0)
	var st unix.Stat_t
	if !statPath(b, &st) || st.Mode&unix.S_IFMT != unix.S_IFCHR {
		return Device{}, false
	}
	return Device{uint64(st.Dev), uint64(st.Rdev)}, true //nolint:unconvert // they differ between architectures
}

// isPTS reports whether a device is the slave of a pseudo-terminal
// (Documentation/admin-guide/devices.txt: majors 136 to 143).
func isPTS(d Device) bool {
	major := unix.Major(d.Rdev)
	return major >= 136 && major <= 143
}

// foreign remembers ttys that are not the supervisor's.
type foreign struct {
	mu   sync.Mutex
	seen []Device
}

// maxForeign bounds it: programs have few terminals.
const maxForeign = 32

func (f *foreign) add(d Device) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.Contains(f.seen, d) {
		return
	}
	if len(f.seen) == maxForeign {
		f.seen = f.seen[:copy(f.seen, f.seen[1:])]
	}
	f.seen = append(f.seen, d)
}

func (f *foreign) has(d Device) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.seen, d)
}

func (f *foreign) forget(d Device) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if i := slices.Index(f.seen, d); i >= 0 {
		f.seen = slices.Delete(f.seen, i, i+1)
	}
}

func archOf(audit uint32) (Arch, bool) {
	switch audit {
	case abiAMD64.arch:
		return AMD64, true
	case abiI386.arch:
		return I386, true
	case abiARM64.arch:
		return ARM64, true
	case abiARM.arch:
		return ARM, true
	default:
		return 0, false
	}
}
