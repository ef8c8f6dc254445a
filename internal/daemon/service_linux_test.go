package daemon

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/config"
	"github.com/vcomd/vcomd/internal/handover"
	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/internal/socket"
	"github.com/vcomd/vcomd/internal/usbtty/vhci"
	"github.com/vcomd/vcomd/internal/usbtty/vhci/vhcitest"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// patience is how long anything may take before a test fails.
const patience = 20 * time.Second

// lockedBuffer is a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// count returns how many lines have all of the parts.
func (l *lockedBuffer) count(parts ...string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for line := range strings.Lines(l.b.String()) {
		if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(line, p) }) {
			n++
		}
	}
	return n
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// service is a running daemon of many ports, each with an echo at its server.
type service struct {
	t       *testing.T
	dir     string
	log     lockedBuffer
	address string // of the servers' one socket

	mu       sync.Mutex
	ports    []port.Config // what Load gives
	reloads  chan struct{}
	restarts chan struct{}
	left     []handover.Port
	asked    atomic.Int32 // how often it was asked whether the ports are kept
	ended    chan error
	stop     context.CancelFunc
}

// echoes listens for clients, each with a UART and an echo of its own.
func echoes(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			uart := &rfc2217test.UART{Unpaced: true, Device: rfc2217test.NewEcho(), JournalOff: true}
			server := &rfc2217test.Server{UART: uart}
			sctx, end := context.WithCancel(ctx)
			wg.Go(func() { _ = uart.Run(sctx) })
			wg.Go(func() { defer end(); _ = server.ServeConn(sctx, conn) })
		}
	})
	t.Cleanup(func() { _ = ln.Close(); cancel(); wg.Wait() })
	return ln.Addr().String()
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{t: t, dir: t.TempDir(), address: echoes(t)}
	t.Cleanup(s.end)
	return s
}

func (s *service) config(n int, change func(*config.Port)) port.Config {
	written := config.Port{
		Remote: s.address, Name: fmt.Sprintf("port%d", n), Links: []string{s.link(n)}, RunDir: filepath.Join(s.dir, "run"),
	}
	if change != nil {
		change(&written)
	}
	pc := validate(s.t, written)
	pc.Fingerprint = fmt.Sprintf("%+v", written)
	return pc
}

func (s *service) link(n int) string { return filepath.Join(s.dir, fmt.Sprintf("tty%d", n)) }

func (s *service) start(left []handover.Port, ports ...port.Config) {
	s.t.Helper()
	s.ports, s.reloads, s.restarts, s.ended = ports, make(chan struct{}), make(chan struct{}), make(chan error, 1)
	ctx, stop := context.WithCancel(context.Background())
	s.stop = stop
	ready := make(chan struct{})
	go func() {
		s.ended <- Run(ctx, Config{
			Ports: ports, Log: zerolog.New(&s.log).Level(zerolog.DebugLevel), Ready: func() { close(ready) },
			Service: Service{
				Socket: socket.Socket{RunDir: filepath.Join(s.dir, "run"), Name: "vcomd", UID: -1, GID: -1, Mode: 0o600},
				Load: func() ([]port.Config, error) {
					s.mu.Lock()
					defer s.mu.Unlock()
					return s.ports, nil
				},
				Reloads: s.reloads, Restarts: s.restarts, Resume: left, Patience: 50 * time.Millisecond,
				Kept: func() bool {
					s.asked.Add(1)
					return false
				},
				HandOver: func(left []handover.Port) error {
					s.left = left
					return nil
				},
			},
		})
	}()
	select {
	case <-ready:
	case err := <-s.ended:
		s.ended = nil
		s.t.Fatalf("it has ended: %v\n%s", err, s.log.String())
	case <-time.After(patience):
		s.t.Fatal("it does not become ready")
	}
}

func (s *service) end() {
	if s.ended == nil {
		return
	}
	s.stop()
	if err := <-s.ended; err != nil {
		s.t.Error(err)
	}
	s.ended = nil
}

// restart has the daemon hand over, and another take over what went through a file.
func (s *service) restart() {
	s.t.Helper()
	s.restarts <- struct{}{}
	if err := <-s.ended; err != nil {
		s.t.Fatal(err)
	}
	text, err := json.Marshal(s.left)
	if err != nil {
		s.t.Fatal(err)
	}
	var left []handover.Port
	if err := json.Unmarshal(text, &left); err != nil {
		s.t.Fatal(err)
	}
	s.start(left, s.ports...)
}

