package seccomp

import (
	"errors"
	"fmt"

	"golang.org/x/net/bpf"
)

// What a filter can say (include/uapi/linux/seccomp.h).
const (
	retUserNotif = 0x7fc00000
	retAllow     = 0x7fff0000
)

// Where a filter finds what, in struct seccomp_data. Of the request it looks at the low half only: the kernel takes an
// unsigned int, and callers that have it in a signed one extend its sign.
const (
	offNr      = 0
	offArch    = 4
	offRequest = 16 + 8 // args[1], the low half of a little-endian word
)

// typeT is the type byte of the tty's requests, in its place.
const typeT = 0x5400

// termios2 are the requests of type T that carry a size and direction (TCGETS2, TCSETS2, TCSETSW2, TCSETSF2). Struct
// termios2 has 44 bytes on every [Arch], so the numbers are the same.
var termios2 = []uint32{0x802C542A, 0x402C542B, 0x402C542C, 0x402C542D}

// maxRequests is how many requests a filter can compare with: a conditional jump of classic BPF reaches 255 instructions.
const maxRequests = 200

// ErrArch says that this package does not know the system calls of the architecture it was built for.
var ErrArch = errors.New("seccomp filters are known for amd64, 386, arm64 and arm only")

// Filter returns the program that sends a task's ioctl calls with one of some requests to the supervisor, and leaves all
// other system calls alone. Without requests it takes all of type 'T' that the tty layer has: 0x5400 to 0x54ff, TCGETS2
// and the TCSETS2 forms. FIONREAD, FIONBIO and TIOCGWINSZ are among those, so it pays to name the requests one serves.
//
// The program is for one kernel's instruction sets: x86-64, i386 and x32, or arm64 and arm, by goarch. It fails with
// [ErrArch] for others, and if there are more than 200 requests.
//
// An x32 program's ioctl is notified as an [I386] one, and no other number with x32's bit is ioctl: kernels that have
// WAIT_KILLABLE_RECV do not take the native 16 with it.
func Filter(goarch string, requests []uint32) ([]bpf.RawInstruction, error) {
	ways := entries(goarch)
	if len(ways) == 0 {
		return nil, fmt.Errorf("%w, not %s", ErrArch, goarch)
	}
	if len(requests) > maxRequests {
		return nil, fmt.Errorf("a filter for %d requests, at most %d can be", len(requests), maxRequests)
	}
	var prog []bpf.Instruction
	for _, e := range ways {
		prog = append(prog,
			bpf.LoadAbsolute{Off: offArch, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: e.audit, SkipTrue: 2},
			bpf.LoadAbsolute{Off: offNr, Size: 4},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: e.nr, SkipTrue: uint8(jumpToMatch(len(ways), len(prog)+3))},
		)
	}
	prog = append(prog, bpf.RetConstant{Val: retAllow})
	prog = append(prog, match(requests)...)
	raw, err := bpf.Assemble(prog)
	if err != nil {
		return nil, fmt.Errorf("assemble the filter: %w", err)
	}
	return raw, nil
}

// jumpToMatch returns how many instructions lie between the one at pos and what follows the blocks of four that look at
// the system call, and the return after them.
func jumpToMatch(blocks, pos int) int { return 4*blocks + 1 - (pos + 1) }

// match returns the part of the program that looks at the request, and ends it.
func match(requests []uint32) []bpf.Instruction {
	load := bpf.LoadAbsolute{Off: offRequest, Size: 4}
	var prog []bpf.Instruction
	if len(requests) == 0 {
		requests = termios2
		prog = append(prog,
			load,
			bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xffffff00},
			bpf.JumpIf{Cond: bpf.JumpEqual, Val: typeT, SkipTrue: uint8(len(requests) + 2)},
		)
	} else if allTypeT(requests) {
		// Sockets and files make ioctls too: they pass after one look.
		prog = append(prog,
			load,
			bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: 0xff00},
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: typeT, SkipTrue: uint8(len(requests) + 1)},
		)
	}
	prog = append(prog, load)
	for i, r := range requests {
		prog = append(prog, bpf.JumpIf{Cond: bpf.JumpEqual, Val: r, SkipTrue: uint8(len(requests) - i)})
	}
	return append(prog, bpf.RetConstant{Val: retAllow}, bpf.RetConstant{Val: retUserNotif})
}

func allTypeT(requests []uint32) bool {
	for _, r := range requests {
		if r&0xff00 != typeT {
			return false
		}
	}
	return true
}
