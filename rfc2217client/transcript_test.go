package rfc2217client_test

import (
	"bufio"
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	rc "github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/telnet"
)

// recording is what a server sent over one connection.
type recording struct {
	name  string
	bytes []byte
}

// readRecordings reads a transcript; testdata/golden/README.md has the format.
// Connections over which nothing came (refused ones) are left out.
func readRecordings(tb testing.TB, path string) []recording {
	tb.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	all := []recording{{name: "first"}}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		if name, ok := strings.CutPrefix(line, "######## "); ok {
			name = strings.TrimPrefix(name, "new connection: ")
			all = append(all, recording{name: name})
			continue
		}
		if strings.HasPrefix(line, "  -- reconnect") {
			all = append(all, recording{name: "reconnect"})
			continue
		}
		sent, ok := strings.CutPrefix(line, "S>C")
		if !ok {
			continue
		}
		sent, _, _ = strings.Cut(sent, ";")
		switch sent = strings.TrimSpace(sent); sent {
		case "(nothing)", "EOF", "Connection refused":
			continue
		}
		last := &all[len(all)-1]
		last.bytes = append(last.bytes, unhex(tb, sent)...)
	}
	if err := lines.Err(); err != nil {
		tb.Fatal(err)
	}
	return slices.DeleteFunc(all, func(r recording) bool { return len(r.bytes) == 0 })
}

// outcome is what a session must have come to at the end of a recording. Every
// value in this file is worked out from RFC 2217, RFC 1143 and the decoded
// comments of the transcripts, none from what a session did.
type outcome struct {
	us, peer  string // options in effect, of vcomd's five and ECHO
	answers   string // sent besides the opening offers
	mode      rc.Mode
	state     comport.State
	data      string
	signature string
}

func (o outcome) with(state comport.State, data string) outcome {
	o.state, o.data = state, data
	return o
}

func (o outcome) options(us, peer, answers string) outcome {
	o.us, o.peer, o.answers = us, peer, answers
	return o
}

func (o outcome) in(m rc.Mode) outcome {
	o.mode = m
	return o
}

func (o outcome) signed(text string) outcome {
	o.signature = text
	return o
}

// opening is what vcomd offers, in this order.
const opening = "WILL COM-PORT, WILL BINARY, DO BINARY, WILL SGA, DO SGA"

// probeData is what the probe had echoed in each first connection: "hello", an
// IAC among controls, all kinds of line end.
const probeData = "hello" + "\xff\x00\x01\x11\x13\x7f\x80\xfe\xff\xff" + "A\r\nB\r\x00C\rD\nE"

// desync is what sredird, out of step, passes on of the two steps that follow:
// it takes the start of SET-BAUDRATE 9600 or of "end" for the rest of a value.
const desync = ",\x01\x00\x00\x25\x80nd"

var (
	none  = comport.State{}
	speed = func(rate uint32) comport.State { return comport.State{BaudRate: rate} }
	frame = func(rate uint32) comport.State {
		return comport.State{
			BaudRate: rate, DataSize: 8, Parity: comport.ParityNone, StopSize: comport.StopSize1,
			Outbound: comport.ControlFlowNone,
		}
	}
	lines = func(s comport.State, dtr, rts, brk, inbound comport.Control) comport.State {
		s.DTR, s.RTS, s.Break, s.Inbound = dtr, rts, brk, inbound
		return s
	}
)

// The usual connection of each server: options, and the step "after:", which
// sets 9600 and has "end" echoed.
var (
	// WILL SGA, DO SGA, WILL ECHO, DONT ECHO, DO BINARY, WILL BINARY, DO COM-PORT.
	ser2net = outcome{
		us: "COM-PORT BINARY SGA", peer: "BINARY SGA ECHO", answers: "DO ECHO",
		mode: rc.ModeComPort, state: speed(9600), data: "end",
	}
	// The same without DO COM-PORT; DONT COM-PORT answers the offer.
	telnetOnly = ser2net.options("BINARY SGA", "BINARY SGA ECHO", "DO ECHO").in(rc.ModeTelnet).with(none, "end")
	// WILL BINARY, DO BINARY, WILL ECHO, WILL SGA, DO SGA, DO COM-PORT.
	sredird = ser2net
	// WILL ECHO, WILL SGA, DO BINARY, WILL COM-PORT; DO COM-PORT and WILL BINARY
	// when offered and asked. The probe did not offer SGA again: no DO SGA.
	pyserial = ser2net.options("COM-PORT BINARY", "COM-PORT BINARY SGA ECHO", "DO ECHO, DO COM-PORT")
	// Bad values end pyserial's session, the rest is silence.
	pyserialDead = pyserial.with(none, "")
)

