package main

import (
	"slices"
	"strings"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"
)

// misspelt returns the variables of an environment, each as NAME=VALUE, that are no flag's
// and probably meant to be one's, with that one's name. Others that begin with VCOMD_ are
// somebody else's: a cluster makes VCOMD_PORT and VCOMD_SERVICE_HOST of a service called vcomd.
func misspelt(environ []string, flags []cli.Flag) (pairs [][2]string) {
	for _, e := range environ {
		name, _, _ := strings.Cut(e, "=")
		word, ours := strings.CutPrefix(name, variable(""))
		if !ours {
			continue
		}
		word = strings.ToLower(strings.ReplaceAll(word, "_", "-"))
		limit := 1
		if len(word) > 6 {
			limit = 2
		}
		if near := nearestFlag(flags, word); near != "" && distance(near, word) <= limit && findFlag(flags, word) == nil {
			pairs = append(pairs, [2]string{name, variable(near)})
		}
	}
	return pairs
}

// allFlags are those of all commands.
func allFlags(app *cli.App) []cli.Flag {
	all := slices.Clone(app.Flags)
	for _, c := range app.Commands {
		all = append(all, c.Flags...)
	}
	return all
}

// warnEnvironment says which variables count for nothing.
func warnEnvironment(log zerolog.Logger, app *cli.App, environ []string) {
	for _, p := range misspelt(environ, allFlags(app)) {
		log.Warn().Str("event", "configuration").Msg(p[0] + " in the environment is no flag's, and counts for nothing; did you mean " + p[1] + "?")
	}
}
