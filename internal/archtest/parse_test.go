package archtest

import (
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"testing"
)

// imports returns what one file of a package imports.
func imports(t *testing.T, path, name string) []string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "..", path, name), nil, parser.ImportsOnly)
	if err != nil {
		t.Fatal(err)
	}
	all := make([]string, 0, len(f.Imports))
	for _, i := range f.Imports {
		value, err := strconv.Unquote(i.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, value)
	}
	return all
}
