package control

import (
	"strconv"
	"strings"
)

// Escape makes text safe to show on a terminal: what is not printable becomes an
// escape sequence of Go's. Names, and what a server says of itself, may hold
// anything.
func Escape(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '\uFFFD' && !strings.HasPrefix(s[i:], "\uFFFD"):
			b.WriteString(`\x` + hexByte(s[i]))
		case strconv.IsPrint(r):
			b.WriteRune(r)
		default:
			q := strconv.QuoteRune(r)
			b.WriteString(q[1 : len(q)-1])
		}
	}
	return b.String()
}

func hexByte(c byte) string {
	const digits = "0123456789abcdef"
	return string([]byte{digits[c>>4], digits[c&0xf]})
}
