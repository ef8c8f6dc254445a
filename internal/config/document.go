package config

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2/unstable"
)

// position is a place in a file. Lines and columns count from 1, columns in
// characters.
type position struct{ line, column int }

// before orders positions.
func (p position) before(q position) int {
	if p.line != q.line {
		return p.line - q.line
	}
	return p.column - q.column
}

// value is what a key is set to.
type value struct {
	at   position
	kind unstable.Kind
	text string  // a string's value; all else as it is written
	list []value // the elements of an array
}

// entry is one line KEY = VALUE.
type entry struct {
	key   string // dotted ones with their dots
	at    position
	value value
}

// table is what stands under one header; the first of a document has none.
type table struct {
	name    string // dotted ones with their dots
	array   bool   // [[name]]
	at      position
	entries []entry
	damaged bool // something in it could not be read
}

// header is how the table begins.
func (t *table) header() string {
	if t.array {
		return "[[" + t.name + "]]"
	}
	return "[" + t.name + "]"
}

// document is one TOML file, read but not understood.
type document struct {
	tables []*table
	lost   bool // a header could not be read: there may be a table that is not here
}

// reader turns a text into a document.
type reader struct {
	text   []byte
	lines  []int // where they begin
	base   int   // where the parser's text begins in ours
	parser unstable.Parser
	table  *table
	doc    document
	wrong  func(position, *Error)
	errors int
}

// byteOrderMark is what some editors put before the text.
const byteOrderMark = "\ufeff"

// readDocument reads TOML. What cannot be read is told to wrong, and passed over up
// to the next table.
func readDocument(text []byte, wrong func(position, *Error)) document {
	text = bytes.TrimPrefix(text, []byte(byteOrderMark))
	r := reader{text: text, lines: []int{0}, wrong: wrong}
	for i, c := range text {
		if c == '\n' {
			r.lines = append(r.lines, i+1)
		}
	}
	r.begin(&table{at: position{1, 1}})
	for more := true; more; {
		more = r.read()
	}
	return r.doc
}

func (r *reader) begin(t *table) {
	r.table = t
	r.doc.tables = append(r.doc.tables, t)
}

// read reads from base to the end or to an error, and then reports whether there
// is a table behind it.
func (r *reader) read() bool {
	end := r.base // of what could be read
	r.parser.Reset(r.text[r.base:])
	for r.parser.NextExpression() {
		switch node := r.parser.Expression(); node.Kind {
		case unstable.KeyValue:
			r.table.entries = append(r.table.entries, r.entry(node))
			end = r.base + int(node.Raw.Offset+node.Raw.Length)
		case unstable.Table, unstable.ArrayTable:
			name, begin, after := r.key(node.Key())
			column := bytes.LastIndexByte(r.text[:begin], '[')
			if node.Kind == unstable.ArrayTable {
				column = bytes.LastIndexByte(r.text[:column], '[')
			}
			r.begin(&table{name: name, array: node.Kind == unstable.ArrayTable, at: r.position(column)})
			end = after
		default:
		}
	}
	failed, ok := errors.AsType[*unstable.ParserError](r.parser.Error())
	if !ok {
		return false
	}
	r.table.damaged = true
	at := r.base + int(r.parser.Range(failed.Highlight).Offset)
	line := r.failing(end, at)
	begin := at
	if open := r.lines[line] + valueOf(r.line(line)); line < r.index(at) && r.endless(at) {
		begin = open // nobody looks for it where the parser gave up
	}
	r.wrong(r.position(begin), explainSyntax(r.line(line), at-r.lines[line], begin != at))
	if strings.HasPrefix(strings.TrimLeft(r.line(line), " \t"), "[") {
		r.doc.lost = true
	}
	if r.errors++; r.errors >= maxErrors {
		r.doc.lost = true
		return false // each costs a search, perhaps to the end
	}
	for line++; line < len(r.lines); line++ {
		if text := strings.TrimLeft(r.line(line), " \t"); strings.HasPrefix(text, "[") {
			r.base = r.lines[line]
			return true
		}
	}
	return false
}

