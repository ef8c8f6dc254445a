package comport

import (
	"strconv"
	"unicode/utf8"
)

// Printable makes text that a peer sent safe to show: at most limit bytes of s,
// in which everything but printable characters is escaped as in a Go string;
// quotes and backslashes are escaped too. "..." marks a cut. A limit below
// zero counts as zero.
func Printable(s string, limit int) string {
	limit = max(limit, 0)
	cut := len(s) > limit
	if cut {
		// Not inside a character; one has at most three continuation bytes.
		end := limit
		for end > 0 && limit-end < utf8.UTFMax && !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end]
	}
	quoted := strconv.Quote(s)
	quoted = quoted[1 : len(quoted)-1]
	if cut {
		quoted += "..."
	}
	return quoted
}
