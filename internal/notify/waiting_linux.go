package notify

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// lookInterval is how often tasks with calls that wait are looked at.
const lookInterval = 20 * time.Millisecond

// waiting knows the calls that are being answered.
type waiting struct {
	mu    sync.Mutex
	calls map[*waitingCall]struct{}
	begun chan struct{} // something waits
}

type waitingCall struct {
	id          uint64
	tid         int
	ctx         context.Context
	cancel      context.CancelFunc
	mayEnd      bool        // for a signal
	interrupted atomic.Bool // by a signal, and not by its end
}

func (w *waiting) add(ctx context.Context, id uint64, c Call, interruptible bool) *waitingCall {
	call := &waitingCall{id: id, tid: c.TID, mayEnd: interruptible}
	call.ctx, call.cancel = context.WithCancel(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.initLocked()
	w.calls[call] = struct{}{}
	select {
	case w.begun <- struct{}{}:
	default:
	}
	return call
}

func (w *waiting) initLocked() {
	if w.calls == nil {
		w.calls, w.begun = make(map[*waitingCall]struct{}), make(chan struct{}, 1)
	}
}

func (w *waiting) remove(call *waitingCall) {
	call.cancel()
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.calls, call)
}

// watch ends the calls of tasks that have ended or have a signal to take, until ctx
// ends. While nothing waits it does nothing.
func (w *waiting) watch(ctx context.Context, alive func(id uint64) bool) {
	w.mu.Lock()
	w.initLocked()
	begun := w.begun
	w.mu.Unlock()
	tick := time.NewTicker(lookInterval)
	tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-begun:
			tick.Reset(lookInterval)
		case <-tick.C:
			if w.look(alive) == 0 {
				tick.Stop()
			}
		}
	}
}

// look looks at each, and returns how many there are.
func (w *waiting) look(alive func(id uint64) bool) int {
	w.mu.Lock()
	all := make([]*waitingCall, 0, len(w.calls))
	for c := range w.calls {
		all = append(all, c)
	}
	w.mu.Unlock()
	for _, c := range all {
		switch {
		case !alive(c.id):
			c.cancel()
		case c.mayEnd && signalled(c.tid):
			c.interrupted.Store(true)
			c.cancel()
		}
	}
	return len(all)
}

// signalled reports whether a task is certain to take a signal when its call ends
// (proc_pid_status(5)).
func signalled(tid int) bool {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(tid) + "/status")
	return err == nil && takesSignal(status)
}

func takesSignal(status []byte) bool {
	var own, shared, blocked, ignored, threads uint64
	for line := range bytes.Lines(status) {
		name, value, ok := bytes.Cut(bytes.TrimSpace(line), []byte(":\t"))
		if !ok {
			continue
		}
		switch string(name) {
		case "Threads":
			_, _ = fmt.Sscanf(string(value), "%d", &threads)
		case "SigPnd":
			_, _ = fmt.Sscanf(string(value), "%x", &own)
		case "ShdPnd":
			_, _ = fmt.Sscanf(string(value), "%x", &shared)
		case "SigBlk":
			_, _ = fmt.Sscanf(string(value), "%x", &blocked)
		case "SigIgn":
			_, _ = fmt.Sscanf(string(value), "%x", &ignored)
		}
	}
	pending := own
	if threads == 1 {
		pending |= shared // nobody else can take it
	}
	return pending&^blocked&^ignored != 0
}
