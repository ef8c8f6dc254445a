package port

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// newTCPRig is a rig whose connection is a socket, which can be handed on.
func newTCPRig(t *testing.T, device rfc2217test.Device, change func(*Config)) *rig {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	uart := &rfc2217test.UART{Unpaced: true, Device: device}
	server := &rfc2217test.Server{UART: uart}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = server.Serve(ctx, ln) })
	wg.Go(func() { _ = uart.Run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	r := newRig(t, rfc2217test.Faults{}, func(c *Config) {
		c.Dial = func(ctx context.Context, _ rfc2217client.Remote) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "tcp", ln.Addr().String())
		}
		if change != nil {
			change(c)
		}
	})
	r.server, r.uart = server, uart
	return r
}

// handOn puts another port in the place of the rig's, which knows of the first what
// went through a file.
func (r *rig) handOn() {
	r.t.Helper()
	r.handOnBetween(func() {})
}

// handOnBetween calls a function on the loop while there is no port.
func (r *rig) handOnBetween(between func()) {
	r.t.Helper()
	r.do(func() {
		s, h, ok := r.port.Save()
		if !ok {
			r.t.Error("the port cannot be saved")
			return
		}
		text, err := json.Marshal(s)
		if err != nil {
			r.t.Error(err)
		}
		var again Saved
		if err := json.Unmarshal(text, &again); err != nil {
			r.t.Error(err)
		}
		between()
		next, err := Resume(r.port.cfg, r.loop, r.port.watcher, again, h)
		if err != nil {
			r.t.Error(err)
			return
		}
		r.port = next
	})
}

// Under traffic both ways, a port is handed on again and again: not a byte is lost or
// doubled, the program keeps its descriptor and the server its connection.
func TestPortHandedOnUnderTraffic(t *testing.T) {
	const size = 16 << 20
	r := newTCPRig(t, rfc2217test.NewEcho(), func(c *Config) { c.Settle = time.Second })
	f := r.program()
	r.await(KindConnected)
	r.setSpeed(f, 115200)
	r.eventually("the speed is set", func() bool { return r.uart.State().BaudRate == 115200 })
	pattern := make([]byte, size)
	for i := range pattern {
		pattern[i] = byte(i*11 + i>>7)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		for rest := pattern; len(rest) > 0; {
			n, err := f.Write(rest[:min(len(rest), 4096)])
			if err != nil {
				t.Errorf("write: %v", err)
				return
			}
			rest = rest[n:]
		}
	})
	done := make(chan struct{})
	wg.Go(func() {
		defer close(done)
		got := make([]byte, size)
		if _, err := io.ReadFull(f, got); err != nil {
			t.Errorf("read: %v", err)
		}
		if !bytes.Equal(got, pattern) {
			t.Error("what came back is not what was written")
		}
	})
	times := 0
	for going := true; going; {
		select {
		case <-done:
			going = false
		case <-time.After(time.Millisecond):
			r.handOn()
			times++
		}
	}
	t.Logf("handed on %d times", times)
	if times < 20 {
		t.Errorf("handed on %d times, want 20 at least", times)
	}
	s := r.status()
	if len(r.of(KindConnected)) != 1 || len(r.of(KindDisconnected)) != 0 || len(r.of(KindNotResumed)) != 0 {
		t.Errorf("events %v", r.all())
	}
	if s.Bytes.FromProgram != size || s.Bytes.ToProgram != size {
		t.Errorf("counted %+v, want %d both ways", s.Bytes, size)
	}
}

// Settings, lines, counters and what a program asks for next go on.
func TestPortHandedOnKeepsItsState(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "tty")
	r := newTCPRig(t, nil, func(c *Config) { c.Links, c.RunDir = []string{link}, filepath.Join(dir, "run") })
	f := r.program()
	r.await(KindConnected)
	r.setSpeed(f, 4800)
	r.eventually("the speed is set", func() bool { return r.uart.State().BaudRate == 4800 })
	before := r.status()
	r.handOn()
	after := r.status()
	if after.Wanted != before.Wanted || after.TTY != before.TTY || !after.Up || !after.Open || after.Since != before.Since.Round(0) && !after.Since.Equal(before.Since) {
		t.Errorf("%+v, was %+v", after, before)
	}
	if target, err := os.Readlink(link); target != before.TTY {
		t.Errorf("the link leads to %q, %v", target, err)
	}
	r.do(func() {
		if err := r.port.DriveLines(comport.ControlDTROff, 0); err != nil {
			t.Error(err)
		}
	})
	r.eventually("DTR is off", func() bool { return r.uart.State().DTR == comport.ControlDTROff })
	r.setSpeed(f, 9600)
	r.eventually("the program's next wish is carried out", func() bool { return r.uart.State().BaudRate == 9600 })
	r.handOn()
	_ = f.Close()
	r.eventually("the close is noticed", func() bool { return !r.status().Open })
}

