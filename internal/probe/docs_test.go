package probe

import (
	"os"
	"strings"
	"testing"
)

// The documentation's table has each check as it is, in the same order.
func TestDocumentationHasEveryCheck(t *testing.T) {
	text, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	var table strings.Builder
	for _, q := range quirks {
		table.WriteString("| `" + q.id + "` | " + q.text + " | " + q.effect + " |\n")
	}
	if !strings.Contains(string(text), table.String()) {
		t.Errorf("docs/configuration.md does not have\n%s", table.String())
	}
}
