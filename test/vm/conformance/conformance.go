package conformance

import (
	"context"
	"errors"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// ErrUntried means that what is at the far end cannot show this, or do it. The text says what that is.
var ErrUntried = errors.New("not tried")

// Kind is a way to get a tty.
type Kind string

// Kinds, in the order of the table's columns.
const (
	Hardware Kind = "16550" // QEMU's emulation of one: it counts no edges and has no line errors
	PTY      Kind = "pty"
	Wrapped  Kind = "run" // a program under vcomd run
	USB      Kind = "usb" // --tty usb
)

// Kinds lists them.
func Kinds() []Kind { return []Kind{Hardware, PTY, Wrapped, USB} }

// Far is the far end of a tty's line. Methods that the far end cannot serve return ErrUntried.
type Far interface {
	// Opened waits until a program that has opened the tty receives what Receive gives.
	Opened(ctx context.Context) error
	// Closed waits until it has been noticed that no program has the tty open any more.
	Closed(ctx context.Context) error
	// Receive has the tty receive bytes, and returns when they are on their way.
	Receive(ctx context.Context, p []byte) error
	// Sent waits until n bytes or more have come from the tty since the last Opened, and gives all of them.
	Sent(ctx context.Context, n int) ([]byte, error)
	// Await waits until the far UART's settings and lines are as wanted.
	Await(ctx context.Context, holds func(comport.State) bool) error
	// Happened reports whether they were since the last Opened.
	Happened(holds func(comport.State) bool) (bool, error)
	// Edges gives nil if the tty's UART tells of changes of its inputs.
	Edges() error
	// SetModem sets the levels of the tty's inputs.
	SetModem(levels comport.ModemState) error
	// LineError has the tty receive a break, or a damaged byte.
	LineError(ctx context.Context, state comport.LineState) error
	// Stall stops the far end from taking what the tty sends, or lets it go on.
	Stall(on bool) error
}

// Verdict is what came of a check.
type Verdict string

// Verdicts.
const (
	Yes     Verdict = "yes"
	No      Verdict = "no"
	Untried Verdict = "untried"
)

// Result is a check on a kind of tty.
type Result struct {
	Kind    Kind    `json:"kind"`
	Check   string  `json:"check"`
	Verdict Verdict `json:"verdict"`
	// Why it does not hold, or was not tried.
	Why string `json:"why,omitempty"`
}

// Expected gives nil if the result is as it should be: that the check holds, or that it does not where that is a known gap.
func (r Result) Expected() error {
	why, gap := gaps[r.Kind][r.Check]
	switch {
	case r.Verdict == Yes && gap:
		return errors.New("it holds, and is a known gap: " + why)
	case r.Verdict == No && !gap:
		return errors.New(r.Why)
	default:
		return nil
	}
}
