package integration

import (
	"bytes"
	"io"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// After a loss the same open tty carries data again. What was under way is
// counted, and not a byte is sent twice.
func TestLossNothingTwice(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	next := func() *net.TCPConn {
		t.Helper()
		if err := ln.(*net.TCPListener).SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		conn, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		return conn.(*net.TCPConn)
	}
	v := startUntraced(t, "tcp://"+ln.Addr().String(), "--retry", "50ms")
	tty := openTTY(t, v.link)
	first := next()
	data := pattern(8<<20, 11)
	var progress atomic.Int64
	sent := make(chan error, 1)
	go func() { sent <- trickle(tty, data, &progress) }()
	head := make([]byte, 1<<20)
	if _, err := io.ReadFull(first, head); err != nil {
		t.Fatal(err)
	}
	stalled(t, progress.Load) // the window is closed: much is under way
	if err := first.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	_ = first.Close() // a reset

	second := next()
	rest := make(chan []byte, 1)
	go func() {
		b, _ := io.ReadAll(second)
		rest <- b
	}()
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	_ = tty.Close()
	v.waitEvent("stopped") // close-delay is over, and all is sent
	tail := <-rest
	if !bytes.Equal(head, data[:len(head)]) {
		t.Error("the first part differs")
	}
	if len(tail) == 0 || len(head)+len(tail) > len(data) || !bytes.Equal(tail, data[len(data)-len(tail):]) {
		t.Errorf("after the loss %d bytes came that are not the end of what was written", len(tail))
	}
	v.stop(syscall.SIGTERM)
	ended := v.waitEnded()
	if ended.TxUnconfirmed == 0 {
		t.Error("tx_unconfirmed is 0 after a connection was lost with its window closed")
	}
	if ended.FromProgram != uint64(len(data)) {
		t.Errorf("from_program is %d, want %d", ended.FromProgram, len(data))
	}
}

// After a reconnect the remote UART is as the program asked, before the first
// byte.
func TestReplayBeforeTheFirstByte(t *testing.T) {
	s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}})
	v := start(t, s.addr, "--retry", "50ms", "--line", "7E1")
	tty := openTTY(t, v.link)
	v.waitEvent("connected")
	setSpeed(t, tty, 57600)
	want := comport.State{BaudRate: 57600, DataSize: 7, Parity: comport.ParityEven, StopSize: comport.StopSize1, Outbound: comport.ControlFlowNone}
	as := func(got comport.State) bool {
		got.DTR, got.RTS, got.Break, got.Inbound = 0, 0, 0, 0
		return got == want
	}
	s.await(t, "the settings asked for", func(u rfc2217test.Snapshot) bool { return as(u.State) })
	for i := range 5 {
		s.Disconnect()
		v.waitEvents("disconnected", i+1)
		write(t, tty, []byte("after a loss"))
		v.waitEvents("connected", i+2)
		s.awaitBytes(t, (i+1)*len("after a loss"))
	}
	for _, e := range s.uart.Journal() {
		if e.Kind == rfc2217test.EntryData && !as(e.State) {
			t.Errorf("%q left with %v, want %v", e.Data, e.State, want)
		}
	}
}
