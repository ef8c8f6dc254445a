package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// packaging is where what is installed comes from.
var packaging = filepath.Join("..", "..", "packaging")

// installScript runs what make install and make uninstall run, with the binary under test.
func installScript(t *testing.T, action string, env ...string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(packaging, "install.sh"), action)
	cmd.Env = append(os.Environ(), append(env, "BIN="+filepath.Dir(binary))...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("install.sh %s: %v\n%s", action, err, out)
	}
	return string(out)
}

// mostExposed is what systemd-analyze security may give a unit: 0 is best, 10 is a service without any bounds.
const mostExposed = 3.0

// The units, installed where their binary is, are right, and little is open to them.
func TestUnits(t *testing.T) {
	need(t, "systemd-analyze")
	prefix := t.TempDir()
	installScript(t, "install", "PREFIX="+prefix, "SYSCONFDIR="+filepath.Join(prefix, "etc"), "DESTDIR=")
	units := filepath.Join(prefix, "lib", "systemd", "system")
	analyze := func(args ...string) (string, int) {
		cmd := exec.Command("systemd-analyze", args...)
		// What is missing at the end is found where the system's units are.
		cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+units+":")
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	overall := regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`)
	for _, unit := range []string{"vcomd.service", "vcomd@.service"} {
		if out, code := analyze("verify", "--man=no", filepath.Join(units, unit)); code != 0 || out != "" {
			t.Errorf("systemd-analyze verify %s: status %d\n%s", unit, code, out)
		}
		out, _ := analyze("security", "--offline=true", "--no-pager", filepath.Join(units, unit))
		found := overall.FindStringSubmatch(out)
		if found == nil {
			t.Fatalf("systemd-analyze security %s says nothing: %s", unit, tail(out, 2000))
		}
		exposed, err := strconv.ParseFloat(found[1], 64)
		if err != nil || exposed >= mostExposed {
			t.Errorf("%s is exposed to %s (%v), want less than %.1f\n%s", unit, found[1], err, mostExposed, tail(out, 8000))
		}
		t.Logf("%s: %s", unit, found[1])
		documented, err := os.ReadFile(filepath.Join("..", "..", "docs", "installation.md"))
		if err != nil || !strings.Contains(string(documented), "exposure level of "+found[1]) {
			t.Errorf("docs/installation.md has no exposure level of %s (%v)", found[1], err)
		}
		for _, dropIn := range []string{"kernel-tty.conf", "overlay.conf"} {
			dir := filepath.Join(units, unit+".d")
			text, err := os.ReadFile(filepath.Join(packaging, "systemd", dropIn))
			if err == nil {
				err = os.MkdirAll(dir, 0o700)
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(dir, dropIn), text, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			if out, code := analyze("verify", "--man=no", filepath.Join(units, unit)); code != 0 || out != "" {
				t.Errorf("systemd-analyze verify %s with %s: status %d\n%s", unit, dropIn, code, out)
			}
		}
	}
	for _, unit := range []string{"gpsd-vcomd.service", "gpsd-on-vcom@.service"} {
		out, _ := analyze("verify", "--man=no", filepath.Join(packaging, unit))
		for line := range strings.Lines(out) {
			// Neither gpsd nor vcomd has to be installed here.
			if !strings.Contains(line, "is not executable: No such file or directory") {
				t.Errorf("systemd-analyze verify %s: %s", unit, line)
			}
		}
	}
}

// make install puts everything below DESTDIR, and make uninstall takes it away, but for what somebody has edited; a second
// install leaves that as it is.
func TestMakeInstall(t *testing.T) {
	dest := t.TempDir()
	env := []string{"DESTDIR=" + dest, "PREFIX=/usr"}
	installScript(t, "install", env...)
	unit := dest + "/usr/lib/systemd/system/vcomd.service"
	toml := dest + "/etc/vcomd/vcomd.toml"
	for _, path := range []string{
		unit, toml, dest + "/usr/lib/systemd/system/vcomd@.service", dest + "/usr/share/man/man1/vcomd.1",
		dest + "/usr/share/man/man5/vcomd.toml.5", dest + "/usr/bin/vcomd",
	} {
		if info, err := os.Stat(path); err != nil || info.Size() == 0 {
			t.Errorf("it is not installed, or empty: %s (%v)", path, err)
		}
	}
	if out := mustRun(t, dest+"/usr/bin/vcomd", "check", "-c", toml); out == "" {
		t.Error("vcomd check says nothing of the configuration that is installed")
	}
	installScript(t, "uninstall", env...)
	if left := filesBelow(t, dest); len(left) > 0 {
		t.Errorf("after install and uninstall there are %q", left)
	}

	installScript(t, "install", env...)
	const mine = "# mine\n"
	for _, path := range []string{unit, toml} {
		if err := os.WriteFile(path, []byte(mine), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, action := range []string{"install", "install", "uninstall"} {
		out := installScript(t, action, env...)
		for _, path := range []string{unit, toml} {
			if text, err := os.ReadFile(path); err != nil || string(text) != mine {
				t.Fatalf("%s: %s has become %q (%v)", action, path, text, err)
			}
			if short := strings.TrimPrefix(path, dest); !strings.Contains(out, "left "+short) {
				t.Errorf("%s does not say that it has left %s:\n%s", action, short, out)
			}
		}
	}
	if left := filesBelow(t, dest); len(left) != 2 {
		t.Errorf("after uninstall there are %q, want the two that were edited", left)
	}
}

// filesBelow lists the files of a directory and those below it.
func filesBelow(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files = append(files, strings.TrimPrefix(path, dir))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}
