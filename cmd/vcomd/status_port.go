package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/vcomd/vcomd/internal/control"
)

// printPort shows a port to people: what matters, and what is wrong. All else is
// in the JSON.
func printPort(w io.Writer, p control.Port, now time.Time) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	row := func(name string, parts ...string) {
		shown := make([]string, 0, len(parts))
		for _, part := range parts {
			if part != "" {
				shown = append(shown, control.Escape(part))
			}
		}
		if len(shown) > 0 {
			_, _ = fmt.Fprintf(t, "  %s\t%s\n", name, strings.Join(shown, ", ")) // Flush tells
		}
	}
	_, _ = fmt.Fprintln(t, control.Escape(p.Name))
	if p.TTY == "" {
		row("tty", "missing: the port could not be made, and is tried again")
		row("is to be", append(slices.Clone(p.Links), p.Overlay)...)
		row("remote", p.Remote)
		row("because", p.LastError)
		return t.Flush()
	}
	row("tty", append(append([]string{p.TTY}, p.Links...), p.Overlay)...)
	row("remote", p.Remote, connection(p, now))
	opened := "no program has it open"
	if p.Open {
		opened = "a program has it open"
	}
	row("program", opened)
	row("line", settingsOf(p)...)
	row("drives", "DTR "+p.DTR, "RTS "+p.RTS, when(p.Break, "a break"))
	if p.Connected && p.Mode == modeRFC2217 {
		row("receives", "CTS "+onOff(p.CTS), "DSR "+onOff(p.DSR), "DCD "+onOff(p.DCD), "RI "+onOff(p.RI))
	}
	row("bytes", count(p.Counters.FromProgram, "written"), count(p.Counters.ToProgram, "read"),
		when(p.OutQueue > 0, strconv.Itoa(p.OutQueue)+" wait to be sent"))
	row("lost", losses(p.Counters)...)
	row("errors", troubles(p.Counters)...)
	row("because", p.LastError)
	return t.Flush()
}

// modeRFC2217 is control.Port.Mode where settings and lines reach the server.
const modeRFC2217 = "rfc2217"

func connection(p control.Port, now time.Time) string {
	since := now.Sub(p.Since).Round(time.Second).String()
	switch {
	case p.Disconnected:
		return "disconnected for " + since
	case !p.Connected && p.LastError != "":
		return "NOT CONNECTED for " + since + ", trying again"
	case !p.Connected && p.Open:
		return "connecting for " + since
	case !p.Connected:
		return "not connected for " + since
	case p.Suspended:
		return "connected for " + since + " (" + p.Mode + "), which holds the output"
	case p.Mode != modeRFC2217:
		return "connected for " + since + " (" + p.Mode + ": settings and lines do not reach it)"
	default:
		return "connected for " + since + " (" + p.Mode + ")"
	}
}

func settingsOf(p control.Port) []string {
	wanted, reported := describeLine(p.Wanted), describeLine(p.Reported)
	switch {
	case wanted == "" && reported == "":
		return []string{"nobody has asked for any settings"}
	case wanted == "":
		return []string{reported + " as the server says", "nobody has asked for any"}
	case reported == "":
		return []string{wanted}
	case confirmed(p.Wanted, p.Reported):
		return []string{wanted, "which the server confirms"}
	default:
		return []string{wanted, "the server says " + reported}
	}
}

// confirmed reports whether a server has told all that was asked for, as it was: what nobody has
// asked for is a question mark in 9600-??1, or missing, as in 5N1.
func confirmed(wanted, reported control.Settings) bool {
	speed, frame := cutLine(wanted.Line)
	toldSpeed, toldFrame := cutLine(reported.Line)
	if speed != "" && speed != toldSpeed || len(frame) > 0 && len(toldFrame) < len("8N1") {
		return false
	}
	if len(frame) >= len("8N1") {
		const stop = 2 // 1, 2 or 1.5
		for i, part := range []string{frame[:1], frame[1:stop], frame[stop:]} {
			if told := []string{toldFrame[:1], toldFrame[1:stop], toldFrame[stop:]}; part != "?" && part != told[i] {
				return false
			}
		}
	}
	return (reported.Flow == "" || wanted.Flow == "" || wanted.Flow == reported.Flow) &&
		(reported.FlowInbound == "" || wanted.FlowInbound == "" || wanted.FlowInbound == reported.FlowInbound)
}

// cutLine parts the speed of a line's settings from the rest. Either may be missing.
func cutLine(line string) (speed, frame string) {
	speed, frame, whole := strings.Cut(line, "-")
	if !whole && strings.Trim(line, "0123456789") != "" {
		return "", line
	}
	return speed, frame
}

func describeLine(s control.Settings) string {
	parts := []string{}
	if s.Line != "" {
		parts = append(parts, s.Line)
	}
	if s.Flow != "" {
		parts = append(parts, "flow control "+s.Flow)
	}
	if s.FlowInbound != "" {
		parts = append(parts, "inbound "+s.FlowInbound)
	}
	return strings.Join(parts, " ")
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func when(is bool, text string) string {
	if is {
		return text
	}
	return ""
}

func count(n uint64, what string) string { return strconv.FormatUint(n, 10) + " " + what }

// some is count for what is only worth a word if there is any.
func some(n uint64, what string) string { return when(n > 0, count(n, what)) }

func losses(c control.Counters) []string {
	return []string{
		some(c.DroppedStale, "too old when the connection was back"), some(c.DroppedDown, "written while there was none"),
		some(c.DroppedUnsent, "never sent"), some(c.Unconfirmed, "under way when a connection was lost"),
		some(c.Undelivered, "received and not read when one was lost"), some(c.DroppedClosed, "received while no program had it open"),
		some(c.DroppedBanner, "of the server's banner"),
	}
}

func troubles(c control.Counters) []string {
	return []string{
		some(c.Unanswered, "requests without an answer"), some(c.DroppedRequests, "requests there was no room for"),
		some(c.UnknownMessages, "unknown messages"), some(c.BrokenMessages, "broken messages"),
		some(uint64(c.Framing), "framing"), some(uint64(c.Parity), "parity"), some(uint64(c.Overrun), "overrun"), some(uint64(c.Break), "breaks received"),
	}
}
