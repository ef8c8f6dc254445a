package config

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// What follows from a mistake is not told besides it.
func TestOneSlipIsToldOnce(t *testing.T) {
	for _, c := range []struct {
		name, text string
		at         []string // file:line of each error
	}{
		{"a default that cannot be read", "[defaults]\ntls-key = oops\n[[port]]\nremote = \"rfc2217s://host\"\ntls-cert = \"c\"\n", []string{"a:2"}},
		{"[defaults] that cannot be read", "[defaults\ntls-key = \"k\"\n[[port]]\nremote = \"rfc2217s://host\"\ntls-cert = \"c\"\n", []string{"a:1"}},
		{"[defaults] misspelt", "[default]\ntls-key = \"k\"\n[[port]]\nremote = \"rfc2217s://host\"\ntls-cert = \"c\"\n", []string{"a:1"}},
		{
			"a default that two ports contradict", "[defaults]\nretry-max = \"5s\"\n[[port]]\nremote = \"a\"\nretry = \"10s\"\n[[port]]\nremote = \"b\"\nretry = \"20s\"\n",
			[]string{"a:2"},
		},
		{"a wrong start in the defaults", "[defaults]\nstart = \"no\"\n[[port]]\nremote = \"a\"\n[[port]]\nremote = \"b\"\n", []string{"a:2"}},
		{"a time that another one depends on", "[[port]]\nremote = \"a\"\nretry = \"soon\"\nretry-max = \"500ms\"\n", []string{"a:3"}},
		{"a key of two", "[[port]]\nremote = \"rfc2217s://a\"\ntls-cert = \"/nonexistent/c\"\ntls-key = \"/nonexistent/k\"\n", []string{"a:3"}},
		{"remotes that stand for nothing", "[[port]]\nremote = \"a b\"\n[[port]]\nremote = \"c d\"\n", []string{"a:2", "a:4"}},
		{"a link in another form", "[[port]]\nremote = \"a\"\nlink = \"/dev/./x\"\n[[port]]\nremote = \"b\"\nname = \"b\"\nlink = \"/dev/x\"\n", []string{"a:7"}},
		{"a relative link to a directory", "[[port]]\nremote = \"a\"\nlink = \"x/\"\n", []string{"a:3"}},
		{"a NUL", "[[port]]\nremote = \"a\"\nlink = \"x\\u0000\"\n", []string{"a:3"}},
		{"the main file comes first", "include = \"b\"\n\n\n[[port]]\nremote = \"a\"\nretry = \"soon\"\n", []string{"a:6", "b:1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := writeFiles(t, "a", c.text, "b", "y = 1\n")
			_, err := Load(path)
			all, ok := errors.AsType[*LoadError](err)
			if !ok {
				t.Fatalf("error %v", err)
			}
			at := make([]string, 0, len(all.All))
			for _, one := range all.All {
				at = append(at, fmt.Sprintf("%s:%d", one.File[strings.LastIndexByte(one.File, '/')+1:], one.Line))
			}
			if !slices.Equal(at, c.at) {
				t.Errorf("told of %q, want %q:\n%v", at, c.at, err)
			}
		})
	}
}

// A text that is no TOML at all is soon given up.
func TestTextThatIsNoTOML(t *testing.T) {
	told := 0
	doc := readDocument([]byte(strings.Repeat("[[port]]\nwhat?\n", 1000)), func(position, *Error) { told++ })
	if told != maxErrors || !doc.lost {
		t.Errorf("told of %d errors, want %d; lost: %v", told, maxErrors, doc.lost)
	}
}

// The environment's mistake does not hide those in the file.
func TestEnvironmentBesideTheFile(t *testing.T) {
	t.Setenv("ALL_PROXY", "http://proxy")
	_, err := Load(writeFiles(t, "vcomd.toml", "[[port]]\nremote = \"a\"\nsettle = \"soon\"\n"))
	if all, ok := errors.AsType[*LoadError](err); !ok || all.All[0].Line != 3 {
		t.Errorf("error %v", err)
	}
}

// A link may have a name that a port could not be given.
func TestWriteTOMLOfAnOddName(t *testing.T) {
	l := load(t, "vcomd.toml", "[[port]]\nremote = \"a\"\nlink = \"/dev/usb port:1\"\n")
	var b bytes.Buffer
	if err := l.WriteTOML(&b); err != nil {
		t.Fatal(err)
	}
	again, err := Load(writeFiles(t, "again.toml", b.String()))
	if err != nil || again.Ports[0].Fingerprint != l.Ports[0].Fingerprint {
		t.Errorf("what is written is read as %+v, %v\n%s", again, err, b.String())
	}
}
