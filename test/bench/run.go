package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// The patience of each step. A peer that is stuck costs a few seconds, not the bench.
const (
	startPatience   = 10 * time.Second
	latencyPatience = 10 * time.Second
	drainPatience   = 10 * time.Second
	roundTripsTime  = 1500 * time.Millisecond // of one size; a slow peer makes fewer rounds
	speedPatience   = 3 * time.Second         // first change: what was sent before it may be allowed to leave the UART first
	changePatience  = time.Second
)

// plan is how much is measured.
type plan struct {
	rounds  int           // round trips of each size
	changes int           // tcsetattr calls
	load    time.Duration // of each throughput measurement
}

// session is one peer running between a tty and a far end.
type session struct {
	plan
	ctx     context.Context
	peer    *peer
	proc    *process
	far     *farEnd
	tty     *tty
	texts   []*pattern
	samples map[string]float64
}

// measure runs one repetition for a peer. What could be measured is in the samples even when an error says what could not.
func measure(ctx context.Context, p *peer, pl plan, texts []*pattern) (samples map[string]float64, err error) {
	s := &session{plan: pl, ctx: ctx, peer: p, texts: texts, samples: map[string]float64{}}
	dir, err := os.MkdirTemp("", "vcomd-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if s.far, err = listen(p.telnet); err != nil {
		return nil, err
	}
	go s.far.serve()
	defer s.far.stop()
	// The link's base name is the port's name to vcomd: one that no other instance has.
	link := filepath.Join(dir, fmt.Sprintf("bench%d", s.far.port))
	argv, err := p.command(link, s.far.port, dir)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	if s.proc, err = start(argv); err != nil {
		return nil, err
	}
	defer s.proc.stop()
	if err := s.start(link, begin); err != nil {
		return s.samples, s.explain("start", err)
	}
	defer func() { _ = s.tty.close() }()
	for _, step := range []struct {
		name string
		run  func() error
	}{
		{"idle memory", func() error { return s.memory("rss_idle") }},
		{"set speed", s.speedChanges},
		{"round trip of 1 byte", func() error { return s.roundTrips("rtt1", 1) }},
		{"round trip of 64 bytes", func() error { return s.roundTrips("rtt64", 64) }},
		{"throughput", s.throughput},
		{"memory after load", func() error { return s.memory("rss_load") }},
	} {
		if err := step.run(); err != nil {
			return s.samples, s.explain(step.name, err)
		}
	}
	return s.samples, nil
}

// explain adds to an error what the peer has said.
func (s *session) explain(step string, err error) error {
	if said := s.proc.output.String(); said != "" {
		return fmt.Errorf("%s: %w; the peer said: %s", step, err, said)
	}
	return fmt.Errorf("%s: %w", step, err)
}

// within runs f and, when it takes longer than patience or ctx ends, makes every read and write in it fail: the peer is
// killed, which ends those on the tty, and the far end's sockets are shut down.
func (s *session) within(patience time.Duration, f func() error) error {
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	abort := context.AfterFunc(ctx, func() {
		s.proc.kill()
		s.far.shutdown()
	})
	err := f()
	if !abort() {
		return fmt.Errorf("no end after %v: %w", patience, errors.Join(context.Cause(ctx), err))
	}
	return err
}

// start opens the peer's link as soon as it is there, and measures the time from the peer's start until a byte has gone through it
// and come back.
func (s *session) start(link string, begin time.Time) error {
	return s.within(startPatience, func() error {
		for {
			var err error
			if s.tty, err = openTTY(link); err == nil {
				break
			}
			select {
			case <-s.proc.exited:
				return errors.New("the peer has ended")
			case <-s.ctx.Done():
				return s.ctx.Err()
			default:
			}
			if time.Since(begin) > startPatience {
				return err
			}
			nap(200 * time.Microsecond)
		}
		b := []byte{'U'}
		if err := s.echo(b); err != nil {
			return errors.Join(err, s.tty.close())
		}
		s.samples["start"] = milliseconds(time.Since(begin))
		return nil
	})
}

// echo sends p to the far end and waits for its return into p.
func (s *session) echo(p []byte) error {
	want := string(p)
	if err := s.tty.write(p); err != nil {
		return err
	}
	if err := s.tty.readFull(p); err != nil {
		return err
	}
	if string(p) != want {
		return fmt.Errorf("%q came back as %q", want, p)
	}
	return nil
}

