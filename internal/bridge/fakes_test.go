package bridge

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/vcomd/vcomd/internal/evloop"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeTTY behaves as a pseudo-terminal does: a note is told before the bytes
// that wait with it, whichever came first.
type fakeTTY struct {
	waiting []byte // written by the program
	note    Note
	chunk   int // the most that one Read gives; 0: all
	closed  bool
	broken  error

	room    int // for what is received
	got     []byte
	wanted  [2]bool // read, write
	onRead  func()  // called by a Read that gives bytes
	written int     // calls of Write
}

func (t *fakeTTY) Read(p []byte) ([]byte, Note, error) {
	if t.broken != nil {
		return nil, 0, t.broken
	}
	if n := t.note; n != 0 {
		t.note = 0
		return nil, n, nil
	}
	if len(t.waiting) == 0 {
		if t.closed {
			return nil, 0, ErrClosed
		}
		return nil, 0, ErrWouldBlock
	}
	limit := len(p) - 1 // a byte of a pseudo-terminal's own stands in front
	if t.chunk > 0 {
		limit = min(limit, t.chunk)
	}
	n := copy(p[1:limit+1], t.waiting)
	t.waiting = t.waiting[n:]
	if t.onRead != nil {
		t.onRead()
	}
	return p[1 : n+1], 0, nil
}

func (t *fakeTTY) ReadNote() (Note, error) {
	n := t.note
	t.note = 0
	return n, t.broken
}

func (t *fakeTTY) Write(p []byte) (int, error) {
	t.written++
	if t.broken != nil {
		return 0, t.broken
	}
	n := min(len(p), t.room)
	t.got = append(t.got, p[:n]...)
	t.room -= n
	return n, nil
}

func (t *fakeTTY) Want(read, write bool) { t.wanted = [2]bool{read, write} }

// fakeRemote writes down what it is asked, in order.
type fakeRemote struct {
	up        bool
	blocked   bool
	takes     int // bytes until it is blocked; negative: without limit
	effective comport.State
	log       []string // data as "data …", settings as they are
	unread    int
	resumed   int
	onRequest func()
	onSend    func()
}

func (r *fakeRemote) Up() bool      { return r.up }
func (r *fakeRemote) Blocked() bool { return !r.up || r.blocked }

func (r *fakeRemote) Send(p []byte) {
	if n := len(r.log); n > 0 && len(r.log[n-1]) > 5 && r.log[n-1][:5] == "data " {
		r.log[n-1] += string(p)
	} else {
		r.log = append(r.log, "data "+string(p))
	}
	if r.takes >= 0 {
		if r.takes -= len(p); r.takes <= 0 {
			r.blocked = true
		}
	}
	if r.onSend != nil {
		r.onSend()
	}
}

func (r *fakeRemote) Request(messages ...comport.Message) {
	for _, m := range messages {
		r.effective.Set(m)
		r.log = append(r.log, m.String())
	}
	if r.onRequest != nil {
		r.onRequest()
	}
}

func (r *fakeRemote) Effective() comport.State { return r.effective }
func (r *fakeRemote) Resume()                  { r.resumed++ }

func (r *fakeRemote) Discard() int {
	n := r.unread
	r.unread = 0
	return n
}

// fakeClock stands still until advance.
type fakeClock struct {
	now    time.Time
	late   time.Duration // that timers fire behind their time
	timers []*fakeTimer
}

type fakeTimer struct {
	clock *fakeClock
	at    time.Time
	f     func()
}

func (c *fakeClock) Now() time.Time { return c.now }

func (c *fakeClock) AfterFunc(d time.Duration, f func()) evloop.Timer {
	t := &fakeTimer{c, c.now.Add(d + c.late), f}
	c.timers = append(c.timers, t)
	return t
}

func (t *fakeTimer) Stop() bool {
	i := slices.Index(t.clock.timers, t)
	if i < 0 {
		return false
	}
	t.clock.timers = slices.Delete(t.clock.timers, i, i+1)
	return true
}

func (c *fakeClock) advance(d time.Duration) {
	end := c.now.Add(d)
	for {
		var next *fakeTimer
		for _, t := range c.timers {
			if !t.at.After(end) && (next == nil || t.at.Before(next.at)) {
				next = t
			}
		}
		if next == nil {
			break
		}
		c.now = next.at
		next.Stop()
		next.f()
	}
	c.now = end
}

// fakeOwner asks for the next of wants at each note.
type fakeOwner struct {
	bridge *Bridge
	wants  []comport.State
	notes  []Note
	failed []error

	onNoted func()
}

func (o *fakeOwner) Noted(n Note) {
	o.notes = append(o.notes, n)
	if o.onNoted != nil {
		o.onNoted()
	}
	if len(o.wants) > 0 {
		o.bridge.Change(o.wants[0])
		o.wants = o.wants[1:]
	}
}

func (o *fakeOwner) Settled()         { o.bridge.Pump() }
func (o *fakeOwner) Failed(err error) { o.failed = append(o.failed, err) }

// rig is a Bridge among fakes: connected, opened, at 9600 bit/s.
type rig struct {
	*Bridge
	tty    *fakeTTY
	remote *fakeRemote
	clock  *fakeClock
	owner  *fakeOwner
}

func newRig(settle time.Duration) *rig {
	r := &rig{
		tty:    &fakeTTY{room: 1 << 20},
		remote: &fakeRemote{up: true, takes: -1, effective: comport.State{BaudRate: 9600, DataSize: 8, Parity: comport.ParityNone, StopSize: comport.StopSize1}},
		clock:  &fakeClock{now: time.Unix(1000, 0)},
		owner:  &fakeOwner{},
	}
	r.Bridge = New(Config{Settle: settle}, r.clock, r.tty, r.remote, r.owner)
	r.owner.bridge = r.Bridge
	r.Opened()
	return r
}

func speed(rate uint32) comport.State { return comport.State{BaudRate: rate} }

// program writes, and then asks for a speed.
func (r *rig) program(text string, rate uint32) {
	r.tty.waiting = append(r.tty.waiting, text...)
	if rate != 0 {
		r.tty.note = 1
		r.owner.wants = append(r.owner.wants, speed(rate))
	}
}

func (r *rig) expect(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(r.remote.log, want) {
		t.Errorf("the remote was asked\n%s\nwant\n%s", lines(r.remote.log), lines(want))
	}
}

func lines(s []string) string {
	var all string
	for _, l := range s {
		all += fmt.Sprintf("\t%.80s\n", l)
	}
	return all
}
