package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/test/vm/kernel"
)

// modulesDir has a directory for each kernel.
const modulesDir = "/lib/modules"

// loadModules loads modules and what they need, as modprobe does.
func loadModules(names ...string) error {
	dir := filepath.Join(modulesDir, release())
	text, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		return err
	}
	needs, err := kernel.ParseDependencies(string(text))
	if err != nil {
		return err
	}
	order, err := kernel.Order(needs, names...)
	if err != nil {
		return err
	}
	for _, name := range order {
		if err := loadModule(filepath.Join(dir, name+".ko")); err != nil {
			return fmt.Errorf("load the module %s: %w", name, err)
		}
	}
	return nil
}

func loadModule(path string) error {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.FinitModule(fd, "", 0); err != nil && !errors.Is(err, unix.EEXIST) {
		return os.NewSyscallError("finit_module", err)
	}
	return nil
}
