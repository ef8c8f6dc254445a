package config

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/pelletier/go-toml/v2/unstable"
)

// findKey returns the key of a name in a place, or nil.
func findKey(name string, place Place) *Key {
	for i := range keys {
		if k := &keys[i]; k.Name == name && k.Place == place {
			return k
		}
	}
	return nil
}

// unknownKey says which key was probably meant.
func unknownKey(name string, place Place) *Error {
	var here, elsewhere []string
	for _, k := range keys {
		if k.Place == place || place == PlaceOnePort && k.Place == PlacePort {
			here = append(here, k.Name)
		} else {
			elsewhere = append(elsewhere, k.Name)
		}
	}
	e := &Error{Setting: name, Found: "there is no such key", Hint: "docs/configuration.md has all keys"}
	// What vcomd's own flags look like, and what other programs call things.
	plain := strings.ReplaceAll(strings.TrimLeft(strings.ToLower(strings.Trim(name, `"`)), "-"), "_", "-")
	for _, names := range [][]string{here, elsewhere} {
		if near := nearest(plain, names); near != "" {
			e.Hint = didYouMean(near)
			break
		}
	}
	return e
}

func didYouMean(word string) string { return fmt.Sprintf("did you mean %s?", word) }

// nearest returns the word that a misspelt one was probably meant to be, or "".
func nearest(word string, words []string) string {
	best, found := 3, "" // two wrong letters are a slip, three another word
	if len(word) <= 4 {
		best = 2
	}
	for _, w := range words {
		if d := distance(word, w); d < best {
			best, found = d, w
		}
	}
	return found
}

// distance is the number of letters to insert, remove or change, or of neighbours
// to swap, to make one word of the other (optimal string alignment).
func distance(a, b string) int {
	rows := [3][]int{}
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
	}
	for j := range rows[1] {
		rows[1][j] = j
	}
	for i := range len(a) {
		before, last, row := rows[0], rows[1], rows[2]
		row[0] = i + 1
		for j := range len(b) {
			cost := 0
			if a[i] != b[j] {
				cost = 1
			}
			row[j+1] = min(last[j]+cost, last[j+1]+1, row[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		rows = [3][]int{last, row, before}
	}
	return rows[1][len(b)]
}

// clear takes a key's value back.
func (k *Key) clear(s *settings) {
	switch into := k.field(s).(type) {
	case *string:
		*into = ""
	case *bool:
		*into = false
	case *[]string:
		*into = nil
	}
}

// copy gives a key the value that it has in other settings.
func (k *Key) copy(into, from *settings) {
	switch value := k.field(from).(type) {
	case *string:
		if to, ok := k.field(into).(*string); ok {
			*to = *value
		}
	case *bool:
		if to, ok := k.field(into).(*bool); ok {
			*to = *value
		}
	case *[]string:
		if to, ok := k.field(into).(*[]string); ok {
			*to = *value
		}
	}
}

// empty is how a port writes that it has nothing of a default.
func (k *Key) empty() string {
	if k.Kind == KindSwitch {
		return "false"
	}
	return `""`
}

// set gives a key the value that is written in a file in dir. The error has its
// place.
func (k *Key) set(s *settings, v value, dir string) (position, *Error) {
	if k.Kind == KindSwitch {
		return v.at, k.setSwitch(s, v)
	}
	into, list := k.field(s).(*[]string)
	if !list {
		text, e := k.read(v, dir)
		if one, ok := k.field(s).(*string); ok && e == nil {
			*one = text
		}
		return v.at, e
	}
	elements := v.list
	if v.kind != unstable.Array {
		elements = []value{v}
	}
	*into = make([]string, 0, len(elements))
	for _, element := range elements {
		text, e := k.read(element, dir)
		if e != nil {
			return element.at, e
		}
		*into = append(*into, text)
	}
	return v.at, nil
}

func (k *Key) setSwitch(s *settings, v value) *Error {
	into, ok := k.field(s).(*bool)
	if v.kind != unstable.Bool || !ok {
		hint := "write true or false"
		if v.kind == unstable.String {
			hint += ", without quotes"
		}
		return &Error{Setting: k.Name, Value: v.text, Found: "it is neither true nor false", Hint: hint}
	}
	*into = v.text == "true"
	return nil
}

// read returns the text that a flag would have for this value.
func (k *Key) read(v value, dir string) (string, *Error) {
	if k.Name == "proxy" && v.kind != unstable.String {
		v.text = redact(v.text)
	}
	fail := func(found, hint string) (string, *Error) {
		return "", &Error{Setting: k.Name, Value: v.text, Found: found, Hint: hint}
	}
	if v.kind == unstable.String {
		if v.text == "" {
			return fail("the value is empty", "leave the key out for the default, or give it a value")
		}
		if strings.ContainsRune(v.text, 0) {
			return fail("there is a NUL in it", "leave that out")
		}
		if (k.Kind == KindPath || k.Kind == KindPaths) && !filepath.IsAbs(v.text) {
			return join(dir, v.text), nil
		}
		return v.text, nil
	}
	digits := strings.TrimPrefix(strings.ReplaceAll(v.text, "_", ""), "+")
	switch {
	case v.kind == unstable.Array && k.Kind != KindPaths:
		return fail("it has one value, not several", "write one of them, without the brackets")
	case v.kind == unstable.Array || v.kind == unstable.InlineTable:
		return fail("this cannot be its value", "write text in quotes")
	case v.kind == unstable.Integer && k.Kind == KindNumber:
		return digits, nil
	case v.kind == unstable.Integer && k.Kind == KindOctal && strings.HasPrefix(digits, "0o"):
		return "0" + digits[len("0o"):], nil
	case v.kind == unstable.Integer && k.Kind == KindOctal:
		return fail("this is a decimal number", fmt.Sprintf(`write it in octal: %s = "0%s"`, k.Name, digits))
	case v.kind == unstable.Integer && k.Kind == KindTime && digits == "0":
		return digits, nil
	case (v.kind == unstable.Integer || v.kind == unstable.Float) && k.Kind == KindTime:
		return fail("this is a number without a unit", fmt.Sprintf(`write a number and a unit, in quotes: %s = "%ss"`, k.Name, digits))
	case v.kind == unstable.Bool && (k.Name == "dtr" || k.Name == "rts" || k.Name == "cr-nul"):
		return fail("this is no text", fmt.Sprintf("write %s = %q", k.Name, map[string]string{"true": "on", "false": "off"}[v.text]))
	default:
		return fail("this is no text", fmt.Sprintf("write it in quotes: %s = %s", k.Name, quote(v.text)))
	}
}

// join puts a relative path below a directory. A slash at the end stays: it says
// that a directory is meant, which is wrong for some.
func join(dir, path string) string {
	joined := filepath.Join(dir, path)
	if strings.HasSuffix(path, "/") {
		joined += "/"
	}
	return joined
}
