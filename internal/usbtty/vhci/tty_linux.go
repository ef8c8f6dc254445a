package vhci

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// TTY is the terminal that the kernel has made of a device.
type TTY struct {
	Path         string // of the node: /dev/ttyUSB0
	Name         string // ttyUSB0
	Major, Minor uint32
	BusID        string // of the USB device, in /sys/bus/usb/devices

	since uint64 // the node is younger than this: CLOCK_MONOTONIC in microseconds
}

// TTY finds the tty that the kernel has made of the device at this port,
// whatever number it got. serial, vid and pid are those of the device's
// descriptors, and have to be found there too; an empty serial is not looked
// at. The node in /dev has to be there, with the tty's device number.
//
// It must not be called by whoever answers the device's requests: the kernel holds
// the device's lock while it makes some, and to read what a descriptor says waits
// for that lock (serial_show, drivers/usb/core/sysfs.c).
//
// The error is an *Error: ErrNotYet while the kernel is about it, and then it says
// how far it has come; ErrGone if the device is not attached any more.
func (h *Host) TTY(p *Port, serial string, vid, pid uint16) (TTY, error) {
	s, err := h.Status(p)
	if err != nil {
		return TTY{}, err
	}
	if s.State != StateUsed {
		return TTY{}, notYet("the kernel has not addressed it yet", nil)
	}
	device := h.path("sys/bus/usb/devices", s.BusID)
	if err := checkDevice(device, serial, vid, pid); err != nil {
		return TTY{}, err
	}
	name, err := ttyOf(device, s.BusID)
	if err != nil {
		return TTY{}, err
	}
	t := TTY{Path: h.path("dev", filepath.Base(name)), Name: filepath.Base(name), BusID: s.BusID, since: p.since}
	number, err := read(filepath.Join(name, "tty", t.Name, "dev"))
	if err != nil {
		return TTY{}, notYet("the kernel has not made its tty yet", nil)
	}
	if t.Major, t.Minor, err = parseNumbers(number); err != nil {
		return TTY{}, &Error{Op: opFind, Found: "the kernel gives " + t.Name + " the number " + strconv.Quote(number), Err: err}
	}
	if err := h.checkNode(t); err != nil {
		return TTY{}, err
	}
	return t, nil
}

func checkDevice(dir, serial string, vid, pid uint16) error {
	wanted := []struct{ file, value string }{
		{"idVendor", fmt.Sprintf("%04x", vid)}, {"idProduct", fmt.Sprintf("%04x", pid)}, {"serial", serial},
	}
	for _, w := range wanted {
		if w.value == "" {
			continue
		}
		value, err := read(filepath.Join(dir, w.file))
		if err != nil {
			return notYet("the kernel has not read its descriptors yet", nil)
		}
		if value != strings.TrimSpace(w.value) {
			return gone(fmt.Sprintf("the USB device at %s has the %s %q and not %q", filepath.Base(dir), w.file, value, w.value))
		}
	}
	return nil
}

// ttyOf returns the directory of the serial port below the device's interfaces:
// …/1-1/1-1:1.0/ttyUSB0.
func ttyOf(device, busID string) (string, error) {
	interfaces, _ := filepath.Glob(filepath.Join(device, busID+":*")) // the pattern is well-formed
	for _, i := range interfaces {
		if ports, _ := filepath.Glob(filepath.Join(i, "tty*[0-9]")); len(ports) > 0 {
			return ports[0], nil
		}
	}
	for _, i := range interfaces {
		if _, err := os.Lstat(filepath.Join(i, "driver")); errors.Is(err, fs.ErrNotExist) {
			return "", notYet("no driver has taken it yet", nil)
		}
	}
	return "", notYet("the kernel has not made its tty yet", nil)
}

func parseNumbers(s string) (major, minor uint32, err error) {
	a, b, _ := strings.Cut(s, ":")
	x, err := strconv.ParseUint(a, 10, 32)
	if err != nil {
		return 0, 0, err
	}
	y, err := strconv.ParseUint(b, 10, 32)
	return uint32(x), uint32(y), err
}

// checkNode makes sure that the node is there and is the tty.
func (h *Host) checkNode(t TTY) error {
	device := h.Device
	if device == nil {
		device = deviceOf
	}
	major, minor, err := device(t.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return notYet("the kernel has made "+t.Name+", and there is no "+t.Path+" yet", nil)
	case err != nil:
		return notYet(t.Path+" cannot be looked at", cause(err))
	case major != t.Major || minor != t.Minor:
		return notYet(fmt.Sprintf("%s is the device %d:%d, and not %s, which is %d:%d", t.Path, major, minor, t.Name, t.Major, t.Minor), nil)
	}
	return nil
}

// deviceOf is Host.Device.
func deviceOf(path string) (major, minor uint32, err error) {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return 0, 0, err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFCHR {
		return 0, 0, errors.New("it is no character device")
	}
	return unix.Major(st.Rdev), unix.Minor(st.Rdev), nil
}

func notYet(found string, err error) error {
	return &Error{Op: opFind, Found: found, Kind: ErrNotYet, Err: err}
}
