package runlink

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vcomd/vcomd/internal/ioctl"
	"github.com/vcomd/vcomd/internal/socket"
)

// Errors of Dial.
var (
	// ErrVersion: the vcomd that serves the port is of another version.
	ErrVersion = errors.New("the vcomd that serves the port is of a version that this one cannot work with; restart it")
	// ErrNotServed: the vcomd behind the socket serves no port of that name.
	ErrNotServed = errors.New("it serves no such port")
	// ErrSilent: it takes connections, and then says nothing.
	ErrSilent = errors.New("it does not answer")
)

// DialError says that a socket did not lead to the port: nothing was begun.
type DialError struct {
	Socket string
	Err    error // ErrVersion, ErrNotServed, ErrSilent, the context's or the system's
}

// Error implements error.
func (e *DialError) Error() string { return "the vcomd at " + e.Socket + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *DialError) Unwrap() error { return e.Err }

// How long a Client waits before it tries to reach a server that is gone.
const (
	redialMin = 10 * time.Millisecond
	redialMax = 500 * time.Millisecond
)

// Client is a supervisor's end: the port as a UART. Use Dial, and then Run.
type Client struct {
	socket, name string
	path         atomic.Pointer[string]
	onPath       func(path string)

	mu      sync.Mutex
	conn    net.Conn // nil: there is no server now
	hangup  bool
	paths   []string // that lead to the port's tty; none: it is not known
	nextID  uint32
	calls   []*call // not answered, oldest first
	changed chan struct{}
	back    chan struct{} // closed when there is a server again; nil: there is one
	last    state
	hangups uint32 // of all servers
	dead    bool   // so is the tty of a port that hangs up
	current atomic.Pointer[ioctl.State]
	open    atomic.Bool
	ended   bool
}

// call is a request that waits for its answer.
type call struct {
	request
	done  chan struct{}
	errno ioctl.Errno // set before done is closed
}

var _ ioctl.UART = (*Client)(nil)

// Dial connects to a port by the name that it goes by. onPath is told of its tty,
// now and whenever another takes its place; it must not block. The error is a
// *DialError. ctx is for the connecting alone.
func Dial(ctx context.Context, socket, name string, onPath func(path string)) (*Client, error) {
	c := &Client{socket: socket, name: name, onPath: onPath, changed: make(chan struct{})}
	conn, st, err := c.connect(ctx)
	if err != nil {
		return nil, &DialError{socket, err}
	}
	c.conn = conn
	c.take(st)
	return c, nil
}

// connect makes a connection, says which port is wanted, and reads its state: with
// that the Client is ready.
func (c *Client) connect(ctx context.Context) (net.Conn, state, error) {
	conn, err := socket.Dial(ctx, c.socket, true)
	if err != nil {
		return nil, state{}, err
	}
	// A server that has stopped must not keep its programs' supervisors from ending.
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	st, err := c.greet(conn)
	switch {
	case !stop():
		err = context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		err = ErrSilent
	}
	if err != nil {
		return nil, state{}, errors.Join(err, closed(conn.Close()))
	}
	return conn, st, nil
}

// closed is the error of a Close that somebody else may have done.
func closed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

func (c *Client) greet(conn net.Conn) (first state, err error) {
	if err := conn.SetDeadline(time.Now().Add(helloTimeout)); err != nil {
		return first, err
	}
	h := hello{Magic: magic, Version: version, PID: uint32(os.Getpid())}
	if len(c.name) >= len(h.Name) {
		return first, ErrNotServed
	}
	copy(h.Name[:], c.name)
	if _, err := conn.Write(encode(h)); err != nil {
		return first, err
	}
	buf := make([]byte, maxMessage)
	n, err := conn.Read(buf)
	if err != nil {
		return first, err
	}
	var w welcome
	switch {
	case decode(buf[:n], &w) != nil || w.Magic != magic || w.Version != version || w.Refused == refusedVersion:
		return first, ErrVersion
	case w.Refused != 0:
		return first, ErrNotServed
	}
	c.mu.Lock()
	c.hangup, c.paths = w.Hangup != 0, texts(w.Paths[:])
	c.mu.Unlock()
	if n, err = conn.Read(buf); err != nil {
		return first, fmt.Errorf("read the port's state: %w", err)
	}
	var a answer
	if err := decode(buf[:n], &a); err != nil || a.Kind != kindState {
		return first, ErrVersion
	}
	return a.State, conn.SetDeadline(time.Time{})
}

// Run reads what the server sends, and connects again when it is gone, until ctx
// ends. Calls then fail, those that wait and those to come.
func (c *Client) Run(ctx context.Context) error {
	defer c.end()
	for {
		c.mu.Lock()
		conn := c.conn
		c.mu.Unlock()
		if conn != nil {
			stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
			c.read(conn)
			stop()
			_ = conn.Close()
			c.lost()
		}
		if !c.redial(ctx) {
			return nil
		}
	}
}

