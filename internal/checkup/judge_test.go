package checkup

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/vcomd/vcomd/internal/usbtty/vhci"
)

// best is root on a machine that has everything.
func best() Facts {
	return Facts{
		Release: "6.12.0-amd64", Architecture: "amd64",
		User:    User{UID: 0, Name: "root", Capabilities: 1<<41 - 1, Dialout: 20},
		Pty:     PtyFacts{Exact: true, InUse: 3, Most: 4096},
		Seccomp: SeccompFacts{Notify: Yes, Killable: Yes, Yama: 1, Bits32: Yes},
		USB: USBFacts{
			Modules: []vhci.Module{{Name: "vhci_hcd"}, {Name: "ftdi_sio", State: vhci.ModuleLoadable}}, Free: 8, Devtmpfs: true,
		},
		Beneath: Yes, RunDir: DirFacts{Path: "/run/vcomd"}, Udev: UdevFacts{Runs: true, Rules: "/etc/udev/rules.d/70-vcomd.rules"}, Systemd: true,
	}
}

// worst is an ordinary user on one that has nothing.
func worst() Facts {
	denied := errors.New("permission denied")
	return Facts{
		User:    User{UID: 1000, Dialout: -1},
		Pty:     PtyFacts{Err: denied, NoDevpts: true},
		Seccomp: SeccompFacts{Notify: No, Killable: No, Yama: 3, NoNewPrivs: true, Bits32: No},
		USB: USBFacts{
			Modules: []vhci.Module{{Name: "vhci_hcd", State: vhci.ModuleAbsent}, {Name: "ftdi_sio", State: vhci.ModuleUnknown}},
			FreeErr: vhci.ErrUnavailable,
		},
		RunDir: DirFacts{Path: "/run/vcomd", Err: denied},
	}
}

func find(t *testing.T, r Report, p Part, name string) Check {
	t.Helper()
	for _, c := range r {
		if c.Part == p && c.Name == name {
			return c
		}
	}
	t.Fatalf("nothing was checked of %s %s", p, name)
	return Check{}
}

func TestEverythingWorks(t *testing.T) {
	r := Judge(best())
	for _, c := range r {
		if c.State != OK && c.Name != "what it carries" { // a pseudo-terminal is one everywhere
			t.Errorf("%s %s is %s: %s", c.Part, c.Name, c.State, c.Found)
		}
	}
	for _, p := range Parts() {
		if c, missing := r.Missing(p); missing {
			t.Errorf("%s: %+v", p, c)
		}
	}
}

// Whatever is not well comes with advice, and everything with what was found.
func TestAdvice(t *testing.T) {
	for _, f := range []Facts{best(), worst(), {}} {
		for _, c := range Judge(f) {
			if c.Found == "" || (c.State == OK) != (c.Advice == "") {
				t.Errorf("%+v", c)
			}
		}
	}
}

func TestNothingWorks(t *testing.T) {
	r := Judge(worst())
	for _, p := range []Part{Pty, Run, USB, Over} {
		if _, missing := r.Missing(p); !missing {
			t.Errorf("%s works", p)
		}
	}
}

