package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// completed is what vcomd says that the last word may become, in a directory of sockets.
func completed(t *testing.T, runDir string, words ...string) []string {
	t.Helper()
	cmd := exec.Command(binary, append([]string{"completion", "words", "--"}, words...)...)
	cmd.Env = append(os.Environ(), "VCOMD_RUN_DIR="+runDir)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("completion words %q: %v", words, err)
	}
	var found []string
	for line := range strings.Lines(string(out)) {
		text, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
		found = append(found, text)
	}
	return found
}

func TestCompletionWords(t *testing.T) {
	for _, c := range []struct {
		words  []string
		wanted []string // all of them, in this order
	}{
		{[]string{"rec"}, []string{"reconnect"}},
		{[]string{"serve", "--on"}, []string{"--only"}},
		{[]string{"serve", "-c", ""}, []string{":files"}},
		{[]string{"serve", "--config", "x", "--lo"}, []string{"--log-level"}},
		{[]string{"run", "host", "--", "pico"}, []string{":files"}},
		{[]string{"purge", "one", "r"}, []string{"rx"}},
		{[]string{"set", "one", "dtr=on", "rts"}, []string{"rts=on", "rts=off"}},
		{[]string{"completion", ""}, []string{"bash", "zsh", "fish"}},
		{[]string{"host", ""}, nil},
		{[]string{"nothing-like-it"}, nil},
		{[]string{"--stale-af"}, []string{"--stale-after"}},
	} {
		if got := completed(t, t.TempDir(), c.words...); !slices.Equal(got, c.wanted) {
			t.Errorf("%q may become %q, want %q", c.words, got, c.wanted)
		}
	}
	if got := completed(t, t.TempDir(), ""); !slices.Contains(got, "status") || slices.Contains(got, "man") {
		t.Errorf("commands are %q, want all that help shows", got)
	}
}

// Each shell that is here completes a command, a flag and a port that runs.
func TestCompletionInShells(t *testing.T) {
	dir := t.TempDir()
	runDir := filepath.Join(dir, "run")
	v := startUntraced(t, "sim:echo", "--name", "completed-port", "--run-dir", runDir)
	scripts := make(map[string]string)
	for _, shell := range []string{"bash", "zsh", "fish"} {
		scripts[shell] = filepath.Join(dir, "completion."+shell)
		if err := os.WriteFile(scripts[shell], []byte(mustRun(t, binary, "completion", shell)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ask := func(t *testing.T, shell, script string) string {
		t.Helper()
		need(t, shell)
		cmd := exec.Command(shell, "-c", script)
		cmd.Env = append(os.Environ(), "PATH="+filepath.Dir(binary)+":"+os.Getenv("PATH"), "HOME="+dir, "VCOMD_RUN_DIR="+runDir)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", shell, err, out)
		}
		return string(out)
	}
	for _, c := range []struct{ line, wanted string }{
		{"stat", "status"}, {"serve --on", "--only"}, {"status comp", "completed-port"}, {"status " + filepath.Dir(v.link) + "/", v.link},
	} {
		words := strings.Fields(c.line)
		t.Run("bash "+c.line, func(t *testing.T) {
			got := ask(t, "bash", "source "+scripts["bash"]+"; COMP_WORDS=(vcomd "+c.line+"); COMP_CWORD="+string(rune('0'+len(words)))+`; _vcomd; printf '%s\n' "${COMPREPLY[@]}"`)
			if strings.TrimSpace(got) != c.wanted {
				t.Errorf("it completes to %q, want %q", got, c.wanted)
			}
		})
		t.Run("fish "+c.line, func(t *testing.T) {
			got := ask(t, "fish", "source "+scripts["fish"]+"; complete -C 'vcomd "+c.line+"'")
			text, _, _ := strings.Cut(strings.TrimSpace(got), "\t")
			if text != c.wanted {
				t.Errorf("it completes to %q, want %q", got, c.wanted)
			}
		})
		t.Run("zsh "+c.line, func(t *testing.T) {
			// What the script hands to _describe, which needs a terminal.
			got := ask(t, "zsh", `compdef() { : }; _describe() { print -l -- "${(@P)2}" }; words=(vcomd `+c.line+"); CURRENT=$#words; source "+scripts["zsh"]+"; _vcomd")
			text, _, _ := strings.Cut(strings.TrimSpace(got), ":")
			if text != c.wanted {
				t.Errorf("it completes to %q, want %q", got, c.wanted)
			}
		})
	}
	for _, args := range [][]string{{"sh"}, {}, {"bash", "zsh"}} {
		if out, code := run(t, binary, append([]string{"completion"}, args...)...); code != 2 || !strings.Contains(out, "bash, zsh or fish") {
			t.Errorf("vcomd completion %q: status %d, %s", args, code, out)
		}
	}
}
