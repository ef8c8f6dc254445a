package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// portsReport is what many ports in one process cost.
type portsReport struct {
	Ports   int     `json:"ports"`
	Start   float64 `json:"start_s"`      // until all are connected and negotiated
	Idle    float64 `json:"rss_idle_kib"` // a port, over a vcomd with one
	CPU     float64 `json:"cpu_idle_pct"` // of one processor
	Data    float64 `json:"rss_data_kib"` // a port, after data on all of them
	Passing int     `json:"passing"`      // ports that have echoed what was written
	Error   string  `json:"error,omitempty"`
}

const (
	manyPorts    = 1000
	idleTime     = 10 * time.Second
	portPatience = 60 * time.Second
)

// ports measures a vcomd serve with many ports.
func (r *report) ports(ctx context.Context, vcomd string) {
	p := &portsReport{Ports: manyPorts}
	r.Ports = p
	if err := p.measure(ctx, vcomd); err != nil {
		p.Error = err.Error()
	}
}

func (p *portsReport) measure(ctx context.Context, vcomd string) error {
	dir, err := os.MkdirTemp("", "vcomd-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	far, err := newEchoes(ctx)
	if err != nil {
		return err
	}
	defer far.close()

	one, err := serveMany(far, vcomd, filepath.Join(dir, "one"), 1)
	if err != nil {
		return err
	}
	nap(time.Second)
	base, err := one.rss()
	one.stop()
	if err != nil {
		return err
	}

	begin := time.Now()
	all, err := serveMany(far, vcomd, filepath.Join(dir, "all"), p.Ports)
	if err != nil {
		return err
	}
	defer all.stop()
	p.Start = time.Since(begin).Seconds()
	nap(2 * time.Second) // the garbage of the start
	before, err := all.cpu()
	if err != nil {
		return err
	}
	nap(idleTime)
	after, err := all.cpu()
	if err != nil {
		return err
	}
	p.CPU = 100 * float64(after-before) / float64(idleTime)
	each := func() (float64, error) {
		now, err := all.rss()
		return float64(now-base) / 1024 / float64(p.Ports-1), err
	}
	if p.Idle, err = each(); err != nil {
		return err
	}
	for n := range p.Ports {
		if err := echoes(link(filepath.Join(dir, "all"), n)); err != nil {
			return fmt.Errorf("port %d: %w", n, err)
		}
		p.Passing++
	}
	p.Data, err = each()
	return err
}

func link(dir string, n int) string { return filepath.Join(dir, fmt.Sprintf("tty%d", n)) }

// serveMany starts vcomd and waits until all ports are connected.
func serveMany(far *echoServers, vcomd, dir string, ports int) (*process, error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, err
	}
	var file strings.Builder
	fmt.Fprintf(&file, "run-dir = %q\nlog-level = \"error\"\n[defaults]\nconnect = \"always\"\n", filepath.Join(dir, "run"))
	for n := range ports {
		fmt.Fprintf(&file, "[[port]]\nlink = %q\nremote = %q\n", link(dir, n), far.address)
	}
	path := filepath.Join(dir, "vcomd.toml")
	if err := os.WriteFile(path, []byte(file.String()), 0o600); err != nil {
		return nil, err
	}
	wanted := far.up.Load() + int64(ports)
	p, err := start([]string{vcomd, "serve", "-c", path})
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(portPatience); far.up.Load() < wanted; nap(5 * time.Millisecond) {
		select {
		case <-p.exited:
			return nil, fmt.Errorf("vcomd has ended: %s", p.output)
		default:
		}
		if time.Now().After(end) {
			p.stop()
			return nil, fmt.Errorf("%d of %d ports are connected after %v", int64(ports)-wanted+far.up.Load(), ports, portPatience)
		}
	}
	return p, nil
}

// echoes writes to a port and reads it back.
func echoes(path string) error {
	const text = "through the port and back, over RFC 2217, a line as programs write them\r\n"
	tty, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = tty.Close() }()
	if _, err := tty.WriteString(text); err != nil {
		return err
	}
	got := make([]byte, len(text))
	if _, err := io.ReadFull(tty, got); err != nil || string(got) != text {
		return fmt.Errorf("%q came back, %w", got, err)
	}
	return nil
}

// echoServers are as many access servers as clients come, each with an echo on its line.
type echoServers struct {
	address string
	up      atomic.Int64 // sessions that have agreed on COM-PORT, ever
	ln      net.Listener
	stop    context.CancelFunc
	wg      sync.WaitGroup
}

func newEchoes(ctx context.Context) (*echoServers, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(ctx)
	e := &echoServers{address: ln.Addr().String(), ln: ln, stop: stop}
	e.wg.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			uart := &rfc2217test.UART{Unpaced: true, Device: rfc2217test.NewEcho(), JournalOff: true}
			server := &rfc2217test.Server{UART: uart}
			session, end := context.WithCancel(ctx)
			e.wg.Go(func() { _ = uart.Run(session) })
			e.wg.Go(func() {
				// A question has been asked: the session is negotiated.
				if server.WaitFor(session, func(s rfc2217test.Stats) bool { return s.Commands > 0 }) == nil {
					e.up.Add(1)
				}
			})
			e.wg.Go(func() {
				defer end()
				_ = server.ServeConn(session, conn)
			})
		}
	})
	return e, nil
}

func (e *echoServers) close() {
	_ = e.ln.Close()
	e.stop()
	e.wg.Wait()
}

// show gives the figures, beside what is wanted.
func (p *portsReport) show(w io.Writer) {
	if p.Error != "" {
		say(w, "\n%d ports in one process: %v\n", p.Ports, errors.New(p.Error))
		return
	}
	say(w, "\n%d ports in one process: connected after %.1f s (goal 10); %.0f KiB a port idle (goal 100), %.0f KiB after data on all; "+
		"%.2f %% of a processor idle (goal 1); %d echo\n", p.Ports, p.Start, p.Idle, p.Data, p.CPU, p.Passing)
}
