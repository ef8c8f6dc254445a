package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/test/certs"
)

// writeFiles puts files in a directory, and returns the path of the first one.
func writeFiles(t *testing.T, nameText ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i := 0; i < len(nameText); i += 2 {
		path := filepath.Join(dir, nameText[i])
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(nameText[i+1]), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, nameText[0])
}

func load(t *testing.T, nameText ...string) *Loaded {
	t.Helper()
	l, err := Load(writeFiles(t, nameText...))
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestInstance(t *testing.T) {
	l := load(t, "vcomd.toml", "\ufeffname = 'bridge'\r\nrun-dir = \"/srv/run\"\r\nlog-level = \"warn\"\r\ntrace = \"trace\"\r\nmetrics = \":9117\"\r\n"+
		"\r\n[[port]]\r\nremote = \"host\"\r\n")
	if l.Name != "bridge" || l.RunDir != "/srv/run" || l.LogLevel != "warn" || l.Metrics != ":9117" {
		t.Errorf("read %+v", l)
	}
	if want := filepath.Join(filepath.Dir(l.Files[0]), "trace"); l.Trace != want {
		t.Errorf("the trace is %q, want %q: paths are relative to the file", l.Trace, want)
	}
	if len(l.Ports) != 1 || l.Ports[0].Config.RunDir != "/srv/run" || l.Ports[0].Line != 7 || l.Ports[0].File != l.Files[0] {
		t.Errorf("ports: %+v", l.Ports)
	}
	l = load(t, "vcomd.toml", "[[port]]\nremote = \"host\"\n")
	if l.Name != "vcomd" || l.RunDir != RunDir() || l.LogLevel != "info" || l.Trace != "" || l.Metrics != "" {
		t.Errorf("defaults: %+v", l)
	}
	l, err := Options{RunDir: "/elsewhere"}.Load(writeFiles(t, "vcomd.toml", "run-dir = \"/srv/run\"\n[[port]]\nremote = \"host\"\n"))
	if err != nil || l.RunDir != "/elsewhere" || l.Ports[0].Config.RunDir != "/elsewhere" {
		t.Errorf("with an option: %+v, %v", l, err)
	}
}

// A port's own value wins over that of [defaults], wherever that stands, and an
// empty one leads back to what vcomd does by itself. The environment has no say.
func TestPrecedence(t *testing.T) {
	t.Setenv("VCOMD_RETRY", "7s")
	t.Setenv("VCOMD_PACE", "1")
	l := load(t, "vcomd.toml", `
[[port]]
remote = "a"

[[port]]
remote = "b"
retry = "3s"
pace = false
lines = ""
line = 19200

[defaults]
retry = "2s"
pace = true
lines = "raise"
line = "9600"
`)
	for i, want := range []struct {
		retry time.Duration
		pace  bool
		lines port.Lines
		speed uint32
	}{{2 * time.Second, true, port.LinesRaise, 9600}, {3 * time.Second, false, port.LinesAuto, 19200}} {
		c := l.Ports[i].Config
		if c.RetryMin != want.retry || c.Pace != want.pace || c.Lines != want.lines || c.Line.BaudRate != want.speed {
			t.Errorf("port %d: %+v, want %+v", i, c, want)
		}
	}
}

// How values may be written, beside text.
func TestValues(t *testing.T) {
	l := load(t, "vcomd.toml", `
[[port]]
remote = "unix:socket"
name = 'a'
link = "x"
mode = 0o640
retries = 1_000
modem-mask = 0xf0
owner = 0
group = 5
settle = 0
retry = "250ms"
tls-insecure = false
`)
	p := l.Ports[0]
	dir := filepath.Dir(l.Files[0])
	if c := p.Config; c.Mode != 0o640 || c.Tries != 1001 || c.ModemMask != 0xf0 || c.UID != 0 || c.GID != 5 || c.Settle != 0 || c.RetryMin != 250*time.Millisecond {
		t.Errorf("read %+v", c)
	}
	if want := []string{filepath.Join(dir, "x")}; !slices.Equal(p.Config.Links, want) {
		t.Errorf("links are %q, want %q", p.Config.Links, want)
	}
	if want := filepath.Join(dir, "socket"); p.Config.Remote.Path != want {
		t.Errorf("the socket is %q, want %q", p.Config.Remote.Path, want)
	}
}

func TestStart(t *testing.T) {
	l := load(t, "vcomd.toml", "[defaults]\nstart = \"unit\"\n[[port]]\nremote = \"a\"\nname = \"a\"\n[[port]]\nremote = \"b\"\nname = \"b\"\nstart = \"boot\"\n"+
		"[[port]]\nremote = \"c\"\nname = \"c\"\nstart = \"\"\n")
	boot := make([]string, 0, len(l.Ports))
	for _, p := range l.Boot() {
		boot = append(boot, p.Config.Name)
	}
	if !slices.Equal(boot, []string{"b", "c"}) {
		t.Errorf("started at boot: %q, want b and c", boot)
	}
	for _, name := range []string{"a", "b"} {
		if p, err := l.Only(name); err != nil || p.Config.Name != name {
			t.Errorf("only %s: %+v, %v", name, p, err)
		}
	}
	_, err := l.Only("d")
	if wrong, ok := errors.AsType[*Error](err); !ok || wrong.Setting != "--only" || wrong.Hint != "did you mean a?" {
		t.Errorf("only d: %v", err)
	}
	_, err = l.Only("gps")
	if wrong, ok := errors.AsType[*Error](err); !ok || wrong.Hint != "there are a, b, c" {
		t.Errorf("only gps: %v", err)
	}
}

func TestInclude(t *testing.T) {
	t.Run("in order, each once, a directory's name being no pattern", func(t *testing.T) {
		port := func(name string) string {
			return fmt.Sprintf("[[port]]\nremote = %q\nname = %[1]q\nlink = \"link-%[1]s\"\n", name)
		}
		main := writeFiles(t, "[a]*?/vcomd.toml", "include = [\"d/*.toml\", \"d/b.toml\", \"one.toml\"]\n[defaults]\npace = true\n"+port("main"),
			"[a]*?/d/b.toml", port("b"), "[a]*?/d/a.toml", port("a"), "[a]*?/d/c.toml.orig", "nonsense", "[a]*?/one.toml", port("one"))
		l, err := Load(main)
		if err != nil {
			t.Fatal(err)
		}
		dir := filepath.Dir(main)
		if want := []string{main, dir + "/d/a.toml", dir + "/d/b.toml", dir + "/one.toml"}; !slices.Equal(l.Files, want) {
			t.Errorf("files %q, want %q", l.Files, want)
		}
		names := make([]string, 0, len(l.Ports))
		for _, p := range l.Ports {
			names = append(names, p.Config.Name)
			if !p.Config.Pace {
				t.Errorf("the defaults do not reach %s", p.Config.Name)
			}
		}
		if !slices.Equal(names, []string{"main", "a", "b", "one"}) {
			t.Errorf("ports %q", names)
		}
		if want := dir + "/d/link-a"; l.Ports[1].Config.Links[0] != want {
			t.Errorf("the link is %q, want %q: relative to the file that it stands in", l.Ports[1].Config.Links[0], want)
		}
	})
	t.Run("a pattern may match nothing", func(t *testing.T) {
		l := load(t, "vcomd.toml", "include = \"vcomd.d/*.toml\"\n")
		if len(l.Notes) != 2 || !strings.Contains(l.Notes[0], "matches no file") || !strings.Contains(l.Notes[1], "nothing is served") {
			t.Errorf("notes %q, want one about the pattern and one about the ports", l.Notes)
		}
	})
}

// Errors can be taken apart.
func TestLoadError(t *testing.T) {
	path := writeFiles(t, "vcomd.toml", "[[port]]\nremote = \"host\"\nlink = \"ä\"  \nretry = \"soon\"\nnonsense = 1\n")
	_, err := Load(path)
	all, ok := errors.AsType[*LoadError](err)
	if !ok || len(all.All) != 2 || all.More != 0 {
		t.Fatalf("error %v", err)
	}
	one := all.All[0]
	if one.File != path || one.Line != 4 || one.Column != 9 || one.Err.Setting != "retry" || one.Err.Value != "soon" {
		t.Errorf("the first is %+v, %+v", one, one.Err)
	}
	if _, ok := errors.AsType[*Error](err); !ok {
		t.Error("it is no *Error")
	}
	_, err = Load(filepath.Join(t.TempDir(), "missing.toml"))
	if wrong, ok := errors.AsType[*Error](err); !ok || wrong.Setting != "--config" || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	// Columns count characters.
	_, err = Load(writeFiles(t, "vcomd.toml", "[[port]]\nremote = \"host\"\nlink = [\"/dev/ä\", 7]\n"))
	if all, ok := errors.AsType[*LoadError](err); !ok || all.All[0].Column != 19 {
		t.Errorf("behind an umlaut: %v", err)
	}
	// The environment's proxy is no file's fault, and told once.
	t.Setenv("ALL_PROXY", "http://proxy")
	_, err = Load(writeFiles(t, "vcomd.toml", "[[port]]\nremote = \"a\"\n[[port]]\nremote = \"b\"\n"))
	if wrong, ok := errors.AsType[*Error](err); !ok || wrong.Setting != "ALL_PROXY" || !strings.HasSuffix(wrong.Hint, `or proxy = "none" to ignore ALL_PROXY`) {
		t.Errorf("with a wrong ALL_PROXY: %v", err)
	}
	if _, err = Load(writeFiles(t, "vcomd.toml", "[[port]]\nremote = \"a\"\nproxy = \"none\"\n")); err != nil {
		t.Errorf("with a wrong ALL_PROXY that is ignored: %v", err)
	}
}

// sample is a value of each key that differs from what counts without it, and what
// else a port needs for it.
func sample(t *testing.T, name string) (value, with string) {
	t.Helper()
	secure := "remote = \"rfc2217s://host\"\n"
	samples := map[string][2]string{
		"name": {`"another"`, ""}, "remote": {`"host:2218"`, ""}, "link": {`["/dev/ttyX", "/dev/ttyY"]`, ""}, "overlay": {`"/dev/ttyS9"`, ""},
		"tty": {`"auto"`, ""}, "owner": {"7", ""}, "group": {"8", ""}, "mode": {`"0604"`, ""}, "line": {`"300-7E2"`, ""}, "lines": {`"raise"`, ""},
		"dtr": {`"on"`, ""}, "rts": {`"off"`, ""}, "purge": {`"both"`, ""}, "modem-mask": {"7", ""}, "cr-nul": {`"off"`, ""}, "connect": {`"always"`, ""},
		"retries": {"9", ""}, "on-loss": {`"hangup"`, ""}, "while-down": {`"discard"`, ""}, "dcd": {`"hangup"`, ""}, "bind": {`"127.0.0.2"`, ""},
		"proxy": {`"socks5://me:secret@proxy"`, ""}, "start": {`"unit"`, ""},
		"tls-ca": {`"ca.pem"`, secure}, "tls-cert": {`"cert.pem"`, secure + "tls-key = \"key.pem\"\n"}, "tls-key": {`"key.pem"`, secure + "tls-cert = \"cert.pem\"\n"},
		"tls-server-name": {`"other"`, secure}, "tls-pin": {`"sha256:` + strings.Repeat("ab", 32) + `"`, secure}, "tls-insecure": {"true", secure},
	}
	if s, ok := samples[name]; ok {
		return s[0], s[1]
	}
	switch k := findKey(name, PlacePort); {
	case k != nil && k.Kind == KindSwitch:
		return "true", ""
	case k != nil && k.Kind == KindTime:
		return `"47s"`, ""
	default:
		t.Fatalf("there is no sample of %s", name)
		return "", ""
	}
}

// material are the files that samples name.
func material(t *testing.T, text string) []string {
	t.Helper()
	ca := certs.NewAuthority(t, "the authority")
	own := ca.Issue(certs.Options{})
	return []string{"vcomd.toml", text, "ca.pem", string(ca.CertPEM), "cert.pem", string(own.CertPEM), "key.pem", string(own.KeyPEM)}
}

// portWith is a file with one port that has a key.
func portWith(key, value, with string) string {
	remote := ""
	if key != "remote" && !strings.Contains(with, "remote") {
		remote = "remote = \"host\"\n"
	}
	if key != "" {
		with += key + " = " + value + "\n"
	}
	return "[[port]]\n" + remote + with
}

// Each key changes the fingerprint, and what its default is does not.
func TestFingerprint(t *testing.T) {
	printOf := func(nameText ...string) string {
		t.Helper()
		l := load(t, nameText...)
		return l.Ports[0].Fingerprint
	}
	files := material(t, "")
	of := func(text string) string {
		t.Helper()
		files[1] = text
		return printOf(files...)
	}
	owners := make(map[string]string)
	for _, k := range Keys() {
		if k.Place == PlaceInstance || k.Name == "start" {
			continue
		}
		value, with := sample(t, k.Name)
		without := with
		if k.Name == "tls-cert" || k.Name == "tls-key" { // neither goes without the other
			without, _, _ = strings.Cut(with, "tls-")
		}
		plain := of(portWith("", "", without))
		got := of(portWith(k.Name, value, with))
		if other, twice := owners[got]; twice && (k.Name != "tls-key" || other != "tls-cert") { // these are one sample
			t.Errorf("%s and %s have the same fingerprint", k.Name, other)
		}
		owners[got] = k.Name
		if got == plain {
			t.Errorf("%s = %s changes nothing", k.Name, value)
		} else if again := of(portWith(k.Name, value, with)); again != got {
			t.Errorf("%s: the same file has another fingerprint", k.Name)
		}
		if k.Default != "" {
			if got := of(portWith(k.Name, quote(k.Default), "")); got != of(portWith("", "", "")) {
				t.Errorf("%s = %q, which is the default, changes something", k.Name, k.Default)
			}
		}
	}
	base := of(portWith("", "", ""))
	for _, same := range []string{
		"# a comment\n\n[defaults]\nretry = \"1000ms\"\n[[port]]\nname = \"host-2217\"\nremote = \"rfc2217://host:2217\"\n", // otherwise written
		portWith("start", `"unit"`, ""), // not the port's
		"log-level = \"debug\"\nmetrics = \":1\"\nname = \"x\"\ntrace = \"/t\"\n" + portWith("", "", ""),
	} {
		if of(same) != base {
			t.Errorf("this has another fingerprint:\n%s", same)
		}
	}
	if of("run-dir = \"/elsewhere\"\n"+portWith("", "", "")) == base {
		t.Error("run-dir changes nothing")
	}
	secure := portWith("tls-cert", `"cert.pem"`, "remote = \"rfc2217s://host\"\ntls-key = \"key.pem\"\ntls-ca = \"ca.pem\"\n")
	before := of(secure)
	for i := 3; i < len(files); i += 2 {
		files[i] += "\n"
		if of(secure) == before {
			t.Errorf("what is in %s does not count", files[i-1])
		}
		files[i] = strings.TrimSuffix(files[i], "\n")
	}
}

// What is written can be read, and is the same.
func TestWriteTOML(t *testing.T) {
	files := material(t, "")
	for _, k := range Keys() {
		if k.Place == PlaceInstance {
			continue
		}
		value, with := sample(t, k.Name)
		files[1] = "name = \"one\"\nlog-level = \"warn\"\ntrace = \"/t\"\nmetrics = \":7\"\nrun-dir = \"/r\"\n[defaults]\nretry = \"4s\"\n" + portWith(k.Name, value, with)
		first := load(t, files...)
		var b bytes.Buffer
		if err := first.WriteTOML(&b); err != nil {
			t.Fatal(err)
		}
		path := writeFiles(t, "again.toml", b.String())
		second, err := Load(path)
		if err != nil {
			t.Errorf("%s: what is written cannot be read: %v\n%s", k.Name, err, b.String())
			continue
		}
		p, q := first.Ports[0], second.Ports[0]
		if k.Name == "proxy" { // its password is not told
			if strings.Contains(b.String(), "secret") || q.Config.Dialer.Proxy.Address != p.Config.Dialer.Proxy.Address {
				t.Errorf("proxy: %s", b.String())
			}
			continue
		}
		if p.Fingerprint != q.Fingerprint || p.Start != q.Start {
			t.Errorf("%s: what is written means something else\n%s", k.Name, b.String())
		}
		if second.Name != "one" || second.LogLevel != "warn" || second.Trace != "/t" || second.Metrics != ":7" || second.RunDir != "/r" {
			t.Errorf("the instance is %+v", second)
		}
		for _, all := range Keys() {
			if all.Name != "include" && !strings.Contains(b.String(), "\n"+all.Name+" = ") && !strings.Contains(b.String(), "\n# "+all.Name) {
				t.Errorf("%s is not there", all.Name)
			}
		}
	}
}

// Comments say where a value is from.
func TestWriteTOMLSaysWhereFrom(t *testing.T) {
	l := load(t, "vcomd.toml", "[defaults]\nretry = \"4s\"\n[[port]]\nremote = \"host\"\npace = true\n")
	var b bytes.Buffer
	if err := l.WriteTOML(&b); err != nil {
		t.Fatal(err)
	}
	comments := make(map[string]string)
	for line := range strings.Lines(b.String()) {
		setting, comment, _ := strings.Cut(strings.TrimSpace(line), "  # ")
		comments[strings.TrimSpace(setting)] = comment
	}
	for setting, want := range map[string]string{
		`remote = "host"`: "", `pace = true`: "", `retry = "4s"`: "[defaults], " + l.Files[0] + ":2",
		`settle = "1s"`: "default", `name = "host-2217"`: "default", `log-level = "info"`: "default", "# line": "default: none",
	} {
		if got, ok := comments[setting]; !ok || got != want {
			t.Errorf("%s has the comment %q (there: %v), want %q", setting, got, ok, want)
		}
	}
}

// Keys and the fields of Port are the same: none is missing, none is there twice.
func TestKeysCoverEveryField(t *testing.T) {
	var s settings
	s.port.RunDir = "not the port's in a file"
	pointers := make(map[any]string)
	for _, k := range keys {
		p := k.field(&s)
		if other, twice := pointers[p]; twice {
			t.Errorf("%s and %s are the same field", k.Name, other)
		}
		pointers[p] = k.Name
		switch p.(type) {
		case *string:
		case *bool:
			if k.Kind != KindSwitch {
				t.Errorf("%s is a switch", k.Name)
			}
		case *[]string:
			if k.Kind != KindPaths {
				t.Errorf("%s is a list", k.Name)
			}
		}
	}
	var fields func(v reflect.Value)
	fields = func(v reflect.Value) {
		for i := range v.NumField() {
			f := v.Field(i)
			if f.Kind() == reflect.Struct {
				fields(f)
			} else if _, ok := pointers[f.Addr().Interface()]; !ok && v.Type().Field(i).Name != "RunDir" {
				t.Errorf("no key for %s.%s", v.Type().Name(), v.Type().Field(i).Name)
			}
		}
	}
	fields(reflect.ValueOf(&s.port).Elem())
}

// Many ports cost what one does, each: what they have in common is read once.
func TestManyPorts(t *testing.T) {
	text := func(n int) string {
		var b strings.Builder
		b.WriteString("[defaults]\ntls-ca = \"ca.pem\"\ntls-cert = \"cert.pem\"\ntls-key = \"key.pem\"\n")
		for i := range n {
			fmt.Fprintf(&b, "[[port]]\nremote = \"rfc2217s://host-%d\"\nlink = \"/dev/vcom/%d\"\nline = \"9600-8N1\"\nretry = \"2s\"\n", i, i)
		}
		return b.String()
	}
	files := material(t, text(1000))
	path := writeFiles(t, files...)
	l, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(l.Ports) != 1000 {
		t.Fatalf("%d ports", len(l.Ports))
	}
	first, last := l.Ports[0].Config.Dialer.TLS, l.Ports[999].Config.Dialer.TLS
	if first.Roots != last.Roots || first.Certificate != last.Certificate {
		t.Error("certificates are read for each port")
	}
	many := testing.AllocsPerRun(1, func() { _, _ = Load(path) })
	files[1] = text(100)
	path = writeFiles(t, files...)
	few := testing.AllocsPerRun(1, func() { _, _ = Load(path) })
	if perPort := (many - few) / 900; perPort > 1000 || many > 11*few {
		t.Errorf("%.0f allocations for 1000 ports, %.0f for 100: more than linear, or too many", many, few)
	}
	// As many that are wrong.
	path = writeFiles(t, "vcomd.toml", strings.Repeat("[[port]]\nremote = \"host\"\nretry = \"soon\"\nlink = \"/dev/x\"\n", 1000))
	_, err = Load(path)
	if all, ok := errors.AsType[*LoadError](err); !ok || len(all.All) != 20 || all.More < 1900 {
		t.Errorf("%v", err)
	}
}

func BenchmarkLoad1000(b *testing.B) {
	path := filepath.Join(b.TempDir(), "vcomd.toml")
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, "[[port]]\nremote = \"host-%d\"\nlink = \"/dev/vcom/%d\"\nline = \"9600-8N1\"\n", i, i)
	}
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Load(path); err != nil {
			b.Fatal(err)
		}
	}
}

// A password stays out of messages, however wrong its place is, and so does what a
// terminal would obey.
func TestErrorsKeepSecrets(t *testing.T) {
	for _, line := range []string{
		`proxy = "http://me:secret@proxy"`, `proxy = socks5://me:secret@proxy`, `proxy = ["socks5://me:secret@proxy"]`, `proxy = 'socks5://me:secret@proxy/x'`,
		"proxy = true", "remote = \"\\u001b[31m secret\"", "\"\\u001b]0;\" = 1", "line = \x1b[31m", "\x1b[31m = 1",
	} {
		_, err := Load(writeFiles(t, "vcomd.toml", "[[port]]\n"+line+"\n"))
		if err == nil {
			t.Errorf("%q is taken", line)
		} else if strings.Contains(err.Error(), "me:secret") || strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q: %v", line, err)
		}
	}
}
