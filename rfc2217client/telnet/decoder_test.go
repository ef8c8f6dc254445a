package telnet_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vcomd/vcomd/rfc2217client/telnet"
)

// element is an Event that outlives the next call, data runs joined.
type element struct {
	Kind    telnet.Kind
	Command telnet.Command
	Option  telnet.Option
	Data    string
}

// decode feeds the pieces and joins neighbouring runs of data.
func decode(d *telnet.Decoder, pieces ...[]byte) []element {
	var out []element
	for _, p := range pieces {
		rest := bytes.Clone(p)
		for {
			var ev telnet.Event
			ev, rest = d.Next(rest)
			if ev.Kind == telnet.EventNone {
				break
			}
			if n := len(out); ev.Kind == telnet.EventData && n > 0 && out[n-1].Kind == telnet.EventData {
				out[n-1].Data += string(ev.Data)
				continue
			}
			out = append(out, element{ev.Kind, ev.Command, ev.Option, string(ev.Data)})
		}
	}
	return out
}

func data(s string) element            { return element{Kind: telnet.EventData, Data: s} }
func command(c telnet.Command) element { return element{Kind: telnet.EventCommand, Command: c} }
func negotiation(c telnet.Command, o telnet.Option) element {
	return element{Kind: telnet.EventNegotiation, Command: c, Option: o}
}

func subneg(o telnet.Option, s string) element {
	return element{Kind: telnet.EventSubnegotiation, Option: o, Data: s}
}

// The expected values are by hand, from RFC 854, 855 and 2217.
var decoderTable = []struct {
	name   string
	binary bool
	in     string
	want   []element
	stats  telnet.DecoderStats
}{
	{name: "nothing"},
	{name: "plain", binary: true, in: "hello\x00\r\x00\n", want: []element{data("hello\x00\r\x00\n")}},
	{name: "escaped IAC", binary: true, in: "a\xff\xffb", want: []element{data("a\xffb")}},
	{name: "all 0xFF", binary: true, in: "\xff\xff\xff\xff\xff\xff", want: []element{data("\xff\xff\xff")}},
	{name: "CR NUL is CR", in: "a\r\x00b\r\n\x00\r\r\x00", want: []element{data("a\rb\r\n\x00\r\r")}},
	{name: "CR then escaped IAC then NUL", in: "\r\xff\xff\x00", want: []element{data("\r\xff\x00")}},
	{name: "commands in data", binary: true, in: "a\xff\xf1b\xff\xf3\xff\xf6c", want: []element{
		data("a"), command(telnet.NOP), data("b"), command(telnet.BRK), command(telnet.AYT), data("c"),
	}},
	{name: "ser2net's greeting", binary: true, in: "\xff\xfb\x03\xff\xfd\x03\xff\xfe\x01\xff\xfd\x2c", want: []element{
		negotiation(telnet.WILL, telnet.SGA), negotiation(telnet.DO, telnet.SGA),
		negotiation(telnet.DONT, telnet.Echo), negotiation(telnet.DO, telnet.ComPort),
	}},
	{name: "option 255", binary: true, in: "\xff\xfb\xff", want: []element{negotiation(telnet.WILL, 255)}},
	{name: "baud 65280, IAC doubled inside", binary: true, in: "x\xff\xfa\x2c\x01\x00\x00\xff\xff\x00\xff\xf0y", want: []element{
		data("x"), subneg(telnet.ComPort, "\x01\x00\x00\xff\x00"), data("y"),
	}},
	{name: "modem state 255", binary: true, in: "\xff\xfa\x2c\x6b\xff\xff\xff\xf0", want: []element{subneg(telnet.ComPort, "\x6b\xff")}},
	{name: "empty subnegotiation", binary: true, in: "\xff\xfa\x2c\xff\xf0", want: []element{subneg(telnet.ComPort, "")}},
	{name: "stray SE", binary: true, in: "a\xff\xf0b", want: []element{data("ab")}, stats: telnet.DecoderStats{Malformed: 1}},
	{
		name: "subnegotiation given up for a command", binary: true, in: "\xff\xfa\x2c\x01\xff\xfb\x00z",
		want: []element{negotiation(telnet.WILL, telnet.Binary), data("z")}, stats: telnet.DecoderStats{Malformed: 1},
	},
	{
		name: "subnegotiation in a subnegotiation", binary: true, in: "\xff\xfa\x2c\x01\xff\xfa\x2c\x6b\x10\xff\xf0",
		want: []element{subneg(telnet.ComPort, "\x6b\x10")}, stats: telnet.DecoderStats{Malformed: 1},
	},
	{
		name: "longest subnegotiation", binary: true, in: "\xff\xfa\x2c" + string(bytes.Repeat([]byte("s"), 1024)) + "\xff\xf0",
		want: []element{subneg(telnet.ComPort, string(bytes.Repeat([]byte("s"), 1024)))},
	},
	{
		name: "subnegotiation one too long", binary: true, in: "\xff\xfa\x2c" + string(bytes.Repeat([]byte("s"), 1025)) + "\xff\xf0!",
		want: []element{data("!")}, stats: telnet.DecoderStats{Oversized: 1},
	},
	{name: "code without a meaning", binary: true, in: "\xff\x07a", want: []element{command(7), data("a")}},
}

