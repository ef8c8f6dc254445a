package usbtty_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vcomd/vcomd/internal/usbtty"
)

func (p *pure) read(n int) string {
	b := make([]byte, n)
	return string(b[:p.dev.Read(b)])
}

func (p *pure) reads(n int, want string) {
	p.t.Helper()
	if got := p.read(n); got != want {
		p.t.Errorf("read %q, want %q", got, want)
	}
}

// A URB is answered when it has been read, and not before.
func TestReadAnswers(t *testing.T) {
	p := newPure(t)
	p.feed(submitOut(1, "abc"), submitOut(2, ""), submitOut(3, "defg"))
	p.told("written")
	p.expect()
	p.reads(2, "ab")
	p.expect()
	p.reads(0, "")
	p.expect()
	p.reads(1, "c")
	p.expect("ret 1 0 len 3", "ret 2 0")
	p.feed(submitOut(4, "h"))
	p.told() // bytes were waiting
	p.reads(100, "defgh")
	p.expect("ret 3 0 len 4", "ret 4 0 len 1")
	p.feed(submitOut(5, ""), submitOut(6, "i"))
	p.told("written")
	p.expect("ret 5 0")
	if n := p.dev.Counters().BytesOut; n != 8 {
		t.Errorf("%d bytes are counted", n)
	}
}

func TestUnlinkOut(t *testing.T) {
	p := newPure(t)
	p.feed(submitOut(1, "abc"), submitOut(2, "def"), submitOut(3, ""), submitOut(4, "ghi"))
	p.reads(1, "a")
	p.feed(unlink(5, 2)) // out of the middle
	p.expect("unlink 5 -104")
	p.feed(unlink(6, 1)) // what is left of the first; the empty one behind it is done then
	p.expect("unlink 6 -104", "ret 3 0")
	p.feed(unlink(7, 1), unlink(8, 2), unlink(9, 3)) // all of them have had their answer
	p.expect("unlink 7 0", "unlink 8 0", "unlink 9 0")
	if n := p.dev.Readable(); n != 3 {
		t.Errorf("%d bytes wait", n)
	}
	p.reads(10, "ghi")
	p.expect("ret 4 0 len 3")
	if n := p.dev.Counters(); n.Dropped != 5 || n.BytesOut != 4 || n.Unlinks != 5 {
		t.Errorf("counted: %+v", n)
	}
	p.feed(control(10, 0xc0, 5, 0, 0, 2), unlink(11, 10)) // a control transfer never waits
	p.expect("ret 10 0 len 2: 01 60", "unlink 11 0")
}

// A cancellation that has overtaken its URB is answered with it.
func TestUnlinkEarly(t *testing.T) {
	p := newPure(t)
	p.feed(submitOut(1, "a"), unlink(4, 3), unlink(6, 5), unlink(8, 7))
	p.expect()
	p.feed(submitOut(3, "dropped"))
	p.expect("unlink 4 -104")
	p.feed(submitIn(5, 512))
	p.expect("unlink 6 -104")
	p.feed(control(7, 0x40, 1, 0x0303, 0, 0))
	p.expect("unlink 8 -104")
	p.told("written") // neither opened nor lines
	p.reads(100, "a")
	p.expect("ret 1 0 len 1")
	if p.dev.Writable() || p.dev.Open() || p.dev.Counters().Dropped != 7 {
		t.Errorf("open %t, writable %t, counted %+v", p.dev.Open(), p.dev.Writable(), p.dev.Counters())
	}
	p.feed(unlink(20, 19), unlink(21, 19), submitOut(19, "")) // cancelled twice
	p.expect("unlink 20 -104", "unlink 21 0")
	for i := range uint32(17) {
		p.feed(unlink(100+i, 1000+i))
	}
	p.expect("unlink 116 0") // no more are kept
}

// The sequence numbers wrap around.
func TestUnlinkAcrossWrap(t *testing.T) {
	p := newPure(t)
	p.feed(submitOut(0xffffffff, "a"), unlink(2, 1))
	p.expect()
	p.feed(submitOut(1, "b"), unlink(3, 0xfffffff0))
	p.expect("unlink 2 -104", "unlink 3 0")
}

