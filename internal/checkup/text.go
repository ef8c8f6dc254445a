package checkup

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// Width is what a table fits into, in characters, as long as no single word is longer.
const Width = 100

// Columns of a table.
const (
	stateWidth = 9  // with the space before and after
	nameWidth  = 18 // likewise
)

// WriteTable writes a report for people, one part after the other. escape makes
// text of the machine's safe to show.
func (r Report) WriteTable(w io.Writer, escape func(string) string) error {
	var b strings.Builder
	for _, p := range Parts() {
		if !slices.ContainsFunc(r, func(c Check) bool { return c.Part == p }) {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.Title() + "\n")
		for _, c := range r {
			if c.Part != p {
				continue
			}
			head := fmt.Sprintf("  %-*s%-*s", stateWidth, c.State, nameWidth, escape(c.Name))
			writeWrapped(&b, head, escape(c.Found))
			if c.Advice != "" {
				writeWrapped(&b, strings.Repeat(" ", 2+stateWidth+nameWidth-3)+"-> ", escape(c.Advice))
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// writeWrapped writes text behind a head, and further lines of it below.
func writeWrapped(b *strings.Builder, head, text string) {
	b.WriteString(head)
	at := utf8.RuneCountInString(head)
	margin := at
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case at+1+n > Width:
			b.WriteString("\n" + strings.Repeat(" ", margin))
			at = margin
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	b.WriteByte('\n')
}
