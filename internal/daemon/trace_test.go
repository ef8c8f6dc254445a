package daemon

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/vcomd/vcomd/rfc2217client"
)

var traceTime = regexp.MustCompile(`(?m)^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6} `)

func TestTrace(t *testing.T) {
	var out bytes.Buffer
	sink := traceTo(&out, "ttyGPS")
	sink(rfc2217client.TraceEntry{Direction: rfc2217client.Sent, Text: "SET-BAUDRATE 9600"})
	sink(rfc2217client.TraceEntry{Direction: rfc2217client.Received, Data: []byte("$GPGGA\r\n\x00\xff\x1b[31m\"")})
	sink(rfc2217client.TraceEntry{Direction: rfc2217client.Sent, Data: []byte(strings.Repeat("x", 65))})
	sink(rfc2217client.TraceEntry{Direction: rfc2217client.Sent, Data: nil})
	got := out.String()
	if n := len(traceTime.FindAllString(got, -1)); n != 4 {
		t.Errorf("%d lines have a time, want 4:\n%s", n, got)
	}
	want := `ttyGPS > SET-BAUDRATE 9600
ttyGPS < data 16 "$GPGGA\r\n\x00\xff\x1b[31m\""
ttyGPS > data 64 "` + strings.Repeat("x", 64) + `"
ttyGPS > data 1 "x"
`
	if got := traceTime.ReplaceAllString(got, ""); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

// A full disk ends the trace, not the port.
func TestTraceToAFullDisk(*testing.T) {
	sink := traceTo(full{}, "ttyGPS")
	sink(rfc2217client.TraceEntry{Text: "NOP"})
	sink(rfc2217client.TraceEntry{Data: []byte("abc")})
}
