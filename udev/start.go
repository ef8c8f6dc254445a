package udev

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// startUnit serves one port: vcomd@NAME.service.
func startUnit(name string) string { return "vcomd@" + name + ".service" }

// maxInterface is IFNAMSIZ, linux/if.h, with its NUL.
const maxInterface = 16

// deviceMatch makes the match of a device, as --start writes it, for its appearance and its end: net:INTERFACE, tty:NAME or
// usb:VENDOR:PRODUCT[:SERIAL]. At the end of a USB device its attributes have gone: what the kernel says, and what udev has
// kept, has not.
func deviceMatch(text string) (appears, goes string, ok bool) {
	kind, rest, _ := strings.Cut(text, ":")
	switch kind {
	case "net", "tty":
		if rest == "" || rest[0] == '.' || !only(rest, nameChars) || kind == "net" && len(rest) >= maxInterface || len(rest) > maxName {
			return "", "", false
		}
		match := fmt.Sprintf(`SUBSYSTEM==%q, KERNEL==%q`, kind, rest)
		return match, match, true
	case "usb":
		parts := strings.Split(rest, ":")
		if len(parts) < 2 || len(parts) > 3 || !isID(parts[0]) || !isID(parts[1]) {
			return "", "", false
		}
		const usb = `SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device"`
		appears = fmt.Sprintf(`%s, ATTR{idVendor}==%q, ATTR{idProduct}==%q`, usb, parts[0], parts[1])
		goes = fmt.Sprintf(`%s, ENV{PRODUCT}=="%s/%s/*"`, usb, short(parts[0]), short(parts[1]))
		if len(parts) == 3 {
			if !LinkName(parts[2]) {
				return "", "", false
			}
			appears += fmt.Sprintf(`, ATTR{serial}==%q`, parts[2])
			goes += fmt.Sprintf(`, ENV{ID_SERIAL_SHORT}==%q`, parts[2])
		}
		return appears, goes, true
	default:
		return "", "", false
	}
}

// isID reports whether s is a vendor's or product's number as USB devices show it: four digits.
func isID(s string) bool { return len(s) == 4 && only(s, "0123456789abcdef") }

// short is a number as the kernel writes it in PRODUCT, without zeros in front.
func short(id string) string {
	if s := strings.TrimLeft(id, "0"); s != "" {
		return s
	}
	return "0"
}

// checkStart finds what must not get into rules.
func (o Options) checkStart() error {
	for _, name := range slices.Sorted(maps.Keys(o.Start)) {
		if !LinkName(name) || !isUnit(startUnit(name)) {
			return &OptionError{
				"start", name, "this is no name of a port that rules can have",
				"use letters, digits, dots, underscores and dashes, no dot or dash first, 126 at most",
			}
		}
		for _, text := range o.Start[name] {
			if _, _, ok := deviceMatch(text); !ok {
				return &OptionError{"start", text, "this is no device", "write net:wg0, tty:ttyUSB0, usb:0403:6001 or usb:0403:6001:SERIAL"}
			}
		}
	}
	return nil
}

// startRules start a port's unit with its device, and stop it with that.
func (o Options) startRules() string {
	if len(o.Start) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("\n# Ports that are served while a device is there. An unbind comes before the end, and without this udev forgets the serial then.\n")
	b.WriteString(`ACTION=="unbind", SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", IMPORT{db}="ID_SERIAL_SHORT"` + "\n")
	for _, name := range slices.Sorted(maps.Keys(o.Start)) {
		for _, text := range o.Start[name] {
			appears, goes, _ := deviceMatch(text) // as checked
			fmt.Fprintf(&b, "ACTION!=\"remove\", %s, TAG+=\"systemd\", ENV{SYSTEMD_WANTS}+=\"%s\"\n", appears, startUnit(name))
			fmt.Fprintf(&b, "ACTION==\"remove\", %s, RUN+=\"/bin/systemctl --no-block stop %s\"\n", goes, startUnit(name))
		}
	}
	return b.String()
}
