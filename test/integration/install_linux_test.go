package integration

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A binary alone installs what make install does, and takes it away; what was edited stays, and what an older version has
// installed does not.
func TestInstall(t *testing.T) {
	root := t.TempDir()
	install := func(flags ...string) string {
		t.Helper()
		return mustRun(t, binary, append([]string{"install", "--root", root, "--prefix", "/opt/vcomd"}, flags...)...)
	}
	planned := install("--dry-run")
	if files := filesBelow(t, root); len(files) > 0 {
		t.Fatalf("--dry-run has made %q", files)
	}
	if did := install(); strings.ReplaceAll(planned, "would be installed: ", "installed ") != did || strings.HasPrefix(planned, "installed") {
		t.Errorf("--dry-run says %s, and then it does %s", planned, did)
	}
	files := filesBelow(t, root)
	const unit, toml, rules, list = "/opt/vcomd/lib/systemd/system/vcomd.service", "/etc/vcomd/vcomd.toml", "/etc/udev/rules.d/70-vcomd.rules", "/opt/vcomd/share/vcomd/installed.sha256"
	for _, path := range []string{unit, toml, rules, list, "/opt/vcomd/bin/vcomd", "/opt/vcomd/share/man/man1/vcomd.1"} {
		if !slices.Contains(files, path) {
			t.Errorf("it has not installed %s", path)
		}
	}
	if text, err := os.ReadFile(filepath.Join(root, unit)); err != nil || !strings.Contains(string(text), "\nExecStart=/opt/vcomd/bin/vcomd serve -c /etc/vcomd/vcomd.toml\n") {
		t.Errorf("the unit starts another program (%v): %s", err, text)
	}
	mustRun(t, root+"/opt/vcomd/bin/vcomd", "version")
	if again := install(); strings.Count(again, "unchanged ") != strings.Count(again, "\n") {
		t.Errorf("a second time it changes something: %s", again)
	}

	// An older version, which the list knows, and two files that somebody has edited.
	const older, mine = "# an older one\n", "# mine\n"
	rewrite := func(path, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(root, path), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	man := "/opt/vcomd/share/man/man1/vcomd.1"
	rewrite(man, older)
	sums, err := os.ReadFile(filepath.Join(root, list))
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(sums), "\n")
	for i, line := range lines {
		if strings.HasSuffix(line, "  "+man) {
			lines[i] = strings.Fields(mustRun(t, "sha256sum", filepath.Join(root, man)))[0] + "  " + man
		}
	}
	rewrite(list, strings.Join(lines, "\n"))
	rewrite(toml, mine)
	rewrite(rules, mine)
	did := install()
	for _, want := range []string{"updated " + man, "left, as it was edited: " + toml, "left, as it was edited: " + rules} {
		if !strings.Contains(did, want+"\n") {
			t.Errorf("it does not say %q: %s", want, did)
		}
	}
	for range 2 {
		install("--uninstall", "--dry-run")
		if got := filesBelow(t, root); !slices.Equal(got, files) {
			t.Fatalf("--uninstall --dry-run has left %q", got)
		}
	}
	install("--uninstall")
	if got := filesBelow(t, root); !slices.Equal(got, []string{rules, toml}) {
		t.Errorf("after --uninstall there are %q, want the two that were edited", got)
	}
	for _, path := range []string{rules, toml} {
		if text, err := os.ReadFile(filepath.Join(root, path)); err != nil || string(text) != mine {
			t.Errorf("%s has become %q (%v)", path, text, err)
		}
	}
}
