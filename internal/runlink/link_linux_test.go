package runlink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/ioctl"
	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/internal/socket"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

const patience = 10 * time.Second

// fakePort notes what it is asked. Everything in it belongs to the loop.
type fakePort struct {
	log      []string
	uart     port.UART
	attached int
	looked   int
	fail     error
	sent     func()      // of a WhenSent that waits
	broken   func(error) // of a SendBreak
	holds    bool        // WhenSent waits
}

func (p *fakePort) note(format string, args ...any) error {
	p.log = append(p.log, fmt.Sprintf(format, args...))
	return p.fail
}

func (p *fakePort) Names() []string { return []string{"gps", "/dev/ttyGPS", p.uart.Path} }
func (p *fakePort) UART() port.UART { return p.uart }
func (p *fakePort) Look()           { p.looked++ }
func (p *fakePort) Attach()         { p.attached++ }
func (p *fakePort) Detach()         { p.attached-- }

func (p *fakePort) SetTermios(t unix.Termios) error {
	if p.fail == nil {
		p.uart.Termios = t
	}
	return p.note("set %d", t.Ospeed)
}

func (p *fakePort) DriveLines(dtr, rts comport.Control) error {
	if dtr != 0 {
		p.uart.DTR = dtr == comport.ControlDTROn
	}
	if rts != 0 {
		p.uart.RTS = rts == comport.ControlRTSOn
	}
	return p.note("lines %d %d", dtr, rts)
}

func (p *fakePort) SetBreak(on bool) error { return p.note("break %v", on) }

func (p *fakePort) SendBreak(d time.Duration, done func(error)) func() {
	_ = p.note("send break %v", d)
	p.broken = done
	return func() { _ = p.note("break cancelled") }
}

func (p *fakePort) WhenSent(done func()) func() {
	_ = p.note("drain")
	if !p.holds {
		done()
		return func() {}
	}
	p.sent = done
	return func() { _ = p.note("drain cancelled") }
}

func (p *fakePort) WhenRoom(done func()) func() {
	_ = p.note("room")
	p.fail = nil
	done()
	return func() {}
}

func (p *fakePort) Flush(input, output bool) error { return p.note("flush %v %v", input, output) }

// rig is a Server on a loop that is one goroutine.
type rig struct {
	t      *testing.T
	port   *fakePort
	server *Server
	posted chan func()
	socket string
	locked atomic.Bool // nobody may connect
	// listener, if set, comes between the Server and its own.
	listener func(net.Listener) net.Listener
	wg       sync.WaitGroup
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, port: &fakePort{uart: port.UART{Path: "/dev/pts/7"}}, posted: make(chan func(), 100), socket: filepath.Join(t.TempDir(), "run", "s")}
	done := make(chan struct{})
	r.wg.Go(func() {
		for {
			select {
			case f := <-r.posted:
				f()
			case <-done:
				return
			}
		}
	})
	t.Cleanup(func() { close(done); r.wg.Wait() })
	return r
}

func (r *rig) do(f func()) {
	done := make(chan struct{})
	r.posted <- func() { f(); close(done) }
	<-done
}

// serve serves until the function that it returns is called.
func (r *rig) serve(hangup bool) (stop func()) {
	r.t.Helper()
	r.server = NewServer(r.port, func(f func()) { r.posted <- f }, hangup, func(socket.Peer) bool { return !r.locked.Load() })
	ctx, cancel := context.WithCancel(context.Background())
	ln, err := socket.Socket{RunDir: filepath.Dir(r.socket), Name: filepath.Base(r.socket), Packets: true, UID: -1, GID: -1, Mode: 0o600}.Listen(ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	ended := make(chan error, 1)
	var listener net.Listener = ln
	if r.listener != nil {
		listener = r.listener(ln)
	}
	go func() { ended <- r.server.Serve(ctx, listener) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-ended; err != nil {
				r.t.Error(err)
			}
		})
	}
	r.t.Cleanup(stop)
	return stop
}

