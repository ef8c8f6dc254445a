package kernel

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vcomd/vcomd/test/vm/debian"
)

// ErrPackage means that apt knows no such package, or the package is not as expected.
var ErrPackage = errors.New("no usable kernel package")

// Flavour is one of Debian's kernels.
type Flavour string

// Flavours.
const (
	Generic Flavour = "generic"
	Cloud   Flavour = "cloud" // for virtual machines of the big providers: no USB at all
)

// meta is the package that depends on the newest kernel of a flavour.
func (f Flavour) meta() (string, error) {
	switch f {
	case Generic:
		return "linux-image-amd64", nil
	case Cloud:
		return "linux-image-cloud-amd64", nil
	default:
		return "", fmt.Errorf("%w: there is no kernel %q, but %s and %s", ErrPackage, string(f), Generic, Cloud)
	}
}

// Image is a kernel in the cache.
type Image struct {
	Package string              // with its version: linux-image-6.1.0-56-amd64_6.1.192-2
	Kernel  string              // path of what QEMU is to boot
	Modules string              // path of the directory of modules, NAME.ko each, NAME as the kernel has it
	Needs   map[string][]string // which modules each of them needs
}

// Release is what uname -r says in a machine that runs it.
func (i *Image) Release() string {
	name, _, _ := strings.Cut(i.Package, "_")
	return strings.TrimPrefix(name, "linux-image-")
}

// Fetch gives a kernel with those of the wanted modules that it has, from the cache if it is there. progress is told what takes
// long.
func Fetch(ctx context.Context, cache string, flavour Flavour, wanted []string, progress func(string)) (*Image, error) {
	meta, err := flavour.meta()
	if err != nil {
		return nil, err
	}
	name, err := resolve(ctx, meta)
	if err != nil {
		return nil, err
	}
	file, err := debian.FileName(ctx, name)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(cache, strings.TrimSuffix(file, "_amd64.deb")+"-"+hash(wanted))
	if _, err := os.Stat(dir); err == nil {
		return open(dir)
	}
	progress("fetching " + file)
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp(cache, "new-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(work) }()
	deb, err := debian.Download(ctx, work, name, file)
	if err != nil {
		return nil, err
	}
	unpacked := filepath.Join(work, "unpacked")
	if err := unpack(ctx, deb, unpacked, wanted); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if err := removeOlder(cache, name); err != nil {
		return nil, err
	}
	// Another process may have been faster: what it has made is as good.
	if err := os.Rename(unpacked, dir); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	return open(dir)
}

// hash is a short name of a list.
func hash(list []string) string {
	list = slices.Sorted(slices.Values(list))
	sum := sha256.Sum256([]byte(strings.Join(list, "\n")))
	return hex.EncodeToString(sum[:4])
}

// open reads a directory of the cache.
func open(dir string) (*Image, error) {
	base := filepath.Base(dir)
	i := &Image{Package: base[:strings.LastIndexByte(base, '-')], Modules: filepath.Join(dir, "modules")}
	for _, name := range []string{"vmlinux", "vmlinuz"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			i.Kernel = filepath.Join(dir, name)
			break
		}
	}
	if i.Kernel == "" {
		return nil, fmt.Errorf("%w: no kernel in %s: remove that directory", ErrPackage, dir)
	}
	text, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return nil, err
	}
	i.Needs, err = ParseDependencies(string(text))
	return i, err
}

// removeOlder removes what the cache has of a package's other versions, and of the flavour's older packages.
func removeOlder(cache, name string) error {
	entries, err := os.ReadDir(cache)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), "linux-image-") {
			continue
		}
		if cloud := strings.Contains(e.Name(), "-cloud-"); cloud != strings.Contains(name, "-cloud-") {
			continue
		}
		if err := os.RemoveAll(filepath.Join(cache, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// resolve asks apt what a meta package depends on.
func resolve(ctx context.Context, meta string) (string, error) {
	out, err := debian.Run(ctx, "", "apt-cache", "depends", "--important", meta)
	if err != nil {
		return "", fmt.Errorf("%w: %w; run apt-get update?", ErrPackage, err)
	}
	for line := range strings.Lines(out) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "Depends: "); ok && strings.HasPrefix(name, "linux-image-") {
			return name, nil
		}
	}
	return "", fmt.Errorf("%w: %s depends on no kernel: run apt-get update?", ErrPackage, meta)
}
