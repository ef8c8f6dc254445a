package report

import (
	"errors"
	"reflect"
	"strings"
	"testing"
)

// What a Writer writes is what Parse reads.
func TestRoundTrip(t *testing.T) {
	var b strings.Builder
	w := NewWriter(&b)
	w.Check("yama/scope 1", Skip, "no reason")
	w.Result("a", nil)
	w.Result("b", errors.New("first\nsecond"))
	if err := w.Table("t", map[string]int{"x": 1}); err != nil {
		t.Fatal(err)
	}
	w.Figure("speed", 12.5, "KiB/s, each way")
	w.Done()
	want := []Record{
		Check{"yama/scope_1", Skip, "no reason"},
		Check{"a", Pass, ""},
		Check{"b", Fail, `first\nsecond`},
		Table{"t", []byte(`{"x":1}`)},
		Figure{"speed", 12.5, "KiB/s, each way"},
		Done{},
	}
	var got []Record
	for line := range strings.Lines(b.String()) {
		r, ok := Parse(strings.TrimSuffix(line, "\n") + "\r\n") // as a console ends a line
		if !ok {
			t.Fatalf("%q is not understood", line)
		}
		got = append(got, r)
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What others say is not taken for a result.
func TestOthersLines(t *testing.T) {
	for _, line := range []string{
		"", "VM", "VM ", "VM x", "VM x MAYBE", "VM-TABLE", "VM-TABLE t", "VM-TABLE t {", "VM-FIGURE f 1", "VM-FIGURE f one s", "VM-DONE?",
		" VM x PASS", "[    1.0] VM-DONE", "vcomd: VM x PASS", "VM x PA[    1.0] usb 1-1SS",
	} {
		if r, ok := Parse(line); ok {
			t.Errorf("%q is taken for %#v", line, r)
		}
	}
}
