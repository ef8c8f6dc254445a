package main

import (
	"strconv"
	"strings"
	"time"

	"github.com/vcomd/vcomd/internal/control"
)

// tableWidth is how wide a table is at most, in columns.
const tableWidth = 100

// The columns of the table.
const (
	columnLink = iota
	columnTTY
	columnRemote
	columnState
	columnSince
	columnSettings
	columnLines
	columnBytes
	columnDrops
	columns
)

var heads = [columns]string{"LINK", "TTY", "REMOTE", "STATE", "SINCE", "SETTINGS", "LINES", "BYTES", "DROPS"}

// Columns that give way when there is no room for all, and what they keep.
var yields = []struct{ column, keeps int }{{columnRemote, 16}, {columnLink, 10}, {columnTTY, 7}, {columnSettings, 8}}

// gap is between two columns.
const gap = "  "

// table shows ports to people, a line each, and a line more for what is wrong with one.
func table(ports []control.Port, now time.Time, width int, colour bool) string {
	rows := make([][columns]string, 0, len(ports))
	for _, p := range ports {
		rows = append(rows, cells(p, now))
	}
	widths := fit(rows, width)
	var b strings.Builder
	line(&b, heads, widths, "")
	for i, p := range ports {
		paint := ""
		if colour {
			paint = colourOf(p)
		}
		line(&b, rows[i], widths, paint)
		for _, part := range fold(control.Escape(p.LastError), width-len(gap)) {
			b.WriteString(gap + part + "\n")
		}
	}
	return b.String()
}

// line writes a row. Only its state is painted.
func line(b *strings.Builder, row [columns]string, widths [columns]int, paint string) {
	var text strings.Builder
	for i, cell := range row {
		if i > 0 {
			text.WriteString(gap)
		}
		cell = control.Elide(cell, widths[i])
		pad := strings.Repeat(" ", widths[i]-control.Width(cell))
		if i == columnState && paint != "" {
			cell = paint + cell + paintNone
		}
		text.WriteString(cell + pad)
	}
	b.WriteString(strings.TrimRight(text.String(), " ") + "\n")
}

// fit gives each column the width that it needs, as far as there is room.
func fit(rows [][columns]string, width int) (widths [columns]int) {
	total := len(gap) * (columns - 1)
	for i := range columns {
		widths[i] = control.Width(heads[i])
		for _, row := range rows {
			widths[i] = max(widths[i], control.Width(row[i]))
		}
		total += widths[i]
	}
	for _, y := range yields {
		if cut := min(total-width, widths[y.column]-y.keeps); cut > 0 {
			widths[y.column] -= cut
			total -= cut
		}
	}
	return widths
}

// cells are what a port has in each column.
func cells(p control.Port, now time.Time) (row [columns]string) {
	row[columnLink] = p.Name
	switch {
	case len(p.Links) > 1:
		row[columnLink] = p.Links[0] + " +" + strconv.Itoa(len(p.Links)-1)
	case len(p.Links) == 1:
		row[columnLink] = p.Links[0]
	case p.Overlay != "":
		row[columnLink] = p.Overlay
	}
	row[columnTTY] = strings.TrimPrefix(p.TTY, "/dev/")
	if p.TTY == "" {
		row[columnTTY] = "-"
	}
	row[columnRemote] = strings.TrimPrefix(p.Remote, "rfc2217://")
	row[columnState] = state(p)
	row[columnSince] = age(now.Sub(p.Since))
	row[columnSettings] = p.Wanted.Line
	if p.Reported.Line != "" {
		row[columnSettings] = p.Reported.Line
	}
	if row[columnSettings] == "" {
		row[columnSettings] = "-"
	}
	row[columnLines] = letters(p)
	row[columnBytes] = short(p.Counters.FromProgram) + "/" + short(p.Counters.ToProgram)
	c := p.Counters
	row[columnDrops] = short(c.DroppedStale + c.DroppedDown + c.DroppedUnsent + c.Unconfirmed + c.Undelivered)
	for i := range row {
		row[i] = control.Escape(row[i])
	}
	return row
}

// state says in a word how a port does.
func state(p control.Port) string {
	switch {
	case p.TTY == "" && p.LastError != "":
		return "missing"
	case p.Disconnected:
		return "off"
	case !p.Connected && p.LastError != "":
		return "down"
	case !p.Connected && p.Open:
		return "dialing"
	case !p.Connected:
		return "idle"
	case p.Suspended:
		return "held"
	case p.Mode != modeRFC2217:
		return p.Mode
	default:
		return "up"
	}
}

// How a terminal is told of colours (ECMA-48).
const (
	paintNone   = "\x1b[0m"
	paintRed    = "\x1b[31m"
	paintGreen  = "\x1b[32m"
	paintYellow = "\x1b[33m"
)

func colourOf(p control.Port) string {
	switch state(p) {
	case "missing", "down":
		return paintRed
	case "up":
		return paintGreen
	case "idle":
		return ""
	default:
		return paintYellow
	}
}

// letters are those of the lines that are on.
func letters(p control.Port) string {
	driven := func(letter, level string) string {
		switch level {
		case "on":
			return letter
		case "off":
			return "-"
		default:
			return "?"
		}
	}
	s := driven("T", p.DTR) + driven("R", p.RTS)
	if !p.Connected || p.Mode != modeRFC2217 {
		return s
	}
	for _, l := range []struct {
		letter string
		on     bool
	}{{"C", p.CTS}, {"S", p.DSR}, {"D", p.DCD}, {"I", p.RI}} {
		if l.on {
			s += l.letter
		} else {
			s += "-"
		}
	}
	return s
}

// age is a time in five columns.
func age(d time.Duration) string {
	const day = 24 * time.Hour
	part := func(n time.Duration, unit string) string { return strconv.Itoa(int(n)) + unit }
	switch d = max(d, 0); {
	case d < time.Minute:
		return part(d/time.Second, "s")
	case d < time.Hour:
		return part(d/time.Minute, "m")
	case d < 10*time.Hour:
		return part(d/time.Hour, "h") + part(d%time.Hour/time.Minute, "m")
	case d < day:
		return part(d/time.Hour, "h")
	case d < 10*day:
		return part(d/day, "d") + part(d%day/time.Hour, "h")
	default:
		return part(min(d/day, 9999), "d")
	}
}

// short is a number in four columns.
func short(n uint64) string {
	const step = 1000
	if n < step {
		return strconv.FormatUint(n, 10)
	}
	for _, unit := range "kMGTPE" {
		rest := n % step
		n /= step
		if n < 10 {
			return strconv.FormatUint(n, 10) + "." + strconv.FormatUint(rest/100, 10) + string(unit)
		}
		if n < step {
			return strconv.FormatUint(n, 10) + string(unit)
		}
	}
	return "many" // there is no such uint64
}

// fold breaks text into lines of so many columns, between words where it can.
func fold(text string, width int) (lines []string) {
	width = max(width, 1)
	current := ""
	for word := range strings.FieldsSeq(text) {
		if current != "" && control.Width(current)+1+control.Width(word) <= width {
			current += " " + word
			continue
		}
		if current != "" {
			lines = append(lines, current)
		}
		for current = word; control.Width(current) > width; {
			head := cut(current, width)
			lines = append(lines, head)
			current = current[len(head):]
		}
	}
	if current != "" {
		lines = append(lines, current)
	}
	return lines
}

// cut returns the beginning of text that is no wider than so many columns, and not
// empty.
func cut(text string, width int) string {
	used := 0
	for i, r := range text {
		if used += control.Width(string(r)); used > width && i > 0 {
			return text[:i]
		}
	}
	return text
}