func (s *service) reload(ports ...port.Config) {
	s.t.Helper()
	before := s.log.count(`"event":"reloaded"`)
	s.mu.Lock()
	s.ports = ports
	s.mu.Unlock()
	s.reloads <- struct{}{}
	s.await("it is reloaded", func() bool { return s.log.count(`"event":"reloaded"`) > before })
}

func (s *service) await(what string, holds func() bool) {
	s.t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(end) {
			s.t.Fatalf("it did not come true: %s\n%s", what, s.log.String())
		}
	}
}

// program is one with a port open.
type program struct {
	t *testing.T
	f *os.File
}

func (s *service) open(n int) program {
	s.t.Helper()
	fd, err := unix.Open(s.link(n), unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		s.t.Fatal(err)
	}
	f := os.NewFile(uintptr(fd), s.link(n))
	s.t.Cleanup(func() { _ = f.Close() })
	return program{s.t, f}
}

// echoed reports whether what is written comes back.
func (p program) echoed(text string) {
	p.t.Helper()
	if _, err := p.f.WriteString(text); err != nil {
		p.t.Fatal(err)
	}
	_ = p.f.SetReadDeadline(time.Now().Add(patience))
	for got := ""; len(got) < len(text); {
		buf := make([]byte, 256)
		n, err := p.f.Read(buf)
		if got += string(buf[:n]); err != nil || !strings.HasPrefix(text, got) {
			p.t.Fatalf("%q came back of %q, %v", got, text, err)
		}
	}
}

// A hundred ports, one of which changes, one goes, one comes: the others notice
// nothing, and the one that changes keeps its program.
func TestReload(t *testing.T) {
	const ports = 100
	s := newService(t)
	all := make([]port.Config, 0, ports)
	for n := range ports {
		all = append(all, s.config(n, nil))
	}
	s.start(nil, all...)
	programs := make([]program, 0, ports)
	for n := range ports {
		programs = append(programs, s.open(n))
	}
	for _, p := range programs {
		p.echoed("before")
	}
	next := slices.Clone(all)
	next[7] = s.config(7, func(p *config.Port) { p.CloseDelay = "1h" })
	next[8] = s.config(8, func(p *config.Port) { p.Remote = "telnet://" + s.address })
	next = slices.Delete(next, 50, 51)
	next = append(next, s.config(ports, nil))
	s.reload(next...)
	for n, p := range programs {
		if n != 50 {
			p.echoed("after")
		}
	}
	if _, err := programs[50].f.WriteString("x"); !errors.Is(err, unix.EIO) {
		t.Errorf("write to the port that has gone: %v, want EIO", err)
	}
	if _, err := os.Lstat(s.link(50)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("its link: %v", err)
	}
	s.open(ports).echoed("new")
	for n := range ports {
		want := 1
		if n == 8 {
			want = 2 // it has another server now
		}
		if got := s.log.count(`"event":"connected"`, fmt.Sprintf(`"port":"port%d"`, n)); got != want {
			t.Errorf("port %d has connected %d times, want %d", n, got, want)
		}
	}
	if got := s.log.count(`"event":"reloaded"`, `"kept":97`, `"changed":2`, `"removed":1`, `"added":1`); got != 1 {
		t.Errorf("what was done is not told:\n%s", s.log.String())
	}
}

