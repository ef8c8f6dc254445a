package vhci_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/usbtty/vhci"
	"github.com/vcomd/vcomd/internal/usbtty/vhci/vhcitest"
)

const (
	vendor  = 0x1209
	product = 0x2217
)

// prepared returns a kernel with its modules loaded.
func prepared(t *testing.T, k *vhcitest.Kernel) *vhci.Host {
	t.Helper()
	h := k.Host()
	if err := h.Prepare(context.Background(), vendor, product); err != nil {
		t.Fatal(err)
	}
	return h
}

// pair returns the device's end and the kernel's.
func pair(t *testing.T) (device, kernel int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fds[0]) })
	return fds[0], fds[1]
}

func attach(t *testing.T, h *vhci.Host, device uint32) *vhci.Port {
	t.Helper()
	_, fd := pair(t)
	p, err := h.Attach(fd, device, vhci.SpeedFull)
	_ = unix.Close(fd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Detach(p) })
	return p
}

// wants checks an error's kind, and that its message has all three parts.
func wants(t *testing.T, what string, err, kind error, parts ...string) {
	t.Helper()
	if !errors.Is(err, kind) {
		t.Errorf("%s: %v, want an error of the kind %q", what, err, kind)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %q does not say %q", what, err, part)
		}
	}
}

func TestPrepareLoadsWhatIsMissing(t *testing.T) {
	k := vhcitest.New(t)
	h := k.Host()
	for range 2 {
		if err := h.Prepare(context.Background(), vendor, product); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Prepare(context.Background(), vendor, product+1); err != nil {
		t.Fatal(err)
	}
	if n := k.Modprobes(); n != 1 {
		t.Errorf("modprobe ran %d times, want once", n)
	}
	list, err := os.ReadFile(k.Path("sys/bus/usb-serial/drivers/ftdi_sio/new_id"))
	if want := "1209 2217\n1209 2218\n"; string(list) != want || err != nil {
		t.Errorf("new_id has %q, %v; want %q", list, err, want)
	}
	for _, m := range h.Modules() {
		if m.State != vhci.ModuleReady {
			t.Errorf("%s is %s", m.Name, m.State)
		}
	}
}

func TestPrepareWithoutModules(t *testing.T) {
	ctx := context.Background()
	t.Run("none for this kernel", func(t *testing.T) {
		k := vhcitest.New(t)
		k.Forget()
		wants(t, "Prepare", k.Host().Prepare(ctx, vendor, product), vhci.ErrUnavailable, vhcitest.Release, "vhci_hcd", "ftdi_sio", "--tty pty")
		if k.Modprobes() != 0 {
			t.Error("modprobe ran for a module that is not there")
		}
	})
	t.Run("Debian's cloud kernel", func(t *testing.T) {
		k := vhcitest.New(t)
		const release = "6.1.0-49-cloud-amd64"
		write(t, k, "proc/sys/kernel/osrelease", release+"\n")
		write(t, k, "etc/os-release", "ID=debian\n")
		write(t, k, "lib/modules/"+release+"/modules.dep", "kernel/net/tls/tls.ko:\n")
		wants(t, "Prepare", k.Host().Prepare(ctx, vendor, product), vhci.ErrUnavailable, "cloud", "install linux-image-amd64", "--tty pty")
	})
	t.Run("a kernel that loads no modules", func(t *testing.T) {
		k := vhcitest.New(t)
		if err := os.Remove(k.Path("proc/modules")); err != nil {
			t.Fatal(err)
		}
		wants(t, "Prepare", k.Host().Prepare(ctx, vendor, product), vhci.ErrUnavailable, "has no vhci_hcd and no ftdi_sio")
	})
	t.Run("in a container", func(t *testing.T) {
		k := vhcitest.New(t)
		if err := os.RemoveAll(k.Path("lib")); err != nil {
			t.Fatal(err)
		}
		h := k.Host()
		h.Modprobe = func(context.Context, ...string) error { return errors.New("modprobe: not here") }
		wants(t, "Prepare", h.Prepare(ctx, vendor, product), vhci.ErrUnavailable, "not loaded", "not here", "container", "modprobe vhci_hcd ftdi_sio")
	})
	t.Run("not permitted", func(t *testing.T) {
		h := vhcitest.New(t).Host()
		h.Modprobe = func(context.Context, ...string) error { return unix.EPERM }
		wants(t, "Prepare", h.Prepare(ctx, vendor, product), vhci.ErrPermission, "only root may load modules", "run vcomd as root")
	})
	t.Run("modprobe fails", func(t *testing.T) {
		h := vhcitest.New(t).Host()
		h.Modprobe = func(context.Context, ...string) error { return errors.New("modprobe: blocked") }
		wants(t, "Prepare", h.Prepare(ctx, vendor, product), vhci.ErrUnavailable, "cannot be loaded", "blocked", "modprobe -v")
	})
	t.Run("modprobe does nothing", func(t *testing.T) {
		h := vhcitest.New(t).Host()
		h.Modprobe = func(context.Context, ...string) error { return nil }
		wants(t, "Prepare", h.Prepare(ctx, vendor, product), vhci.ErrUnavailable, "no files in /sys")
	})
}

// Who may not write to sysfs is told so before anything is tried.
func TestPrepareWithoutPermission(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Log("root may write to everything: the check is that of Attach, in TestAttachErrors")
		return
	}
	k := vhcitest.New(t)
	h := prepared(t, k)
	if err := os.Chmod(k.Path("sys/devices/platform/vhci_hcd.0/attach"), 0o400); err != nil {
		t.Fatal(err)
	}
	wants(t, "Prepare", h.Prepare(context.Background(), vendor, product), vhci.ErrPermission, "only root", "run vcomd as root")
}

