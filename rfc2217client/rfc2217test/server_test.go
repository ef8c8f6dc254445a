package rfc2217test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/telnet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// peer is a client that reads and writes bytes and nothing else.
type peer struct {
	t    *testing.T
	conn net.Conn
}

// serve connects a peer to s over loopback; everything ends with the test.
func serve(t *testing.T, s *Server) (*peer, net.Addr) {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return dial(t, ln.Addr()), ln.Addr()
}

func dial(t *testing.T, addr net.Addr) *peer {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return &peer{t, conn}
}

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func (p *peer) send(wire string) {
	p.t.Helper()
	if _, err := p.conn.Write(unhex(p.t, wire)); err != nil {
		p.t.Fatal(err)
	}
}

// expect reads exactly the bytes given.
func (p *peer) expect(wire string) {
	p.t.Helper()
	want := unhex(p.t, wire)
	got := make([]byte, len(want))
	n, err := io.ReadFull(p.conn, got)
	if err != nil || !bytes.Equal(got, want) {
		p.t.Fatalf("got % x (%v), want % x", got[:n], err, want)
	}
}

// By hand from RFC 854 and RFC 2217: WILL/DO BINARY, WILL ECHO, WILL/DO SGA, DO
// COM-PORT.
const (
	greeting = "ff fb 00 ff fd 00 ff fb 01 ff fb 03 ff fd 03 ff fd 2c"
	// The client agrees to all.
	agreement = "ff fd 00 ff fb 00 ff fd 01 ff fd 03 ff fb 03 ff fb 2c"
	// CTS, DSR and DCD, once COM-PORT is agreed.
	lines = "ff fa 2c 6b b0 ff f0"
)

