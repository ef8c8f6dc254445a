package vhci_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/usbtty/vhci"
	"github.com/vcomd/vcomd/internal/usbtty/vhci/vhcitest"
)

// The tty is there when the last of its parts is, and each step before says how
// far the kernel has come.
func TestTTYStepByStep(t *testing.T) {
	k := vhcitest.New(t)
	h := prepared(t, k)
	p := attach(t, h, 1)
	d := vhcitest.Device{Vendor: vendor, Product: product, Serial: "GPS", TTY: 7}
	for _, step := range []struct {
		does func()
		says string
	}{
		{func() {}, "has not addressed it"},
		{func() { k.Address(p.Number) }, "has not read its descriptors"},
		{func() { k.Describe(p.Number, d) }, "no driver has taken it"},
		{func() { k.Bind(p.Number, d) }, "there is no " + k.Path("dev/ttyUSB7")},
		{func() { write(t, k, "dev/ttyUSB7", "188:6") }, "is the device 188:6, and not ttyUSB7"},
		{func() { write(t, k, "dev/ttyUSB7", "a file") }, "cannot be looked at"},
	} {
		step.does()
		_, err := h.TTY(p, "GPS", vendor, product)
		wants(t, step.says, err, vhci.ErrNotYet, "find the tty of the USB serial adapter", step.says)
	}
	k.Node(p.Number, d)
	want := vhci.TTY{Path: k.Path("dev/ttyUSB7"), Name: "ttyUSB7", Major: 188, Minor: 7, BusID: "1-1"}
	got, err := h.TTY(p, "GPS", vendor, product)
	if err != nil || !cmp.Equal(got, want, cmpopts.IgnoreUnexported(vhci.TTY{})) {
		t.Errorf("%+v, %v; want %+v", got, err, want)
	}
	if _, err := h.TTY(p, "", vendor, product); err != nil {
		t.Errorf("without a serial: %v", err)
	}
	k.Unplug(p.Number)
	_, err = h.TTY(p, "GPS", vendor, product)
	wants(t, "unplugged", err, vhci.ErrGone)
}

// Numbers of ttys are not in the order of ports.
func TestTTYBelongsToItsPort(t *testing.T) {
	k := vhcitest.New(t)
	k.Controllers(2)
	h := prepared(t, k)
	const n = 6
	ports := make([]*vhci.Port, n)
	for i := range ports {
		ports[i] = attach(t, h, vhci.DeviceID(i))
	}
	for i := range ports {
		k.Enumerate(ports[i].Number, vhcitest.Device{Vendor: vendor, Product: product, Serial: fmt.Sprint("vcom", i), TTY: (i + 2) % n})
	}
	for i, p := range ports {
		tty, err := h.TTY(p, fmt.Sprint("vcom", i), vendor, product)
		if want := fmt.Sprint("ttyUSB", (i+2)%n); err != nil || tty.Name != want {
			t.Errorf("port %d has %s, %v; want %s", p.Number, tty.Name, err, want)
		}
	}
	_, err := h.TTY(ports[0], "vcom1", vendor, product)
	wants(t, "another serial", err, vhci.ErrGone, `"vcom0"`)
	_, err = h.TTY(ports[0], "vcom0", vendor, product+1)
	wants(t, "another product", err, vhci.ErrGone, "idProduct")
}

// A port's number is not enough: the next device has it.
func TestTTYOfAPortThatIsAnothers(t *testing.T) {
	k := vhcitest.New(t)
	h := prepared(t, k)
	p := attach(t, h, 1)
	k.Occupy(p.Number, 2)
	_, err := h.TTY(p, "", vendor, product)
	wants(t, "another device", err, vhci.ErrGone, "another device has port 0")
}

func TestGrant(t *testing.T) {
	k := vhcitest.New(t)
	h := prepared(t, k)
	p := attach(t, h, 1)
	path := k.Enumerate(p.Number, vhcitest.Device{Vendor: vendor, Product: product, Serial: "GPS", TTY: 0})
	tty, err := h.TTY(p, "GPS", vendor, product)
	if err != nil {
		t.Fatal(err)
	}
	mode := func() os.FileMode {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Mode()
	}
	if err := h.Grant(tty, -1, -1, 0o604); err != nil || mode() != 0o604 {
		t.Errorf("without udev: %v, mode %v", err, mode())
	}
	k.Udev()
	wants(t, "udev has no record", h.Grant(tty, -1, -1, 0o666), vhci.ErrNotYet, "udev has not handled it yet")
	k.UdevRecord(tty, 1)
	wants(t, "udev has the record of an earlier device", h.Grant(tty, -1, -1, 0o666), vhci.ErrNotYet)
	if mode() != 0o604 {
		t.Errorf("mode %v: changed before udev was done", mode())
	}
	k.UdevHandles(tty)
	if err := h.Grant(tty, os.Getuid(), os.Getgid(), 0o4620); err != nil || mode() != 0o620 {
		t.Errorf("after udev: %v, mode %v", err, mode())
	}
	if os.Geteuid() == 0 {
		const nobody = 65534
		var st unix.Stat_t
		if err := errors.Join(h.Grant(tty, nobody, nobody, 0o600), unix.Stat(path, &st)); err != nil || st.Uid != nobody || st.Gid != nobody {
			t.Errorf("owner %d, group %d: %v", st.Uid, st.Gid, err)
		}
	} else {
		wants(t, "no root", h.Grant(tty, 0, 0, 0o600), vhci.ErrPermission, "run vcomd as root")
	}
	k.Unplug(p.Number)
	wants(t, "unplugged", h.GrantNow(tty, -1, -1, 0o600), vhci.ErrGone)
}

// With the system's own nodes: what is granted is the node that was found.
func TestGrantRealNodes(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "dev"), 0o755); err != nil {
		t.Fatal(err)
	}
	node := filepath.Join(dir, "dev", "ttyUSB0")
	if err := unix.Mknod(node, unix.S_IFCHR|0o600, int(unix.Mkdev(188, 0))); err != nil {
		if errors.Is(err, unix.EPERM) {
			t.Log("only root may make nodes")
			return
		}
		t.Fatal(err)
	}
	h := &vhci.Host{Root: dir}
	tty := vhci.TTY{Path: node, Name: "ttyUSB0", Major: 188, Minor: 0}
	if err := h.Grant(tty, 0, 20, 0o660); err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(node, &st); err != nil || st.Gid != 20 || st.Mode&0o7777 != 0o660 {
		t.Errorf("group %d, mode %o, %v", st.Gid, st.Mode, err)
	}
	tty.Minor = 1
	wants(t, "another number", h.Grant(tty, 0, 0, 0o666), vhci.ErrGone, "188:0")
	file := filepath.Join(dir, "file")
	if err := errors.Join(os.Remove(node), os.WriteFile(file, nil, 0o600), os.Symlink(file, node)); err != nil {
		t.Fatal(err)
	}
	wants(t, "a link", h.Grant(tty, 0, 0, 0o666), vhci.ErrGone)
	if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
		t.Errorf("the link's target has the mode %v, %v", info.Mode(), err)
	}
}
