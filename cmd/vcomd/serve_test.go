package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/vcomd/vcomd/internal/config"
)

// A configuration file has each flag of a port under its name, and no other keys
// but those that say so.
func TestKeysAreTheFlags(t *testing.T) {
	flags := make(map[string]cli.Flag)
	for _, f := range new(portFlags).flags() {
		flags[f.Names()[0]] = f
	}
	keys := make(map[string]bool)
	for _, k := range config.Keys() {
		keys[k.Name] = true
		f, ok := flags[k.Name]
		if ok == k.NoFlag {
			t.Errorf("%s: there is a flag: %v", k.Name, ok)
		}
		if !ok {
			continue
		}
		_, isSwitch := f.(*cli.BoolFlag)
		_, isList := f.(*pathsFlag)
		if isSwitch != (k.Kind == config.KindSwitch) || isList != (k.Kind == config.KindPaths) {
			t.Errorf("%s: as a flag it is a %T, as a key of kind %v", k.Name, f, k.Kind)
		}
		if f, ok := f.(*cli.StringFlag); ok && k.Place != config.PlaceInstance && k.Default != "" && !strings.HasPrefix(f.DefaultText, k.Default) {
			t.Errorf("%s: the flag's default is %q, the key's %q", k.Name, f.DefaultText, k.Default)
		}
	}
	for name := range flags {
		if !keys[name] {
			t.Errorf("there is no key for --%s", name)
		}
	}
}

// The documentation's table of keys has each key as it is, in the same order.
func TestDocumentationHasEveryKey(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "\n## The configuration file\n")
	if !ok {
		t.Fatal("there is no section about it")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	rows := regexp.MustCompile("(?m)^\\| `.*$").FindAllString(section, -1)
	got, want := make([]string, 0, len(rows)), make([]string, 0, len(rows))
	for _, row := range rows {
		cells := strings.Split(strings.TrimSuffix(row, " |"), " | ")
		got = append(got, strings.Join(cells[:3], " | "))
	}
	for _, k := range config.Keys() {
		without := k.Otherwise
		switch {
		case k.Default != "":
			without = "`" + k.Default + "`"
		case k.Kind == config.KindSwitch:
			without = "`false`"
		}
		want = append(want, "| `"+k.Name+"` | "+k.Kind.String()+" | "+without)
	}
	for i := range max(len(got), len(want)) {
		if i >= len(got) || i >= len(want) || got[i] != want[i] {
			t.Fatalf("row %d:\ngot  %q\nwant %q", i+1, slices.Concat(got, []string{""})[min(i, len(got))], slices.Concat(want, []string{""})[min(i, len(want))])
		}
	}
}

// The example of the package is valid, and mentions what it should.
func TestExampleConfiguration(t *testing.T) {
	const example = "../../packaging/vcomd.toml"
	l, err := config.Load(example)
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Ports) != 0 {
		t.Errorf("%d ports are served by a file that nobody has edited, want none", len(l.Ports))
	}
	// With all that is commented out.
	text, err := os.ReadFile(example)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "vcomd.toml")
	all := regexp.MustCompile(`(?m)^#(\[|[a-z0-9-]+ = )`).ReplaceAll(text, []byte("$1"))
	if err := os.WriteFile(path, all, 0o600); err != nil {
		t.Fatal(err)
	}
	if l, err = config.Load(path); err != nil {
		t.Fatal(err)
	}
	names := make([]string, 0, len(l.Ports))
	for _, p := range l.Ports {
		names = append(names, p.Config.Name)
	}
	if !slices.Equal(names, []string{"ttyGPS", "ttyPLC", "ttyCONSOLE"}) {
		t.Errorf("ports %q, want one for gpsd, one for Modbus and one for a console", names)
	}
}

func TestServe(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "vcomd.toml")
	text := fmt.Sprintf("run-dir = %q\ntrace = \"trace\"\n", filepath.Join(dir, "run"))
	for _, port := range []string{"a", "b", "c"} {
		text += fmt.Sprintf("[[port]]\nremote = \"sim:echo\"\nlink = %q\n", port)
	}
	if err := os.WriteFile(path, []byte(text+"start = \"unit\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		only  string
		name  string
		ports []string
	}{
		{"", "vcomd", []string{"a", "b"}}, {"b", "b", []string{"b"}}, {"c", "c", []string{"c"}},
	} {
		s := serveFlags{config: path, only: c.only}
		l, err := s.load()
		if err != nil {
			t.Fatal(err)
		}
		var ports []string
		for _, p := range l.ports {
			ports = append(ports, p.Config.Name)
			if !strings.HasPrefix(p.Config.Signature, "vcomd ") {
				t.Errorf("%s: the signature is %q", p.Config.Name, p.Config.Signature)
			}
		}
		if l.name != c.name || !slices.Equal(ports, c.ports) {
			t.Errorf("--only %q: vcomd %s serves %q, want %s, %q", c.only, l.name, ports, c.name, c.ports)
		}
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"-c", path}, exitOK},
		{[]string{"--config", path, "--only", "c", "--log-level", "error"}, exitOK},
		{[]string{"-c", path, "--only", "d"}, exitUsage},
		{[]string{"-c", path, "--log-level", "loud"}, exitUsage},
		{[]string{"-c", filepath.Join(dir, "missing")}, exitUsage},
		{[]string{"-c", path, "host"}, exitUsage},
		{[]string{"-c", path, "--run-dir", path}, exitWorld},
	} {
		var stdout, stderr bytes.Buffer
		if code := run(ctx, append([]string{"vcomd", "serve"}, c.args...), &stdout, &stderr); code != c.code {
			t.Errorf("vcomd serve %q: exit code %d, want %d: %s", c.args, code, c.code, stderr.String())
		}
	}
}

// Without a flag it is the system's file, which may be there.
func TestLoadTheDefaultFile(t *testing.T) {
	l, err := new(serveFlags).load()
	if err == nil && l.file.Files[0] != config.DefaultFile || err != nil && !strings.Contains(err.Error(), config.DefaultFile) {
		t.Errorf("loaded %+v, %v", l, err)
	}
}

// What was read once is read anew.
func TestLoadAgain(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vcomd.toml")
	s := serveFlags{config: path}
	for n := range 3 {
		text := ""
		for i := range n {
			text += fmt.Sprintf("[[port]]\nremote = \"host-%d\"\n", i)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if l, err := s.load(); err != nil || len(l.ports) != n {
			t.Errorf("%d ports in the file: %+v, %v", n, l, err)
		}
	}
}

func TestCheckFile(t *testing.T) {
	t.Setenv("VCOMD_CONFIG", "/nonexistent") // it is vcomd serve's
	dir := t.TempDir()
	path := filepath.Join(dir, "vcomd.toml")
	if err := os.WriteFile(path, []byte("[[port]]\nremote = \"host\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := run(context.Background(), []string{"vcomd", "check", "-c", path}, &stdout, &stderr); code != exitOK || !strings.Contains(stdout.String(), "\nremote = \"host\"\n") {
		t.Errorf("exit code %d: %s%s", code, stdout.String(), stderr.String())
	}
	stdout.Reset()
	if code := run(context.Background(), []string{"vcomd", "check", "--run-dir", dir}, &stdout, &stderr); code != exitOK || !strings.Contains(stdout.String(), "pty") {
		t.Errorf("without a file: exit code %d: %s%s", code, stdout.String(), stderr.String())
	}
}
