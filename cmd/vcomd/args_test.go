package main

import (
	"io"
	"slices"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNormalise(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string // after the program's name
		want []string
		err  string
	}{
		{"nothing", nil, nil, ""},
		{"remote", []string{"host"}, []string{"--", "host"}, ""},
		{"flag before", []string{"--link", "x", "host"}, []string{"--link", "x", "--", "host"}, ""},
		{"flag after", []string{"host", "--link", "x"}, []string{"--link", "x", "--", "host"}, ""},
		{"flag between", []string{"a", "--link", "x", "b"}, []string{"--link", "x", "--", "a", "b"}, ""},
		{"equals sign", []string{"host", "--link=x"}, []string{"--link=x", "--", "host"}, ""},
		{"equals sign in the value", []string{"host", "--link=a=b"}, []string{"--link=a=b", "--", "host"}, ""},
		{"short", []string{"host", "-l", "x"}, []string{"--link", "x", "--", "host"}, ""},
		{"one dash, as Go has it", []string{"host", "-link", "x"}, []string{"--link", "x", "--", "host"}, ""},
		{"both names of one", []string{"-l=a=b", "--link", "x", "host"}, []string{"--link=a=b", "--link", "x", "--", "host"}, ""},
		{"value that looks like a flag", []string{"--link", "-x", "host"}, []string{"--link", "-x", "--", "host"}, ""},
		{"value that is a command's name", []string{"--link", "sim", "host"}, []string{"--link", "sim", "--", "host"}, ""},
		{"a dash alone is an argument", []string{"-"}, []string{"--", "-"}, ""},
		{"the end of the flags", []string{"--link", "x", "--", "--host"}, []string{"--link", "x", "--", "--host"}, ""},
		{"a second end is an argument", []string{"--", "a", "--", "b"}, []string{"--", "a", "--", "b"}, ""},
		{"nothing after the end", []string{"--link", "x", "--"}, []string{"--link", "x"}, ""},
		{"command", []string{"sim", "gps"}, []string{"sim", "--", "gps"}, ""},
		{"command's flag before", []string{"sim", "--listen", "a:1", "gps"}, []string{"sim", "--listen", "a:1", "--", "gps"}, ""},
		{"command's flag after", []string{"sim", "gps", "--listen=a:1"}, []string{"sim", "--listen=a:1", "--", "gps"}, ""},
		{"help", []string{"host", "--help"}, []string{"--help"}, ""},
		{"help beside others", []string{"--link", "x", "-h"}, []string{"--link", "x", "-h"}, ""},
		{"help of a command", []string{"sim", "--help"}, []string{"sim", "--help"}, ""},

		{"no value", []string{"host", "--link"}, nil, "--link: there is no value after it; see vcomd --help"},
		{"no value but the end", []string{"--link", "--", "host"}, nil, "--link: there is no value after it; see vcomd --help"},
		{"no value of a command's flag", []string{"sim", "--listen"}, nil, "--listen: there is no value after it; see vcomd sim --help"},
		{"empty value", []string{"--link", "", "host"}, nil, `--link "": the value is empty; leave --link away for the default, or give it a value`},
		{"empty value after an equals sign", []string{"--link=", "host"}, nil, `--link "": the value is empty; leave --link away for the default, or give it a value`},
		{"unknown", []string{"--zzz", "host"}, nil, "--zzz: there is no such flag; see vcomd --help"},
		{"misspelt", []string{"host", "--ret=1s"}, nil, "--ret: there is no such flag; did you mean --retry?; see vcomd --help"},
		{"flag of the wrong command", []string{"sim", "--link", "x"}, nil, "--link: there is no such flag; see vcomd sim --help"},
		{"flag before a command", []string{"--link", "x", "sim"}, nil, `sim: "--link" does not belong to this command; see vcomd sim --help`},
		{"value of a switch", []string{"--help=1"}, nil, `--help "1": it takes no value; write --help alone`},
		{"three dashes", []string{"---link", "x"}, nil, "---link: there is no such flag; did you mean --link?; see vcomd --help"},
		{"only an equals sign", []string{"--=x"}, nil, "--: there is no such flag; see vcomd --help"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := normalise(newApp(io.Discard, io.Discard), append([]string{"vcomd"}, c.args...))
			if c.err != "" {
				if err == nil || err.Error() != c.err {
					t.Fatalf("error %v\nwant  %s", err, c.err)
				}
				return
			}
			if want := append([]string{"vcomd"}, c.want...); err != nil || !slices.Equal(got, want) {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
		})
	}
}

// execve(2) allows a program to be started without even its name.
func TestNormaliseWithoutName(t *testing.T) {
	got, err := normalise(newApp(io.Discard, io.Discard), nil)
	if err != nil || !slices.Equal(got, []string{"vcomd"}) {
		t.Errorf("got %q, %v", got, err)
	}
}

// No command line makes it panic, and what is an argument stays one.
func FuzzNormalise(f *testing.F) {
	f.Add("host", "--link", "x")
	f.Add("--", "sim", "-")
	f.Add("-=", "--retry=", "---")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		args := []string{"vcomd", a, b, c}
		got, err := normalise(newApp(io.Discard, io.Discard), args)
		if err != nil {
			return
		}
		for _, word := range got {
			if !slices.Contains(args, word) && word != "--" {
				t.Errorf("%q: %q came from nowhere", args, word)
			}
		}
	})
}

func TestResembles(t *testing.T) {
	for _, c := range []struct{ word, want string }{
		{"status", "status"},
		{"stauts", "status"},
		{"stat", "status"},
		{"statsu", "status"},
		{"monitr", "monitor"},
		{"serv", "serve"},
		{"server", "serve"},
		{"simm", "sim"},
		{"rum", "run"},
		{"chekc", "check"},
		{"versionn", "version"},
		{"prob", "probe"},
		{"udevd", "udev"},
		// A port, a dot or a path makes it a host.
		{"status:2217", ""},
		{"stauts.example", ""},
		{"./status", ""},
		{"[::1]", ""},
		// Hosts that are called something else.
		{"localhost", ""},
		{"gps", ""},
		{"router", ""},
		{"pi", ""},
		{"ser2net", ""},
		{"console1", ""},
		{"", ""},
	} {
		if got := resembles(c.word); got != c.want {
			t.Errorf("resembles(%q) is %q, want %q", c.word, got, c.want)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"abc", "", 3},
		{"", "abc", 3},
		{"abc", "abc", 0},
		{"abc", "abd", 1},
		{"abc", "ab", 1},
		{"abc", "xabc", 1},
		{"stauts", "status", 2},
		{"kitten", "sitting", 3},
	} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("distance(%q, %q) is %d, want %d", c.a, c.b, got, c.want)
		}
	}
}

// Every command that exists is reserved, so that a word for it is never a host.
func TestCommandsAreReserved(t *testing.T) {
	for _, c := range newApp(io.Discard, io.Discard).Commands {
		if !slices.Contains(reserved, c.Name) {
			t.Errorf("the command %s is not reserved", c.Name)
		}
	}
}
