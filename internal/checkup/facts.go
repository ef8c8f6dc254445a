package checkup

import "github.com/vcomd/vcomd/internal/usbtty/vhci"

// Facts are what was found on a machine.
type Facts struct {
	Release      string // of the kernel, as uname -r prints it
	Architecture string // as Go calls it
	User         User
	Pty          PtyFacts
	Seccomp      SeccompFacts
	USB          USBFacts
	Beneath      Answer // whether a mount can be put beneath another (Linux 6.5)
	RunDir       DirFacts
	Udev         UdevFacts
	Systemd      bool // it is the init system
}

// Answer is of a question that may have none.
type Answer uint8

// The answers.
const (
	CannotTell Answer = iota
	No
	Yes
)

// User is who vcomd would run as.
type User struct {
	UID          int
	Name         string
	Capabilities uint64 // effective: 1 << CAP_…
	// Dialout is the group's number, and whether the user is in it; -1: there is no
	// such group.
	Dialout   int
	InDialout bool
}

// Root reports whether it is the superuser.
func (u User) Root() bool { return u.UID == 0 }

// Has reports whether the user has a capability (capability.h).
func (u User) Has(capability int) bool { return u.Capabilities&(1<<capability) != 0 }

// Capabilities that matter (linux/capability.h).
const (
	capChown     = 0
	capSysModule = 16
	capSysAdmin  = 21
)

// PtyFacts tell of pseudo-terminals.
type PtyFacts struct {
	Err      error // of opening one
	Exact    bool  // TIOCSLCKTRMIOS is permitted: no change of settings can be missed
	InUse    int
	Most     int // kernel.pty.max; 0: not known
	NoDevpts bool
}

// SeccompFacts tell of user notification.
type SeccompFacts struct {
	Notify     Answer // SECCOMP_RET_USER_NOTIF (Linux 5.0)
	Killable   Answer // SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (Linux 5.19)
	Blocked    bool   // seccomp(2) itself is refused, as in some containers
	Yama       int    // kernel.yama.ptrace_scope; -1: no Yama
	NoNewPrivs bool   // this process has it already
	Bits32     Answer // whether programs of 32 bits run here
}

// USBFacts tell of vhci_hcd and ftdi_sio.
type USBFacts struct {
	Modules  []vhci.Module
	Missing  error // of vhci.Host.Missing
	Locked   bool  // kernel.modules_disabled: none can be loaded until the next start
	Free     int   // ports, if FreeErr is nil
	FreeErr  error
	Devtmpfs bool // on /dev
}

// DirFacts tell of the run directory.
type DirFacts struct {
	Path string
	Err  error // why it could not be written or made
}

// UdevFacts tell of udev and our rules.
type UdevFacts struct {
	Runs  bool
	Rules string // the file's path, "" for none
	// Edited: somebody has changed it.
	Edited bool
}
