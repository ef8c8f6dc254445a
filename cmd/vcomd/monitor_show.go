package main

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/vcomd/vcomd/internal/control"
)

// What stands on a line of vcomd monitor, in bytes of data.
const (
	perLine     = 16 // with hex
	perTextLine = 64
)

// timeForm is how vcomd monitor writes times.
const timeForm = "15:04:05.000000"

// shown shows what passes to people.
type shown struct {
	w         io.Writer
	hex, text bool
}

// entry shows one entry: no byte of it reaches the terminal that is not printable.
func (s *shown) entry(e control.Entry) error {
	var b strings.Builder
	line := func(mark, text string) {
		fmt.Fprintf(&b, "%s %s %s\n", e.Time.Local().Format(timeForm), mark, text)
	}
	mark := "<"
	if e.Direction == control.DirectionSent {
		mark = ">"
	}
	switch e.Kind {
	case control.KindData:
		n := perLine
		if !s.hex {
			n = perTextLine
		}
		for p := e.Data; len(p) > 0; p = p[min(n, len(p)):] {
			line(mark, s.data(p[:min(n, len(p))]))
		}
	case control.KindCommand:
		line(mark, control.Escape(e.Text))
	case control.KindEvent:
		line("*", happened(e))
	case control.KindLost:
		if e.Lost != nil {
			line("!", fmt.Sprintf("%d entries are missing: this reader was too slow; with them %d bytes sent and %d received",
				e.Lost.Entries, e.Lost.Sent, e.Lost.Received))
		}
	case control.KindBegin, control.KindWire:
	}
	_, err := io.WriteString(s.w, b.String())
	return err
}

// data shows bytes side by side in hex and as text.
func (s *shown) data(p []byte) string {
	if !s.hex {
		return strconv.QuoteToASCII(string(p))
	}
	var b strings.Builder
	for i := range p {
		if i == perLine/2 {
			b.WriteByte(' ')
		}
		b.WriteString(hex.EncodeToString(p[i:i+1]) + " ")
	}
	if !s.text {
		return strings.TrimRight(b.String(), " ")
	}
	const width = 3*perLine + 1
	b.WriteString(strings.Repeat(" ", width-b.Len()) + " |")
	for _, c := range p {
		if c < ' ' || c > '~' {
			c = '.'
		}
		b.WriteByte(c)
	}
	b.WriteByte('|')
	return b.String()
}

// happened tells of an event.
func happened(e control.Entry) string {
	s := e.Event
	switch {
	case e.Old != "" && e.New != "":
		s += ": " + e.Old + " → " + e.New
	case e.Old != "":
		s += ": " + e.Old
	case e.New != "":
		s += ": " + e.New
	}
	if e.Text != "" {
		s += ", " + e.Text
	}
	if e.Error != "" {
		s += ", " + e.Error
	}
	return control.Escape(s)
}

// withoutPath takes the path from an error that is told with it.
func withoutPath(err error) error {
	if failed, ok := errors.AsType[*fs.PathError](err); ok {
		return failed.Err
	}
	return err
}
