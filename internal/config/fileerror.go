package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxErrors bounds what is told of one configuration.
const maxErrors = 20

// FileError is what is wrong at one place of a configuration file.
type FileError struct {
	File         string
	Line, Column int // from 1; columns in characters
	Err          *Error
}

func (e *FileError) Error() string {
	text := e.Err.Error()
	if e.Err.Setting == "" {
		text = e.Err.Found + "; " + e.Err.Hint
	}
	return fmt.Sprintf("%s:%d:%d: %s", printable(e.File), e.Line, e.Column, text)
}

// printable is a file's name, in quotes if a terminal would not show it as it is.
func printable(name string) string {
	if strings.ContainsFunc(name, func(c rune) bool { return c == utf8.RuneError || !strconv.IsPrint(c) }) {
		return strconv.Quote(name)
	}
	return name
}

// Unwrap returns what is wrong, without the place.
func (e *FileError) Unwrap() error { return e.Err }

// LoadError is all that is wrong with a configuration: by file, the main one
// first, and by position; never empty, and at most 20.
type LoadError struct {
	All []*FileError
	// More is how many there are besides.
	More int
}

// Error gives one line each.
func (e *LoadError) Error() string {
	lines := make([]string, 0, len(e.All)+1)
	for _, one := range e.All {
		lines = append(lines, one.Error())
	}
	if e.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more", e.More))
	}
	return strings.Join(lines, "\n")
}

// Unwrap returns all of them.
func (e *LoadError) Unwrap() []error {
	all := make([]error, len(e.All))
	for i, one := range e.All {
		all[i] = one
	}
	return all
}

// problems collects what is wrong.
type problems struct {
	files  []string // in their order
	all    []*FileError
	places map[spot]bool // where something is wrong
}

// spot is a place in one of the files.
type spot struct {
	file string
	at   position
}

func (p *problems) add(file string, at position, e *Error) {
	e.Setting, e.Value = clip(e.Setting), clip(e.Value)
	if p.places == nil {
		p.places = make(map[spot]bool)
	}
	p.places[spot{file, at}] = true
	p.all = append(p.all, &FileError{file, at.line, at.column, e})
}

// has reports whether something is wrong at a place.
func (p *problems) has(file string, at position) bool { return p.places[spot{file, at}] }

// clip bounds what is quoted of a file.
func clip(text string) string {
	const most = 200
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "…"
}

// err returns all of it, in order.
func (p *problems) err() error {
	if len(p.all) == 0 {
		return nil
	}
	slices.SortStableFunc(p.all, func(a, b *FileError) int {
		if a.File != b.File {
			return slices.Index(p.files, a.File) - slices.Index(p.files, b.File)
		}
		return position{a.Line, a.Column}.before(position{b.Line, b.Column})
	})
	n := min(len(p.all), maxErrors)
	return &LoadError{p.all[:n:n], len(p.all) - n}
}

// flagWords finds the flags in a message, with their values where those are words:
// what is in quotes is what somebody wrote, and stays.
var flagWords = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|--([a-z0-9]+(?:-[a-z0-9]+)*)(?: (none|discard|FILE)\b)?`)

// asKeys turns the flags that a message names into keys.
func asKeys(message string) string {
	return flagWords.ReplaceAllStringFunc(message, func(found string) string {
		part := flagWords.FindStringSubmatch(found)
		switch {
		case findKey(part[1], PlacePort) == nil && findKey(part[1], PlaceOnePort) == nil:
			return found
		case part[2] == "":
			return part[1]
		default:
			return part[1] + ` = "` + part[2] + `"`
		}
	})
}
