package integration

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// binary is the vcomd under test, built once.
var binary string

// How it is built: as released, or with the race detector when the tests are.
var (
	buildFlags = []string{"-trimpath"}
	cgo        = "0"
)

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	dir, err := os.MkdirTemp("", "vcomd-integration-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "vcomd")
	for _, name := range []string{"ALL_PROXY", "all_proxy"} { // whoever runs the tests may be behind one
		_ = os.Unsetenv(name)
	}
	args := append(append([]string{"build"}, buildFlags...), "-o", binary, "github.com/vcomd/vcomd/cmd/vcomd")
	build := exec.Command("go", args...)
	build.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
	build.Stdout, build.Stderr = os.Stderr, os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "build vcomd:", err)
		return 1
	}
	// Tests that run in parallel wait most of the time. A -parallel on the command
	// line comes later, and counts.
	if err := flag.Set("test.parallel", "8"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	before := descriptors()
	code := m.Run()
	if code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if after := descriptors(); after > before {
		fmt.Fprintf(os.Stderr, "descriptors leaked: %d before, %d after\n", before, after)
		return 1
	}
	return 0
}

// descriptors counts this process's open descriptors, its netpoller's aside.
func descriptors() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	n := 0
	for _, e := range entries {
		target, err := os.Readlink("/proc/self/fd/" + e.Name())
		if err == nil && target != "anon_inode:[eventpoll]" && target != "anon_inode:[eventfd]" {
			n++
		}
	}
	return n
}
