package termiosmirror

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

func TestParseLine(t *testing.T) {
	for _, tt := range []struct {
		in   string
		want comport.State
	}{
		{"9600-7E1", comport.State{BaudRate: 9600, DataSize: 7, Parity: comport.ParityEven, StopSize: comport.StopSize1}},
		{"115200-8N1", comport.State{BaudRate: 115200, DataSize: 8, Parity: comport.ParityNone, StopSize: comport.StopSize1}},
		{"9600", comport.State{BaudRate: 9600}},
		{"8N1", comport.State{DataSize: 8, Parity: comport.ParityNone, StopSize: comport.StopSize1}},
		{"300-5N1.5", comport.State{BaudRate: 300, DataSize: 5, Parity: comport.ParityNone, StopSize: comport.StopSize15}},
		{"1200-6o2", comport.State{BaudRate: 1200, DataSize: 6, Parity: comport.ParityOdd, StopSize: comport.StopSize2}},
		{"7m1", comport.State{DataSize: 7, Parity: comport.ParityMark, StopSize: comport.StopSize1}},
		{"7s2", comport.State{DataSize: 7, Parity: comport.ParitySpace, StopSize: comport.StopSize2}},
		{"1", comport.State{BaudRate: 1}},
		{"4294967295-8n1", comport.State{BaudRate: 4294967295, DataSize: 8, Parity: comport.ParityNone, StopSize: comport.StopSize1}},
	} {
		got, err := ParseLine(tt.in)
		if err != nil || got != tt.want {
			t.Errorf("ParseLine(%q) = %+v, %v; want %+v", tt.in, got, err, tt.want)
		}
	}
}

func TestParseLineErrors(t *testing.T) {
	for _, tt := range []struct{ in, what, found string }{
		{"", "nothing given", ""},
		{"0", "speed out of range", "0"},
		{"0-8N1", "speed out of range", "0"},
		{"4294967296", "speed out of range", "4294967296"},
		{"99999999999999999999-8N1", "speed out of range", "99999999999999999999"},
		{"-8N1", "speed is not a number", ""},
		{"fast-8N1", "speed is not a number", "fast"},
		{"+9600-8N1", "speed is not a number", "+9600"},
		{"9600-", "frame is not data bits", ""},
		{"9600-8N", "frame is not data bits", "8N"},
		{"9600-9N1", "data bits", "9N1"},
		{"9600-4N1", "data bits", "4N1"},
		{"9600-8X1", "parity", "8X1"},
		{"9600-8N3", "stop bits", "8N3"},
		{"9600-8N1-8N1", "stop bits", "8N1-8N1"},
		{"9600 8N1", "data bits", "9600 8N1"},
		{"8N1 ", "stop bits", "8N1 "},
		{"-", "speed is not a number", ""},
	} {
		got, err := ParseLine(tt.in)
		var le *LineError
		if !errors.As(err, &le) {
			t.Errorf("ParseLine(%q) = %+v, %v; want a *LineError", tt.in, got, err)
			continue
		}
		if got != (comport.State{}) {
			t.Errorf("ParseLine(%q) gives %+v beside its error", tt.in, got)
		}
		if !strings.Contains(le.What, tt.what) || le.Found != tt.found || le.Fix == "" {
			t.Errorf("ParseLine(%q): What %q, Found %q, Fix %q; want What with %q, Found %q, some Fix",
				tt.in, le.What, le.Found, le.Fix, tt.what, tt.found)
		}
	}
}

func TestLineErrorIsShort(t *testing.T) {
	_, err := ParseLine(strings.Repeat("9", 100000) + "\n")
	if err == nil || len(err.Error()) > 300 || strings.Contains(err.Error(), "\n") {
		t.Errorf("the error is %d bytes long, or has a line break: %.400v", len(fmt.Sprint(err)), err)
	}
}

// format writes a line as ParseLine reads it.
func format(s comport.State) string {
	var parts []string
	if s.BaudRate != 0 {
		parts = append(parts, fmt.Sprint(s.BaudRate))
	}
	if s.DataSize != 0 {
		parity := " NOEMS"[s.Parity]
		stop := [...]string{"", "1", "2", "1.5"}[s.StopSize]
		parts = append(parts, fmt.Sprintf("%c%c%s", '0'+rune(s.DataSize), parity, stop))
	}
	return strings.Join(parts, "-")
}

func FuzzParseLine(f *testing.F) {
	for _, s := range []string{"9600-7E1", "115200-8N1", "9600", "8N1", "300-5N1.5", "", "-", "0-8N1", "4294967296", "\xff-\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, in string) {
		line, err := ParseLine(in)
		if err != nil {
			var le *LineError
			if !errors.As(err, &le) || line != (comport.State{}) || le.Error() == "" {
				t.Fatalf("ParseLine(%q) = %+v, %v", in, line, err)
			}
			return
		}
		again, err := ParseLine(format(line))
		if err != nil || again != line {
			t.Fatalf("ParseLine(%q) = %+v, written %q and read again %+v, %v", in, line, format(line), again, err)
		}
	})
}
