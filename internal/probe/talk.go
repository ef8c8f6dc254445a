package probe

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/vcomd/vcomd/rfc2217client"
)

// readSize is how much is read at once, in bytes.
const readSize = 4096

// errOver means that the time of the whole conversation is over.
var errOver = errors.New("the time for the probe is over")

// talk drives a Session over a connection. One goroutine reads; all else is done by the
// caller of until.
type talk struct {
	conn    net.Conn
	session *rfc2217client.Session
	witness *witness
	now     time.Time // of what is being done

	pieces chan []byte // closed when the connection has ended
	ended  error       // why, then
	reader sync.WaitGroup
	stop   chan struct{}
}

// begin starts reading. end has to be called.
func (t *talk) begin() {
	t.pieces, t.stop = make(chan []byte), make(chan struct{})
	t.now = time.Now()
	t.reader.Go(func() {
		defer close(t.pieces)
		for {
			piece := make([]byte, readSize)
			n, err := t.conn.Read(piece)
			if n > 0 {
				select {
				case t.pieces <- piece[:n]:
				case <-t.stop:
					return
				}
			}
			if err != nil {
				t.ended = err
				return
			}
		}
	})
}

// end closes the connection, and waits for the reader.
func (t *talk) end() {
	close(t.stop)
	_ = t.conn.Close()
	t.reader.Wait()
}

// until talks until done says so, or limit is over, or ctx; done is looked at whenever
// something has happened. It returns whether done was so. The error, errOver or what
// ended the connection, is for good.
func (t *talk) until(ctx context.Context, limit time.Duration, done func() bool) (bool, error) {
	end := time.Now().Add(limit)
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		t.now = time.Now()
		t.session.Tick(t.now)
		if err := t.flush(ctx); err != nil {
			return done(), t.last(ctx, err)
		}
		if done() {
			return true, nil
		}
		wait := end.Sub(t.now)
		if wait <= 0 {
			return false, nil
		}
		if due := t.session.Deadline(); !due.IsZero() {
			wait = min(wait, max(due.Sub(t.now), time.Millisecond))
		}
		timer.Reset(wait)
		select {
		case <-ctx.Done():
			return false, errOver
		case <-timer.C:
		case piece, ok := <-t.pieces:
			if !ok {
				return done(), t.why()
			}
			t.now = time.Now()
			t.witness.received(piece)
			t.session.Receive(t.now, piece)
		}
	}
}

// last hears what the server has said before it refused to hear more: that may be why.
func (t *talk) last(ctx context.Context, err error) error {
	timer := time.NewTimer(noticeTime)
	defer timer.Stop()
	for !errors.Is(err, errOver) {
		select {
		case piece, ok := <-t.pieces:
			if !ok {
				return t.why()
			}
			t.witness.received(piece)
			t.session.Receive(t.now, piece)
			continue
		case <-timer.C:
		case <-ctx.Done():
		}
		break
	}
	return err
}

// flush sends what the session has to say.
func (t *talk) flush(ctx context.Context) error {
	out := t.session.Output()
	if len(out) == 0 {
		return nil
	}
	if deadline, ok := ctx.Deadline(); ok {
		_ = t.conn.SetWriteDeadline(deadline) // the write tells
	}
	t.witness.sent(out)
	n, err := t.conn.Write(out)
	t.session.Consume(n)
	if err != nil && (ctx.Err() != nil || errors.Is(err, os.ErrDeadlineExceeded)) {
		return errOver
	}
	return err
}

// why is the end of a connection as an error.
func (t *talk) why() error {
	if errors.Is(t.ended, io.EOF) {
		return rfc2217client.ErrClosedByServer
	}
	return t.ended
}
