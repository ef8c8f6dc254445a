package integration

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"sync"
	"testing"
	"time"
)

// unique is a stream of bytes in which each place is told from all others by a few
// bytes, and in which those come often that Telnet has a meaning for.
type unique struct {
	source *rand.Rand
	often  string
}

func newUnique(often string) unique { return unique{rand.New(rand.NewPCG(2217, 854)), often} }

// What Telnet has a meaning for. A carriage return has one only until both ends
// have agreed on BINARY, and a client that asks for it in the first instant cannot
// know when the server has heard of that (RFC 856): what is to come back unchanged
// from a server with other sessions, which may send before that, is without.
const (
	escapesAndReturns = "\xff\r\x00"
	escapes           = "\xff\x00"
)

// append adds n bytes.
func (u unique) append(p []byte, n int) []byte {
	for range n {
		b := byte(u.source.Uint32())
		switch {
		case u.source.IntN(10) == 0:
			b = u.often[u.source.IntN(len(u.often))]
		case b == '\r':
			b = 0
		}
		p = append(p, b)
	}
	return p
}

// sampleSize is how many bytes say for certain where in a stream they stand.
const sampleSize = 16

// echoing is a program that has a port open for the whole of a test, writes a
// stream without end and reads what comes back of it.
type echoing struct {
	t      *testing.T
	tty    *os.File
	stream unique

	mu      sync.Mutex
	written []byte // also what a write that waits is about to write
	read    []byte
	behind  int // offset in written behind the last bytes read, as far as seen knows
	burst   int // bytes to write in one piece

	stopped chan struct{} // closed when it is to write no more
	silent  chan struct{} // closed when it does not
	running sync.WaitGroup
}

// An echoing program writes a little all the time, so that the journal of the
// server has room for a minute of it; and a flood is more than a pseudo-terminal
// holds.
const (
	writeInterval = 2 * time.Millisecond
	writeSize     = 64
	floodSize     = 32 << 10
)

// startEchoing has a program write to a port, and read from it.
func startEchoing(t *testing.T, path, often string) *echoing {
	t.Helper()
	p := &echoing{t: t, tty: openTTY(t, path), stream: newUnique(often), stopped: make(chan struct{}), silent: make(chan struct{})}
	p.running.Go(p.write)
	p.running.Go(p.receive)
	t.Cleanup(p.close)
	return p
}

func (p *echoing) write() {
	defer close(p.silent)
	tick := time.NewTicker(writeInterval)
	defer tick.Stop()
	for {
		select {
		case <-p.stopped:
			return
		case <-tick.C:
		}
		p.mu.Lock()
		begin := len(p.written)
		p.written = p.stream.append(p.written, writeSize+p.burst)
		p.burst = 0
		piece := p.written[begin:]
		p.mu.Unlock()
		if _, err := p.tty.Write(piece); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) { // that is close
				p.t.Errorf("write to the port: %v", err)
			}
			return
		}
	}
}

func (p *echoing) receive() {
	buf := make([]byte, 4096)
	for {
		n, err := p.tty.Read(buf)
		p.mu.Lock()
		p.read = append(p.read, buf[:n]...)
		p.mu.Unlock()
		if err != nil {
			if !errors.Is(err, os.ErrClosed) && !errors.Is(err, os.ErrDeadlineExceeded) {
				p.t.Errorf("read from the port: %v", err)
			}
			return
		}
	}
}

// flood has much written at once.
func (p *echoing) flood() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.burst = floodSize
}

// position is how many bytes the program has written or is about to write.
func (p *echoing) position() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.written)
}

// seen is how far in what was written the bytes stand that the program has read
// last.
func (p *echoing) seen() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := p.read[max(0, len(p.read)-sampleSize):]
	// Bytes between which some are missing stand nowhere: the next ones do.
	from := max(0, p.behind-sampleSize)
	if at := bytes.Index(p.written[from:], last); at >= 0 && len(last) == sampleSize {
		p.behind = from + at + sampleSize
	}
	return p.behind
}