func (s *session) roundTrips(name string, size int) error {
	return s.within(latencyPatience, func() error {
		p := make([]byte, size)
		copy(p, s.texts[0].plain)
		times := make([]time.Duration, 0, s.rounds)
		enough := time.Now().Add(roundTripsTime)
		for i := range s.rounds + s.rounds/20 {
			begin := time.Now()
			if begin.After(enough) && len(times) > 0 {
				break
			}
			if err := s.echo(p); err != nil {
				return err
			}
			if i >= s.rounds/20 { // the first are for warming up
				times = append(times, time.Since(begin))
			}
		}
		s.samples[name+"_p50"] = microseconds(percentile(times, 0.50))
		s.samples[name+"_p99"] = microseconds(percentile(times, 0.99))
		return nil
	})
}

// speedChanges measures from tcsetattr to SET-BAUDRATE at the server. A peer that does not forward the first is not asked again.
func (s *session) speedChanges() error {
	if !s.peer.telnet || !s.peer.forwards {
		return nil
	}
	times := make([]time.Duration, 0, s.changes)
	for i := range s.changes + 1 {
		patience := changePatience
		if i == 0 {
			patience = speedPatience
		}
		took, seen, err := s.changeSpeed([]uint32{115200, 230400}[i%2], patience)
		switch {
		case err != nil:
			return err
		case !seen && i == 0:
			s.peer.forwards = false
			return nil
		case !seen:
			return fmt.Errorf("change %d has not arrived after %v", i, patience)
		case i > 0:
			times = append(times, took)
		}
		nap(time.Millisecond) // as a program that is not in a loop
	}
	s.samples["setbaud_p50"] = microseconds(percentile(times, 0.50))
	s.samples["setbaud_p99"] = microseconds(percentile(times, 0.99))
	return nil
}

func (s *session) changeSpeed(rate uint32, patience time.Duration) (took time.Duration, seen bool, err error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	begin := time.Now()
	if err := s.tty.setSpeed(rate); err != nil {
		return 0, false, err
	}
	for {
		select {
		case got := <-s.far.speeds:
			if got.rate == rate && got.at.After(begin) {
				return got.at.Sub(begin), true, nil
			}
		case <-timer.C:
			return 0, false, nil
		case <-s.ctx.Done():
			return 0, false, s.ctx.Err()
		}
	}
}

func (s *session) memory(name string) error {
	rss, err := s.proc.rss()
	if err != nil {
		return err
	}
	s.samples[name] = float64(rss) / (1 << 20)
	return nil
}

// throughput measures each direction and both, with each pattern, and the processor time that the peer spends on it.
func (s *session) throughput() error {
	for _, p := range s.texts {
		for _, way := range []struct {
			name     string
			up, down bool
		}{{"up", true, false}, {"down", false, true}, {"both", true, true}} {
			if err := s.load(way.name+"_"+p.name, p, way.up, way.down); err != nil {
				return fmt.Errorf("%s, %s: %w", way.name, p.name, err)
			}
		}
	}
	return nil
}

func (s *session) load(name string, p *pattern, up, down bool) error {
	before, err := s.proc.cpu()
	if err != nil {
		return err
	}
	var flows []*flow
	err = s.within(s.plan.load+drainPatience, func() error {
		errs := make(chan error, 2)
		var upFlow, downFlow *flow
		if up {
			upFlow = newFlow(p)
			s.far.flow.Store(upFlow)
			defer s.far.flow.Store(nil)
			flows = append(flows, upFlow)
			go func() { errs <- upFlow.pump(s.plan.load, false, s.tty.write) }()
		}
		if down {
			downFlow = newFlow(p)
			flows = append(flows, downFlow)
			go func() { errs <- downFlow.pump(s.plan.load, s.peer.telnet, s.far.write) }()
			if err := s.drain(downFlow); err != nil {
				s.proc.kill() // the writers may wait for ever
				s.far.shutdown()
				for range flows {
					err = errors.Join(err, <-errs)
				}
				return err
			}
		}
		var failed error
		for range flows {
			failed = errors.Join(failed, <-errs)
		}
		if up && failed == nil {
			select {
			case <-upFlow.done:
			case <-s.far.gone:
				failed = errors.New("the peer has closed its connection")
			}
		}
		return failed
	})
	if err != nil {
		return err
	}
	after, err := s.proc.cpu()
	if err != nil {
		return err
	}
	var bytes int64
	var rate float64
	for _, f := range flows {
		if f.err != nil {
			return f.err
		}
		if n := f.excess.Load(); n > 0 {
			return fmt.Errorf("%d more bytes came than were sent", n)
		}
		bytes += f.count
		rate += float64(f.count) / f.end.Sub(f.start).Seconds()
	}
	s.samples[name] = rate / 1e6
	s.samples["cpu_"+name] = (after - before).Seconds() / (float64(bytes) / 1e9)
	return nil
}

// drain reads a flow from the tty to its end.
func (s *session) drain(f *flow) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := s.tty.read(buf)
		if err != nil {
			return err
		}
		if f.take(buf[:n]) {
			return f.err
		}
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
