package config

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2/unstable"
)

// Where things are, to an editor.
func TestPositions(t *testing.T) {
	doc := readDocument([]byte("\ufeff# ä\r\n  name = \"x\"\r\n[ defaults ]\nline=7\n\n  [[ port ]] # p\nlink = [ 'a',\n\t\"ä\", \"b\" ]\n\"o k\".x   =   true\n"), func(at position, e *Error) {
		t.Errorf("%v: %v", at, e)
	})
	type place struct {
		what string
		at   position
	}
	var got []place
	for _, table := range doc.tables {
		got = append(got, place{table.header(), table.at})
		for _, e := range table.entries {
			got = append(got, place{e.key, e.at}, place{e.value.text, e.value.at})
			for _, v := range e.value.list {
				got = append(got, place{"- " + v.text, v.at})
			}
		}
	}
	want := []place{
		{"[]", position{1, 1}},
		{"name", position{2, 3}},
		{"x", position{2, 10}},
		{"[defaults]", position{3, 1}},
		{"line", position{4, 1}},
		{"7", position{4, 6}},
		{"[[port]]", position{6, 3}},
		{"link", position{7, 1}},
		{"[ 'a',\n\t\"ä\", \"b\" ]", position{7, 8}},
		{"- a", position{7, 10}},
		{"- ä", position{8, 2}},
		{"- b", position{8, 7}},
		{`"o k".x`, position{9, 1}},
		{"true", position{9, 15}},
	}
	if len(got) != len(want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %v, want %v", got[i], want[i])
		}
	}
}

// A slip in one table leaves the others readable, and is told once.
func TestRecovery(t *testing.T) {
	for _, c := range []struct {
		text   string
		line   int
		tables string
		lost   bool
	}{
		{"a = \n[[port]]\nb = 1\n[[port]]\nc = 2\n", 1, "[] [[port]] b [[port]] c", false},
		{"[[port]]\nb = 1\nx y\nc = 2\n[[port]]\nd = 3", 3, "[] [[port]] b [[port]] d", false},
		{"[[port\nb = 1\n[[port]]\nd = 3", 1, "[] [[port]] d", true},
		{"[[port]]\nb = [1,\n  2\n[[port]]\nd = 3", 2, "[] [[port]] [[port]] d", false},
		{"[[port]]\nb = '''\n[[port]]\nd = 3", 2, "[] [[port]] [[port]] d", false},
		{"[[port]]\nb = 1\n\n# c\nx = \"\"\"", 5, "[] [[port]] b", false},
		{"[[port]]\nb = 1 # a\x00\n[[port]]\nd = 3", 2, "[] [[port]] [[port]] d", false},
		{"=", 1, "[]", false},
		{"[", 1, "[]", true},
	} {
		var told []position
		doc := readDocument([]byte(c.text), func(at position, e *Error) {
			told = append(told, at)
			if e.Found == "" || e.Hint == "" {
				t.Errorf("%q: %+v", c.text, e)
			}
		})
		var found []string
		for _, table := range doc.tables {
			found = append(found, table.header())
			for _, e := range table.entries {
				found = append(found, e.key)
			}
		}
		if got := strings.Join(found, " "); got != c.tables || doc.lost != c.lost {
			t.Errorf("%q: read %s (lost: %v), want %s (%v)", c.text, got, doc.lost, c.tables, c.lost)
		}
		if len(told) != 1 || told[0].line != c.line {
			t.Errorf("%q: told of %v, want line %d", c.text, told, c.line)
		}
	}
}

// A text in quotes is read as what it was.
func TestQuote(t *testing.T) {
	for _, text := range []string{"", "plain", `"\`, "a\tb\x1b[31m\u009b\u2028\U000e0001", "ä\n"} {
		quoted := quote(text)
		if strings.ContainsAny(quoted, "\x1b\n\u009b") {
			t.Errorf("%q is quoted as %q", text, quoted)
		}
		doc := readDocument([]byte("a = "+quoted), func(at position, e *Error) { t.Errorf("%q: %v", quoted, e) })
		if entries := doc.tables[0].entries; len(entries) != 1 || entries[0].value.text != text {
			t.Errorf("%q is read as %+v", text, entries)
		}
	}
}

func TestNearest(t *testing.T) {
	words := []string{"retry", "retries", "retry-max", "pace", "line", "lines", "link", "tty", "dtr", "rts"}
	for word, want := range map[string]string{
		"retrys": "retry", "rerty": "retry", "retrymax": "retry-max", "lnk": "link", "pcae": "pace", "ttyS": "tty", "liens": "lines", "x": "", "tyx": "", "ab": "", "baud": "", "": "",
	} {
		if got := nearest(word, words); got != want {
			t.Errorf("nearest to %q is %q, want %q", word, got, want)
		}
	}
}

// Messages speak of keys, and leave alone what somebody has written.
func TestAsKeys(t *testing.T) {
	for message, want := range map[string]string{
		"it is shorter than --retry, which is 5s":         "it is shorter than retry, which is 5s",
		"give it with --tls-key FILE; it may be the same": `give it with tls-key = "FILE"; it may be the same`,
		"or --proxy none to ignore":                       `or proxy = "none" to ignore`,
		`in --tls-cert "--retry"`:                         `in tls-cert "--retry"`,
		`"a \" --link b"`:                                 `"a \" --link b"`,
		"by vcomd serve --only NAME":                      "by vcomd serve --only NAME",
	} {
		if got := asKeys(message); got != want {
			t.Errorf("%q becomes %q, want %q", message, got, want)
		}
	}
}

// Nothing that a file may have stops the reader, and what it says is in the file.
func FuzzReadDocument(f *testing.F) {
	for _, text := range []string{
		"", "a = 1", "[[port]]\nlink = ['a', \"b\\u00e4\"]\n[defaults]", "a = [[1], {b = 2}]", "a.b.\"c\" = 1979-05-27", "x = \"\"\"\n[[port]]", "\ufeff\r\n[a", "a = {", "a = 0x", "a\n",
		"[[port]]\nmode = 0660\n[ x", "é = \xff", "a = \"\\", "[]\n[]\n", "\"ᰁ",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		lines := strings.Split(strings.TrimPrefix(string(text), byteOrderMark), "\n")
		check := func(at position) {
			if at.line < 1 || at.line > len(lines) || at.column < 1 || at.column > utf8.RuneCountInString(lines[at.line-1])+1 {
				t.Fatalf("there is no %v in %q", at, text)
			}
		}
		errors := 0
		doc := readDocument(text, func(at position, e *Error) {
			errors++
			check(at)
			if strings.ContainsAny(e.Error(), "\x00\x1b\n\u009b\u202e") {
				t.Fatalf("%q: a control character in %q", text, e)
			}
		})
		if errors > len(lines) {
			t.Fatalf("%d errors in %d lines", errors, len(lines))
		}
		for _, table := range doc.tables {
			check(table.at)
			for _, e := range table.entries {
				check(e.at)
				check(e.value.at)
				for i := range keys {
					at, _ := keys[i].set(new(settings), e.value, "/")
					check(at)
				}
				if e.value.kind == unstable.Array && e.value.text[0] != '[' {
					t.Fatalf("%q: the array is %q", text, e.value.text)
				}
			}
		}
	})
}
