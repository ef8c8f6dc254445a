package seccomp

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Process is a program that [Start] has started.
type Process struct {
	pid      int
	adopts   bool
	listener int // -1: a Supervisor has it

	signals chan os.Signal
	child   chan os.Signal // SIGCHLD: one says as much as many
	ended   bool
	status  unix.WaitStatus
}

// PID returns the program's process id.
func (p *Process) PID() int { return p.pid }

// caught are the signals that Wait deals with.
func caught() []os.Signal {
	return []os.Signal{
		syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTSTP, syscall.SIGWINCH,
		syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGCONT,
	}
}

// catchSignals begins to keep signals for Wait. What this process ignores it goes on ignoring: nohup's SIGHUP, say.
func (p *Process) catchSignals() {
	p.signals, p.child = make(chan os.Signal, 32), make(chan os.Signal, 1)
	signal.Notify(p.child, syscall.SIGCHLD)
	var ignored sigset
	if s, err := readTaskStatus(unix.Getpid()); err == nil {
		ignored = s.ignored
	}
	for _, s := range caught() {
		if n, ok := s.(syscall.Signal); ok && !ignored.has(int(n)) {
			signal.Notify(p.signals, s)
		}
	}
}

func (p *Process) releaseSignals() {
	if p.signals != nil {
		signal.Stop(p.signals)
		signal.Stop(p.child)
	}
}

// Kill ends the program with SIGKILL and waits for that, instead of [Process.Wait]: for who finds that it cannot supervise it
// after all.
func (p *Process) Kill() {
	p.releaseSignals()
	if p.listener >= 0 {
		_ = unix.Close(p.listener)
		p.listener = -1
	}
	_ = unix.Kill(p.pid, unix.SIGKILL)
	for {
		if _, err := unix.Wait4(p.pid, nil, 0, nil); !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// Wait waits until the program has ended, and with [Options.Adopt] also what it has left behind, and returns how the program
// ended. If ctx ends before, it returns the cause, and the program goes on; Wait may be called again then. Meanwhile this process
//
//   - does nothing at SIGINT, SIGQUIT, SIGTSTP and SIGWINCH while it is in the foreground of its terminal, which sends them to
//     the program too;
//   - passes these, if it is not, and SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 on to the program, and if that has ended to what it has left
//     behind. A signal for the whole process group so reaches the program twice;
//   - stops when the program is stopped, if there is a shell that would notice;
//   - continues the program, if it is stopped, at SIGCONT.
func (p *Process) Wait(ctx context.Context) (unix.WaitStatus, error) {
	var got syscall.Signal
	for {
		done, err := p.reap()
		if done || err != nil {
			p.releaseSignals()
			return p.status, err
		}
		// Only now: to a program that has ended, and is not reaped, a signal would be lost.
		if got != 0 {
			p.pass(got)
			got = 0
		}
		select {
		case <-ctx.Done():
			return p.status, context.Cause(ctx)
		case <-p.child:
		case s := <-p.signals:
			got, _ = s.(syscall.Signal)
		}
	}
}

// reap takes note of what children have come to, and reports whether there is none left to wait for.
func (p *Process) reap() (done bool, err error) {
	whom := p.pid
	if p.adopts {
		whom = -1
	}
	for {
		var st unix.WaitStatus
		pid, err := unix.Wait4(whom, &st, unix.WNOHANG|unix.WUNTRACED, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ECHILD):
			return true, nil
		case err != nil:
			return false, os.NewSyscallError("wait4", err)
		case pid == 0:
			return false, nil
		case pid != p.pid: // adopted
		case st.Stopped():
			stopAlike()
		case st.Exited(), st.Signaled():
			p.ended, p.status = true, st
		}
	}
}

// pass deals with a signal to this process.
func (p *Process) pass(s syscall.Signal) {
	switch s {
	case syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTSTP, syscall.SIGWINCH:
		if self, ok := statOf(unix.Getpid()); ok && self.foreground == self.group {
			return // the terminal's, which the program has got too
		}
	case syscall.SIGCONT:
		// The shell's went to the program too. One that was for this process alone did not.
		if program, ok := statOf(p.pid); !ok || p.ended || program.state != stateStopped {
			return
		}
	default:
	}
	if !p.ended {
		_ = unix.Kill(p.pid, s) // as long as it is not reaped the number is its own
		return
	}
	for _, pid := range children() {
		_ = unix.Kill(pid, s)
	}
}

// children returns this process's, which are what the program has left behind (proc_pid_task(5), CONFIG_PROC_CHILDREN).
func children() []int {
	tasks, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return nil
	}
	var all []int
	for _, t := range tasks {
		b, err := os.ReadFile("/proc/self/task/" + t.Name() + "/children")
		if err != nil {
			continue
		}
		for f := range strings.FieldsSeq(string(b)) {
			if pid, err := strconv.Atoi(f); err == nil {
				all = append(all, pid)
			}
		}
	}
	return all
}

// stopAlike stops this process, as the program was, so that the shell whose job both are takes notice. Without such a
// shell nobody would continue it, and the program, once continued, would find nobody to answer its calls.
//
// It is SIGSTOP whatever stopped the program: Go's runtime cannot give SIGTSTP its default action back for certain before it
// arrives.
func stopAlike() {
	self, ok := statOf(unix.Getpid())
	if !ok {
		return
	}
	parent, ok := statOf(self.parent)
	if ok && parent.session == self.session && parent.group != self.group {
		_ = unix.Kill(unix.Getpid(), unix.SIGSTOP)
	}
}

func statOf(pid int) (taskStat, bool) {
	b, err := os.ReadFile(procPath(pid, "stat"))
	if err != nil {
		return taskStat{}, false
	}
	s, err := parseTaskStat(b)
	return s, err == nil
}
