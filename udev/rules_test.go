package udev

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vcomd/vcomd/internal/usbtty"
)

// hub is what every device of vhci_hcd has above it.
var hub = map[string]string{"idVendor": "1d6b", "idProduct": "0002", "serial": "vhci_hcd.0"}

// tty is a port of an adapter with this serial number.
func tty(serial string) device {
	return device{
		action: "add", subsystem: "tty", devpath: "/devices/platform/vhci_hcd.0/usb1/1-1/1-1:1.0/ttyUSB0/tty/ttyUSB0",
		attributes: map[string]string{"dev": "188:0"},
		parents: []map[string]string{
			{"port_number": "0"},
			{"bInterfaceNumber": "00"},
			{"idVendor": "1209", "idProduct": "2217", "manufacturer": "vcomd", "serial": serial},
			hub,
		},
	}
}

// The rules are for the adapters that vcomd makes.
func TestDefaultsAreTheAdapters(t *testing.T) {
	if DefaultVendor != usbtty.VendorID || DefaultProduct != usbtty.ProductID {
		t.Errorf("rules for %04x:%04x, adapters are %04x:%04x", DefaultVendor, DefaultProduct, usbtty.VendorID, usbtty.ProductID)
	}
}

func rules(t *testing.T, o Options) [][]token {
	t.Helper()
	text, err := Rules(o)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, text)
}

func ignored() map[string]string {
	return map[string]string{"ID_MM_DEVICE_IGNORE": "1", "ID_MM_PORT_IGNORE": "1"}
}

func TestPortGetsItsNameGroupAndMode(t *testing.T) {
	got := evaluate(t, rules(t, Options{}), tty("GPS"))
	want := result{group: "dialout", mode: "0660", symlinks: []string{"vcom/GPS"}, tags: []string{"systemd"}, env: ignored()}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(result{})); diff != "" {
		t.Error(diff)
	}
	got = evaluate(t, rules(t, Options{Owner: "gpsd", Group: "20", Mode: 0o600}), tty("GPS"))
	if got.owner != "gpsd" || got.group != "20" || got.mode != "0600" {
		t.Errorf("%+v", got)
	}
}

// The USB device itself is for ModemManager only.
func TestUSBDevice(t *testing.T) {
	d := device{
		action: "add", subsystem: "usb", devpath: "/devices/platform/vhci_hcd.0/usb1/1-1", env: map[string]string{"DEVTYPE": "usb_device"},
		attributes: map[string]string{"idVendor": "1209", "idProduct": "2217", "serial": "GPS"}, parents: []map[string]string{hub},
	}
	got := evaluate(t, rules(t, Options{}), d)
	if want := map[string]string{"ID_MM_DEVICE_IGNORE": "1"}; !cmp.Equal(got.env, want) || got.group != "" || len(got.symlinks) > 0 {
		t.Errorf("%+v", got)
	}
	d.env["DEVTYPE"] = "usb_interface"
	if got := evaluate(t, rules(t, Options{}), d); len(got.env) > 0 {
		t.Errorf("an interface: %+v", got)
	}
}

