package telnet

import (
	"bytes"
	"slices"
)

// AppendData appends p as serial data, each IAC doubled (RFC 854).
func AppendData(dst, p []byte) []byte {
	escapes := bytes.Count(p, []byte{byte(IAC)})
	if escapes == 0 {
		return append(dst, p...)
	}
	// Room for all of it at once: appending byte by byte costs more than all the
	// rest when the data is all 0xFF.
	w := len(dst)
	dst = slices.Grow(dst, len(p)+escapes)[:w+len(p)+escapes]
	for len(p) > 0 {
		if p[0] == byte(IAC) {
			dst[w], dst[w+1] = byte(IAC), byte(IAC)
			w += 2
			p = p[1:]
			continue
		}
		i := bytes.IndexByte(p, byte(IAC))
		if i < 0 {
			i = len(p)
		}
		w += copy(dst[w:], p[:i])
		p = p[i:]
	}
	return dst
}

// AppendDataNVT appends p as AppendData does, with a NUL after each CR: the form
// of data where BINARY is not in effect (RFC 854, "THE NVT PRINTER AND
// KEYBOARD").
func AppendDataNVT(dst, p []byte) []byte {
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\r')
		if i < 0 {
			return AppendData(dst, p)
		}
		dst = append(AppendData(dst, p[:i]), '\r', 0)
		p = p[i+1:]
	}
	return dst
}

// NeedsEscape reports whether AppendData would change p.
func NeedsEscape(p []byte) bool { return bytes.IndexByte(p, byte(IAC)) >= 0 }

// AppendCommand appends IAC c.
func AppendCommand(dst []byte, c Command) []byte { return append(dst, byte(IAC), byte(c)) }

// AppendNegotiation appends IAC verb o, where verb is WILL, WONT, DO or DONT.
func AppendNegotiation(dst []byte, verb Command, o Option) []byte {
	return append(dst, byte(IAC), byte(verb), byte(o))
}

// AppendSubnegotiation appends IAC SB o payload IAC SE, each IAC of the payload
// doubled (RFC 855).
func AppendSubnegotiation(dst []byte, o Option, payload []byte) []byte {
	dst = append(dst, byte(IAC), byte(SB), byte(o))
	dst = AppendData(dst, payload)
	return append(dst, byte(IAC), byte(SE))
}