// A URB that went to the device that was on the port before can only be cancelled here: the kernel waits for that before it
// looks at this device.
func TestUnlinkOfPredecessor(t *testing.T) {
	p := newPure(t)
	p.feed(unlink(20, 10), unlink(22, 11))
	p.expect("unlink 20 -104", "unlink 22 -104")
	p.feed(control(23, 0xc0, 5, 0, 0, 2), unlink(24, 12), unlink(25, 23))
	p.expect("ret 23 0 len 2: 01 60", "unlink 24 0", "unlink 25 0")
}

func TestPurge(t *testing.T) {
	p := newPure(t)
	p.feed(submitOut(1, "abc"), submitOut(2, ""), submitOut(3, "def"))
	p.reads(1, "a")
	p.feed(control(4, 0x40, 0, 1, 0, 0))
	p.expect("ret 4 0")
	p.feed(control(5, 0x40, 0, 2, 0, 0))
	p.expect("ret 1 0 len 3", "ret 2 0", "ret 3 0 len 3", "ret 5 0")
	p.told("written", "purge true false", "purge false true")
	if n := p.dev.Counters().Dropped; n != 5 || p.dev.Readable() != 0 {
		t.Errorf("%d dropped, %d wait", n, p.dev.Readable())
	}
}

// Who does not read makes the program wait: the driver has two URBs and a FIFO.
func TestBackPressureOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, usbtty.Config{})
		f := r.open()
		data := strings.Repeat("0123456789abcdef", 500)
		n, err := f.TryWrite([]byte(data))
		must(t, err)
		synctest.Wait()
		more, err := f.TryWrite([]byte(data)[n:])
		must(t, err)
		n += more
		if want := 4096 + 2*256; n != want || r.dev.Readable() != 2*256 {
			t.Errorf("%d bytes are taken and %d arrive; want %d and 512", n, r.dev.Readable(), want)
		}
		if got := r.read(); got != data[:n] {
			t.Error("other bytes arrive")
		}
		must(t, f.Close())
	})
}

// A close that does not wait takes what was not read with it.
func TestCloseDropsOutput(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, usbtty.Config{})
		f := r.open()
		_, err := f.Write(make([]byte, 1000))
		must(t, err)
		synctest.Wait()
		r.log.take()
		var b [100]byte
		r.do(func() { r.dev.Read(b[:]) })
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		must(t, f.CloseContext(ctx))
		r.expect("settings 9600 8N1 flow none", "lines 0 of DTR|RTS", "closed")
		if n := r.dev.Counters().Dropped; n != 412 || r.dev.Readable() != 0 {
			t.Errorf("%d bytes are dropped, %d wait", n, r.dev.Readable())
		}
	})
}

// tcdrain waits for the port's word.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, usbtty.Config{})
		f := r.open()
		_, err := f.Write([]byte("x"))
		must(t, err)
		r.do(func() { r.log.sent = false })
		r.read()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := f.Drain(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("drained: %v", err)
		}
		done := make(chan error)
		go func() { done <- f.Drain(t.Context()) }()
		time.Sleep(time.Second)
		r.do(func() { r.log.sent = true })
		must(t, <-done)
		must(t, f.Close())
	})
}

// What waits for Read has not been sent, whatever the handler says.
func TestSentNeedsRead(t *testing.T) {
	p := newPure(t)
	p.feed(submitOut(1, "x"), control(2, 0xc0, 5, 0, 0, 2))
	p.expect("ret 2 0 len 2: 01 00")
	p.read(1)
	p.feed(control(3, 0xc0, 5, 0, 0, 2))
	p.expect("ret 1 0 len 1", "ret 3 0 len 2: 01 60")
	p.log.sent = false
	p.feed(control(4, 0xc0, 5, 0, 0, 2))
	p.expect("ret 4 0 len 2: 01 00")
}
