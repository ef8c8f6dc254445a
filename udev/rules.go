package udev

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strings"
)

// FileName is the rules' name in a directory of rules.
const FileName = "70-vcomd.rules"

// Defaults of Options.
const (
	DefaultVendor  = 0x1209
	DefaultProduct = 0x2217
	DefaultGroup   = "dialout"
	DefaultMode    = 0o660
)

// Options are what the rules are to say. Zero values are the defaults.
type Options struct {
	Vendor, Product uint16 // of the adapters
	Owner           string // a user's name or number; none: left to other rules, which is root
	Group           string // a name or a number
	Mode            fs.FileMode
	// Wants has systemd units to start when a port appears, by the port's name.
	Wants map[string][]string
	// Start has devices with which vcomd@NAME.service is started and stopped, by the port's name: "net:wg0", "tty:ttyUSB0",
	// "usb:0403:6001" or "usb:0403:6001:SERIAL".
	Start map[string][]string
}

// ErrUnsafe says that a value cannot be written into rules.
var ErrUnsafe = errors.New("it cannot be written into udev rules")

// OptionError says which of the options is wrong. It is an ErrUnsafe.
type OptionError struct {
	Option string // "owner", "group", "mode", "wants" or "start"
	Value  string
	Found  string // what is wrong with it
	Hint   string // what to write instead
}

// Error implements error.
func (e *OptionError) Error() string {
	return fmt.Sprintf("udev rules: %s %q: %s; %s", e.Option, e.Value, e.Found, e.Hint)
}

// Unwrap returns ErrUnsafe.
func (*OptionError) Unwrap() error { return ErrUnsafe }

// Names: what may stand in a rule, and what udev leaves as it is in a link.
const (
	letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	digits  = "0123456789"
	// A name's characters, as a pattern of udev's (fnmatch(3)) has them too.
	nameChars   = letters + digits + "._-"
	namePattern = "A-Za-z0-9._-"
	// maxName: a USB string descriptor has 126 characters at most.
	maxName = 126
	// maxUnit is UNIT_NAME_MAX, systemd.unit(5), with its NUL.
	maxUnit = 255
)

// LinkName reports whether a port of this name gets the link /dev/vcom/NAME:
// letters, digits, dots, underscores and dashes, no dot or dash at the
// beginning, 126 characters at most.
func LinkName(name string) bool {
	return name != "" && len(name) <= maxName && name[0] != '.' && name[0] != '-' && only(name, nameChars)
}

func only(s, chars string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune(chars, r) })
}

func isAccount(s string) bool {
	const most = 32 // of useradd(8)
	return s != "" && len(s) <= most && s[0] != '-' && s[0] != '.' && only(s, nameChars)
}

func isUnit(s string) bool {
	base, suffix, ok := cutLast(s, '.')
	kinds := []string{"service", "socket", "target", "path", "timer", "mount", "automount", "swap", "slice", "scope", "device"}
	return ok && base != "" && len(s) <= maxUnit && slices.Contains(kinds, suffix) && only(s, letters+digits+`:-_.\@`)
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}

// check finds what must not get into rules: what is quoted, substituted ($, %),
// or a pattern there.
func (o Options) check() error {
	if o.Owner != "" && !isAccount(o.Owner) {
		return &OptionError{"owner", o.Owner, "this is no user's name", "write a name or a number"}
	}
	if o.Group != "" && !isAccount(o.Group) {
		return &OptionError{"group", o.Group, "this is no group's name", "write a name or a number"}
	}
	if o.Mode&^fs.ModePerm != 0 {
		return &OptionError{"mode", fmt.Sprintf("%o", uint32(o.Mode)), "these are no permissions of a tty", "write 0660"}
	}
	for _, name := range slices.Sorted(maps.Keys(o.Wants)) {
		if !LinkName(name) {
			return &OptionError{
				"wants", name, "this is no name of a port that rules can have",
				"use letters, digits, dots, underscores and dashes, no dot or dash first, 126 at most",
			}
		}
		for _, unit := range o.Wants[name] {
			if !isUnit(unit) {
				return &OptionError{"wants", unit, "this is no name of a systemd unit", "write gpsd.service or gpsd@" + name + ".service"}
			}
		}
	}
	return o.checkStart()
}

// Rules returns the text of the rules file. The error is an *OptionError.
func Rules(o Options) (string, error) {
	if err := o.check(); err != nil {
		return "", err
	}
	match := fmt.Sprintf(`ATTRS{idVendor}=="%04x", ATTRS{idProduct}=="%04x"`, cmp.Or(o.Vendor, DefaultVendor), cmp.Or(o.Product, DefaultProduct))
	var b strings.Builder
	b.WriteString(preamble)
	b.WriteString(o.startRules())
	fmt.Fprintf(&b, `
ACTION=="remove", GOTO="vcomd_end"
SUBSYSTEM!="usb|tty", GOTO="vcomd_end"
DEVPATH!="/devices/platform/vhci_hcd.*", GOTO="vcomd_end"

# The USB device: what ModemManager asks for all of its ports.
SUBSYSTEM=="usb", ENV{DEVTYPE}=="usb_device", %s, ENV{ID_MM_DEVICE_IGNORE}="1"

SUBSYSTEM=="tty", %s, GOTO="vcomd_tty"
GOTO="vcomd_end"

LABEL="vcomd_tty"
%sGROUP="%s", MODE="%04o", TAG+="systemd"
ENV{ID_MM_DEVICE_IGNORE}="1", ENV{ID_MM_PORT_IGNORE}="1"

# A name for programs, if it is fit for one.
%s, ATTRS{serial}=="?*", ATTRS{serial}!="*[!%s]*", ATTRS{serial}!="[.-]*", \
  SYMLINK+="vcom/$attr{serial}"
`, match, match, owner(o.Owner), cmp.Or(o.Group, DefaultGroup), cmp.Or(o.Mode, DefaultMode).Perm(), match, namePattern)
	if len(o.Wants) > 0 {
		b.WriteString("\n# Units to start when a port appears.\n")
	}
	for _, name := range slices.Sorted(maps.Keys(o.Wants)) {
		for _, unit := range o.Wants[name] {
			fmt.Fprintf(&b, "%s, ATTRS{serial}==\"%s\", ENV{SYSTEMD_WANTS}+=\"%s\"\n", match, name, unit)
		}
	}
	b.WriteString("\nLABEL=\"vcomd_end\"\n")
	return header(b.String()) + b.String(), nil
}

func owner(name string) string {
	if name == "" {
		return ""
	}
	return `OWNER="` + name + `", `
}

const preamble = `#
# The ttys of vcomd --tty usb. Made by vcomd udev, which replaces this file when it
# is called again, unless you have changed it: then it is yours.
#
# It comes after 50-udev-default.rules (group dialout) and 60-serial.rules (the
# descriptors, and /dev/serial/by-id), and before 77-mm-*.rules (ModemManager)
# and 99-systemd.rules.
`

const headerStart = "# vcomd's udev rules, sha256:"

// header is the first line, for what follows it.
func header(rest string) string {
	sum := sha256.Sum256([]byte(rest))
	return headerStart + hex.EncodeToString(sum[:]) + "\n"
}

// Pristine reports whether a file's text is one that Rules has made, of this
// version or another, and nobody has changed.
func Pristine(text string) bool {
	first, rest, _ := strings.Cut(text, "\n")
	return strings.HasPrefix(first, headerStart) && first+"\n" == header(rest)
}
