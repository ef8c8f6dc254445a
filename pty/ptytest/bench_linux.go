package ptytest

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"
)

// patience is how long a check waits for what must come.
const patience = 10 * time.Second

// bench holds one port for one check: programs on one side, the far end on
// the other, both with time limits.
type bench struct {
	path     string
	far      io.ReadWriteCloser
	programs []*program

	mu      sync.Mutex
	arrived []byte        // read from far and not yet expected
	news    chan struct{} // arrived has grown
	ended   chan struct{} // the reader of far has ended

	closeFar func() error
}

func newBench(p Port) *bench {
	b := &bench{
		path: p.Path, far: p.Far,
		news: make(chan struct{}, 1), ended: make(chan struct{}),
		closeFar: sync.OnceValue(p.Far.Close),
	}
	go b.readFar()
	return b
}

// readFar collects what programs write, so that a check can wait for it with
// a time limit.
func (b *bench) readFar() {
	defer close(b.ended)
	buf := make([]byte, 4096)
	for {
		n, err := b.far.Read(buf)
		b.mu.Lock()
		b.arrived = append(b.arrived, buf[:n]...)
		b.mu.Unlock()
		select {
		case b.news <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
	}
}

// expect waits until the far end has received want, and nothing else before.
func (b *bench) expect(want []byte) error {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		b.mu.Lock()
		got := bytes.Clone(b.arrived[:min(len(b.arrived), len(want))])
		complete := len(got) == len(want)
		if complete {
			b.arrived = b.arrived[len(want):]
		}
		b.mu.Unlock()
		if !bytes.HasPrefix(want, got) {
			return fmt.Errorf("the far end received %s, want %s", excerpt(got), excerpt(want))
		}
		if complete {
			return nil
		}
		select {
		case <-b.news:
		case <-timer.C:
			return fmt.Errorf("the far end received only %s of %s", excerpt(got), excerpt(want))
		}
	}
}

// send writes at the far end.
func (b *bench) send(data []byte) error {
	if _, err := b.far.Write(data); err != nil {
		return fmt.Errorf("write at the far end: %w", err)
	}
	return nil
}

// open starts a program that has the port open, raw.
func (b *bench) open() (*program, error) {
	p, err := openProgram(b.path)
	if err != nil {
		return nil, err
	}
	b.programs = append(b.programs, p)
	err = p.change(makeRaw)
	return p, err
}

func (b *bench) close(t *testing.T) {
	t.Helper()
	for _, p := range b.programs {
		p.close()
	}
	if err := b.closeFar(); err != nil {
		t.Errorf("close the far end: %v", err)
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-b.ended:
	case <-timer.C:
		t.Error("a Read at the far end did not end when it was closed")
	}
}

// excerpt keeps messages readable.
func excerpt(b []byte) string {
	const most = 64
	if len(b) <= most {
		return fmt.Sprintf("%q", b)
	}
	return fmt.Sprintf("%q… (%d bytes)", b[:most], len(b))
}

// everyByte is all values of a byte, in an order in which neighbours differ in
// more than one bit.
func everyByte() []byte {
	b := make([]byte, 256)
	for i := range b {
		b[i] = byte(i * 167) // odd, so every value comes once
	}
	return b
}