// gensioFirst is the first connection of ser2net and gensiot. DONT ECHO of the
// probe brought WONT ECHO, and WONT COM-PORT at the end DONT COM-PORT; the
// SET-BAUDRATE 19200 after that is acknowledged still. Break is always 5, queries
// of DTR and RTS come back as they are, inbound is always 14.
var gensioFirst = ser2net.
	options("BINARY SGA", "BINARY SGA", "DO ECHO, DONT ECHO, WONT COM-PORT").
	in(rc.ModeTelnet).
	with(lines(frame(19200), 0, 0, comport.ControlBreakOn, comport.ControlInboundNone), probeData+"suspend")

// sredirdFirst: DO COM-PORT of the probe brought WILL COM-PORT, its WILL ECHO a
// DO ECHO. IAC BRK and IAC DM of the probe leaked F3 and F2 into the line, which
// echoed them: data. DTR and RTS are read back as off (a pty has none).
func sredirdFirst(device string) outcome {
	return sredird.
		options("BINARY SGA", "COM-PORT BINARY SGA",
			"DO ECHO, DO COM-PORT, WONT ECHO, DONT ECHO, WONT COM-PORT").
		signed("SRedird 2.2.1 /tmp/peers/"+device).
		with(lines(frame(19200), comport.ControlDTROff, comport.ControlRTSOff,
			comport.ControlBreakOff, comport.ControlInboundNone), probeData+"susp\xf3\xf2end")
}

// sredirdOthers: the answer to a bad value is the real state, read back; an FF
// inside a value leaks F0 to the line, or puts sredird out of step.
func sredirdOthers(device string) map[string]outcome {
	return map[string]outcome{
		"first": sredirdFirst(device),
		"all-at-once opening (no wait for answers)":         sredird.with(frame(115200), "x"),
		"invalid SET-PARITY 6":                              sredird.with(comport.State{BaudRate: 9600, Parity: comport.ParityNone}, "end"),
		"invalid SET-STOPSIZE 4":                            sredird.with(comport.State{BaudRate: 9600, StopSize: comport.StopSize1}, "end"),
		"invalid SET-DATASIZE 9 and 4":                      sredird.with(comport.State{BaudRate: 9600, DataSize: 8}, "end"),
		"undefined SET-CONTROL 20":                          sredird.with(comport.State{BaudRate: 9600, Outbound: comport.ControlFlowNone}, "end"),
		"SETs with no COM-PORT negotiation at all":          sredird.with(none, "plain"),
		"IAC in SB value: SET-BAUDRATE 65280 (00 00 ff 00)": sredird.with(speed(9600), "\xf0end"),
		"IAC in SB value: SET-BAUDRATE 4294967295":          sredird.with(speed(9600), "\xff\xfa"+desync),
		"IAC in SB value: SET-MODEMSTATE-MASK 255":          sredird.with(speed(9600), "\xf0\xf0end"),
		"IAC in SB value: SET-DATASIZE 255":                 sredird.with(comport.State{BaudRate: 9600, DataSize: 8}, "\xf0end"),
		"short SET-BAUDRATE (1 byte, Cisco IOS form)":       sredird.with(speed(9600), desync[1:]),
		"long SET-BAUDRATE (8 bytes)":                       sredird.with(speed(19200), "\x00\x00\xfa"+desync),
		"SET-DATASIZE without value":                        sredird.with(comport.State{DataSize: 8}, "\xfa"+desync),
		"empty COM-PORT SB":                                 sredird.with(none, desync),
		"unknown COM-PORT command 13, 99":                   sredird.with(none, "\xfa"+desync),
		"lone IAC at segment end, then IAC":                 sredird.with(speed(9600), "a\xffbend"),
		"NOTIFY polls by client":                            sredird.with(none, "\xfa,\x06\xfa"+desync),
	}
}

