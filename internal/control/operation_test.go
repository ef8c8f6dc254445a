package control

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

func TestParseOperations(t *testing.T) {
	for _, c := range []struct {
		written string
		want    action
	}{
		{"dtr=on", action{dtr: comport.ControlDTROn}},
		{"dtr=off", action{dtr: comport.ControlDTROff}},
		{"rts=on", action{rts: comport.ControlRTSOn}},
		{"rts=off", action{rts: comport.ControlRTSOff}},
		{"break=on", action{breakOn: comport.ControlBreakOn}},
		{"break=off", action{breakOn: comport.ControlBreakOff}},
		{"break=250ms", action{breakFor: 250 * time.Millisecond}},
		{"break=1ms", action{breakFor: time.Millisecond}},
		{"break=30s", action{breakFor: 30 * time.Second}},
		{"speed=115200", action{line: comport.State{BaudRate: 115200}}},
		{"speed=4294967295", action{line: comport.State{BaudRate: 4294967295}}},
		{"line=9600-7E1", action{line: comport.State{BaudRate: 9600, DataSize: 7, Parity: comport.ParityEven, StopSize: comport.StopSize1}}},
		{"line=5o1.5", action{line: comport.State{DataSize: 5, Parity: comport.ParityOdd, StopSize: comport.StopSize15}}},
		{"line=300", action{line: comport.State{BaudRate: 300}}},
	} {
		operations, err := ParseOperations([]string{c.written})
		if err != nil {
			t.Errorf("%s: %v", c.written, err)
			continue
		}
		if got, err := operations[0].parse(); err != nil || got != c.want {
			t.Errorf("%s: %+v, %v; want %+v", c.written, got, err, c.want)
		}
		if operations[0].String() != c.written {
			t.Errorf("%s becomes %s", c.written, operations[0])
		}
	}
}

// Each error says what was written, what is wrong and what to write.
func TestParseOperationsErrors(t *testing.T) {
	many := slices.Repeat([]string{"dtr=on"}, 33)
	for _, c := range []struct {
		written    []string
		found, fix string
	}{
		{nil, "there is nothing to set", "write dtr=on|off"},
		{[]string{"dtr"}, "there is no '='", "write dtr=on|off"},
		{[]string{"dsr=on"}, "there is nothing of this name to set", "write dtr=on|off"},
		{[]string{"DTR=on"}, "there is nothing of this name to set", "write dtr=on|off"},
		{[]string{"=on"}, "there is nothing of this name to set", "write dtr=on|off"},
		{[]string{"dtr="}, "this is neither on nor off", "write dtr=on or dtr=off"},
		{[]string{"rts=1"}, "this is neither on nor off", "write rts=on or rts=off"},
		{[]string{"break=250"}, "this is neither a time nor on or off", "break=250ms"},
		{[]string{"break=0s"}, "out of range", "from 1ms to 30s"},
		{[]string{"break=-1s"}, "out of range", "from 1ms to 30s"},
		{[]string{"break=31s"}, "out of range", "from 1ms to 30s"},
		{[]string{"break=20s", "break=11s"}, "the breaks together are longer than 30s", "several goes"},
		{[]string{"speed=fast"}, "this is not a speed", "speed=115200"},
		{[]string{"speed=9600-7E1"}, "this is not a speed", "speed=115200"},
		{[]string{"speed="}, "nothing given", "SPEED"},
		{[]string{"speed=0"}, "speed out of range", "1 to 4294967295"},
		{[]string{"speed=4294967296"}, "speed out of range", "1 to 4294967295"},
		{[]string{"line=9600-9E1"}, "data bits are not 5, 6, 7 or 8", "9600-7E1"},
		{[]string{"line="}, "nothing given", "9600-7E1"},
		{many, "one more than the 32", "several goes"},
	} {
		_, err := ParseOperations(c.written)
		e, ok := errors.AsType[*OperationError](err)
		if !ok || !strings.Contains(e.Found, c.found) || !strings.Contains(e.Fix, c.fix) {
			t.Errorf("%q: %v; want %q and %q", c.written, err, c.found, c.fix)
			continue
		}
		if n := len(c.written); n > 0 && e.Operation != c.written[n-1] {
			t.Errorf("%q: the error is about %q", c.written, e.Operation)
		}
	}
}

func TestEscape(t *testing.T) {
	for _, c := range [][2]string{
		{"tty GPS ü", "tty GPS ü"},
		{`say "what"`, `say "what"`},
		{"\x1b[2J\n", `\x1b[2J\n`},
		{"\u009b2J", `\u009b2J`},
		{"\xff\xfe", `\xff\xfe`},
		{"\u202eevil", `\u202eevil`},
		{"\uFFFD", "\uFFFD"},
	} {
		if got := Escape(c[0]); got != c[1] {
			t.Errorf("%q: %s, want %s", c[0], got, c[1])
		}
	}
}

func FuzzEscape(f *testing.F) {
	f.Add("\x1b[2J\xff\u009b")
	f.Fuzz(func(t *testing.T, s string) {
		got := Escape(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return !unicode.IsPrint(r) }) {
			t.Errorf("%q: %q", s, got)
		}
	})
}

// FuzzDecodeRequest: whatever a client sends is a request that can be told again,
// or an error that can be shown.
func FuzzDecodeRequest(f *testing.F) {
	f.Add([]byte(`{"version":1,"set":[{"key":"dtr","value":"on"},{"key":"break","value":"250ms"},{"key":"line","value":"9600-7E1"}]}`))
	f.Add([]byte(`{"version":2}`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, body []byte) {
		request, err := decodeRequest(body)
		if err != nil {
			if _, ok := errors.AsType[*Error](err); !ok || Escape(err.Error()) != err.Error() {
				t.Errorf("error %q", err)
			}
			return
		}
		actions, err := parseAll(request.Set)
		if err != nil {
			return
		}
		if len(actions) != len(request.Set) || len(actions) > maxOperations {
			t.Errorf("%d actions of %d operations", len(actions), len(request.Set))
		}
		again, err := json.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		if second, err := decodeRequest(again); err != nil || !slices.Equal(second.Set, request.Set) {
			t.Errorf("told again: %+v, %v", second, err)
		}
	})
}

func FuzzDecodeReply(f *testing.F) {
	f.Add([]byte(`{"version":1,"ports":[{"name":"tty","links":["/dev/tty"],"since":"2026-01-02T03:04:05Z"}]}`))
	f.Add([]byte(`{"version":1,"error":{"code":"cannot","message":"no"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		if r, err := decodeReply(text); err == nil && r.Version != Version {
			t.Errorf("version %d was taken", r.Version)
		}
	})
}
