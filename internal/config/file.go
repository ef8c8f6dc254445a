package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/rfc2217client"
)

// DefaultFile is the configuration file of a vcomd serve that is told of none.
const DefaultFile = "/etc/vcomd/vcomd.toml"

// maxFile bounds what is read of one configuration file, in bytes: a port with all
// its keys takes two thousand.
const maxFile = 16 << 20

// Start says when a port of a configuration file is served.
type Start uint8

// The policies.
const (
	StartBoot Start = iota // by vcomd serve
	StartUnit              // by vcomd serve --only
)

// String gives the policy as files spell it.
func (s Start) String() string {
	if s == StartUnit {
		return "unit"
	}
	return DefaultStart
}

// Loaded is a configuration that has been read, with all files that it includes,
// and is valid.
type Loaded struct {
	Name     string // of the instance
	RunDir   string
	LogLevel string // debug, info, warn or error
	Trace    string // a path; empty: there is no trace
	Metrics  string // a TCP address; empty: there are no metrics
	Ports    []LoadedPort
	Files    []string // what it was read from, the main file first
	// Notes are what may be meant, but has surprised people: for the log.
	Notes []string

	given map[string]origin // of the instance's keys
}

// LoadedPort is one port of a configuration.
type LoadedPort struct {
	Config   port.Config
	Settings Port // as they were written; what comes from [defaults] is filled in, and paths are absolute
	Start    Start
	// Fingerprint is equal in two configurations if and only if nothing about the
	// port changes from one to the other: how it was written does not count, nor do
	// Start, and the trace and log level of the instance; what is in its TLS
	// files does. It is the same in every process.
	Fingerprint string
	File        string // where its table begins
	Line        int

	given map[string]origin
}

// origin is where a value was written.
type origin struct {
	file      string
	at        position
	inherited bool // from [defaults]
}

// Options are what is not in a file.
type Options struct {
	RunDir string // wins over the file's; empty: it does not
}

// Load reads a configuration file and what it includes. The error is a *LoadError
// with all that is wrong, or an *Error if there is no such file. Paths in a file
// are relative to its directory.
func Load(path string) (*Loaded, error) { return Options{}.Load(path) }

// Load is the function Load with these options.
func (o Options) Load(path string) (*Loaded, error) {
	text, err := readFile(path)
	if err != nil {
		return nil, &Error{
			"--config", path, "the file cannot be read: " + err.Error(),
			"write a configuration file, as docs/configuration.md says, or name yours with --config FILE", err,
		}
	}
	l := loader{options: o, loaded: Loaded{given: make(map[string]origin)}}
	l.file(path)
	l.main(path, text)
	l.validateAll()
	l.duplicates()
	if err := l.problems.err(); err != nil {
		return nil, err
	}
	if l.environment != nil {
		return nil, l.environment
	}
	if len(l.loaded.Ports) == 0 {
		l.note("%s: there is no [[port]]; nothing is served", path)
	}
	return &l.loaded, nil
}

// readFile reads a configuration file. The error does not name it.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	var text []byte
	if err == nil {
		defer func() { _ = f.Close() }()
		text, err = io.ReadAll(io.LimitReader(f, maxFile+1))
	}
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		err = failed.Err
	}
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("it is longer than %d MiB", maxFile>>20)
	}
	return text, err
}

// directory is what paths in a file are relative to.
func directory(file string) string {
	dir := filepath.Dir(file)
	if abs, err := filepath.Abs(dir); err == nil {
		return abs
	}
	return dir
}

// Boot returns the ports of vcomd serve.
func (l *Loaded) Boot() []LoadedPort {
	return slices.DeleteFunc(slices.Clone(l.Ports), func(p LoadedPort) bool { return p.Start != StartBoot })
}

// Only returns the port of vcomd serve --only, whatever its Start.
func (l *Loaded) Only(name string) (LoadedPort, error) {
	names := make([]string, 0, len(l.Ports))
	for _, p := range l.Ports {
		if p.Config.Name == name {
			return p, nil
		}
		names = append(names, p.Config.Name)
	}
	e := &Error{"--only", name, fmt.Sprintf("there is no such port in %s", l.Files[0]), "", nil}
	const few = 8
	switch near := nearest(name, names); {
	case near != "":
		e.Hint = didYouMean(near)
	case len(names) == 0:
		e.Hint = "it has no [[port]] at all"
	case len(names) > few:
		e.Hint = fmt.Sprintf("there are %s and %d more", strings.Join(names[:few], ", "), len(names)-few)
	default:
		e.Hint = "there are " + strings.Join(names, ", ")
	}
	return LoadedPort{}, e
}

