package seccomp

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// BenchmarkCall is what TIOCMGET costs a C program: without a filter; with a supervisor that only continues (on a terminal
// that is not its own, where it does not look); that finds out that the descriptor is another's; that answers.
func BenchmarkCall(b *testing.B) {
	program := build(b)
	perCall := func(b *testing.B, r *run) {
		b.Helper()
		var ns float64
		if _, err := fmt.Sscanf(r.line(), "ns=%f", &ns); err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(ns, "ns/call")
		b.ReportMetric(0, "ns/op")
		if st := r.wait(); st.ExitStatus() != 0 {
			b.Errorf("status %#x", st)
		}
	}
	b.Run("no filter", func(b *testing.B) {
		tty := pty(b)
		o := Options{Argv: []string{program, "time", tty, fmt.Sprint(b.N)}, Env: os.Environ(), Requests: []uint32{tcsbrk}}
		perCall(b, startOptions(b, tty, newFake(), o))
	})
	b.Run("continue", func(b *testing.B) {
		tty := pty(b)
		perCall(b, startContinue(b, program, "time", tty, fmt.Sprint(b.N)))
	})
	b.Run("another device", func(b *testing.B) {
		tty, another := pty(b), pty(b)
		perCall(b, start(b, tty, newFake(), program, "time", another, fmt.Sprint(b.N)))
	})
	b.Run("answer now", func(b *testing.B) {
		tty := pty(b)
		perCall(b, start(b, tty, newFake(), program, "time", tty, fmt.Sprint(b.N)))
	})
	b.Run("answer later", func(b *testing.B) {
		tty := pty(b)
		h := newFake()
		h.slow = true
		perCall(b, start(b, tty, h, program, "time", tty, fmt.Sprint(b.N)))
	})
}

// startContinue runs a program whose calls are continued by the shortest loop there is.
func startContinue(b *testing.B, argv ...string) *run {
	b.Helper()
	p, in, out, err := startWith(b, Options{Argv: argv, Env: os.Environ(), Requests: fakeRequests})
	if err != nil {
		b.Skip(err)
	}
	_, stop := context.WithCancel(context.Background())
	r := &run{t: b, process: p, out: out, in: in, over: make(chan error, 1), stop: stop}
	s, err := New(p, newFake())
	if err != nil {
		b.Fatal(err)
	}
	go func() {
		runtime.LockOSThread()
		var n notification
		fds := []unix.PollFd{{Fd: int32(s.listener), Events: unix.POLLIN}}
		for {
			if _, err := unix.Poll(fds, -1); err != nil {
				continue
			}
			if fds[0].Revents&unix.POLLIN == 0 {
				break
			}
			if receive(s.listener, &n) == 0 {
				s.continueNow(n.id)
			}
		}
		r.over <- nil
		unix.Close(s.listener)
		unix.Close(s.wake)
	}()
	return r
}
