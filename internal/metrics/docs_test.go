package metrics

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/vcomd/vcomd/internal/port"
)

// The documentation has each metric, with its meaning, and no other.
func TestDocumentationHasEveryMetric(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]string)
	for _, m := range regexp.MustCompile("(?m)^\\| `(vcomd_[a-z0-9_]+)` \\|.*\\| ([^|]+) \\|$").FindAllStringSubmatch(string(text), -1) {
		documented[m[1]] = m[2]
	}
	served := scrape(t, Measured{&fake{status: port.Status{Name: "p"}}, &Meter{}})
	n := 0
	for line := range strings.Lines(served) {
		rest, ok := strings.CutPrefix(line, "# HELP vcomd_")
		if !ok {
			continue
		}
		n++
		name, help, _ := strings.Cut(strings.TrimSpace(rest), " ")
		meaning, ok := documented["vcomd_"+name]
		if !ok || !strings.HasPrefix(meaning, strings.TrimSuffix(help, ".")) {
			t.Errorf("docs/configuration.md says of vcomd_%s %q, want %q", name, meaning, help)
		}
	}
	if len(documented) != n {
		t.Errorf("%d metrics are documented, and %d served", len(documented), n)
	}
}
