package vm

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/vcomd/vcomd/test/vm/conformance"
)

// ErrMarkers means a document without the place for a table.
var ErrMarkers = errors.New("the markers of the table are not there, once each and in their order")

// The lines of a document between which its table stands.
const (
	beginMarker = "<!-- conformance: begin -->\n"
	endMarker   = "<!-- conformance: end -->\n"
)

// titles are the heads of the table's columns.
var titles = map[conformance.Kind]string{
	conformance.Hardware: "QEMU's 16550",
	conformance.PTY:      "vcomd",
	conformance.Wrapped:  "`vcomd run`",
	conformance.USB:      "`--tty usb`",
}

// Table is the table of what was found of each kind of tty, in Markdown: a row for each check, a column for each kind that
// there are results of.
func Table(results []conformance.Result) string {
	cells := make(map[conformance.Kind]map[string]string)
	for _, r := range results {
		if cells[r.Kind] == nil {
			cells[r.Kind] = make(map[string]string)
		}
		cells[r.Kind][r.Check] = cell(r)
	}
	head, rule := "| check |", "| --- |"
	var kinds []conformance.Kind
	for _, k := range conformance.Kinds() {
		if cells[k] != nil {
			kinds = append(kinds, k)
			head += " " + titles[k] + " |"
			rule += " --- |"
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n%s\n", head, rule)
	for _, name := range conformance.Names() {
		fmt.Fprintf(&b, "| %s |", name)
		for _, k := range kinds {
			fmt.Fprintf(&b, " %s |", strings.TrimSpace(cells[k][name]))
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func cell(r conformance.Result) string {
	why := strings.ReplaceAll(r.Why, "|", `\|`)
	switch r.Verdict {
	case conformance.Yes:
		return "yes"
	case conformance.No:
		return "**no**: " + why
	default:
		return "(" + why + ")"
	}
}

// ReadTable gives the table that a document has.
func ReadTable(path string) (string, error) {
	_, table, _, err := split(path)
	return table, err
}

// WriteTable replaces it.
func WriteTable(path, table string) error {
	before, _, after, err := split(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, []byte(before+table+after), 0o644) //nolint:gosec // a document, for all to read
}

// split gives a document's parts, before the table with the marker and after it.
func split(path string) (before, table, after string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return "", "", "", err
	}
	s := string(text)
	begin, end := strings.Index(s, beginMarker), strings.Index(s, endMarker)
	if begin < 0 || end < begin+len(beginMarker) || strings.Count(s, beginMarker) != 1 || strings.Count(s, endMarker) != 1 {
		return "", "", "", fmt.Errorf("%s: %w", path, ErrMarkers)
	}
	begin += len(beginMarker)
	return s[:begin], s[begin:end], s[end:], nil
}
