// Package adapter is the suite of --tty usb: what package conform does not show of a tty of the kernel's, because it takes many, or
// takes long.
package adapter

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
	"github.com/vcomd/vcomd/test/vm/report"
	"github.com/vcomd/vcomd/test/vm/rig"
)

// limit is for what takes no time.
const limit = 20 * time.Second

// Run makes the checks.
func Run(ctx context.Context, out *report.Writer) error {
	for _, c := range []struct {
		name  string
		holds func(ctx context.Context, out *report.Writer) error
	}{
		{"attach and detach 50 times", attach},
		{"8 ports at once", several},
		{"open and close 100 times", opens},
		{"the node", node},
		{"kill -9 and start again", killed},
		{"loss under hold", hold},
		{"loss under hangup", hangup},
		{"16 MiB both ways", bulk},
	} {
		begin := time.Now()
		out.Result("usb/"+c.name, c.holds(ctx, out))
		out.Figure("usb/"+c.name, time.Since(begin).Seconds(), "s")
	}
	return nil
}

// port is a vcomd with an adapter, and its access server.
type port struct {
	*rig.Port
	server *rig.Server
}

// unrecorded is the name of the port whose data are too many for a journal.
const unrecorded = "bulk"

// start starts both.
func start(ctx context.Context, name string, flags ...string) (*port, error) {
	s, err := rig.Serve(ctx, name != unrecorded)
	if err != nil {
		return nil, err
	}
	p, err := rig.Start(ctx, rig.Options{Name: name, Remote: s.Addr, Flags: append([]string{"--tty", "usb"}, flags...)})
	if err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return &port{p, s}, nil
}

// stop ends both, and fails unless the kernel's tty has gone.
func (p *port) stop() error {
	tty, err := filepath.EvalSymlinks(p.Link)
	if err := errors.Join(err, p.Stop(), p.server.Stop()); err != nil {
		return err
	}
	return gone(tty)
}

// gone waits until a node has gone.
func gone(path string) error {
	return eventually(path+" is gone", func() bool {
		_, err := os.Lstat(path)
		return errors.Is(err, os.ErrNotExist)
	})
}

// eventually waits until something holds.
func eventually(what string, holds func() bool) error {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !holds() {
		select {
		case <-look.C:
		case <-deadline.C:
			return fmt.Errorf("it never comes to be that %s", what)
		}
	}
	return nil
}

// speeds are such that the adapter can tell them from each other, and high: a change of speed waits until the far UART must have
// sent what came before.
var speeds = []uint32{57600, 115200, 230400, 460800, 500000, 921600, 1000000}

func speed(i int) uint32 { return speeds[i%len(speeds)] }

// carries fails unless a speed and some bytes arrive both ways; data that came before are not counted.
func (p *port) carries(ctx context.Context, tty *os.File, speed uint32) error {
	before := int(p.server.UART.Snapshot().Total.Bytes)
	data := rig.Pattern(256, speed)
	if err := errors.Join(
		rig.SetSpeed(tty, speed), p.server.AwaitSpeed(ctx, limit, speed),
		rig.WriteAll(tty, data, limit), p.server.Receive(ctx, data, limit), rig.ReadSame(tty, data, limit),
	); err != nil {
		return err
	}
	got, err := p.server.AwaitBytes(ctx, limit, before, before+len(data))
	return errors.Join(err, rig.Same(got, data))
}

// visit opens the port, and fails unless it carries.
func (p *port) visit(ctx context.Context, speed uint32) error {
	tty, err := rig.OpenTTY(p.Link, speed)
	if err != nil {
		return err
	}
	return errors.Join(p.carries(ctx, tty, speed), tty.Close())
}

// attach has adapters come and go.
func attach(ctx context.Context, _ *report.Writer) error {
	for i := range 50 {
		p, err := start(ctx, "attach")
		if err == nil {
			err = p.stop()
		}
		if err != nil {
			return fmt.Errorf("the %d.: %w", i+1, err)
		}
	}
	return nil
}

// several has eight vcomds at once, of which each has to lead to its own adapter.
func several(ctx context.Context, _ *report.Writer) error {
	const n = 8
	ports := make([]*port, n)
	started := make(chan error, n)
	for i := range ports {
		go func() {
			var err error
			ports[i], err = start(ctx, fmt.Sprint("several", i))
			started <- err
		}()
	}
	var err error
	for range ports {
		err = errors.Join(err, <-started)
	}
	for i, p := range ports {
		if p != nil && err == nil {
			err = p.visit(ctx, speed(i))
		}
	}
	for _, p := range ports {
		if p != nil {
			err = errors.Join(err, p.stop())
		}
	}
	return err
}

// opens has programs come and go.
func opens(ctx context.Context, _ *report.Writer) error {
	p, err := start(ctx, "opens", "--connect", "always")
	if err != nil {
		return err
	}
	for i := range 100 {
		if err = p.visit(ctx, speed(i)); err != nil {
			err = fmt.Errorf("the %d.: %w; vcomd's log: %s", i+1, err, p.Log(10))
			break
		}
	}
	return errors.Join(err, p.stop())
}