func (r *rig) dial() (*Client, *[]string) {
	r.t.Helper()
	var mu sync.Mutex
	paths := &[]string{}
	ctx, cancel := context.WithCancel(context.Background())
	c, err := Dial(ctx, r.socket, "gps", func(p string) { mu.Lock(); *paths = append(*paths, p); mu.Unlock() })
	if err != nil {
		r.t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	r.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Error(err)
		}
	})
	return c, paths
}

func (r *rig) eventually(what string, holds func() bool) {
	r.t.Helper()
	for end := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("it did not come true: %s; the port was asked %q", what, r.log())
		}
	}
}

func (r *rig) log() (all []string) {
	r.do(func() { all = slices.Clone(r.port.log) })
	return all
}

// TestRequests: each reaches the port, in order, and its answer the caller.
func TestRequests(t *testing.T) {
	r := newRig(t)
	r.serve(false)
	c, _ := r.dial()
	ctx := t.Context()
	tio := c.State().Termios
	tio.SetSpeed(19200, 19200)
	for _, err := range []error{
		c.Set(ctx, tio, ioctl.Now), c.Set(ctx, tio, ioctl.DrainFlush),
		c.Lines(ctx, ioctl.LineDTR, ioctl.LineRTS), c.Lines(ctx, 0, ioctl.LineDTR),
		c.Break(ctx, true), c.Break(ctx, false), c.Drain(ctx),
		c.Flush(ctx, ioctl.QueueInput), c.Flush(ctx, ioctl.QueueOutput), c.Flush(ctx, ioctl.QueueBoth),
	} {
		if err != nil {
			t.Error(err)
		}
	}
	want := []string{
		"set 19200", "drain", "flush true false", "set 19200",
		fmt.Sprintf("lines %d %d", comport.ControlDTROn, comport.ControlRTSOff), fmt.Sprintf("lines %d 0", comport.ControlDTROff),
		"break true", "room", "break false", "drain", "flush true false", "flush false true", "flush true true",
	}
	if got := r.log(); !slices.Equal(got, want) {
		t.Errorf("the port was asked\n%q, want\n%q", got, want)
	}
	if got := c.State(); got.Termios.Ospeed != 19200 {
		t.Errorf("after the set the state has %d bit/s", got.Termios.Ospeed)
	}
}

// TestStateAfterASet: what was set is what is read next, always.
func TestStateAfterASet(t *testing.T) {
	r := newRig(t)
	r.serve(false)
	c, _ := r.dial()
	for i := range 500 {
		raise, drop := ioctl.LineDTR, ioctl.Lines(0)
		if i%2 == 1 {
			raise, drop = drop, raise
		}
		if err := c.Lines(t.Context(), raise, drop); err != nil {
			t.Fatal(err)
		}
		if got := c.State().Lines & ioctl.LineDTR; got != raise {
			t.Fatalf("round %d: DTR reads as %v after it was set to %v", i, got, raise)
		}
	}
}

// TestCustomDivisor: while serial_struct makes 38,400 bit/s another speed, programs
// read 38,400, and the line is back there when the divisor is taken away.
func TestCustomDivisor(t *testing.T) {
	r := newRig(t)
	r.serve(false)
	c, _ := r.dial()
	tio := c.State().Termios
	tio.SetSpeed(38400, 38400)
	custom := c.State().Serial
	custom.Flags |= ioctl.FlagSpeedCustom
	for i, err := range []error{
		c.Set(t.Context(), tio, ioctl.Now),
		c.Serial(t.Context(), with(custom, 96)), c.Serial(t.Context(), with(custom, 240)),
		c.Serial(t.Context(), ioctl.DefaultSerial(0)),
	} {
		if err != nil {
			t.Errorf("request %d: %v", i, err)
		}
		if got := c.State().Termios.Ospeed; got != 38400 {
			t.Errorf("request %d: %d bit/s are read, want 38400", i, got)
		}
	}
	if got, want := r.log(), []string{"set 38400", "set 250000", "set 100000", "set 38400"}; !slices.Equal(got, want) {
		t.Errorf("the port was asked %q, want %q", got, want)
	}
}

