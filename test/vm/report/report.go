// Package report is what a virtual machine tells the one who has started it: lines on a console on which a kernel may say
// something too. A program in the machine writes them with a [Writer]; outside, [Parse] tells them from the rest.
//
//	VM NAME PASS|FAIL|SKIP DETAIL     a check and what came of it; no space in NAME
//	VM-TABLE NAME JSON                one row, or all, of a table; its meaning is its name's
//	VM-FIGURE NAME VALUE UNIT         something measured
//	VM-DONE                           everything that was asked for has been tried
//
// Without VM-DONE at the end a machine has not got to its end, whatever else it said.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
)

// Outcome is what came of a check.
type Outcome string

// Outcomes.
const (
	Pass Outcome = "PASS"
	Fail Outcome = "FAIL"
	Skip Outcome = "SKIP"
)

// Prefixes of the lines.
const (
	checkPrefix  = "VM "
	tablePrefix  = "VM-TABLE "
	figurePrefix = "VM-FIGURE "
	doneLine     = "VM-DONE"
)

// Record is a line that was understood: a [Check], a [Table], a [Figure] or a [Done].
type Record interface{ record() }

// Check is one check and what came of it.
type Check struct {
	Name    string
	Outcome Outcome
	Detail  string // for a reader; not "" for a failure
}

// Table is a row of a table, or a table.
type Table struct {
	Name string
	JSON json.RawMessage
}

// Figure is something measured.
type Figure struct {
	Name  string
	Value float64
	Unit  string
}

// Done says that the machine has come to its end.
type Done struct{}

func (Check) record()  {}
func (Table) record()  {}
func (Figure) record() {}
func (Done) record()   {}

// Parse reads a line of a console. Most are not of this package, and give false; so does one into which the kernel has spoken.
func Parse(line string) (Record, bool) {
	line = strings.TrimRight(line, "\r\n")
	switch {
	case line == doneLine:
		return Done{}, true
	case strings.HasPrefix(line, checkPrefix):
		return parseCheck(line[len(checkPrefix):])
	case strings.HasPrefix(line, tablePrefix):
		name, text, ok := strings.Cut(line[len(tablePrefix):], " ")
		if !ok || !json.Valid([]byte(text)) {
			return nil, false
		}
		return Table{name, json.RawMessage(text)}, true
	case strings.HasPrefix(line, figurePrefix):
		fields := strings.SplitN(line[len(figurePrefix):], " ", 3)
		if len(fields) != 3 {
			return nil, false
		}
		value, err := strconv.ParseFloat(fields[1], 64)
		return Figure{fields[0], value, fields[2]}, err == nil
	default:
		return nil, false
	}
}

func parseCheck(text string) (Record, bool) {
	fields := append(strings.SplitN(text, " ", 3), "", "")
	c := Check{fields[0], Outcome(fields[1]), fields[2]}
	switch c.Outcome {
	case Pass, Fail, Skip:
		return c, c.Name != ""
	default:
		return nil, false
	}
}

// Name makes a check's name of text: its spaces become underscores.
func Name(text string) string { return strings.Join(strings.Fields(text), "_") }

// Writer writes lines. Its methods may be called concurrently; each line is one write.
type Writer struct {
	mu sync.Mutex
	w  io.Writer
}

// NewWriter gives a Writer to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Check writes a check.
func (w *Writer) Check(name string, outcome Outcome, detail string) {
	w.line(checkPrefix + Name(name) + " " + string(outcome) + " " + detail)
}

// Result writes a check that has passed if err is nil.
func (w *Writer) Result(name string, err error) {
	if err != nil {
		w.Check(name, Fail, err.Error())
		return
	}
	w.Check(name, Pass, "")
}

// Table writes a row of a table, or a table, as JSON.
func (w *Writer) Table(name string, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("table %s: %w", name, err)
	}
	w.line(tablePrefix + Name(name) + " " + string(text))
	return nil
}

// Figure writes something measured.
func (w *Writer) Figure(name string, value float64, unit string) {
	w.line(figurePrefix + Name(name) + " " + strconv.FormatFloat(value, 'g', 6, 64) + " " + unit)
}

// Done writes that all has been tried.
func (w *Writer) Done() { w.line(doneLine) }

// line writes text as one line: what would end it becomes a visible escape. Nobody is left to be told of an error: a line that
// does not arrive is missed by its reader.
func (w *Writer) line(text string) {
	text = strings.NewReplacer("\r", `\r`, "\n", `\n`).Replace(strings.TrimSpace(text))
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = io.WriteString(w.w, text+"\n")
}
