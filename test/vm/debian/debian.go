// Package debian gets packages of Debian's archive by way of this machine's apt, which verifies them, and reads what is in them.
// Nothing is installed. Needed are apt-get and dpkg-deb.
package debian

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
	"strings"
)

// ErrPackage means that apt knows no such package, or does not give it.
var ErrPackage = errors.New("no usable package")

// FileName asks apt under which name it would download a package: it has the version.
func FileName(ctx context.Context, name string) (string, error) {
	out, err := Run(ctx, "", "apt-get", "--print-uris", "download", name)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrPackage, err)
	}
	for line := range strings.Lines(out) {
		if fields := strings.Fields(line); len(fields) >= 2 && strings.HasSuffix(fields[1], ".deb") && fields[1] == path.Base(fields[1]) {
			return fields[1], nil
		}
	}
	return "", fmt.Errorf("%w: apt-get does not say what it would download for %s", ErrPackage, name)
}

// Download has apt download a package, of which file is the FileName, into a directory, and check it against the archive's
// signed list. It gives the path.
func Download(ctx context.Context, dir, name, file string) (string, error) {
	if _, err := Run(ctx, dir, "apt-get", "-q", "download", name); err != nil {
		return "", fmt.Errorf("%w: %w", ErrPackage, err)
	}
	deb := filepath.Join(dir, file)
	if _, err := os.Stat(deb); err != nil {
		return "", fmt.Errorf("%w: apt-get download has not left it: %w", ErrPackage, err)
	}
	return deb, nil
}

// Entries calls do for everything in a package that was downloaded. Names are clean and relative to the root.
func Entries(ctx context.Context, deb string, do func(h *tar.Header, content io.Reader) error) error {
	cmd := exec.CommandContext(ctx, "dpkg-deb", "--fsys-tarfile", deb)
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	if err := ReadTar(out, do); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		return err
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("dpkg-deb: %w", err)
	}
	return nil
}

// ReadTar calls do for everything in an archive of tar's. Names are clean and relative to the root, which is ".".
func ReadTar(archive io.Reader, do func(h *tar.Header, content io.Reader) error) error {
	for entries := tar.NewReader(archive); ; {
		h, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		h.Name = path.Clean(h.Name)
		if err := do(h, entries); err != nil {
			return err
		}
	}
}

// Run runs a command in a directory and gives what it says. In the error is what it says of one.
func Run(ctx context.Context, dir, command string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, command, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", command, strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return string(out), nil
}
