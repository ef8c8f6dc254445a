package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/vcomd/vcomd"

// pkg is what go list tells of a package, tests aside.
type pkg struct {
	ImportPath string
	Imports    []string // direct
	Deps       []string // all
	GoFiles    []string
	Standard   bool
}

// list returns the module's packages by their paths below it.
func list(t *testing.T) map[string]pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Deps,GoFiles,Standard", "./...")
	cmd.Dir = "../.."
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, stderr.String())
	}
	all := make(map[string]pkg)
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "/")] = p
	}
	return all
}

// within reports whether a package, given below the module, is one of roots or
// below one.
func within(path string, roots ...string) bool {
	return slices.ContainsFunc(roots, func(r string) bool { return path == r || strings.HasPrefix(path, r+"/") })
}

// The codecs take bytes and give values: no package that knows files, the
// network, time or goroutines.
func TestCodecsArePure(t *testing.T) {
	pure := []string{
		"bytes", "cmp", "encoding/binary", "errors", "fmt", "iter", "math", "math/bits", "slices", "strconv", "strings",
		"unicode", "unicode/utf8",
	}
	all := list(t)
	for _, path := range []string{"rfc2217client/telnet", "rfc2217client/comport"} {
		p, ok := all[path]
		if !ok {
			t.Fatalf("there is no package %s", path)
		}
		for _, i := range p.Imports {
			if !slices.Contains(pure, i) {
				t.Errorf("%s imports %s", path, i)
			}
		}
	}
}

// Who must not come to know whom, by any way.
func TestForbiddenDependencies(t *testing.T) {
	all := list(t)
	for _, c := range []struct {
		path      string
		forbidden []string // below the module, or the whole path
	}{
		{"rfc2217client", []string{"pty", "termiosmirror", "rfc2217client/rfc2217test", "internal/port", "internal/bridge"}},
		{"rfc2217client/rfc2217test", []string{"rfc2217client", "pty", "termiosmirror", "golang.org/x/sys/unix"}},
		{"termiosmirror", []string{"rfc2217client", "rfc2217client/telnet", "pty", "net"}},
		{"pty", []string{"rfc2217client", "rfc2217client/telnet", "rfc2217client/comport", "termiosmirror", "net"}},
		{"internal/bridge", []string{"pty", "rfc2217client", "rfc2217client/telnet"}},
		{"internal/evloop", []string{"pty", "rfc2217client", "rfc2217client/telnet", "rfc2217client/comport", "termiosmirror"}},
		{"internal/port", []string{"internal/config", "internal/daemon", "rfc2217client/rfc2217test"}},
		{"internal/config", []string{"internal/daemon"}},
		{"internal/control", []string{"internal/config", "internal/daemon", "rfc2217client/rfc2217test"}},
		{"internal/usbtty", []string{"pty", "rfc2217client", "rfc2217client/telnet", "termiosmirror", "internal/port", "net", "golang.org/x/sys/unix"}},
	} {
		p, ok := all[c.path]
		if !ok {
			t.Fatalf("there is no package %s", c.path)
		}
		for _, f := range c.forbidden {
			if slices.Contains(p.Deps, module+"/"+f) || slices.Contains(p.Deps, f) {
				t.Errorf("%s depends on %s", c.path, f)
			}
		}
	}
}

// Libraries report by errors, snapshots and events: they neither log nor read
// command lines.
func TestLoggingAndFlagsStayOutside(t *testing.T) {
	for path, p := range list(t) {
		if within(path, "cmd", "internal/daemon") {
			continue
		}
		for _, i := range p.Imports {
			if strings.HasPrefix(i, "github.com/rs/zerolog") || strings.HasPrefix(i, "github.com/urfave/cli") || i == "log" || i == "log/slog" {
				t.Errorf("%s imports %s", path, i)
			}
			if i == "flag" && !within(path, "test") {
				t.Errorf("%s imports %s", path, i)
			}
		}
	}
}

// The tty and the client meet in internal/port, and nowhere below it.
func TestOnlyThePortKnowsBothSides(t *testing.T) {
	for path, p := range list(t) {
		both := slices.Contains(p.Imports, module+"/pty") && slices.Contains(p.Imports, module+"/rfc2217client")
		if both && !within(path, "internal/port", "internal/daemon", "cmd", "test") {
			t.Errorf("%s imports both pty and rfc2217client", path)
		}
	}
}

// On another system the files with system calls are left out: what is left must
// not import them.
func TestSystemCallsStayInLinuxFiles(t *testing.T) {
	for path, p := range list(t) {
		for _, name := range p.GoFiles {
			if strings.HasSuffix(name, "_linux.go") || strings.Contains(name, "_linux_") || within(path, "test") {
				continue
			}
			if slices.Contains(imports(t, path, name), "golang.org/x/sys/unix") {
				t.Errorf("%s/%s imports golang.org/x/sys/unix", path, name)
			}
		}
	}
}

// Third parties: these and no others, each where it is needed.
func TestThirdParties(t *testing.T) {
	allowed := []string{
		"golang.org/x/sys/", "golang.org/x/sync/", "golang.org/x/net/proxy", "golang.org/x/net/bpf", "github.com/creack/pty", "github.com/rs/zerolog", "github.com/urfave/cli/v2",
		"github.com/coreos/go-systemd/v22/daemon", "github.com/prometheus/client_golang/",
		"github.com/pelletier/go-toml/v2",
	}
	for path, p := range list(t) {
		for _, i := range p.Imports {
			first, _, _ := strings.Cut(i, "/")
			if !strings.Contains(first, ".") || strings.HasPrefix(i, module+"/") {
				continue
			}
			if !slices.ContainsFunc(allowed, func(a string) bool { return strings.HasPrefix(i, a) }) {
				t.Errorf("%s imports %s", path, i)
			}
		}
	}
}