func (c *Client) read(conn net.Conn) {
	buf := make([]byte, maxMessage)
	for {
		n, err := conn.Read(buf)
		var a answer
		if err != nil || decode(buf[:n], &a) != nil {
			return
		}
		switch a.Kind {
		case kindState:
			c.take(a.State)
		case kindReply:
			c.answered(a.ID, ioctl.Errno(a.Errno))
		}
	}
}

// redial connects again; false when ctx has ended.
func (c *Client) redial(ctx context.Context) bool {
	for wait := redialMin; ; wait = min(2*wait, redialMax) {
		conn, st, err := c.connect(ctx)
		if err == nil {
			c.mu.Lock()
			c.conn, c.dead = conn, false
			if text(st.Path[:]) != c.Path() {
				// It was asked on a tty that is gone, and which the kernel has hung up.
				c.failLocked(ioctl.EIO)
			}
			if st.Serial == fromSerial(pristine) && c.last.Serial != st.Serial {
				c.nextID++ // nobody waits for the answer
				_, _ = conn.Write(encode(request{ID: c.nextID, Op: opSerial, Serial: c.last.Serial}))
				st.Serial = c.last.Serial
			}
			// What was not answered may or may not have been done: all of it
			// leads to the same state when it is done again.
			for _, k := range c.calls {
				_, _ = conn.Write(encode(k.request)) // an error is met by read
			}
			c.mu.Unlock()
			c.take(st)
			return true
		}
		c.bury()
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return false
		case <-t.C:
		}
	}
}

// lost notes that the server is gone.
func (c *Client) lost() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conn = nil
	if c.back == nil {
		c.back = make(chan struct{})
	}
}

// bury fails what waits for a server that has gone with its tty, if the port hangs up.
// One that is about to hand the tty on, or has only cut this Client off, has not.
func (c *Client) bury() {
	if _, err := os.Stat(c.Path()); err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.hangup || c.dead {
		return
	}
	c.dead = true
	c.failLocked(ioctl.EIO)
	c.hangups++
	c.publishLocked()
}

func (c *Client) failLocked(errno ioctl.Errno) {
	for _, k := range c.calls {
		k.errno = errno
		close(k.done)
	}
	c.calls = nil
}

func (c *Client) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.failLocked(ioctl.EIO)
	c.certainLocked()
}

func (c *Client) answered(id uint32, errno ioctl.Errno) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.calls, func(k *call) bool { return k.ID == id })
	if i < 0 {
		return // given up
	}
	k := c.calls[i]
	c.calls = slices.Delete(c.calls, i, i+1)
	k.errno = errno
	close(k.done)
}

// take makes a state the current one.
func (c *Client) take(st state) {
	path := text(st.Path[:])
	old := c.path.Load()
	moved := old == nil || *old != path
	if moved {
		c.path.Store(&path)
		c.onPath(path)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	// A server that was started anew counts anew.
	if moved || st.Hangups != c.last.Hangups {
		c.hangups++
	}
	c.last = st
	c.publishLocked()
	c.certainLocked()
}

// certainLocked ends the waiting for another tty.
func (c *Client) certainLocked() {
	if c.back != nil {
		close(c.back)
		c.back = nil
	}
}

// Uncertain returns nil while it is known which tty is the port's, and otherwise
// what is closed when it is known again: a server that was started anew has given it
// another. When Run has ended there will be none.
func (c *Client) Uncertain() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.back
}

// Paths are those of the port's links and overlay, as the last server has told them. None
// means that they are not known.
func (c *Client) Paths() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.paths
}

func (c *Client) publishLocked() {
	c.open.Store(c.last.Open != 0)
	old := c.changed
	c.changed = make(chan struct{})
	n := c.last.Counts
	serial := c.last.Serial.ioctl()
	c.current.Store(&ioctl.State{
		Termios: shown(c.last.Settings.ioctl(), serial), Lines: ioctl.Lines(c.last.Lines),
		Counts: ioctl.Counts{
			CTS: n[0], DSR: n[1], RNG: n[2], CD: n[3], RX: n[4], TX: n[5], Frame: n[6], Overrun: n[7], Parity: n[8], Break: n[9], BufOverrun: n[10],
		},
		Hangups: c.hangups, Gone: c.dead,
		Serial: serial, OutQueue: int(c.last.OutQueue), LineEmpty: c.last.OutQueue == 0,
		Changed: c.changed,
	})
	close(old)
}

// alternate is the speed in bit/s that serial_struct can make another one of.
const alternate = 38400

