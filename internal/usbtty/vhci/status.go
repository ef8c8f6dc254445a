package vhci

import (
	"strconv"
	"strings"
)

// Speed is a USB device's speed (enum usb_device_speed, linux/usb/ch9.h).
type Speed uint8

// The speeds of the devices that can be attached.
const (
	SpeedFull Speed = 2 // 12 Mbit/s
	SpeedHigh Speed = 3 // 480 Mbit/s
)

// Hub is the kind of a port.
type Hub uint8

// The two root hubs of a controller.
const (
	HubHighSpeed  Hub = iota // "hs": devices of low, full and high speed
	HubSuperSpeed            // "ss"
)

// State is what the kernel says of a port (enum usbip_device_status,
// drivers/usb/usbip/usbip_common.h). Other values than these do not occur.
type State uint8

// The states of a port.
const (
	StateFree        State = 4
	StateNotAssigned State = 5 // attached, and not addressed yet; or its controller is not ready
	StateUsed        State = 6
	StateError       State = 7 // it is being detached after a failure
)

// PortStatus is one port, as a line of a status file tells it.
type PortStatus struct {
	Number int // over all controllers
	Hub    Hub
	State  State
	// Of StateUsed only:
	Speed  Speed
	Device uint32 // what was given to Attach
	Socket int    // the descriptor's number in the process that has attached; -1 before Linux 4.13, which has an address there
	BusID  string // the USB device's name in /sys/bus/usb/devices: "1-1"
}

// maxPort bounds a port's number. The kernel has 16 controllers at most, of 31
// ports a hub.
const maxPort = 16 * 2 * 31

// parseStatus reads a status file. A file whose first line does not name the
// columns has no ports.
func parseStatus(text string) []PortStatus {
	var (
		all     []PortStatus
		columns map[string]int
	)
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if columns == nil {
			columns = make(map[string]int, len(fields))
			for i, name := range fields {
				columns[name] = i
			}
			if i, old := columns["prt"]; old {
				columns["port"] = i
			}
			continue
		}
		if p, ok := parsePort(fields, columns); ok {
			all = append(all, p)
		}
	}
	return all
}

func parsePort(fields []string, columns map[string]int) (p PortStatus, ok bool) {
	field := func(name string) string {
		if i, known := columns[name]; known && i < len(fields) {
			return fields[i]
		}
		return ""
	}
	switch field("hub") {
	case "hs":
		p.Hub = HubHighSpeed
	case "ss":
		p.Hub = HubSuperSpeed
	default:
		if _, has := columns["hub"]; has {
			return p, false
		}
	}
	number, err := strconv.ParseUint(field("port"), 10, 32)
	if err != nil || number >= maxPort {
		return p, false
	}
	state, err := strconv.ParseUint(field("sta"), 10, 8)
	if err != nil {
		return p, false
	}
	p.Number, p.State = int(number), State(state)
	switch p.State {
	case StateFree, StateNotAssigned, StateError:
		return p, true
	case StateUsed:
	default:
		return p, false
	}
	speed, err := strconv.ParseUint(field("spd"), 10, 8)
	if err != nil {
		return p, false
	}
	device, err := strconv.ParseUint(field("dev"), 16, 32)
	if err != nil {
		return p, false
	}
	p.Speed, p.Device, p.Socket, p.BusID = Speed(speed), uint32(device), -1, field("local_busid")
	if socket, err := strconv.ParseUint(field("sockfd"), 10, 31); err == nil {
		p.Socket = int(socket)
	}
	return p, isBusID(p.BusID)
}

// isBusID reports whether s is the name of a USB device: a bus, and the ports
// on the way to it ("1-1", "3-2.4"). It becomes part of a path.
func isBusID(s string) bool {
	bus, ports, ok := strings.Cut(s, "-")
	if !ok || !isNumber(bus) {
		return false
	}
	for port := range strings.SplitSeq(ports, ".") {
		if !isNumber(port) {
			return false
		}
	}
	return true
}

func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}
