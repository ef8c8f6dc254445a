package port

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/evloop"
	"github.com/vcomd/vcomd/pty"
	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long anything may take before a test fails.
const patience = 20 * time.Second

// rig is a Port on a real loop and a real pseudo-terminal, whose access server is
// simulated.
type rig struct {
	t      *testing.T
	port   *Port
	loop   *evloop.Loop
	server *rfc2217test.Server
	uart   *rfc2217test.UART

	mu     sync.Mutex
	events []Event
}

func newRig(t *testing.T, faults rfc2217test.Faults, change func(*Config)) *rig {
	t.Helper()
	r := &rig{t: t, uart: &rfc2217test.UART{Unpaced: true}}
	r.server = &rfc2217test.Server{UART: r.uart, Faults: faults}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	cfg := Config{
		Name: "test", UID: -1, GID: -1, Mode: 0o600,
		RetryMin: 10 * time.Millisecond, RetryMax: 10 * time.Millisecond, Policy: Policy{Drain: 5 * time.Second},
		Remote: rfc2217client.Remote{Host: "simulated", Port: "2217"},
		Dial: func(context.Context, rfc2217client.Remote) (net.Conn, error) {
			near, far := net.Pipe()
			wg.Go(func() { _ = r.server.ServeConn(ctx, far) })
			return near, nil
		},
		Events: func(ev Event) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.events = append(r.events, ev)
		},
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if r.loop, err = evloop.New(); err != nil {
		t.Fatal(err)
	}
	watcher, err := pty.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	source, err := r.loop.Watch(watcher.Fd(), evloop.Readable, func(evloop.Events) { _ = watcher.Dispatch() })
	if err != nil {
		t.Fatal(err)
	}
	if r.port, err = Open(cfg, r.loop, watcher); err != nil {
		t.Fatal(err)
	}
	r.port.Start()
	loopCtx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.loop.Run(loopCtx) }()
	t.Cleanup(func() {
		stop()
		err := errors.Join(<-done, r.port.Close(), source.Close(), watcher.Close(), r.loop.Close())
		cancel()
		wg.Wait()
		if err != nil {
			t.Error(err)
		}
	})
	return r
}

// do runs f on the loop.
func (r *rig) do(f func()) {
	done := make(chan struct{})
	r.loop.Post(func() { f(); close(done) })
	<-done
}

func (r *rig) status() (s Status) {
	r.do(func() { s = r.port.Status() })
	return s
}

func (r *rig) all() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// of returns the events of one kind.
func (r *rig) of(kind Kind) []Event {
	var all []Event
	for _, ev := range r.all() {
		if ev.Kind == kind {
			all = append(all, ev)
		}
	}
	return all
}

func (r *rig) eventually(what string, holds func() bool) {
	r.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(end) {
			r.t.Fatalf("it did not come true: %s; events %v", what, r.all())
		}
	}
}

func (r *rig) await(kind Kind) {
	r.t.Helper()
	r.eventually(string(kind), func() bool { return len(r.of(kind)) > 0 })
}

// program opens the port.
func (r *rig) program() *os.File {
	r.t.Helper()
	path := r.status().TTY
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		r.t.Fatalf("open %s: %v", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	r.t.Cleanup(func() { _ = f.Close() })
	return f
}

// control runs f with the descriptor.
func (r *rig) control(f *os.File, do func(fd int) error) {
	r.t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		r.t.Fatal(err)
	}
	var failed error
	if err := errors.Join(raw.Control(func(fd uintptr) { failed = do(int(fd)) }), failed); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) speed(f *os.File) (rate uint32) {
	r.t.Helper()
	r.control(f, func(fd int) error {
		tio, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
		if err == nil {
			rate = tio.Ospeed
		}
		return err
	})
	return rate
}

func (r *rig) setSpeed(f *os.File, rate uint32) {
	r.t.Helper()
	r.control(f, func(fd int) error {
		tio, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
		if err != nil {
			return err
		}
		tio.Cflag = tio.Cflag&^(unix.CBAUD|unix.CBAUDEX) | unix.BOTHER
		tio.Ispeed, tio.Ospeed = rate, rate
		return unix.IoctlSetTermios(fd, unix.TCSETS2, tio)
	})
}

