package integration

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// Programs that come and go as fast as they can, each with one line to send: all
// lines arrive, in order.
func TestStormOfWriters(t *testing.T) {
	s := serve(t, &rfc2217test.Server{})
	v := startUntraced(t, s.addr)
	var want strings.Builder
	for i := range 1000 {
		line := fmt.Sprintln("visit", i)
		want.WriteString(line)
		visit(t, v.link, []byte(line))
	}
	s.awaitBytes(t, want.Len())
	if got := string(s.uart.Sent()); got != want.String() {
		t.Errorf("the UART has sent %d bytes, want %d; they differ at %d", len(got), want.Len(),
			firstDifference([]byte(got), []byte(want.String())))
	}
	if n := len(v.events("tty-failed")); n > 0 {
		t.Errorf("%d failures of the tty", n)
	}
}

// visit opens the port, writes and closes it, with blocking calls.
func visit(t *testing.T, path string, p []byte) {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("open %s: %v", path, err)
	}
	if len(p) > 0 {
		if n, err := unix.Write(fd, p); n != len(p) || err != nil {
			t.Errorf("write: %d of %d, %v", n, len(p), err)
		}
	}
	if err := unix.Close(fd); err != nil {
		t.Error(err)
	}
}

// Others that open and close the port do not disturb the program that has it
// open, nor what flows to and from it.
func TestStormBesideAProgram(t *testing.T) {
	addr, accepted := rawServer(t)
	v := startUntraced(t, "tcp://"+addr, "--log-level", "debug")
	tty := openTTY(t, v.link)
	server := accept(t, accepted)
	down, up := pattern(2<<20, 5), pattern(1<<20, 6)
	done := make(chan struct{})
	go func() {
		defer close(done)
		throughBoth(t, tty, server, down, up)
	}()
	visits := 0
	for over := false; !over || visits < 2000; visits++ {
		visit(t, v.link, nil)
		select {
		case <-done:
			over = true
		default:
		}
	}
	if l := v.events("closed"); len(l) > 0 {
		t.Errorf("%d times the port was taken for closed", len(l))
	}
}

// throughBoth sends down from the server to the program, and up from the program
// to the server, and checks both.
func throughBoth(t *testing.T, tty *os.File, server net.Conn, down, up []byte) {
	t.Helper()
	deadline := time.Now().Add(2 * patience)
	if err := errors.Join(server.SetDeadline(deadline), tty.SetDeadline(deadline)); err != nil {
		t.Error(err)
		return
	}
	var wg sync.WaitGroup
	for _, way := range []struct {
		name     string
		from, to io.ReadWriter
		data     []byte
	}{{"down", server, tty, down}, {"up", tty, server, up}} {
		wg.Go(func() {
			if _, err := way.from.Write(way.data); err != nil {
				t.Errorf("%s: %v", way.name, err)
			}
		})
		wg.Go(func() {
			got := make([]byte, len(way.data))
			n, err := io.ReadFull(way.to, got)
			if err != nil || !bytes.Equal(got, way.data) {
				t.Errorf("%s: %d of %d bytes, different at %d: %v", way.name, n, len(got), firstDifference(got[:n], way.data), err)
			}
		})
	}
	wg.Wait()
}
