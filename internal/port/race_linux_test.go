package port

import (
	"context"
	"net"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/evloop"
	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// TestOpenedAsTheConnectionEnds: a program that opens the port at the end of the
// close delay, before the loop has seen it, keeps the connection.
func TestOpenedAsTheConnectionEnds(t *testing.T) {
	r := newRig(t, rfc2217test.Faults{}, func(cfg *Config) { cfg.CloseDelay = time.Hour })
	f := r.program()
	r.await(KindConnected)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	r.await(KindClosed)
	r.eventually("the port is made fit for the next program", func() bool { return !r.status().Open })
	path := r.status().TTY
	r.do(func() {
		fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err != nil {
			t.Error(err)
			return
		}
		t.Cleanup(func() { _ = unix.Close(fd) })
		if _, err := unix.Write(fd, []byte("hello")); err != nil {
			t.Error(err)
		}
		evloop.Cancel(&r.port.closeTimer)
		r.port.endConnection()
		if r.port.closeTimer != nil || !r.port.open {
			t.Error("the connection of an open port is still to be ended")
		}
	})
	r.eventually("what it writes arrives", func() bool { return string(r.uart.Sent()) == "hello" })
	if n := len(r.of(KindConnected)); n != 1 || !r.status().Up {
		t.Errorf("connected %d times, want once", n)
	}
}

// TestClosedAsTheConnectionIsLost: that the connection is gone is found out by
// sending what a program has written before it closed the port. Nobody is there to
// see a hang-up, and the close counts once.
func TestClosedAsTheConnectionIsLost(t *testing.T) {
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	accepted := make(chan *net.TCPConn, 1)
	r := newRig(t, rfc2217test.Faults{}, func(cfg *Config) {
		cfg.OnLoss, cfg.CloseDelay, cfg.RetryMin, cfg.RetryMax = OnLossHangup, time.Hour, time.Hour, time.Hour
		cfg.Remote.Protocol = rfc2217client.ProtocolRaw
		cfg.Dial = func(ctx context.Context, _ rfc2217client.Remote) (net.Conn, error) {
			near, err := new(net.Dialer).DialContext(ctx, "tcp", ln.Addr().String())
			if err != nil {
				return nil, err
			}
			far, err := ln.Accept()
			if tcp, ok := far.(*net.TCPConn); ok {
				accepted <- tcp
			}
			return near, err
		}
	})
	f := r.program()
	r.await(KindConnected)
	far := <-accepted
	r.do(func() { // the loop sees nothing of this before wake
		if _, err := f.WriteString("last words"); err != nil {
			t.Error(err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		_ = far.SetLinger(0) // close(2) sends a RST
		_ = far.Close()
		r.port.wake()
	})
	r.await(KindDisconnected)
	r.do(func() {})
	if n := len(r.of(KindClosed)); n != 1 {
		t.Errorf("closed %d times, want once", n)
	}
	if n := len(r.of(KindHungUp)); n != 0 {
		t.Errorf("%d hang-ups of a port that no program has open", n)
	}
}

// TestSettingsBeforeTheEnd: a connection does not end while a program's last
// settings, and the lines that its close drops, wait for the characters before
// them.
func TestSettingsBeforeTheEnd(t *testing.T) {
	r := newRig(t, rfc2217test.Faults{}, func(cfg *Config) { // CloseDelay is 0
		cfg.Lines, cfg.Settle = LinesRaise, time.Second
	})
	f := r.program()
	r.await(KindConnected)
	r.setSpeed(f, 300)
	r.eventually("the first speed", func() bool { return r.uart.State().BaudRate == 300 })
	if _, err := f.WriteString("0.27 s.."); err != nil { // 80 bits
		t.Fatal(err)
	}
	r.eventually("the bytes", func() bool { return string(r.uart.Sent()) == "0.27 s.." })
	r.setSpeed(f, 19200)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	r.await(KindStopped)
	if got := r.server.Messages(); !slices.Contains(got, comport.Message(comport.SetBaudRate{Rate: 19200})) {
		t.Errorf("the last speed was not asked for: %v", got)
	}
	lines := []comport.Control{comport.ControlDTROn, comport.ControlRTSOn, comport.ControlDTROff, comport.ControlRTSOff}
	if got := r.asked(); !slices.Equal(got, lines) {
		t.Errorf("the lines were asked to be %v, want %v", got, lines)
	}
}
