package integration

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// TestTerminalCloses: one that runs in a terminal leaves nothing behind when that is closed, and
// goes on where SIGHUP is ignored, as nohup has it.
func TestTerminalCloses(t *testing.T) {
	v := start(t, serve(t, &rfc2217test.Server{}).addr, "--connect", "always")
	v.waitEvent("connected")
	v.stop(syscall.SIGHUP)
	v.waitEnded()
	if code := v.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if _, err := os.Lstat(v.link); err == nil {
		t.Error("the link is still there")
	}
	if left, err := filepath.Glob(filepath.Join(v.runDir(), "*.*")); err != nil || len(left) > 0 {
		t.Errorf("sockets are left: %q, %v", left, err)
	}

	need(t, "nohup")
	v = startBy(t, []string{"nohup"}, serve(t, &rfc2217test.Server{}).addr, "--connect", "always")
	v.waitEvent("connected")
	if err := v.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	tty := openTTY(t, v.link)
	write(t, tty, []byte("x"))
	v.waitEvent("ready")
	if !v.running() {
		t.Error("with nohup it has ended")
	}
}
