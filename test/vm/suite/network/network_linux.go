// Package network is the suite of bad networks: loss, reordering, delay, and a cut, which the kernel makes of the loopback interface.
package network

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"time"

	"github.com/vcomd/vcomd/test/vm/netem"
	"github.com/vcomd/vcomd/test/vm/report"
	"github.com/vcomd/vcomd/test/vm/rig"
)

// Sizes and times.
const (
	amount = 256 << 10        // bytes each way
	limit  = 60 * time.Second // for each of the steps
	cut    = 5 * time.Second
)

// faults are the networks.
var faults = []struct {
	name  string
	fault netem.Fault
}{
	{"good", netem.Fault{}},
	{"loss 5%", netem.Fault{Loss: 0.05}},
	{"reorder 25%", netem.Fault{Delay: 10 * time.Millisecond, Reorder: 0.25}},
	{"delay 300 ms", netem.Fault{Delay: 300 * time.Millisecond}},
	{"delay 300 ms, jitter 100 ms, loss 2%", netem.Fault{Delay: 300 * time.Millisecond, Jitter: 100 * time.Millisecond, Loss: 0.02}},
}

// Run makes the checks.
func Run(ctx context.Context, out *report.Writer) (err error) {
	if err := exec.CommandContext(ctx, "/sbin/modprobe", "sch_netem").Run(); err != nil {
		return err
	}
	if err := netem.SmallPackets("lo"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, netem.Set("lo", netem.Fault{})) }()
	s, err := rig.Serve(ctx, true)
	if err != nil {
		return err
	}
	p, err := rig.Start(ctx, rig.Options{Name: "network", Remote: s.Addr})
	if err != nil {
		return err
	}
	tty, err := rig.OpenTTY(p.Link, 9600)
	if err != nil {
		return err
	}
	l := &link{server: s, tty: tty}
	for i, f := range faults {
		begin := time.Now()
		err := netem.Set("lo", f.fault)
		if err == nil {
			err = l.carries(ctx, uint32(100_000+i))
		}
		out.Result("network/"+f.name, err)
		out.Figure("network/"+f.name, time.Since(begin).Seconds(), "s for 256 KiB each way")
	}
	out.Result("network/cut for 5 s", l.outlives(ctx))
	return errors.Join(tty.Close(), p.Stop(), s.Stop())
}

// link is a port that stays open through all of it.
type link struct {
	server *rig.Server
	tty    *os.File
	sent   int // bytes that have left the far UART
}

// carries fails unless a setting arrives, and then data both ways at once.
func (l *link) carries(ctx context.Context, speed uint32) error {
	if err := errors.Join(rig.SetSpeed(l.tty, speed), l.server.AwaitSpeed(ctx, limit, speed)); err != nil {
		return err
	}
	return l.exchange(ctx, func() error { return nil })
}

// outlives fails unless the same open port carries data that were written and received while nothing went through.
func (l *link) outlives(ctx context.Context) error {
	if err := netem.Set("lo", netem.Fault{Loss: 1}); err != nil {
		return err
	}
	return l.exchange(ctx, func() error {
		wait := time.NewTimer(cut)
		defer wait.Stop()
		select {
		case <-wait.C:
		case <-ctx.Done():
		}
		return netem.Set("lo", netem.Fault{})
	})
}

// exchange sends both ways at once, does something meanwhile, and fails unless all has arrived.
func (l *link) exchange(ctx context.Context, meanwhile func() error) error {
	out, in := rig.Pattern(amount, uint32(l.sent)), rig.Pattern(amount, uint32(l.sent)+1)
	steps := []func() error{
		func() error { return rig.WriteAll(l.tty, out, limit) },
		func() error { return l.server.Receive(ctx, in, limit) },
		func() error { return rig.ReadSame(l.tty, in, limit) },
	}
	ended := make(chan error, len(steps))
	for _, step := range steps {
		go func() { ended <- step() }()
	}
	err := meanwhile()
	for range steps {
		err = errors.Join(err, <-ended)
	}
	got, arrived := l.server.AwaitBytes(ctx, limit, l.sent, l.sent+amount)
	l.sent += amount
	return errors.Join(err, arrived, rig.Same(got, out))
}
