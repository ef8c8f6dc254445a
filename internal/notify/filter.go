package notify

import (
	"fmt"

	"golang.org/x/net/bpf"
)

// What a filter returns (include/uapi/linux/seccomp.h).
const (
	retAllow     = 0x7fff0000
	retUserNotif = 0x7fc00000
)

// Places in struct seccomp_data; the lower half of an argument, as all
// architectures here are little-endian.
const (
	offsetNumber  = 0
	offsetArch    = 4
	offsetRequest = 16 + 8
)

// abi is an architecture whose programs this kernel may run, and its number of
// ioctl(2) (AUDIT_ARCH_*, include/uapi/linux/audit.h).
type abi struct {
	arch  uint32
	ioctl uint32
}

// The architectures.
var (
	abiAMD64 = abi{0xc000003e, 16}
	abiI386  = abi{0x40000003, 54}
	abiARM64 = abi{0xc00000b7, 29}
	abiARM   = abi{0x40000028, 54}
)

// maxRequests bounds a filter: its jumps are of 8 bits.
const maxRequests = 200

// assemble makes the filter that notifies of ioctl with one of the requests, and
// allows everything else.
func assemble(abis []abi, requests []uint32) ([]bpf.RawInstruction, error) {
	if len(requests) > maxRequests {
		return nil, fmt.Errorf("%d requests are too many for a filter", len(requests))
	}
	program := []bpf.Instruction{bpf.LoadAbsolute{Off: offsetArch, Size: 4}}
	// For each architecture three instructions, then the requests.
	for i, a := range abis {
		left := uint8(3 * (len(abis) - 1 - i)) //nolint:gosec // two at most
		program = append(program,
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: a.arch, SkipFalse: 2},
			bpf.LoadAbsolute{Off: offsetNumber, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: a.ioctl, SkipTrue: left + 1, SkipFalse: left},
		)
	}
	// No such architecture, or another call; the true jump above skips this.
	program = append(program, bpf.RetConstant{Val: retAllow}, bpf.LoadAbsolute{Off: offsetRequest, Size: 4})
	for i, r := range requests {
		program = append(program, bpf.JumpIf{Cond: bpf.JumpEqual, Val: r, SkipTrue: uint8(len(requests) - i)}) //nolint:gosec // bounded above
	}
	program = append(program, bpf.RetConstant{Val: retAllow}, bpf.RetConstant{Val: retUserNotif})
	return bpf.Assemble(program)
}
