package vhci

import (
	"path"
	"strings"
)

// The modules that make a tty of an attached device.
const (
	moduleController = "vhci_hcd"
	moduleDriver     = "ftdi_sio"
)

// ModuleState says how far away a kernel module is.
type ModuleState uint8

// The states of a module.
const (
	// ModuleReady: it is loaded or built in, and works.
	ModuleReady ModuleState = iota
	// ModuleLoadable: the running kernel's modules include it.
	ModuleLoadable
	// ModuleAbsent: the running kernel has no such module.
	ModuleAbsent
	// ModuleUnknown: the list of the running kernel's modules cannot be read, as
	// in a container, or after an update of the kernel and before the restart.
	ModuleUnknown
)

// String returns a word for people.
func (s ModuleState) String() string {
	switch s {
	case ModuleReady:
		return "ready"
	case ModuleLoadable:
		return "loadable"
	case ModuleAbsent:
		return "absent"
	case ModuleUnknown:
		return "unknown"
	}
	return "invalid"
}

// Module is one that is needed.
type Module struct {
	Name  string // as lsmod(8) writes it
	State ModuleState
}

// listsModule reports whether a modules.dep or modules.builtin (modules.dep(5))
// has a module. Files may be compressed (.ko.xz, .ko.zst), and have dashes where
// the module has underscores.
func listsModule(text, name string) bool {
	for line := range strings.Lines(text) {
		file, _, _ := strings.Cut(strings.TrimSpace(line), ":")
		base, _, ok := strings.Cut(path.Base(file), ".ko")
		if ok && strings.ReplaceAll(base, "-", "_") == name {
			return true
		}
	}
	return false
}

// remedy says how to get a module that the running kernel does not have.
func remedy(release, distribution string) string {
	switch {
	case strings.Contains(release, "cloud") && distribution == "debian":
		return "install linux-image-amd64 (or -arm64) and start that kernel, or use --tty pty"
	case distribution == "ubuntu":
		return "install linux-modules-extra-" + release + ", or use --tty pty"
	default:
		return "install a kernel with CONFIG_USBIP_VHCI_HCD and CONFIG_USB_SERIAL_FTDI_SIO, or use --tty pty"
	}
}

// absence names what the running kernel does not have.
func absence(modules []string, release, distribution string) string {
	s := "this kernel (" + release + ") has no " + strings.Join(modules, " and no ")
	if strings.Contains(release, "cloud") && distribution == "debian" {
		s += " (Debian's cloud kernels have no USB)"
	}
	return s
}

// distribution returns the ID of an os-release file (os-release(5)), or "".
func distribution(osRelease string) string {
	for line := range strings.Lines(osRelease) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), "ID="); ok {
			return strings.Trim(value, `"'`)
		}
	}
	return ""
}
