package daemon

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"go.uber.org/goleak"

	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/rfc2217client"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kinds reads the kinds of event from the source: no list here can go stale.
func kinds(t *testing.T) []port.Kind {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), "../port/event.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []port.Kind
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(v.Names[0].Name, "Kind") {
			return true
		}
		lit, ok := v.Values[0].(*ast.BasicLit)
		if !ok {
			t.Fatalf("%s is not a literal", v.Names[0].Name)
		}
		value, err := strconv.Unquote(lit.Value)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, port.Kind(value))
		return true
	})
	if len(all) < 20 {
		t.Fatalf("only %d kinds found: %v", len(all), all)
	}
	return all
}

func TestEveryKindIsDescribed(t *testing.T) {
	texts := make(map[string]port.Kind)
	for _, k := range kinds(t) {
		level, text := describe(port.Event{Kind: k})
		if text == string(k) || text == "" {
			t.Errorf("%s has no text for people", k)
		}
		if level < zerolog.DebugLevel || level > zerolog.ErrorLevel {
			t.Errorf("%s has level %v", k, level)
		}
		if other, twice := texts[text]; twice {
			t.Errorf("%s and %s say the same: %s", k, other, text)
		}
		texts[text] = k
	}
}

var remote = rfc2217client.Remote{Host: "host", Port: "2217"}

func TestLogLine(t *testing.T) {
	var out bytes.Buffer
	sink := logEvents(zerolog.New(&out), port.Config{Name: "gps", Links: []string{"/dev/ttyGPS"}, Remote: remote})
	sink(port.Event{
		Time: time.Unix(1, 0), Port: "gps", Kind: port.KindDisconnected, New: "1s", Err: errors.New("connection\nrefused"), Text: "more",
	})
	want := `{"level":"warn","port":"gps","event":"disconnected","link":"/dev/ttyGPS","remote":"rfc2217://host:2217","new":"1s",` +
		`"err":"connection\nrefused","detail":"more","message":"no connection to the access server; trying again"}` + "\n"
	if got := out.String(); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

func TestLogLevel(t *testing.T) {
	var out bytes.Buffer
	sink := logEvents(zerolog.New(&out).Level(zerolog.WarnLevel), port.Config{Name: "gps", Remote: remote})
	sink(port.Event{Kind: port.KindOpened})
	sink(port.Event{Kind: port.KindReady})
	if out.Len() > 0 {
		t.Errorf("at level warn: %s", out.String())
	}
	sink(port.Event{Kind: port.KindDropped, New: "5"})
	if out.Len() == 0 {
		t.Error("at level warn no warning was logged")
	}
}

// One kind of event cannot fill the disk, does not drown the others, and what is
// left out is counted.
func TestLogIsBounded(t *testing.T) {
	var out bytes.Buffer
	sink := logEvents(zerolog.New(&out).Level(zerolog.InfoLevel), port.Config{Name: "gps", Remote: remote})
	now := time.Unix(1000, 0)
	for range logBurst + 50 {
		sink(port.Event{Time: now, Kind: port.KindSuspended})
	}
	sink(port.Event{Time: now, Kind: port.KindConnected})
	sink(port.Event{Time: now.Add(logInterval), Kind: port.KindSuspended})
	sink(port.Event{Time: now.Add(logInterval), Kind: port.KindSuspended})
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if got, want := len(lines), logBurst+3; got != want {
		t.Fatalf("%d lines, want %d", got, want)
	}
	var left [2]struct {
		NotLogged uint64 `json:"not_logged"`
	}
	for i, line := range lines[len(lines)-2:] {
		if err := json.Unmarshal([]byte(line), &left[i]); err != nil {
			t.Fatal(err)
		}
	}
	if left[0].NotLogged != 50 || left[1].NotLogged != 0 {
		t.Errorf("the next lines count %v, want 50 and 0", left)
	}
}

// Who asks for debug gets everything.
func TestDebugLogIsComplete(t *testing.T) {
	var out bytes.Buffer
	sink := logEvents(zerolog.New(&out).Level(zerolog.DebugLevel), port.Config{Name: "gps", Remote: remote})
	for range 3 * logBurst {
		sink(port.Event{Time: time.Unix(1, 0), Kind: port.KindOpened})
	}
	if got := strings.Count(out.String(), "\n"); got != 3*logBurst {
		t.Errorf("%d lines, want %d", got, 3*logBurst)
	}
}
