package pty

import (
	"fmt"
	"os"
	"strconv"
	"strings"
)

// mount is one line of /proc/thread-self/mountinfo (proc_pid_mountinfo(5)), as far as
// it is needed here.
type mount struct {
	id, parent int
	// root is what of its file system is mounted: "/5" for /dev/pts/5, and
	// "/5//deleted" once that terminal is gone.
	root  string
	point string
	fs    string
}

// terminal returns the path of the pseudo-terminal, or of the kernel's tty for a USB
// adapter, that a mount shows, if it shows one.
func (m mount) terminal() (path string, ok bool) {
	var dir, prefix string
	switch m.fs {
	case "devpts":
		dir = "/dev/pts/"
	case "devtmpfs":
		dir, prefix = "/dev/", "ttyUSB"
	default:
		return "", false
	}
	name := strings.TrimSuffix(strings.TrimPrefix(m.root, "/"), "//deleted")
	number, ok := strings.CutPrefix(name, prefix)
	if _, err := strconv.ParseUint(number, 10, 32); err != nil || !ok {
		return "", false
	}
	return dir + name, true
}

// mountsAt returns the mounts at a path, the one that programs see first, then
// what it covers.
func mountsAt(path string) ([]mount, error) {
	b, err := os.ReadFile("/proc/thread-self/mountinfo")
	if err != nil {
		return nil, err
	}
	return stackAt(parseMounts(string(b)), path), nil
}

// stackAt orders the mounts at a path, top first: each one's parent is the one
// below it. The order of the table says nothing of that.
func stackAt(table []mount, path string) []mount {
	here := make(map[int]mount)
	covered := make(map[int]bool)
	for _, m := range table {
		if m.point == path {
			here[m.id] = m
			covered[m.parent] = true
		}
	}
	var stack []mount
	for _, m := range here {
		if covered[m.id] {
			continue
		}
		for ok := true; ok && len(stack) < len(here); m, ok = here[m.parent] {
			stack = append(stack, m)
		}
		break
	}
	return stack
}

// parseMounts reads a mount table. A line that is not understood is left out:
// it cannot be one of ours.
func parseMounts(text string) []mount {
	var table []mount
	for line := range strings.Lines(text) {
		// 36 35 98:0 /root /point options [optional…] - fs source options
		before, after, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " - ")
		f := strings.Fields(before)
		fs, _, _ := strings.Cut(after, " ")
		if !ok || len(f) < 6 {
			continue
		}
		id, err := strconv.Atoi(f[0])
		if err != nil {
			continue
		}
		parent, err := strconv.Atoi(f[1])
		if err != nil {
			continue
		}
		table = append(table, mount{id: id, parent: parent, root: unescape(f[3]), point: unescape(f[4]), fs: fs})
	}
	return table
}

// unescape undoes the \ooo that mountinfo writes for blanks, tabs, newlines and
// backslashes.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+4 <= len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// ttyDriver is one line of /proc/tty/drivers: who drives which device numbers.
type ttyDriver struct {
	name               string
	major, first, last uint64
	kind               string // "serial", "pty:slave", "console", "system:…"
}

// driverOf returns the tty driver of a device number.
func driverOf(major, minor uint64) (d ttyDriver, ok bool, err error) {
	const table = "/proc/tty/drivers"
	b, err := os.ReadFile(table)
	if err != nil {
		return d, false, fmt.Errorf("tell ttys from other devices: %w", err)
	}
	for _, d := range parseDrivers(string(b)) {
		if d.major == major && d.first <= minor && minor <= d.last {
			return d, true, nil
		}
	}
	return d, false, nil
}

// parseDrivers reads the table of tty drivers.
func parseDrivers(text string) []ttyDriver {
	var all []ttyDriver
	for line := range strings.Lines(text) {
		// serial  /dev/ttyS  4 64-95 serial; one number where there is but one
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		n := len(f)
		first, last, ranged := strings.Cut(f[n-2], "-")
		if !ranged {
			last = first
		}
		d := ttyDriver{name: f[0], kind: f[n-1]}
		var errs [3]error
		d.major, errs[0] = strconv.ParseUint(f[n-3], 10, 32)
		d.first, errs[1] = strconv.ParseUint(first, 10, 32)
		d.last, errs[2] = strconv.ParseUint(last, 10, 32)
		if errs == [3]error{} {
			all = append(all, d)
		}
	}
	return all
}