// pyserialOthers lists what both runs of pyserial's server have in common.
func pyserialOthers(more map[string]outcome) map[string]outcome {
	all := map[string]outcome{
		// Here the probe offered SGA: DO SGA.
		"all-at-once opening (no wait for answers)": pyserial.
			options("COM-PORT BINARY SGA", pyserial.peer, pyserial.answers).
			with(lines(frame(115200), comport.ControlDTROn, comport.ControlRTSOn, 0, 0), "x"),
		"invalid SET-PARITY 6":         pyserialDead,
		"invalid SET-STOPSIZE 4":       pyserialDead,
		"invalid SET-DATASIZE 9 and 4": pyserial.with(comport.State{BaudRate: 9600, DataSize: 8}, "end"),
		// Neither WILL BINARY nor DO COM-PORT, as nobody asked: WILL COM-PORT
		// alone is agreement too.
		"SETs with no COM-PORT negotiation at all": pyserial.
			options("BINARY", "COM-PORT SGA ECHO", pyserial.answers).with(speed(19200), "plain"),
		"IAC in SB value: SET-DATASIZE 255":           pyserial.with(comport.State{BaudRate: 9600, DataSize: 8}, "end"),
		"short SET-BAUDRATE (1 byte, Cisco IOS form)": pyserialDead,
		"SET-DATASIZE without value":                  pyserialDead,
		"lone IAC at segment end, then IAC":           pyserial.with(speed(9600), "a\xffbend"),
	}
	maps.Copy(all, more)
	return all
}

var pyserialLines = lines(frame(19200), comport.ControlDTROn, comport.ControlRTSOn, comport.ControlBreakOff, 0)

// transcripts gives for each file the usual outcome, and the others by the name
// of their connection.
var transcripts = map[string]struct {
	usual  outcome
	others map[string]outcome
}{
	"ser2net-4.3.11.txt": {ser2net, map[string]outcome{
		"first": gensioFirst.signed("ser2net"),
		"all-at-once opening (no wait for answers)":      ser2net.with(frame(115200), "x"),
		"SETs with no COM-PORT negotiation at all":       ser2net.with(speed(19200), "plain"),
		"mask 255 sent WITHOUT doubling (broken client)": ser2net.with(none, "end"),
		"short SET-BAUDRATE (1 byte, Cisco IOS form)":    ser2net.with(none, "end"), // Cisco's one-byte codes, too short to read
		"lone IAC at segment end, then IAC":              ser2net.with(speed(9600), "a\xffbend"),
		"300-byte signature":                             ser2net.signed("ser2net"),
		"unterminated SB of 2000 bytes then SE":          ser2net.signed("ser2net"),
	}},
	"gensiot-2.6.2-server.txt": {usual: ser2net, others: map[string]outcome{
		"first": gensioFirst.signed("gensiot-test"),
	}},
	"ser2net-4.3.11-telnet-only.txt": {telnetOnly, map[string]outcome{
		"first": telnetOnly.options("BINARY SGA", "BINARY SGA", "DO ECHO, DONT ECHO").with(none, probeData+"suspend"),
		"all-at-once opening (no wait for answers)": telnetOnly.with(none, "x"),
		"SETs with no COM-PORT negotiation at all":  telnetOnly.with(none, "plain"),
		"lone IAC at segment end, then IAC":         telnetOnly.with(none, "a\xffbend"),
	}},
	"sredird-2.2.1.txt":     {sredird, sredirdOthers("devB2")},
	"sredird-2.2.1-ios.txt": {sredird, sredirdOthers("devB3")},
	"pyserial-3.5-loop.txt": {pyserial, pyserialOthers(map[string]outcome{
		"first": pyserial.
			options("BINARY SGA", "COM-PORT BINARY SGA", "DO ECHO, DO COM-PORT, DONT ECHO, WONT COM-PORT").
			with(pyserialLines, probeData+"suspend"),
	})},
	"pyserial-3.5-pty.txt": {pyserial, pyserialOthers(map[string]outcome{
		// CS5 on a pty was this server's end; the probe then connected again.
		"first": pyserial.
			options("COM-PORT BINARY SGA", "COM-PORT BINARY SGA", "DO ECHO, DO COM-PORT, DONT ECHO").
			with(comport.State{BaudRate: 9600, DataSize: 5}, ""),
		"reconnect": pyserial.
			options("BINARY", pyserial.peer, "DO ECHO, DO COM-PORT, WONT COM-PORT").
			with(withoutSize(pyserialLines), probeData+"suspend"),
		"IAC in SB value: SET-BAUDRATE 4294967295": pyserialDead,
	})},
	"pair-cyclades-ser2net.txt": {usual: ser2net.
		options("COM-PORT BINARY", "BINARY SGA ECHO", "DO ECHO, WONT SGA").with(frame(9600), "")},
	"pair-cyclades-sredird.txt": {usual: sredird.
		with(lines(frame(115200), 0, 0, comport.ControlBreakOff, 0), "hello\xff\x00\r\n")},
	"pair-gensiot-ser2net.txt": {usual: ser2net.with(none, "hello\xff\x00\r\n")},
	"pair-pyserial-pyserial.txt": {usual: pyserial.
		options("COM-PORT BINARY SGA", "COM-PORT SGA ECHO", pyserial.answers).
		with(lines(frame(115200), comport.ControlDTROn, comport.ControlRTSOn, 0, 0), "")},
	"pair-pyserial-ser2net.txt": {usual: ser2net.with(frame(9600), "")},
	"pair-pyserial-sredird.txt": {usual: sredird.
		options("COM-PORT BINARY SGA", "COM-PORT BINARY SGA ECHO", "DO ECHO, DO COM-PORT").with(frame(9600), "")},
}

