package rig

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Vcomd is where the machine has the program.
const Vcomd = "/bin/vcomd"

// Errors of a Port.
var (
	ErrEnded = errors.New("vcomd has ended")
	ErrNever = errors.New("vcomd never logs it")
	ErrStuck = errors.New("it does not end")
)

// runDir is where each port has a directory.
const runDir = "/run"

// patience is how long anything may take that takes no time: the processor is emulated, on a busy machine.
const patience = 20 * time.Second

// Options say how a vcomd is started.
type Options struct {
	Name       string // of the port: its link is /run/NAME/tty
	Remote     string
	Flags      []string
	Credential *syscall.Credential // nil: root
}

// Port is a running vcomd with one port.
type Port struct {
	Link   string
	RunDir string
	cmd    *exec.Cmd

	mu      sync.Mutex
	lines   []string
	events  map[string]int
	ended   bool
	changed chan struct{} // closed at the next line
}

// Start starts vcomd and waits until the port is there.
func Start(ctx context.Context, o Options) (*Port, error) {
	dir := filepath.Join(runDir, o.Name)
	p := &Port{
		Link: filepath.Join(dir, "tty"), RunDir: filepath.Join(dir, "vcomd"),
		events: make(map[string]int), changed: make(chan struct{}),
	}
	args := slices.Concat([]string{"--link", p.Link, "--run-dir", p.RunDir, "--log-level", "debug"}, o.Flags, []string{o.Remote})
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	if c := o.Credential; c != nil {
		if err := os.Chown(dir, int(c.Uid), int(c.Gid)); err != nil {
			return nil, err
		}
	}
	p.cmd = exec.CommandContext(ctx, Vcomd, args...)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: o.Credential}
	log, err := p.cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go p.follow(log)
	if err := p.Await(ctx, "ready", 1); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

// follow reads the log to its end.
func (p *Port) follow(log io.Reader) {
	for lines := bufio.NewScanner(log); lines.Scan(); {
		var l struct{ Event string }
		_ = json.Unmarshal(lines.Bytes(), &l) // what is not JSON is the end's message
		p.note(func() {
			p.lines = append(p.lines, lines.Text())
			p.events[l.Event]++
		})
	}
	p.note(func() { p.ended = true })
}

// note changes what is known, and wakes who waits for it.
func (p *Port) note(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
	close(p.changed)
	p.changed = make(chan struct{})
}

// Await waits until the log has n lines of an event.
func (p *Port) Await(ctx context.Context, event string, n int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		p.mu.Lock()
		got, ended, changed := p.events[event], p.ended, p.changed
		p.mu.Unlock()
		switch {
		case got >= n:
			return nil
		case ended:
			return fmt.Errorf("%w: %s", ErrEnded, p.Log(5))
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("%w: %q, %d times: %s", ErrNever, event, n, p.Log(5))
		}
	}
}

// Log gives the last n lines of the log.
func (p *Port) Log(n int) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines[max(0, len(p.lines)-n):], "\n")
}

// Stop ends vcomd as a user does, and fails unless it ends well. One that does not end is made to say what it does, and is left
// behind if even that does not end it.
func (p *Port) Stop() error {
	return p.end(syscall.SIGTERM)
}

// Kill ends vcomd without a chance to clean up.
func (p *Port) Kill() error {
	err := p.end(syscall.SIGKILL)
	if _, ok := errors.AsType[*exec.ExitError](err); ok {
		return nil // so it ends then
	}
	return err
}

func (p *Port) end(signal syscall.Signal) error {
	if err := p.cmd.Process.Signal(signal); err != nil {
		return fmt.Errorf("end vcomd: %w", err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.cmd.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			return fmt.Errorf("vcomd's end: %w: %s", err, p.Log(5))
		}
		return nil
	case <-after(patience):
	}
	before := p.Log(5)
	_ = p.cmd.Process.Signal(syscall.SIGQUIT) // Go's runtime says then what each goroutine does
	select {
	case err := <-ended: // by SIGQUIT
		return fmt.Errorf("vcomd's end: %w: it was in %s: %w; its log: %s", ErrStuck, p.doing(), err, before)
	case <-after(patience):
		return fmt.Errorf("vcomd's end: %w, in the kernel; its log: %s", ErrStuck, before)
	}
}

// after is time.After.
func after(d time.Duration) <-chan time.Time { return time.NewTimer(d).C }

// doing are vcomd's own functions of those that the runtime has listed, innermost first.
func (p *Port) doing() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var functions []string
	for _, line := range p.lines {
		if name, ok := strings.CutPrefix(line, "github.com/vcomd/vcomd/"); ok {
			name, _, _ = strings.Cut(name, "({")
			functions = append(functions, name)
		}
	}
	return strings.Join(functions[:min(len(functions), 8)], " < ")
}

// Wrap is the command in front of a program that is to run under vcomd run on the port.
func (p *Port) Wrap() []string {
	return []string{Vcomd, "run", "--link", p.Link, "--run-dir", p.RunDir, "--"}
}
