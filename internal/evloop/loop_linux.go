package evloop

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Events is a set of conditions of a descriptor.
type Events uint32

// The conditions (epoll_ctl(2)). Hangup and Error are reported whether asked for
// or not.
const (
	Readable Events = unix.EPOLLIN
	Writable Events = unix.EPOLLOUT
	Priority Events = unix.EPOLLPRI // on a pty master in packet mode: a status byte waits
	Hangup   Events = unix.EPOLLHUP
	Error    Events = unix.EPOLLERR
)

// maxEvents bounds what one wait returns, so that timers and posted functions
// are not kept waiting by a thousand busy ports.
const maxEvents = 64

// Loop waits for descriptors, timers and posted functions, and runs their
// callbacks. Use New.
type Loop struct {
	epfd, wakefd int
	sources      map[int32]*Source
	nextID       int32
	timers       timerHeap

	mu     sync.Mutex
	posted []func()
	closed bool
	spare  []func() // the slice that posted alternates with; loop thread only
}

// New returns a Loop that does nothing until Run. Close releases it.
func New() (*Loop, error) {
	epfd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	wakefd, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		_ = unix.Close(epfd)
		return nil, os.NewSyscallError("eventfd", err)
	}
	l := &Loop{epfd: epfd, wakefd: wakefd, sources: make(map[int32]*Source)}
	if _, err := l.Watch(wakefd, Readable, l.drainWake); err != nil {
		_ = l.Close()
		return nil, err
	}
	return l, nil
}

// Close releases the loop's descriptors. Run must have returned. What was posted
// and has not run is dropped.
func (l *Loop) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	return errors.Join(
		os.NewSyscallError("close", unix.Close(l.epfd)),
		os.NewSyscallError("close", unix.Close(l.wakefd)),
	)
}

// Now returns the time. All time on a loop comes from here.
func (l *Loop) Now() time.Time { return time.Now() }

// Post has f called on the loop, soon. Any goroutine may call it, callbacks
// included. After Close it does nothing.
func (l *Loop) Post(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	l.posted = append(l.posted, f)
	if len(l.posted) == 1 {
		l.wakeLocked()
	}
}

// wakeLocked makes the wait return. The counter of an eventfd cannot overflow
// here, and a full one wakes as well: the error tells nothing.
func (l *Loop) wakeLocked() {
	_, _ = unix.Write(l.wakefd, []byte{1, 0, 0, 0, 0, 0, 0, 0})
}

func (l *Loop) drainWake(Events) {
	var b [8]byte
	_, _ = unix.Read(l.wakefd, b[:])
}

// AfterFunc has f called on the loop after d. It must be called on the loop, or
// before Run. It never calls early; it may call a millisecond late.
func (l *Loop) AfterFunc(d time.Duration, f func()) Timer {
	t := &timer{loop: l, at: l.Now().Add(d), f: f}
	heap.Push(&l.timers, t)
	return t
}

// Run runs the loop on a thread of its own until ctx ends, and then returns nil.
func (l *Loop) Run(ctx context.Context) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	stop := context.AfterFunc(ctx, func() { l.Post(func() {}) })
	defer stop()

	var events [maxEvents]unix.EpollEvent
	for ctx.Err() == nil {
		more := l.runPosted()
		// After the posted functions: they may have set timers.
		wait := l.fire()
		if more {
			wait = 0
		}
		n, err := unix.EpollWait(l.epfd, events[:], milliseconds(wait))
		if err != nil && !errors.Is(err, unix.EINTR) {
			return os.NewSyscallError("epoll_wait", err)
		}
		for i := range max(n, 0) {
			// An earlier callback of this round may have closed the source.
			if s := l.sources[events[i].Fd]; s != nil {
				s.f(Events(events[i].Events))
			}
		}
	}
	return nil
}

// runPosted runs what was posted before now, and says whether more came.
func (l *Loop) runPosted() (more bool) {
	l.mu.Lock()
	batch := l.posted
	l.posted = l.spare[:0]
	l.mu.Unlock()
	for i, f := range batch {
		batch[i] = nil
		f()
	}
	l.spare = batch
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.posted) > 0
}

// milliseconds rounds up, so that a timer is never waited for by spinning.
func milliseconds(d time.Duration) int {
	if d < 0 {
		return -1
	}
	ms := (d + time.Millisecond - 1) / time.Millisecond
	return int(min(ms, math.MaxInt32))
}

// Source is one descriptor watched by a Loop.
type Source struct {
	loop   *Loop
	fd     int
	id     int32
	events Events
	f      func(Events)
	parked bool // not registered with epoll: see Park
	closed bool
}

// Watch calls f whenever one of events holds for fd, and on Hangup and Error.
// The caller keeps the descriptor, and closes the Source before it.
func (l *Loop) Watch(fd int, events Events, f func(Events)) (*Source, error) {
	// The identity is not the descriptor's number: a number closed and opened
	// again within one round must not receive the old one's events.
	l.nextID++
	s := &Source{loop: l, fd: fd, id: l.nextID, events: events, f: f}
	if err := s.ctl(unix.EPOLL_CTL_ADD); err != nil {
		return nil, fmt.Errorf("watch descriptor %d: %w", fd, err)
	}
	l.sources[s.id] = s
	return s, nil
}

func (s *Source) ctl(op int) error {
	ev := unix.EpollEvent{Events: uint32(s.events), Fd: s.id}
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(s.loop.epfd, op, s.fd, &ev))
}

// Set changes the conditions waited for, and ends a Park. It costs a system
// call only when something changes.
func (s *Source) Set(events Events) error {
	if s.closed || s.events == events && !s.parked {
		return nil
	}
	s.events = events
	if s.parked {
		s.parked = false
		return s.ctl(unix.EPOLL_CTL_ADD)
	}
	return s.ctl(unix.EPOLL_CTL_MOD)
}

// Park stops all callbacks until Set: the only way not to be called for ever
// about a Hangup that is known already.
func (s *Source) Park() error {
	if s.closed || s.parked {
		return nil
	}
	s.parked = true
	return s.ctl(unix.EPOLL_CTL_DEL)
}

// Close ends the callbacks.
func (s *Source) Close() error {
	if s.closed {
		return nil
	}
	err := s.Park()
	s.closed = true
	delete(s.loop.sources, s.id)
	return err
}
