package vhci

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Host is this machine's virtual host controller. Its zero value is the real
// one; tests give it a root and a kernel of their own (package vhcitest). Its
// methods may be called from several goroutines.
type Host struct {
	// Root is where sys, proc, dev, run, etc and lib are; "" is "/".
	Root string
	// Modprobe loads kernel modules; nil runs modprobe(8).
	Modprobe func(ctx context.Context, modules ...string) error
	// Write writes a whole text to a file of sysfs in one system call; nil does
	// that. Its errors are those of write(2).
	Write func(path, text string) error
	// Device returns the numbers of a character device's node; nil asks stat(2).
	Device func(path string) (major, minor uint32, err error)
}

func (h *Host) path(elem ...string) string {
	root := h.Root
	if root == "" {
		root = "/"
	}
	return filepath.Join(append([]string{root}, elem...)...)
}

// controller is the directory of the first controller, which has the files of all.
func (h *Host) controller(name string) string {
	return h.path("sys/devices/platform/vhci_hcd.0", name)
}

// driver is a file of the driver's on the bus of serial adapters.
func (h *Host) driver(name string) string {
	return h.path("sys/bus/usb-serial/drivers", moduleDriver, name)
}

// Ports returns all ports of all controllers, in the order of their numbers. The
// error is an *Error of kind ErrUnavailable if vhci_hcd is not there.
func (h *Host) Ports() ([]PortStatus, error) {
	entries, err := os.ReadDir(h.controller(""))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{
			Op: opAttach, Found: "vhci_hcd is not loaded", Advice: "modprobe " + moduleController + ", or use --tty pty", Kind: ErrUnavailable,
		}
	}
	if err != nil {
		return nil, &Error{Op: opAttach, Found: "vhci_hcd's ports cannot be listed", Advice: "check that /sys is mounted", Err: cause(err)}
	}
	var all []PortStatus
	for _, e := range entries {
		number, more := strings.CutPrefix(e.Name(), "status.")
		if e.Name() != "status" && (!more || !isNumber(number)) {
			continue
		}
		text, err := os.ReadFile(h.controller(e.Name()))
		if err != nil {
			return nil, &Error{Op: opAttach, Found: "vhci_hcd's " + e.Name() + " cannot be read", Err: cause(err)}
		}
		all = append(all, parseStatus(string(text))...)
	}
	slices.SortStableFunc(all, func(a, b PortStatus) int { return a.Number - b.Number })
	return all, nil
}

// Free returns how many ports there are for another device of full or high speed.
func (h *Host) Free() (int, error) {
	ports, err := h.Ports()
	free := 0
	for _, p := range ports {
		if p.Hub == HubHighSpeed && p.State == StateFree {
			free++
		}
	}
	return free, err
}

// status returns one port's; false: there is no such port.
func (h *Host) status(number int) (PortStatus, bool, error) {
	ports, err := h.Ports()
	if err != nil {
		return PortStatus{}, false, err
	}
	i := slices.IndexFunc(ports, func(p PortStatus) bool { return p.Number == number })
	if i < 0 {
		return PortStatus{}, false, nil
	}
	return ports[i], true, nil
}

func (h *Host) write(path, text string) error {
	if h.Write != nil {
		return h.Write(path, text)
	}
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// read returns a file's text without the white space around it.
func read(path string) (string, error) {
	text, err := os.ReadFile(path)
	return strings.TrimSpace(string(text)), err
}

// cause leaves the path away that the message has already.
func cause(err error) error {
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return failed.Err
	}
	return err
}

// DeviceID makes an id for Attach that no other process of this machine uses,
// from a number below 1,024 that this process has not used yet.
func DeviceID(n int) uint32 {
	const bits = 10 // the kernel's process ids have 22 at most (PID_MAX_LIMIT)
	return uint32(os.Getpid())<<bits | uint32(n)&(1<<bits-1)
}

func portName(number int) string { return "port " + strconv.Itoa(number) }
