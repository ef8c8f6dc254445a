package vm_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vcomd/vcomd/test/vm"
	"github.com/vcomd/vcomd/test/vm/conformance"
)

// A table has a row for each check, a column for each kind with results, and what was found.
func TestTable(t *testing.T) {
	table := vm.Table([]conformance.Result{
		{Kind: conformance.Wrapped, Check: "isatty", Verdict: conformance.Yes},
		{Kind: conformance.Hardware, Check: "isatty", Verdict: conformance.No, Why: "TCGETS: ENOTTY"},
		{Kind: conformance.Hardware, Check: "bytes are read", Verdict: conformance.Untried, Why: "a|b"},
	})
	lines := strings.Split(strings.TrimSuffix(table, "\n"), "\n")
	if want := 2 + len(conformance.Names()); len(lines) != want {
		t.Errorf("%d lines, want %d", len(lines), want)
	}
	for _, want := range []string{
		"| check | QEMU's 16550 | `vcomd run` |", "| --- | --- | --- |", "| isatty | **no**: TCGETS: ENOTTY | yes |", `| bytes are read | (a\|b) |  |`,
	} {
		if !strings.Contains(table, want+"\n") {
			t.Errorf("no line %q in\n%s", want, table)
		}
	}
}

// A document's table is replaced, and nothing else is.
func TestDocument(t *testing.T) {
	path := filepath.Join(t.TempDir(), "doc.md")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("a\n<!-- conformance: begin -->\nold\n<!-- conformance: end -->\nb\n")
	if err := vm.WriteTable(path, "new\n"); err != nil {
		t.Fatal(err)
	}
	if got, err := vm.ReadTable(path); err != nil || got != "new\n" {
		t.Errorf("the table is %q, %v", got, err)
	}
	text, err := os.ReadFile(path)
	if want := "a\n<!-- conformance: begin -->\nnew\n<!-- conformance: end -->\nb\n"; err != nil || string(text) != want {
		t.Errorf("the document is %q, %v, want %q", text, err, want)
	}
	for _, bad := range []string{
		"", "<!-- conformance: begin -->\n", "<!-- conformance: end -->\n<!-- conformance: begin -->\n",
		"<!-- conformance: begin -->\n<!-- conformance: begin -->\n<!-- conformance: end -->\n",
	} {
		write(bad)
		if err := vm.WriteTable(path, "new\n"); !errors.Is(err, vm.ErrMarkers) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// Names are names: no two checks have the same.
func TestNames(t *testing.T) {
	seen := make(map[string]bool)
	for _, name := range conformance.Names() {
		if seen[name] || name == "" {
			t.Errorf("%q is there twice, or is no name", name)
		}
		seen[name] = true
	}
}
