package usbtty_test

import (
	"encoding/binary"
	"errors"
	"runtime"
	"testing"

	"github.com/vcomd/vcomd/internal/usbtty"
)

// quiet is a handler that does nothing.
type quiet struct{}

func (quiet) Opened()                     {}
func (quiet) Closed()                     {}
func (quiet) SetSettings(usbtty.Settings) {}
func (quiet) SetLines(_, _ usbtty.Lines)  {}
func (quiet) SetBreak(bool)               {}
func (quiet) Purge(_, _ bool)             {}
func (quiet) Written()                    {}
func (quiet) Room()                       {}
func (quiet) Sent() bool                  { return true }

// bulk moves a URB of the driver each way, and answers a line status.
func bulk() (step func()) {
	d := usbtty.New(usbtty.Config{}, quiet{})
	var seq uint32
	feed := func(m []byte) {
		seq++
		binary.BigEndian.PutUint32(m[4:], seq)
		if err := errors.Join(d.Feed(m[:30]), d.Feed(m[30:])); err != nil {
			panic(err)
		}
	}
	out, in, status := submitOut(0, string(make([]byte, 256))), submitIn(0, 512), control(0, 0xc0, 5, 0, 0, 2)
	var b [4096]byte
	return func() {
		feed(out)
		feed(in)
		feed(status)
		if d.Read(b[:]) != 256 || d.Write(b[:496]) != 496 {
			panic("nothing moves")
		}
		d.Wrote(len(d.Output()))
	}
}

func TestAllocations(t *testing.T) {
	step := bulk()
	step()
	if n := testing.AllocsPerRun(1000, step); n != 0 {
		t.Errorf("%v allocations a URB", n)
	}
}

// A reader that never gets to the end does not make the store grow.
func TestAllocationsBehind(t *testing.T) {
	d := usbtty.New(usbtty.Config{}, quiet{})
	out := submitOut(0, string(make([]byte, 256)))
	var b [256]byte
	step := func() {
		out[7]++ // of the sequence number, whose other bytes do not matter here
		if err := d.Feed(out); err != nil {
			t.Fatal(err)
		}
		if d.Readable() > 512 {
			d.Read(b[:])
		}
		d.Wrote(len(d.Output()))
	}
	for range 10 {
		step()
	}
	var before, after runtime.MemStats // an average would hide what grows by doubling
	runtime.ReadMemStats(&before)
	for range 10_000 {
		step()
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 100_000 {
		t.Errorf("%d bytes are allocated for 2,560,000 that pass", n)
	}
}

func BenchmarkBulk(b *testing.B) {
	step := bulk()
	b.SetBytes(256 + 496)
	for b.Loop() {
		step()
	}
}
