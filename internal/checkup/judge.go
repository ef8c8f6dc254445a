package checkup

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/vcomd/vcomd/internal/usbtty/vhci"
)

// Advice that is given more than once.
const (
	runAsRoot  = "run vcomd as root"
	notNeeded  = "without it all else works"
	asRootUnit = "run vcomd as root; in a container or unit, allow it CAP_SYS_ADMIN"
)

// Judge makes a report.
func Judge(f Facts) Report {
	return slices.Concat(kernel(f), pty(f), run(f), usb(f), overlay(f), system(f))
}

func kernel(f Facts) Report {
	c := Check{Part: Kernel, Name: "Linux", State: OK, Found: f.Release + " (" + f.Architecture + ")"}
	if f.Release == "" {
		c.State, c.Found, c.Advice = Unknown, "its release cannot be read", "check that /proc is mounted"
	}
	return Report{c}
}

func pty(f Facts) Report {
	terminals := Check{Part: Pty, Name: "terminals", State: OK, Found: "they can be opened"}
	switch p := f.Pty; {
	case p.Err != nil && p.NoDevpts:
		terminals.State, terminals.Found = Missing, "devpts is not mounted at /dev/pts: "+p.Err.Error()
		terminals.Advice = "mount -t devpts -o ptmxmode=666 devpts /dev/pts"
	case p.Err != nil && p.Most > 0 && p.InUse >= p.Most:
		terminals.State, terminals.Found = Missing, fmt.Sprintf("all %d are in use: %v", p.Most, p.Err)
		terminals.Advice = "sysctl kernel.pty.max=" + strconv.Itoa(2*p.Most)
	case p.Err != nil:
		terminals.State, terminals.Found, terminals.Advice = Missing, p.Err.Error(), "check /dev/ptmx and /dev/pts, and who may open them"
	case p.Most > 0:
		terminals.Found = fmt.Sprintf("%d of %d are in use", p.InUse, p.Most)
	}
	exact := Check{Part: Pty, Name: "exact settings", State: OK, Found: "no change of a program's settings is missed"}
	switch {
	case f.Pty.Err != nil:
		exact.State, exact.Found, exact.Advice = Unknown, "no pseudo-terminal to try it with", "see above"
	case !f.Pty.Exact:
		exact.State, exact.Found = Limited, "one of several changes within a moment may be missed, by a program that fills its termios from zero"
		exact.Advice = "give vcomd CAP_SYS_ADMIN (root has it), or start the program with vcomd run"
	}
	carries := Check{
		Part: Pty, Name: "what it carries", State: Limited, Found: "data, speed, stop bits, flow control, flush; no parity, data bits, modem lines and breaks",
		Advice: "parity and data bits with --line; all of it with vcomd run or --tty usb",
	}
	return Report{terminals, exact, carries}
}

func run(f Facts) Report {
	s := f.Seccomp
	notify := Check{Part: Run, Name: "seccomp", State: OK, Found: "a program's ioctls can be answered by vcomd"}
	switch {
	case s.Blocked:
		notify.State, notify.Found = Missing, "seccomp is refused here, or this kernel has none"
		notify.Advice = "in a container, allow seccomp(2): docker run --security-opt seccomp=unconfined, or a profile with it"
	case s.Notify == No:
		notify.State, notify.Found, notify.Advice = Missing, "this kernel has no user notification", "use Linux 5.19 or newer, with CONFIG_SECCOMP_FILTER"
	case s.Killable == No:
		notify.State, notify.Found = Missing, "this kernel lacks WAIT_KILLABLE_RECV: signals would interrupt calls that have had their effect"
		notify.Advice = "use Linux 5.19 or newer"
	case s.Notify != Yes || s.Killable != Yes:
		notify.State, notify.Found, notify.Advice = Unknown, "the kernel does not tell", "try it: vcomd run sim:echo -- stty -F {}"
	}
	checks := Report{notify, yama(f)}
	privileges := Check{Part: Run, Name: "set-uid programs", State: Limited, Found: "they gain no privileges under vcomd run", Advice: notNeeded}
	switch {
	case s.NoNewPrivs:
		privileges.Found += ": this process may not gain any itself (no_new_privs)"
	case f.User.Has(capSysAdmin):
		privileges.State, privileges.Found, privileges.Advice = OK, "they work with --no-new-privs=false", ""
	default:
		privileges.Advice += "; root can allow it with --no-new-privs=false"
	}
	checks = append(checks, privileges)
	switch s.Bits32 {
	case Yes:
		checks = append(checks, Check{Part: Run, Name: "32-bit programs", State: OK, Found: "they run here, and are served"})
	case No:
		checks = append(checks, Check{Part: Run, Name: "32-bit programs", State: OK, Found: "none can run on this kernel"})
	case CannotTell:
	}
	return checks
}

