package checkup

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/usbtty/vhci"
	"github.com/vcomd/vcomd/internal/usbtty/vhci/vhcitest"
	"github.com/vcomd/vcomd/udev"
)

func put(t *testing.T, root, path, text string) {
	t.Helper()
	path = root + "/" + path
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// A machine of the test's own: what its files say.
func TestGatherReadsTheMachine(t *testing.T) {
	k := vhcitest.New(t)
	put(t, k.Root, "etc/group", "root:x:0:\nnodialout:x:7:\ndialout:x:20:somebody\n")
	put(t, k.Root, "proc/sys/kernel/pty/nr", "5\n")
	put(t, k.Root, "proc/sys/kernel/pty/max", "4096\n")
	put(t, k.Root, "proc/sys/kernel/yama/ptrace_scope", "2\n")
	put(t, k.Root, "proc/sys/kernel/modules_disabled", "1\n")
	put(t, k.Root, "proc/sys/abi/vsyscall32", "1\n")
	put(t, k.Root, "proc/self/status", "Name:\tx\nCapPrm:\t0000000000000001\nCapEff:\t0000000000200000\nNoNewPrivs:\t1\n")
	put(t, k.Root, "proc/self/mounts", "overlay / overlay rw 0 0\ntmpfs /dev tmpfs rw 0 0\ndevtmpfs /dev devtmpfs rw 0 0\ndevpts /dev/pts devpts rw 0 0\n")
	put(t, k.Root, "run/systemd/system/x", "")
	k.Udev()
	text, err := udev.Rules(udev.Options{})
	if err != nil {
		t.Fatal(err)
	}
	put(t, k.Root, "usr/lib/udev/rules.d/"+udev.FileName, text)
	dir := t.TempDir()
	f := Gather(Machine{Root: k.Root, RunDir: filepath.Join(dir, "a", "b")})
	for what, ok := range map[string]bool{
		"release":      f.Release == vhcitest.Release,
		"dialout":      f.User.Dialout == 20,
		"capabilities": f.User.Has(capSysAdmin) && !f.User.Has(capChown),
		"terminals":    f.Pty.InUse == 5 && f.Pty.Most == 4096 && !f.Pty.NoDevpts,
		"yama":         f.Seccomp.Yama == 2 && f.Seccomp.NoNewPrivs && f.Seccomp.Bits32 == Yes,
		"modules":      len(f.USB.Modules) == 2 && f.USB.Modules[0].State == vhci.ModuleLoadable && f.USB.Locked && f.USB.Devtmpfs,
		"ports":        errors.Is(f.USB.FreeErr, vhci.ErrUnavailable),
		"udev":         f.Udev == UdevFacts{Runs: true, Rules: "/usr/lib/udev/rules.d/" + udev.FileName},
		"systemd":      f.Systemd,
		"run dir":      f.RunDir.Err == nil,
	} {
		if !ok {
			t.Errorf("%s: %+v", what, f)
		}
	}
	if k.Modprobes() != 0 {
		t.Error("a module was loaded")
	}
	if left, err := os.ReadDir(dir); len(left) > 0 || err != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if err := k.Host().Prepare(context.Background(), 1, 2); err != nil {
		t.Fatal(err)
	}
	if f := Gather(Machine{Root: k.Root, RunDir: dir}); f.USB.Free != vhcitest.PortsPerHub || f.USB.FreeErr != nil || f.USB.Modules[1].State != vhci.ModuleReady {
		t.Errorf("with modules: %+v", f.USB)
	}
}

// This machine, which runs the tests on pseudo-terminals.
func TestGatherHere(t *testing.T) {
	before := descriptors(t)
	f := Gather(Machine{RunDir: t.TempDir()})
	if after := descriptors(t); after != before {
		t.Errorf("%d descriptors, %d before", after, before)
	}
	if f.Release == "" || f.Pty.Err != nil || f.User.UID != os.Geteuid() {
		t.Errorf("%+v", f)
	}
	if f.Seccomp.Notify == Yes && f.Seccomp.Killable == CannotTell {
		t.Errorf("%+v", f.Seccomp)
	}
	if c, missing := Judge(f).Missing(Pty); missing {
		t.Errorf("%+v", c)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	all, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(all)
}

func TestMayWrite(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{
		dir: nil, filepath.Join(dir, "x", "y"): nil, file: unix.ENOTDIR, filepath.Join(file, "x"): unix.ENOTDIR,
	} {
		if err := mayWrite(path); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
	if os.Geteuid() != 0 {
		defer func() { _ = os.Chmod(dir, 0o700) }()
		if err := errors.Join(os.Chmod(dir, 0o500), mayWrite(filepath.Join(dir, "x"))); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("a directory that may not be written: %v", err)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "x")); err == nil {
		t.Error("the directory was made")
	}
}

func TestReading(t *testing.T) {
	for file, want := range map[string]int{
		"": -1, "dialout:x:20:\n": 20, "xdialout:x:1:\ndialout:*:986:a,b": 986, "dialout:x": -1, "dialout:x:-1:": -1, "dialout:x:y:\n": -1,
	} {
		if got := groupNumber(file, "dialout"); got != want {
			t.Errorf("%q: %d, want %d", file, got, want)
		}
	}
	for mounts, want := range map[string]bool{
		"": false, "devtmpfs /dev devtmpfs rw 0 0\n": true, "devtmpfs /dev devtmpfs rw 0 0\ntmpfs /dev tmpfs rw 0 0\n": false, "devtmpfs /x devtmpfs rw\n": false, "/dev\n": false,
	} {
		if got := isDevtmpfs(mounts); got != want {
			t.Errorf("%q: %t", mounts, got)
		}
	}
}

// The documentation shows what is printed on Debian's cloud kernel.
func TestDocumentedTable(t *testing.T) {
	root := t.TempDir()
	const release = "6.1.0-49-cloud-amd64"
	put(t, root, "proc/sys/kernel/osrelease", release+"\n")
	put(t, root, "proc/modules", "")
	put(t, root, "etc/os-release", "ID=debian\n")
	put(t, root, "lib/modules/"+release+"/modules.dep", "kernel/net/tls/tls.ko:\n")
	var table strings.Builder
	if err := Judge(Gather(Machine{Root: root, RunDir: root})).WriteTable(&table, strings.Clone); err != nil {
		t.Fatal(err)
	}
	docs, err := os.ReadFile("../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	_, example, _ := strings.Cut(string(docs), "```\n"+USB.Title()+"\n")
	example, _, ok := strings.Cut(example, "```\n")
	if !ok || !strings.Contains(table.String(), USB.Title()+"\n"+example) {
		t.Errorf("the example\n%sis not in\n%s", example, table.String())
	}
}
