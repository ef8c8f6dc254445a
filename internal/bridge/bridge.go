package bridge

import (
	"errors"
	"time"

	"github.com/vcomd/vcomd/internal/evloop"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// What a TTY's Read returns when there is nothing to read.
var (
	ErrWouldBlock = errors.New("nothing to read or no room to write")
	ErrClosed     = errors.New("no program has the port open")
)

// Note is what a TTY's Read returns in place of bytes: something a program did.
// The bridge hands it on and does not look into it.
type Note uint8

// TTY is the program's side.
type TTY interface {
	// Read returns bytes, which lie in p, or a note. The error is ErrWouldBlock,
	// ErrClosed, or what broke the tty.
	Read(p []byte) (data []byte, note Note, err error)
	// ReadNote returns a note if there is one, else 0. It never reads bytes.
	ReadNote() (Note, error)
	// Write writes what fits, and returns how much that was; 0 and no error
	// when there is no room.
	Write(p []byte) (int, error)
	// Want says for which of the two TTYReady is to be called. Notes are always
	// wanted.
	Want(read, write bool)
}

// Remote is the access server's side.
type Remote interface {
	// Up reports whether there is a connection that can carry data.
	Up() bool
	// Blocked reports whether nothing can be sent now.
	Blocked() bool
	// Send takes all of p; the remote is not Blocked.
	Send(p []byte)
	// Request sends COM-PORT messages in one piece.
	Request(messages ...comport.Message)
	// Effective is the state that a plan starts from.
	Effective() comport.State
	// Resume offers again what Received did not take; Discard drops it, and
	// returns how many bytes that were.
	Resume()
	Discard() int
}

// Clock is the time of the loop.
type Clock interface {
	Now() time.Time
	AfterFunc(d time.Duration, f func()) evloop.Timer
}

// Owner is told what the bridge meets and does not handle.
type Owner interface {
	// Noted is a note of the TTY. It may call Change, which then takes the place
	// that the note has among the bytes.
	Noted(n Note)
	// Settled: Pump has something to do again.
	Settled()
	// Failed: the TTY is broken.
	Failed(err error)
}

// readSize is how much is read from the tty at once, with the byte that a
// pseudo-terminal puts in front, in bytes.
const readSize = 1 + 4*4095

// Config is what a user may set.
type Config struct {
	// Settle is how long a change that would spoil characters waits at most for
	// the remote UART to have sent them; 0: never.
	Settle time.Duration
	// StaleAfter is how long bytes wait for a connection before they are dropped:
	// old commands in a burst are dangerous. 0: for ever, and in the tty, where
	// they block the program once it is full.
	StaleAfter time.Duration
	// DiscardDown drops what is written while the connection is lost.
	DiscardDown bool
	// Pace, if set, has bytes leave no faster than a line of the settings that it
	// returns carries them.
	Pace func() comport.State
}

// Counters count bytes.
type Counters struct {
	FromProgram   uint64 // read from the tty
	ToProgram     uint64 // written to the tty
	DroppedClosed uint64 // received while no program had the port open, or left by the last one
	DroppedFlush  uint64 // received, not in the tty yet, and flushed by a program
	DroppedUnsent uint64 // written by a program and never sent
	DroppedStale  uint64 // written, and not sent within StaleAfter
	DroppedDown   uint64 // written while there was no connection, with DiscardDown
	FlushedUnsent uint64 // written, not sent yet, and flushed by a program
}

// Bridge is the two pumps of one port. Use New.
type Bridge struct {
	cfg    Config
	clock  Clock
	tty    TTY
	remote Remote
	owner  Owner

	open    bool // a program has the tty open
	started bool // bytes were read since then
	queue   queue
	full    bool   // the tty did not take all of what was received
	noting  bool   // Noted is being called
	noteAt  uint64 // the place of its Change
	oldEnd  uint64 // where the bytes end that are surely older than the note
	down    bool   // the connection was lost, and there is no other yet

	hold hold
	pace pace

	busyUntil   time.Time    // the remote UART has sent everything then
	settleUntil time.Time    // the end of the present settle; zero: there is none
	settleTimer evloop.Timer // set while settling

	counters Counters
	buf      [readSize]byte
}

// New returns the pumps between tty and remote.
func New(cfg Config, clock Clock, tty TTY, remote Remote, owner Owner) *Bridge {
	return &Bridge{cfg: cfg, clock: clock, tty: tty, remote: remote, owner: owner}
}

// SetTTY puts another tty in the place of the first. Bytes that wait in the
// bridge stay; those that the old tty still holds are for DropFrom.
func (b *Bridge) SetTTY(tty TTY) { b.tty = tty }

// DropFrom drops the bytes that wait in a tty which has been replaced, and returns
// how many.
func (b *Bridge) DropFrom(old TTY) int {
	n := 0
	for range maxReads {
		data, _, err := old.Read(b.buf[:])
		if err != nil {
			break
		}
		n += len(data)
	}
	b.counters.FromProgram += uint64(n)
	b.counters.DroppedUnsent += uint64(n)
	return n
}

// LostInTTY counts bytes that a program has written and the tty has dropped itself.
func (b *Bridge) LostInTTY(n int) {
	b.counters.FromProgram += uint64(n)
	b.counters.DroppedUnsent += uint64(n)
}

// Counters returns the counters.
func (b *Bridge) Counters() Counters { return b.counters }

// Queued returns how many bytes wait in the bridge.
func (b *Bridge) Queued() int { return len(b.queue.data) }

// Unsettled reports whether a change waits for its place, or for characters before
// it that the remote UART has not sent yet.
func (b *Bridge) Unsettled() bool { return len(b.queue.changes) > 0 }

// Opened says that a program has opened the port.
func (b *Bridge) Opened() { b.open, b.started = true, false }

// Closed says that the last program has closed it: what was received for it and
// not taken is not for the next one.
//
// What it has written and could not be sent yet is taken into the queue: the
// next program's bytes and settings are then told apart from it.
func (b *Bridge) Closed() {
	b.open, b.full = false, false
	b.deliver(b.stageWaiting(), b.queue.tail())
	b.send()
	b.started = false
	b.counters.DroppedClosed += uint64(b.remote.Discard())
}

// FlushUnsent is for Noted: it drops the bytes that a program wrote before its
// flush of output and that wait in the bridge.
func (b *Bridge) FlushUnsent() {
	n := b.queue.forgetFront(b.oldEnd)
	b.hold.forget(&b.queue)
	b.counters.FlushedUnsent += uint64(n)
}

// FlushReceived drops what was received and is not in the tty yet: a program has
// flushed its input.
func (b *Bridge) FlushReceived() {
	b.full = false
	b.counters.DroppedFlush += uint64(b.remote.Discard())
}

// FlushOutput drops the bytes that wait, in the tty too: a program has flushed its
// output.
func (b *Bridge) FlushOutput() {
	b.deliver(b.stageWaiting(), b.queue.tail())
	b.oldEnd = b.queue.tail()
	b.FlushUnsent()
}

// LinkLost forgets the changes that wait, since all is sent anew on the next
// connection, and how busy the remote UART was.
//
// From here to LinkUp bytes wait, or are dropped, as configured.
func (b *Bridge) LinkLost() {
	b.queue.forgetChanges()
	b.busyUntil = time.Time{}
	b.stopSettling()
	b.stopPacing()
	b.down = true
	if b.cfg.DiscardDown {
		b.counters.DroppedDown += uint64(b.queue.forgetData())
	}
	b.hold.forget(&b.queue)
	b.age(b.clock.Now())
	b.armStale()
	b.want()
}

// LinkUp says that there is a connection: what has waited too long for it goes no
// more.
func (b *Bridge) LinkUp() {
	b.down = false
	b.dropStale()
	b.stopAging() // how old the rest is still counts, should this connection be lost, too
}

// LinkUnwanted says that there is no connection because nobody wants one.
func (b *Bridge) LinkUnwanted() { b.down = false }

// DropUnsent drops the bytes that wait, in the tty too, and returns how many. A
// program that writes without end has only so many of its bytes dropped.
func (b *Bridge) DropUnsent() int {
	n := b.queue.forgetData()
	b.forgetAges()
	for range maxReads {
		data, note, err := b.tty.Read(b.buf[:])
		if err != nil {
			break
		}
		if note != 0 {
			b.Note(note)
			n += b.queue.forgetData() // what it has put in front of its change
		}
		b.counters.FromProgram += uint64(len(data))
		n += len(data)
	}
	b.counters.DroppedUnsent += uint64(n)
	return n
}

// TTYReady is called when the tty can be read (or has a note) or written.
func (b *Bridge) TTYReady(readable, writable bool) {
	if writable {
		b.full = false
		b.remote.Resume()
	}
	if readable {
		b.Pump()
	}
	b.want()
}

// Change has want asked of the remote UART, after the bytes that came before.
// Called from Noted, it takes the note's place.
func (b *Bridge) Change(want comport.State) {
	at := b.queue.tail()
	if b.noting {
		at = b.noteAt
	}
	b.queue.change(at, want)
}

// Order has messages sent as they are, after the bytes and the changes that came
// before, and done called then, or when the connection is lost first. It reports
// whether there was room. What a program has written before belongs before them:
// see Sync.
func (b *Bridge) Order(done func(sent bool), messages ...comport.Message) bool {
	if !b.queue.order(messages, done) {
		return false
	}
	b.Pump()
	return true
}

// Sync takes what waits in the tty into the queue: what is asked for next comes
// after it. It reports whether all of it found room.
func (b *Bridge) Sync() bool {
	b.deliver(b.stageWaiting(), b.queue.tail())
	return b.queue.room() >= len(b.buf)
}

// ForgetChanges drops the changes that wait: the caller has sent them itself.
func (b *Bridge) ForgetChanges() { b.queue.forgetChanges() }

// want says which callbacks are due.
func (b *Bridge) want() {
	read := b.holds() && b.queue.room() >= len(b.buf)
	if b.remote.Up() {
		read = !b.remote.Blocked() && b.queue.empty() && b.pace.timer == nil
	}
	b.tty.Want(read, b.open && b.full)
}