// purges returns what the server was told to purge.
func (r *rig) purges() []comport.Purge {
	var all []comport.Purge
	for _, m := range r.server.Messages() {
		if p, ok := m.(comport.PurgeData); ok {
			all = append(all, p.What)
		}
	}
	return all
}

// TCIFLUSH is PURGE 1, TCOFLUSH 2, TCIOFLUSH one PURGE 3, as far as the policy
// lets them (RFC 2217 section 3, PURGE-DATA).
func TestPurge(t *testing.T) {
	for _, c := range []struct {
		policy Purge
		queue  int // tcflush(3)
		want   []comport.Purge
	}{
		{PurgeReceive, unix.TCIFLUSH, []comport.Purge{1}},
		{PurgeReceive, unix.TCOFLUSH, nil},
		{PurgeReceive, unix.TCIOFLUSH, []comport.Purge{1}},
		{PurgeBoth, unix.TCIFLUSH, []comport.Purge{1}},
		{PurgeBoth, unix.TCOFLUSH, []comport.Purge{2}},
		{PurgeBoth, unix.TCIOFLUSH, []comport.Purge{3}},
		{PurgeNone, unix.TCIFLUSH, nil},
		{PurgeNone, unix.TCOFLUSH, nil},
		{PurgeNone, unix.TCIOFLUSH, nil},
	} {
		r := newRig(t, rfc2217test.Faults{}, func(cfg *Config) { cfg.Purge = c.policy })
		f := r.program()
		r.await(KindConnected)
		r.control(f, func(fd int) error { return unix.IoctlSetInt(fd, unix.TCFLSH, c.queue) })
		r.setSpeed(f, 300) // a sign that what came before it has been dealt with
		r.eventually("the speed", func() bool { return r.uart.State().BaudRate == 300 })
		if got := r.purges(); !slices.Equal(got, c.want) {
			t.Errorf("--purge %v, tcflush %d: purged %v, want %v", c.policy, c.queue, got, c.want)
		}
		if got := len(r.of(KindPurged)); got != len(c.want) {
			t.Errorf("--purge %v, tcflush %d: %d events, want %d", c.policy, c.queue, got, len(c.want))
		}
	}
}

// clumsy is a server that cannot do 250,000 bit/s.
var clumsy = rfc2217test.Faults{AckOther: func(m comport.Message) comport.Message {
	if b, ok := m.(comport.SetBaudRate); ok && b.Rate == 250_000 {
		return comport.SetBaudRate{Rate: 230_400}
	}
	return m
}}

// The tty is told what the server has set, and that is not taken for a wish.
func TestWriteBack(t *testing.T) {
	r := newRig(t, clumsy, nil)
	f := r.program()
	r.await(KindConnected)
	begin := time.Now()
	r.setSpeed(f, 250_000)
	r.await(KindShown)
	if took := time.Since(begin); took < showDelay {
		t.Errorf("the tty was told after %v, want %v without a change", took, showDelay)
	}
	if got := r.speed(f); got != 230_400 {
		t.Errorf("the tty shows %d bit/s, want 230400", got)
	}
	if got := r.status().Wanted.BaudRate; got != 250_000 {
		t.Errorf("wanted is %d bit/s, want what the program has asked for", got)
	}
}

// A program that has asked for something else meanwhile finds its own wish.
func TestWriteBackGivesWayToTheProgram(t *testing.T) {
	r := newRig(t, clumsy, nil)
	f := r.program()
	r.await(KindConnected)
	r.setSpeed(f, 250_000)
	r.await(KindDiffers)
	r.setSpeed(f, 9600)
	r.eventually("the second speed", func() bool { return r.uart.State().BaudRate == 9600 })
	// Past the moment at which the first answer would have been shown.
	passed := make(chan struct{})
	r.do(func() { r.loop.AfterFunc(2*showDelay, func() { close(passed) }) })
	<-passed
	if got := r.speed(f); got != 9600 {
		t.Errorf("the tty shows %d bit/s, want 9600", got)
	}
	if got := r.of(KindShown); len(got) > 0 {
		t.Errorf("shown: %v", got)
	}
}