func TestDecoder(t *testing.T) {
	for _, tt := range decoderTable {
		t.Run(tt.name, func(t *testing.T) {
			var d telnet.Decoder
			d.SetBinary(tt.binary)
			if diff := cmp.Diff(tt.want, decode(&d, []byte(tt.in))); diff != "" {
				t.Errorf("in one piece (-want +got):\n%s", diff)
			}
			if d.Stats() != tt.stats {
				t.Errorf("stats = %+v, want %+v", d.Stats(), tt.stats)
			}
		})
	}
}

func TestDecoderEverySplit(t *testing.T) {
	for _, tt := range decoderTable {
		in := []byte(tt.in)
		for i := range in {
			var d telnet.Decoder
			d.SetBinary(tt.binary)
			if diff := cmp.Diff(tt.want, decode(&d, in[:i], in[i:])); diff != "" {
				t.Fatalf("%s, split at %d (-want +got):\n%s", tt.name, i, diff)
			}
		}
		var d telnet.Decoder
		d.SetBinary(tt.binary)
		var single [][]byte
		for i := range in {
			single = append(single, in[i:i+1])
		}
		if diff := cmp.Diff(tt.want, decode(&d, single...)); diff != "" {
			t.Errorf("%s, byte by byte (-want +got):\n%s", tt.name, diff)
		}
	}
}

func TestDecoderDataIsNotCopied(t *testing.T) {
	var d telnet.Decoder
	d.SetBinary(true)
	in := []byte("abc\xff\xf1def")
	ev, rest := d.Next(in)
	if &ev.Data[0] != &in[0] {
		t.Error("the first run of data was copied")
	}
	_, rest = d.Next(rest)
	ev, _ = d.Next(rest)
	if string(ev.Data) != "def" || &ev.Data[0] != &in[5] {
		t.Errorf("the second run of data is %q, copied: %v", ev.Data, &ev.Data[0] != &in[5])
	}
}

func TestDecoderDoesNotAllocate(t *testing.T) {
	src := []byte("data\xff\xff more\xff\xfa\x2c\x65\x00\x00\x25\x80\xff\xf0\xff\xfb\x00\xff\xf1tail\r\x00")
	buf := make([]byte, len(src))
	var d telnet.Decoder
	if n := testing.AllocsPerRun(100, func() {
		rest := buf[:copy(buf, src)]
		for ev := (telnet.Event{Kind: telnet.EventData}); ev.Kind != telnet.EventNone; {
			ev, rest = d.Next(rest)
		}
	}); n != 0 {
		t.Errorf("a read costs %v allocations, want none", n)
	}
}

