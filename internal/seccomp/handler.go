package seccomp

import (
	"context"

	"github.com/vcomd/vcomd/internal/ioctl"
)

// Call is an ioctl of a task on the supervisor's tty.
type Call struct {
	Arch    ioctl.Arch
	Request uint32
	// Arg is a number or an address, as the request has it; of a 32-bit program its upper half is 0.
	Arg uint64
	// FD is the descriptor's number in the task.
	FD int
	// TID is the thread that waits for the answer.
	TID int
}

// Action is what becomes of a call.
type Action uint8

// The actions.
const (
	// Continue has the kernel do the call.
	Continue Action = iota
	// Now has Do called before another call is looked at. It must not wait for anything.
	Now
	// Later has Do called while other calls are answered.
	Later
)

// Handler answers calls. Its methods are called from several goroutines.
type Handler interface {
	// Decide says what becomes of a call. It must not wait.
	Decide(c Call) Action
	// Do carries a call out, and returns what ioctl(2) returns: a value, or an error number other than 0. m is of no use
	// afterwards. ctx ends when the task is gone, when it has a signal to take (then [ErrSignal] is its cause), or with Run's. Of
	// an answer Now it is Run's.
	Do(ctx context.Context, c Call, m *Memory) (value int64, errno uint16)
	// Restart reports whether a real driver lets the call be made again after a signal handler that was installed with
	// SA_RESTART. It is asked after Do has returned EINTR because of a signal.
	Restart(c Call) bool
}