// node looks at the node itself: its owner, group and mode are those that vcomd gives to what root serves.
func node(ctx context.Context, _ *report.Writer) error {
	p, err := start(ctx, "node")
	if err != nil {
		return err
	}
	var st unix.Stat_t
	err = os.NewSyscallError("stat", unix.Stat(p.Link, &st))
	if err == nil && (st.Mode != unix.S_IFCHR|0o660 || st.Uid != 0 || st.Gid != 20) {
		err = fmt.Errorf("mode %o, user %d, group %d", st.Mode, st.Uid, st.Gid)
	}
	return errors.Join(err, p.stop())
}

// killed has a vcomd end without warning: the kernel takes the adapter away, programs see its end, and the next vcomd serves the
// same name.
func killed(ctx context.Context, _ *report.Writer) error {
	p, err := start(ctx, "killed")
	if err != nil {
		return err
	}
	tty, err := rig.OpenTTY(p.Link, 9600)
	if err != nil {
		return errors.Join(err, p.stop())
	}
	node, err := filepath.EvalSymlinks(p.Link)
	if err := errors.Join(err, p.carries(ctx, tty, 19200), p.Kill(), p.server.Stop(), gone(node)); err != nil {
		return err
	}
	if err := errors.Join(rig.SeesHangup(tty), tty.Close()); err != nil {
		return err
	}
	if p, err = start(ctx, "killed"); err != nil {
		return err
	}
	return errors.Join(p.visit(ctx, 38400), p.stop())
}

// hold has the connection lost while a program has the port open: it goes on with the same descriptor.
func hold(ctx context.Context, _ *report.Writer) error {
	p, err := start(ctx, "hold", "--on-loss", "hold", "--retry", "50ms")
	if err != nil {
		return err
	}
	tty, err := rig.OpenTTY(p.Link, 9600)
	if err != nil {
		return errors.Join(err, p.stop())
	}
	err = p.carries(ctx, tty, speed(0))
	for i := range 5 {
		if err != nil {
			break
		}
		p.server.Disconnect()
		err = errors.Join(
			p.Await(ctx, "disconnected", i+1), p.Await(ctx, "connected", i+2), p.server.AwaitSpeed(ctx, limit, speed(i)),
			p.carries(ctx, tty, speed(i+1)),
		)
	}
	if err == nil {
		err = p.server.Await(ctx, limit, "both lines up", func(u rfc2217test.Snapshot) bool {
			return u.State.DTR == comport.ControlDTROn && u.State.RTS == comport.ControlRTSOn
		})
	}
	return errors.Join(err, tty.Close(), p.stop())
}

// hangup has the connection lost so that programs notice: the adapter is pulled and plugged in again.
func hangup(ctx context.Context, _ *report.Writer) error {
	p, err := start(ctx, "hangup", "--on-loss", "hangup", "--retry", "50ms")
	if err != nil {
		return err
	}
	for i := range 3 {
		tty, openErr := rig.OpenTTY(p.Link, 9600)
		if openErr != nil {
			err = openErr
			break
		}
		err = p.carries(ctx, tty, speed(i))
		if err == nil {
			p.server.Disconnect()
			err = rig.SeesHangup(tty)
		}
		err = errors.Join(err, tty.Close())
		if err == nil {
			// The new adapter may have another number; the link leads to it.
			err = eventually("the port is there again", func() bool {
				f, err := rig.OpenTTY(p.Link, 9600)
				return err == nil && f.Close() == nil
			})
		}
		if err != nil {
			err = fmt.Errorf("the %d. time: %w; vcomd's log: %s", i+1, err, p.Log(10))
			break
		}
	}
	return errors.Join(err, p.stop())
}

// bulk sends much both ways at once.
func bulk(ctx context.Context, out *report.Writer) error {
	const amount = 16 << 20
	p, err := start(ctx, unrecorded)
	if err != nil {
		return err
	}
	tty, err := rig.OpenTTY(p.Link, 3_000_000)
	if err != nil {
		return errors.Join(err, p.stop())
	}
	err = p.server.AwaitSpeed(ctx, limit, 3_000_000)
	if err == nil {
		err = p.both(ctx, tty, amount, out)
	}
	return errors.Join(err, tty.Close(), p.stop())
}

// both sends an amount both ways at once.
func (p *port) both(ctx context.Context, tty *os.File, amount int, out *report.Writer) error {
	const within = 4 * time.Minute
	to, from := rig.Pattern(amount, 1), rig.Pattern(amount, 2)
	begin := time.Now()
	steps := []func() error{
		func() error { return rig.WriteAll(tty, to, within) },
		func() error { return p.server.Receive(ctx, from, within) },
		func() error { return rig.ReadSame(tty, from, within) },
	}
	ended := make(chan error, len(steps))
	for _, step := range steps {
		go func() { ended <- step() }()
	}
	var err error
	for range steps {
		err = errors.Join(err, <-ended)
	}
	arrived := p.server.Await(ctx, within, "all bytes", func(u rfc2217test.Snapshot) bool { return u.Total.Bytes >= uint64(amount) })
	if err := errors.Join(err, arrived); err != nil {
		return err
	}
	out.Figure("usb/throughput, both ways at once, each", float64(amount)/1024/time.Since(begin).Seconds(), "KiB/s")
	if got := p.server.UART.Snapshot().Total; got.Bytes != uint64(amount) || got.Sum != rfc2217test.Sum(to) {
		return fmt.Errorf("%w: %d bytes have left the far UART, not these %d", rig.ErrData, got.Bytes, amount)
	}
	return nil
}
