// Package vhcitest is a kernel for tests of what uses package vhci: a directory
// with the files of vhci_hcd, ftdi_sio, /dev and udev, and what happens when
// they are written to.
//
//	k := vhcitest.New(t)
//	host := k.Host()
//	host.Prepare(…); p, err := host.Attach(fd, …)
//	at := k.Attached(p.Number)         the kernel's end of the socket: be the driver on it
//	k.Enumerate(p.Number, device)      now the tty is there
//	k.Unplug(p.Number)                 the kernel takes all of it away
//
// Nothing happens by itself, but that a port whose device has closed its
// end is only taken away when [Kernel.Unplug] is called: a real kernel does so
// within 80 ms. The device's requests, which a real kernel makes, are the
// test's to make.
package vhcitest

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/usbtty/vhci"
)

// PortsPerHub is how many ports each of a controller's two hubs has.
const PortsPerHub = 4

// Release is the kernel's.
const Release = "6.1.0-test-amd64"

// Kernel is a kernel of a test's own. Its fields are set before it is used.
type Kernel struct {
	// Root is the directory that stands for /.
	Root string
	// BeforeAttach is called before an attachment is judged, without any lock
	// held: the moment for somebody else to take the port.
	BeforeAttach func(port int)
	// OnAttach is called after an attachment. It may call the Kernel's methods.
	OnAttach func(Attachment)
	// Refuse, if not nil, is what writing to attach says.
	Refuse error
	// Old: status files are those of Linux 4.9 to 4.12, with one hub.
	Old bool

	tb          testing.TB
	controllers int
	mu          sync.Mutex
	ports       []port
	loaded      map[string]bool
	modprobes   int
	devices     int // ever enumerated, for bus ids
}

// Attachment is what was written to attach.
type Attachment struct {
	Port   int
	Socket int // a duplicate of the descriptor: the kernel's end. The Kernel closes it at Unplug
	Device uint32
	Speed  vhci.Speed
}

const dirMode = 0o750

// Path is where a path of the kernel's is: its slashes are fine as they are.
func (k *Kernel) Path(path string) string { return k.Root + "/" + path }

// Device is what the descriptors of an attached device say, and the tty's number.
type Device struct {
	Vendor, Product uint16
	Serial          string
	TTY             int // N of ttyUSBN
}

type port struct {
	Attachment

	state vhci.State
	fd    int // as written
	busID string
	tty   string
}

// New returns a kernel with one controller whose modules can be loaded, and are not.
func New(tb testing.TB) *Kernel {
	tb.Helper()
	k := &Kernel{Root: tb.TempDir(), tb: tb, loaded: make(map[string]bool)}
	k.Controllers(1)
	k.put("proc/sys/kernel/osrelease", Release+"\n")
	k.put("proc/modules", "")
	k.put("etc/os-release", "NAME=\"Test\"\nID=test\n")
	k.put("lib/modules/"+Release+"/modules.dep",
		"kernel/drivers/usb/usbip/vhci-hcd.ko: kernel/drivers/usb/usbip/usbip-core.ko\nkernel/drivers/usb/serial/ftdi_sio.ko.xz: kernel/drivers/usb/serial/usbserial.ko.xz\n")
	for _, dir := range []string{"dev", "sys/devices/platform", "run"} {
		k.try(os.MkdirAll(k.Path(dir), dirMode))
	}
	tb.Cleanup(func() {
		for i := range k.ports {
			k.Unplug(i)
		}
	})
	return k
}

// Controllers sets how many there are, before the modules are loaded.
func (k *Kernel) Controllers(n int) {
	k.controllers = n
	k.ports = make([]port, n*2*PortsPerHub)
	for i := range k.ports {
		k.ports[i] = port{state: vhci.StateFree}
	}
}

// Host is the machine for package vhci.
func (k *Kernel) Host() *vhci.Host {
	return &vhci.Host{Root: k.Root, Modprobe: k.Modprobe, Write: k.Write, Device: k.node}
}

// Modprobe is modprobe(8).
func (k *Kernel) Modprobe(_ context.Context, modules ...string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.modprobes++
	for _, m := range modules {
		switch {
		case k.loaded[m]:
		case m == "vhci_hcd":
			k.put("sys/devices/platform/vhci_hcd.0/attach", "")
			k.show()
		case m == "ftdi_sio":
			k.put("sys/bus/usb-serial/drivers/ftdi_sio/new_id", "")
		default:
			return fmt.Errorf("module %s not found", m)
		}
		k.loaded[m] = true
	}
	return nil
}

