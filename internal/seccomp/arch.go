package seccomp

import (
	"runtime"

	"github.com/vcomd/vcomd/internal/ioctl"
)

// Values of seccomp_data.arch (include/uapi/linux/audit.h).
const (
	auditX8664   = 0xC000003E
	auditI386    = 0x40000003
	auditAarch64 = 0xC00000B7
	auditARM     = 0x40000028
)

// entry is one way into the kernel's ioctl.
type entry struct {
	audit uint32     // AUDIT_ARCH_*
	nr    uint32     // of ioctl
	arch  ioctl.Arch // of x32 that of i386: its ioctl is the kernel's compat one, with the same structures
}

// x32Bit marks the numbers of the x32 convention, which share AUDIT_ARCH_X86_64 with the native ones. Its ioctl has a
// number of its own, 514 (arch/x86/entry/syscalls/syscall_64.tbl).
const x32Bit = 0x40000000

var (
	entriesX86 = []entry{
		{auditX8664, 16, ioctl.AMD64},
		{auditX8664, x32Bit | 514, ioctl.I386},
		{auditI386, 54, ioctl.I386},
	}
	entriesARM = []entry{
		{auditAarch64, 29, ioctl.ARM64},
		{auditARM, 54, ioctl.ARM},
	}
)

// entries returns every way into ioctl that a kernel has which runs programs of a GOARCH: a 32-bit vcomd may run on a
// 64-bit kernel, and start 64-bit programs. It is empty for an architecture that this package does not know.
func entries(goarch string) []entry {
	switch goarch {
	case "amd64", "386":
		return entriesX86
	case "arm64", "arm":
		return entriesARM
	default:
		return nil
	}
}

// archOf tells by which convention a notification came. The filter lets no other through.
func archOf(audit, nr uint32) (ioctl.Arch, bool) {
	for _, e := range entries(runtime.GOARCH) {
		if e.audit == audit && e.nr == nr {
			return e.arch, true
		}
	}
	return 0, false
}