func write(t *testing.T, k *vhcitest.Kernel, path, text string) {
	t.Helper()
	path = k.Path(path)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// Ports are taken in order, high-speed ones only, over all controllers.
func TestAttachTakesEveryFreePort(t *testing.T) {
	k := vhcitest.New(t)
	k.Controllers(2)
	h := prepared(t, k)
	k.Occupy(1, 99)
	free, err := h.Free()
	if want := 2*vhcitest.PortsPerHub - 1; free != want || err != nil {
		t.Fatalf("%d free ports, %v; want %d", free, err, want)
	}
	want := []int{0, 2, 3, 8, 9, 10, 11}
	for i, number := range want {
		p := attach(t, h, vhci.DeviceID(i))
		if p.Number != number {
			t.Errorf("attachment %d has port %d, want %d", i, p.Number, number)
		}
		if at, ok := k.Attached(number); !ok || at.Device != vhci.DeviceID(i) || at.Speed != vhci.SpeedFull {
			t.Errorf("the kernel was told %+v", at)
		}
	}
	_, fd := pair(t)
	defer func() { _ = unix.Close(fd) }()
	_, err = h.Attach(fd, 1, vhci.SpeedHigh)
	wants(t, "one too many", err, vhci.ErrNoFreePort, "all 8", "detach", "--tty pty")
}

// Somebody is quicker, each time but the last, whatever the kernel calls it.
func TestAttachLosesRaces(t *testing.T) {
	for _, old := range []bool{false, true} {
		t.Run(fmt.Sprintf("old=%t", old), func(t *testing.T) {
			k := vhcitest.New(t)
			k.Old = old
			h := prepared(t, k)
			k.BeforeAttach = func(port int) {
				if port < vhcitest.PortsPerHub-1 {
					k.Occupy(port, 99)
				}
			}
			if p := attach(t, h, 1); p.Number != vhcitest.PortsPerHub-1 {
				t.Errorf("port %d", p.Number)
			}
			k.BeforeAttach = nil
			_, fd := pair(t)
			defer func() { _ = unix.Close(fd) }()
			_, err := h.Attach(fd, 2, vhci.SpeedFull)
			wants(t, "none is left", err, vhci.ErrNoFreePort)
		})
	}
}

func TestAttachLosesTheLastPort(t *testing.T) {
	k := vhcitest.New(t)
	h := prepared(t, k)
	k.BeforeAttach = func(port int) { k.Occupy(port, 99) }
	_, fd := pair(t)
	defer func() { _ = unix.Close(fd) }()
	_, err := h.Attach(fd, 2, vhci.SpeedFull)
	wants(t, "all were taken", err, vhci.ErrNoFreePort)
}

// As many as there are ports, all at the same moment: each has one of its own.
func TestAttachTogether(t *testing.T) {
	k := vhcitest.New(t)
	k.Controllers(4)
	h := prepared(t, k)
	const n = 4 * vhcitest.PortsPerHub
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		ports = make(map[int]*vhci.Port)
	)
	for i := range n {
		_, fd := pair(t)
		wg.Go(func() {
			p, err := h.Attach(fd, uint32(i), vhci.SpeedFull)
			_ = unix.Close(fd)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			if ports[p.Number] != nil {
				t.Errorf("port %d was given twice", p.Number)
			}
			ports[p.Number] = p
		})
	}
	wg.Wait()
	if len(ports) != n {
		t.Errorf("%d ports, want %d", len(ports), n)
	}
	for _, p := range ports {
		if err := h.Detach(p); err != nil {
			t.Error(err)
		}
	}
}

