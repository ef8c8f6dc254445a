package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// The ports of a file are served by one process, each as it says, and what the
// environment says of one port does not count.
func TestServeAFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "vcomd.toml")
	if err := os.WriteFile(file, []byte(`
run-dir = "run"
trace = "trace"
include = "vcomd.d/*.toml"

[defaults]
connect = "always"

[[port]]
link = "one"
remote = "sim:echo"
`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "vcomd.d"), 0o700); err != nil {
		t.Fatal(err)
	}
	for i, port := range []string{"two", "three"} {
		text := fmt.Sprintf("[[port]]\nlink = \"../%s\"\nremote = \"sim:echo\"\n", port)
		if port == "three" {
			text += "start = \"unit\"\n"
		}
		if err := os.WriteFile(filepath.Join(dir, "vcomd.d", fmt.Sprintf("%d.toml", i)), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		args          []string
		served, other []string
	}{
		{nil, []string{"one", "two"}, []string{"three"}},
		{[]string{"--only", "three"}, []string{"three"}, []string{"one", "two"}},
	} {
		t.Run(strings.Join(c.served, " and "), func(t *testing.T) {
			cmd := exec.Command(binary, append([]string{"serve", "-c", file}, c.args...)...)
			cmd.Env = append(os.Environ(), "VCOMD_REQUIRE_RFC2217=perhaps", "VCOMD_LINK=wrong", "GORACE=atexit_sleep_ms=0")
			cmd.Dir = t.TempDir() // nothing is relative to it
			v := &vcomd{process: spawnCmd(t, cmd)}
			v.waitEvents("ready", len(c.served))
			for _, name := range c.served {
				tty := openTTY(t, filepath.Join(dir, name))
				write(t, tty, []byte("this is "+name))
				readUntil(t, tty, "this is "+name)
			}
			for _, name := range c.other {
				if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
					t.Errorf("%s is served too", name)
				}
			}
			v.stop(syscall.SIGTERM)
			if trace, err := os.ReadFile(filepath.Join(dir, "trace")); err != nil || !strings.Contains(string(trace), c.served[0]) {
				t.Errorf("the trace does not name the port: %v, %d bytes", err, len(trace))
			}
			if code := v.cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("exit status %d, want 0\n%s", code, v.out.String())
			}
			for _, name := range c.served {
				if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
					t.Errorf("the link %s is left", name)
				}
			}
		})
	}
}
