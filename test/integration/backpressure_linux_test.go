package integration

import (
	"bytes"
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// flood is how much a test sends to somebody slow: far more than all buffers.
const flood = 32 << 20

// growth is how much more memory vcomd may have resident after a flood than
// before, in KiB: buffers of constant size and what Go's runtime keeps.
var growth = 8 << 10

// rawServer accepts one connection of a tcp:// remote.
func rawServer(t *testing.T) (addr string, accepted <-chan net.Conn) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := make(chan net.Conn, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := ln.Accept()
		if err == nil {
			c <- conn
		}
	}()
	t.Cleanup(func() {
		_ = ln.Close()
		<-done
	})
	return ln.Addr().String(), c
}

func accept(t *testing.T, c <-chan net.Conn) net.Conn {
	t.Helper()
	select {
	case conn := <-c:
		t.Cleanup(func() { _ = conn.Close() })
		return conn
	case <-time.After(patience):
		t.Fatal("vcomd does not connect")
		return nil
	}
}

// A program that reads slowly slows the server down, through TCP: nothing is
// lost, and nothing piles up in vcomd.
func TestSlowReader(t *testing.T) {
	addr, accepted := rawServer(t)
	v := startUntraced(t, "tcp://"+addr)
	tty := openTTY(t, v.link)
	conn := accept(t, accepted)
	data := pattern(flood, 7)
	sent := make(chan error, 1)
	var progress atomic.Int64
	go func() { sent <- trickle(conn, data, &progress) }()
	got := readFull(t, tty, 64<<10)
	before := v.rss()
	// Nobody reads now, until the sender has been stopped by it.
	stalled(t, progress.Load)
	select {
	case err := <-sent:
		t.Fatalf("all %d bytes were taken from the server though nobody reads them (%v)", flood, err)
	default:
	}
	if after := v.rss(); after > before+growth {
		t.Errorf("VmRSS %d KiB, and %d KiB while the program does not read", before, after)
	}
	rest := readFull(t, tty, flood-len(got))
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if !bytes.Equal(got, data[:len(got)]) || !bytes.Equal(rest, data[len(got):]) {
		t.Error("what arrived differs from what was sent")
	}
	if after := v.rss(); after > before+growth {
		t.Errorf("VmRSS %d KiB before the flood and %d KiB after it", before, after)
	}
}

// A server that reads slowly slows the program down, through the tty.
func TestSlowServer(t *testing.T) {
	addr, accepted := rawServer(t)
	v := startUntraced(t, "tcp://"+addr)
	tty := openTTY(t, v.link)
	conn := accept(t, accepted)
	data := pattern(flood, 8)
	var progress atomic.Int64
	sent := make(chan error, 1)
	go func() { sent <- trickle(tty, data, &progress) }()
	got := make([]byte, 64<<10)
	if _, err := io.ReadFull(conn, got); err != nil {
		t.Fatal(err)
	}
	before := v.rss()
	stalled(t, progress.Load)
	if after := v.rss(); after > before+growth {
		t.Errorf("VmRSS %d KiB, and %d KiB while the server does not read", before, after)
	}
	rest := make([]byte, flood-len(got))
	if err := conn.SetReadDeadline(time.Now().Add(2 * patience)); err != nil {
		t.Fatal(err)
	}
	if n, err := io.ReadFull(conn, rest); err != nil {
		t.Fatalf("%d bytes, then %v", n, err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
	if !bytes.Equal(got, data[:len(got)]) || !bytes.Equal(rest, data[len(got):]) {
		t.Error("what arrived differs from what was written")
	}
	if after := v.rss(); after > before+growth {
		t.Errorf("VmRSS %d KiB before the flood and %d KiB after it", before, after)
	}
}

// The same through RFC 2217, with a server that stops reading altogether for a
// while: settings and data keep their order, and nothing is lost.
func TestStalledServer(t *testing.T) {
	s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true, JournalOff: true}})
	v := startUntraced(t, s.addr)
	tty := openTTY(t, v.link)
	v.waitEvent("connected")
	s.SetFaults(rfc2217test.Faults{Stalled: true})
	data := pattern(flood, 9)
	var progress atomic.Int64
	sent := make(chan error, 1)
	go func() { sent <- trickle(tty, data, &progress) }()
	stalled(t, progress.Load)
	setSpeed(t, tty, 115200) // asked for while nothing moves
	s.SetFaults(rfc2217test.Faults{})
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	s.await(t, "all bytes", func(u rfc2217test.Snapshot) bool { return u.Total.Bytes == flood })
	s.await(t, "the speed", func(u rfc2217test.Snapshot) bool { return u.State.BaudRate == 115200 })
	if got, want := s.uart.Snapshot().Total.Sum, rfc2217test.Sum(data); got != want {
		t.Errorf("checksum %08x, want %08x", got, want)
	}
}

// stalled waits until a number has not grown for a while.
func stalled(t *testing.T, number func() int64) {
	t.Helper()
	last, since := number(), time.Now()
	eventually(t, "it stops because somebody does not read", func() bool {
		if n := number(); n != last {
			last, since = n, time.Now()
		}
		return last > 0 && time.Since(since) > 300*time.Millisecond
	})
}

// trickle writes p in pieces and counts what was taken.
func trickle(w io.Writer, p []byte, taken *atomic.Int64) error {
	for len(p) > 0 {
		n, err := w.Write(p[:min(len(p), 4096)])
		taken.Add(int64(n))
		if err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}
