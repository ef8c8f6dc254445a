package daemon

import (
	"io"
	"strconv"
	"time"

	"github.com/vcomd/vcomd/rfc2217client"
)

// traceWidth is how many bytes of data stand on one line of a trace.
const traceWidth = 64

// traceTo returns a sink that writes one line per command and per piece of data:
//
//	2026-01-02T15:04:05.000000 ttyGPS > SET-BAUDRATE 9600
//	2026-01-02T15:04:05.000120 ttyGPS < data 12 "$GPGGA,12351"
//
// '>' goes to the access server, '<' comes from it. Data is quoted as in Go
// source, so that no byte from the network reaches a terminal as it is.
func traceTo(w io.Writer, name string) func(rfc2217client.TraceEntry) {
	var line []byte
	write := func(e rfc2217client.TraceEntry, data []byte) {
		line = time.Now().AppendFormat(line[:0], "2006-01-02T15:04:05.000000")
		line = append(append(line, ' '), name...)
		if e.Direction == rfc2217client.Sent {
			line = append(line, " > "...)
		} else {
			line = append(line, " < "...)
		}
		if e.Text != "" {
			line = append(line, e.Text...)
		} else {
			line = strconv.AppendInt(append(line, "data "...), int64(len(data)), 10)
			line = strconv.AppendQuoteToASCII(append(line, ' '), string(data))
		}
		// A trace that cannot be written (a full disk) must not stop the port.
		_, _ = w.Write(append(line, '\n'))
	}
	return func(e rfc2217client.TraceEntry) {
		if e.Text != "" {
			write(e, nil)
			return
		}
		for p := e.Data; len(p) > 0; {
			n := min(len(p), traceWidth)
			write(e, p[:n])
			p = p[n:]
		}
	}
}
