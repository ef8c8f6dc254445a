package vm

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/vcomd/vcomd/test/vm/kernel"
	"github.com/vcomd/vcomd/test/vm/report"
	"github.com/vcomd/vcomd/test/vm/rootfs"
)

// Limit is the longest that everything together may take.
const Limit = 10 * time.Minute

// Modules are those that the suites load, if the kernel has them.
var Modules = []string{"vhci-hcd", "ftdi_sio", "mxuport", "sch_netem", "dummy"}

// Job is what one machine is to do.
type Job struct {
	Kernel  kernel.Flavour
	System  bool // has Debian's udev and systemd, under which the suites run; else they are all that runs
	Suites  []string
	Vcomd   string    // path of a static vcomd for linux/amd64 to test; "" builds one
	Console io.Writer // what is on the console besides records
	// Progress is told what takes long.
	Progress func(string)
}

// Run does a job in a directory of its own: it fetches the kernel if the cache has not got it, builds the programs, and boots.
func (j Job) Run(ctx context.Context, dir string, take func(report.Record)) error {
	cache, err := CacheDir()
	if err != nil {
		return err
	}
	image, err := kernel.Fetch(ctx, cache, j.Kernel, Modules, j.Progress)
	if err != nil {
		return err
	}
	programs, err := Build(ctx, dir, j.Vcomd)
	if err != nil {
		return err
	}
	m := Machine{
		Kernel: image.Kernel, Initramfs: filepath.Join(dir, "initramfs"), Console: j.Console,
		Words:      []string{"suite=" + strings.Join(j.Suites, ",")},
		SecondUART: filepath.Join(dir, "line"),
	}
	if j.System {
		m.Words, m.Memory = append(m.Words, systemWords...), systemMemory
		root, err := rootfs.Fetch(ctx, cache, j.Progress)
		if err != nil {
			return err
		}
		if err := WriteSystem(ctx, m.Initramfs, root, programs, image); err != nil {
			return err
		}
	} else if err := WriteInitramfs(m.Initramfs, programs, image); err != nil {
		return err
	}
	j.Progress("booting " + image.Package)
	return m.Run(ctx, take)
}

// CacheDir is where kernels are kept: $XDG_CACHE_HOME/vcomd-vm, or ~/.cache/vcomd-vm.
func CacheDir() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(dir, "vcomd-vm"), nil
}