// A program that is not there, or that leaves or comes just then, finds the port too.
func TestPortHandedOnWhileClosed(t *testing.T) {
	r := newTCPRig(t, rfc2217test.NewEcho(), nil)
	r.handOn()
	f := r.program()
	r.eventually("the open is noticed", func() bool { return r.status().Up })
	if _, err := f.WriteString("x"); err != nil {
		t.Fatal(err)
	}
	_ = f.Close()
	r.handOn()
	r.eventually("the last byte has arrived", func() bool { return bytes.Equal(r.uart.Sent(), []byte("x")) })
	r.eventually("the close is noticed", func() bool { return !r.status().Open })
}

// What waits for a connection waits on, and for the next one too.
func TestPortHandedOnWithoutConnection(t *testing.T) {
	refuse := true
	var mu sync.Mutex
	r := newTCPRig(t, nil, func(c *Config) {
		dial := c.Dial
		c.Dial = func(ctx context.Context, remote rfc2217client.Remote) (net.Conn, error) {
			mu.Lock()
			defer mu.Unlock()
			if refuse {
				return nil, net.ErrClosed
			}
			return dial(ctx, remote)
		}
		c.StaleAfter = time.Hour
	})
	f := r.program()
	if _, err := f.WriteString("waits"); err != nil {
		t.Fatal(err)
	}
	r.setSpeed(f, 2400)
	r.await(KindDisconnected)
	r.handOn()
	mu.Lock()
	refuse = false
	mu.Unlock()
	r.eventually("it has arrived", func() bool { return bytes.Equal(r.uart.Sent(), []byte("waits")) })
	if got := r.uart.State().BaudRate; got != 2400 {
		t.Errorf("at %d bit/s, want 2400", got)
	}
}

// A change that waits for the characters before it waits on, in its place.
func TestPortHandedOnWhileSettling(t *testing.T) {
	r := newTCPRig(t, nil, func(c *Config) { c.Settle = time.Hour })
	f := r.program()
	r.await(KindConnected)
	r.setSpeed(f, 1200)
	r.eventually("the first speed is set", func() bool { return r.uart.State().BaudRate == 1200 })
	first, second := bytes.Repeat([]byte("1"), 30), bytes.Repeat([]byte("2"), 30) // a quarter of a second each
	for _, part := range [][]byte{first, second} {
		if _, err := f.Write(part); err != nil {
			t.Fatal(err)
		}
		r.eventually("it is read", func() bool { return r.status().Bytes.FromProgram >= uint64(len(part)) })
		r.setSpeed(f, 1200+uint32(part[0])) // 1249, 1250
	}
	r.eventually("a change waits", func() bool {
		var waits bool
		r.do(func() { waits = r.port.bridge.Unsettled() })
		return waits
	})
	r.handOn()
	if n := len(r.of(KindNotResumed)); n != 0 {
		t.Errorf("it could not go on: %v", r.all())
	}
	r.eventually("the last speed is set", func() bool { return r.uart.State().BaudRate == 1250 })
	if got, want := r.uart.Sent(), slices.Concat(first, second); !bytes.Equal(got, want) {
		t.Errorf("sent %q, want %q", got, want)
	}
}