// While nobody has asked for anything the tty looks like the server.
func TestTTYShowsTheServersSettings(t *testing.T) {
	r := newRig(t, rfc2217test.Faults{}, nil)
	r.uart.Set(comport.SetBaudRate{Rate: 57_600})
	f := r.program()
	r.await(KindConnected)
	r.eventually("the tty shows the server's speed", func() bool { return r.speed(f) == 57_600 })
	if got := r.of(KindWanted); len(got) > 0 {
		t.Errorf("that was taken for a wish: %v", got)
	}
}

// What a program wrote just before it closed the port still goes out.
func TestDrainAtClose(t *testing.T) {
	r := newRig(t, rfc2217test.Faults{}, nil) // CloseDelay is 0
	text := strings.Repeat("last words ", 300)
	f := r.program()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	r.await(KindStopped)
	r.eventually("all of it has left the UART", func() bool { return string(r.uart.Sent()) == text })
	if got := r.of(KindDropped); len(got) > 0 {
		t.Errorf("dropped: %v", got)
	}
}

func TestStatus(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "tty")
	r := newRig(t, rfc2217test.Faults{}, func(cfg *Config) {
		cfg.Links, cfg.RunDir, cfg.Connect = []string{link}, filepath.Join(dir, "run"), ConnectAlways
		cfg.Line = comport.State{DataSize: 7, Parity: comport.ParityEven}
	})
	r.await(KindConnected)
	r.eventually("the settings are acknowledged", func() bool { return r.status().Reported.DataSize == 7 })
	s := r.status()
	if s.Name != "test" || len(s.Links) != 1 || s.Links[0] != link || s.Remote != "rfc2217://simulated:2217" || s.Open || !s.Up || s.Mode != rfc2217client.ModeComPort {
		t.Errorf("closed: %+v", s)
	}
	if target, err := os.Readlink(link); err != nil || target != s.TTY {
		t.Errorf("the link leads to %q, %v; the tty is %s", target, err, s.TTY)
	}
	f := r.program()
	r.await(KindOpened)
	if _, err := f.WriteString("abc"); err != nil {
		t.Fatal(err)
	}
	r.eventually("the bytes are counted", func() bool { return r.status().Bytes.FromProgram == 3 })
	if s := r.status(); !s.Open || s.Wanted.Parity != comport.ParityEven {
		t.Errorf("open: %+v", s)
	}
	r.uart.SetModem(comport.ModemState(0x20)) // DSR
	r.eventually("the modem lines are followed", func() bool { return r.status().ModemState == 0x20 })
	r.server.Disconnect()
	r.eventually("the connection is back", func() bool { return len(r.of(KindConnected)) == 2 })
}

// A port that cannot be set up leaves nothing open and nothing behind.
func TestOpenFails(t *testing.T) {
	loop, err := evloop.New()
	if err != nil {
		t.Fatal(err)
	}
	watcher, err := pty.NewWatcher()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := errors.Join(watcher.Close(), loop.Close()); err != nil {
			t.Error(err)
		}
	}()
	dir := t.TempDir()
	run := filepath.Join(dir, "run")
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	before := descriptors(t)
	cfg := Config{Name: "test", UID: -1, GID: -1, RunDir: run, Links: []string{file}}
	if _, err := Open(cfg, loop, watcher); !errors.Is(err, pty.ErrLinkTaken) {
		t.Errorf("error %v, want ErrLinkTaken", err)
	}
	if b, err := os.ReadFile(file); string(b) != "precious" {
		t.Errorf("the file holds %q, %v", b, err)
	}
	cfg.Links, cfg.RunDir = []string{filepath.Join(dir, "tty")}, file
	if _, err := Open(cfg, loop, watcher); !errors.Is(err, pty.ErrLinkUnusable) {
		t.Errorf("error %v, want ErrLinkUnusable", err)
	}
	if _, err := os.Lstat(cfg.Links[0]); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a link is left: %v", err)
	}
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
