package notify

import (
	"errors"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
)

// Adopt makes this process the parent of what a program that it has started leaves
// behind, as daemons do (PR_SET_CHILD_SUBREAPER): without it an ordinary user may
// not look into those (ptrace_scope 1 of Yama).
func Adopt() error {
	return os.NewSyscallError("prctl", unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))
}

// Wait waits until a program, and all that it has left behind, has ended, and
// returns the program's status. Meanwhile this process does as the program does:
// it stops when the program is stopped, and passes on the signals that end a
// program. Those that a terminal sends come to both by themselves.
func Wait(pid int) (unix.WaitStatus, error) {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTSTP,
		syscall.SIGTERM, syscall.SIGHUP, syscall.SIGUSR1, syscall.SIGUSR2)
	defer signal.Stop(signals)
	ended := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		forward(pid, signals, ended)
	}()
	defer func() { close(ended); <-done }()
	var status unix.WaitStatus
	for {
		var st unix.WaitStatus
		who, err := unix.Wait4(-1, &st, unix.WUNTRACED, nil)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ECHILD):
			return status, nil
		case err != nil:
			return status, os.NewSyscallError("wait4", err)
		case who != pid:
		case st.Stopped():
			// The shell waits for this process. It goes on when the shell says
			// so, and says so to the program.
			_ = unix.Kill(unix.Getpid(), unix.SIGSTOP)
			_ = unix.Kill(pid, unix.SIGCONT)
		default:
			status = st
		}
	}
}

// forward passes on to the program what was sent to this process alone.
func forward(pid int, signals <-chan os.Signal, ended <-chan struct{}) {
	for {
		select {
		case <-ended:
			return
		case sig := <-signals:
			switch s, _ := sig.(syscall.Signal); s {
			case syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTSTP:
			default:
				_ = unix.Kill(pid, s) // it may have ended
			}
		}
	}
}
