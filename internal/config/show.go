package config

import (
	"cmp"
	"fmt"
	"io"
	"strings"
)

// commentColumn is where comments stand, if there is room.
const commentColumn = 44

// WriteTOML writes the configuration with everything filled in that it leaves out,
// and says in comments where that is from. It can be read again, and means the
// same; only a password of a proxy is left out.
func (l *Loaded) WriteTOML(w io.Writer) error {
	var b strings.Builder
	for _, file := range l.Files {
		fmt.Fprintf(&b, "# %s\n", oneLine(file))
	}
	for _, note := range l.Notes {
		fmt.Fprintf(&b, "# note: %s\n", oneLine(note))
	}
	b.WriteByte('\n')
	of := settings{instance: instance{name: l.Name, runDir: l.RunDir, logLevel: l.LogLevel, trace: l.Trace, metrics: l.Metrics}}
	for _, k := range keys {
		if k.Place == PlaceInstance && k.Name != "include" { // what is included is below
			from := "default"
			if _, given := l.given[k.Name]; given {
				from = ""
			}
			k.write(&b, &of, from)
		}
	}
	for _, p := range l.Ports {
		fmt.Fprintf(&b, "\n# %s:%d\n[[port]]\n", oneLine(p.File), p.Line)
		of := settings{port: p.Settings, start: p.Start.String()}
		if isName(p.Config.Name) { // one that is made of a link may be none
			of.port.Name = p.Config.Name
		}
		if proxy := p.Config.Dialer.Proxy; proxy != nil {
			of.port.Transport.Proxy = strings.Replace(proxy.String(), "…@", "USER:PASSWORD@", 1)
		}
		for _, k := range keys {
			if k.Place == PlaceInstance {
				continue
			}
			from := "default"
			if o, given := p.given[k.Name]; given {
				from = ""
				if o.inherited {
					from = fmt.Sprintf("[defaults], %s:%d", oneLine(o.file), o.at.line)
				}
			}
			k.write(&b, &of, from)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// write writes a key's line. from is where its value comes from; empty: it was
// given.
func (k *Key) write(b *strings.Builder, s *settings, from string) {
	var shown string
	switch value := k.field(s).(type) {
	case *string:
		if text := cmp.Or(*value, k.Default); text != "" {
			shown = quote(text)
		}
	case *bool:
		shown = fmt.Sprint(*value)
	case *[]string:
		for _, one := range *value {
			shown += ", " + quote(one)
		}
		if shown != "" {
			shown = "[" + shown[len(", "):] + "]"
		}
	}
	line := k.Name + " = " + shown
	if shown == "" {
		line, from = "# "+k.Name, "default: "+k.Otherwise
	}
	b.WriteString(line)
	if from != "" {
		fmt.Fprintf(b, "%*s  # %s", max(0, commentColumn-len(line)-2), "", from)
	}
	b.WriteByte('\n')
}

// oneLine makes a text fit for a comment.
func oneLine(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c >= 0x7f && c < 0xa0 {
			return '?'
		}
		return c
	}, strings.ToValidUTF8(text, "?"))
}
