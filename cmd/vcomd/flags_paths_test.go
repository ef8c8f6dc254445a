package main

import (
	"io"
	"slices"
	"testing"

	"github.com/urfave/cli/v2"
)

func TestPathsFlag(t *testing.T) {
	for _, c := range []struct {
		name string
		env  string
		args []string
		want []string
	}{
		{"none", "", nil, nil},
		{"one", "", []string{"--link", "a"}, []string{"a"}},
		{"several, in their order", "", []string{"--link", "b", "-l", "a", "--link=c"}, []string{"b", "a", "c"}},
		{"the short name alone", "", []string{"-l", "a"}, []string{"a"}},
		{"a comma is part of the path", "", []string{"--link", "a,b"}, []string{"a,b"}},
		{"the variable gives one", "x,y", nil, []string{"x,y"}},
		{"flags win over it", "x", []string{"-l", "a", "-l", "b"}, []string{"a", "b"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("VCOMD_LINK", c.env)
			var got []string
			app := &cli.App{
				Flags:  []cli.Flag{paths(&got, "link", "", "l")},
				Writer: io.Discard, ErrWriter: io.Discard,
				Action: func(*cli.Context) error { return nil },
			}
			args, err := normalise(app, append(append([]string{"vcomd"}, c.args...), "host"))
			if err != nil {
				t.Fatal(err)
			}
			if err := app.Run(args); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
