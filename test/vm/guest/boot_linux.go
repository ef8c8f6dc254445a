package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/test/vm/report"
)

// boot is the first process: it makes a system, runs the suites that the kernel's command line names, and powers off.
func boot(out *report.Writer) {
	if err := prepare(); err != nil {
		out.Result("boot", err)
	} else {
		session(out)
	}
	end()
}

// session runs the suites that the kernel's command line names.
func session(out *report.Writer) {
	out.Check("boot", report.Pass, release())
	for name := range strings.FieldsFuncSeq(parameter("suite"), func(r rune) bool { return r == ',' }) {
		suite(out, name)
	}
	out.Done()
}

// end ends the machine.
func end() {
	unix.Sync()
	// With -no-reboot, QEMU ends at a reset. A power-off would need ACPI.
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_RESTART)
}

// suite runs one suite as a process of its own.
func suite(out *report.Writer, name string) {
	// It ends by itself then; what it has started may not.
	ctx, cancel := context.WithTimeout(context.Background(), suiteLimit+10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "/proc/self/exe", "suite", name)
	cmd.WaitDelay = time.Second
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		out.Result(name, fmt.Errorf("the suite has failed: %w", err))
		kernelLog(os.Stderr)
	}
}

// mounts are made in this order.
var mounts = []struct {
	where, kind, options string
}{
	{"/proc", "proc", ""},
	{"/sys", "sysfs", ""},
	{"/dev", "devtmpfs", ""},
	{"/dev/pts", "devpts", "gid=5,mode=620,ptmxmode=666"},
	{"/run", "tmpfs", "mode=755"},
	{"/tmp", "tmpfs", "mode=1777"},
}

// prepare makes what every program expects of a system.
func prepare() error {
	var failed []error
	for _, m := range mounts {
		failed = append(failed, os.MkdirAll(m.where, 0o755)) //nolint:gosec // directories of a system, for all to read
		if err := unix.Mount(m.kind, m.where, m.kind, 0, m.options); err != nil {
			failed = append(failed, fmt.Errorf("mount %s: %w", m.where, err))
		}
	}
	failed = append(failed, os.Setenv("PATH", "/bin:/sbin"), os.Setenv("HOME", "/"), loopbackUp())
	if modules := parameter("modules"); modules != "" {
		failed = append(failed, loadModules(strings.Split(modules, ",")...))
	}
	return errors.Join(failed...)
}

// loopbackUp brings up the loopback interface; the kernel gives it its address.
func loopbackUp() error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer func() { _ = unix.Close(fd) }()
	request, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, request); err != nil {
		return os.NewSyscallError("ioctl(SIOCGIFFLAGS)", err)
	}
	request.SetUint16(request.Uint16() | unix.IFF_UP)
	return os.NewSyscallError("ioctl(SIOCSIFFLAGS)", unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request))
}

// parameter is the value of NAME=VALUE on the kernel's command line.
func parameter(name string) string {
	line, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return ""
	}
	for word := range strings.FieldsSeq(string(line)) {
		if value, ok := strings.CutPrefix(word, name+"="); ok {
			return value
		}
	}
	return ""
}

// release is the kernel's, as uname -r prints it.
func release() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err.Error()
	}
	return unix.ByteSliceToString(u.Release[:])
}

// kernelLog writes the kernel's last messages to w: on the console there are none but its very last words, because they would
// stand in the middle of others' lines.
func kernelLog(w io.Writer) {
	const readAll = 3 // SYSLOG_ACTION_READ_ALL
	buf := make([]byte, 2<<10)
	n, err := unix.Klogctl(readAll, buf)
	if err != nil {
		return
	}
	_, _ = fmt.Fprintf(w, "the kernel's last messages:\n%s\n", buf[:n])
}
