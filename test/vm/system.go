package vm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vcomd/vcomd/test/vm/cpio"
	"github.com/vcomd/vcomd/test/vm/debian"
	"github.com/vcomd/vcomd/test/vm/kernel"
)

// systemMemory is what a machine with systemd has, in MiB: its files are in memory, twice while the kernel unpacks them.
const systemMemory = 1024

// systemWords are for systemd, on the kernel's command line: nothing on the console but what the suites say, and none of the work
// of a first start.
var systemWords = []string{"systemd.show_status=no", "systemd.log_target=kmsg", "systemd.condition-needs-update=no", "systemd.firstboot=no"}

// guestPath is where a machine with systemd has the guest program.
const guestPath = "usr/libexec/vcomd-vm"

// units are those of a machine with systemd: it starts no more than what its target wants, and ends when it has not come to
// its end by itself.
var units = map[string]string{
	"vcomd-vm.target": `[Unit]
Description=The suites of make test-vm
Requires=basic.target vcomd-vm.service
AllowIsolate=yes
JobTimeoutSec=420
JobTimeoutAction=reboot-immediate
`,
	"vcomd-vm.service": `[Unit]
Description=The suites of make test-vm
After=basic.target systemd-udev-trigger.service
Wants=systemd-udev-trigger.service

[Service]
Type=oneshot
ExecStart=/` + guestPath + ` session
StandardOutput=tty
StandardError=tty
TTYPath=/dev/ttyS0
TimeoutStartSec=infinity
`,
}

// packagedUnits are units of packaging/ that the suites try, as they are.
var packagedUnits = []string{"gpsd-on-vcom@.service", "systemd/vcomd.service", "systemd/vcomd@.service"}

// packagedExamples are drop-ins that a user copies to a unit's directory, as the suite does.
var packagedExamples = []string{"kernel-tty.conf", "overlay.conf"}

// WriteSystem writes the file system of a machine with systemd: root is what package rootfs has made, to which the kernel adds the
// rest, another archive behind it.
func WriteSystem(ctx context.Context, file, root string, p Programs, image *kernel.Image) (err error) {
	out, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	in, err := os.Open(root)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	w := cpio.NewWriter(out)
	const etc = "etc/systemd/system/"
	for _, step := range []error{
		w.Symlink("init", "usr/lib/systemd/systemd"),
		w.Directory("dev", 0o755), w.Character("dev/console", 0o600, 5, 1),
		addText(w, "etc/machine-id", strings.Repeat("5ca1ab1e", 4)+"\n"),
		addText(w, "etc/hostname", "vcomd-vm\n"), addText(w, "etc/hosts", "127.0.0.1 localhost\n"),
		w.Symlink(etc+"default.target", "vcomd-vm.target"),
		addFile(w, guestPath, 0o755, p.Init), addFile(w, "usr/bin/vcomd", 0o755, p.Vcomd),
	} {
		if step != nil {
			return step
		}
	}
	for _, name := range slices.Sorted(maps.Keys(units)) {
		if err := addText(w, etc+name, units[name]); err != nil {
			return err
		}
	}
	packaging, err := directory(ctx, "packaging")
	if err != nil {
		return err
	}
	for _, name := range packagedUnits {
		if err := addFile(w, etc+path.Base(name), 0o644, filepath.Join(packaging, filepath.FromSlash(name))); err != nil {
			return err
		}
	}
	for _, name := range packagedExamples {
		if err := addFile(w, "etc/systemd/"+name, 0o644, filepath.Join(packaging, "systemd", name)); err != nil {
			return err
		}
	}
	tree := file + ".modules"
	if err := moduleTree(ctx, tree, image); err != nil {
		return err
	}
	if err := addTree(w, "usr/lib", filepath.Join(tree, "lib")); err != nil {
		return err
	}
	return w.Close()
}

// directory is one of the module that is tested.
func directory(ctx context.Context, name string) (string, error) {
	out, err := debian.Run(ctx, "", "go", "list", "-m", "-f", "{{.Dir}}", module)
	return filepath.Join(strings.TrimSpace(out), name), err
}

// moduleTree makes lib/modules of a kernel's modules, as its package's installation does: modprobe and vcomd read what
// depmod writes.
func moduleTree(ctx context.Context, dir string, image *kernel.Image) error {
	modules := filepath.Join(dir, "lib", "modules", image.Release(), "kernel")
	if err := os.MkdirAll(modules, 0o700); err != nil {
		return err
	}
	for name := range image.Needs {
		target := name
		// In the package some files have dashes where the module has underscores.
		if i := slices.IndexFunc(Modules, func(m string) bool { return strings.ReplaceAll(m, "-", "_") == name }); i >= 0 {
			target = Modules[i]
		}
		if err := os.Symlink(filepath.Join(image.Modules, name+".ko"), filepath.Join(modules, target+".ko")); err != nil {
			return err
		}
	}
	_, err := debian.Run(ctx, "", "/sbin/depmod", "-b", dir, image.Release())
	return err
}

// addTree adds a directory, in which links are followed, to one that is there.
func addTree(w *cpio.Writer, to, from string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, source := path.Join(to, e.Name()), filepath.Join(from, e.Name())
		if e.IsDir() {
			err = w.Directory(name, 0o755)
			if err == nil {
				err = addTree(w, name, source)
			}
		} else {
			err = addFile(w, name, 0o644, source)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", source, err)
		}
	}
	return nil
}
