package ioctl

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// waiter is a TIOCMIWAIT that is under way. It exists in a synctest bubble only.
type waiter struct {
	cancel context.CancelFunc
	done   chan Errno
}

func startWait(t *testing.T, u *fakeUART, arch Arch, mask uint64) *waiter {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &waiter{cancel: cancel, done: make(chan Errno, 1)}
	go func() {
		_, errno := New(u).Do(ctx, Call{Arch: arch, Request: 0x545C, Arg: mask}, noMemory)
		w.done <- errno
	}()
	synctest.Wait()
	return w
}

// result is what the wait has returned, once nothing else can happen.
func (w *waiter) result() (Errno, bool) {
	synctest.Wait()
	select {
	case errno := <-w.done:
		return errno, true
	default:
		return 0, false
	}
}

// end ends a wait, and reports whether that was needed.
func (w *waiter) end(t *testing.T) (needed bool) {
	t.Helper()
	if _, over := w.result(); over {
		w.cancel()
		return false
	}
	w.cancel()
	if errno, over := w.result(); !over || errno != EINTR {
		t.Errorf("after its context has ended: over %v, error %v", over, errno)
	}
	return true
}

// Each line wakes whoever has asked for it, and nobody else.
func TestWaitForLine(t *testing.T) {
	lines := []struct {
		name string
		mask uint64
		move func(*State)
	}{
		{"RNG", 0x80, func(s *State) { s.Counts.RNG++ }},
		{"DSR", 0x100, func(s *State) { s.Counts.DSR++ }},
		{"CD", 0x40, func(s *State) { s.Counts.CD++ }},
		{"CTS", 0x20, func(s *State) { s.Counts.CTS++ }},
	}
	for moved, m := range lines {
		for mask := range uint64(16) {
			var arg uint64
			for i, l := range lines {
				if mask>>i&1 != 0 {
					arg |= l.mask
				}
			}
			t.Run(fmt.Sprintf("%s moves, %#x asked for", m.name, arg), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					u := newFakeUART(base())
					w := startWait(t, u, AMD64, arg)
					u.change(m.move)
					if asked := mask>>moved&1 != 0; w.end(t) == asked {
						t.Errorf("woken: %v, asked for: %v", !asked, asked)
					}
				})
			})
		}
	}
}

// A wait goes on through changes of everything else: outputs, characters, errors, settings, the level of a line whose counter stands still
// (RNG at its leading edge).
func TestWaitThroughOtherChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newFakeUART(base())
		w := startWait(t, u, AMD64, 0x1e0)
		u.change(func(s *State) {
			c := s.Counts
			s.Counts = Counts{
				CTS: c.CTS, DSR: c.DSR, RNG: c.RNG, CD: c.CD, RX: 99, TX: 99, Frame: 99, Overrun: 99, Parity: 99, Break: 99, BufOverrun: 99,
			}
			s.Lines = LineRTS | LineRNG
			s.Termios.Cflag ^= 1
			s.OutQueue++
		})
		if errno, over := w.result(); over {
			t.Fatalf("woken: %v", errno)
		}
		u.change(func(s *State) { s.Lines &^= LineRNG; s.Counts.RNG++ })
		if errno, over := w.result(); !over || errno != 0 {
			t.Errorf("after the trailing edge: over %v, error %v", over, errno)
		}
		w.cancel()
	})
}

// A pulse that is over before anybody looks has moved the line; a counter that wraps has, too.
func TestWaitForPulse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := base()
		s.Counts.CTS = 0xffffffff
		u := newFakeUART(s)
		w := startWait(t, u, I386, 0x20)
		u.mu.Lock() // nobody looks
		u.publish(func(s *State) { s.Lines &^= LineCTS; s.Counts.CTS++ })
		u.publish(func(s *State) { s.Lines |= LineCTS; s.Counts.CTS++ })
		u.mu.Unlock()
		if errno, over := w.result(); !over || errno != 0 {
			t.Errorf("over %v, error %v", over, errno)
		}
		w.cancel()
	})
}

// What moved before the call does not count.
func TestWaitForNewsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newFakeUART(base())
		u.change(func(s *State) { s.Counts.CTS++ })
		if w := startWait(t, u, AMD64, 0x20); !w.end(t) {
			t.Error("woken by the past")
		}
	})
}

func TestWaitEnds(t *testing.T) {
	t.Run("with the port", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			u := newFakeUART(base())
			w := startWait(t, u, AMD64, 0)
			u.change(func(s *State) { s.Gone = true })
			if errno, over := w.result(); !over || errno != EIO {
				t.Errorf("over %v, error %v", over, errno)
			}
			w.cancel()
		})
	})
	t.Run("with the port, also if a line moves", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			u := newFakeUART(base())
			w := startWait(t, u, AMD64, 0x20)
			u.change(func(s *State) { s.Gone = true; s.Counts.CTS++ })
			if errno, over := w.result(); !over || errno != EIO {
				t.Errorf("over %v, error %v", over, errno)
			}
			w.cancel()
		})
	})
	t.Run("with a hang-up, also if a line of what follows has moved", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			u := newFakeUART(base())
			w := startWait(t, u, AMD64, 0x20)
			u.change(func(s *State) { s.Hangups++; s.Counts = Counts{} })
			if errno, over := w.result(); !over || errno != EIO {
				t.Errorf("over %v, error %v", over, errno)
			}
			w.cancel()
		})
	})
	t.Run("with the context", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := startWait(t, newFakeUART(base()), AMD64, 0x1e0)
			time.Sleep(24 * time.Hour)
			if !w.end(t) {
				t.Error("over before its context")
			}
		})
	})
	t.Run("by the line that moved while the context ended", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			u := newFakeUART(base())
			w := startWait(t, u, AMD64, 0x40)
			u.mu.Lock() // whichever the wait sees first, it sees the other too
			w.cancel()
			u.publish(func(s *State) { s.Counts.CD++ })
			u.mu.Unlock()
			if errno, over := w.result(); !over || errno != 0 {
				t.Errorf("over %v, error %v", over, errno)
			}
		})
	})
	t.Run("with the context, of a port that never changes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			u := newFakeUART(base())
			u.mu.Lock()
			u.state = &State{}
			u.mu.Unlock()
			if w := startWait(t, u, AMD64, 0x1e0); !w.end(t) {
				t.Error("over before its context")
			}
		})
	})
}

// Many waits on one port, each for a line of its own, are woken all at once.
func TestManyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		u := newFakeUART(base())
		e := New(u)
		const n = 50
		done := make(chan Errno, n)
		for i := range n {
			go func() {
				_, errno := e.Do(t.Context(), Call{Request: 0x545C, Arg: 0x20 << (i % 4)}, noMemory)
				done <- errno
			}()
		}
		synctest.Wait()
		u.change(func(s *State) { s.Counts.CTS++; s.Counts.CD++; s.Counts.RNG++; s.Counts.DSR++ })
		synctest.Wait()
		if len(done) != n {
			t.Errorf("%d of %d woken", len(done), n)
		}
		for range n {
			if errno := <-done; errno != 0 {
				t.Errorf("error %v", errno)
			}
		}
	})
}