// loader reads a configuration.
type loader struct {
	options  Options
	loaded   Loaded
	problems problems
	known    cache
	instance settings

	defaults    *section // nil: there are none
	ports       []*section
	uncertain   bool   // what all ports depend on could not be read
	environment *Error // a variable is wrong; nil: none
}

// section is a table with keys of ports: [defaults] or a [[port]].
type section struct {
	file     string
	table    *table
	settings settings
	given    map[string]origin
	damaged  bool // some of it could not be read
	// remoteless: its remote could not be read, and anyRemote stands for it.
	remoteless bool
	valid      bool
	config     port.Config // if it is valid
}

func (l *loader) file(path string) {
	l.loaded.Files = append(l.loaded.Files, path)
	l.problems.files = l.loaded.Files
}

func (l *loader) note(format string, args ...any) {
	l.loaded.Notes = append(l.loaded.Notes, fmt.Sprintf(format, args...))
}

// main reads the file that includes others.
func (l *loader) main(path string, text []byte) {
	doc := readDocument(text, func(at position, e *Error) { l.problems.add(path, at, e) })
	top := doc.tables[0]
	l.uncertain = doc.lost
	for _, e := range top.entries {
		l.topKey(path, e)
	}
	// Wherever it stands: it counts for the ports before it too.
	for _, t := range doc.tables[1:] {
		if t.name == "defaults" && !t.array {
			l.readDefaults(path, t)
		}
	}
	for _, t := range doc.tables[1:] {
		switch {
		case t.name == "defaults" && !t.array:
		case t.name == "port" && t.array:
			l.readPort(path, t)
		default:
			l.problems.add(path, t.at, unknownTable(t))
			l.uncertain = true // it may have been meant for the defaults
		}
	}
	l.instanceValues(path)
	l.include(path, top)
}

func unknownTable(t *table) *Error {
	e := &Error{Setting: t.header(), Found: "there is no such table"}
	switch {
	case t.name == "port" || nearest(t.name, []string{"port", "ports"}) != "":
		e.Hint = "write [[port]], in two brackets and once for each port"
	case t.name == "defaults" || nearest(t.name, []string{"default", "defaults"}) != "":
		e.Hint = "write [defaults], in one bracket and once"
	default:
		e.Hint = "write [[port]] for a port, or [defaults] for what all ports have"
	}
	return e
}

func (l *loader) topKey(path string, e entry) {
	k := findKey(e.key, PlaceInstance)
	switch {
	case k != nil:
		l.read(path, *k, e, &l.instance, l.loaded.given, nil)
	case e.key == "port" || e.key == "defaults":
		l.problems.add(path, e.at, &Error{Setting: e.key, Found: "this is a table, not a key", Hint: "write " + map[string]string{"port": "[[port]]", "defaults": "[defaults]"}[e.key] + " in a line of its own, and its keys below"})
	case findKey(e.key, PlacePort) != nil:
		l.problems.add(path, e.at, &Error{Setting: e.key, Found: "it belongs to a port, and there is none above it", Hint: "write it below [[port]], or below [defaults] for all ports"})
	case findKey(e.key, PlaceOnePort) != nil:
		l.problems.add(path, e.at, &Error{Setting: e.key, Found: "it belongs to a port, and there is none above it", Hint: "write it below [[port]]"})
	default:
		l.problems.add(path, e.at, unknownKey(e.key, PlaceInstance))
	}
}