func yama(f Facts) Check {
	c := Check{Part: Run, Name: "ptrace scope", State: OK}
	switch scope := f.Seccomp.Yama; {
	case scope < 0:
		c.Found = "no Yama: vcomd may look into the user's programs"
	case f.User.Root() || scope == 0:
		c.Found = fmt.Sprintf("%d: vcomd may look into programs", scope)
	case scope == 1:
		c.Found = "1: vcomd may look into the programs that it has started, which is enough"
	default:
		c.State, c.Found = Limited, fmt.Sprintf("%d: vcomd may look into no program; they get a plain pseudo-terminal", scope)
		c.Advice = runAsRoot + ", or sysctl kernel.yama.ptrace_scope=1"
	}
	if f.Seccomp.Yama > 2 {
		c.State, c.Found = Limited, strconv.Itoa(f.Seccomp.Yama)+": nobody may look into programs; they get a plain pseudo-terminal"
		c.Advice = "start the machine with kernel.yama.ptrace_scope at 1"
	}
	return c
}

func usb(f Facts) Report {
	u := f.USB
	var checks Report
	load := false
	explained := "" // the module with which it is said what this kernel lacks
	for _, m := range u.Modules {
		c := Check{Part: USB, Name: m.Name, State: OK, Found: "it is there"}
		switch m.State {
		case vhci.ModuleReady:
		case vhci.ModuleLoadable:
			load = true
			c.Found = "this kernel has it; vcomd loads it"
			if u.Locked {
				c.State, c.Found = Missing, "this kernel has it, and loads no modules any more (kernel.modules_disabled)"
				c.Advice = "load it before that: name it in /etc/modules-load.d, and restart the machine"
			}
		case vhci.ModuleAbsent:
			c.State, c.Found, c.Advice = Missing, "this kernel has none", "use --tty pty"
			failed, ok := errors.AsType[*vhci.Error](u.Missing)
			switch {
			case !ok || !errors.Is(failed, vhci.ErrUnavailable):
			case explained != "":
				c.Advice = "as for " + explained
			default:
				c.Found, c.Advice, explained = failed.Found, failed.Advice, m.Name
			}
		case vhci.ModuleUnknown:
			c.State, c.Found = Missing, "it is not loaded, and the modules of this kernel are not here"
			c.Advice = "in a container, modprobe " + m.Name + " outside of it; after an update of the kernel, restart the machine"
		}
		checks = append(checks, c)
	}
	checks = append(checks, usbPrivileges(f, load))
	if u.FreeErr == nil {
		c := Check{Part: USB, Name: "free ports", State: OK, Found: strconv.Itoa(u.Free)}
		if u.Free == 0 {
			c.State, c.Found, c.Advice = Missing, "none: other devices have them all", "detach one; usbip port lists them"
		}
		checks = append(checks, c)
	}
	nodes := Check{Part: USB, Name: "nodes in /dev", State: OK, Found: "the kernel makes them (devtmpfs)"}
	if !u.Devtmpfs {
		nodes.State, nodes.Found = Limited, "/dev is no devtmpfs, as in a container: ttyUSBN may not appear in it"
		nodes.Advice = "run vcomd outside, or mount the machine's /dev"
	}
	return append(checks, nodes)
}