func TestAttachErrors(t *testing.T) {
	_, fd := pair(t)
	defer func() { _ = unix.Close(fd) }()
	for _, c := range []struct {
		refuse error
		kind   error
		says   string
	}{
		{&fs.PathError{Op: "open", Path: "attach", Err: unix.EACCES}, vhci.ErrPermission, "only root"},
		{&fs.PathError{Op: "open", Path: "attach", Err: unix.EROFS}, vhci.ErrPermission, "read-only"},
		{unix.EINVAL, unix.EINVAL, "the kernel refuses it"},
		{unix.ENOMEM, unix.ENOMEM, "cannot be had"},
	} {
		k := vhcitest.New(t)
		h := prepared(t, k)
		k.Refuse = c.refuse
		_, err := h.Attach(fd, 1, vhci.SpeedFull)
		wants(t, c.refuse.Error(), err, c.kind, "attach a USB serial adapter: ", c.says)
		if errors.Is(err, vhci.ErrNoFreePort) {
			t.Errorf("%v: all ports are free", err)
		}
	}
	k := vhcitest.New(t)
	_, err := k.Host().Attach(fd, 1, vhci.SpeedFull)
	wants(t, "without modules", err, vhci.ErrUnavailable, "vhci_hcd is not loaded", "modprobe")
	if _, err := prepared(t, k).Attach(-1, 1, vhci.SpeedFull); err == nil {
		t.Error("a descriptor that is none was attached")
	}
	f, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	conn, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Control(func(fd uintptr) {
		if _, err := k.Host().Attach(int(fd), 1, vhci.SpeedFull); err == nil || !strings.Contains(err.Error(), "no stream socket") {
			t.Errorf("a file was attached: %v", err)
		}
	})
}

// Detach ends one connection, and can be repeated after the port has become
// somebody else's.
func TestDetach(t *testing.T) {
	k := vhcitest.New(t)
	h := prepared(t, k)
	p, other := attach(t, h, 1), attach(t, h, 2)
	at, _ := k.Attached(p.Number)
	if err := h.Detach(p); err != nil {
		t.Fatal(err)
	}
	if n, err := unix.Read(at.Socket, make([]byte, 1)); n != 0 || err != nil {
		t.Errorf("the kernel reads %d, %v; want the end", n, err)
	}
	if p.Attached() || !other.Attached() {
		t.Errorf("attached: %t, the other one: %t", p.Attached(), other.Attached())
	}
	if released, err := h.Released(p); released || err != nil {
		t.Errorf("released %t, %v before the kernel has let go", released, err)
	}
	k.Unplug(p.Number)
	if released, err := h.Released(p); !released || err != nil {
		t.Errorf("released %t, %v after the kernel has let go", released, err)
	}
	next := attach(t, h, 3)
	if next.Number != p.Number {
		t.Fatalf("port %d was not given again", p.Number)
	}
	if err := errors.Join(h.Detach(p), h.Detach(nil)); err != nil {
		t.Error(err)
	}
	if !next.Attached() {
		t.Error("a second Detach has detached somebody else")
	}
	k.Address(next.Number)
	if released, err := h.Released(p); !released || err != nil {
		t.Errorf("released %t, %v with another device at the port", released, err)
	}
	_, err := h.TTY(p, "", vendor, product)
	wants(t, "TTY after Detach", err, vhci.ErrGone)
}

// The other side ends it, or the kernel does.
func TestAttachedUntilEitherSideEndsIt(t *testing.T) {
	k := vhcitest.New(t)
	h := prepared(t, k)
	device, fd := pair(t)
	p, err := h.Attach(fd, 1, vhci.SpeedFull)
	if err != nil {
		t.Fatal(err)
	}
	_ = unix.Close(fd)
	defer func() { _ = h.Detach(p) }()
	if !p.Attached() {
		t.Error("not attached")
	}
	if err := unix.Shutdown(device, unix.SHUT_RDWR); err != nil {
		t.Fatal(err)
	}
	if p.Attached() {
		t.Error("attached, though the device has gone")
	}
	q := attach(t, h, 2)
	k.Unplug(q.Number)
	if q.Attached() {
		t.Error("attached, though the kernel has ended it")
	}
}