// TestSerialIsThePorts: what one supervisor's program makes of serial_struct the other's read,
// those that come later do, and a server that was started anew learns it.
func TestSerialIsThePorts(t *testing.T) {
	r := newRig(t)
	stop := r.serve(false)
	a, _ := r.dial()
	b, _ := r.dial()
	want := ioctl.DefaultSerial(0)
	want.Flags |= ioctl.FlagLowLatency | ioctl.FlagSpeedCustom
	want.CustomDivisor, want.CloseDelay, want.ClosingWait, want.XmitFIFO = 96, 1, 2, 3
	if err := a.Serial(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	r.eventually("the other reads it", func() bool { return b.State().Serial == want })
	tio := b.State().Termios
	tio.SetSpeed(38400, 38400)
	if err := b.Set(t.Context(), tio, ioctl.Now); err != nil {
		t.Error(err)
	}
	if got := r.log(); len(got) == 0 || got[len(got)-1] != "set 250000" {
		t.Errorf("the port was asked %q, want 250000 bit/s at last", got)
	}
	stop()
	r.serve(false)
	r.eventually("they are back", func() bool { return a.Uncertain() == nil && b.Uncertain() == nil })
	if a.State().Serial != want || b.State().Serial != want {
		t.Errorf("after a restart: %+v and %+v", a.State().Serial, b.State().Serial)
	}
	r.eventually("one that comes later reads it", func() bool {
		c, err := Dial(t.Context(), r.socket, "gps", func(string) {})
		if err != nil {
			return false
		}
		defer func() { _ = c.conn.Close() }()
		return c.State().Serial == want
	})
}

func with(s ioctl.Serial, divisor int32) ioctl.Serial {
	s.CustomDivisor = divisor
	return s
}

// TestErrors come as the error numbers that programs know.
func TestErrors(t *testing.T) {
	r := newRig(t)
	r.serve(false)
	c, _ := r.dial()
	for err, want := range map[error]ioctl.Errno{
		fmt.Errorf("wrapped: %w", port.ErrSettings): ioctl.EBUSY, ioctl.EINVAL: ioctl.EINVAL, errors.New("anything"): ioctl.EIO,
	} {
		r.do(func() { r.port.fail = err })
		if got := c.Break(t.Context(), true); !errors.Is(got, want) {
			t.Errorf("%v comes as %v, want %v", err, got, want)
		}
	}
}

// TestStateIsPushed, and wakes whoever waits for it; a new tty is told.
func TestStateIsPushed(t *testing.T) {
	r := newRig(t)
	r.serve(false)
	c, paths := r.dial()
	before := c.State()
	r.do(func() {
		r.port.uart.Modem = comport.ModemDCD | comport.ModemRI
		r.port.uart.Counts = port.Counts{CTS: 1, DSR: 2, RNG: 3, DCD: 4, RX: 5, TX: 6, Frame: 7, Overrun: 8, Parity: 9, Brk: 10, BufOverrun: 11}
		r.port.uart.Path = "/dev/pts/8"
		r.server.Changed()
		r.server.Changed()
	})
	select {
	case <-before.Changed:
	case <-time.After(patience):
		t.Fatal("nobody is woken")
	}
	s := c.State()
	if s.Lines != ioctl.LineCD|ioctl.LineRNG {
		t.Errorf("lines %#x", s.Lines)
	}
	if want := (ioctl.Counts{CTS: 1, DSR: 2, RNG: 3, CD: 4, RX: 5, TX: 6, Frame: 7, Overrun: 8, Parity: 9, Break: 10, BufOverrun: 11}); s.Counts != want {
		t.Errorf("counts %+v, want %+v", s.Counts, want)
	}
	r.eventually("the new tty", func() bool { return slices.Equal(*paths, []string{"/dev/pts/7", "/dev/pts/8"}) })
}

// TestRefresh asks how much output waits.
func TestRefresh(t *testing.T) {
	r := newRig(t)
	r.serve(false)
	c, _ := r.dial()
	if c.Open() {
		t.Error("a closed port is open")
	}
	r.do(func() { r.port.uart.OutQueue, r.port.uart.Open, r.port.uart.DTR = 42, true, true })
	if err := c.Refresh(t.Context()); err != nil || c.State().OutQueue != 42 {
		t.Errorf("%v, %d bytes wait, want 42", err, c.State().OutQueue)
	}
	if !c.Open() || c.State().Lines&ioctl.LineDTR == 0 {
		t.Error("what an open has changed is not read")
	}
	r.do(func() {
		if r.port.looked != 1 {
			t.Errorf("the port has looked %d times, want 1", r.port.looked)
		}
	})
}

// TestCancel: who gives up what takes long has it ended at the port.
func TestCancel(t *testing.T) {
	r := newRig(t)
	r.port.holds = true
	r.serve(false)
	c, _ := r.dial()
	for _, tt := range []struct {
		run  func(context.Context) error
		want []string
	}{
		{c.Drain, []string{"drain", "drain cancelled"}},
		{func(ctx context.Context) error { return c.SendBreak(ctx, time.Second) }, []string{"send break 1s", "break cancelled"}},
	} {
		r.do(func() { r.port.log = nil })
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- tt.run(ctx) }()
		r.eventually("the port is asked", func() bool { return len(r.log()) == 1 })
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		r.eventually("and told that nobody waits", func() bool { return slices.Equal(r.log(), tt.want) })
	}
}

