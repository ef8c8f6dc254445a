package usbtty_test

import (
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"testing/synctest"

	"github.com/vcomd/vcomd/internal/usbtty"
)

// opens are the lines of a journal about open and close.
func (r *rig) opens() (all []string) {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.log.take() {
		if l == "opened" || l == "closed" {
			all = append(all, l)
		}
	}
	return all
}

func (r *rig) expectOpens(want ...string) {
	r.t.Helper()
	got := r.opens()
	if len(got) != len(want) {
		r.t.Errorf("the handler was told %q, want %q", got, want)
		return
	}
	for i := range want {
		if got[i] != want[i] {
			r.t.Errorf("the handler was told %q, want %q", got, want)
		}
	}
}

func TestOpenClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, usbtty.Config{})
		for range 100 {
			f := r.open()
			r.expectOpens("opened")
			second := r.open()
			r.expectOpens()
			must(t, f.Close())
			r.expectOpens()
			if !r.dev.Open() {
				t.Fatal("closed by the first close")
			}
			must(t, second.Close())
			r.expectOpens("closed")
			if r.dev.Open() || r.dev.Writable() {
				t.Fatal("still open")
			}
		}
	})
}

func TestOpenCloseWithoutHUPCL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, usbtty.Config{})
		f := r.open()
		s := f.Termios()
		s.HUPCL = false
		must(t, f.SetTermios(s))
		must(t, f.Close())
		r.expectOpens("opened", "closed")
	})
}

// fillUp writes to the program until its line discipline takes no more.
func (r *rig) fillUp() (n int) {
	for {
		synctest.Wait()
		could := false
		r.do(func() {
			if could = r.dev.Writable(); could {
				n += r.dev.Write(make([]byte, 5000))
			}
		})
		if !could {
			return n
		}
	}
}

// A driver that is throttled has no IN URB: that is no close, and there is
// none to be cancelled at the close.
func TestCloseThrottled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, usbtty.Config{})
		f := r.open()
		if n := r.fillUp(); n < 3968 || n > 6000 {
			t.Errorf("%d bytes go to a program that does not read", n)
		}
		if !f.Throttled() {
			t.Error("it is not throttled")
		}
		r.expectOpens("opened")
		must(t, f.Close())
		r.expectOpens("closed")

		f = r.open()
		if n := r.fillUp(); n < 3968 {
			t.Errorf("%d bytes go to the next", n)
		}
		s := f.Termios()
		s.HUPCL = false
		must(t, f.SetTermios(s))
		must(t, f.Close())
		r.expectOpens("opened") // this one cannot be seen
		r.open()
		r.expectOpens("closed", "opened") // but the next open tells
	})
}

// B0 of a program that does not read looks like a close; its next read opens
// again.
func TestB0Throttled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, usbtty.Config{})
		f := r.open()
		n := r.fillUp()
		s := f.Termios()
		s.Speed = 0
		must(t, f.SetTermios(s))
		r.expectOpens("opened", "closed")
		_, err := io.ReadFull(f, make([]byte, n))
		must(t, err)
		r.expectOpens("opened")
		if !r.dev.Writable() {
			t.Error("nothing can be written")
		}
		must(t, f.Close())
		r.expectOpens("closed")
	})
}

// B0 at the open is no close: no IN URB has come yet.
func TestOpenWithB0(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, usbtty.Config{})
		f := r.open()
		s := f.Termios()
		s.Speed = 0
		must(t, f.SetTermios(s))
		must(t, f.Close())
		r.expectOpens("opened", "closed")
		f = r.open()
		r.expectOpens("opened")
		must(t, f.Close())
		r.expectOpens("closed")
	})
}

