// Package feed is a device on a simulated UART's line that says what it is told to, as it is taken: nothing is ever overrun, as it
// would be with rfc2217test.UART's own Receive. What it hears it forgets: the UART's journal has it.
package feed

import (
	"context"
	"fmt"
	"io"
	"sync"
)

// Device is the device. Read is for one goroutine, as rfc2217test.UART calls it; the other methods are for any.
type Device struct {
	said   chan []byte
	closed chan struct{}
	once   sync.Once
	rest   []byte
}

// New makes a Device.
func New() *Device { return &Device{said: make(chan []byte), closed: make(chan struct{})} }

// Say has the device say p, which must not change any more, after what it was told before. It waits until all of that has been
// taken.
func (d *Device) Say(ctx context.Context, p []byte) error {
	select {
	case d.said <- p:
		return nil
	case <-d.closed:
		return fmt.Errorf("%d bytes are not said: %w", len(p), io.ErrClosedPipe)
	case <-ctx.Done():
		return fmt.Errorf("%d bytes are not said: %w", len(p), ctx.Err())
	}
}

// Read gives what is to be said.
func (d *Device) Read(p []byte) (int, error) {
	if len(d.rest) == 0 {
		select {
		case d.rest = <-d.said:
		case <-d.closed:
			return 0, io.EOF
		}
	}
	n := copy(p, d.rest)
	d.rest = d.rest[n:]
	return n, nil
}

// Write forgets p.
func (d *Device) Write(p []byte) (int, error) { return len(p), nil }

// Close ends Read and Say.
func (d *Device) Close() error {
	d.once.Do(func() { close(d.closed) })
	return nil
}
