package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// process is a running peer.
type process struct {
	cmd    *exec.Cmd
	output *head
	exited chan struct{}
}

// start runs a peer's command line.
func start(argv []string) (*process, error) {
	p := &process{output: &head{}, exited: make(chan struct{})}
	p.cmd = exec.Command(argv[0], argv[1:]...) //nolint:gosec,noctx // a peer's command line; it ends by stop
	p.cmd.Stdout, p.cmd.Stderr = p.output, p.output
	p.cmd.WaitDelay = time.Second
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(p.exited)
		_ = p.cmd.Wait() // how it ended does not matter; that it ended early shows elsewhere
	}()
	return p, nil
}

// kill ends the peer at once, without waiting.
func (p *process) kill() { _ = p.cmd.Process.Kill() }

// stop asks the peer to end, makes it, and waits.
func (p *process) stop() {
	_ = p.cmd.Process.Signal(unix.SIGTERM)
	patience := time.NewTimer(2 * time.Second)
	defer patience.Stop()
	select {
	case <-p.exited:
	case <-patience.C:
		p.kill()
		<-p.exited
	}
}

// cpu is the processor time used so far by all the process's threads, user and system: utime+stime of /proc/PID/stat, but
// to the nanosecond.
func (p *process) cpu() (time.Duration, error) {
	// The clock of another process (CPUCLOCK_SCHED of include/linux/posix-timers.h; clock_getcpuclockid in libc).
	const cpuClockSched = 2
	clock := int32(^p.cmd.Process.Pid<<3 | cpuClockSched)
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0, os.NewSyscallError("clock_gettime", err)
	}
	return time.Duration(ts.Nano()), nil
}

// rss is the resident memory (VmRSS) in bytes.
func (p *process) rss() (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(status) {
		if rest, ok := strings.CutPrefix(string(line), "VmRSS:"); ok {
			kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
			return kib << 10, err
		}
	}
	return 0, errors.New("no VmRSS: the peer has ended")
}

// head keeps the first bytes a peer says, for the report of its failure.
type head struct {
	mu  sync.Mutex
	buf []byte
}

// Write keeps what fits and drops the rest.
func (h *head) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buf = append(h.buf, p[:min(len(p), 2000-len(h.buf))]...)
	return len(p), nil
}

func (h *head) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.TrimSpace(string(h.buf))
}

// nap lets a moment pass where there is nothing to wait on: a link that another program is about to make.
func nap(d time.Duration) {
	ts := unix.NsecToTimespec(int64(d))
	_ = unix.Nanosleep(&ts, nil) // cut short by a signal is as good
}
