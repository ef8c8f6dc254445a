package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// reserved are the words that are, or will be, commands: as a host they must be
// written with a port or a scheme, so that a command line never changes its
// meaning with the version.
var reserved = []string{
	"serve", "run", "status", "set", "monitor", "man", "reconnect", "disconnect", "purge", "reload", "probe", "sim", "udev", "check", "version", "help", "install", "completion",
}

// normalise puts flags in front of positional arguments, where cli wants them:
// to the user their place does not matter. The first "--" ends the flags.
func normalise(app *cli.App, argv []string) ([]string, error) {
	if len(argv) == 0 { // execve(2) allows it
		argv = []string{app.Name}
	}
	out := argv[:1:1]
	rest := argv[1:]
	flags, help := app.Flags, "vcomd --help"
	// A command comes first, or after flags that have a value of their own.
	if i := firstPositional(flags, rest); i >= 0 {
		if cmd := findCommand(app, rest[i]); cmd != nil {
			if i > 0 {
				return nil, &usageError{fmt.Sprintf("%s: %q does not belong to this command; see vcomd %s --help",
					cmd.Name, rest[0], cmd.Name)}
			}
			out = append(out, cmd.Name)
			rest = rest[1:]
			flags, help = cmd.Flags, "vcomd "+cmd.Name+" --help"
		}
	}
	flags = append(slices.Clip(flags), cli.HelpFlag) // cli adds it by itself
	var positional []string
	for i := 0; i < len(rest); i++ {
		a := rest[i]
		switch {
		case a == "--":
			if len(out) > 1 && out[1] == runName {
				i-- // what stands before it is vcomd's, after it the program's
			}
			positional = append(positional, rest[i+1:]...)
			i = len(rest)
		case !isFlag(a):
			positional = append(positional, a)
		default:
			used, err := flag(flags, rest[i:], help)
			if err != nil {
				return nil, err
			}
			if slices.Contains(cli.HelpFlag.Names(), strings.TrimLeft(a, "-")) {
				// Whatever else is there; cli would take it for a topic.
				return append(out, a), nil
			}
			out = append(append(out, longName(flags, a)), used[1:]...)
			i += len(used) - 1
		}
	}
	if len(positional) > 0 {
		if len(out) == 1 || out[1][0] == '-' {
			// cli would take a REMOTE after "--" for a command of that name.
			app.Commands = nil
		}
		out = append(append(out, "--"), positional...)
	}
	return out, nil
}

// flag checks the flag that args start with, and returns what belongs to it: one
// argument, or two with its value.
func flag(flags []cli.Flag, args []string, help string) (used []string, err error) {
	name, value, hasValue := strings.Cut(strings.TrimLeft(args[0], "-"), "=")
	written := args[0][:len(args[0])-len(strings.TrimLeft(args[0], "-"))] + name
	used = args[:1]
	f := findFlag(flags, name)
	if strings.HasPrefix(written, "---") {
		f = nil // cli does not take it either
	}
	switch {
	case f == nil:
		text := written + ": there is no such flag"
		if near := nearestFlag(flags, name); near != "" {
			text += "; did you mean --" + near + "?"
		} else if name == "version" { // what most programs call it
			text += "; write vcomd version"
		}
		return nil, &usageError{text + "; see " + help}
	case isSwitch(f):
		if hasValue {
			return nil, &usageError{fmt.Sprintf("%s %q: it takes no value; write %s alone", written, value, written)}
		}
		return used, nil
	case !hasValue:
		if len(args) == 1 || args[1] == "--" {
			return nil, &usageError{fmt.Sprintf("%s: there is no value after it; see %s", written, help)}
		}
		value, used = args[1], args[:2]
	}
	if value == "" {
		// Most often an unset variable of a script: it must not mean the default.
		return nil, &usageError{fmt.Sprintf("%s \"\": the value is empty; leave %s away for the default, or give it a value", written, written)}
	}
	return used, nil
}

// longName writes a flag by its first name: cli refuses two names of one flag,
// which is to be given several times.
func longName(flags []cli.Flag, a string) string {
	name, value, hasValue := strings.Cut(strings.TrimLeft(a, "-"), "=")
	long := "--" + findFlag(flags, name).Names()[0]
	if hasValue {
		long += "=" + value
	}
	return long
}

func findFlag(flags []cli.Flag, name string) cli.Flag {
	for _, f := range flags {
		if slices.Contains(f.Names(), name) {
			return f
		}
	}
	return nil
}

func isSwitch(f cli.Flag) bool {
	_, is := f.(*cli.BoolFlag)
	return is
}

// nearestFlag returns the long name that a misspelt one was probably meant to
// be, or "".
func nearestFlag(flags []cli.Flag, name string) string {
	best, nearest := 3, "" // two wrong letters are a slip, three another word
	for _, f := range flags {
		for _, n := range f.Names() {
			if d := distance(name, n); len(n) > 2 && len(name) > 2 && d < best {
				best, nearest = d, n
			}
		}
	}
	return nearest
}

func isFlag(a string) bool { return len(a) > 1 && a[0] == '-' }

// firstPositional returns the index of the first argument that is neither a flag
// nor a flag's value, or -1.
func firstPositional(flags []cli.Flag, args []string) int {
	for i := 0; i < len(args); i++ {
		switch a := args[i]; {
		case a == "--":
			return -1
		case !isFlag(a):
			return i
		case takesValue(flags, a):
			i++
		}
	}
	return -1
}

func findCommand(app *cli.App, name string) *cli.Command {
	for _, c := range app.Commands {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// takesValue reports whether the argument after a is its value.
func takesValue(flags []cli.Flag, a string) bool {
	name := strings.TrimLeft(a, "-")
	if strings.Contains(name, "=") {
		return false
	}
	f := findFlag(flags, name)
	return f != nil && !isSwitch(f)
}

// resembles returns the command that a bare word was probably meant to be, or "".
func resembles(word string) string {
	if strings.ContainsAny(word, ":./[") {
		return ""
	}
	for _, name := range reserved {
		limit := 1
		if len(name) >= 5 {
			limit = 2
		}
		if distance(word, name) <= limit {
			return name
		}
	}
	return ""
}

// distance is the Levenshtein distance.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