// TestServerRestart: a call waits for the next server.
func TestServerRestart(t *testing.T) {
	r := newRig(t)
	stop := r.serve(false)
	c, _ := r.dial()
	if err := c.Break(t.Context(), true); err != nil {
		t.Fatal(err)
	}
	stop()
	r.eventually("detached", func() (ok bool) { r.do(func() { ok = r.port.attached == 0 }); return ok })
	r.eventually("the client knows", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.conn == nil })
	ended := make(chan error, 1)
	go func() { ended <- c.Break(context.Background(), false) }()
	r.serve(false)
	if err := <-ended; err != nil {
		t.Errorf("over a restart: %v", err)
	}
	if got, want := r.log(), []string{"break true", "room", "break false"}; !slices.Equal(got, want) {
		t.Errorf("the port was asked %q, want %q", got, want)
	}
}

// TestServerRestartWithHangup: while the tty is there it may be handed on, and calls wait as
// well. Without it they fail, those that wait and those to come, until there is a server.
func TestServerRestartWithHangup(t *testing.T) {
	r := newRig(t)
	tty := filepath.Join(t.TempDir(), "tty")
	if err := os.WriteFile(tty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.port.uart.Path = tty
	stop := r.serve(true)
	c, _ := r.dial()
	r.port.holds = true
	state, ended := c.State(), make(chan error, 1)
	go func() { ended <- c.Drain(context.Background()) }()
	r.eventually("the port is asked", func() bool { return len(r.log()) == 1 })
	stop()
	stop = r.serve(true)
	r.eventually("the port is asked again", func() bool { return len(r.log()) == 3 })
	select {
	case err := <-ended:
		t.Fatalf("the tty is there, and a call on it ends with %v", err)
	default:
	}
	stop()
	if err := os.Remove(tty); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; !errors.Is(err, ioctl.EIO) {
		t.Errorf("without the tty: %v, want EIO", err)
	}
	r.eventually("who waits for a line is told", func() bool { return c.State().Hangups == state.Hangups+1 })
	if err := c.Break(t.Context(), false); !errors.Is(err, ioctl.EIO) {
		t.Errorf("a call afterwards: %v, want EIO", err)
	}
	r.do(func() { r.port.uart.Path = tty + "2" })
	r.serve(true)
	r.eventually("it works again", func() bool { return c.Break(context.Background(), false) == nil })
}

// TestRestartedWithAnotherTTY: what was asked of a tty that is gone fails, and whoever waits
// on it is told.
func TestRestartedWithAnotherTTY(t *testing.T) {
	r := newRig(t)
	r.port.holds = true
	stop := r.serve(false)
	c, _ := r.dial()
	if got, want := c.Paths(), []string{"/dev/ttyGPS"}; !slices.Equal(got, want) {
		t.Errorf("its paths are %q, want %q", got, want)
	}
	asked, ended := c.State(), make(chan error, 1)
	go func() { ended <- c.Drain(context.Background()) }()
	r.eventually("the port is asked", func() bool { return len(r.log()) == 1 })
	stop()
	r.do(func() { r.port.uart.Path = "/dev/pts/8" })
	r.serve(false)
	if err := <-ended; !errors.Is(err, ioctl.EIO) {
		t.Errorf("what waits on the tty that is gone: %v, want EIO", err)
	}
	r.eventually("the other tty", func() bool { return c.State().Hangups == asked.Hangups+1 })
	if got, want := r.log(), []string{"drain", "drain cancelled"}; !slices.Equal(got, want) {
		t.Errorf("the port was asked %q, want %q", got, want)
	}
}

// TestHangupsAreTold where the tty stays.
func TestHangupsAreTold(t *testing.T) {
	r := newRig(t)
	r.serve(true)
	c, _ := r.dial()
	before := c.State()
	r.do(func() { r.port.uart.Hangups = 7; r.server.Changed() })
	select {
	case <-before.Changed:
	case <-time.After(patience):
		t.Fatal("nobody is woken")
	}
	if got := c.State().Hangups; got != before.Hangups+1 {
		t.Errorf("%d hang-ups, want one more than %d", got, before.Hangups)
	}
}

// TestPathsWithoutRoom: a part of them would pass for all.
func TestPathsWithoutRoom(t *testing.T) {
	long := "/" + strings.Repeat("x", maxPaths/2-2)
	one := paths([]string{"gps", long, long})
	if got := texts(one[:]); !slices.Equal(got, []string{long, long}) {
		t.Errorf("%d of 2 paths that just fit", len(got))
	}
	if one = paths([]string{"/dev/a", long, long}); one[0] != 0 {
		t.Error("a part of what has no room is told")
	}
}

// TestSupervisorGone: what it waited for is ended, and the port knows.
func TestSupervisorGone(t *testing.T) {
	r := newRig(t)
	r.port.holds = true
	r.serve(false)
	ctx, cancel := context.WithCancel(context.Background())
	c, err := Dial(ctx, r.socket, "/dev/ttyGPS", func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	call := make(chan error, 1)
	go func() { call <- c.Drain(context.Background()) }()
	r.eventually("the port is asked", func() bool { return len(r.log()) == 1 })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := <-call; !errors.Is(err, ioctl.EIO) {
		t.Errorf("the call ends with %v, want EIO", err)
	}
	r.eventually("cancelled and detached", func() (ok bool) {
		r.do(func() { ok = r.port.attached == 0 })
		return ok && slices.Equal(r.log(), []string{"drain", "drain cancelled"})
	})
}

// failing is a listener that cannot accept once.
type failing struct {
	net.Listener
	once sync.Once
}

func (l *failing) Accept() (conn net.Conn, err error) {
	l.once.Do(func() { err = unix.EMFILE })
	if err != nil {
		return nil, err
	}
	return l.Listener.Accept()
}

// TestAcceptFails: it does not end the service.
func TestAcceptFails(t *testing.T) {
	r := newRig(t)
	r.listener = func(ln net.Listener) net.Listener { return &failing{Listener: ln} }
	r.serve(false)
	c, _ := r.dial()
	if err := c.Break(t.Context(), true); err != nil {
		t.Error(err)
	}
}

// TestStoppedServer: one that does not answer keeps nobody from ending.
func TestStoppedServer(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unixpacket", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ln.Close() }()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	begin := time.Now()
	go func() {
		_, err := Dial(ctx, path, "gps", func(string) {})
		ended <- err
	}()
	conn, err := ln.Accept() // by a server that then stops
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	cancel()
	err = <-ended
	if _, is := errors.AsType[*DialError](err); !is || !errors.Is(err, context.Canceled) {
		t.Errorf("%v, want a DialError that tells of the context's end", err)
	}
	if took := time.Since(begin); took >= helloTimeout {
		t.Errorf("it took %v", took)
	}
}

// TestGoneForGood: when Run has ended nobody waits to learn which tty is the port's.
func TestGoneForGood(t *testing.T) {
	r := newRig(t)
	stop := r.serve(false)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	c, err := Dial(ctx, r.socket, "gps", func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	stop()
	r.eventually("it is not known", func() bool { return c.Uncertain() != nil })
	back := c.Uncertain()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	select {
	case <-back:
	case <-time.After(patience):
		t.Error("who waits for another tty waits for ever")
	}
	if c.Uncertain() != nil {
		t.Error("it is still not known")
	}
	if err := c.Break(t.Context(), true); !errors.Is(err, ioctl.EIO) {
		t.Errorf("a call: %v, want EIO", err)
	}
}

// TestRefusals: another name, another version, and what is no supervisor.
func TestRefusals(t *testing.T) {
	r := newRig(t)
	r.serve(false)
	r.locked.Store(true)
	if _, err := Dial(t.Context(), r.socket, "gps", func(string) {}); err == nil {
		t.Error("somebody who may not was let in")
	}
	r.locked.Store(false)
	if _, err := Dial(t.Context(), r.socket, "other", func(string) {}); !errors.Is(err, ErrNotServed) {
		t.Errorf("another name: %v", err)
	}
	for name, packet := range map[string][]byte{
		"another version": encode(hello{Magic: magic, Version: version + 1}), "noise": []byte("GET / HTTP/1.1\r\n\r\n"),
	} {
		conn, err := net.Dial("unixpacket", r.socket)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(packet); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, maxMessage)
		n, err := conn.Read(buf)
		var w welcome
		if err != nil || decode(buf[:n], &w) != nil || w.Refused != refusedVersion {
			t.Errorf("%s: %v, %+v", name, err, w)
		}
		if _, err := conn.Read(buf); err == nil {
			t.Errorf("%s: the connection stays", name)
		}
		_ = conn.Close()
	}
}

// FuzzDecode: no packet makes a message that is not of its size.
func FuzzDecode(f *testing.F) {
	f.Add(encode(request{Op: opSet}))
	f.Add(encode(answer{Kind: kindState}))
	f.Fuzz(func(t *testing.T, p []byte) {
		var r request
		if err := decode(p, &r); err == nil && len(p) != len(encode(r)) {
			t.Errorf("%d bytes were taken for a request", len(p))
		}
		var a answer
		if err := decode(p, &a); err == nil && len(p) != len(encode(a)) {
			t.Errorf("%d bytes were taken for an answer", len(p))
		}
		var h hello
		_ = decode(p, &h)
	})
}

// TestNoRoom: a request that finds no room is carried out when there is some.
func TestNoRoom(t *testing.T) {
	r := newRig(t)
	r.serve(false)
	c, _ := r.dial()
	r.do(func() { r.port.fail = port.ErrBusy })
	if err := c.Break(t.Context(), true); err != nil {
		t.Error(err)
	}
	if got, want := r.log(), []string{"break true", "room", "break true"}; !slices.Equal(got, want) {
		t.Errorf("the port was asked %q, want %q", got, want)
	}
}