// Modprobes is how often Modprobe was called.
func (k *Kernel) Modprobes() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.modprobes
}

// Forget takes modules out of the list of those that the kernel has.
func (k *Kernel) Forget() {
	k.put("lib/modules/"+Release+"/modules.dep", "kernel/net/ipv4/tunnel4.ko:\n")
}

// Write is a write to a file of sysfs.
func (k *Kernel) Write(path, text string) error {
	switch filepath.Base(path) {
	case "attach":
		return k.attach(text)
	case "new_id":
		return k.newID(path, text)
	default:
		return unix.EACCES
	}
}

func (k *Kernel) newID(path, text string) error {
	var vendor, product uint16
	if n, err := fmt.Sscanf(text, "%x %x", &vendor, &product); n != 2 || err != nil {
		return unix.EINVAL
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "%04x %04x\n", vendor, product)
	k.try(f.Close())
	return err
}

// attach judges as attach_store does.
func (k *Kernel) attach(text string) error {
	if k.Refuse != nil {
		return k.Refuse
	}
	var (
		number, fd int
		device     uint32
		speed      vhci.Speed
	)
	if n, _ := fmt.Sscanf(text, "%d %d %d %d", &number, &fd, &device, &speed); n != 4 {
		return unix.EINVAL
	}
	if number < 0 || number >= len(k.ports) || speed != vhci.SpeedFull && speed != vhci.SpeedHigh || k.super(number) {
		return unix.EINVAL
	}
	if k.BeforeAttach != nil {
		k.BeforeAttach(number)
	}
	k.mu.Lock()
	p := &k.ports[number]
	if p.state != vhci.StateFree {
		k.mu.Unlock()
		if k.Old {
			return unix.EINVAL
		}
		return unix.EBUSY
	}
	socket, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		k.mu.Unlock()
		return unix.EINVAL
	}
	*p = port{Attachment: Attachment{Port: number, Socket: socket, Device: device, Speed: speed}, state: vhci.StateNotAssigned, fd: fd}
	k.show()
	at := p.Attachment
	k.mu.Unlock()
	if k.OnAttach != nil {
		k.OnAttach(at)
	}
	return nil
}

func (k *Kernel) super(number int) bool { return number%(2*PortsPerHub) >= PortsPerHub }

// Attached returns what is attached to a port; false: nothing.
func (k *Kernel) Attached(number int) (Attachment, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.ports[number]
	return p.Attachment, p.state != vhci.StateFree
}

// Occupy has somebody else take a port, with this device id.
func (k *Kernel) Occupy(number int, device uint32) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.devices++
	k.ports[number] = port{
		Attachment: Attachment{Port: number, Socket: -1, Device: device, Speed: vhci.SpeedHigh}, state: vhci.StateUsed, fd: 3,
		busID: k.newBusID(number),
	}
	k.show()
}

// Address is what a kernel does first: the device gets its address, and the
// port tells of it.
func (k *Kernel) Address(number int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := &k.ports[number]
	if p.state != vhci.StateNotAssigned {
		return
	}
	k.devices++
	p.state, p.busID = vhci.StateUsed, k.newBusID(number)
	k.show()
}

// newBusID counts: ports of a hub are numbered from 1, and the bus is the controller's.
func (k *Kernel) newBusID(number int) string {
	return fmt.Sprintf("%d-%d", 1+number/PortsPerHub, 1+number%PortsPerHub)
}

// Enumerate has the kernel address the device, read its descriptors, and have
// the driver make its tty. It returns the node's path.
func (k *Kernel) Enumerate(number int, d Device) string {
	k.Address(number)
	k.Describe(number, d)
	k.Bind(number, d)
	return k.Node(number, d)
}

// Describe makes the USB device's files, without any driver.
func (k *Kernel) Describe(number int, d Device) {
	dir := k.device(number)
	k.put(dir+"/idVendor", fmt.Sprintf("%04x\n", d.Vendor))
	k.put(dir+"/idProduct", fmt.Sprintf("%04x\n", d.Product))
	if d.Serial != "" {
		k.put(dir+"/serial", d.Serial+"\n")
	}
	k.put(k.iface(number)+"/bInterfaceNumber", "00\n")
}

// Bind has the driver take the device, and make a tty without a node.
func (k *Kernel) Bind(number int, d Device) {
	name := "ttyUSB" + strconv.Itoa(d.TTY)
	k.put(k.iface(number)+"/driver", "")
	k.put(k.iface(number)+"/"+name+"/tty/"+name+"/dev", fmt.Sprintf("188:%d\n", d.TTY))
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ports[number].tty = name
}

