package vhci

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Modules tells of the modules that are needed. It changes nothing.
func (h *Host) Modules() []Module {
	modules := []Module{{Name: moduleController}, {Name: moduleDriver}}
	sign := []string{h.controller("attach"), h.driver("new_id")}
	for i := range modules {
		if _, err := os.Lstat(sign[i]); err != nil {
			modules[i].State = h.available(modules[i].Name)
		}
	}
	return modules
}

// Release is the running kernel's, as uname(1) -r prints it, or "".
func (h *Host) Release() string {
	release, err := read(h.path("proc/sys/kernel/osrelease"))
	if err != nil || strings.ContainsRune(release, '/') {
		return ""
	}
	return release
}

// available looks in the lists of the running kernel's modules.
func (h *Host) available(name string) ModuleState {
	if _, err := os.Lstat(h.path("proc/modules")); errors.Is(err, fs.ErrNotExist) {
		return ModuleAbsent // a kernel without loadable modules has no such file
	}
	dir := h.path("lib/modules", h.Release())
	list, err := os.ReadFile(dir + "/modules.dep")
	if err != nil || h.Release() == "" {
		return ModuleUnknown
	}
	if listsModule(string(list), name) {
		return ModuleLoadable
	}
	// Built in and yet without its files in /sys: it works no better than none.
	return ModuleAbsent
}

// Missing says what stands in the way of using this kernel's controller and
// driver as they are, and how to get it; nil if nothing does. Modules that could
// be loaded do not count. The error is an *Error of kind ErrUnavailable or
// ErrPermission. It changes nothing.
func (h *Host) Missing() error {
	var absent []string
	for _, m := range h.Modules() {
		if m.State == ModuleAbsent {
			absent = append(absent, m.Name)
		}
	}
	if len(absent) > 0 {
		osRelease, _ := os.ReadFile(h.path("etc/os-release")) // without it the advice is for all
		release, id := h.Release(), distribution(string(osRelease))
		return &Error{Op: opAttach, Found: absence(absent, release, id), Advice: remedy(release, id), Kind: ErrUnavailable}
	}
	for _, path := range []string{h.controller("attach"), h.driver("new_id")} {
		if err := writable(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return h.denied(path, err)
		}
	}
	return nil
}

// Prepare sees to it that Attach can work and that the kernel will make a tty of
// a device with these ids: it loads the modules that are not there, checks that
// this process may use them, and tells ftdi_sio the ids if it does not know them
// yet. The error is an *Error of kind ErrUnavailable or ErrPermission.
func (h *Host) Prepare(ctx context.Context, vid, pid uint16) error {
	if err := h.Missing(); err != nil {
		return err
	}
	if err := h.load(ctx); err != nil {
		return err
	}
	if err := h.Missing(); err != nil { // the files of modules that were loaded just now
		return err
	}
	return h.announce(vid, pid)
}

// load loads the modules that are not there.
func (h *Host) load(ctx context.Context) error {
	var names []string
	unknown := false
	for _, m := range h.Modules() {
		if m.State != ModuleReady {
			names = append(names, m.Name)
			unknown = unknown || m.State == ModuleUnknown
		}
	}
	if len(names) == 0 {
		return nil
	}
	modprobe := h.Modprobe
	if modprobe == nil {
		modprobe = runModprobe
	}
	err := modprobe(ctx, names...)
	list := strings.Join(names, " and ")
	switch {
	case errors.Is(err, fs.ErrPermission):
		return &Error{
			Op: opAttach, Found: list + ": not loaded, and only root may load modules",
			Advice: "run vcomd as root, or use --tty pty", Kind: ErrPermission,
		}
	case err != nil && unknown:
		return &Error{
			Op: opAttach, Found: list + ": not loaded, and the modules of this kernel (" + h.Release() + ") are not here", Err: err,
			Advice: "in a container, modprobe " + strings.Join(names, " ") + " outside of it; after an update of the kernel, restart the machine; or use --tty pty",
			Kind:   ErrUnavailable,
		}
	case err != nil:
		return &Error{
			Op: opAttach, Found: list + ": cannot be loaded", Err: err,
			Advice: "see what modprobe -v " + strings.Join(names, " ") + " says, or use --tty pty", Kind: ErrUnavailable,
		}
	}
	for _, m := range h.Modules() {
		if m.State != ModuleReady {
			return &Error{
				Op: opAttach, Found: m.Name + " was loaded, and has no files in /sys", Advice: "check that /sys is mounted, and what dmesg says, or use --tty pty",
				Kind: ErrUnavailable,
			}
		}
	}
	return nil
}

// runModprobe is Host.Modprobe. Who may not load modules gets an error that says
// so, where modprobe's words differ from version to version.
func runModprobe(ctx context.Context, modules ...string) error {
	if !hasCapability(unix.CAP_SYS_MODULE) {
		return unix.EPERM
	}
	program, err := exec.LookPath("modprobe")
	if err != nil {
		program = "/sbin/modprobe" // not in everybody's PATH
	}
	out, err := exec.CommandContext(ctx, program, append([]string{"-a", "--"}, modules...)...).CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && len(out) > 0 {
		const most = 500
		text := strings.Join(strings.Fields(string(out[:min(len(out), most)])), " ")
		return fmt.Errorf("modprobe: %s (%w)", text, exit)
	}
	if err != nil {
		return fmt.Errorf("modprobe: %w", cause(err))
	}
	return nil
}

func hasCapability(capability int) bool {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return false
	}
	const bits = 32
	return data[capability/bits].Effective&(1<<(capability%bits)) != 0
}

// writable asks the kernel whether this process may write to a file, without
// opening it.
func writable(path string) error {
	return os.NewSyscallError("faccessat", unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK, unix.AT_EACCESS))
}

// denied says why a file of sysfs cannot be written to.
func (h *Host) denied(path string, err error) error {
	e := &Error{Op: opAttach, Kind: ErrPermission}
	switch {
	case errors.Is(err, unix.EROFS):
		e.Found, e.Advice = "/sys is mounted read-only, as in a container", "run vcomd outside, or give the container a /sys that it may write, or use --tty pty"
	case errors.Is(err, fs.ErrPermission):
		e.Found, e.Advice = "only root may write to "+path, "run vcomd as root, or use --tty pty"
	default:
		e.Found, e.Err, e.Kind = path+" cannot be written", cause(err), nil
	}
	return e
}

// announce tells the driver the ids, once (new_id in Documentation/ABI/testing/sysfs-bus-usb).
func (h *Host) announce(vid, pid uint16) error {
	path := h.driver("new_id")
	list, err := os.ReadFile(path)
	if err != nil {
		return &Error{Op: opAttach, Found: "ftdi_sio's list of devices cannot be read", Advice: "check that /sys is mounted", Err: cause(err)}
	}
	if knows(string(list), vid, pid) {
		return nil
	}
	if err := h.write(path, fmt.Sprintf("%04x %04x", vid, pid)); err != nil {
		return h.denied(path, err)
	}
	return nil
}

// knows reports whether a list of new_id's has a device: "1209 2217", and
// perhaps an interface's class after it.
func knows(list string, vid, pid uint16) bool {
	return slices.ContainsFunc(strings.Split(list, "\n"), func(line string) bool {
		fields := strings.Fields(line)
		return len(fields) == 2 && isHex(fields[0], vid) && isHex(fields[1], pid)
	})
}

func isHex(s string, want uint16) bool {
	n, err := strconv.ParseUint(s, 16, 16)
	return err == nil && n == uint64(want)
}
