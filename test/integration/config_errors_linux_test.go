package integration

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// badConfigurations is where each file has, in its first lines, after "#: ", all that vcomd
// is to say of it: line, column and text; another file in front, if it is about
// that; and DIR for the directory.
const badConfigurations = "testdata/config/bad"

// told returns what a bad file says that it is told.
func told(t *testing.T, dir, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for line := range strings.Lines(string(text)) {
		want, ok := strings.CutPrefix(line, "#: ")
		if !ok {
			break
		}
		all.WriteString("vcomd: ")
		switch {
		case want[0] >= '0' && want[0] <= '9':
			all.WriteString("DIR/" + name + ":")
		case strings.HasPrefix(want, "sub/"):
			all.WriteString("DIR/")
		}
		all.WriteString(want)
	}
	return strings.ReplaceAll(all.String(), "DIR", dir)
}

// Whatever is wrong with a file, all of it is told at once, with its place, and
// vcomd serve says the same as vcomd check.
func TestBadConfigurations(t *testing.T) {
	dir, err := filepath.Abs(badConfigurations)
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.toml"))
	if err != nil || len(files) < 40 {
		t.Fatalf("%d bad files, %v; want 40 at least", len(files), err)
	}
	for _, file := range files {
		name := filepath.Base(file)
		t.Run(strings.TrimSuffix(name, ".toml"), func(t *testing.T) {
			want := told(t, dir, name)
			if want == "" {
				t.Fatal("the file does not say what is wrong with it")
			}
			for _, command := range [][]string{{"check"}, {"serve", "--run-dir", t.TempDir()}} {
				stdout, stderr, code := runApart(t, append(command, "-c", file)...)
				if code != 2 {
					t.Errorf("vcomd %s: exit status %d, want 2", command[0], code)
				}
				if stderr != want {
					t.Errorf("vcomd %s: got\n%swant\n%s", command[0], stderr, want)
				}
				if stdout != "" {
					t.Errorf("vcomd %s: standard output %q, want none", command[0], stdout)
				}
			}
		})
	}
}

// runApart runs vcomd to its end.
func runApart(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.WaitDelay = time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	var exit *exec.ExitError
	if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}