// A port that cannot be made costs the others nothing, and comes when it can be.
func TestOnePortFails(t *testing.T) {
	s := newService(t)
	if err := os.WriteFile(s.link(1), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.start(nil, s.config(0, nil), s.config(1, nil), s.config(2, nil))
	s.open(0).echoed("0")
	s.open(2).echoed("2")
	if s.log.count(`"event":"not-served"`, `"port":"port1"`) != 1 {
		t.Errorf("nobody was told:\n%s", s.log.String())
	}
	s.reload(s.ports...)
	if s.log.count(`"event":"reloaded"`, `"kept":2`, `"added":0`, `"failed":1`) != 1 {
		t.Errorf("what was done is not told:\n%s", s.log.String())
	}
	if err := os.Remove(s.link(1)); err != nil {
		t.Fatal(err)
	}
	s.reload(s.ports...)
	s.open(1).echoed("1")
	if s.log.count(`"event":"reloaded"`, `"kept":2`, `"added":1`, `"failed":0`) != 1 {
		t.Errorf("what was done is not told:\n%s", s.log.String())
	}
}

// A kernel that makes no tty, and one that takes its time to load its modules, cost the
// other ports nothing: the service is ready without it, and the loop runs meanwhile.
func TestKernelTakesItsTime(t *testing.T) {
	mute, slow := vhcitest.New(t).Host(), vhcitest.New(t).Host()
	loading, loaded, modprobe := make(chan struct{}), make(chan struct{}), slow.Modprobe
	slow.Modprobe = func(ctx context.Context, modules ...string) error {
		close(loading)
		<-loaded
		return modprobe(ctx, modules...)
	}
	s := newService(t)
	kernels := func(n int, host *vhci.Host) port.Config {
		pc := s.config(n, func(p *config.Port) { p.TTY = "usb" })
		pc.USB = host
		return pc
	}
	s.start(nil, s.config(0, nil), kernels(1, mute))
	if s.log.count(`"event":"not-ready"`, `"port":"port1"`) != 1 {
		t.Errorf("nobody was told:\n%s", s.log.String())
	}
	s.open(0).echoed("ready")
	s.mu.Lock()
	s.ports = append(slices.Clone(s.ports), kernels(2, slow))
	s.mu.Unlock()
	s.reloads <- struct{}{}
	<-loading
	s.open(0).echoed("the modules are being loaded")
	close(loaded)
	s.await("it is reloaded", func() bool { return s.log.count(`"event":"reloaded"`, `"kept":2`, `"added":1`) == 1 })
}

// The embedded access server of a port ends with it, also where the port could not be
// made: a port that is tried again and again leaves none behind.
func TestSimulatorsEnd(t *testing.T) {
	s := newService(t)
	sim := func(n int) port.Config {
		return s.config(n, func(p *config.Port) { p.Remote = "sim:echo" })
	}
	if err := os.WriteFile(s.link(1), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s.start(nil, sim(0), sim(1))
	s.open(0).echoed("0")
	simulated := func() int {
		all := make([]byte, 1<<20)
		return strings.Count(string(all[:runtime.Stack(all, true)]), "(*simulators).dialer.func1")
	}
	s.await("that of the missing port ends", func() bool { return simulated() == 1 })
	s.reload(s.ports...)
	s.reload(sim(0), sim(2))
	s.await("one of each port", func() bool { return simulated() == 2 })
	s.reload(sim(0))
	s.await("that of the removed port ends", func() bool { return simulated() == 1 })
	s.open(0).echoed("and the other goes on")
}

// Twenty times the daemon is replaced by another, under programs that write and read.
func TestRestartUnderTraffic(t *testing.T) {
	const ports, times = 5, 20
	s := newService(t)
	all := make([]port.Config, 0, ports)
	for n := range ports {
		all = append(all, s.config(n, nil))
	}
	s.start(nil, all...)
	programs := make([]program, 0, ports)
	for n := range ports - 1 {
		programs = append(programs, s.open(n))
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for n, p := range programs {
		wg.Go(func() {
			for round := 0; ; round++ {
				select {
				case <-stop:
					return
				default:
					p.echoed(fmt.Sprintf("%d: round %d, and a text that is long enough to be cut in two. ", n, round))
				}
			}
		})
	}
	for range times {
		s.restart()
	}
	close(stop)
	wg.Wait()
	s.open(ports - 1).echoed("the one that was closed all the time")
	if n := s.asked.Load(); n != 0 {
		t.Errorf("the service manager was asked %d times whether a restart is its own", n)
	}
	for n := range ports - 1 {
		if got := s.log.count(`"event":"connected"`, fmt.Sprintf(`"port":"port%d"`, n)); got != 1 {
			t.Errorf("port %d has connected %d times", n, got)
		}
	}
	if got := s.log.count(`"event":"not-resumed"`); got != 0 {
		t.Errorf("%d times a port began afresh:\n%s", got, s.log.String())
	}
}

// What is not configured any more ends with the restart.
func TestRestartWithoutAPort(t *testing.T) {
	s := newService(t)
	s.start(nil, s.config(0, nil), s.config(1, nil))
	p, gone := s.open(0), s.open(1)
	p.echoed("a")
	gone.echoed("b")
	s.ports = s.ports[:1]
	s.restart()
	p.echoed("c")
	if _, err := gone.f.WriteString("x"); !errors.Is(err, unix.EIO) {
		t.Errorf("write to the port that has gone: %v, want EIO", err)
	}
}
