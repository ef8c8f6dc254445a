package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vcomd/vcomd/internal/checkup"
	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/udev"
)

// The kind of tty that is asked for decides.
func TestJudgeTTY(t *testing.T) {
	pty := checkup.Check{Part: checkup.Pty, Name: "terminals", State: checkup.Missing, Found: "none", Advice: "mount devpts"}
	usb := checkup.Check{Part: checkup.USB, Name: "vhci_hcd", State: checkup.Missing, Found: "no\x1b such module", Advice: "use --tty pty"}
	limited := checkup.Check{Part: checkup.Pty, Name: "exact", State: checkup.Limited}
	for _, c := range []struct {
		report checkup.Report
		works  map[port.TTY]bool
	}{
		{nil, map[port.TTY]bool{port.TTYPseudo: true, port.TTYUSB: true, port.TTYAuto: true}},
		{checkup.Report{limited}, map[port.TTY]bool{port.TTYPseudo: true, port.TTYUSB: true, port.TTYAuto: true}},
		{checkup.Report{usb}, map[port.TTY]bool{port.TTYPseudo: true, port.TTYUSB: false, port.TTYAuto: true}},
		{checkup.Report{pty}, map[port.TTY]bool{port.TTYPseudo: false, port.TTYUSB: true, port.TTYAuto: true}},
		{checkup.Report{pty, usb}, map[port.TTY]bool{port.TTYPseudo: false, port.TTYUSB: false, port.TTYAuto: false}},
	} {
		for kind, works := range c.works {
			if err := judgeTTY(c.report, kind); (err == nil) != works {
				t.Errorf("%v: --tty %s: %v", c.report, kind, err)
			}
		}
	}
	if err := judgeTTY(checkup.Report{usb}, port.TTYUSB); err.Error() !=
		`check: --tty usb does not work here: vhci_hcd: no\x1b such module; use --tty pty` {
		t.Error(err)
	}
}

func TestCheckPrints(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(context.Background(), []string{"vcomd", "check", "--json", "--run-dir", t.TempDir()}, &stdout, &stderr); code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	var report struct {
		Version int
		TTY     string
		Works   bool
		Checks  []struct{ Part, Name, State, Found string }
	}
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil || report.Version != 1 || report.TTY != "pty" || !report.Works || len(report.Checks) < 10 {
		t.Errorf("%v: %+v", err, report)
	}
	stdout.Reset()
	if code := run(context.Background(), []string{"vcomd", "check", "--run-dir", t.TempDir()}, &stdout, &stderr); code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	for _, c := range report.Checks {
		if !strings.Contains(stdout.String(), c.Name) {
			t.Errorf("the table does not mention %s", c.Name)
		}
	}
}

func TestUdevCommand(t *testing.T) {
	dir := t.TempDir()
	var stdout, stderr bytes.Buffer
	vcomd := func(args ...string) string {
		t.Helper()
		stdout.Reset()
		if code := run(context.Background(), append([]string{"vcomd", "udev"}, args...), &stdout, &stderr); code != exitOK {
			t.Fatalf("%q: exit code %d: %s", args, code, stderr.String())
		}
		return stdout.String()
	}
	args := [...]string{"--group", "gpsd", "--mode", "640", "--owner", "root", "--wants", "GPS=gpsd.service", "--wants", "GPS=chrony.service", "--wants", "b=c.target"}
	printed := vcomd(args[:]...)
	for _, want := range []string{`OWNER="root"`, `GROUP="gpsd"`, `MODE="0640"`, `+="gpsd.service"`, `+="chrony.service"`, `+="c.target"`} {
		if !strings.Contains(printed, want) {
			t.Errorf("%s is not among the rules:\n%s", want, printed)
		}
	}
	path := filepath.Join(dir, udev.FileName)
	for _, want := range []string{"is installed", "is up to date"} {
		if said := vcomd(append(args[:], "--install", "--dir", dir)...); said != path+" "+want+"; udev does not look there\n" {
			t.Errorf("it says %q", said)
		}
	}
	if there, err := os.ReadFile(path); string(there) != printed || err != nil {
		t.Errorf("installed: %q, %v", there, err)
	}
	if said := vcomd("--install", "--dir", dir); !strings.Contains(said, "is updated") {
		t.Errorf("it says %q", said)
	}
	if err := os.WriteFile(path, []byte(printed+"# mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := run(context.Background(), []string{"vcomd", "udev", "--install", "--dir", dir}, &stdout, &stderr); code != exitWorld || !strings.Contains(stderr.String(), "somebody has changed it") {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
}