func (l *loader) readDefaults(path string, t *table) {
	if l.defaults != nil {
		l.problems.add(path, t.at, &Error{Setting: "[defaults]", Found: fmt.Sprintf("it is there already, in line %d", l.defaults.table.at.line), Hint: "write all defaults below that one"})
		return
	}
	l.defaults = &section{file: path, table: t, damaged: t.damaged, given: make(map[string]origin)}
	l.uncertain = l.uncertain || t.damaged
	for _, e := range t.entries {
		switch k := findKey(e.key, PlacePort); {
		case k != nil:
			l.read(path, *k, e, &l.defaults.settings, l.defaults.given, nil)
		case findKey(e.key, PlaceOnePort) != nil:
			l.problems.add(path, e.at, &Error{Setting: e.key, Found: "no two ports can have the same, so there is no default of it", Hint: "write it below each [[port]]"})
		default:
			l.problems.add(path, e.at, unknownKey(e.key, PlacePort))
		}
	}
	l.validateDefaults()
}

// anyRemote stands for a remote that is missing or wrong: it goes with all settings.
const anyRemote = "rfc2217s://host"

// validateDefaults finds what is wrong with a default by itself, and leaves it out:
// it is to be told once. What is wrong together with others the ports will tell,
// which may have those.
func (l *loader) validateDefaults() {
	d := l.defaults
	for _, e := range d.table.entries {
		k := findKey(e.key, PlacePort)
		if _, given := d.given[e.key]; k == nil || !given || slices.ContainsFunc(slices.Collect(maps.Values(dependent)), func(names []string) bool { return slices.Contains(names, k.Name) }) {
			continue
		}
		var alone settings
		k.copy(&alone, &d.settings)
		alone.port.Remote = anyRemote
		_, err := parseStart(alone.start)
		if err == nil {
			_, err = alone.port.validate(&l.known)
		}
		if err != nil && l.report(d, err) != "" {
			k.clear(&d.settings)
		}
	}
}

// dependent are the keys whose values mean nothing without another's.
var dependent = map[string][]string{"retry": {"retry-max"}, "tls-cert": {"tls-key"}, "tls-key": {"tls-cert"}}

// forget takes back a value that is wrong, and what would seem wrong without it.
func forget(s *settings, name string) {
	for _, name := range append([]string{name}, dependent[name]...) {
		if k := findKey(name, PlacePort); k != nil {
			k.clear(s)
		} else if k := findKey(name, PlaceOnePort); k != nil {
			k.clear(s)
		}
	}
	switch name {
	case "remote":
		s.port.Remote = anyRemote
	case "proxy":
		s.port.Transport.Proxy = NoProxy // and not the environment's
	}
}

func (l *loader) readPort(path string, t *table) {
	s := &section{file: path, table: t, damaged: t.damaged, given: make(map[string]origin)}
	if l.defaults != nil {
		s.settings = l.defaults.settings
		for name, o := range l.defaults.given {
			o.inherited = true
			s.given[name] = o
		}
	}
	l.ports = append(l.ports, s)
	for _, e := range t.entries {
		k := findKey(e.key, PlaceOnePort)
		if k == nil {
			k = findKey(e.key, PlacePort)
		}
		switch {
		case k != nil:
			read := l.read(path, *k, e, &s.settings, s.given, l.defaults)
			switch {
			case k.Name != "remote":
			case read:
				s.settings.port.Remote = absoluteRemote(s.settings.port.Remote, directory(path))
			default:
				s.withoutRemote()
			}
		case findKey(e.key, PlaceInstance) != nil:
			l.problems.add(path, e.at, &Error{Setting: e.key, Found: "it is for all ports of this vcomd", Hint: "write it at the top of the main file, above the first table"})
		default:
			told := unknownKey(e.key, PlaceOnePort)
			l.problems.add(path, e.at, told)
			if told.Hint == didYouMean("remote") && s.settings.port.Remote == "" {
				s.withoutRemote()
			}
		}
	}
}

// absoluteRemote is a remote with the path of its Unix socket, if it has one, below
// a directory.
func absoluteRemote(text, dir string) string {
	r, err := rfc2217client.ParseRemote(text)
	if err != nil || r.Path == "" || r.Path[0] == '@' || filepath.IsAbs(r.Path) {
		return text
	}
	r.Path = filepath.Join(dir, r.Path)
	return r.String()
}

// withoutRemote has the rest of the port checked for all that.
func (s *section) withoutRemote() {
	s.settings.port.Remote = anyRemote
	s.remoteless = true
}

