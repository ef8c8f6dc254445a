package main

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/vcomd/vcomd/internal/control"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// TestTable: what is in which column.
func TestTable(t *testing.T) {
	got := table([]control.Port{
		{
			Name: "gps", Links: []string{"/dev/ttyGPS"}, TTY: "/dev/pts/5", Remote: "rfc2217://192.0.2.7:2217", Connected: true, Mode: "rfc2217",
			Since: noon.Add(-3*time.Hour - 12*time.Minute), Wanted: control.Settings{Line: "9600"}, Reported: control.Settings{Line: "9600-8N1"},
			DTR: "on", RTS: "off", CTS: true, DCD: true, Counters: control.Counters{FromProgram: 1290, ToProgram: 402_817, Unconfirmed: 3, DroppedStale: 4, DroppedClosed: 99},
		},
		{
			Name: "plc", Links: []string{"/dev/ttyPLC", "/dev/other"}, TTY: "/dev/pts/6", Remote: "tcp://plc:4001", Open: true, Since: noon.Add(-45 * time.Second),
			DTR: "unknown", RTS: "unknown", LastError: "connect: connection refused; start the server",
		},
	}, noon, 100, false)
	want := `LINK            TTY    REMOTE          STATE  SINCE  SETTINGS  LINES   BYTES      DROPS
/dev/ttyGPS     pts/5  192.0.2.7:2217  up     3h12m  9600-8N1  T-C-D-  1.2k/402k  7
/dev/ttyPLC +1  pts/6  tcp://plc:4001  down   45s    -         ??      0/0        0
  connect: connection refused; start the server
`
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestTableFits, and obeys nobody, whatever the ports are called and the network says.
func TestTableFits(t *testing.T) {
	huge := ^uint64(0)
	for _, c := range []struct{ name, text string }{
		{"long", strings.Repeat("a-very-long-name.", 20)},
		{"wide", strings.Repeat("端口", 60)},
		{"escapes", strings.Repeat("\x1b[2J\u009b\r\n", 30)},
		{"combining", strings.Repeat("e\u0301", 90)},
		{"words", strings.Repeat("word ", 90)},
		{"broken", strings.Repeat("\xff", 60)},
		{"bidirectional", strings.Repeat("\u202eabc", 30)},
	} {
		for _, width := range []int{100, 80} {
			p := control.Port{
				Name: c.text, Links: []string{"/dev/" + c.text, "/x"}, TTY: "/dev/ttyUSB127", Remote: "rfc2217s://" + c.text + ":2217", Connected: true, Mode: "rfc2217",
				DTR: "on", RTS: "on", CTS: true, DSR: true, DCD: true, RI: true, Reported: control.Settings{Line: "4294967295-8N1.5"}, LastError: c.text,
				Counters: control.Counters{FromProgram: huge, ToProgram: huge, DroppedStale: huge}, Since: noon.Add(-100_000 * 24 * time.Hour),
			}
			text := table([]control.Port{p, {Name: "x"}}, noon, width, false)
			for line := range strings.Lines(text) {
				line = strings.TrimSuffix(line, "\n")
				if n := control.Width(line); n > width && (width == 100 || n > 96) {
					t.Errorf("%s: a line of %d columns, want %d: %s", c.name, n, width, line)
				}
				if strings.ContainsAny(line, "\x1b\r\u009b\u202e") || strings.Contains(line, "\xff") {
					t.Errorf("%s: %q", c.name, line)
				}
			}
		}
	}
}

// TestTableColours: a state's colour takes no room.
func TestTableColours(t *testing.T) {
	ports := []control.Port{
		{Name: "a", TTY: "/dev/pts/1", Connected: true, Mode: "rfc2217"}, {Name: "b", TTY: "/dev/pts/2", LastError: "x"}, {Name: "c", TTY: "/dev/pts/3", Connected: true, Mode: "telnet"},
	}
	plain, painted := table(ports, noon, 100, false), table(ports, noon, 100, true)
	for _, paint := range []string{"\x1b[32mup\x1b[0m ", "\x1b[31mdown\x1b[0m ", "\x1b[33mtelnet\x1b[0m"} {
		if !strings.Contains(painted, paint) {
			t.Errorf("no %q in %q", paint, painted)
		}
	}
	if got := regexp.MustCompile("\x1b\\[[0-9]*m").ReplaceAllString(painted, ""); got != plain {
		t.Errorf("with colours\n%swithout\n%s", got, plain)
	}
}

func TestState(t *testing.T) {
	for _, c := range []struct {
		port control.Port
		want string
	}{
		{control.Port{LastError: "x"}, "missing"},
		{control.Port{TTY: "t", LastError: "x"}, "down"},
		{control.Port{TTY: "t", LastError: "x", Disconnected: true}, "off"},
		{control.Port{TTY: "t", Open: true}, "dialing"},
		{control.Port{TTY: "t"}, "idle"},
		{control.Port{TTY: "t", Connected: true, Mode: "rfc2217"}, "up"},
		{control.Port{TTY: "t", Connected: true, Mode: "rfc2217", Suspended: true}, "held"},
		{control.Port{TTY: "t", Connected: true, Mode: "raw"}, "raw"},
	} {
		if got := state(c.port); got != c.want {
			t.Errorf("%+v is %s, want %s", c.port, got, c.want)
		}
	}
}

func TestShort(t *testing.T) {
	for n, want := range map[uint64]string{
		0: "0", 999: "999", 1000: "1.0k", 9999: "9.9k", 10_000: "10k", 999_999: "999k", 1_000_000: "1.0M", 12_345_678: "12M", 1_999_999_999: "1.9G", ^uint64(0): "18E",
	} {
		if got := short(n); got != want {
			t.Errorf("%d is %s, want %s", n, got, want)
		}
	}
}

func TestAge(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 59 * time.Second: "59s", time.Minute: "1m", 59*time.Minute + 59*time.Second: "59m", time.Hour: "1h0m",
		9*time.Hour + 59*time.Minute: "9h59m", 10 * time.Hour: "10h", 24 * time.Hour: "1d0h", 239 * time.Hour: "9d23h", 240 * time.Hour: "10d",
	} {
		if got := age(d); got != want {
			t.Errorf("%v is %s, want %s", d, got, want)
		}
	}
}

// TestOnScreen: no more lines and columns than a terminal has.
func TestOnScreen(t *testing.T) {
	got := onScreen("one\ntwo \x1b[31mred\x1b[0m and more\n端口端\nfour\nfive\n", 5, 9)
	want := "one\x1b[K\ntwo \x1b[31mred\x1b[0m a\x1b[K\n端口端\x1b[K\n… 2 lines\x1b[K\n"
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := onScreen("one\ntwo\n", 3, 80); got != "one\x1b[K\ntwo\x1b[K\n" {
		t.Errorf("got %q", got)
	}
}