// usbPrivileges judges whether this user may attach a device.
func usbPrivileges(f Facts, load bool) Check {
	c := Check{Part: USB, Name: "privileges", State: OK, Found: "this user may attach devices"}
	failed, _ := errors.AsType[*vhci.Error](f.USB.Missing)
	switch {
	case failed != nil && errors.Is(failed, vhci.ErrPermission):
		c.State, c.Found, c.Advice = Missing, failed.Found, failed.Advice
	case load && !f.User.Has(capSysModule) && !f.USB.Locked:
		c.State, c.Found, c.Advice = Missing, "only root may load modules", runAsRoot
	case !f.User.Root():
		c.State, c.Found, c.Advice = Missing, "only root may attach devices", runAsRoot
	}
	return c
}

func overlay(f Facts) Report {
	mount := Check{Part: Over, Name: "mounts", State: OK, Found: "this user may mount"}
	if !f.User.Has(capSysAdmin) {
		mount.State, mount.Found, mount.Advice = Missing, "only root may mount (CAP_SYS_ADMIN)", asRootUnit+"; or use --link"
		return Report{mount}
	}
	replace := Check{Part: Over, Name: "seamless change", State: OK, Found: "a new tty takes the old one's place in one step"}
	switch f.Beneath {
	case Yes:
	case No:
		replace.State, replace.Found = Limited, "this kernel cannot mount one beneath another: new ones go on top"
		replace.Advice = "Linux 6.5 can"
	case CannotTell:
		replace.State, replace.Found, replace.Advice = Unknown, "the kernel does not tell", asRootUnit
	}
	return Report{mount, replace}
}

func system(f Facts) Report {
	return Report{dialout(f.User), runDir(f.RunDir), udevRules(f), systemd(f)}
}

func dialout(u User) Check {
	c := Check{Part: System, Name: "dialout", State: OK}
	who, add := u.Name, "usermod -aG dialout "+u.Name+", and log in again"
	if who == "" { // usermod(8) knows no such account either
		who, add = "user "+strconv.Itoa(u.UID), "run vcomd as a user with a name, and in that group"
	}
	switch {
	case u.Dialout < 0:
		c.State, c.Found = Limited, "there is no such group: ttys are root's alone"
		c.Advice = "groupadd --system dialout, or choose another with --group"
	case u.Has(capChown):
		c.Found = "ttys are given to the group (" + strconv.Itoa(u.Dialout) + ")"
	case u.InDialout:
		c.Found = who + " is in it: --group dialout works"
	default:
		c.State, c.Found = Limited, who+" is not in it: ttys are for this user alone, and those of root's vcomd out of reach"
		c.Advice = add
	}
	return c
}

func runDir(d DirFacts) Check {
	c := Check{Part: System, Name: "run directory", State: OK, Found: d.Path + " can be written"}
	if d.Err != nil {
		c.State, c.Found, c.Advice = Missing, d.Path+": "+d.Err.Error(), "choose another with --run-dir"
	}
	return c
}

func udevRules(f Facts) Check {
	c := Check{Part: System, Name: "udev", State: OK}
	switch u := f.Udev; {
	case !u.Runs:
		c.State, c.Found = Limited, "it does not run: no /dev/vcom/NAME and no units for the ttys of --tty usb"
		c.Advice = notNeeded
	case u.Rules == "":
		c.State, c.Found, c.Advice = Limited, "it runs, without vcomd's rules: no /dev/vcom/NAME, and ModemManager may probe ports of --tty usb", "vcomd udev --install"
	case u.Edited:
		c.Found = "it runs, and somebody has changed " + u.Rules
	default:
		c.Found = "it runs, with " + u.Rules
	}
	return c
}

func systemd(f Facts) Check {
	if f.Systemd {
		return Check{Part: System, Name: "systemd", State: OK, Found: "it runs"}
	}
	return Check{Part: System, Name: "systemd", State: Limited, Found: "it does not run: no units for ports", Advice: notNeeded}
}

// Explain is one sentence of a check that is not OK.
func (c Check) Explain() string {
	return strings.Join([]string{c.Name + ": " + c.Found, c.Advice}, "; ")
}
