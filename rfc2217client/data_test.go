package rfc2217client_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	rc "github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/telnet"
)

func allBytes() []byte {
	p := make([]byte, 256)
	for i := range p {
		p[i] = byte(i)
	}
	return p
}

// TestData: how serial data looks on the wire, both ways.
func TestData(t *testing.T) {
	noBinary := slices.Concat(say(telnet.DO, telnet.ComPort), say(telnet.DONT, telnet.Binary), say(telnet.WONT, telnet.Binary))
	onlyOurs := slices.Concat(say(telnet.DO, telnet.ComPort), say(telnet.DO, telnet.Binary), say(telnet.WONT, telnet.Binary))
	onlyTheirs := slices.Concat(say(telnet.DO, telnet.ComPort), say(telnet.DONT, telnet.Binary), say(telnet.WILL, telnet.Binary))
	tests := []struct {
		name        string
		protocol    rc.Protocol
		greeting    []byte
		line        string // data for the line, and what it is on the wire
		sent        string
		transparent bool
		wire        string // from the server, and the data in it
		received    string
	}{
		{"BINARY both ways", rc.ProtocolRFC2217, agree(), "a\r\x00\r\n\xff", "a\r\x00\r\n\xff\xff", false, "b\r\x00\r\n\xff\xff", "b\r\x00\r\n\xff"},
		{"BINARY, nothing to escape", rc.ProtocolRFC2217, agree(), "a\r\x00\r\n", "a\r\x00\r\n", true, "", ""},
		{"BINARY refused", rc.ProtocolRFC2217, noBinary, "a\r\x00\r\n\xff", "a\r\x00\x00\r\x00\n\xff\xff", false, "b\r\x00\r\n\x00\r\xff\xff\x00", "b\r\r\n\x00\r\xff\x00"},
		{"BINARY only from here", rc.ProtocolRFC2217, onlyOurs, "a\r", "a\r", true, "b\r\x00", "b\r"},
		{"BINARY only from there", rc.ProtocolRFC2217, onlyTheirs, "a\r", "a\r\x00", false, "b\r\x00", "b\r\x00"},
		{"telnet", rc.ProtocolTelnet, agree(), "a\r\xff", "a\r\xff\xff", false, "b\r\xff\xff", "b\r\xff"},
		{"raw", rc.ProtocolRaw, nil, "a\r\xff\xfb\x01", "a\r\xff\xfb\x01", true, "\xff\xfd\x2c\xff\xff\xff\xf3\r\x00", "\xff\xfd\x2c\xff\xff\xff\xf3\r\x00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for i := range len(tt.wire) + 1 {
				r := newRig(t, rc.SessionConfig{Protocol: tt.protocol})
				r.feed(tt.greeting)
				r.Consume(len(r.Output()))
				if got := r.feed([]byte(tt.wire[:i]), []byte(tt.wire[i:])); got != tt.received {
					t.Errorf("received %q split at %d, want %q", got, i, tt.received)
				}
				if got := r.Transparent([]byte(tt.line)); got != tt.transparent {
					t.Errorf("transparent %v, want %v", got, tt.transparent)
				}
				r.Data([]byte(tt.line))
				if got := string(r.Output()); got != tt.sent {
					t.Errorf("sent %q, want %q", got, tt.sent)
				}
				c := r.Counters()
				if c.BytesSent != uint64(len(tt.line)) || c.BytesReceived != uint64(len(tt.received)) {
					t.Errorf("counted %d sent, %d received", c.BytesSent, c.BytesReceived)
				}
			}
		})
	}
}