// A descriptor that is none of a pseudo-terminal costs the port nothing but its past.
func TestPortNotResumed(t *testing.T) {
	r := newTCPRig(t, nil, nil)
	r.do(func() {
		s, h, _ := r.port.Save()
		if err := unix.Close(h.TTY); err != nil {
			t.Error(err)
		}
		var err error
		if h.TTY, err = unix.Open(os.DevNull, unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
			t.Error(err)
		}
		if r.port, err = Resume(r.port.cfg, r.loop, r.port.watcher, s, h); err != nil {
			t.Fatal(err)
		}
	})
	if len(r.of(KindNotResumed)) != 1 {
		t.Errorf("events %v", r.all())
	}
	r.program()
	r.await(KindConnected)
}

// handOnTo is handOn to another configuration.
func (r *rig) handOnTo(change func(*Config)) {
	r.t.Helper()
	r.handOnBetween(func() { change(&r.port.cfg) })
}

// Line settings that are configured anew reach the tty and the UART, over the connection
// that is there; and those that were not are not set again over an operator's.
func TestPortHandedOnWithAnotherLine(t *testing.T) {
	for name, open := range map[string]bool{"open": true, "closed": false} {
		t.Run(name, func(t *testing.T) {
			r := newTCPRig(t, nil, func(c *Config) { c.Connect, c.Line = ConnectAlways, comport.State{BaudRate: 1200, DataSize: 7} })
			r.eventually("the first line is set", func() bool { s := r.uart.State(); return s.BaudRate == 1200 && s.DataSize == 7 })
			var f *os.File
			if open {
				f = r.program()
				r.eventually("the open is noticed", func() bool { return r.status().Open })
			}
			r.handOnTo(func(c *Config) { c.Line = sevenEven })
			r.eventually("the new line is set", func() bool { return r.uart.State().Line() == sevenEven.Line() })
			if len(r.of(KindConnected)) != 1 {
				t.Errorf("it has connected anew: %v", r.all())
			}
			if f == nil {
				f = r.program()
			}
			if got := r.speed(f); got != sevenEven.BaudRate {
				t.Errorf("the tty shows %d bit/s, want %d", got, sevenEven.BaudRate)
			}
			r.setLine(comport.State{BaudRate: 4800})
			r.eventually("the operator's speed", func() bool { return r.uart.State().BaudRate == 4800 })
			r.handOn()
			r.setSpeed(f, 9600) // comes after all that handing on has caused
			r.eventually("the program's speed", func() bool { return r.uart.State().BaudRate == 9600 })
			if speeds := speedsSet(r); !slices.Equal(speeds, []uint32{1200, 2400, 4800, 9600}) {
				t.Errorf("the UART was set to %d", speeds)
			}
			r.handOnTo(func(c *Config) { c.Line = comport.State{} })
			r.setSpeed(f, 19200)
			r.eventually("the program's next speed", func() bool { return r.uart.State().BaudRate == 19200 })
			if s := r.uart.State(); s.Line() != "19200-7E2" {
				t.Errorf("without a line the UART is at %s: what was wanted is not any more", s.Line())
			}
		})
	}
}

// speedsSet are the speeds that the UART was set to.
func speedsSet(r *rig) (all []uint32) {
	for _, e := range r.uart.Journal() {
		if m, ok := e.Message.(comport.SetBaudRate); ok && e.Kind == rfc2217test.EntrySetting {
			all = append(all, m.Rate)
		}
	}
	return all
}

// What an operator has disconnected stays so.
func TestPortHandedOnDisconnected(t *testing.T) {
	for _, c := range []Connect{ConnectAlways, ConnectOnOpen} {
		t.Run(c.String(), func(t *testing.T) {
			r := newTCPRig(t, nil, func(cfg *Config) { cfg.Connect = c })
			f := r.program()
			r.await(KindConnected)
			r.eventually("the open is noticed", func() bool { return r.status().Open })
			r.do(r.port.Disconnect)
			r.handOn()
			r.do(r.port.Start)
			s := r.status()
			if s.Up || !errors.Is(s.LastError, ErrDisconnected) || len(r.of(KindConnected)) != 1 {
				t.Errorf("up %t, last error %v, events %v", s.Up, s.LastError, r.all())
			}
			if c == ConnectAlways {
				r.do(func() { r.port.Reconnect() })
			} else {
				_ = f.Close()
				r.eventually("the close is noticed", func() bool { return !r.status().Open })
				r.program()
			}
			r.eventually("it is connected again", func() bool { return r.status().Up })
		})
	}
}
