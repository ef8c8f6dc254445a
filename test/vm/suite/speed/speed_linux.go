// Package speed is the suite that measures ttys side by side: the machine's 16550, vcomd's pseudo-terminal, and its tty of the
// kernel's. Everything is emulated, so only the ratios mean something. It reports figures, and fails if data do not arrive.
package speed

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/vcomd/vcomd/test/vm/report"
	"github.com/vcomd/vcomd/test/vm/rig"
)

// What is measured.
const (
	trips  = 200       // of one byte
	amount = 128 << 10 // bytes one way
	limit  = time.Minute
	fast   = 3_000_000 // bit/s; the 16550 goes to 115200, which QEMU does not keep to
)

// far is the other end of a tty's line.
type far struct {
	send  func(ctx context.Context, p []byte) error
	await func(ctx context.Context, from, n int) error // n bytes after the first from
}

// Run makes the measurements.
func Run(ctx context.Context, out *report.Writer) error {
	out.Result("speed/16550", hardware(ctx, out))
	out.Result("speed/pty", port(ctx, out, "pty"))
	out.Result("speed/usb", port(ctx, out, "usb"))
	return nil
}

// hardware measures the machine's own UART, whose line leads to another one of it.
func hardware(ctx context.Context, out *report.Writer) error {
	near, err := rig.OpenTTY("/dev/ttyS1", 115200)
	if err != nil {
		return err
	}
	other, err := rig.OpenTTY("/dev/ttyS2", 115200)
	if err != nil {
		return errors.Join(err, near.Close())
	}
	err = measure(ctx, out, "16550", near, far{
		send: func(_ context.Context, p []byte) error { return rig.WriteAll(other, p, limit) },
		await: func(_ context.Context, _, n int) error {
			if err := other.SetReadDeadline(time.Now().Add(limit)); err != nil {
				return err
			}
			buf := make([]byte, 4<<10)
			for n > 0 {
				got, err := other.Read(buf[:min(n, len(buf))])
				if n -= got; err != nil {
					return fmt.Errorf("%d bytes are missing: %w", n, err)
				}
			}
			return nil
		},
	})
	return errors.Join(err, near.Close(), other.Close())
}

// port measures a port of vcomd's.
func port(ctx context.Context, out *report.Writer, kind string) error {
	s, err := rig.Serve(ctx, false)
	if err != nil {
		return err
	}
	p, err := rig.Start(ctx, rig.Options{Name: "speed-" + kind, Remote: s.Addr, Flags: []string{"--tty", kind}})
	if err != nil {
		return errors.Join(err, s.Stop())
	}
	tty, err := rig.OpenTTY(p.Link, fast)
	if err == nil {
		err = s.AwaitSpeed(ctx, limit, fast)
	}
	if err == nil {
		err = measure(ctx, out, kind, tty, far{
			send: func(ctx context.Context, p []byte) error { return s.Receive(ctx, p, limit) },
			await: func(ctx context.Context, from, n int) error {
				_, err := s.AwaitBytes(ctx, limit, 0, from+n)
				return err
			},
		})
	}
	if tty != nil {
		err = errors.Join(err, tty.Close())
	}
	return errors.Join(err, p.Stop(), s.Stop())
}

// measure takes the time of single bytes there and back, and of many one way and the other.
func measure(ctx context.Context, out *report.Writer, kind string, tty *os.File, f far) error {
	sent := 0
	times := make([]time.Duration, 0, trips)
	for range trips {
		begin := time.Now()
		if err := errors.Join(
			rig.WriteAll(tty, []byte("x"), limit), f.await(ctx, sent, 1), f.send(ctx, []byte("y")), rig.ReadSame(tty, []byte("y"), limit),
		); err != nil {
			return fmt.Errorf("round trips: %w", err)
		}
		times = append(times, time.Since(begin))
		sent++
	}
	slices.Sort(times)
	out.Figure("speed/"+kind+"/round trip, median", times[len(times)/2].Seconds()*1e6, "µs")

	data := rig.Pattern(amount, 1)
	begin := time.Now()
	written := make(chan error, 1)
	go func() { written <- rig.WriteAll(tty, data, limit) }()
	if err := errors.Join(f.await(ctx, sent, len(data)), <-written); err != nil {
		return fmt.Errorf("to the far end: %w", err)
	}
	out.Figure("speed/"+kind+"/to the far end", amount/1024/time.Since(begin).Seconds(), "KiB/s")

	begin = time.Now()
	go func() { written <- f.send(ctx, data) }()
	if err := errors.Join(rig.ReadSame(tty, data, limit), <-written); err != nil {
		return fmt.Errorf("from the far end: %w", err)
	}
	out.Figure("speed/"+kind+"/from the far end", amount/1024/time.Since(begin).Seconds(), "KiB/s")
	return nil
}