// shown is what a program reads of the settings: the speed that it has asked for, as
// from a real driver, also where serial_struct makes the line run at another one.
func shown(t ioctl.Termios, s ioctl.Serial) ioctl.Termios {
	if runs := s.Speed(alternate); runs != alternate && t.Ospeed == runs {
		t.SetSpeed(alternate, alternate)
	}
	return t
}

// Path is the tty's.
func (c *Client) Path() string { return *c.path.Load() }

// State implements ioctl.UART.
func (c *Client) State() *ioctl.State { return c.current.Load() }

// do has a request carried out and waits for the answer.
func (c *Client) do(ctx context.Context, r request) error {
	k := &call{request: r, done: make(chan struct{})}
	c.mu.Lock()
	if c.ended || c.dead {
		c.mu.Unlock()
		return ioctl.ErrGone
	}
	c.nextID++
	k.ID = c.nextID
	c.calls = append(c.calls, k)
	if c.conn != nil {
		_, _ = c.conn.Write(encode(k.request)) // an error is met by read
	}
	c.mu.Unlock()
	select {
	case <-k.done:
	case <-ctx.Done():
		c.cancel(k)
		return ctx.Err()
	}
	if k.errno != 0 {
		return k.errno
	}
	return nil
}

func (c *Client) cancel(k *call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.calls, k)
	if i < 0 {
		return
	}
	c.calls = slices.Delete(c.calls, i, i+1)
	if c.conn != nil {
		_, _ = c.conn.Write(encode(request{Op: opCancel, A: k.ID}))
	}
}

// Set implements ioctl.UART.
func (c *Client) Set(ctx context.Context, t ioctl.Termios, w ioctl.When) error {
	if w != ioctl.Now {
		if err := c.Drain(ctx); err != nil {
			return err
		}
	}
	if w == ioctl.DrainFlush {
		if err := c.Flush(ctx, ioctl.QueueInput); err != nil {
			return err
		}
	}
	if s := c.State().Serial; s.Speed(t.Ospeed) != t.Ospeed {
		t.SetSpeed(s.Speed(t.Ospeed), s.Speed(t.Ospeed))
	}
	return c.do(ctx, request{Op: opSet, Settings: fromIoctl(t)})
}

// Lines implements ioctl.UART.
func (c *Client) Lines(ctx context.Context, raise, drop ioctl.Lines) error {
	return c.do(ctx, request{Op: opLines, A: uint32(raise), B: uint32(drop)})
}

// Break implements ioctl.UART.
func (c *Client) Break(ctx context.Context, on bool) error {
	r := request{Op: opBreak}
	if on {
		r.A = 1
	}
	return c.do(ctx, r)
}

// SendBreak implements ioctl.UART.
func (c *Client) SendBreak(ctx context.Context, d time.Duration) error {
	return c.do(ctx, request{Op: opSendBreak, Time: int64(d)})
}

// Drain implements ioctl.UART.
func (c *Client) Drain(ctx context.Context) error {
	return c.do(ctx, request{Op: opDrain})
}

// Flush implements ioctl.UART.
func (c *Client) Flush(ctx context.Context, q ioctl.Queue) error {
	r := request{Op: opFlush}
	if q != ioctl.QueueOutput {
		r.A |= 1
	}
	if q != ioctl.QueueInput {
		r.A |= 2
	}
	return c.do(ctx, r)
}

// Open reports whether the port is known to be open. A program that makes a call on
// it has it open, whatever is known: then Refresh says what the open has changed.
func (c *Client) Open() bool { return c.open.Load() }

// Refresh asks for what changes without being told: how much output waits, and what
// an open that has not been noticed yet has done to the lines.
func (c *Client) Refresh(ctx context.Context) error { return c.do(ctx, request{Op: opLook}) }

// Flow implements ioctl.UART: the kernel's pseudo-terminal does it, and it is not
// to be asked here.
func (c *Client) Flow(context.Context, ioctl.FlowAction) error { return ioctl.ErrRefused }

// Exclusive implements ioctl.UART, as Flow does.
func (c *Client) Exclusive(context.Context, bool) error { return ioctl.ErrRefused }

// Serial implements ioctl.UART. A custom divisor changes the speed; the rest is
// kept to be read, by programs under other supervisors as well.
func (c *Client) Serial(ctx context.Context, s ioctl.Serial) error {
	now := c.State()
	if err := c.do(ctx, request{Op: opSerial, Serial: fromSerial(s)}); err != nil {
		return err
	}
	if t := now.Termios; s.Speed(t.Ospeed) != now.Serial.Speed(t.Ospeed) {
		return c.Set(ctx, t, ioctl.Now)
	}
	return nil
}
