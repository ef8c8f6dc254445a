package probe

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode/utf8"
)

// Width is what the text fits into, in characters, as long as no single word is longer.
const Width = 100

const (
	labelWidth = 13 // with the space behind
	indent     = "  "
)

// WriteText writes the report for people. Quirks that the server does not have are left
// out, and counted.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	b.WriteString(r.Remote + " " + r.headline() + "\n")
	if r.Error != "" {
		wrapped(&b, "", r.Error)
	}
	if r.Connection == nil {
		_, err := io.WriteString(w, b.String())
		return err
	}
	b.WriteByte('\n')
	for _, row := range r.rows() {
		if row[1] != "" {
			wrapped(&b, fmt.Sprintf("%s%-*s", indent, labelWidth, row[0]), row[1])
		}
	}
	r.writeOptions(&b)
	r.writeCommands(&b)
	r.writeChecks(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// headline says the most important.
func (r *Report) headline() string {
	switch {
	case r.Connection == nil:
		return "cannot be reached"
	case r.Speaks == SpeaksRFC2217:
		return "speaks RFC 2217"
	case r.Speaks == SpeaksTelnet:
		return "speaks Telnet, and no RFC 2217"
	case r.Speaks == SpeaksNothing:
		return "speaks neither RFC 2217 nor Telnet"
	default:
		return "was reached, and did not say what it speaks"
	}
}

// rows are names and values.
func (r *Report) rows() [][2]string {
	c := r.Connection
	rows := [][2]string{{"connection", joined(cmp.Or(c.Address, "simulated"), from(c.Local), prefixed("through ", c.Proxy), "after "+ms(c.ConnectMS))}}
	if t := c.TLS; t != nil {
		checked := "certificate checked"
		if t.Unverified {
			checked = "CERTIFICATE NOT CHECKED"
		}
		rows = append(rows, [2]string{"TLS", joined(t.Version, t.Cipher, checked)},
			[2]string{"certificate", joined(t.Certificate, "valid until "+t.NotAfter.Format("2006-01-02"), t.Pin)})
	}
	if r.Said != "" {
		rows = append(rows, [2]string{"said", `"` + r.Said + `"`})
	}
	if r.Speaks != SpeaksRFC2217 {
		return rows
	}
	if r.Signature != nil {
		rows = append(rows, [2]string{"signature", `"` + *r.Signature + `"`})
	}
	if l := r.RoundTrip; l != nil {
		rows = append(rows, [2]string{"round trip", fmt.Sprintf("%s at best, %s in the middle, %s at worst, of %d answers", ms(l.MinMS), ms(l.MedianMS), ms(l.MaxMS), l.Answers)})
	}
	s, l := r.Settings, r.Lines
	drives := []string{"DTR " + l.DTR, "RTS " + l.RTS}
	if l.Break == "on" {
		drives = append(drives, "a break")
	}
	receives := "not reported"
	if r.Notify.ModemState > 0 {
		receives = joined("CTS "+l.CTS, "DSR "+l.DSR, "DCD "+l.DCD, "RI "+l.RI)
	}
	return append(rows, [2]string{"settings", joined(s.Line, prefixed("flow control ", s.Flow), prefixed("inbound ", s.FlowInbound))},
		[2]string{"drives", joined(drives...)}, [2]string{"receives", receives},
		[2]string{"notifies", fmt.Sprintf("modem lines %d times, errors of the line %d times", r.Notify.ModemState, r.Notify.LineState)})
}

func (r *Report) writeOptions(b *strings.Builder) {
	if r.Negotiation == nil || len(r.Negotiation.Options) == 0 {
		return
	}
	fmt.Fprintf(b, "\noptions, agreed after %s\n", ms(r.Negotiation.TookMS))
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, o := range r.Negotiation.Options {
		_, _ = fmt.Fprintf(t, "%s%s\tserver %s\tclient %s\t%s\n", indent, o.Name, yesNo(o.Server), yesNo(o.Client), prefixed("it said ", o.Said))
	}
	_ = t.Flush() // a Builder takes everything
}

func (r *Report) writeCommands(b *strings.Builder) {
	if len(r.Commands) == 0 {
		return
	}
	b.WriteString("\ncommands\n")
	t := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	for _, c := range r.Commands {
		took, answer := "", strings.TrimSpace(strings.TrimPrefix(c.Answer, strings.SplitN(c.Name, " ", 2)[0]))
		if c.Latency != nil {
			took = fmt.Sprintf("%s, median %s", ms(c.Latency.MinMS), ms(c.Latency.MedianMS))
		}
		if c.Name == "SIGNATURE" {
			answer = "" // it stands above
		}
		_, _ = fmt.Fprintf(t, "%s%s\t%s\t%s\t%s\n", indent, c.Name, strings.ReplaceAll(string(c.State), "-", " "), took, answer)
	}
	_ = t.Flush()
}

func (r *Report) writeChecks(b *strings.Builder) {
	if len(r.Checks) == 0 {
		return
	}
	b.WriteString("\nquirks\n")
	absent, untested := 0, 0
	for _, c := range r.Checks {
		switch c.Verdict {
		case Absent:
			absent++
		case Untested:
			untested++
		case Shown:
			head := indent + fmt.Sprintf("%-16s", c.ID)
			wrapped(b, head, "it "+c.Quirk+prefixed(": ", c.Found))
			if c.Effect != "" {
				wrapped(b, strings.Repeat(" ", utf8.RuneCountInString(head)-3)+"-> ", c.Effect)
			}
		}
	}
	fmt.Fprintf(b, "%s%d others were looked for and are not there, %d could not be looked for\n", indent, absent, untested)
}

// wrapped writes text behind a head, and further lines of it below.
func wrapped(b *strings.Builder, head, text string) {
	b.WriteString(head)
	at := utf8.RuneCountInString(head)
	margin := at
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case at+1+n > Width:
			b.WriteString("\n" + strings.Repeat(" ", margin))
			at = margin
		default:
			b.WriteByte(' ')
			at++
		}
		b.WriteString(word)
		at += n
	}
	b.WriteByte('\n')
}

func ms(v float64) string {
	return strconv.FormatFloat(v, 'f', -1, 64) + " ms"
}

func yesNo(is bool) string {
	if is {
		return "yes"
	}
	return "no"
}

func from(address string) string { return prefixed("from ", address) }

// prefixed is text behind something, or nothing.
func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

// joined puts together what is there.
func joined(parts ...string) string {
	there := make([]string, 0, len(parts))
	for _, p := range parts {
		if p != "" {
			there = append(there, p)
		}
	}
	return strings.Join(there, ", ")
}