func withoutSize(s comport.State) comport.State {
	s.DataSize = 0
	return s
}

// play feeds a recording in pieces and gives what came of it.
func play(t *testing.T, pieces [][]byte) outcome {
	t.Helper()
	var signature string
	r := newRig(t, rc.SessionConfig{Signature: "vcomd", Event: func(ev rc.Event) {
		if m, ok := ev.Message.(comport.SignatureText); ok {
			signature = m.Text
		}
	}})
	o := outcome{data: r.feed(pieces...)}
	r.pass(rc.NegotiateTimeout) // for what the recorded client never asked
	sent := strings.Join(r.sent(), ", ")
	rest, ok := strings.CutPrefix(sent, opening)
	if !ok {
		t.Errorf("it opens with %q, want %q", sent, opening)
	}
	o.answers = strings.TrimPrefix(rest, ", ")
	o.mode, o.state, o.signature = r.Mode(), r.Reported(), signature
	var us, peer []string
	for _, option := range []telnet.Option{telnet.ComPort, telnet.Binary, telnet.SGA, telnet.Echo} {
		local, remote := r.Agreed(option)
		if local {
			us = append(us, option.String())
		}
		if remote {
			peer = append(peer, option.String())
		}
	}
	o.us, o.peer = strings.Join(us, " "), strings.Join(peer, " ")
	return o
}

// TestTranscripts replays what real servers sent: no loop, no command byte in
// the data, and the options and settings in the end that RFC 2217 gives.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/golden/*.txt")
	if err != nil || len(files) != len(transcripts) {
		t.Fatalf("%d transcripts, %d in the table (%v)", len(files), len(transcripts), err)
	}
	for _, file := range files {
		expected, ok := transcripts[filepath.Base(file)]
		if !ok {
			t.Errorf("%s is not in the table", file)
			continue
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			met := map[string]bool{}
			for _, rec := range readRecordings(t, file) {
				want, ok := expected.others[rec.name]
				if !ok {
					want = expected.usual
				}
				met[rec.name] = true
				t.Run(rec.name, func(t *testing.T) { checkRecording(t, rec.bytes, want) })
			}
			for name := range expected.others {
				if !met[name] {
					t.Errorf("the table has %q, the transcript has not", name)
				}
			}
		})
	}
}

func checkRecording(t *testing.T, all []byte, want outcome) {
	t.Helper()
	for _, size := range []int{len(all), 1, 2, 3, 5, 7, 16, 64} {
		if got := play(t, slices.Collect(slices.Chunk(all, size))); got != want {
			t.Fatalf("in pieces of %d\n got %+v\nwant %+v", size, got, want)
		}
	}
	// Every split in two; the long recordings repeat themselves after a while.
	for i := range min(len(all), 300) {
		if got := play(t, [][]byte{all[:i], all[i:]}); got != want {
			t.Fatalf("split at %d\n got %+v\nwant %+v", i, got, want)
		}
	}
}