// TestRawSaysNothing: a raw connection is ready at once, sends nothing of its
// own and knows no commands.
func TestRawSaysNothing(t *testing.T) {
	r := newRig(t, rc.SessionConfig{Protocol: rc.ProtocolRaw})
	r.wantSeen("mode raw")
	r.feed(agree(), told(comport.SetBaudRate{Rate: 9600}, comport.SignatureText{}), allBytes())
	r.Request(r.now, comport.SetBaudRate{Rate: 9600})
	if r.Break() {
		t.Error("a raw connection claims to have sent a break")
	}
	r.wantSent()
	r.wantSeen()
	if d := r.Deadline(); !d.IsZero() {
		t.Errorf("a deadline at +%v", d.Sub(epoch))
	}
}

// TestBinaryChangesInMidStream: BINARY counts from the command on.
func TestBinaryChangesInMidStream(t *testing.T) {
	r := connected(t, rc.SessionConfig{})
	got := r.feed(slices.Concat([]byte("\r\x00"), say(telnet.WONT, telnet.Binary), []byte("\r\x00"), say(telnet.WILL, telnet.Binary), []byte("\r\x00")))
	if want := "\r\x00" + "\r" + "\r\x00"; got != want {
		t.Errorf("data %q, want %q", got, want)
	}
}

// TestCommands: the commands that are not data, at every split point.
func TestCommands(t *testing.T) {
	wire := slices.Concat(
		[]byte("a\xff\xf6b"),                               // AYT: answered by NOP
		[]byte("\xff\xf1\xff\xf2c"),                        // NOP, DM
		[]byte("\xff\xf3d"),                                // BRK
		[]byte("\xff\xf4\xff\xf5\xff\xf7"),                 // IP, AO, EC
		[]byte("\xff\xf8\xff\xf9\xff\x10e"),                // EL, GA, and a code that is none
		[]byte("\xff\xfa\x18\x01\xff\xf0f"),                // a subnegotiation of TERMINAL-TYPE
		[]byte("\xff\xfa\x2c\xff\xf0"),                     // COM-PORT without a command
		[]byte("\xff\xfa\x2c\x77\xff\xf0"),                 // unknown command 119
		[]byte("\xff\xfa\x2c\x65\x08\xff\xf0"),             // short SET-BAUDRATE
		[]byte("\xff\xfa\x2c\x01\x00\x00\x25\x80\xff\xf0"), // the client's code
		[]byte("\xff\xfa\x2c\x65\x00\xff\xf1g"),            // cut short by a NOP
		[]byte("\xff\xf0h"),                                // SE without SB
	)
	for i := range len(wire) + 1 {
		r := connected(t, rc.SessionConfig{})
		if got := r.feed(wire[:i], wire[i:]); got != "abcdefgh" {
			t.Errorf("split at %d: data %q", i, got)
		}
		r.wantSent("NOP")
		r.wantSeen("break")
		want := rc.Counters{BytesReceived: 8, IgnoredCommands: 6, UnknownMessages: 5, BrokenMessages: 2}
		if got := r.Counters(); got != want {
			t.Errorf("split at %d: counters %+v, want %+v", i, got, want)
		}
	}
}

// TestEndlessSubnegotiation: what never ends takes no memory and is not data.
func TestEndlessSubnegotiation(t *testing.T) {
	r := connected(t, rc.SessionConfig{})
	r.feed([]byte{255, 250, 44, 100})
	for range 1000 {
		if got := r.feed(bytes.Repeat([]byte("y"), 1000)); got != "" {
			t.Fatalf("data %.20q", got)
		}
	}
	if got := r.feed([]byte{255, 240}, []byte("ok")); got != "ok" {
		t.Errorf("data %q after it, want %q", got, "ok")
	}
	r.wantSeen()
	if c := r.Counters(); c.BrokenMessages != 1 {
		t.Errorf("%d broken messages counted, want 1", c.BrokenMessages)
	}
}

// TestBreakAsCommand: IAC BRK is for servers without RFC 2217 only.
func TestBreakAsCommand(t *testing.T) {
	r := connected(t, rc.SessionConfig{})
	if r.Break() {
		t.Error("IAC BRK in COM-PORT mode kills some servers")
	}
	r.wantSent()
	plain := newRig(t, rc.SessionConfig{Protocol: rc.ProtocolTelnet})
	plain.feed(agree())
	plain.sent()
	if !plain.Break() {
		t.Error("no break over plain Telnet")
	}
	plain.wantSent("BRK")
}

