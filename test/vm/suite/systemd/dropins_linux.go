package systemd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// examples is where the packaged drop-ins are.
const examples = "/etc/systemd"

// dropIn has the packaged vcomd.service serve, with a drop-in of the package's, a port that needs it.
func dropIn(name, port, path string) func(context.Context) error {
	const dir = "/etc/systemd/system/" + service + ".d"
	return func(ctx context.Context) (err error) {
		text, err := os.ReadFile(filepath.Join(examples, name))
		if err != nil {
			return err
		}
		config := fmt.Sprintf("log-level = \"debug\"\n[[port]]\nname = \"dropped-in\"\nremote = \"sim:echo\"\n%s\n", port)
		if err := errors.Join(os.MkdirAll("/etc/vcomd", 0o750), os.WriteFile("/etc/vcomd/vcomd.toml", []byte(config), 0o600), os.MkdirAll(dir, 0o750)); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil { //nolint:gosec // the names are the suite's own
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir), reset(ctx)) }()
		return serves(ctx, path)
	}
}

// serves starts the service, looks whether the port at path echoes, and stops it: then nothing may be left.
func serves(ctx context.Context, path string) error {
	err := reset(ctx)
	if err == nil {
		_, err = command(ctx, "systemctl", "start", service)
	}
	if err == nil {
		err = echoes(path)
	}
	if err != nil {
		err = errors.Join(err, journal(ctx))
	}
	_, stopErr := command(ctx, "systemctl", "stop", service)
	mounts, mountErr := os.ReadFile("/proc/self/mounts")
	if strings.Contains(string(mounts), " "+path+" ") {
		mountErr = fmt.Errorf("%s is still mounted over", path)
	}
	return errors.Join(err, stopErr, mountErr)
}

// reset has systemd read its units, and forget what has failed.
func reset(ctx context.Context) error {
	_, err := command(ctx, "systemctl", "daemon-reload")
	_, resetErr := command(ctx, "systemctl", "reset-failed")
	return errors.Join(err, resetErr)
}

// dropIns are the checks of them. A line that the machine has no UART for is a tty like any other.
var dropIns = map[string]func(context.Context) error{
	"kernel-tty.conf": dropIn("kernel-tty.conf", "tty = \"usb\"\nlink = \"/dev/ttyKERNEL\"", "/dev/ttyKERNEL"),
	"overlay.conf":    dropIn("overlay.conf", "overlay = \"/dev/ttyS3\"", "/dev/ttyS3"),
}
