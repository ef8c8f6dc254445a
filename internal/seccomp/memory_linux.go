package seccomp

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Errors of a Memory's methods.
var (
	// ErrFault: an address that the task cannot read or write itself. The call should fail with EFAULT.
	ErrFault = errors.New("bad address")
	// ErrGone: the task has been killed. The call needs no answer, and must do nothing more.
	ErrGone = errors.New("the task is gone")
	// ErrDenied: this process may not look into the task. Whatever the Handler answers, the kernel does the call.
	ErrDenied = errors.New("no permission to look into the task")
)

// Memory is the memory of the task that made a call, as long as that is not answered. It is for one goroutine.
type Memory struct {
	listener int
	id       uint64
	tid      int
	denied   bool
	local    unix.Iovec
	remote   unix.RemoteIovec
}

// Read reads len(p) bytes at an address, or fails; p is undefined then. That it succeeds also says that the task was alive
// when it had been read.
func (m *Memory) Read(addr uint64, p []byte) error {
	if err := m.transfer(unix.SYS_PROCESS_VM_READV, addr, p); err != nil {
		return err
	}
	// If the task was killed meanwhile, its number may have been another's.
	if !m.Alive() {
		return ErrGone
	}
	return nil
}

// Write writes all of p at an address, or fails. A part may have been written then.
func (m *Memory) Write(addr uint64, p []byte) error {
	// Between this and the write only a SIGKILL can end the task, and its number comes round again after thousands of others.
	if !m.Alive() {
		return ErrGone
	}
	return m.transfer(unix.SYS_PROCESS_VM_WRITEV, addr, p)
}

// Alive reports whether the task still waits for its answer.
func (m *Memory) Alive() bool { return valid(m.listener, &m.id) }

// transfer is process_vm_readv(2) or process_vm_writev(2). They stop before the first page that they cannot reach, and return
// what they have done.
func (m *Memory) transfer(trap uintptr, addr uint64, p []byte) error {
	if len(p) == 0 {
		return nil
	}
	if uint64(uintptr(addr)) != addr {
		return ErrFault // a 64-bit program's, under a 32-bit supervisor
	}
	m.local.Base = unsafe.SliceData(p)
	m.local.SetLen(len(p))
	m.remote = unix.RemoteIovec{Base: uintptr(addr), Len: len(p)}
	n, _, errno := unix.Syscall6(trap, uintptr(m.tid), uintptr(unsafe.Pointer(&m.local)), 1, uintptr(unsafe.Pointer(&m.remote)), 1, 0)
	m.local.Base = nil
	switch {
	case errno == 0 && int(n) == len(p):
		return nil
	case errno == 0, errno == unix.EFAULT:
		return ErrFault
	case errno == unix.ESRCH:
		return ErrGone
	case errno == unix.EPERM:
		m.denied = true
		return ErrDenied
	default:
		return fmt.Errorf("%w: %w", ErrFault, errno)
	}
}
