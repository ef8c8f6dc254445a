package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/vcomd/vcomd/internal/control"
)

// TestShown: each entry as it is shown.
func TestShown(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 67_000, time.Local)
	for _, c := range []struct {
		name      string
		hex, text bool
		entry     control.Entry
		want      string
	}{
		{
			"both", true, true,
			control.Entry{Kind: control.KindData, Direction: control.DirectionSent, Data: []byte("0123456789abcdef\x1b|")},
			"03:04:05.000067 > 30 31 32 33 34 35 36 37  38 39 61 62 63 64 65 66  |0123456789abcdef|\n" +
				"03:04:05.000067 > 1b 7c                                             |.||\n",
		},
		{"hex", true, false, control.Entry{Kind: control.KindData, Direction: control.DirectionReceived, Data: []byte("\xff\x00")}, "03:04:05.000067 < ff 00\n"},
		{
			"text", false, true,
			control.Entry{Kind: control.KindData, Direction: control.DirectionReceived, Data: []byte("a\r\n\x1b\u009b\xff")},
			`03:04:05.000067 < "a\r\n\x1b\u009b\xff"` + "\n",
		},
		{
			"command", true, true,
			control.Entry{Kind: control.KindCommand, Direction: control.DirectionSent, Text: "SET-BAUDRATE 9600\x1b"},
			`03:04:05.000067 > SET-BAUDRATE 9600\x1b` + "\n",
		},
		{"event", true, true, control.Entry{Kind: control.KindEvent, Event: "wanted", Old: "9600-8N1", New: "19200-8N1"}, "03:04:05.000067 * wanted: 9600-8N1 → 19200-8N1\n"},
		{"failure", true, true, control.Entry{Kind: control.KindEvent, Event: "disconnected", Error: "\x1b[2J"}, `03:04:05.000067 * disconnected, \x1b[2J` + "\n"},
		{
			"lost", true, true,
			control.Entry{Kind: control.KindLost, Lost: &control.Lost{Entries: 3, Sent: 4, Received: 5}},
			"03:04:05.000067 ! 3 entries are missing: this reader was too slow; with them 4 bytes sent and 5 received\n",
		},
		{"begin", true, true, control.Entry{Kind: control.KindBegin}, ""},
		{"one of a later version", true, true, control.Entry{Kind: "new"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			c.entry.Time = at
			if err := (&shown{w: &b, hex: c.hex, text: c.text}).entry(c.entry); err != nil || b.String() != c.want {
				t.Errorf("%v\n got %q\nwant %q", err, b.String(), c.want)
			}
		})
	}
}

// TestCapture: each connection is one of its own, what was lost is a gap, and a raw
// server's bytes are not taken for Telnet.
func TestCapture(t *testing.T) {
	for remote, port := range map[string]string{"rfc2217://h:1": "\x00\x17", "telnets://h:1": "\x00\x17", "sim:gps": "\x00\x17", "tcp://h:1": "\x0f\xa1", "tls://h:1": "\x0f\xa1"} {
		var b bytes.Buffer
		c, err := newCapture(&b, "vcomd", control.Port{Name: "tty", Remote: remote})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range []control.Entry{
			{Kind: control.KindBegin},
			{Kind: control.KindWire, Direction: control.DirectionSent, Connection: 1, Data: []byte("one")},
			{Kind: control.KindLost, Lost: &control.Lost{WireSent: 7}},
			{Kind: control.KindWire, Direction: control.DirectionReceived, Connection: 2, Data: []byte("two")},
			{Kind: control.KindEvent, Event: "stopped"},
			{Kind: control.KindEvent, Event: "stopped"},
			{Kind: control.KindLost, Lost: &control.Lost{WireSent: 7}},
		} {
			if err := c.take(e); err != nil {
				t.Fatal(err)
			}
		}
		// SYN, SYN ACK, ACK, data, FIN, FIN, ACK: twice.
		if n := strings.Count(b.String(), "\xc0\x00\x02\x01"); n != 14 {
			t.Errorf("%s: %d packets, want 14", remote, n)
		}
		for _, want := range []string{"one", "two", "\xc0\x01" + port, port + "\xc0\x02"} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("%s: there is no %q", remote, want)
			}
		}
	}
}
