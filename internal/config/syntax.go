package config

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// tomlForms are the lines of a configuration file.
const tomlForms = `a line is KEY = VALUE, [defaults], [[port]], or a comment after #`

// explainSyntax says what is wrong with a line that is no TOML, or with what
// begins there, in the words of somebody who has never read TOML's definition.
// offset is that of the error, in bytes; endless: what begins in this line ends
// nowhere.
func explainSyntax(line string, offset int, endless bool) *Error {
	if !utf8.ValidString(line) {
		return &Error{Found: "the text is not UTF-8", Hint: "save the file as UTF-8"}
	}
	if strings.HasPrefix(strings.TrimLeft(line, " \t"), "[") {
		return &Error{Found: "the header of this table cannot be read", Hint: "write [[port]] for a port, or [defaults]"}
	}
	key, value, ok := strings.Cut(line, "=")
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	switch {
	case !ok || key == "" || strings.HasPrefix(key, "#") || strings.ContainsFunc(key, func(c rune) bool { return !strconv.IsPrint(c) }) || offset < strings.IndexByte(line, '='):
		return &Error{Found: "this is neither a key with its value nor a table", Hint: tomlForms}
	case value == "" || value[0] == '#':
		return &Error{Setting: key, Found: "there is no value after the equals sign", Hint: fmt.Sprintf("write %s = \"…\", or leave the line out", key)}
	}
	return explainValue(key, value, endless)
}

// explainValue says what is wrong with a value.
func explainValue(key, value string, endless bool) *Error {
	open := value[0]
	switch {
	case open == '[' && endless:
		return &Error{Setting: key, Found: "the bracket at the beginning of the value has none at its end", Hint: "write ] behind the last element"}
	case open == '[':
		return &Error{Setting: key, Found: "the array cannot be read", Hint: fmt.Sprintf(`write %s = ["…", "…"], each in quotes, with a comma between them and a bracket at the end`, key)}
	case open == '{':
		return &Error{Setting: key, Found: "braces cannot be read here", Hint: tomlForms}
	case (open == '"' || open == '\'') && strings.HasPrefix(value, strings.Repeat(string(open), 3)):
		return &Error{Setting: key, Found: "the text in three quotes does not end", Hint: "write it in one line, in one quote on each side"}
	case open == '"' && strings.Contains(value, `\`):
		return &Error{Setting: key, Found: `there is a backslash, which begins an escape, such as \n`, Hint: `write \\ for a backslash, or the text in single quotes`}
	case (open == '"' || open == '\'') && strings.IndexByte(value[1:], open) < 0:
		return &Error{Setting: key, Found: "the quote at the beginning of the value has none at its end", Hint: fmt.Sprintf("write the value in one line, in %c on both sides", open)}
	case open == '"' || open == '\'':
		return &Error{Setting: key, Found: "there is something behind the value", Hint: "write one key a line, and # before a comment"}
	}
	word, _, _ := strings.Cut(value, "#")
	word = strings.TrimSpace(word)
	if key == "proxy" {
		word = redact(word)
	}
	if _, err := strconv.ParseUint(word, 8, 32); err == nil && word[0] == '0' {
		return &Error{Setting: key, Value: word, Found: "a number of TOML does not begin with 0", Hint: fmt.Sprintf("write %s = %q, in quotes", key, word)}
	}
	for _, wrong := range []string{"yes", "no", "True", "False", "TRUE", "FALSE"} {
		if k := findKey(key, PlacePort); word == wrong && k != nil && k.Kind == KindSwitch {
			return &Error{Setting: key, Value: word, Found: "it is neither true nor false", Hint: "write true or false, in small letters"}
		}
	}
	if first, _, more := strings.Cut(word, " "); more && (first == "true" || first == "false") {
		return &Error{Setting: key, Found: "there is something behind the value", Hint: "write one key a line, and # before a comment"}
	}
	return &Error{Setting: key, Value: word, Found: "text stands in quotes", Hint: fmt.Sprintf("write %s = %s", key, quote(word))}
}

// quote writes a text as a basic string of TOML.
func quote(text string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range text {
		switch {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteRune(c)
		case c < ' ' || c >= 0x7f && c < 0xa0:
			fmt.Fprintf(&b, `\u%04X`, c)
		case !strconv.IsPrint(c) && c <= 0xffff:
			fmt.Fprintf(&b, `\u%04X`, c)
		case !strconv.IsPrint(c):
			fmt.Fprintf(&b, `\U%08X`, c)
		default:
			b.WriteRune(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
