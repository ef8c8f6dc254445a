package rootfs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/vcomd/vcomd/test/vm/debian"
)

// ErrRelease means that this machine is no Debian of which there is an archive.
var ErrRelease = errors.New("not a release of Debian")

// Packages are installed, with what they depend on; besides them only what Debian calls essential.
var Packages = []string{
	"systemd-sysv", "udev", "kmod",
	"libgps28", "libbluetooth3", "libusb-1.0-0", // what gpsd is linked with
}

// Extras are files of packages that are not installed: gpsd would have Python installed, and its clients a desktop.
var Extras = map[string][]string{
	"gpsd":         {"usr/sbin/gpsd", "lib/systemd/system/gpsd.service", "lib/systemd/system/gpsd.socket", "lib/udev/rules.d/60-gpsd.rules"},
	"gpsd-clients": {"usr/bin/gpspipe"},
}

// format is to be changed whenever something else is made of the same packages.
const format = "1"

// Fetch gives the path of the archive, from the cache if it is there. progress is told what takes long.
func Fetch(ctx context.Context, cache string, progress func(string)) (string, error) {
	release, err := codename("/etc/os-release")
	if err != nil {
		return "", err
	}
	files := make(map[string]string)
	made := []string{fmt.Sprint(format, Extras, left)}
	for _, name := range append(sorted(Extras), Packages...) {
		if files[name], err = debian.FileName(ctx, name); err != nil {
			return "", err
		}
		made = append(made, files[name])
	}
	sum := sha256.Sum256([]byte(strings.Join(made, "\n")))
	result := filepath.Join(cache, "rootfs-"+release+"-"+hex.EncodeToString(sum[:4])+".cpio")
	if _, err := os.Stat(result); err == nil {
		return result, nil
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return "", err
	}
	work, err := os.MkdirTemp(cache, "new-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(work) }()
	progress("installing a Debian " + release + " with udev and systemd")
	installed := filepath.Join(work, "root.tar")
	if _, err := debian.Run(ctx, work, "mmdebstrap", "--quiet", "--variant=essential", "--include="+strings.Join(Packages, ","),
		"--skip=output/dev", release, installed); err != nil {
		return "", err
	}
	extras := make(map[string]string)
	for name := range Extras {
		if extras[name], err = debian.Download(ctx, work, name, files[name]); err != nil {
			return "", err
		}
	}
	packed := filepath.Join(work, "rootfs.cpio")
	if err := pack(ctx, packed, installed, extras); err != nil {
		return "", err
	}
	if err := removeOlder(cache); err != nil {
		return "", err
	}
	return result, os.Rename(packed, result)
}

// codename reads os-release(5).
func codename(path string) (string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrRelease, err)
	}
	for line := range strings.Lines(string(text)) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "VERSION_CODENAME="); ok {
			return strings.Trim(name, `"`), nil
		}
	}
	return "", fmt.Errorf("%w: %s has no VERSION_CODENAME", ErrRelease, path)
}

func removeOlder(cache string) error {
	older, err := filepath.Glob(filepath.Join(cache, "rootfs-*.cpio"))
	for _, path := range older {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}