// In the middle of a close nothing is delivered: it would be lost.
func TestClosing(t *testing.T) {
	p := newPure(t)
	p.feed(submitIn(1, 512), submitIn(2, 512), unlink(3, 1))
	p.expect("unlink 3 -104")
	if p.dev.Writable() || p.dev.Write([]byte("x")) != 0 || p.dev.WriteWith('x', 0) {
		t.Error("bytes are taken")
	}
	p.dev.SetModem(0x10)
	p.expect()
	p.feed(unlink(4, 2))
	p.expect("unlink 4 -104")
	p.told("opened", "room", "closed")

	p.feed(submitIn(5, 512), submitIn(6, 512), unlink(7, 5), submitIn(8, 512)) // no close after all
	p.expect("ret 5 0 len 2: 11 60", "unlink 7 0")
	p.feed(unlink(9, 6))
	p.expect("unlink 9 -104")
	p.feed(submitIn(10, 512))
	p.told("opened", "room", "room")
	if n := p.dev.Write([]byte("x")); n != 1 {
		t.Errorf("%d bytes are taken", n)
	}
	p.expect("ret 8 0 len 3: 11 60 78")
}

func TestNewConfigurationCloses(t *testing.T) {
	p := newPure(t)
	p.feed(control(1, 0, 9, 1, 0, 0), control(2, 0x40, 0, 0, 0, 0), control(3, 0, 9, 0, 0, 0))
	p.told("opened", "closed")
}

func TestHangUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, usbtty.Config{})
		r.do(func() { r.dev.SetModem(0x80) })
		f := r.open()
		s := f.Termios()
		s.CLOCAL = false
		must(t, f.SetTermios(s))
		synctest.Wait()
		if f.HungUp() {
			t.Error("hung up too early")
		}
		r.do(func() { r.dev.SetModem(0) })
		if _, err := f.Read(make([]byte, 1)); !errors.Is(err, io.EOF) || !f.HungUp() {
			t.Errorf("read: %v", err)
		}
		must(t, f.Close())
	})
}

// Bytes both ways at once, in odd portions.
func TestTransfer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, usbtty.Config{})
		f := r.open()
		source := rand.New(rand.NewPCG(1, 2))
		up, down := make([]byte, 300_000), make([]byte, 300_000)
		for i := range up {
			up[i], down[i] = byte(source.Uint32()), byte(source.Uint32())
		}
		got := make(chan [32]byte, 1)
		go func() {
			b := make([]byte, len(down))
			if _, err := io.ReadFull(f, b); err != nil {
				t.Error(err)
			}
			got <- sha256.Sum256(b)
		}()
		go func() {
			if _, err := f.Write(up); err != nil {
				t.Error(err)
			}
		}()
		var arrived []byte
		var b [777]byte
		for left := down; len(left) > 0 || len(arrived) < len(up); {
			synctest.Wait()
			r.do(func() {
				left = left[r.dev.Write(left[:min(len(left), 1+source.IntN(1500))]):]
				arrived = append(arrived, b[:r.dev.Read(b[:1+source.IntN(len(b))])]...)
			})
		}
		if sha256.Sum256(arrived) != sha256.Sum256(up) {
			t.Error("other bytes have come from the program")
		}
		if <-got != sha256.Sum256(down) {
			t.Error("other bytes have come to the program")
		}
		if n := r.dev.Counters(); n.BytesIn != 300_000 || n.BytesOut != 300_000 || n.Dropped != 0 {
			t.Errorf("counted: %+v", n)
		}
		must(t, f.Close())
	})
}

// Unplugged while open: everything under way ends.
func TestUnplug(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, usbtty.Config{})
		f := r.open()
		read := make(chan error)
		go func() {
			_, err := f.Read(make([]byte, 1))
			read <- err
		}()
		synctest.Wait()
		must(t, r.k.Close())
		if err := <-read; !errors.Is(err, io.EOF) {
			t.Errorf("read: %v", err)
		}
		if _, err := f.Write([]byte("x")); err == nil {
			t.Error("written")
		}
		if _, err := r.k.Open(); err == nil {
			t.Error("opened")
		}
		_ = f.Close()
	})
}