func TestEncode(t *testing.T) {
	for _, tt := range []struct {
		name, want string
		got        []byte
	}{
		{"data", "ab\xff\xff\r\xff\xff\xff\xff", telnet.AppendData(nil, []byte("ab\xff\r\xff\xff"))},
		{"data outside binary", "a\r\x00\n\xff\xff\r\x00", telnet.AppendDataNVT(nil, []byte("a\r\n\xff\r"))},
		{"negotiation", "\xff\xfb\x2c", telnet.AppendNegotiation(nil, telnet.WILL, telnet.ComPort)},
		{"command", "\xff\xf1", telnet.AppendCommand(nil, telnet.NOP)},
		{
			"subnegotiation", "x\xff\xfa\x2c\x01\x00\x00\xff\xff\x00\xff\xf0",
			telnet.AppendSubnegotiation([]byte("x"), telnet.ComPort, []byte{1, 0, 0, 0xff, 0}),
		},
	} {
		if string(tt.got) != tt.want {
			t.Errorf("%s = % x, want % x", tt.name, tt.got, tt.want)
		}
	}
}

func TestEncodeDoesNotAllocate(t *testing.T) {
	dst, src := make([]byte, 0, 1024), bytes.Repeat([]byte("\xffa\r"), 100)
	if n := testing.AllocsPerRun(100, func() { _ = telnet.AppendDataNVT(dst, src) }); n != 0 {
		t.Errorf("AppendDataNVT costs %v allocations, want none", n)
	}
}

// FuzzDecoder checks that any input, cut anywhere, gives the same elements, and
// that data survives an encoder and a decoder.
func FuzzDecoder(f *testing.F) {
	for _, tt := range decoderTable {
		f.Add([]byte(tt.in), uint16(len(tt.in)/2), tt.binary)
	}
	f.Fuzz(func(t *testing.T, in []byte, cut uint16, binary bool) {
		i := int(cut) % (len(in) + 1)
		var whole, parts telnet.Decoder
		whole.SetBinary(binary)
		parts.SetBinary(binary)
		if diff := cmp.Diff(decode(&whole, in), decode(&parts, in[:i], in[i:])); diff != "" {
			t.Errorf("cut at %d (-whole +parts):\n%s", i, diff)
		}
		var back telnet.Decoder
		back.SetBinary(binary)
		wire := telnet.AppendDataNVT(nil, in)
		if binary {
			wire = telnet.AppendData(nil, in)
		}
		var want []element
		if len(in) > 0 {
			want = []element{data(string(in))}
		}
		if diff := cmp.Diff(want, decode(&back, wire)); diff != "" {
			t.Errorf("encoded and decoded (-want +got):\n%s", diff)
		}
	})
}

func BenchmarkDecoder(b *testing.B) {
	for name, src := range map[string][]byte{
		"text": bytes.Repeat([]byte("$GPGGA,123519,4807.038,N*47\r\n"), 2048),
		"0xFF": bytes.Repeat([]byte{0xff}, 65536),
	} {
		b.Run(fmt.Sprint(name), func(b *testing.B) {
			var d telnet.Decoder
			d.SetBinary(true)
			buf := make([]byte, len(src))
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				rest := buf[:copy(buf, src)]
				for ev := (telnet.Event{Kind: telnet.EventData}); ev.Kind != telnet.EventNone; {
					ev, rest = d.Next(rest)
				}
			}
		})
	}
}

func BenchmarkAppendData(b *testing.B) {
	for name, src := range map[string][]byte{
		"text": bytes.Repeat([]byte("$GPGGA,123519,4807.038,N*47\r\n"), 512),
		"0xFF": bytes.Repeat([]byte{0xff}, 16384),
	} {
		b.Run(name, func(b *testing.B) {
			dst := make([]byte, 0, 2*len(src))
			b.SetBytes(int64(len(src)))
			for b.Loop() {
				dst = telnet.AppendData(dst[:0], src)
			}
		})
	}
}
