package integration

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"sync"
	"testing"
	"time"
)

// recordSize is the size of one record of a numbering program, in bytes.
const recordSize = 16

// record is the nth: a number, and bytes that Telnet has a meaning for.
func record(n int) []byte { return fmt.Appendf(nil, "#%07d:\xff\xff\r\x00\n%c\n", n%1e7, 'a'+n%26) }

// recordNumber finds the number in a record.
var recordNumber = regexp.MustCompile(`#(\d{7}):`)

// numbering is a program that has a port open for the whole of a test, writes
// numbered records without end and reads what comes.
type numbering struct {
	t   *testing.T
	tty *os.File

	mu      sync.Mutex
	written []byte // also what a write that waits is about to write
	read    []byte
	burst   int // records to write in one piece

	stopped chan struct{} // closed when it is to write no more
	silent  chan struct{} // closed when it does not
	running sync.WaitGroup
}

// writeInterval is how often a numbering program writes: with a few records at a
// time, so that the journal of the server has room for a minute of them.
const (
	writeInterval = 2 * time.Millisecond
	writeRecords  = 4
)

// startNumbering has a program write to a port, and read from it.
func startNumbering(t *testing.T, path string) *numbering {
	t.Helper()
	p := &numbering{t: t, tty: openTTY(t, path), stopped: make(chan struct{}), silent: make(chan struct{})}
	p.running.Go(p.write)
	p.running.Go(p.receive)
	t.Cleanup(p.close)
	return p
}

func (p *numbering) write() {
	defer close(p.silent)
	tick := time.NewTicker(writeInterval)
	defer tick.Stop()
	for n := 0; ; {
		select {
		case <-p.stopped:
			return
		case <-tick.C:
		}
		p.mu.Lock()
		count := writeRecords + p.burst
		p.burst = 0
		begin := len(p.written)
		for range count {
			p.written = append(p.written, record(n)...)
			n++
		}
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

func (p *numbering) receive() {
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

// flood has more written at once than a pseudo-terminal holds.
func (p *numbering) flood() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.burst = 2 << 10
}

// position is how many bytes the program has written or is about to write.
func (p *numbering) position() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.written)
}

// seen is the number of the last whole record that the program has read; -1
// before the first.
func (p *numbering) seen() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	found := recordNumber.FindAllSubmatch(p.read[max(0, len(p.read)-4*recordSize):], -1)
	if len(found) == 0 {
		return -1
	}
	n, err := strconv.Atoi(string(found[len(found)-1][1]))
	if err != nil {
		return -1
	}
	return n
}

// flowsAgain waits until what is written from now on comes back.
func (p *numbering) flowsAgain(what string) {
	p.t.Helper()
	after := p.position() / recordSize
	eventually(p.t, "data flows again "+what, func() bool { return p.seen() >= after })
}

// stop has the program write no more, and waits until all it has written and not
// lost has come back.
func (p *numbering) stop() {
	p.t.Helper()
	p.flowsAgain("before the end")
	close(p.stopped)
	select {
	case <-p.silent:
	case <-time.After(patience):
		p.t.Fatal("the program's last write does not end")
	}
	last := p.position()/recordSize - 1
	eventually(p.t, "the last record has come back", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return bytes.HasSuffix(p.read, record(last))
	})
}

// close ends the program. It may be called more than once.
func (p *numbering) close() {
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
// a connection hold.
const maxPiece = 1 << 20

// inOrder checks that got is what is left of sent when pieces of it are missing:
// nothing out of order, nothing twice. It returns how many pieces and bytes that
// is.
func inOrder(t *testing.T, what string, got, sent []byte) (pieces, missing int) {
	t.Helper()
	missing = len(sent) - len(got)
	for i := 0; len(got) > 0; {
		n := commonLength(got, sent[i:])
		got, i = got[n:], i+n
		if len(got) == 0 {
			break
		}
		at := -1
		// Records differ in a few bytes: a long piece is found where it belongs.
		for length := min(len(got), 3*recordSize); length > 0 && at < 0; length /= 2 {
			at = bytes.Index(sent[i:min(len(sent), i+maxPiece)], got[:length])
		}
		if at < 0 {
			t.Errorf("%s: %d bytes before the end of what came: %q was not sent after %q", what, len(got),
				got[:min(len(got), 2*recordSize)], sent[max(0, i-2*recordSize):i])
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
	sent := make([]byte, 0, 100*recordSize)
	for i := range 100 {
		sent = append(sent, record(i)...)
	}
	if len(sent) != 100*recordSize {
		t.Fatalf("a record has %d bytes, want %d", len(record(1)), recordSize)
	}
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, c := range []struct {
		name            string
		got             []byte
		good            bool
		pieces, missing int
	}{
		{"all", sent, true, 0, 0},
		{"a record missing", join(sent[:160], sent[176:]), true, 1, 16},
		{"a byte missing", join(sent[:165], sent[166:]), true, 1, 1},
		{"the end missing", sent[:99], true, 0, 1501},
		{"two pieces missing", join(sent[:33], sent[65:800], sent[1000:]), true, 2, 232},
		{"a record twice", join(sent[:176], sent[160:]), false, 0, 0},
		{"two records swapped", join(sent[:160], sent[176:192], sent[160:176], sent[192:]), false, 0, 0},
		{"a byte changed", join(sent[:160], []byte{'!'}, sent[161:]), false, 0, 0},
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
