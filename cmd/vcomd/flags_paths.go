package main

import (
	stdflag "flag"

	"github.com/urfave/cli/v2"
)

// paths makes a flag that may be given several times. cli's own splits values at
// commas, which paths may have. The variable gives one path.
func paths(into *[]string, name, usage string, aliases ...string) cli.Flag {
	return &pathsFlag{
		GenericFlag: &cli.GenericFlag{
			Name:    name,
			Aliases: aliases,
			EnvVars: []string{variable(name)},
			Usage:   usage,
			Value:   &pathList{paths: into},
		},
	}
}

type pathsFlag struct{ *cli.GenericFlag }

// Apply has cli read the environment first: a flag then replaces what was there.
func (f *pathsFlag) Apply(set *stdflag.FlagSet) error {
	list, _ := f.Value.(*pathList)
	err := f.GenericFlag.Apply(set)
	list.given = false
	return err
}

// pathList collects the values of a flag.
type pathList struct {
	paths *[]string
	given bool // among the arguments
}

// Set implements flag.Value.
func (l *pathList) Set(path string) error {
	if path == "" { // what String gives, when cli copies a flag to its alias
		return nil
	}
	if !l.given {
		*l.paths = nil
	}
	l.given = true
	*l.paths = append(*l.paths, path)
	return nil
}

// String implements flag.Value: nothing, which Set takes for nothing.
func (*pathList) String() string { return "" }
