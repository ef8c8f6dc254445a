package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// screen is a terminal in which an interactive program runs: keys go in, and
// what a user would see comes out. It is a tmux server of its own.
type screen struct {
	t      *testing.T
	server *process
	env    []string
}

// newScreen runs a program in a terminal of 100 by 30 characters.
func newScreen(t *testing.T, env []string, program string, args ...string) *screen {
	t.Helper()
	need(t, "tmux", program)
	dir := t.TempDir()
	s := &screen{t: t, env: append(os.Environ(), append([]string{
		"TMUX=", "TMUX_TMPDIR=" + dir, "LC_ALL=C", "HOME=" + dir,
	}, env...)...)}
	// In the foreground, so that it ends with the test.
	server := exec.Command("tmux", "-L", "vcomd", "-f", "/dev/null", "-D")
	server.Env = s.env
	s.server = spawnCmd(t, server)
	eventually(t, "tmux is there", func() bool {
		sockets, err := filepath.Glob(filepath.Join(dir, "tmux-*", "vcomd"))
		if err != nil {
			t.Fatal(err)
		}
		return len(sockets) == 1
	})
	// The window stays when the program ends: what it said last can be seen.
	s.tmux("set-option", "-g", "remain-on-exit", "on", ";",
		"new-session", "-d", "-s", "test", "-x", "100", "-y", "30", shellQuote(append([]string{program}, args...)))
	t.Cleanup(func() {
		if t.Failed() && s.server.running() {
			t.Logf("the screen of %s:\n%s", program, s.text())
		}
	})
	return s
}

func shellQuote(args []string) string {
	quoted := make([]string, 0, len(args))
	for _, a := range args {
		quoted = append(quoted, "'"+strings.ReplaceAll(a, "'", `'\''`)+"'")
	}
	return strings.Join(quoted, " ")
}

// tmux gives the server a command and returns what it prints.
func (s *screen) tmux(args ...string) string {
	s.t.Helper()
	cmd := exec.Command("tmux", append([]string{"-L", "vcomd"}, args...)...)
	cmd.Env = s.env
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.t.Fatalf("tmux %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// keys presses keys by tmux's names: "a", "Enter", "C-a".
func (s *screen) keys(keys ...string) {
	s.t.Helper()
	s.tmux(append([]string{"send-keys", "-t", "test"}, keys...)...)
}

// typeText types a text.
func (s *screen) typeText(text string) {
	s.t.Helper()
	s.tmux("send-keys", "-t", "test", "-l", text)
}

// text is what is on the screen.
func (s *screen) text() string {
	s.t.Helper()
	return s.tmux("capture-pane", "-p", "-t", "test")
}

// await waits until the screen shows a text.
func (s *screen) await(text string) {
	s.t.Helper()
	eventually(s.t, "the screen shows "+text, func() bool { return strings.Contains(s.text(), text) })
}

// awaitEnd waits until the program has ended.
func (s *screen) awaitEnd() {
	s.t.Helper()
	eventually(s.t, "the program ends", func() bool {
		return strings.TrimSpace(s.tmux("list-panes", "-t", "test", "-F", "#{pane_dead}")) == "1"
	})
}

// awaitGone waits until the screen does not show a text any more.
func (s *screen) awaitGone(text string) {
	s.t.Helper()
	eventually(s.t, "the screen shows no "+text, func() bool { return !strings.Contains(s.text(), text) })
}