// flowsAgain waits until what is written from now on comes back.
func (p *echoing) flowsAgain(what string) {
	p.t.Helper()
	after := p.position()
	eventually(p.t, "data flows again "+what, func() bool { return p.seen() > after })
}

// stop has the program write no more, and waits until all it has written and not
// lost has come back.
func (p *echoing) stop() {
	p.t.Helper()
	p.flowsAgain("before the end")
	close(p.stopped)
	select {
	case <-p.silent:
	case <-time.After(patience):
		p.t.Fatal("the program's last write does not end")
	}
	eventually(p.t, "the last byte has come back", func() bool { return p.seen() == p.position() })
}

// close ends the program. It may be called more than once.
func (p *echoing) close() {
	select {
	case <-p.stopped:
	default:
		close(p.stopped)
	}
	_ = p.tty.SetDeadline(time.Now())
	p.running.Wait()
	_ = p.tty.Close()
}

// maxPiece is more than can be missing in one piece: what a tty and the sockets of
// a connection hold, in bytes.
const maxPiece = 1 << 20

// inOrder checks that got is what is left of a unique stream when pieces of it are
// missing: nothing out of order, nothing twice. It returns how many pieces and
// bytes that is.
func inOrder(t *testing.T, what string, got, sent []byte) (pieces, missing int) {
	t.Helper()
	missing = len(sent) - len(got)
	for i := 0; len(got) > 0; {
		n := commonLength(got, sent[i:])
		if got, i = got[n:], i+n; len(got) == 0 {
			break
		}
		sample := got[:min(len(got), sampleSize)]
		if at := bytes.Index(sent[:i], sample); at >= 0 && len(sample) == sampleSize {
			t.Errorf("%s: % x came behind what stands at %d, though it stands at %d: again, or too late", what, sample, i, at)
			return pieces, missing
		}
		ahead := sent[i:min(len(sent), i+maxPiece)]
		at := -1
		// A sample in the midst of which something is missing stands nowhere: then a
		// shorter one does.
		for length := len(sample); length > 0 && at < 0; length-- {
			at = bytes.Index(ahead, sample[:length])
		}
		if at < 0 {
			t.Errorf("%s: %d bytes before the end of what came: % x was not sent behind % x", what, len(got),
				got[:min(len(got), sampleSize)], sent[max(0, i-sampleSize):i])
			return pieces, missing
		}
		pieces++
		i += at
	}
	return pieces, missing
}

func commonLength(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// The test's own judge sees what it is there for.
func TestInOrder(t *testing.T) {
	sent := newUnique(escapesAndReturns).append(nil, 100_000)
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, c := range []struct {
		name            string
		got             []byte
		good            bool
		pieces, missing int
	}{
		{"all", sent, true, 0, 0},
		{"a piece missing", join(sent[:160], sent[5176:]), true, 1, 5016},
		{"a byte missing", join(sent[:165], sent[166:]), true, 1, 1},
		{"the end missing", sent[:99], true, 0, 99_901},
		{"two pieces missing", join(sent[:33], sent[65:70], sent[1000:]), true, 2, 962},
		{"a piece twice", join(sent[:176], sent[160:]), false, 0, 0},
		{"two pieces swapped", join(sent[:160], sent[176:192], sent[160:176], sent[192:]), false, 0, 0},
		{"a byte changed", join(sent[:160], []byte{sent[160] ^ 1}, sent[161:]), false, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			judged := &testing.T{}
			pieces, missing := inOrder(judged, c.name, c.got, sent)
			if good := !judged.Failed(); good != c.good {
				t.Errorf("judged %t, want %t", good, c.good)
			}
			if c.good && (pieces != c.pieces || missing != c.missing) {
				t.Errorf("%d pieces and %d bytes missing, want %d and %d", pieces, missing, c.pieces, c.missing)
			}
		})
	}
}