// endless reports whether what the parser gave up at, at an offset, has come too
// late to be what it was looking for: the end of the file, or the next table.
func (r *reader) endless(at int) bool {
	return at+1 >= len(r.text) || strings.HasPrefix(strings.TrimLeft(r.line(r.index(at)), " \t"), "[")
}

// valueOf returns where in a line the value begins.
func valueOf(line string) int {
	from := strings.IndexByte(line, '=') + 1
	return from + len(line[from:]) - len(strings.TrimLeft(line[from:], " \t"))
}

// failing returns the index of the line in which what could not be read begins:
// the first one behind end with something on it, or that of the error.
func (r *reader) failing(end, at int) int {
	wrong := r.index(at)
	first := r.index(end)
	if end > r.base {
		first++ // what could be read takes the line to its end
	}
	for line := first; line < wrong; line++ {
		if text := strings.TrimLeft(r.line(line), " \t"); text != "" && text[0] != '#' {
			return line
		}
	}
	return wrong
}

// line returns the text of a line, without its end.
func (r *reader) line(index int) string {
	end := len(r.text)
	if index+1 < len(r.lines) {
		end = r.lines[index+1] - 1
	}
	return strings.TrimSuffix(string(r.text[r.lines[index]:end]), "\r")
}

// index returns the index of the line that an offset is in.
func (r *reader) index(offset int) int {
	i, found := slices.BinarySearch(r.lines, offset)
	if !found {
		i--
	}
	return i
}

func (r *reader) position(offset int) position {
	line := r.index(offset)
	// The parser may point at the last byte of a character.
	for offset > r.lines[line] && offset < len(r.text) && !utf8.RuneStart(r.text[offset]) {
		offset--
	}
	return position{line + 1, utf8.RuneCount(r.text[r.lines[line]:offset]) + 1}
}

// key joins the parts of a key, and returns where it begins and ends.
func (r *reader) key(parts unstable.Iterator) (name string, begin, end int) {
	var all []string
	for parts.Next() {
		part := parts.Node()
		if all == nil {
			begin = r.base + int(part.Raw.Offset)
		}
		end = r.base + int(part.Raw.Offset+part.Raw.Length)
		all = append(all, bare(string(part.Data)))
	}
	return strings.Join(all, "."), begin, end
}

func (r *reader) entry(node *unstable.Node) entry {
	name, begin, end := r.key(node.Key())
	// An array does not know where it is: it comes after the equals sign.
	from := end + bytes.IndexByte(r.text[end:], '=') + 1
	from += len(r.text[from:]) - len(bytes.TrimLeft(r.text[from:], " \t"))
	to := r.base + int(node.Raw.Offset+node.Raw.Length)
	return entry{name, r.position(begin), r.value(node.Value(), from, to)}
}

// value reads a value that takes the text between two offsets.
func (r *reader) value(node *unstable.Node, from, to int) value {
	v := value{at: r.position(from), kind: node.Kind, text: string(r.text[from:to])}
	switch node.Kind {
	case unstable.String:
		v.text = string(node.Data)
	case unstable.Array:
		for elements := node.Children(); elements.Next(); {
			e := elements.Node()
			begin, end := from, to // an array or a table in an array: no key has such
			if e.Raw.Length > 0 {
				begin = r.base + int(e.Raw.Offset)
				end = begin + int(e.Raw.Length)
			}
			element := value{at: r.position(begin), kind: e.Kind, text: string(r.text[begin:end])}
			if e.Kind == unstable.String {
				element.text = string(e.Data)
			}
			v.list = append(v.list, element)
		}
	default:
	}
	return v
}

// bare writes a part of a key as it is written if it needs no quotes.
func bare(part string) string {
	if part != "" && !strings.ContainsFunc(part, func(c rune) bool { return c != '-' && c != '_' && notAlphanumeric(c) }) {
		return part
	}
	return quote(part)
}

func notAlphanumeric(c rune) bool {
	return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9')
}
