package notify

import (
	"errors"

	"golang.org/x/sys/unix"
)

// ErrFault says that a task's memory cannot be read or written there.
var ErrFault = errors.New("bad address")

// Memory reaches the memory of a task that waits for its answer
// (process_vm_readv(2)). Only whole reads and writes succeed.
type Memory struct {
	tid   int
	alive func() bool
}

// Read reads from the task's memory.
func (m *Memory) Read(addr uint64, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	local := []unix.Iovec{{Base: &p[0]}}
	local[0].SetLen(len(p))
	n, err := unix.ProcessVMReadv(m.tid, local, []unix.RemoteIovec{{Base: uintptr(addr), Len: len(p)}}, 0)
	// What was read may be another process's, if the task has ended and its number
	// was given away.
	if err != nil || n != len(p) || !m.alive() {
		return ErrFault
	}
	return nil
}

// Write writes to the task's memory.
func (m *Memory) Write(addr uint64, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if !m.alive() {
		return ErrFault
	}
	local := []unix.Iovec{{Base: &p[0]}}
	local[0].SetLen(len(p))
	n, err := unix.ProcessVMWritev(m.tid, local, []unix.RemoteIovec{{Base: uintptr(addr), Len: len(p)}}, 0)
	if err != nil || n != len(p) {
		return ErrFault
	}
	return nil
}
