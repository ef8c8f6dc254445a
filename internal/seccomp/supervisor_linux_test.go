package seccomp

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vcomd/vcomd/internal/ioctl"

	"golang.org/x/sys/unix"
)

func exited(t *testing.T, st unix.WaitStatus, code int) {
	t.Helper()
	if !st.Exited() || st.ExitStatus() != code {
		t.Errorf("the program's status is %#x, want exit %d", st, code)
	}
}

func TestAnswer(t *testing.T) {
	for _, flags := range [][]string{nil, {"-static"}, {"-m32"}} {
		t.Run(fmt.Sprint(flags), func(t *testing.T) {
			program, tty := build(t, flags...), pty(t)
			r := start(t, tty, newFake(), program, "lines", tty)
			r.expect("lines ret=0 errno=0 handled=0")
			r.expect("value=0x1a6")
			exited(t, r.wait(), 0)
		})
	}
}

// Another tty's calls are the kernel's, which knows no TIOCMGET on a pseudo-terminal.
func TestOthersAreLeftAlone(t *testing.T) {
	program, tty, another := build(t), pty(t), pty(t)
	r := start(t, tty, newFake(), program, "lines", another)
	r.expect("lines ret=-1 errno=25 handled=0") // ENOTTY
	r.line()
	exited(t, r.wait(), 0)
}

func TestNoDevice(t *testing.T) {
	program, tty := build(t), pty(t)
	r := start(t, "", newFake(), program, "lines", tty)
	r.expect("lines ret=-1 errno=25 handled=0")
	r.line()
	exited(t, r.wait(), 0)
}

func TestFaults(t *testing.T) {
	for _, flags := range [][]string{nil, {"-m32"}} {
		t.Run(fmt.Sprint(flags), func(t *testing.T) {
			program, tty := build(t, flags...), pty(t)
			h := newFake()
			r := start(t, tty, h, program, "faults", tty)
			for _, what := range []string{"null", "low", "high", "readonly", "split", "setnull", "setsplit"} {
				r.expect(what + " ret=-1 errno=14 handled=0") // EFAULT
			}
			r.expect("edge ret=0 errno=0 handled=0")
			exited(t, r.wait(), 0)
			if n := h.sets.Load(); n != 0 {
				t.Errorf("%d sets of what cannot be read", n)
			}
		})
	}
}

// Every call is done once or not at all, and the program knows which. What a signal interrupts is a call that the
// supervisor has not received yet: without SA_RESTART that is EINTR, with it the call comes again.
func TestStorm(t *testing.T) {
	n := 100_000
	if testing.Short() {
		n = 10_000
	}
	for _, inline := range []bool{true, false} {
		for _, how := range []string{"plain", "restart"} {
			t.Run(fmt.Sprintf("%s inline %v", how, inline), func(t *testing.T) {
				program, tty := build(t), pty(t)
				h := newFake()
				h.inline = inline
				r := start(t, tty, h, program, "storm", tty, fmt.Sprint(n, how))
				var interrupted, failed, sum, handled int64
				if _, err := fmt.Sscanf(r.line(), "interrupted=%d failed=%d sum=%d handled=%d", &interrupted, &failed, &sum, &handled); err != nil {
					t.Fatal(err)
				}
				exited(t, r.wait(), 0)
				t.Logf("%d signals, %d calls interrupted", handled, interrupted)
				if failed != 0 || h.sets.Load() != int64(n)-interrupted || h.sum.Load() != sum {
					t.Errorf("%d failed, %d were interrupted, of sum %d; %d were done, of sum %d",
						failed, interrupted, sum, h.sets.Load(), h.sum.Load())
				}
				if how == "restart" && interrupted != 0 {
					t.Errorf("%d calls were interrupted in spite of SA_RESTART", interrupted)
				}
				if handled < 100 {
					t.Errorf("only %d signals came", handled)
				}
			})
		}
	}
}

