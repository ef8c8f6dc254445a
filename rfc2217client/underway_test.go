package rfc2217client_test

import (
	"context"
	"io"
	"net"
	"slices"
	"testing"
	"time"

	rc "github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// TestUnderway: the time for an acknowledgement begins when the request is at the
// server, and what is sent after it does not count.
func TestUnderway(t *testing.T) {
	r := connected(t, rc.SessionConfig{})
	r.Data(make([]byte, 100))
	r.Request(r.now, rate9600)
	request := len(r.Output()) - 100
	r.Data(make([]byte, 50))
	r.Consume(len(r.Output()))

	// Its last byte is not confirmed: it is not repeated, however long that takes.
	for range 10 {
		r.now = r.now.Add(rc.AckGiveUp)
		r.Underway(r.now, 51)
		r.Tick(r.now)
		r.wantSent()
		r.wantSeen()
	}
	// Half of it is not even with the connection.
	r.Underway(r.now, uint64(50+request/2))
	r.pass(rc.AckResend - time.Nanosecond)
	r.wantSent()
	// Only what came after it is still underway, and that is no excuse.
	for _, want := range []string{"SET-BAUDRATE 9600", ""} {
		r.now = r.now.Add(rc.AckResend)
		r.Underway(r.now, 50)
		r.Tick(r.now)
		if want != "" {
			r.wantSent(want)
		}
	}
	r.wantSent()
	r.wantSeen("unanswered SET-BAUDRATE 9600")
}

// TestUnderwayNothingRead: no answer can be missing that nobody would read.
func TestUnderwayNothingRead(t *testing.T) {
	r := connected(t, rc.SessionConfig{})
	r.Request(r.now, rate9600)
	r.wantSent("SET-BAUDRATE 9600")
	r.now = r.now.Add(rc.AckGiveUp)
	r.Underway(r.now, rc.Everything)
	r.pass(rc.AckResend - time.Nanosecond)
	r.wantSent()
	r.wantSeen()
}

// TestRequestsAreBounded: requests are dropped and counted when a server does not
// read them.
func TestRequestsAreBounded(t *testing.T) {
	r := connected(t, rc.SessionConfig{})
	const tries = 100_000
	for range tries {
		r.Request(r.now, comport.PurgeData{What: comport.PurgeReceive})
	}
	if n := len(r.Output()); n == 0 || n > rc.MaxQueued {
		t.Errorf("%d bytes wait, want at most %d", n, rc.MaxQueued)
	}
	sent := len(r.sent())
	if dropped := r.Counters().DroppedRequests; dropped+uint64(sent) != tries {
		t.Errorf("%d sent and %d dropped of %d", sent, dropped, tries)
	}
	r.Request(r.now, rate9600)
	r.wantSent("SET-BAUDRATE 9600")
}

// away is how long a stalled far end reads nothing.
const away = time.Minute

// stalled connects to a far end that agrees and then reads nothing for a time.
func stalled(r *clientRig) dialer {
	return func(context.Context, int) (net.Conn, error) {
		near, end := net.Pipe()
		r.wg.Go(func() {
			defer func() { _ = end.Close() }()
			if _, err := end.Write(agree()); err != nil {
				return
			}
			time.Sleep(away)
			_, _ = io.Copy(io.Discard, end)
		})
		return near, nil
	}
}

// TestServerNotReading: a server held back for longer than an acknowledgement may
// take has not left anything unanswered.
func TestServerNotReading(t *testing.T) {
	inBubble(t, rc.Config{}, stalled, func(r *clientRig) {
		r.do(r.Start)
		r.wantLog("connected rfc2217")
		r.do(func() { r.Request(rate9600) })
		r.sleep(away)
		r.wantLog()
		r.sleep(2 * rc.AckGiveUp)
		r.wantLog("unanswered SET-BAUDRATE 9600")
	})
}

// TestProgramNotReading: acknowledgements behind data that nobody takes are not
// missing.
func TestProgramNotReading(t *testing.T) {
	var s script
	inBubble(t, rc.Config{}, s.dial, func(r *clientRig) {
		takes := false
		r.onReceived = func(p []byte) int {
			if takes {
				return len(p)
			}
			return 0
		}
		r.do(r.Start)
		s.last().say(t, agree())
		r.wantLog("connected rfc2217")
		r.do(func() { r.Request(rate9600) })
		s.last().say(t, []byte("data"))
		// A whole buffer, so that the answer is not read with it.
		go func() { _, _ = s.last().Write(slices.Concat(make([]byte, 128<<10), told(rate9600))) }()
		r.sleep(time.Minute)
		r.wantLog()
		r.do(func() { takes = true; r.Resume() })
		r.wantLog("told SET-BAUDRATE 9600 for SET-BAUDRATE 9600")
	})
}
