package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

// reserved are the words that are, or will be, commands: as a host they must be
// written with a port or a scheme, so that a command line never changes its
// meaning with the version.
var reserved = []string{
	"serve", "run", "status", "set", "monitor", "probe", "sim", "udev", "check", "version", "help", "install",
}

// normalise puts flags in front of positional arguments, where cli wants them:
// to the user their place does not matter. The first "--" ends the flags.
func normalise(app *cli.App, argv []string) ([]string, error) {
	out := argv[:1:1]
	rest := argv[1:]
	flags := app.Flags
	// A command comes first, or after flags that have a value of their own.
	if i := firstPositional(flags, rest); i >= 0 {
		if cmd := findCommand(app, rest[i]); cmd != nil {
			if i > 0 {
				return nil, &usageError{fmt.Sprintf("%s: %q does not belong to this command; see vcomd %s --help",
					cmd.Name, rest[0], cmd.Name)}
			}
			out = append(out, cmd.Name)
			rest = rest[1:]
			flags = cmd.Flags
		}
	}
	var positional []string
	for i := 0; i < len(rest); i++ {
		a := rest[i]
		switch {
		case a == "--":
			positional = append(positional, rest[i+1:]...)
			i = len(rest)
		case !isFlag(a):
			positional = append(positional, a)
		default:
			out = append(out, a)
			if !takesValue(flags, a) {
				continue
			}
			if i++; i == len(rest) || rest[i] == "--" {
				return nil, &usageError{fmt.Sprintf("%s: there is no value after it; see vcomd --help", a)}
			}
			out = append(out, rest[i])
		}
	}
	if len(positional) > 0 {
		out = append(append(out, "--"), positional...)
	}
	return out, nil
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
	for _, f := range flags {
		for _, n := range f.Names() {
			if n == name {
				_, isBool := f.(*cli.BoolFlag)
				return !isBool
			}
		}
	}
	return false
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