func TestCrowd(t *testing.T) {
	program, tty := build(t), pty(t)
	r := start(t, tty, newFake(), program, "crowd", tty, "200")
	r.expect("bad=0")
	exited(t, r.wait(), 0)
}

// A tty can take another's place while a program runs, and then the first is nobody's, nor does anything come of a call
// that waits on it.
func TestSetDevice(t *testing.T) {
	program, first, second := build(t), pty(t), pty(t)
	h := newFake()
	r := start(t, first, h, program, "wait", first)
	r.waits()
	d, err := DeviceOf(second)
	if err != nil {
		t.Fatal(err)
	}
	r.super.SetDevice(d)
	r.expect("wait ret=-1 errno=5 handled=0") // EIO
	exited(t, r.wait(), 0)
}

// While it is not known which tty is ours, a call on one that may be waits to learn it, once; on one that cannot be it does not.
func TestDoubt(t *testing.T) {
	program := build(t)
	for _, tt := range []struct {
		name           string
		likely, become bool
		want           string
	}{
		{"a terminal of the program's", false, false, "lines ret=-1 errno=25 handled=0"}, // ENOTTY
		{"what never becomes ours", true, false, "lines ret=-1 errno=25 handled=0"},
		{"what becomes ours", true, true, "lines ret=0 errno=0 handled=0"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tty := pty(t)
			d, err := DeviceOf(tty)
			if err != nil {
				t.Fatal(err)
			}
			certain, asked := make(chan struct{}), make(chan struct{}, 10)
			r := startOptions(t, "", newFake(), Options{Argv: []string{program, "lines", tty}, Env: os.Environ(), Requests: fakeRequests}, func(s *Supervisor) {
				s.Uncertain = func() <-chan struct{} { return certain }
				s.Likely = func(of Device) bool {
					if of == d {
						asked <- struct{}{}
					}
					return tt.likely
				}
				switch {
				case tt.become:
				case tt.likely:
					s.certainty = time.Millisecond // it is never said
				default:
					s.certainty = time.Hour
				}
			})
			<-asked
			if tt.become {
				r.super.SetDevice(d)
				close(certain)
			}
			r.expect(tt.want)
			if tt.become {
				r.expect(fmt.Sprintf("value=%#x", fakeLines))
			} else {
				r.expect("value=0")
			}
			exited(t, r.wait(), 0)
			if waited := tt.likely && !tt.become; r.super.foreign.has(d) != waited {
				t.Errorf("another call on it would wait: %v", waited)
			}
		})
	}
}

func TestSignals(t *testing.T) {
	thread := func(c Call) error { return unix.Tgkill(tgid(t, c.TID), c.TID, unix.SIGUSR1) }
	process := func(c Call) error { return unix.Kill(tgid(t, c.TID), unix.SIGUSR1) }
	for _, c := range []struct {
		how     string
		restart bool // as the Handler says
		send    func(Call) error
		again   bool // the call comes again
		want    string
	}{
		{"plain", true, process, false, "wait ret=-1 errno=4 handled=1"},
		{"plain", true, thread, false, "wait ret=-1 errno=4 handled=1"},
		{"restart", true, process, true, "wait ret=0 errno=0 handled=1"},
		{"restart", true, thread, true, "wait ret=0 errno=0 handled=1"},
		{"restart", false, process, false, "wait ret=-1 errno=4 handled=1"},
		{"threads plain", true, process, false, "wait ret=-1 errno=4 handled=1"},
		{"threads restart", true, process, true, "wait ret=0 errno=0 handled=1"},
		{"worker plain", true, thread, false, "wait ret=-1 errno=4 handled=1"},
		{"worker restart", true, thread, true, "wait ret=0 errno=0 handled=1"},
		{"threads plain", true, thread, false, "wait ret=-1 errno=4 handled=1"},
		{"threads restart", true, thread, true, "wait ret=0 errno=0 handled=1"},
	} {
		t.Run(fmt.Sprintf("%s %v", c.how, c.again), func(t *testing.T) {
			program, tty := build(t), pty(t)
			h := newFake()
			h.restart = c.restart
			r := start(t, tty, h, program, "wait", tty, c.how)
			if err := c.send(r.waits()); err != nil {
				t.Fatal(err)
			}
			if c.again {
				r.waits()
				h.release <- struct{}{}
			}
			r.expect(c.want)
			exited(t, r.wait(), 0)
			if len(h.causes) != 1 || !errors.Is(h.causes[0], ErrSignal) {
				t.Errorf("contexts have ended because of %v", h.causes)
			}
		})
	}
}

