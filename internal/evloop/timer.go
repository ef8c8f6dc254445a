package evloop

import (
	"container/heap"
	"time"
)

// Timer is one pending call on a loop.
type Timer interface {
	// Stop prevents the call. It reports whether the call was still to come.
	Stop() bool
}

// Cancel stops a timer that may be set, and forgets it.
func Cancel(t *Timer) {
	if *t != nil {
		(*t).Stop()
		*t = nil
	}
}

type timer struct {
	loop  *Loop
	at    time.Time
	f     func()
	index int // in the loop's heap; -1 when not pending
}

func (t *timer) Stop() bool {
	if t.index < 0 {
		return false
	}
	heap.Remove(&t.loop.timers, t.index)
	return true
}

// timerHeap orders timers by time.
type timerHeap []*timer

func (h *timerHeap) Len() int           { return len(*h) }
func (h *timerHeap) Less(i, j int) bool { return (*h)[i].at.Before((*h)[j].at) }
func (h *timerHeap) Swap(i, j int) {
	t := *h
	t[i], t[j] = t[j], t[i]
	t[i].index, t[j].index = i, j
}

// Push is called by container/heap.
func (h *timerHeap) Push(x any) {
	t, ok := x.(*timer)
	if !ok {
		return
	}
	t.index = len(*h)
	*h = append(*h, t)
}

// Pop is called by container/heap.
func (h *timerHeap) Pop() any {
	last := len(*h) - 1
	t := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	t.index = -1
	return t
}

// fire runs the timers that are due now, and says how long to wait for the next
// one; negative: there is none. One that a timer starts and that is due at once has
// its turn after descriptors and posted functions have had theirs.
func (l *Loop) fire() time.Duration {
	now := l.Now()
	for len(l.timers) > 0 {
		t := l.timers[0]
		if t.at.After(now) {
			return max(t.at.Sub(l.Now()), 0)
		}
		heap.Pop(&l.timers)
		t.f()
	}
	return -1
}
