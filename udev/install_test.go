package udev

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func text(t *testing.T, o Options) string {
	t.Helper()
	s, err := Rules(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestInstall(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	if found, s := Find(t.TempDir(), dir); s != Absent || found != "" {
		t.Errorf("found %q, %d", found, s)
	}
	first, second := text(t, Options{}), text(t, Options{Group: "gpsd"})
	for i, step := range []struct {
		text string
		want Outcome
	}{{first, Installed}, {first, Unchanged}, {second, Updated}, {first, Updated}} {
		got, err := Install(dir, step.text)
		if err != nil || got != step.want {
			t.Errorf("step %d: %d, %v; want %d", i, got, err, step.want)
		}
		if there, err := os.ReadFile(path); string(there) != step.text || err != nil {
			t.Errorf("step %d: %q, %v", i, there, err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o644 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if found, s := Find(t.TempDir(), dir); s != Ours || found != path {
		t.Errorf("found %q, %d", found, s)
	}
	if left, err := os.ReadDir(dir); len(left) != 1 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// Every change counts, that of the first line too.
func TestInstallKeepsWhatWasChanged(t *testing.T) {
	ours := text(t, Options{})
	for name, there := range map[string]string{
		"a line more":      ours + "# mine\n",
		"a line less":      strings.Replace(ours, "LABEL=\"vcomd_end\"\n", "", 1),
		"another mode":     strings.Replace(ours, "0660", "0666", 1),
		"another header":   "# mine\n" + ours[strings.IndexByte(ours, '\n')+1:],
		"a false hash":     strings.Replace(ours, "sha256:", "sha256:0", 1),
		"empty":            "",
		"the header alone": ours[:strings.IndexByte(ours, '\n')+1],
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, FileName)
		if err := os.WriteFile(path, []byte(there), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Install(dir, text(t, Options{Group: "gpsd"}))
		if !errors.Is(err, ErrEdited) {
			t.Errorf("%s: %v", name, err)
		}
		if now, _ := os.ReadFile(path); string(now) != there {
			t.Errorf("%s: overwritten", name)
		}
		if _, s := Find(dir); s != Edited {
			t.Errorf("%s: found as %d", name, s)
		}
	}
}

func TestInstallLeavesOthersAlone(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, FileName)
	if err := os.Symlink(os.DevNull, path); err != nil {
		t.Fatal(err)
	}
	if _, err := Install(dir, text(t, Options{})); !errors.Is(err, ErrEdited) || !strings.Contains(err.Error(), "symbolic link") {
		t.Errorf("over a link: %v", err)
	}
	if target, err := os.Readlink(path); target != os.DevNull || err != nil {
		t.Errorf("the link leads to %q, %v", target, err)
	}
	if err := errors.Join(os.Remove(path), os.Mkdir(path, 0o755)); err != nil {
		t.Fatal(err)
	}
	if _, err := Install(dir, text(t, Options{})); !errors.Is(err, ErrEdited) {
		t.Errorf("over a directory: %v", err)
	}
	_, err := Install(filepath.Join(dir, "missing"), text(t, Options{}))
	if failed, ok := errors.AsType[*InstallError](err); !ok || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "there is no directory") || failed.Advice == "" {
		t.Errorf("no directory: %v", err)
	}
	if os.Geteuid() == 0 {
		return // permissions mean nothing to root
	}
	if err := errors.Join(os.Remove(path), os.Chmod(dir, 0o500)); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.Chmod(dir, 0o700) }()
	if _, err := Install(dir, text(t, Options{})); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("no permission: %v", err)
	}
}
