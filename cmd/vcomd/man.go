package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/vcomd/vcomd/internal/config"
	"github.com/vcomd/vcomd/internal/version"
)

// manCommand prints the manual pages, for whoever installs them.
func manCommand() *cli.Command {
	return &cli.Command{
		Name:         "man",
		Usage:        "print a manual page: vcomd.1 or vcomd.toml.5",
		ArgsUsage:    "PAGE",
		Hidden:       true,
		OnUsageError: onUsageError,
		Action: func(c *cli.Context) error {
			app := newApp(io.Discard, io.Discard) // with the flags that it has without a command
			var page string
			switch name := c.Args().First(); {
			case c.NArg() == 1 && name == "vcomd.1":
				page = commandPage(app)
			case c.NArg() == 1 && name == "vcomd.toml.5":
				page = filePage(app)
			default:
				return &usageError{"man: write vcomd man vcomd.1 or vcomd man vcomd.toml.5"}
			}
			_, err := io.WriteString(c.App.Writer, page)
			return err
		},
	}
}

// roff writes a page of man(7).
type roff struct {
	strings.Builder

	headed bool // a heading was the last line: no paragraph begins there
}

// manWidth is how long a line of a page's source may be, in bytes.
const manWidth = 78

// escape has a text stand for itself.
func escape(s string) string {
	s = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "…", `...`, "`", `\(ga`).Replace(s)
	if strings.HasPrefix(s, ".") {
		s = `\&` + s
	}
	return s
}

// line writes a line. A long one that is text goes on in the next.
func (r *roff) line(format string, args ...any) {
	line := fmt.Sprintf(format, args...)
	for len(line) > manWidth && !strings.HasPrefix(line, ".") {
		at := strings.LastIndexByte(line[:manWidth], ' ')
		if at < 0 {
			break
		}
		r.WriteString(line[:at] + "\n")
		if line = line[at+1:]; strings.HasPrefix(line, ".") {
			line = `\&` + line
		}
	}
	r.WriteString(line + "\n")
	r.headed = strings.HasPrefix(line, ".SH") || strings.HasPrefix(line, ".SS")
}

// paragraph begins one, unless a heading has.
func (r *roff) paragraph() {
	if !r.headed {
		r.line(".PP")
	}
}

// title begins a page.
func (r *roff) title(name, section, about string) {
	r.line(`.TH %s %s "%s" "vcomd %s" "vcomd"`, strings.ToUpper(name), section, version.Date(), escape(version.String()))
	r.line(".SH NAME")
	r.line(`%s \- %s`, escape(name), escape(about))
}

// text writes paragraphs, of which those that are indented are examples.
func (r *roff) text(s string) {
	example, begun := false, false
	for line := range strings.SplitSeq(strings.TrimSpace(s), "\n") {
		indented := strings.HasPrefix(line, "   ")
		switch {
		case indented && !example:
			r.paragraph()
			r.line(".RS 4\n.nf")
		case !indented && example:
			r.line(".fi\n.RE")
		}
		example = indented
		switch {
		case strings.TrimSpace(line) == "":
			begun = false
			continue
		case !indented && !begun:
			r.paragraph()
			begun = true
		case indented:
			begun = false
		}
		r.line("%s", escape(strings.TrimSpace(line)))
	}
	if example {
		r.line(".fi\n.RE")
	}
}

// flags lists flags as --help does.
func (r *roff) flags(flags []cli.Flag) {
	for _, f := range flags {
		d, ok := f.(cli.DocGenerationFlag)
		if !ok || slices.Contains(f.Names(), "help") {
			continue
		}
		names := make([]string, 0, len(f.Names()))
		for _, n := range f.Names() {
			dashes := "--"
			if len(n) == 1 {
				dashes = "-"
			}
			names = append(names, `\fB`+escape(dashes+n)+`\fR`)
		}
		value, usage := placeholder(d.GetUsage())
		if value != "" {
			value = ` \fI` + escape(value) + `\fR`
		}
		r.line(".TP\n%s%s", strings.Join(names, ", "), value)
		r.line("%s", escape(usage)+byDefault(d)+inEnvironment(d))
	}
}

// placeholder takes the name of a flag's value out of its usage, where it is quoted.
func placeholder(usage string) (value, rest string) {
	before, after, ok := strings.Cut(usage, "`")
	value, end, closed := strings.Cut(after, "`")
	if !ok || !closed {
		return "", usage
	}
	return value, before + value + end
}