// Node makes the node, a plain file with the device number in it.
func (k *Kernel) Node(_ int, d Device) string {
	path := "dev/ttyUSB" + strconv.Itoa(d.TTY)
	k.put(path, fmt.Sprintf("188:%d", d.TTY))
	return k.Path(path)
}

// Udev has a udev run, which has handled nothing yet.
func (k *Kernel) Udev() { k.put("run/udev/control", "") }

// UdevHandles has udev handle a tty now.
func (k *Kernel) UdevHandles(t vhci.TTY) {
	var now unix.Timespec
	k.try(unix.ClockGettime(unix.CLOCK_MONOTONIC, &now))
	k.UdevRecord(t, uint64(now.Nano())/1000)
}

// UdevRecord is a record of udev's, made at a time of CLOCK_MONOTONIC in microseconds.
func (k *Kernel) UdevRecord(t vhci.TTY, at uint64) {
	k.put(fmt.Sprintf("run/udev/data/c%d:%d", t.Major, t.Minor), fmt.Sprintf("S:serial/by-id/test\nI:%d\nE:ID_BUS=usb\nG:systemd\nV:1\n", at))
}

// Unplug ends a port's connection and takes away all that was made of its device.
func (k *Kernel) Unplug(number int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.ports[number]
	if p.state == vhci.StateFree {
		return
	}
	if p.Socket >= 0 {
		_ = unix.Shutdown(p.Socket, unix.SHUT_RDWR)
		k.try(unix.Close(p.Socket))
	}
	if p.busID != "" {
		k.try(os.RemoveAll(filepath.Join(k.Path("sys/bus/usb/devices"), p.busID)))
	}
	if p.tty != "" {
		k.try(os.RemoveAll(filepath.Join(k.Path("dev"), p.tty)))
	}
	k.ports[number] = port{state: vhci.StateFree}
	k.show()
}

func (k *Kernel) device(number int) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return "sys/bus/usb/devices/" + k.ports[number].busID
}

func (k *Kernel) iface(number int) string {
	dir := k.device(number)
	return dir + "/" + filepath.Base(dir) + ":1.0"
}

// show writes the status files. The lock is held.
func (k *Kernel) show() {
	for c := range k.controllers {
		var text strings.Builder
		if k.Old {
			text.WriteString("port sta spd dev      socket           local_busid\n")
		} else {
			text.WriteString("hub port sta spd dev      sockfd local_busid\n")
		}
		for i := c * 2 * PortsPerHub; i < (c+1)*2*PortsPerHub; i++ {
			hub := "hs  "
			if k.super(i) {
				hub = "ss  "
			}
			if k.Old {
				hub = ""
				if k.super(i) {
					continue
				}
			}
			p := k.ports[i]
			fmt.Fprintf(&text, "%s%04d %03d ", hub, i, p.state)
			switch {
			case p.state != vhci.StateUsed && k.Old:
				text.WriteString("000 00000000 0000000000000000 0-0\n")
			case p.state != vhci.StateUsed:
				text.WriteString("000 00000000 000000 0-0\n")
			case k.Old:
				fmt.Fprintf(&text, "%03d %08x ffff8800c5a7bb80 %s\n", p.Speed, p.Device, p.busID)
			default:
				fmt.Fprintf(&text, "%03d %08x %06d %s\n", p.Speed, p.Device, p.fd, p.busID)
			}
		}
		name := "status"
		if c > 0 {
			name += "." + strconv.Itoa(c)
		}
		k.put("sys/devices/platform/vhci_hcd.0/"+name, text.String())
	}
}

// node is Host.Device: the number is what the file holds.
func (k *Kernel) node(path string) (major, minor uint32, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, 0, err
	}
	if _, err := fmt.Sscanf(string(text), "%d:%d", &major, &minor); err != nil {
		return 0, 0, fmt.Errorf("%s: %w", path, fs.ErrInvalid)
	}
	return major, minor, nil
}

// put writes a file as a kernel does: whoever reads sees the old text or the new.
func (k *Kernel) put(path, text string) {
	path = k.Path(path)
	k.try(os.MkdirAll(filepath.Dir(path), dirMode))
	temporary := path + "~"
	k.try(os.WriteFile(temporary, []byte(text), 0o600))
	k.try(os.Rename(temporary, path))
}

func (k *Kernel) try(err error) {
	if err != nil {
		k.tb.Error(err)
	}
}