// Signals that the thread need not take do not end its call: those that are blocked or ignored, and those that another
// thread could take.
func TestSignalsThatDoNotInterrupt(t *testing.T) {
	for how, want := range map[string]string{
		"block":  "wait ret=0 errno=0 handled=0",
		"ignore": "wait ret=0 errno=0 handled=0",
		"worker": "wait ret=0 errno=0",
	} {
		t.Run(how, func(t *testing.T) {
			program, tty := build(t), pty(t)
			h := newFake()
			h.restart = true
			r := start(t, tty, h, program, "wait", tty, how)
			c := r.waits()
			if err := unix.Kill(tgid(t, c.TID), unix.SIGUSR1); err != nil {
				t.Fatal(err)
			}
			w := r.onlyWaiting()
			if err := w.look(); err != nil {
				t.Errorf("the call is ended: %v", err)
			}
			h.release <- struct{}{}
			if got := r.line(); !strings.HasPrefix(got, want) { // another thread may be about to handle it
				t.Errorf("the program says %q, want %q", got, want)
			}
			exited(t, r.wait(), 0)
			if len(h.causes) != 0 {
				t.Errorf("contexts have ended because of %v", h.causes)
			}
		})
	}
}

// Signals to a process of several threads, whose first one waits: none of them shows it the number 512.
func TestManySignals(t *testing.T) {
	n := 200
	if testing.Short() {
		n = 20
	}
	program, tty := build(t), pty(t)
	h := newFake()
	h.restart = true
	r := start(t, tty, h, program, "many", tty, fmt.Sprint(n))
	for range n {
		if err := unix.Kill(tgid(t, r.waits().TID), unix.SIGUSR1); err != nil {
			t.Fatal(err)
		}
	}
	r.expect(fmt.Sprintf("interrupted=%d wrong=0 last=0", n))
	exited(t, r.wait(), 0)
}

// onlyWaiting returns the one call that waits.
func (r *run) onlyWaiting() *waitingCall {
	r.t.Helper()
	r.super.waiting.mu.Lock()
	defer r.super.waiting.mu.Unlock()
	if len(r.super.waiting.all) != 1 {
		r.t.Fatalf("%d calls wait", len(r.super.waiting.all))
	}
	for w := range r.super.waiting.all {
		return w
	}
	return nil
}

func tgid(t *testing.T, tid int) int {
	t.Helper()
	s, err := readTaskStatus(tid)
	if err != nil {
		t.Fatal(err)
	}
	return s.tgid
}

