// Command oldkernel executes a program that finds an older kernel's seccomp(2): go build testdata/oldkernel.go. The first
// argument says which one, the others are the program's path and arguments.
package main

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// struct seccomp_data (include/uapi/linux/seccomp.h): what a filter sees. Of the arguments it is the lower half, on a
// little-endian machine.
const (
	offsetNumber    = 0
	offsetOperation = 16
	offsetFlags     = 24
)

func main() {
	refusals := map[string][]bpf.Instruction{
		"none": {refuse(unix.ENOSYS)}, // or a container's own filter
		"4.20": { // before user notification
			bpf.LoadAbsolute{Off: offsetFlags, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpBitsSet, Val: unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, SkipTrue: 3},
			bpf.LoadAbsolute{Off: offsetOperation, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: unix.SECCOMP_GET_ACTION_AVAIL, SkipTrue: 2},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.SECCOMP_GET_NOTIF_SIZES, SkipTrue: 2},
			refuse(unix.EINVAL),
			refuse(unix.EOPNOTSUPP),
		},
		"5.18": {
			bpf.LoadAbsolute{Off: offsetFlags, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpBitsNotSet, Val: unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, SkipTrue: 1},
			refuse(unix.EINVAL),
		},
	}
	refusal, ok := refusals[os.Args[1]]
	if !ok {
		fail("which kernel?", os.Args[1])
	}
	program := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetNumber, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: unix.SYS_SECCOMP, SkipTrue: uint8(len(refusal))},
	}
	program = append(append(program, refusal...), bpf.RetConstant{Val: unix.SECCOMP_RET_ALLOW})
	raw, err := bpf.Assemble(program)
	if err != nil {
		fail("assemble", err)
	}
	filter := make([]unix.SockFilter, 0, len(raw))
	for _, r := range raw {
		filter = append(filter, unix.SockFilter{Code: r.Op, Jt: r.Jt, Jf: r.Jf, K: r.K})
	}
	// The filter is this thread's, and so it must be this one that executes.
	runtime.LockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		fail("prctl", err)
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	if err := unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER, uintptr(unsafe.Pointer(&prog)), 0, 0); err != nil {
		fail("install the filter", err)
	}
	fail("execute", syscall.Exec(os.Args[2], os.Args[2:], os.Environ()))
}

func refuse(errno unix.Errno) bpf.Instruction {
	return bpf.RetConstant{Val: unix.SECCOMP_RET_ERRNO | uint32(errno)}
}

func fail(what string, why any) {
	fmt.Println(what, why)
	os.Exit(1)
}
