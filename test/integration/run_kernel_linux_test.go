package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// A kernel that lacks what vcomd run needs: the program is not started, and the
// message says what is missing and what works nevertheless, which it does. vcomd
// check says the same.
func TestRunOnOldKernels(t *testing.T) {
	old := filepath.Join(t.TempDir(), "oldkernel")
	build := exec.Command("go", "build", "-o", old, "testdata/oldkernel.go")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, out)
	}
	need(t, "touch", "stty")
	for _, tt := range []struct{ kernel, missing, check string }{
		{"none", "it has no seccomp user notification (Linux 5.0, CONFIG_SECCOMP_FILTER)", "seccomp is refused here, or this kernel has none"},
		{"4.20", "it has no seccomp user notification (Linux 5.0, CONFIG_SECCOMP_FILTER)", "this kernel has no user notification"},
		{"5.18", "it has no SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (Linux 5.19)", "this kernel lacks WAIT_KILLABLE_RECV"},
	} {
		t.Run(tt.kernel, func(t *testing.T) {
			by := []string{old, tt.kernel}
			s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}})
			v := startBy(t, by, s.addr, "--log-level", "debug")
			dir := t.TempDir()
			mark, link := filepath.Join(dir, "started"), filepath.Join(dir, "own")
			for name, on := range map[string][]string{
				"a port that is served": v.runOn(),
				"a port of its own":     {binary, "run", "--link", link, "--run-dir", filepath.Join(dir, "run"), s.addr, "--"},
			} {
				argv := slices.Concat(by, on, []string{"touch", mark})
				out, code := run(t, argv[0], argv[1:]...)
				if code != 125 {
					t.Errorf("%s: exit status %d, want 125", name, code)
				}
				for _, want := range []string{
					"vcomd: run: touch: the kernel cannot show a program's ioctls to another process",
					tt.missing,
					"without it start the program as it is: what the pseudo-terminal carries works",
				} {
					if !strings.Contains(out, want) {
						t.Errorf("%s: nothing of %q in %s", name, want, out)
					}
				}
			}
			for _, path := range []string{mark, link} {
				if _, err := os.Lstat(path); err == nil {
					t.Errorf("%s is there", filepath.Base(path))
				}
			}

			argv := slices.Concat(by, []string{"/bin/sh", "-c", `stty -F "$0" 19200 cstopb && printf words >"$0"`, v.link})
			mustRun(t, argv[0], argv[1:]...)
			s.awaitSent(t, "words")
			for _, e := range s.uart.Journal() {
				if e.Kind == rfc2217test.EntryData && e.State.Line() != "19200-8N2" {
					t.Errorf("%q left at %s", e.Data, e.State.Line())
				}
			}

			out, _ := run(t, old, tt.kernel, binary, "check")
			if !strings.Contains(strings.Join(strings.Fields(out), " "), "missing seccomp "+tt.check) {
				t.Errorf("vcomd check says: %s", out)
			}
		})
	}
}
