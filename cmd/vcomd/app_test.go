package main

import (
	"bytes"
	"context"
	"path/filepath"
	"strings"
	"testing"
)

func TestExitCodes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "missing", "tty")
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"--help"}, exitOK},
		{[]string{"version"}, exitOK},
		{nil, exitUsage},
		{[]string{"--bogus"}, exitUsage},
		{[]string{"--line", "x", "sim:echo"}, exitUsage},
		{[]string{"bogus://host"}, exitUsage},
		{[]string{"sim", "bogus"}, exitUsage},
		{[]string{"status", "--run-dir", t.TempDir()}, exitOK},
		{[]string{"status", "--run-dir", t.TempDir(), "tty"}, exitWorld},
		{[]string{"status", "tty", "another"}, exitUsage},
		{[]string{"set", "tty"}, exitUsage},
		{[]string{"set", "tty", "dtr=up"}, exitUsage},
		{[]string{"set", "--run-dir", t.TempDir(), "tty", "dtr=on"}, exitWorld},
		{[]string{"--run-dir", t.TempDir(), "--link", file, "sim:echo"}, exitWorld},
		{[]string{"--trace", file, "sim:echo"}, exitWorld},
	} {
		var stdout, stderr bytes.Buffer
		code := run(context.Background(), append([]string{"vcomd"}, c.args...), &stdout, &stderr)
		if code != c.code {
			t.Errorf("vcomd %q: exit code %d, want %d", c.args, code, c.code)
		}
		if failed := code != exitOK; failed != strings.HasPrefix(stderr.String(), "vcomd: ") || failed && stdout.Len() > 0 {
			t.Errorf("vcomd %q: standard output %q, standard error %q", c.args, stdout.String(), stderr.String())
		}
		if strings.Count(stderr.String(), "\n") > 1 {
			t.Errorf("vcomd %q: more than one line: %q", c.args, stderr.String())
		}
	}
}

// A signal is no failure.
func TestStoppedBySignal(t *testing.T) {
	ctx, stop := context.WithCancel(context.Background())
	stop()
	var stdout, stderr bytes.Buffer
	if code := run(ctx, []string{"vcomd", "--run-dir", t.TempDir(), "sim:echo"}, &stdout, &stderr); code != exitOK {
		t.Errorf("exit code %d, want 0: %s", code, stderr.String())
	}
}

// Each flag is in the help with its variable, and nothing is wider than a
// terminal for no reason.
func TestHelpNamesEveryFlag(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(context.Background(), []string{"vcomd", "--help"}, &stdout, &stderr); code != exitOK {
		t.Fatalf("exit code %d", code)
	}
	for _, f := range new(portFlags).flags() {
		name := f.Names()[0]
		for _, want := range []string{"--" + name, variable(name)} {
			if !strings.Contains(stdout.String(), want) {
				t.Errorf("the help does not mention %s", want)
			}
		}
	}
}

func TestOrigin(t *testing.T) {
	t.Setenv("VCOMD_RETRY", "x")
	t.Setenv("VCOMD_CLOSE_DELAY", "x")
	for _, c := range []struct {
		args    []string
		setting string
		want    string
	}{
		{nil, "--retry", "VCOMD_RETRY"},
		{nil, "--close-delay", "VCOMD_CLOSE_DELAY"},
		{[]string{"vcomd", "--retry", "x"}, "--retry", "--retry"},
		{[]string{"vcomd", "-retry=x"}, "--retry", "--retry"},
		{[]string{"vcomd", "--retry-max", "x"}, "--retry", "VCOMD_RETRY"},
		{[]string{"vcomd", "--", "--retry"}, "--retry", "VCOMD_RETRY"},
		{nil, "--settle", "--settle"},
	} {
		if got := origin(c.args, c.setting); got != c.want {
			t.Errorf("origin(%q, %s) is %s, want %s", c.args, c.setting, got, c.want)
		}
	}
}
