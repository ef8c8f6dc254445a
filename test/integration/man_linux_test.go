package integration

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The manual pages are right man(7), and have every flag that --help has.
func TestManualPages(t *testing.T) {
	need(t, "mandoc")
	dir := t.TempDir()
	for page, wanted := range map[string][]string{
		"vcomd.1":      {"--stale-after TIME", "VCOMD_STALE_AFTER", "run [REMOTE] -- PROGRAM", "--no-new-privs false", "reconnect"},
		"vcomd.toml.5": {"stale-after", "include", "start", "remote"},
	} {
		text := mustRun(t, binary, "man", page)
		path := filepath.Join(dir, page)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, code := run(t, "mandoc", "-Tlint", path); code != 0 || out != "" {
			t.Errorf("mandoc -Tlint %s: status %d\n%s", page, code, tail(out, 2000))
		}
		read := mustRun(t, "mandoc", "-Tascii", "-Owidth=200", path)
		// Bold is a letter over itself.
		plain := strings.Builder{}
		for i := 0; i < len(read); i++ {
			if i+1 < len(read) && read[i+1] == '\b' {
				i++
				continue
			}
			plain.WriteByte(read[i])
		}
		for _, w := range wanted {
			if !strings.Contains(plain.String(), w) {
				t.Errorf("%s does not speak of %q", page, w)
			}
		}
		if page != "vcomd.1" {
			continue
		}
		help := mustRun(t, binary, "--help")
		for word := range strings.FieldsSeq(help) {
			if name := strings.TrimRight(word, ",.:;)"); strings.HasPrefix(name, "--") && len(name) > 2 && !strings.Contains(plain.String(), name) && name != "--help" {
				t.Errorf("vcomd.1 has no %s", name)
			}
		}
	}
	if out, code := run(t, binary, "man", "vcomd.9"); code != 2 || !strings.Contains(out, "vcomd man vcomd.1") {
		t.Errorf("a page that there is not: status %d, %s", code, out)
	}
}
