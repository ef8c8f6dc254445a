package vm

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vcomd/vcomd/test/vm/cpio"
	"github.com/vcomd/vcomd/test/vm/kernel"
)

// module is the Go module that is tested.
const module = "github.com/vcomd/vcomd"

// Programs are what runs in a machine: static, so that it needs nothing else.
type Programs struct {
	Init  string // test/vm/guest
	Vcomd string // as released
}

// Build builds them into a directory; vcomd not if there is one already, at the path given.
func Build(ctx context.Context, dir, vcomd string) (Programs, error) {
	p := Programs{filepath.Join(dir, "init"), vcomd}
	sources := map[string]string{p.Init: module + "/test/vm/guest"}
	if vcomd == "" {
		p.Vcomd = filepath.Join(dir, "vcomd")
		sources[p.Vcomd] = module + "/cmd/vcomd"
	}
	for path, source := range sources {
		cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, source)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
		if out, err := cmd.CombinedOutput(); err != nil {
			return p, fmt.Errorf("build %s: %w: %s", source, err, out)
		}
	}
	return p, nil
}

// accounts are those of the machine: nobody is who has no privilege there.
const accounts = "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n"

// groups are those of the machine.
const groups = "root:x:0:\ntty:x:5:\ndialout:x:20:\nnogroup:x:65534:\n"

// WriteInitramfs writes the first, and only, file system of a machine.
func WriteInitramfs(path string, p Programs, image *kernel.Image) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	modules := "lib/modules/" + image.Release()
	w := cpio.NewWriter(f)
	for _, dir := range []string{"bin", "sbin", "dev", "etc", "lib", "lib/modules", modules} {
		if err := w.Directory(dir, 0o755); err != nil {
			return err
		}
	}
	for _, step := range []error{
		// The kernel opens it for /init before anything is mounted.
		w.Character("dev/console", 0o600, 5, 1),
		w.Symlink("sbin/modprobe", "/init"),
		addText(w, "etc/passwd", accounts), addText(w, "etc/group", groups),
		addText(w, modules+"/modules.dep", kernel.FormatDependencies(image.Needs)),
		addFile(w, "init", 0o755, p.Init), addFile(w, "bin/vcomd", 0o755, p.Vcomd),
	} {
		if step != nil {
			return step
		}
	}
	for _, name := range slices.Sorted(maps.Keys(image.Needs)) {
		if err := addFile(w, modules+"/"+name+".ko", 0o644, filepath.Join(image.Modules, name+".ko")); err != nil {
			return err
		}
	}
	return w.Close()
}

func addText(w *cpio.Writer, name, text string) error {
	return w.File(name, 0o644, strings.NewReader(text), int64(len(text)))
}

func addFile(w *cpio.Writer, name string, perm os.FileMode, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return w.File(name, perm, f, info.Size())
}
