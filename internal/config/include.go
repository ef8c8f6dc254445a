package config

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/vcomd/vcomd/rfc2217client"
)

// maxIncluded bounds how many files are included.
const maxIncluded = 10_000

// include reads the files of include, which have ports and nothing else.
func (l *loader) include(path string, top *table) {
	o, ok := l.loaded.given["include"]
	if !ok {
		return
	}
	main, err := os.Stat(path)
	if err != nil {
		main = nil // gone meanwhile
	}
	at := o.at
	wrong := func(pattern, found, hint string) {
		l.problems.add(o.file, at, &Error{Setting: "include", Value: pattern, Found: found, Hint: hint})
	}
	read := make(map[string]bool)
	for i, pattern := range l.instance.instance.include {
		at = elementAt(top, "include", i)
		found, err := filepath.Glob(escapeDir(directory(path), pattern))
		if err != nil {
			wrong(pattern, "this is not a pattern of file names", `write a path, or one with * and ?: include = "vcomd.d/*.toml"`)
			continue
		}
		if len(found) == 0 {
			if strings.ContainsAny(pattern, `*?[`) {
				l.note("%s:%d: include %q matches no file", o.file, o.at.line, pattern)
			} else {
				wrong(pattern, "there is no such file", "write it, or leave it out; a pattern with * may match none")
			}
			continue
		}
		slices.Sort(found)
		for _, name := range found {
			if read[name] {
				continue
			}
			read[name] = true
			if info, err := os.Stat(name); err == nil && main != nil && os.SameFile(info, main) {
				wrong(pattern, "it matches this file itself", "put included files in a directory of their own")
				continue
			}
			if len(read) > maxIncluded {
				wrong(pattern, fmt.Sprintf("it matches more than %d files", maxIncluded), "write several ports in one file")
				return
			}
			text, err := readFile(name)
			if err != nil {
				wrong(pattern, fmt.Sprintf("%q cannot be read: %v", name, err), "make it readable, or leave it out")
				continue
			}
			l.included(name, text)
		}
	}
}

// escapeDir makes a relative path absolute that has been joined to a directory
// already: what is a pattern in the directory's own name is not meant as one.
func escapeDir(dir, pattern string) string {
	rest, ok := strings.CutPrefix(pattern, dir)
	if !ok {
		return pattern
	}
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(dir) + rest
}

func (l *loader) included(path string, text []byte) {
	l.file(path)
	doc := readDocument(text, func(at position, e *Error) { l.problems.add(path, at, e) })
	const hint = "write it in the main file"
	for _, e := range doc.tables[0].entries {
		told := &Error{Setting: e.key, Found: "an included file has nothing but [[port]] tables", Hint: "write it below a [[port]]"}
		if findKey(e.key, PlaceInstance) != nil {
			told.Hint = hint
		}
		l.problems.add(path, e.at, told)
	}
	for _, t := range doc.tables[1:] {
		switch {
		case t.name == "port" && t.array:
			l.readPort(path, t)
		case t.name == "defaults":
			l.problems.add(path, t.at, &Error{Setting: t.header(), Found: "an included file has nothing but [[port]] tables", Hint: hint})
		default:
			l.problems.add(path, t.at, unknownTable(t))
		}
	}
}

// instanceValues checks what is said of the whole instance.
func (l *loader) instanceValues(path string) {
	i := l.instance.instance
	wrong := func(key, value, found, hint string) {
		l.problems.add(path, l.loaded.given[key].at, &Error{Setting: key, Value: value, Found: found, Hint: hint})
	}
	l.loaded.Name = cmp.Or(i.name, DefaultInstance)
	if !isName(l.loaded.Name) {
		wrong("name", i.name, "this cannot be the name of a vcomd", nameHint())
	}
	l.loaded.RunDir = cmp.Or(l.options.RunDir, i.runDir, RunDir())
	l.loaded.LogLevel = cmp.Or(i.logLevel, DefaultLogLevel)
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, l.loaded.LogLevel) {
		wrong("log-level", i.logLevel, "there is no such level", "write debug, info, warn or error")
	}
	l.loaded.Trace = i.trace
	l.loaded.Metrics = i.metrics
	if i.metrics != "" && !isListenAddress(i.metrics) {
		wrong("metrics", i.metrics, "this is not an address to listen at", metricsHint)
	}
}

func isListenAddress(s string) bool {
	host, port, err := net.SplitHostPort(s)
	if err != nil || strings.ContainsFunc(host, func(c rune) bool { return c <= ' ' || c == '/' }) {
		return false
	}
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n != 0
}

// asRemoteError turns what ParseRemote says into an *Error.
func asRemoteError(err error) (*Error, bool) {
	e, ok := errors.AsType[*rfc2217client.RemoteError](err)
	if !ok {
		return nil, false
	}
	return &Error{"--remote", e.Text, e.Found, e.Hint, err}, true
}

// duplicates finds what two ports cannot have both: a name, a link, an overlay.
func (l *loader) duplicates() {
	type owner struct {
		section *section
		what    string
		at      origin
	}
	names, places := make(map[string]owner), make(map[string]owner)
	for _, s := range l.ports {
		here := func(key string) origin {
			if o, ok := s.given[key]; ok {
				return o
			}
			return origin{file: s.file, at: s.table.at}
		}
		name := s.settings.port.Name
		if s.valid {
			name = s.config.Name
		}
		if first, twice := names[name]; twice && name != "" {
			e := &Error{Setting: "name", Value: name, Found: "the port in " + first.at.place(s.file) + " has it already", Hint: "give each port a name of its own"}
			if _, given := s.given["name"]; !given {
				e.Setting = "[[port]]"
				e.Found = "it gets the same name as the port in " + first.at.place(s.file)
				e.Hint = `give it another one: name = "…"`
			}
			o := here("name")
			l.problems.add(o.file, o.at, e)
		} else {
			names[name] = owner{s, "name", here("name")}
		}
		claim := func(key, path string) {
			at := here(key)
			if key == "link" {
				at = origin{file: s.file, at: s.linkAt(path)}
			}
			if first, twice := places[place(path)]; twice && first.section != s {
				l.problems.add(at.file, at.at, &Error{
					Setting: key, Value: path, Found: fmt.Sprintf("%s of the port in %s is the same path", first.what, first.at.place(s.file)),
					Hint: "give each port paths of its own",
				})
				return
			}
			places[place(path)] = owner{s, "the " + key, at}
		}
		for _, link := range s.settings.port.Links {
			claim("link", link)
		}
		if s.settings.port.Overlay != "" {
			claim("overlay", s.settings.port.Overlay)
		}
	}
}

// place says where something is, to somebody who is reading a file.
func (o origin) place(file string) string {
	if o.file == file {
		return fmt.Sprintf("line %d", o.at.line)
	}
	return fmt.Sprintf("%s:%d", printable(o.file), o.at.line)
}

// linkAt returns where a link is written.
func (s *section) linkAt(path string) position {
	links := s.settings.port.Links
	for i, link := range slices.Backward(links) { // of two that are the same, the second is too many
		if link == path {
			return elementAt(s.table, "link", i)
		}
	}
	return elementAt(s.table, "link", len(links))
}

// elementAt returns where an element of a key's array is written, or the one value
// instead of an array.
func elementAt(t *table, key string, index int) position {
	for _, e := range t.entries {
		switch {
		case e.key != key:
		case index >= 0 && index < len(e.value.list):
			return e.value.list[index].at
		default:
			return e.value.at
		}
	}
	return t.at
}
