package kernel

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vcomd/vcomd/test/vm/debian"
)

// unpack makes a directory of the cache of a package. It reads the package twice, because who needs whom is known only when all
// modules have been seen, and they are 400 MB.
func unpack(ctx context.Context, deb, dir string, wanted []string) error {
	modules := filepath.Join(dir, "modules")
	if err := os.MkdirAll(modules, 0o700); err != nil {
		return err
	}
	image, needs, err := survey(ctx, deb)
	if err != nil {
		return err
	}
	if err := writeKernel(ctx, image, dir); err != nil {
		return err
	}
	// A kernel need not have all of them: Debian's cloud kernel has none of USB's.
	wanted = slices.DeleteFunc(slices.Clone(wanted), func(name string) bool { return needs[moduleName(name)] == nil })
	order, err := Order(needs, wanted...)
	if err != nil {
		return err
	}
	kept := make(map[string][]string)
	for _, name := range order {
		kept[name] = needs[name]
	}
	err = each(ctx, deb, func(name string, r io.Reader) error {
		if !strings.HasSuffix(name, ".ko") || kept[moduleName(path.Base(name))] == nil {
			return nil
		}
		return save(r, filepath.Join(modules, moduleName(path.Base(name))+".ko"))
	})
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "modules.dep"), []byte(FormatDependencies(kept)), 0o600)
}

// survey reads the boot image of a package, and which modules each of its modules needs: a list that is not nil.
func survey(ctx context.Context, deb string) (image []byte, needs map[string][]string, err error) {
	needs = make(map[string][]string)
	err = each(ctx, deb, func(name string, r io.Reader) error {
		isImage := path.Dir(name) == "boot" && strings.HasPrefix(path.Base(name), "vmlinuz-")
		isModule := strings.HasSuffix(name, ".ko")
		if !isImage && !isModule {
			return nil
		}
		content, err := io.ReadAll(r)
		if err != nil {
			return err
		}
		if isImage {
			image = content
			return nil
		}
		first, err := Depends(bytes.NewReader(content))
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		needs[moduleName(path.Base(name))] = append([]string{}, first...)
		return nil
	})
	if err == nil && image == nil {
		err = fmt.Errorf("%w: no boot/vmlinuz in it", ErrPackage)
	}
	return image, needs, err
}

// each calls do for every file of a package.
func each(ctx context.Context, deb string, do func(name string, r io.Reader) error) error {
	return debian.Entries(ctx, deb, func(h *tar.Header, content io.Reader) error {
		if h.Typeflag != tar.TypeReg {
			return nil
		}
		return do(h.Name, content)
	})
}

func save(r io.Reader, name string) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, r)
	return errors.Join(err, f.Close())
}

// writeKernel writes the kernel in the form that boots fastest.
func writeKernel(ctx context.Context, image []byte, dir string) error {
	compressed, err := payload(image)
	if err != nil {
		return err
	}
	if !isXZ(compressed) {
		return os.WriteFile(filepath.Join(dir, "vmlinuz"), image, 0o600)
	}
	f, err := os.OpenFile(filepath.Join(dir, "vmlinux"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	// Behind the XZ stream stands the length of what was compressed.
	cmd := exec.CommandContext(ctx, "xz", "-dc", "--single-stream")
	cmd.Stdin, cmd.Stdout = bytes.NewReader(compressed), f
	if err := errors.Join(cmd.Run(), f.Close()); err != nil {
		return fmt.Errorf("unpack the kernel with xz: %w", err)
	}
	return nil
}
