package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// retryInterval is how long a peer that comes back by itself waits between two tries, give or take 20 %.
const retryInterval = 100 * time.Millisecond

// restartPatience is how long a peer may take to come back.
const restartPatience = 5 * time.Second

// measureRestarts stops and starts the server under a peer's open tty, again and again. Measured is the time from the moment when the
// server listens until a byte that has waited in the tty has gone to it and come back.
func measureRestarts(ctx context.Context, p *peer, count int) (samples map[string]float64, err error) {
	s := &session{ctx: ctx, peer: p, samples: map[string]float64{}}
	dir, err := os.MkdirTemp("", "vcomd-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if s.far, err = listen(p.telnet); err != nil {
		return nil, err
	}
	go s.far.serve()
	defer func() { s.far.stop() }() // the last one
	link := filepath.Join(dir, fmt.Sprintf("bench%d", s.far.port))
	argv, err := p.command(link, s.far.port, dir)
	if err != nil {
		return nil, err
	}
	begin := time.Now()
	if s.proc, err = start(slices.Insert(argv, 1, p.comesBack...)); err != nil {
		return nil, err
	}
	defer s.proc.stop()
	if err := s.start(link, begin); err != nil {
		return nil, s.explain("start", err)
	}
	defer func() { _ = s.tty.close() }()
	times := make([]time.Duration, 0, count)
	for i := range count {
		// It comes back at any moment between two tries.
		away := retryInterval + 2*retryInterval*time.Duration(i)/time.Duration(count)
		took, err := s.restart(away)
		if err != nil {
			return nil, s.explain(fmt.Sprintf("restart %d", i+1), err)
		}
		times = append(times, took)
	}
	return map[string]float64{
		"restart_p50": milliseconds(percentile(times, 0.50)),
		"restart_p99": milliseconds(percentile(times, 0.99)),
	}, nil
}

// restart has the server be away for a while.
func (s *session) restart(away time.Duration) (took time.Duration, err error) {
	port := s.far.port
	s.far.stop()
	nap(away)
	b := []byte{'R'}
	err = s.within(restartPatience, func() error {
		if err := s.tty.write(b); err != nil {
			return err
		}
		far, err := listenAt(s.peer.telnet, port)
		if err != nil {
			return err
		}
		begin := time.Now()
		s.far = far
		go far.serve()
		b[0] = 0
		if err := s.tty.readFull(b); err != nil {
			return err
		}
		took = time.Since(begin)
		if b[0] != 'R' {
			return fmt.Errorf("'R' came back as %q", b)
		}
		return nil
	})
	return took, err
}

// restarts measures the peers that come back by themselves, once.
func (r *report) restarts(ctx context.Context, able []*peer) {
	for _, p := range able {
		if p.comesBack == nil || ctx.Err() != nil {
			continue
		}
		pr := r.peer(p.name)
		samples, err := measureRestarts(ctx, p, r.Restarts)
		if err != nil {
			pr.Errors = append(pr.Errors, fmt.Sprintf("restarts of the server: %v", err))
			continue
		}
		pr.add(samples)
		pr.Notes = append(pr.Notes, fmt.Sprintf("%d restarts of the server with %s", r.Restarts, strings.Join(p.comesBack, " ")))
	}
}
