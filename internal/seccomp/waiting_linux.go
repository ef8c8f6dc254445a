package seccomp

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// lookInterval is how often tasks with calls that wait are looked at.
const lookInterval = 20 * time.Millisecond

// maxWaiting is how many calls are answered Later at a time.
const maxWaiting = 1024

// ErrSignal is the cause of the end of a call's context when the task has a signal to take.
var ErrSignal = errors.New("the task has a signal to take")

// errOtherTTY is the cause of the end of a call's context when the supervisor's tty is another one since.
var errOtherTTY = errors.New("the port has another tty")

// waitingCall is a call that is answered Later.
type waitingCall struct {
	Call
	memory Memory
	device Device          // that it is on
	doubt  bool            // the device may become ours; otherwise it was when the call came
	deaf   bool            // a signal does not end it
	ctx    context.Context // of the call: it is made here, and ended by the watcher
	cancel context.CancelCauseFunc
}

// waitingCalls knows all of them. The zero value is ready.
type waitingCalls struct {
	mu       sync.Mutex
	all      map[*waitingCall]struct{}
	watching bool
}

// add takes a call in, unless there are too many. watch is to be called if it is the first that nobody looks after.
func (w *waitingCalls) add(c *waitingCall) (ok, watch bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.all) >= maxWaiting {
		return false, false
	}
	if w.all == nil {
		w.all = make(map[*waitingCall]struct{})
	}
	w.all[c] = struct{}{}
	watch = !w.watching
	w.watching = true
	return true, watch
}

func (w *waitingCalls) remove(c *waitingCall) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.all, c)
}

// list appends all calls to to. If there are none, nobody watches any more.
func (w *waitingCalls) list(to []*waitingCall) []*waitingCall {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.all {
		to = append(to, c)
	}
	w.watching = len(to) > 0
	return to
}

// watch ends the contexts of calls whose tasks are gone or have a signal to take, or whose tty is ours no more, until a
// look finds no call, or ctx ends. A call that is answered within lookInterval costs nothing.
func (w *waitingCalls) watch(ctx context.Context, isOurs func(Device) bool) {
	tick := time.NewTicker(lookInterval)
	defer tick.Stop()
	var calls []*waitingCall
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		clear(calls)
		if calls = w.list(calls[:0]); len(calls) == 0 {
			return
		}
		for _, c := range calls {
			if err := c.look(); err != nil {
				c.cancel(err)
			} else if !c.doubt && !isOurs(c.device) {
				c.cancel(errOtherTTY)
			}
		}
	}
}

// look returns why the call should end, if it should.
func (c *waitingCall) look() error {
	// A Memory is for one goroutine; what this needs of it does not change.
	id := c.memory.id
	signalled := !c.deaf && c.signalled()
	if !valid(c.memory.listener, &id) {
		return ErrGone // and what was read may be another task's
	}
	if signalled {
		return ErrSignal
	}
	return nil
}

// signalled reports whether the task is certain to take a signal, or to stop, when its call is answered.
func (c *waitingCall) signalled() bool {
	s, err := readTaskStatus(c.TID)
	if err != nil {
		return false
	}
	return s.interrupted() || s.threads > 1 && othersStopped(c.TID)
}

// othersStopped reports whether a thread of a task's process has stopped: then it was told to stop as well, and does so
// before it sees its answer. Without that ^Z would not stop a process one of whose threads is in TIOCMIWAIT.
func othersStopped(tid int) bool {
	dir := procPath(tid, "task")
	threads, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, t := range threads {
		if t.Name() == strconv.Itoa(tid) {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, t.Name(), "stat"))
		if err != nil {
			continue
		}
		s, err := parseTaskStat(b)
		return err == nil && s.state == stateStopped
	}
	return false
}

func readTaskStatus(tid int) (taskStatus, error) {
	b, err := os.ReadFile(procPath(tid, "status"))
	if err != nil {
		return taskStatus{}, err
	}
	return parseTaskStatus(b)
}

func procPath(id int, name string) string { return "/proc/" + strconv.Itoa(id) + "/" + name }
