package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/vcomd/vcomd/internal/control"
)

// watchInterval is how often vcomd status --watch looks.
const watchInterval = time.Second

// How a terminal is told to show something in place of what it shows (ECMA-48).
const (
	clearScreen = "\x1b[2J"
	toTop       = "\x1b[H"
	clearLine   = "\x1b[K"
	clearBelow  = "\x1b[J"
)

// watch shows it again and again, until ctx ends: in place on a terminal, one after
// the other elsewhere.
func (s *status) watch(ctx context.Context, w io.Writer) error {
	s.compact = true
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	inPlace := isTerminal(w) && !s.json
	before := clearScreen
	for first := true; ; first = false {
		rows, columns := 0, 0
		if inPlace {
			rows, columns = terminalSize(w)
			s.width = min(tableWidth, columns)
		}
		var shown bytes.Buffer
		ports, err := s.ask(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if !s.json {
			fmt.Fprintf(&shown, "%s\n", time.Now().Format(time.DateTime))
		}
		if len(ports) > 0 || err == nil {
			if err := s.show(&shown, ports, time.Now()); err != nil {
				return err
			}
		}
		if err != nil {
			// It may come (again).
			for line := range strings.SplitSeq(err.Error(), "\n") {
				fmt.Fprintf(&shown, "vcomd: %s\n", line)
			}
		}
		out := shown.String()
		switch {
		case inPlace:
			out = before + toTop + onScreen(out, rows, columns) + clearBelow
			before = ""
		case !first && !s.json:
			out = "\n" + out
		}
		if _, err := io.WriteString(w, out); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// onScreen cuts text to a terminal's size: neither is a line broken nor is anything
// scrolled.
func onScreen(text string, rows, columns int) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if rows > 1 && len(lines) >= rows {
		left := len(lines) - (rows - 2)
		lines = append(lines[:rows-2], fmt.Sprintf("… %d lines more", left))
	}
	var b strings.Builder
	for _, line := range lines {
		b.WriteString(within(line, columns) + clearLine + "\n")
	}
	return b.String()
}

// within cuts a line, whose colours take no columns, to so many.
func within(line string, columns int) string {
	var b strings.Builder
	for used := 0; line != ""; {
		if strings.HasPrefix(line, "\x1b[") {
			n := max(strings.IndexByte(line, 'm'), 1) + 1
			b.WriteString(line[:n])
			line = line[n:]
			continue
		}
		part := line
		if i := strings.Index(line, "\x1b["); i >= 0 {
			part = line[:i]
		}
		line = line[len(part):]
		for _, r := range part {
			if used += control.Width(string(r)); used <= columns {
				b.WriteRune(r)
			}
		}
	}
	return b.String()
}

// hasColour reports whether to use colours: on a terminal whose user does not object
// (https://no-color.org).
func hasColour(w io.Writer) bool {
	return isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