// read reads the value of a key. defaults are those that the value wins over.
func (l *loader) read(path string, k Key, e entry, into *settings, given map[string]origin, defaults *section) bool {
	if first, twice := given[k.Name]; twice && !first.inherited {
		l.problems.add(path, e.at, &Error{Setting: e.key, Found: fmt.Sprintf("it is there already, in line %d", first.at.line), Hint: "leave one of the two out"})
		return true
	}
	if defaults != nil && e.value.text == "" && len(e.value.list) == 0 {
		if _, set := defaults.given[k.Name]; set { // the way back to what vcomd has by itself
			delete(given, k.Name)
			k.clear(into)
			return true
		}
	}
	given[k.Name] = origin{file: path, at: e.value.at}
	at, err := k.set(into, e.value, directory(path))
	if err != nil {
		l.problems.add(path, at, err)
		k.clear(into)
		return false
	}
	return true
}

// report tells what is wrong with a port or with the defaults, at the place of the
// key that the error is about, and returns that key, or "".
func (l *loader) report(s *section, err error) string {
	e := asError(err)
	name := strings.TrimPrefix(e.Setting, "--")
	told := &Error{name, e.Value, asKeys(e.Found), asKeys(e.Hint), err}
	o, ok := s.given[name]
	if name == "link" {
		o.at = s.linkAt(e.Value)
	}
	switch {
	case name == e.Setting && name != "": // no flag: a variable of the environment
		l.environment = cmp.Or(l.environment, told)
		return "proxy"
	case !ok && s == l.defaults:
		return ""
	case !ok:
		l.problems.add(s.file, s.table.at, told)
		return ""
	case o.inherited && l.problems.has(o.file, o.at):
		return name // by another port, which is enough to find it
	case o.inherited:
		// It may be right for other ports.
		here := origin{file: s.file, at: s.table.at}.place(o.file)
		if k := findKey(name, PlacePort); strings.Contains(told.Hint, "leave it out") {
			told.Hint = strings.ReplaceAll(told.Hint, "leave it out", fmt.Sprintf("write %s = %s below the [[port]] in %s to leave it out there", name, k.empty(), here))
		} else {
			told.Hint += " (it is for the [[port]] in " + here + ")"
		}
	}
	l.problems.add(o.file, o.at, told)
	return name
}

// asError gives any error of Validate's its parts.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if e, ok := asRemoteError(err); ok {
		return e
	}
	return &Error{"", "", err.Error(), "see docs/configuration.md", err}
}

// validateAll checks the ports, each by itself.
func (l *loader) validateAll() {
	for _, s := range l.ports {
		if start := s.settings.start; start != "" {
			if _, err := parseStart(start); err != nil {
				l.report(s, err)
				s.settings.start = ""
			}
		}
		if s.settings.port.Remote == "" && !s.damaged {
			l.problems.add(s.file, s.table.at, &Error{Setting: "[[port]]", Found: "there is no remote", Hint: `write remote = "host:2217" below it`})
			s.withoutRemote()
		}
		if s.damaged || l.uncertain {
			continue
		}
		s.settings.port.RunDir = l.loaded.RunDir
		l.validate(s)
		if s.valid && len(l.problems.all) == 0 {
			l.loaded.Ports = append(l.loaded.Ports, l.port(s))
		}
	}
}

// validate finds all that is wrong with one port.
func (l *loader) validate(s *section) {
	try := s.settings
	s.valid = !s.remoteless
	for range keys {
		c, err := try.port.validate(&l.known)
		if err == nil {
			s.config = c
			return
		}
		s.valid = false
		name := l.report(s, err)
		if name == "" {
			return
		}
		forget(&try, name)
	}
}

func (l *loader) port(s *section) LoadedPort {
	start, _ := parseStart(s.settings.start)
	return LoadedPort{
		Config: s.config, Settings: s.settings.port, Start: start,
		Fingerprint: fingerprint(s.config, s.settings.port.Transport, &l.known),
		File:        s.file, Line: s.table.at.line, given: s.given,
	}
}

func parseStart(s string) (Start, error) {
	for _, start := range []Start{StartBoot, StartUnit} {
		if cmp.Or(s, DefaultStart) == start.String() {
			return start, nil
		}
	}
	return 0, &Error{"--start", s, "there is no such policy", "write boot, or unit for a port that vcomd serve --only serves", nil}
}
