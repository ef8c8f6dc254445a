package rfc2217client_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/vcomd/vcomd/internal/evloop/looptest"
	rc "github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// port is the Handler of a Client under test. Everything in it belongs to the
// loop.
type port struct {
	log      []string
	received []byte
	retries  []time.Duration
	// What it does in its callbacks, if set.
	onConnected    func(rc.Mode)
	onReceived     func([]byte) int
	onSendable     func()
	onEvent        func(rc.Event)
	onDisconnected func(error)
}

func (p *port) Connected(m rc.Mode) {
	p.log = append(p.log, "connected "+m.String())
	if p.onConnected != nil {
		p.onConnected(m)
	}
}

func (p *port) Received(b []byte) int {
	n := len(b)
	if p.onReceived != nil {
		n = p.onReceived(b)
	}
	p.received = append(p.received, b[:n]...)
	return n
}

func (p *port) Sendable() {
	if p.onSendable != nil {
		p.onSendable()
	}
}

func (p *port) Event(ev rc.Event) {
	if ev.Kind != rc.EventMode {
		p.log = append(p.log, eventText(ev))
	}
	if p.onEvent != nil {
		p.onEvent(ev)
	}
}

func (p *port) Disconnected(err error, retry time.Duration) {
	p.log = append(p.log, "disconnected: "+err.Error())
	p.retries = append(p.retries, retry)
	if p.onDisconnected != nil {
		p.onDisconnected(err)
	}
}

// clientRig is a Client on a loop inside a synctest bubble.
type clientRig struct {
	*rc.Client
	port
	t     *testing.T
	loop  *looptest.Loop
	ctx   context.Context
	begin time.Time
	wg    sync.WaitGroup

	mu    sync.Mutex
	dials []time.Duration // when, since begin
}

// dialer makes the far end of the n-th connection, counted from 1.
type dialer func(ctx context.Context, n int) (net.Conn, error)

// inBubble runs f with a Client whose connections come from dial, and sees to it
// that nothing is left when f returns.
func inBubble(t *testing.T, cfg rc.Config, dial func(*clientRig) dialer, f func(*clientRig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		r := &clientRig{t: t, loop: looptest.New(), ctx: ctx, begin: time.Now()}
		if cfg.RetryMin == 0 {
			cfg.RetryMin, cfg.RetryMax = time.Second, 30*time.Second
		}
		connect := dial(r)
		cfg.Dial = func(ctx context.Context, _ rc.Remote) (net.Conn, error) {
			r.mu.Lock()
			r.dials = append(r.dials, time.Since(r.begin))
			n := len(r.dials)
			r.mu.Unlock()
			return connect(ctx, n)
		}
		r.Client = rc.New(cfg, r.loop, &r.port)
		r.wg.Go(func() { _ = r.loop.Run(ctx) })
		defer func() {
			r.do(r.Stop) // and an abandoned dial closes what it has brought
			cancel()
			r.wg.Wait()
		}()
		f(r)
	})
}

// do runs f on the loop when everything has come to rest, and waits until it has
// again.
func (r *clientRig) do(f func()) {
	synctest.Wait()
	r.loop.Do(f)
	synctest.Wait()
}

// at gives a value of the loop's.
func at[T any](r *clientRig, f func() T) (v T) {
	r.do(func() { v = f() })
	return v
}

func (r *clientRig) sleep(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func (r *clientRig) wantLog(want ...string) {
	r.t.Helper()
	if got := at(r, func() []string { return slices.Clone(r.log) }); !slices.Equal(got, want) {
		r.t.Errorf("at +%v log %q, want %q", time.Since(r.begin), got, want)
	}
	r.do(func() { r.log = nil })
}

func (r *clientRig) dialTimes() []time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.dials)
}

// serve connects to a simulated access server.
func serve(s *rfc2217test.Server) func(*clientRig) dialer {
	return func(r *clientRig) dialer {
		return func(context.Context, int) (net.Conn, error) {
			near, far := net.Pipe()
			r.wg.Go(func() { _ = s.ServeConn(r.ctx, far) })
			return near, nil
		}
	}
}

// script connects to far ends that do as told, byte by byte.
type script struct {
	mu    sync.Mutex
	conns []*farEnd
}

// farEnd records what comes and sends what it is told to.
type farEnd struct {
	net.Conn
	mu  sync.Mutex
	got []byte
}

func (s *script) dial(r *clientRig) dialer {
	return func(context.Context, int) (net.Conn, error) {
		near, far := net.Pipe()
		e := &farEnd{Conn: far}
		s.mu.Lock()
		s.conns = append(s.conns, e)
		s.mu.Unlock()
		r.wg.Go(e.read)
		return near, nil
	}
}

// last is the newest connection.
func (s *script) last() *farEnd {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns[len(s.conns)-1]
}

func (e *farEnd) read() {
	buf := make([]byte, 4096)
	for {
		n, err := e.Read(buf)
		e.mu.Lock()
		e.got = append(e.got, buf[:n]...)
		e.mu.Unlock()
		if err != nil {
			_ = e.Close()
			return
		}
	}
}

// take gives what came since the last call.
func (e *farEnd) take(t *testing.T) []string {
	t.Helper()
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	all := describe(t, e.got)
	e.got = nil
	return all
}

func (e *farEnd) say(t *testing.T, pieces ...[]byte) {
	t.Helper()
	for _, p := range pieces {
		if _, err := e.Write(p); err != nil {
			t.Errorf("the server cannot send: %v", err)
		}
	}
	synctest.Wait()
}

var errNoRoute = errors.New("no route")

func refuse(*clientRig) dialer {
	return func(_ context.Context, n int) (net.Conn, error) { return nil, fmt.Errorf("try %d: %w", n, errNoRoute) }
}