func agree(p *peer) {
	p.t.Helper()
	p.expect(greeting)
	p.send(agreement)
	p.expect(lines)
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestSession(t *testing.T) {
	s := &Server{UART: &UART{Unpaced: true}, Name: "sim"}
	p, _ := serve(t, s)
	agree(p)
	for _, tt := range []struct{ name, send, want string }{
		{"signature", "ff fa 2c 00 ff f0", "ff fa 2c 64 73 69 6d ff f0"},
		{"speed asked", "ff fa 2c 01 00 00 00 00 ff f0", "ff fa 2c 65 00 00 25 80 ff f0"},
		{"speed set", "ff fa 2c 01 00 01 c2 00 ff f0", "ff fa 2c 65 00 01 c2 00 ff f0"},
		{"speed with IAC", "ff fa 2c 01 00 00 ff ff 00 ff f0", "ff fa 2c 65 00 00 ff ff 00 ff f0"},
		{"size", "ff fa 2c 02 07 ff f0", "ff fa 2c 66 07 ff f0"},
		{"size out of range", "ff fa 2c 02 09 ff f0", "ff fa 2c 66 07 ff f0"},
		{"parity", "ff fa 2c 03 03 ff f0", "ff fa 2c 67 03 ff f0"},
		{"stop", "ff fa 2c 04 02 ff f0", "ff fa 2c 68 02 ff f0"},
		{"flow asked", "ff fa 2c 05 00 ff f0", "ff fa 2c 69 01 ff f0"},
		{"flow set", "ff fa 2c 05 03 ff f0", "ff fa 2c 69 03 ff f0"},
		{"inbound follows", "ff fa 2c 05 0d ff f0", "ff fa 2c 69 10 ff f0"},
		{"inbound set", "ff fa 2c 05 0f ff f0", "ff fa 2c 69 0f ff f0"},
		{"break asked", "ff fa 2c 05 04 ff f0", "ff fa 2c 69 06 ff f0"},
		{"break on", "ff fa 2c 05 05 ff f0", "ff fa 2c 69 05 ff f0"},
		{"break off", "ff fa 2c 05 06 ff f0", "ff fa 2c 69 06 ff f0"},
		{"DTR asked", "ff fa 2c 05 07 ff f0", "ff fa 2c 69 08 ff f0"},
		{"DTR off", "ff fa 2c 05 09 ff f0", "ff fa 2c 69 09 ff f0"},
		{"RTS off", "ff fa 2c 05 0c ff f0", "ff fa 2c 69 0c ff f0"},
		{"RTS asked", "ff fa 2c 05 0a ff f0", "ff fa 2c 69 0c ff f0"},
		{"line mask", "ff fa 2c 0a 10 ff f0", "ff fa 2c 6e 10 ff f0"},
		{"modem mask", "ff fa 2c 0b ff ff ff f0", "ff fa 2c 6f ff ff ff f0"},
		{"purge", "ff fa 2c 0c 03 ff f0", "ff fa 2c 70 03 ff f0"},
		{"are you there", "ff f6", "ff f1"},
		{"unknown option", "ff fd 18", "ff fc 18"},
	} {
		p.send(tt.send)
		t.Log(tt.name)
		p.expect(tt.want)
	}
	want := "65280-7E2 flow=hardware inbound=xonxoff DTR=off RTS=off break=off"
	if got := s.UART.State().String(); got != want {
		t.Errorf("UART is %s, want %s", got, want)
	}
	if n := len(s.Commands()); n != 22 {
		t.Errorf("%d commands recorded", n)
	}

	// Data both ways, with IAC and CR; then the line says something.
	p.send("41 ff ff 0d 00 0d 0a")
	if err := s.UART.WaitFor(within(t), func(s Snapshot) bool { return s.Total.Bytes == 6 }); err != nil {
		t.Fatal(err)
	}
	if got := s.UART.Sent(); string(got) != "A\xff\r\x00\r\n" {
		t.Errorf("sent %q", got)
	}
	s.UART.Receive([]byte("b\xff\r"))
	p.expect("62 ff ff 0d")
	s.UART.SetModem(comport.ModemCTS | comport.ModemRI)
	p.expect("ff fa 2c 6b 5a ff f0")
	s.UART.LineError(comport.LineBreak | comport.LineFramingError)
	p.expect("ff fa 2c 6a 10 ff f0")

	// Silence until RESUME.
	p.send("ff fa 2c 08 ff f0")
	if err := s.WaitFor(within(t), func(s Stats) bool { return s.Suspended == 1 }); err != nil {
		t.Fatal(err)
	}
	s.UART.Receive([]byte("x"))
	p.send("ff fa 2c 09 ff f0")
	p.expect("78")
	s.Send(comport.FlowControlSuspend{})
	p.expect("ff fa 2c 6c ff f0")

	// The end of the session brings the defaults back.
	_ = p.conn.Close()
	if err := s.UART.WaitFor(within(t), func(s Snapshot) bool { return s.Sessions == 0 }); err != nil {
		t.Fatal(err)
	}
	if got := s.UART.State(); got != defaults {
		t.Errorf("after the session: %v", got)
	}
}

func TestWithoutBinary(t *testing.T) {
	s := &Server{UART: &UART{Unpaced: true}, Faults: Faults{NoBinary: true}}
	p, _ := serve(t, s)
	p.expect("ff fb 01 ff fb 03 ff fd 03 ff fd 2c")
	p.send("ff fd 00 ff fb 2c")
	p.expect("ff fc 00" + lines)
	p.send("0d 00 41 0d 0a")
	if err := s.UART.WaitFor(within(t), func(s Snapshot) bool { return s.Total.Bytes == 4 }); err != nil {
		t.Fatal(err)
	}
	if got := s.UART.Sent(); string(got) != "\rA\r\n" {
		t.Errorf("sent %q", got)
	}
	s.UART.Receive([]byte("\r"))
	p.expect("0d 00")
}

func TestFaults(t *testing.T) {
	const speed, speedAck = "ff fa 2c 01 00 00 12 c0 ff f0", "ff fa 2c 65 00 00 12 c0 ff f0"
	const size, sizeAck = "ff fa 2c 02 07 ff f0", "ff fa 2c 66 07 ff f0"
	for _, tt := range []struct {
		name  string
		fault Faults
		run   func(p *peer, s *Server)
	}{
		{"no ack", Faults{NoAck: Commands(comport.CommandSetBaudRate)}, func(p *peer, s *Server) {
			agree(p)
			p.send(speed + size)
			p.expect(sizeAck)
			if got := s.UART.State().BaudRate; got != 4800 {
				t.Errorf("speed %d", got)
			}
		}},
		{"other ack", Faults{AckOther: func(comport.Message) comport.Message { return comport.SetParity{Parity: 5} }}, func(p *peer, _ *Server) {
			agree(p)
			p.send(speed)
			p.expect("ff fa 2c 67 05 ff f0")
		}},
		{"long ack", Faults{LongBaudAck: true}, func(p *peer, _ *Server) {
			agree(p)
			p.send(speed)
			p.expect("ff fa 2c 65 00 00 12 c0 00 00 00 00 ff f0")
		}},
		{"WILL instead of DO", Faults{WillInsteadOfDo: true}, func(p *peer, _ *Server) {
			p.expect("ff fb 00 ff fd 00 ff fb 01 ff fb 03 ff fd 03 ff fb 2c")
			p.send("ff fd 2c")
			p.expect(lines)
			p.send(speed)
			p.expect(speedAck)
		}},
		{"refuse COM-PORT", Faults{RefuseComPort: true}, func(p *peer, s *Server) {
			p.expect("ff fb 00 ff fd 00 ff fb 01 ff fb 03 ff fd 03")
			p.send("ff fb 2c" + speed + "ff f6")
			p.expect("ff fe 2c ff f1")
			if got := s.Stats(); got.Early != 1 || got.Commands != 0 {
				t.Errorf("%+v", got)
			}
		}},
		{"ignore COM-PORT", Faults{IgnoreComPort: true}, func(p *peer, _ *Server) {
			p.expect("ff fb 00 ff fd 00 ff fb 01 ff fb 03 ff fd 03")
			p.send("ff fb 2c" + speed + "ff f6")
			p.expect("ff f1")
		}},
		{"split", Faults{SplitEveryByte: true}, func(p *peer, _ *Server) {
			agree(p)
			p.send(speed)
			p.expect(speedAck)
		}},
		{"reset", Faults{ResetAfter: 18 + 10}, func(p *peer, _ *Server) {
			p.expect(greeting)
			p.send(speed)
			if _, err := p.conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("got %v", err)
			}
		}},
		{"mute", Faults{Mute: true}, func(p *peer, s *Server) {
			p.send(agreement)
			if err := s.WaitFor(within(t), func(s Stats) bool { return s.ComPort == 1 }); err != nil {
				t.Fatal(err)
			}
			if got := s.Stats().BytesOut; got != 0 {
				t.Errorf("%d bytes sent", got)
			}
		}},
		{"stalled", Faults{Stalled: true}, func(p *peer, s *Server) {
			p.expect(greeting)
			p.send(agreement)
			s.SetFaults(Faults{})
			p.expect(lines)
		}},
		{"garbage", Faults{NoGreeting: true, Garbage: func(n int) []byte { return []byte("\xff\xfajunk")[:max(0, 6-n)] }}, func(p *peer, _ *Server) {
			p.expect("ff fa 6a 75 6e 6b ff fa 6a 75 6e ff fa 6a 75 ff fa 6a ff fa ff")
		}},
		{"in use", Faults{PortInUse: true}, func(p *peer, _ *Server) {
			if got, err := io.ReadAll(p.conn); err != nil || string(got) != "Port already in use\r\n" {
				t.Errorf("got %q, %v", got, err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := &Server{UART: &UART{Unpaced: true}, Faults: tt.fault}
			p, _ := serve(t, s)
			tt.run(p, s)
		})
	}
}

func TestLateAck(t *testing.T) {
	clock := NewFakeClock(time.Unix(1e9, 0))
	s := &Server{UART: &UART{Clock: clock}, Faults: Faults{LateAck: 3 * time.Second}}
	p, _ := serve(t, s)
	agree(p)
	p.send("ff fa 2c 02 07 ff f0")
	if err := s.WaitFor(within(t), func(s Stats) bool { return s.Commands == 1 }); err != nil {
		t.Fatal(err)
	}
	before := s.Stats().BytesOut
	clock.Advance(2999 * time.Millisecond)
	if got := s.Stats().BytesOut; got != before {
		t.Errorf("%d bytes too early", got-before)
	}
	clock.Advance(time.Millisecond)
	p.expect("ff fa 2c 66 07 ff f0")
}

func TestOneClientAtATime(t *testing.T) {
	s := &Server{}
	first, addr := serve(t, s)
	first.expect(greeting)
	second := dial(t, addr)
	if got, err := io.ReadAll(second.conn); err != nil || string(got) != "Port already in use\r\n" {
		t.Errorf("second client got %q, %v", got, err)
	}
	if got := s.Stats(); got.Connections != 2 || got.Refused != 1 || got.Active != 1 {
		t.Errorf("%+v", got)
	}
}

func TestShared(t *testing.T) {
	s := &Server{Shared: true}
	first, addr := serve(t, s)
	agree(first)
	second := dial(t, addr)
	agree(second)
	first.send("ff fa 2c 02 07 ff f0")
	for _, p := range []*peer{first, second} {
		p.expect("ff fa 2c 66 07 ff f0")
	}
	s.Port().Receive([]byte("hi"))
	for _, p := range []*peer{first, second} {
		p.expect("68 69")
	}
}

func TestRaw(t *testing.T) {
	s := &Server{UART: &UART{Unpaced: true, Device: NewEcho()}, Raw: true}
	p, _ := serve(t, s)
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	p.send(hex.EncodeToString(all))
	p.expect(hex.EncodeToString(all))
}

func TestEchoLargeBothWays(t *testing.T) {
	for _, tt := range []struct {
		name string
		fill byte
	}{{"text", 'x'}, {"all IAC", 0xFF}} {
		t.Run(tt.name, func(t *testing.T) {
			s := &Server{UART: &UART{Unpaced: true, JournalOff: true, Device: NewEcho()}}
			p, _ := serve(t, s)
			agree(p)
			data := bytes.Repeat([]byte{tt.fill}, 2<<20)
			wire := telnet.AppendData(nil, data)
			go func() { _, _ = p.conn.Write(wire) }()
			got := make([]byte, len(wire))
			if _, err := io.ReadFull(p.conn, got); err != nil || !bytes.Equal(got, wire) {
				t.Fatalf("echo differs: %v", err)
			}
			if total := s.UART.Snapshot().Total; total.Bytes != uint64(len(data)) || total.Sum != Sum(data) {
				t.Errorf("%+v", total)
			}
		})
	}
}

func TestZeroServerOnPipe(t *testing.T) {
	var s Server
	client, server := net.Pipe()
	done := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { done <- s.ServeConn(ctx, server) }()
	p := &peer{t, client}
	go func() { _, _ = client.Write(unhex(t, agreement)) }()
	p.expect(greeting + lines)
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	_ = client.Close()
	got := s.Negotiations()
	if !slices.ContainsFunc(got, func(n Negotiation) bool { return n.String() == "WILL COM-PORT" }) {
		t.Errorf("negotiations %v", got)
	}
}

func BenchmarkServer(b *testing.B) {
	s := &Server{UART: &UART{Unpaced: true, JournalOff: true}}
	client, server := net.Pipe()
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- s.ServeConn(ctx, server) }()
	go func() { _, _ = io.Copy(io.Discard, client) }()
	chunk := bytes.Repeat([]byte("0123456789abcde\n"), 4096)
	b.SetBytes(int64(len(chunk)))
	for b.Loop() {
		if _, err := client.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
	cancel()
	<-done
	_ = client.Close()
}

func TestEchoAtLineSpeed(t *testing.T) {
	clock := NewFakeClock(epoch)
	s := &Server{UART: &UART{Clock: clock, Device: NewEcho()}, Raw: true}
	p, _ := serve(t, s)
	p.send("61 62")
	if err := s.UART.WaitFor(within(t), func(s Snapshot) bool { return s.Queued == 2 }); err != nil {
		t.Fatal(err)
	}
	clock.Advance(1100 * time.Microsecond) // 9600-8N1: 1.04 ms a character
	p.expect("61")
	if got := s.UART.Snapshot(); got.Queued != 1 {
		t.Errorf("%d wait", got.Queued)
	}
	clock.Advance(time.Millisecond)
	p.expect("62")
}

// A client that never reads blocks the echo, the line and at last itself; when
// it goes, all of that must come free again.
func TestClientThatNeverReads(t *testing.T) {
	for _, unpaced := range []bool{true, false} {
		s := &Server{UART: &UART{Unpaced: unpaced, JournalOff: true, Device: NewEcho()}, Raw: true}
		s.Port().Set(comport.SetBaudRate{Rate: 4e9}) // no session yet: stays for the first
		client, server := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- s.ServeConn(t.Context(), server) }()
		go func() { _, _ = client.Write(make([]byte, 8<<20)) }()
		// With net.Pipe nothing is read, so the client's room is full in the end.
		err := s.Port().WaitFor(within(t), func(s Snapshot) bool { return s.Received >= ReceiveBuffer })
		_ = client.Close()
		if err := errors.Join(err, <-done); err != nil {
			t.Errorf("unpaced %v: %v", unpaced, err)
		}
	}
}

func TestDeviceOutlivesASession(t *testing.T) {
	s := &Server{UART: &UART{Unpaced: true, Device: NewEcho()}, Raw: true}
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	if !s.Port().claim() {
		t.Fatal("the UART is running")
	}
	go func() { ran <- s.Port().run(ctx) }()
	if err := s.Port().Run(ctx); err == nil {
		t.Error("it runs twice")
	}
	for range 2 {
		client, server := net.Pipe()
		done := make(chan error, 1)
		go func() { done <- s.ServeConn(ctx, server) }()
		p := &peer{t, client}
		p.send("41")
		p.expect("41")
		_ = client.Close()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}

func TestDisconnect(t *testing.T) {
	s := &Server{KeepSettings: true}
	p, addr := serve(t, s)
	agree(p)
	p.send("ff fa 2c 02 07 ff f0")
	p.expect("ff fa 2c 66 07 ff f0")
	s.Disconnect()
	if _, err := io.ReadAll(p.conn); err != nil {
		t.Error(err)
	}
	if err := s.WaitFor(within(t), func(s Stats) bool { return s.Active == 0 }); err != nil {
		t.Fatal(err)
	}
	again := dial(t, addr)
	agree(again)
	if got := s.Port().State().DataSize; got != 7 {
		t.Errorf("%d data bits", got)
	}
}
