package evloop_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vcomd/vcomd/internal/evloop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start runs a loop for the length of the test.
func start(t *testing.T) *evloop.Loop {
	t.Helper()
	l, err := evloop.New()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return l
}

// on runs f on the loop and waits.
func on(l *evloop.Loop, f func()) {
	done := make(chan struct{})
	l.Post(func() { f(); close(done) })
	<-done
}

func TestPostKeepsOrder(t *testing.T) {
	l := start(t)
	var got []int
	for i := range 1000 {
		l.Post(func() { got = append(got, i) })
	}
	on(l, func() {})
	if len(got) != 1000 || !slices.IsSorted(got) {
		t.Errorf("%d of 1000 posted functions ran, in order: %v", len(got), slices.IsSorted(got))
	}
}

func TestPostFromCallback(t *testing.T) {
	l := start(t)
	done := make(chan struct{})
	l.Post(func() { l.Post(func() { close(done) }) })
	<-done
}

// A timer that starts itself again, due at once, leaves the loop to others.
func TestTimerWithoutEnd(t *testing.T) {
	l := start(t)
	var (
		other   bool // what was posted has run
		again   func()
		turns   int
		waiting = make(chan bool)
	)
	again = func() {
		if turns++; turns == 1 {
			go l.Post(func() { other = true })
		}
		if other || turns == 10_000_000 {
			waiting <- !other
			return
		}
		l.AfterFunc(0, again)
	}
	l.Post(again)
	if <-waiting {
		t.Errorf("nothing else has run in %d turns of a timer", turns)
	}
}

func TestTimers(t *testing.T) {
	l := start(t)
	fired := make(chan string, 4)
	begin := time.Now()
	on(l, func() {
		l.AfterFunc(30*time.Millisecond, func() { fired <- "late" })
		l.AfterFunc(10*time.Millisecond, func() { fired <- "early" })
		stopped := l.AfterFunc(time.Millisecond, func() { fired <- "stopped" })
		if !stopped.Stop() {
			t.Error("Stop of a pending timer reports false")
		}
		if stopped.Stop() {
			t.Error("Stop of a stopped timer reports true")
		}
	})
	if got := []string{<-fired, <-fired}; !slices.Equal(got, []string{"early", "late"}) {
		t.Errorf("timers fired as %v", got)
	}
	if d := time.Since(begin); d < 30*time.Millisecond {
		t.Errorf("a timer of 30 ms fired after %v", d)
	}
}

// echo attaches one end of the connection to the loop, and sends back through
// it all that comes in, until the peer ends it.
func echo(t *testing.T, l *evloop.Loop, c net.Conn) (ended <-chan struct{}) {
	t.Helper()
	done := make(chan struct{})
	on(l, func() {
		s, err := l.Attach(c)
		if err != nil {
			t.Error(err)
			return
		}
		buf, held := make([]byte, 32<<10), []byte(nil)
		pump := func(bool, bool) {
			if len(held) == 0 {
				n, err := s.Read(buf)
				if errors.Is(err, evloop.ErrWouldBlock) {
					return
				}
				if err != nil {
					_ = s.Close()
					close(done)
					return
				}
				held = buf[:n]
			}
			n, err := s.Write(held)
			if err != nil && !errors.Is(err, evloop.ErrWouldBlock) {
				_ = s.Close()
				return
			}
			held = held[n:]
			s.Want(len(held) == 0, len(held) > 0)
		}
		s.Notify(pump)
		s.Want(true, false)
	})
	return done
}

func TestStreams(t *testing.T) {
	tcp := func(t *testing.T) (a, b net.Conn) {
		t.Helper()
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		if a, err = net.Dial("tcp", ln.Addr().String()); err != nil {
			t.Fatal(err)
		}
		if b, err = ln.Accept(); err != nil {
			t.Fatal(err)
		}
		return a, b
	}
	pipe := func(*testing.T) (a, b net.Conn) { return net.Pipe() }
	for name, dial := range map[string]func(*testing.T) (net.Conn, net.Conn){"tcp": tcp, "goroutines": pipe} {
		t.Run(name, func(t *testing.T) {
			l := start(t)
			near, far := dial(t)
			ended := echo(t, l, near)
			want := bytes.Repeat([]byte("0123456789abcdef"), 64<<10)
			go func() {
				if _, err := far.Write(want); err != nil {
					t.Error(err)
				}
			}()
			got := make([]byte, len(want))
			if _, err := io.ReadFull(far, got); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Error("the echo differs from what was sent")
			}
			if err := far.Close(); err != nil {
				t.Error(err)
			}
			<-ended
		})
	}
}

// A peer that resets while nobody reads must not keep the loop busy.
func TestHangupWithoutReaderIsParked(t *testing.T) {
	l := start(t)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	raw, err := r.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	calls := make(chan evloop.Events, 16)
	var s *evloop.Source
	_ = raw.Control(func(fd uintptr) {
		on(l, func() {
			s, err = l.Watch(int(fd), 0, func(ev evloop.Events) {
				calls <- ev
				_ = s.Park()
			})
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if ev := <-calls; ev&evloop.Hangup == 0 {
		t.Errorf("events %x, want a hangup", ev)
	}
	on(l, func() {})
	on(l, func() {})
	if n := len(calls); n != 0 {
		t.Errorf("%d more calls about the same hangup", n)
	}
	on(l, func() { _ = s.Set(evloop.Readable) })
	if ev := <-calls; ev&evloop.Hangup == 0 {
		t.Errorf("after Set: events %x, want a hangup", ev)
	}
	on(l, func() { _ = s.Close() })
}

func TestCloseTwice(t *testing.T) {
	l, err := evloop.New()
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := l.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	}
	l.Post(func() { t.Error("a function ran on a closed loop") })
}
