package seccomp

import (
	"context"
	"errors"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// eRestartSys is ERESTARTSYS (include/linux/errno.h): the kernel's signal code makes EINTR or a new call of it.
const eRestartSys = 512

// Supervisor answers the calls that a listener brings. Use [New].
type Supervisor struct {
	// Uncertain, if set before Run, returns nil while SetDevice has said which tty is the supervisor's, and otherwise what is
	// closed when it has: calls on ttys that were not seen before wait for that. It must not wait.
	Uncertain func() <-chan struct{}
	// Likely, if set before Run, says whether a tty that was not seen before may be what Uncertain waits for; nil: any may. It
	// must not wait.
	Likely func(d Device) bool
	// Interruptible, if set before Run, says whether a signal ends a call that is answered Later; nil: it does.
	Interruptible func(c Call) bool

	listener int
	wake     int // eventfd: the context has ended
	handler  Handler
	device   atomic.Pointer[Device] // nil: none

	foreign   foreign
	certainty time.Duration
	waiting   waitingCalls
	wg        sync.WaitGroup

	leading atomic.Bool // a goroutine is in loop
	coming  atomic.Bool // another is about to try
	over    chan error  // what loop has ended with

	// The leader's own.
	received notification
	files    descriptors
	memory   Memory
	answer   response
}

// New returns a Supervisor for the listener of a process that [Start] has started, which is the Supervisor's from then
// on. Until [Supervisor.SetDevice] the kernel does all calls.
func New(p *Process, h Handler) (*Supervisor, error) {
	if p.listener < 0 {
		return nil, errors.New("the process has a supervisor already")
	}
	wake, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, os.NewSyscallError("eventfd", err)
	}
	s := &Supervisor{listener: p.listener, wake: wake, handler: h, certainty: certainty, over: make(chan error, 1)}
	p.listener = -1
	// The kernel then wakes the supervisor on the processor that the program is leaving, and the reverse. Without it (before
	// Linux 6.6) an answer takes a few microseconds more.
	_, _, _ = unix.RawSyscall(unix.SYS_IOCTL, uintptr(s.listener), notifSetFlags, notifSyncWake)
	return s, nil
}

// SetDevice makes d the tty whose calls the Handler gets, instead of the one before. It may be called at any time.
func (s *Supervisor) SetDevice(d Device) {
	s.foreign.forget(d)
	s.device.Store(&d)
}

// Run answers calls until the last filtered task is gone, or ctx ends, and returns nil. It waits for what it has called.
// Afterwards every filtered call of tasks that are left fails with ENOSYS. It may be called once.
func (s *Supervisor) Run(ctx context.Context) error {
	calls, cancel := context.WithCancelCause(ctx)
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		_, _ = unix.Write(s.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0})
	})
	s.wg.Go(func() { s.lead(calls) })
	err := <-s.over
	cancel(ErrGone)
	s.wg.Wait()
	if !stop() {
		<-woken
	}
	return errors.Join(err, os.NewSyscallError("close", unix.Close(s.listener)), os.NewSyscallError("close", unix.Close(s.wake)))
}

// lead answers calls until one comes that may take time. Then it lets another goroutine lead, and answers that one
// itself: the goroutine that has received it is the one that runs. To hand the call to another took 40 to 90 µs, until a
// thread had woken up to run it, and until then the program waits. The next call can wait for the next leader: it seldom
// comes before the answer.
func (s *Supervisor) lead(ctx context.Context) {
	for s.leading.CompareAndSwap(false, true) {
		w, err := s.loop(ctx)
		if w == nil {
			s.over <- err // and nobody leads again
			return
		}
		s.leading.Store(false)
		// Whoever is about to come will find that nobody leads, unless another did, or this one has finished first.
		if !s.coming.Swap(true) {
			s.wg.Go(func() {
				s.coming.Store(false)
				s.lead(ctx)
			})
		}
		s.do(w)
	}
}

// loop answers calls until one comes that may take time, which it returns. It returns none when there is nobody left to
// answer, or ctx has ended.
func (s *Supervisor) loop(ctx context.Context) (*waitingCall, error) {
	fds := [...]unix.PollFd{
		{Fd: int32(s.listener), Events: unix.POLLIN},
		{Fd: int32(s.wake), Events: unix.POLLIN},
	}
	for {
		if _, err := unix.Poll(fds[:], -1); err != nil {
			if errors.Is(err, unix.EINTR) {
				continue
			}
			return nil, os.NewSyscallError("poll", err)
		}
		switch {
		case fds[1].Revents != 0:
			return nil, nil
		case fds[0].Revents&unix.POLLIN != 0:
			if w, err := s.serve(ctx); w != nil || err != nil {
				return w, err
			}
		case fds[0].Revents != 0: // POLLHUP: nobody is left to be answered, and to receive would be to wait for ever
			return nil, nil
		}
	}
}

