package rootfs

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/vcomd/vcomd/test/vm/cpio"
	"github.com/vcomd/vcomd/test/vm/debian"
)

// left are the directories whose contents are left out: no program of a test reads them, and the machine's memory is what they
// would be kept in.
var left = []string{
	"boot", "dev", "proc", "run", "sys", "tmp",
	"usr/share/doc", "usr/share/info", "usr/share/locale", "usr/share/man", "usr/share/perl", "usr/share/perl5", "usr/share/zoneinfo",
	"usr/lib/udev/hwdb.d", // hwdb.bin is made of it
	"usr/lib/x86_64-linux-gnu/gconv", "usr/lib/x86_64-linux-gnu/perl", "usr/lib/x86_64-linux-gnu/perl-base",
	"var/cache", "var/lib/apt", "var/lib/dpkg", "var/log",
}

// gpsdAccount is what gpsd's postinst has adduser make: in the group dialout, which is 20 on every Debian.
const gpsdAccount = "gpsd:x:900:20:GPSD system user:/run/gpsd:/bin/false\n"

// pack makes the archive of an installed system and of the extras' packages.
func pack(ctx context.Context, path, installed string, extras map[string]string) (err error) {
	out, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	buffered := bufio.NewWriterSize(out, 1<<20)
	w := cpio.NewWriter(buffered)
	in, err := os.Open(installed)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	if err := debian.ReadTar(bufio.NewReaderSize(in, 1<<20), func(h *tar.Header, content io.Reader) error { return add(w, h, content) }); err != nil {
		return fmt.Errorf("what mmdebstrap has made: %w", err)
	}
	for _, name := range sorted(extras) {
		if err := addExtras(ctx, w, name, extras[name]); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return errors.Join(w.Close(), buffered.Flush())
}

// addExtras adds what Extras names of a package.
func addExtras(ctx context.Context, w *cpio.Writer, name, deb string) error {
	missing := slices.Clone(Extras[name])
	err := debian.Entries(ctx, deb, func(h *tar.Header, content io.Reader) error {
		i := slices.Index(missing, h.Name)
		if i < 0 {
			return nil
		}
		missing = slices.Delete(missing, i, i+1)
		return add(w, h, content)
	})
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("%w: it has no %s", debian.ErrPackage, strings.Join(missing, ", "))
	}
	return err
}

// add adds an entry, unless it is left out.
func add(w *cpio.Writer, h *tar.Header, content io.Reader) error {
	if h.Name == "." || isLeft(h.Name) {
		return nil
	}
	name := h.Name
	if rest, ok := strings.CutPrefix(name, "lib/"); ok {
		name = "usr/lib/" + rest // of a package: there /lib is a link
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return w.Directory(name, h.FileInfo().Mode())
	case tar.TypeSymlink:
		return w.Symlink(name, h.Linkname)
	case tar.TypeLink: // there are no hard links in the archive
		return w.Symlink(name, "/"+strings.TrimPrefix(h.Linkname, "./"))
	case tar.TypeReg:
		if name == "etc/passwd" {
			return w.File(name, 0o644, io.MultiReader(content, strings.NewReader(gpsdAccount)), h.Size+int64(len(gpsdAccount)))
		}
		return w.File(name, h.FileInfo().Mode(), content, h.Size)
	default:
		return nil // devices: the kernel makes them
	}
}

// isLeft reports whether a name is in a directory whose contents are left out.
func isLeft(name string) bool {
	return slices.ContainsFunc(left, func(dir string) bool { return strings.HasPrefix(name, dir+"/") })
}

// sorted are a map's keys.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