func byDefault(d cli.DocGenerationFlag) string {
	if text := d.GetDefaultText(); d.TakesValue() && text != "" {
		return ` (default: ` + escape(text) + `)`
	}
	return ""
}

func inEnvironment(d cli.DocGenerationFlag) string {
	if vars := d.GetEnvVars(); len(vars) > 0 {
		return ` [\fB` + escape(strings.Join(vars, ", ")) + `\fR]`
	}
	return ""
}

// commandPage is vcomd(1), made of what --help is made of.
func commandPage(app *cli.App) string {
	var r roff
	r.title("vcomd", "1", app.Usage)
	r.line(".SH SYNOPSIS\n.nf")
	for line := range strings.SplitSeq(app.UsageText, "\n") {
		r.line("%s", escape(line))
	}
	r.line(".fi")
	r.line(".SH DESCRIPTION")
	r.text(app.Description)
	r.line(".SH OPTIONS")
	r.flags(app.Flags)
	r.line(".SH COMMANDS")
	for _, c := range app.Commands {
		if c.Hidden {
			continue
		}
		r.line(`.SS "%s %s"`, escape(c.Name), escape(c.ArgsUsage))
		r.text(strings.ToUpper(c.Usage[:1]) + c.Usage[1:] + ".")
		if c.Description != "" {
			r.text(c.Description)
		}
		if c.Name == runName {
			r.line(".PP\nIt has the options above, and")
			r.flags(own(c.Flags, app.Flags))
			continue
		}
		r.flags(c.Flags)
	}
	r.line(".SH FILES\n.TP\n.I %s\nthe ports of vcomd serve: see\n.BR vcomd.toml (5)", escape(config.DefaultFile))
	r.line(".TP\n.I /run/vcomd\nlocks and control sockets")
	r.line(".SH SEE ALSO\n.BR vcomd.toml (5),\n.BR termios (3),\n.BR gpsd (8)")
	return r.String()
}

// own returns the flags that are not among others.
func own(flags, others []cli.Flag) []cli.Flag {
	return slices.DeleteFunc(slices.Clone(flags), func(f cli.Flag) bool {
		return slices.ContainsFunc(others, func(o cli.Flag) bool { return o.Names()[0] == f.Names()[0] })
	})
}

// filePage is vcomd.toml(5), made of the table of keys that decodes the file.
func filePage(app *cli.App) string {
	usages := make(map[string]string)
	for _, f := range append(serveCommand().Flags, app.Flags...) {
		if d, ok := f.(cli.DocGenerationFlag); ok {
			_, usages[f.Names()[0]] = placeholder(d.GetUsage())
		}
	}
	var r roff
	r.title("vcomd.toml", "5", "the ports that vcomd serve serves")
	r.line(".SH DESCRIPTION")
	r.text(`The file is TOML. A key that is unknown, twice there or has a bad value is an error with its line and column; vcomd check -c FILE
shows what a file means with all defaults filled in. A change counts after SIGHUP, or vcomd reload: ports that have not changed keep their
programs and connections.

   [defaults]
   connect = "always"

   [[port]]
   link = "/dev/ttyGPS"
   remote = "192.0.2.7:2217"

Most keys of a port are the options of vcomd(1) without their dashes.`)
	for _, part := range []struct {
		place config.Place
		title string
	}{
		{config.PlaceInstance, "KEYS OF THE FILE"}, {config.PlacePort, "KEYS OF A PORT, AND OF [DEFAULTS]"}, {config.PlaceOnePort, "KEYS OF A PORT ALONE"},
	} {
		r.line(`.SH "%s"`, part.title)
		for _, k := range config.Keys() {
			if k.Place != part.place {
				continue
			}
			r.line(".TP\n.B %s", escape(k.Name))
			text := k.Kind.String()
			if u := usages[k.Name]; u != "" {
				text += ": " + u
			}
			switch {
			case k.Default != "":
				text += " (default: " + k.Default + ")"
			case k.Otherwise != "":
				text += " (default: " + k.Otherwise + ")"
			}
			r.line("%s", escape(text))
		}
	}
	r.line(".SH SEE ALSO\n.BR vcomd (1)")
	return r.String()
}
