package udev

import (
	"errors"
	"slices"
	"testing"
)

// A port's unit is started by its device alone, and stopped when that goes.
func TestStart(t *testing.T) {
	all := rules(t, Options{Start: map[string][]string{
		"one": {"net:wg0"}, "two": {"tty:ttyUSB0"}, "three": {"usb:0403:6001"}, "with-4": {"usb:067b:0003:A.1"},
	}})
	usb := func(vendor, product, serial, kernels string) device {
		return device{
			subsystem: "usb", devpath: "/devices/pci0000:00/usb1/1-1", env: map[string]string{"DEVTYPE": "usb_device", "PRODUCT": kernels, "ID_SERIAL_SHORT": serial},
			attributes: map[string]string{"idVendor": vendor, "idProduct": product, "serial": serial},
		}
	}
	otherType := usb("0403", "6001", "", "403/6001/600")
	otherType.env["DEVTYPE"] = "usb_interface"
	for _, c := range []struct {
		name string
		d    device
		unit string // "" for none
	}{
		{"interface", device{subsystem: "net", devpath: "/devices/virtual/net/wg0"}, "vcomd@one.service"},
		{"another interface", device{subsystem: "net", devpath: "/devices/virtual/net/wg01"}, ""},
		{"tty of that name", device{subsystem: "tty", devpath: "/devices/virtual/tty/wg0"}, ""},
		{"tty", device{subsystem: "tty", devpath: "/devices/pci0000:00/usb1/1-1/ttyUSB0/tty/ttyUSB0"}, "vcomd@two.service"},
		{"USB device", usb("0403", "6001", "X", "403/6001/600"), "vcomd@three.service"},
		{"its interface", otherType, ""},
		{"another product", usb("0403", "6010", "X", "403/6010/600"), ""},
		{"USB device with a serial", usb("067b", "0003", "A.1", "67b/3/100"), "vcomd@with-4.service"},
		{"with another serial", usb("067b", "0003", "AB1", "67b/3/100"), ""},
	} {
		for _, action := range []string{"add", "change", "remove"} {
			c.d.action = action
			if action == "remove" {
				c.d.attributes = nil // they have gone
			}
			got := evaluate(t, all, c.d)
			wants, run := c.unit, []string(nil)
			if action == "remove" {
				if wants = ""; c.unit != "" {
					run = []string{"/bin/systemctl --no-block stop " + c.unit}
				}
			}
			if got.env["SYSTEMD_WANTS"] != wants || !slices.Equal(got.run, run) || slices.Contains(got.tags, "systemd") != (wants != "") {
				t.Errorf("%s, %s: %+v", c.name, action, got)
			}
		}
	}
}

// Whatever is refused would be a rule of somebody else's.
func TestStartRefuses(t *testing.T) {
	for name, device := range map[string]string{
		`x", RUN+="reboot`: "net:wg0", "../x": "net:wg0", "-x": "net:wg0", "": "net:wg0",
		"a": "", "b": "net:", "c": "net:wg*", "d": "net:a b", "e": `tty:x", RUN+="reboot`, "f": "usb:0403", "g": "usb:0403:60O1", "h": "usb:0403:6001:",
		"i": "usb:0403:6001:a:b", "j": "usb:0403:6001:*", "k": "disk:sda", "l": "net:a-name-of-sixteen", "m": "usb:40A3:6001", "n": "tty:a|b", "o": "tty:.x",
		"p": "net:$name", "q": "net:wg0\n",
	} {
		_, err := Rules(Options{Start: map[string][]string{name: {device}}})
		if wrong, ok := errors.AsType[*OptionError](err); !ok || wrong.Option != "start" || !errors.Is(err, ErrUnsafe) {
			t.Errorf("%q with %q: %v", name, device, err)
		}
	}
}