// serve answers one notification, or returns the call to be answered.
func (s *Supervisor) serve(ctx context.Context) (*waitingCall, error) {
	n := &s.received
	switch errno := receive(s.listener, n); errno {
	case 0:
	case unix.ENOENT, unix.EINTR:
		return nil, nil // the task was killed meanwhile
	default:
		return nil, os.NewSyscallError("SECCOMP_IOCTL_NOTIF_RECV", errno)
	}
	c, d, ok := s.call(n)
	switch {
	case !ok:
		s.continueNow(n.id)
		return nil, nil
	case !s.isOurs(d):
		if s.mayBecomeOurs(d) {
			return s.later(ctx, n.id, c, d, true), nil
		}
		s.continueNow(n.id)
		return nil, nil
	}
	switch s.handler.Decide(c) {
	case Now:
		s.memory = Memory{listener: s.listener, id: n.id, tid: c.TID}
		value, errno := s.handler.Do(ctx, c, &s.memory)
		if s.memory.denied {
			s.continueNow(n.id)
			return nil, nil
		}
		s.answer = reply(n.id, value, errno)
		send(s.listener, &s.answer)
	case Later:
		return s.later(ctx, n.id, c, d, false), nil
	case Continue:
		s.continueNow(n.id)
	default:
		s.continueNow(n.id)
	}
	return nil, nil
}

// isOurs reports whether a device is the supervisor's tty.
func (s *Supervisor) isOurs(d Device) bool {
	tty := s.device.Load()
	return tty != nil && d == *tty
}

// call returns the call that a notification tells of, and the device that it is on, if it is on one.
func (s *Supervisor) call(n *notification) (Call, Device, bool) {
	arch, known := archOf(n.audit, n.nr)
	fd := uint32(n.args[0]) // as the kernel takes it
	if !known || n.tid == 0 || fd > math.MaxInt32 {
		return Call{}, Device{}, false
	}
	c := Call{Arch: arch, Request: uint32(n.args[1]), Arg: n.args[2], FD: int(fd), TID: int(n.tid)}
	if arch.Is32() {
		c.Arg = uint64(uint32(c.Arg))
	}
	d, ok := s.files.device(c.TID, c.FD)
	// What was looked at may be another task's, if this one was killed.
	return c, d, ok && valid(s.listener, &n.id)
}

// continueNow has the kernel do a call.
func (s *Supervisor) continueNow(id uint64) {
	s.answer = response{id: id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	send(s.listener, &s.answer)
}

// later takes in a call on d that may take time, and returns it, unless there are too many. doubt says that it is not known
// whether d is ours.
func (s *Supervisor) later(ctx context.Context, id uint64, c Call, d Device, doubt bool) *waitingCall {
	w := &waitingCall{Call: c, device: d, doubt: doubt, deaf: s.Interruptible != nil && !s.Interruptible(c), memory: Memory{listener: s.listener, id: id, tid: c.TID}}
	w.ctx, w.cancel = context.WithCancelCause(ctx)
	ok, watch := s.waiting.add(w)
	if !ok {
		w.cancel(nil)
		s.answer = reply(id, 0, uint16(unix.EAGAIN))
		send(s.listener, &s.answer)
		return nil
	}
	if watch {
		s.wg.Go(func() { s.waiting.watch(ctx, s.isOurs) })
	}
	return w
}

// do answers a call that may take its time.
func (s *Supervisor) do(w *waitingCall) {
	if w.doubt && !s.becomesOurs(w) {
		s.waiting.remove(w)
		w.cancel(nil)
		send(s.listener, &response{id: w.memory.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE})
		return
	}
	value, errno := s.handler.Do(w.ctx, w.Call, &w.memory)
	cause := context.Cause(w.ctx)
	s.waiting.remove(w)
	w.cancel(nil)
	r := reply(w.memory.id, value, errno)
	switch {
	case w.memory.denied:
		r = response{id: w.memory.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
	case errno == uint16(unix.EINTR) && errors.Is(cause, errOtherTTY):
		r = reply(w.memory.id, 0, uint16(unix.EIO))
	case errno == uint16(unix.EINTR) && errors.Is(cause, ErrSignal) && s.handler.Restart(w.Call):
		r = response{id: w.memory.id, errno: -eRestartSys}
	}
	send(s.listener, &r)
}

// maxErrno is the last error number that a program may see: those from 512 on are the kernel's own.
const maxErrno = eRestartSys - 1

func reply(id uint64, value int64, errno uint16) response {
	switch {
	case errno == 0:
		return response{id: id, val: value}
	case errno > maxErrno:
		return response{id: id, errno: -int32(unix.EINTR)}
	default:
		return response{id: id, errno: -int32(errno)}
	}
}
