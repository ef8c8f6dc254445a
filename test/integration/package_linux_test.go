package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// packages builds packages of one version for this machine.
func packages(t *testing.T, version, formats string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	cmd := exec.Command(filepath.Join("..", "..", "scripts", "packages.sh"))
	cmd.Env = append(os.Environ(), "OUT="+dir, "VERSION="+version, "FORMATS="+formats, "ARCHES="+runtime.GOARCH)
	if out, err := cmd.CombinedOutput(); err != nil {
		if strings.Contains(string(out), "dial tcp") || strings.Contains(string(out), "no such host") {
			skip(t, "nfpm cannot be fetched: "+tail(string(out), 300))
		}
		t.Fatalf("packages.sh: %v\n%s", err, tail(string(out), 3000))
	}
	return dir
}

// only finds the one file of a kind in a directory.
func only(t *testing.T, dir, pattern string) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(dir, pattern))
	if err != nil || len(found) != 1 {
		t.Fatalf("there are %q, want one %s", found, pattern)
	}
	return found[0]
}

// The Debian package is installed, serves a port, is upgraded under it, removed, and purged without a trace.
func TestDebianPackage(t *testing.T) {
	need(t, "dpkg", "deb-systemd-helper", "unshare")
	if os.Geteuid() != 0 {
		skip(t, "only root may install packages")
	}
	first, second := only(t, packages(t, "1.2.3", "deb"), "*.deb"), only(t, packages(t, "1.2.4-rc1", "deb"), "*.deb")
	cmd := exec.Command("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", filepath.Join("testdata", "package.sh"), first, second, t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	said, err := cmd.CombinedOutput()
	out := string(said)
	if err != nil {
		t.Fatalf("package.sh: %v\n%s", err, tail(out, 4000))
	}
	for _, want := range []string{
		"install asks: systemctl --system daemon-reload;\n",
		"status: installed\n",
		"conffiles: /etc/vcomd/vcomd.toml\n",
		"verify: .\n",
		"the configuration is right\n",
		"the manual is there\n",
		"it is not enabled\n",
		"came back: through the port\n",
		"try-restart vcomd.service",
		"try-restart vcomd@ttyONE.service",
		"upgraded: installed 1.2.4~rc1\n",
		"upgrade keeps the edited configuration\n",
		"upgrade keeps it enabled\n",
		"upgrade does not end it\n",
		"vcomd serve ended well\n",
		"no link is left\n",
		"stop vcomd.service",
		"stop vcomd@ttyONE.service",
		"removal keeps the configuration alone\n",
		"left: .\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("it does not say %q", want)
		}
	}
	if upgrade := between(out, "upgrade asks:", "\n"); strings.Contains(upgrade, "stop ") {
		t.Errorf("an upgrade stops something: %s", upgrade)
	}
	if t.Failed() {
		t.Logf("it says:\n%s", out)
	}
}

// between gives what stands between two words.
func between(s, start, end string) string {
	_, s, _ = strings.Cut(s, start)
	s, _, _ = strings.Cut(s, end)
	return s
}

// The RPM package has the same files, an edited configuration is kept, and scripts that end well without systemd.
func TestRPMPackage(t *testing.T) {
	need(t, "rpm")
	path := only(t, packages(t, "1.2.3", "rpm"), "*.rpm")
	files := mustRun(t, "rpm", "-qlp", path)
	for _, want := range []string{
		"/usr/bin/vcomd", "/etc/vcomd/vcomd.toml", "/usr/lib/systemd/system/vcomd.service", "/usr/lib/systemd/system/vcomd@.service",
		"/usr/share/man/man1/vcomd.1.gz", "/usr/share/man/man5/vcomd.toml.5.gz",
		"/usr/share/bash-completion/completions/vcomd", "/usr/share/zsh/site-functions/_vcomd", "/usr/share/fish/vendor_completions.d/vcomd.fish",
	} {
		if !strings.Contains(files, want+"\n") {
			t.Errorf("it has no %s", want)
		}
	}
	if got := strings.TrimSpace(mustRun(t, "rpm", "-qcp", path)); got != "/etc/vcomd/vcomd.toml" {
		t.Errorf("its configuration is %q", got)
	}
	if got := mustRun(t, "rpm", "-qp", "--qf", "%{NAME} %{VERSION} %{LICENSE}", path); got != "vcomd 1.2.3 MIT" {
		t.Errorf("it is %q", got)
	}
	if os.Geteuid() == 0 {
		inRoot(t, path, only(t, packages(t, "1.2.4", "rpm"), "*.rpm"))
	}
	for _, script := range []string{"post", "preun", "postun"} {
		for _, left := range []string{"0", "1"} {
			mustRun(t, "sh", "-eun", filepath.Join(packaging, "rpm", script), left)
		}
	}
}

// inRoot installs one RPM and upgrades it to another, in a directory that stands for a machine: its scripts, which need one,
// are run by themselves.
func inRoot(t *testing.T, first, second string) {
	t.Helper()
	root := t.TempDir()
	rpm := func(args ...string) string {
		t.Helper()
		return mustRun(t, "rpm", append([]string{"--root", root}, args...)...)
	}
	rpm("--initdb")
	rpm("--install", "--nodeps", "--noscripts", first)
	rpm("--verify", "--nodeps", "vcomd") // fails if a file is not as the package says
	config := filepath.Join(root, "etc", "vcomd", "vcomd.toml")
	if err := os.WriteFile(config, []byte("# edited\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	rpm("--upgrade", "--nodeps", "--noscripts", second)
	if b, err := os.ReadFile(config); err != nil || string(b) != "# edited\n" {
		t.Errorf("after an upgrade the configuration is %q, %v", b, err)
	}
	if got := mustRun(t, filepath.Join(root, "usr", "bin", "vcomd"), "version"); !strings.HasPrefix(got, "vcomd v1.2.4") {
		t.Errorf("the program of 1.2.4 says %q", got)
	}
	rpm("--erase", "--noscripts", "vcomd")
	left := strings.Fields(mustRun(t, "find", root, "-type", "f", "-not", "-path", "*rpm*/*", "-not", "-name", "*.rpm.lock"))
	if want := config + ".rpmsave"; len(left) != 1 || left[0] != want {
		t.Errorf("what is left is %q, want %s", left, want)
	}
}