func TestOthersAreLeftAlone(t *testing.T) {
	plugged := tty("GPS")
	plugged.devpath = "/devices/pci0000:00/0000:00:14.0/usb1/1-1/1-1:1.0/ttyUSB0/tty/ttyUSB0"
	other := tty("GPS")
	other.parents[2]["idProduct"] = "2218"
	gone := tty("GPS")
	gone.action = "remove"
	// The ids are one device's, the serial number another's.
	split := tty("GPS")
	split.parents[2] = map[string]string{"idVendor": "1209", "idProduct": "0001", "serial": "GPS"}
	split.parents[3] = map[string]string{"idVendor": "1d6b", "idProduct": "2217"}
	disk := tty("GPS")
	disk.subsystem = "block"
	for name, d := range map[string]device{"plugged in": plugged, "another adapter": other, "remove": gone, "ids of two devices": split, "a disk": disk} {
		got := evaluate(t, rules(t, Options{Wants: map[string][]string{"GPS": {"gpsd.service"}}}), d)
		if want := (result{env: map[string]string{}}); !cmp.Equal(got, want, cmp.AllowUnexported(result{})) {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A serial number that is no name makes no link; all else is as usual.
func TestSerialThatIsNoName(t *testing.T) {
	for _, serial := range []string{
		"", ".", "..", "../../sda", ".hidden", "-rf", "a b", "a/b", "a\nb", "GPS$", `a"b`, "é", "a%b", "a*", "a\\b", "a;b", "[!a]", "A\x00",
	} {
		got := evaluate(t, rules(t, Options{}), tty(serial))
		if len(got.symlinks) > 0 || got.group != "dialout" {
			t.Errorf("%q: %+v", serial, got)
		}
		if LinkName(serial) {
			t.Errorf("LinkName(%q)", serial)
		}
	}
	for _, serial := range []string{"a", "GPS", "tty_GPS-1.2", "0", "_", "a..b", strings.Repeat("x", 126)} {
		if got := evaluate(t, rules(t, Options{}), tty(serial)); !cmp.Equal(got.symlinks, []string{"vcom/" + serial}) || !LinkName(serial) {
			t.Errorf("%q: %+v", serial, got)
		}
	}
	if LinkName(strings.Repeat("x", 127)) {
		t.Error("a name that is too long for a descriptor")
	}
}

func TestWants(t *testing.T) {
	all := rules(t, Options{Wants: map[string][]string{
		"GPS": {"gpsd.service", `gpsdctl@dev-vcom-GPS.service`}, "GPS2": {"other.target"}, "a.b": {`x@\x2d.service`},
	}})
	for serial, want := range map[string]string{
		"GPS": "gpsd.service gpsdctl@dev-vcom-GPS.service", "GPS2": "other.target", "a.b": `x@\x2d.service`, "axb": "", "gps": "", "": "",
	} {
		if got := evaluate(t, all, tty(serial)).env["SYSTEMD_WANTS"]; got != want {
			t.Errorf("%q wants %q, not %q", serial, got, want)
		}
	}
}

// Whatever is refused would be a rule of somebody else's.
func TestOptionsThatAreRefused(t *testing.T) {
	for _, c := range []struct {
		option string
		o      Options
	}{
		{"owner", Options{Owner: `root", RUN+="/bin/sh`}},
		{"owner", Options{Owner: "-x"}},
		{"group", Options{Group: "$env{X}"}},
		{"group", Options{Group: "dial out"}},
		{"group", Options{Group: "a\nb"}},
		{"mode", Options{Mode: 0o4755}},
		{"wants", Options{Wants: map[string][]string{`GPS", RUN+="reboot`: {"gpsd.service"}}}},
		{"wants", Options{Wants: map[string][]string{"*": {"gpsd.service"}}}},
		{"wants", Options{Wants: map[string][]string{"a|b": {"gpsd.service"}}}},
		{"wants", Options{Wants: map[string][]string{"": {"gpsd.service"}}}},
		{"wants", Options{Wants: map[string][]string{"GPS": {"gpsd"}}}},
		{"wants", Options{Wants: map[string][]string{"GPS": {".service"}}}},
		{"wants", Options{Wants: map[string][]string{"GPS": {"a b.service"}}}},
		{"wants", Options{Wants: map[string][]string{"GPS": {"%k.service"}}}},
		{"wants", Options{Wants: map[string][]string{"GPS": {"$attr{serial}.service"}}}},
		{"wants", Options{Wants: map[string][]string{"GPS": {"x.service\n"}}}},
		{"wants", Options{Wants: map[string][]string{"GPS": {strings.Repeat("x", 250) + ".service"}}}},
	} {
		text, err := Rules(c.o)
		wrong, ok := errors.AsType[*OptionError](err)
		if !ok || wrong.Option != c.option || !errors.Is(err, ErrUnsafe) || text != "" {
			t.Errorf("%+v: %v, %q", c.o, err, text)
		}
	}
}

// Nothing that gets through changes what the rules are.
func FuzzRules(f *testing.F) {
	f.Add("GPS", "gpsd@x.service", "dialout", "root")
	f.Add(`a", RUN+="b`, `x\".service`, "$x", "%k")
	f.Fuzz(func(t *testing.T, name, unit, group, owner string) {
		text, err := Rules(Options{Owner: owner, Group: group, Wants: map[string][]string{name: {unit}}})
		if err != nil {
			return
		}
		got := evaluate(t, parse(t, text), tty(name))
		if group == "" {
			group = DefaultGroup
		}
		env := ignored()
		env["SYSTEMD_WANTS"] = unit
		want := result{owner: owner, group: group, mode: "0660", symlinks: []string{"vcom/" + name}, tags: []string{"systemd"}, env: env}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(result{})); diff != "" {
			t.Error(diff)
		}
	})
}

// The same options make the same file, so that it is not installed again.
func TestRulesAreTheSameEachTime(t *testing.T) {
	o := Options{Wants: map[string][]string{"a": {"a.service"}, "b": {"b.service"}, "c": {"c.service"}, "d": {"d.service"}}}
	first, err := Rules(o)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if again, _ := Rules(o); again != first {
			t.Fatalf("%s\nand then\n%s", first, again)
		}
	}
	for line := range strings.Lines(first) {
		if len(line) > 160 {
			t.Errorf("a line of %d characters: %s", len(line), line)
		}
	}
}