func TestJudge(t *testing.T) {
	mod := func(state vhci.ModuleState) []vhci.Module {
		return []vhci.Module{{Name: "vhci_hcd", State: state}, {Name: "ftdi_sio", State: state}}
	}
	for _, c := range []struct {
		what       string
		change     func(*Facts)
		part       Part
		name       string
		state      State
		found, say string
	}{
		{"all terminals in use", func(f *Facts) { f.Pty = PtyFacts{Err: errors.New("no space left"), InUse: 64, Most: 64} }, Pty, "terminals", Missing, "all 64 are in use", "kernel.pty.max=128"},
		{"no devpts", func(f *Facts) { f.Pty = PtyFacts{Err: os.ErrNotExist, NoDevpts: true} }, Pty, "terminals", Missing, "devpts is not mounted", "mount -t devpts"},
		{"no lock", func(f *Facts) { f.Pty.Exact = false }, Pty, "exact settings", Limited, "missed", "CAP_SYS_ADMIN"},
		{"Linux 5.10", func(f *Facts) { f.Seccomp.Killable = No }, Run, "seccomp", Missing, "WAIT_KILLABLE_RECV", "5.19"},
		{"Linux 4.19", func(f *Facts) { f.Seccomp.Notify, f.Seccomp.Killable = No, No }, Run, "seccomp", Missing, "no user notification", "5.19"},
		{"a container", func(f *Facts) { f.Seccomp.Blocked = true }, Run, "seccomp", Missing, "refused", "container"},
		{"no answer", func(f *Facts) { f.Seccomp.Killable = CannotTell }, Run, "seccomp", Unknown, "does not tell", "try it"},
		{"Yama 2, root", func(f *Facts) { f.Seccomp.Yama = 2 }, Run, "ptrace scope", OK, "2: ", ""},
		{"Yama 2", func(f *Facts) { f.Seccomp.Yama, f.User.UID = 2, 1000 }, Run, "ptrace scope", Limited, "no program", "ptrace_scope=1"},
		{"Yama 1", func(f *Facts) { f.User.UID = 1000 }, Run, "ptrace scope", OK, "enough", ""},
		{"Yama 3", func(f *Facts) { f.Seccomp.Yama = 3 }, Run, "ptrace scope", Limited, "nobody", "start the machine"},
		{"no Yama", func(f *Facts) { f.Seccomp.Yama = -1 }, Run, "ptrace scope", OK, "no Yama", ""},
		{"no_new_privs", func(f *Facts) { f.Seccomp.NoNewPrivs = true }, Run, "set-uid programs", Limited, "no_new_privs", "all else works"},
		{"a user's", func(f *Facts) { f.User.Capabilities = 0 }, Run, "set-uid programs", Limited, "no privileges", "root can"},
		{"a cloud kernel", func(f *Facts) {
			f.USB.Modules = mod(vhci.ModuleAbsent)
			f.USB.Missing = &vhci.Error{Op: "x", Found: "this kernel has no vhci_hcd", Advice: "install linux-image-amd64", Kind: vhci.ErrUnavailable}
		}, USB, "vhci_hcd", Missing, "has no vhci_hcd", "linux-image-amd64"},
		{"locked", func(f *Facts) { f.USB.Modules, f.USB.Locked = mod(vhci.ModuleLoadable), true }, USB, "vhci_hcd", Missing, "modules_disabled", "modules-load.d"},
		{"locked, and loaded", func(f *Facts) { f.USB.Modules, f.USB.Locked = mod(vhci.ModuleReady), true }, USB, "vhci_hcd", OK, "", ""},
		{"in a container", func(f *Facts) { f.USB.Modules = mod(vhci.ModuleUnknown) }, USB, "vhci_hcd", Missing, "not here", "modprobe vhci_hcd"},
		{"may not load", func(f *Facts) { f.User.Capabilities &^= 1 << capSysModule }, USB, "privileges", Missing, "load modules", "as root"},
		{"may not write", func(f *Facts) {
			f.USB.Missing = &vhci.Error{Op: "x", Found: "/sys is read-only", Advice: "run outside", Kind: vhci.ErrPermission}
		}, USB, "privileges", Missing, "/sys is read-only", "run outside"},
		{"a user", func(f *Facts) { f.User.UID = 1000 }, USB, "privileges", Missing, "only root", "as root"},
		{"no port", func(f *Facts) { f.USB.Free = 0 }, USB, "free ports", Missing, "none", "usbip port"},
		{"no devtmpfs", func(f *Facts) { f.USB.Devtmpfs = false }, USB, "nodes in /dev", Limited, "no devtmpfs", "outside"},
		{"may not mount", func(f *Facts) { f.User.Capabilities = 0 }, Over, "mounts", Missing, "CAP_SYS_ADMIN", "--link"},
		{"Linux 6.1", func(f *Facts) { f.Beneath = No }, Over, "seamless change", Limited, "cannot mount", "6.5"},
		{"no dialout", func(f *Facts) { f.User.Dialout = -1 }, System, "dialout", Limited, "no such group", "groupadd"},
		{"a member", func(f *Facts) { f.User = User{UID: 1, Name: "u", Dialout: 20, InDialout: true} }, System, "dialout", OK, "u is in it", ""},
		{"no member", func(f *Facts) { f.User = User{UID: 1000, Name: "u", Dialout: 20} }, System, "dialout", Limited, "u is not", "usermod -aG dialout u,"},
		{"nobody's number", func(f *Facts) { f.User = User{UID: 1000, Dialout: 20} }, System, "dialout", Limited, "user 1000 is not", "a user with a name"},
		{"no run directory", func(f *Facts) { f.RunDir.Err = os.ErrPermission }, System, "run directory", Missing, "/run/vcomd: permission denied", "--run-dir"},
		{"no udev", func(f *Facts) { f.Udev = UdevFacts{} }, System, "udev", Limited, "does not run", "all else"},
		{"no rules", func(f *Facts) { f.Udev.Rules = "" }, System, "udev", Limited, "without vcomd's rules", "vcomd udev --install"},
		{"rules of somebody's", func(f *Facts) { f.Udev.Edited = true }, System, "udev", OK, "somebody has changed /etc/udev", ""},
		{"no systemd", func(f *Facts) { f.Systemd = false }, System, "systemd", Limited, "does not run", "all else"},
	} {
		f := best()
		c.change(&f)
		got := find(t, Judge(f), c.part, c.name)
		if got.State != c.state || !strings.Contains(got.Found, c.found) || !strings.Contains(got.Advice, c.say) {
			t.Errorf("%s: %+v, want %s, %q, %q", c.what, got, c.state, c.found, c.say)
		}
	}
}

// A table fits, nothing is lost in it, and what the machine says is made safe.
func TestTable(t *testing.T) {
	f := worst()
	f.RunDir.Path = "/run/\x1b[2J"
	r := Judge(f)
	var b strings.Builder
	if err := r.WriteTable(&b, func(s string) string { return strings.ReplaceAll(s, "\x1b", "?") }); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > Width {
			t.Errorf("%d characters: %s", n, line)
		}
	}
	if strings.Contains(b.String(), "\x1b") {
		t.Error("an escape sequence of the machine's is printed")
	}
	words := strings.Join(strings.Fields(b.String()), " ")
	for _, c := range r {
		for _, want := range []string{string(c.State) + " " + c.Name, c.Advice} {
			if !strings.Contains(words, strings.Join(strings.Fields(want), " ")) {
				t.Errorf("the table does not have %q", want)
			}
		}
	}
	for _, p := range Parts() {
		if !strings.Contains(b.String(), p.Title()+"\n") || p.Title() == string(p) {
			t.Errorf("the table has no title for %s", p)
		}
	}
}