// Killed while it waits: the call's context ends, and nothing is left (TestMain looks for goroutines).
func TestKilled(t *testing.T) {
	program, tty := build(t), pty(t)
	h := newFake()
	r := start(t, tty, h, program, "wait", tty)
	r.waits()
	if err := unix.Kill(r.process.PID(), unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if st := r.wait(); !st.Signaled() || st.Signal() != unix.SIGKILL {
		t.Errorf("status %#x", st)
	}
	if len(h.causes) != 1 || !errors.Is(h.causes[0], ErrGone) {
		t.Errorf("contexts have ended because of %v", h.causes)
	}
}

// So it does while other tasks live.
func TestOneOfTwoKilled(t *testing.T) {
	program, tty := build(t), pty(t)
	h := newFake()
	r := start(t, tty, h, "sh", "-c", `"$@"; echo $?; read x`, "sh", program, "wait", tty)
	if err := unix.Kill(r.waits().TID, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	r.expect("137")
	select {
	case err := <-h.ended:
		if !errors.Is(err, ErrGone) {
			t.Errorf("its context has ended because of %v", err)
		}
	case <-time.After(patience):
		t.Error("its context has not ended")
	}
	r.in.Close()
	exited(t, r.wait(), 1)
}

// The descriptor is closed while the call waits: the call goes on, as it does in a driver.
func TestClosedDuringCall(t *testing.T) {
	program, tty := build(t), pty(t)
	h := newFake()
	r := start(t, tty, h, program, "wait", tty, "closer")
	r.waits()
	if _, err := r.in.Write([]byte{'x'}); err != nil {
		t.Fatal(err)
	}
	r.expect("close ret=0 errno=0 handled=0")
	h.release <- struct{}{}
	r.expect("wait ret=0 errno=0 handled=0")
	exited(t, r.wait(), 0)
}

// Run's end leaves nothing behind, also while calls wait.
func TestContextEnds(t *testing.T) {
	program, tty := build(t), pty(t)
	h := newFake()
	r := start(t, tty, h, program, "wait", tty)
	r.waits()
	r.stop()
	if err := <-r.over; err != nil {
		t.Fatal(err)
	}
	r.expect("wait ret=-1 errno=4 handled=0")
	r.over <- nil
	exited(t, r.wait(), 0)
}

// The kernel's own numbers never reach a program, whatever a Handler says.
func TestReply(t *testing.T) {
	for errno, want := range map[uint16]int32{0: 0, 1: -1, 25: -25, 511: -511, 512: -4, 516: -4, 65535: -4} {
		if r := reply(7, 9, errno); r.id != 7 || r.errno != want || r.flags != 0 || (r.errno == 0) != (r.val == 9) {
			t.Errorf("%d: %+v, want %d", errno, r, want)
		}
	}
}

func TestTooManyWait(t *testing.T) {
	var w waitingCalls
	calls := make([]waitingCall, maxWaiting+1)
	for i := range maxWaiting {
		if ok, watch := w.add(&calls[i]); !ok || watch != (i == 0) {
			t.Fatalf("call %d: %v, watch %v", i, ok, watch)
		}
	}
	last := &calls[maxWaiting]
	if ok, _ := w.add(last); ok {
		t.Error("one more was taken")
	}
	w.remove(&calls[0])
	if ok, watch := w.add(last); !ok || watch {
		t.Errorf("after one has gone: %v, watch %v", ok, watch)
	}
	if n := len(w.list(nil)); n != maxWaiting {
		t.Errorf("%d are looked after", n)
	}
	for i := range calls {
		w.remove(&calls[i])
	}
	// A look that finds none is the last one; the next call needs another watcher.
	if n := len(w.list(nil)); n != 0 {
		t.Errorf("%d are looked after", n)
	}
	if ok, watch := w.add(last); !ok || !watch {
		t.Errorf("after all have gone: %v, watch %v", ok, watch)
	}
}

// What a call tells of itself.
func TestCall(t *testing.T) {
	program, tty := build(t, "-m32"), pty(t)
	h := newFake()
	r := start(t, tty, h, program, "wait", tty)
	if got, want := r.waits(), (Call{Arch: ioctl.I386, Request: tiocmiwait, Arg: 0x40, FD: 3, TID: r.process.PID()}); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	h.release <- struct{}{}
	r.expect("wait ret=0 errno=0 handled=0")
	exited(t, r.wait(), 0)
}

func TestKill(t *testing.T) {
	p, _, out, err := startWith(t, Options{Argv: []string{"cat"}, Env: os.Environ(), Requests: fakeRequests})
	if err != nil {
		t.Fatal(err)
	}
	p.Kill()
	if _, err := out.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("its output: %v", err)
	}
	if _, err := New(p, newFake()); err == nil {
		t.Error("it can be supervised")
	}
}