// TestSignature: this end's is told when asked for, and an empty one never, as
// that would be a question.
func TestSignature(t *testing.T) {
	r := connected(t, rc.SessionConfig{Signature: "vcomd 1"})
	r.feed(told(comport.SignatureText{}))
	r.wantSent(`SIGNATURE "vcomd 1"`)
	// With the client's code, too.
	r.feed(unhex(t, "ff fa 2c 00 ff f0"))
	r.wantSent(`SIGNATURE "vcomd 1"`)
	r.feed(told(comport.SignatureText{Text: "evil\x1b[2J\n"}))
	r.wantSeen(`told SIGNATURE "evil\x1b[2J\n"`)
	r.wantSent()

	nameless := connected(t, rc.SessionConfig{})
	nameless.feed(told(comport.SignatureText{}))
	nameless.wantSent()
}

// TestEscaping: IAC is doubled inside a message, and undoubled from one.
func TestEscaping(t *testing.T) {
	r := connected(t, rc.SessionConfig{})
	r.Request(r.now, comport.SetBaudRate{Rate: 65280})
	if got, want := r.Output(), unhex(t, "ff fa 2c 01 00 00 ff ff 00 ff f0"); !bytes.Equal(got, want) {
		t.Errorf("sent % x, want % x", got, want)
	}
	for i, wire := 0, unhex(t, "ff fa 2c 6b ff ff ff f0"); i <= len(wire); i++ {
		r.feed(wire[:i], wire[i:])
		r.wantSeen("NOTIFY-MODEMSTATE DCD|RI|DSR|CTS|ΔDCD|RI↓|ΔDSR|ΔCTS")
	}
}

// TestTraceKeepsOrder: a trace shows data and commands as they came.
func TestTraceKeepsOrder(t *testing.T) {
	var trace []string
	r := newRig(t, rc.SessionConfig{Trace: func(e rc.TraceEntry) {
		arrow := "< "
		if e.Direction == rc.Sent {
			arrow = "> "
		}
		trace = append(trace, arrow+e.Text+string(e.Data))
	}})
	r.feed(agree())
	trace = nil
	r.feed(slices.Concat([]byte("one"), told(comport.SetDataSize{Size: 7}), []byte("two"), []byte{255, 246}, []byte("three")))
	r.Request(r.now, comport.SetParity{Parity: comport.ParityEven})
	r.Data([]byte("four"))
	want := []string{"< one", "< SET-DATASIZE 7", "< two", "< AYT", "> NOP", "< three", "> SET-PARITY even", "> four"}
	if !slices.Equal(trace, want) {
		t.Errorf("trace %q, want %q", trace, want)
	}
}

// TestPlainDataAllocatesNothing, in either direction.
func TestPlainDataAllocatesNothing(t *testing.T) {
	r := connected(t, rc.SessionConfig{})
	source := []byte(strings.Repeat("plain data\r\n\xff\xff", 100))
	buf := make([]byte, len(source))
	step := func() {
		copy(buf, source)
		r.Receive(r.now, buf)
		r.Data(source)
		r.Consume(len(r.Output()))
	}
	step()
	if n := testing.AllocsPerRun(100, step); n != 0 {
		t.Errorf("%v allocations a round", n)
	}
}

func TestConsume(t *testing.T) {
	r := connected(t, rc.SessionConfig{})
	r.Data([]byte("abcdef"))
	r.Consume(2)
	r.Consume(0)
	if got := string(r.Output()); got != "cdef" {
		t.Errorf("%q is left, want %q", got, "cdef")
	}
	r.Data([]byte("g"))
	r.Consume(5)
	if got := r.Output(); len(got) != 0 {
		t.Errorf("%q is left", got)
	}
}
