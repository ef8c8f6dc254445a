package main

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/vcomd/vcomd/test/bench/wire"
)

// chunk is how much is written at a time, by the program on the tty as by the server.
const chunk = 32 << 10

// pattern is endless data that repeats after period bytes.
type pattern struct {
	name   string
	period int
	plain  []byte // period+chunk bytes: a chunk from anywhere in the period is one slice
	// doubled is plain with 0xFF doubled, when that is every byte of it; plain without any is sent as it is.
	doubled []byte
}

// textPattern is printable lines, different for a million bytes, so that a lost or repeated block shows.
func textPattern() *pattern {
	const period = 1_000_003              // prime: no buffer's size divides it
	r := rand.New(rand.NewPCG(2217, 854)) //nolint:gosec // the same data every time
	text := make([]byte, 0, period+chunk)
	for len(text) < period {
		if r.IntN(64) == 0 {
			text = append(text, '\r', '\n')
			continue
		}
		text = append(text, byte(' '+r.IntN(95)))
	}
	text = text[:period]
	return &pattern{name: "text", period: period, plain: append(text, text[:chunk]...)}
}

// ffPattern is all 0xFF, Telnet's worst case.
func ffPattern() *pattern {
	ff := bytes.Repeat([]byte{0xff}, 2*chunk)
	return &pattern{name: "ff", period: chunk, plain: ff, doubled: ff}
}

// encoded is what goes over the wire for n bytes from pos.
func (p *pattern) encoded(pos, n int, telnet bool) []byte {
	if telnet && p.doubled != nil {
		return p.doubled[:2*n]
	}
	return p.plain[pos : pos+n]
}

// flow is one way of one throughput measurement: a source that writes the pattern until its time is up, and a sink that checks it.
type flow struct {
	*pattern
	start time.Time

	target atomic.Int64 // bytes to come in all; 0 until the source knows
	sent   int64

	pos   int
	count int64 // bytes received, right so far
	ended bool
	end   time.Time
	err   error

	excess atomic.Int64  // bytes received after the end
	done   chan struct{} // closed at the last byte, or at the first wrong one
}

func newFlow(p *pattern) *flow {
	return &flow{pattern: p, done: make(chan struct{})}
}

// pump writes chunks for as long as d. The total is known before the last chunk is written, so that the sink, which may
// read that chunk before the write returns, knows that it is the last.
func (f *flow) pump(d time.Duration, telnet bool, write func([]byte) error) error {
	f.start = time.Now()
	pos := 0
	for {
		last := time.Since(f.start) >= d
		f.sent += chunk
		if last {
			f.target.Store(f.sent)
		}
		if err := write(f.encoded(pos, chunk, telnet)); err != nil {
			return err
		}
		if last {
			return nil
		}
		pos = (pos + chunk) % f.period
	}
}

// take checks the next bytes received and reports whether they were the last.
func (f *flow) take(p []byte) bool {
	if f.ended {
		f.excess.Add(int64(len(p)))
		return true
	}
	for len(p) > 0 {
		n := min(len(p), chunk)
		want := f.plain[f.pos : f.pos+n]
		if !bytes.Equal(p[:n], want) {
			for i := range want {
				if p[i] != want[i] {
					return f.finish(fmt.Errorf("byte %d is %#02x, not %#02x", f.count+int64(i), p[i], want[i]))
				}
			}
		}
		f.count += int64(n)
		f.pos = (f.pos + n) % f.period
		p = p[n:]
	}
	if t := f.target.Load(); t != 0 && f.count >= t {
		var err error
		if f.count > t {
			err = fmt.Errorf("%d bytes came of %d sent", f.count, t)
		}
		return f.finish(err)
	}
	return false
}

func (f *flow) finish(err error) bool {
	f.end, f.err, f.ended = time.Now(), err, true
	close(f.done)
	return true
}

var _ wire.Handler = (*farEnd)(nil)
