package comport_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// golden is written by hand from RFC 2217, sections 2 to 5: payload to the
// server, payload to the client, message, text.
var golden = []struct {
	toServer, toClient string
	message            comport.Message
	text               string
}{
	{"00", "64", comport.SignatureText{}, "SIGNATURE ?"},
	{"00 41 62", "64 41 62", comport.SignatureText{Text: "Ab"}, `SIGNATURE "Ab"`},
	{"00 1b 5b", "64 1b 5b", comport.SignatureText{Text: "\x1b["}, `SIGNATURE "\x1b["`},
	{"01 00 00 00 00", "65 00 00 00 00", comport.SetBaudRate{}, "SET-BAUDRATE ?"},
	{"01 00 00 25 80", "65 00 00 25 80", comport.SetBaudRate{Rate: 9600}, "SET-BAUDRATE 9600"},
	{"01 00 01 c2 00", "65 00 01 c2 00", comport.SetBaudRate{Rate: 115200}, "SET-BAUDRATE 115200"},
	{"01 00 00 ff 00", "65 00 00 ff 00", comport.SetBaudRate{Rate: 65280}, "SET-BAUDRATE 65280"},
	{"01 ff ff ff ff", "65 ff ff ff ff", comport.SetBaudRate{Rate: 4294967295}, "SET-BAUDRATE 4294967295"},
	{"02 00", "66 00", comport.SetDataSize{}, "SET-DATASIZE ?"},
	{"02 05", "66 05", comport.SetDataSize{Size: 5}, "SET-DATASIZE 5"},
	{"02 08", "66 08", comport.SetDataSize{Size: 8}, "SET-DATASIZE 8"},
	{"03 00", "67 00", comport.SetParity{}, "SET-PARITY ?"},
	{"03 01", "67 01", comport.SetParity{Parity: comport.ParityNone}, "SET-PARITY none"},
	{"03 02", "67 02", comport.SetParity{Parity: comport.ParityOdd}, "SET-PARITY odd"},
	{"03 03", "67 03", comport.SetParity{Parity: comport.ParityEven}, "SET-PARITY even"},
	{"03 04", "67 04", comport.SetParity{Parity: comport.ParityMark}, "SET-PARITY mark"},
	{"03 05", "67 05", comport.SetParity{Parity: comport.ParitySpace}, "SET-PARITY space"},
	{"03 09", "67 09", comport.SetParity{Parity: 9}, "SET-PARITY Parity(9)"},
	{"04 00", "68 00", comport.SetStopSize{}, "SET-STOPSIZE ?"},
	{"04 01", "68 01", comport.SetStopSize{Size: comport.StopSize1}, "SET-STOPSIZE 1"},
	{"04 02", "68 02", comport.SetStopSize{Size: comport.StopSize2}, "SET-STOPSIZE 2"},
	{"04 03", "68 03", comport.SetStopSize{Size: comport.StopSize15}, "SET-STOPSIZE 1.5"},
	{"04 07", "68 07", comport.SetStopSize{Size: 7}, "SET-STOPSIZE StopSize(7)"},
	{"05 00", "69 00", comport.SetControl{Control: comport.ControlQueryFlow}, "SET-CONTROL flow=?"},
	{"05 01", "69 01", comport.SetControl{Control: comport.ControlFlowNone}, "SET-CONTROL flow=none"},
	{"05 02", "69 02", comport.SetControl{Control: comport.ControlFlowXonXoff}, "SET-CONTROL flow=xonxoff"},
	{"05 03", "69 03", comport.SetControl{Control: comport.ControlFlowHardware}, "SET-CONTROL flow=hardware"},
	{"05 04", "69 04", comport.SetControl{Control: comport.ControlQueryBreak}, "SET-CONTROL break=?"},
	{"05 05", "69 05", comport.SetControl{Control: comport.ControlBreakOn}, "SET-CONTROL break=on"},
	{"05 06", "69 06", comport.SetControl{Control: comport.ControlBreakOff}, "SET-CONTROL break=off"},
	{"05 07", "69 07", comport.SetControl{Control: comport.ControlQueryDTR}, "SET-CONTROL DTR=?"},
	{"05 08", "69 08", comport.SetControl{Control: comport.ControlDTROn}, "SET-CONTROL DTR=on"},
	{"05 09", "69 09", comport.SetControl{Control: comport.ControlDTROff}, "SET-CONTROL DTR=off"},
	{"05 0a", "69 0a", comport.SetControl{Control: comport.ControlQueryRTS}, "SET-CONTROL RTS=?"},
	{"05 0b", "69 0b", comport.SetControl{Control: comport.ControlRTSOn}, "SET-CONTROL RTS=on"},
	{"05 0c", "69 0c", comport.SetControl{Control: comport.ControlRTSOff}, "SET-CONTROL RTS=off"},
	{"05 0d", "69 0d", comport.SetControl{Control: comport.ControlQueryInbound}, "SET-CONTROL inbound=?"},
	{"05 0e", "69 0e", comport.SetControl{Control: comport.ControlInboundNone}, "SET-CONTROL inbound=none"},
	{"05 0f", "69 0f", comport.SetControl{Control: comport.ControlInboundXonXoff}, "SET-CONTROL inbound=xonxoff"},
	{"05 10", "69 10", comport.SetControl{Control: comport.ControlInboundHardware}, "SET-CONTROL inbound=hardware"},
	{"05 11", "69 11", comport.SetControl{Control: comport.ControlFlowDCD}, "SET-CONTROL flow=DCD"},
	{"05 12", "69 12", comport.SetControl{Control: comport.ControlInboundDTR}, "SET-CONTROL inbound=DTR"},
	{"05 13", "69 13", comport.SetControl{Control: comport.ControlFlowDSR}, "SET-CONTROL flow=DSR"},
	{"05 14", "69 14", comport.SetControl{Control: 20}, "SET-CONTROL Control(20)"},
	{"06 00", "6a 00", comport.NotifyLineState{}, "NOTIFY-LINESTATE 0"},
	{
		"06 60", "6a 60",
		comport.NotifyLineState{State: comport.LineTransmitterEmpty | comport.LineHoldingEmpty},
		"NOTIFY-LINESTATE TSRE|THRE",
	},
	{
		"06 9f", "6a 9f",
		comport.NotifyLineState{State: comport.LineTimeoutError | comport.LineErrors | comport.LineDataReady},
		"NOTIFY-LINESTATE TIMEOUT|BREAK|FRAMING|PARITY|OVERRUN|DATA",
	},
	{
		"07 90", "6b 90",
		comport.NotifyModemState{State: comport.ModemDCD | comport.ModemCTS},
		"NOTIFY-MODEMSTATE DCD|CTS",
	},
	{"07 ff", "6b ff", comport.NotifyModemState{State: 255}, "NOTIFY-MODEMSTATE DCD|RI|DSR|CTS|ΔDCD|RI↓|ΔDSR|ΔCTS"},
	{"08", "6c", comport.FlowControlSuspend{}, "FLOWCONTROL-SUSPEND"},
	{"09", "6d", comport.FlowControlResume{}, "FLOWCONTROL-RESUME"},
	{"0a 10", "6e 10", comport.SetLineStateMask{Mask: comport.LineBreak}, "SET-LINESTATE-MASK BREAK"},
	{"0b f0", "6f f0", comport.SetModemStateMask{Mask: comport.ModemLevels}, "SET-MODEMSTATE-MASK DCD|RI|DSR|CTS"},
	{"0c 01", "70 01", comport.PurgeData{What: comport.PurgeReceive}, "PURGE-DATA receive"},
	{"0c 02", "70 02", comport.PurgeData{What: comport.PurgeTransmit}, "PURGE-DATA transmit"},
	{"0c 03", "70 03", comport.PurgeData{What: comport.PurgeBoth}, "PURGE-DATA both"},
	{"0c 00", "70 00", comport.PurgeData{}, "PURGE-DATA Purge(0)"},
}

func TestGolden(t *testing.T) {
	for _, g := range golden {
		for dir, payload := range map[comport.Direction]string{comport.ToServer: g.toServer, comport.ToClient: g.toClient} {
			wire := unhex(t, payload)
			if got := comport.Append(nil, dir, g.message); !bytes.Equal(got, wire) {
				t.Errorf("Append(%v, %v) = % x, want % x", dir, g.text, got, wire)
			}
			gotDir, got, err := comport.Parse(wire)
			if err != nil || gotDir != dir || got != g.message {
				t.Errorf("Parse(% x) = %v, %#v, %v, want %v, %#v", wire, gotDir, got, err, dir, g.message)
			}
		}
		if got := g.message.String(); got != g.text {
			t.Errorf("%#v prints %q, want %q", g.message, got, g.text)
		}
		if got := g.message.Command(); byte(got) != unhex(t, g.toServer)[0] {
			t.Errorf("%s: Command() = %d", g.text, got)
		}
	}
}

func TestParseTolerance(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	for _, tt := range []struct {
		name    string
		payload []byte
		dir     comport.Direction
		want    comport.Message
	}{
		{"sredird's 8-byte baud rate", unhex(t, "65 00 00 96 00 00 00 00 00"), comport.ToClient, comport.SetBaudRate{Rate: 38400}},
		{"size with a tail", unhex(t, "02 07 00"), comport.ToServer, comport.SetDataSize{Size: 7}},
		{"suspend with a tail", unhex(t, "08 01"), comport.ToServer, comport.FlowControlSuspend{}},
		{"notification with a tail", unhex(t, "6b 30 03"), comport.ToClient, comport.NotifyModemState{State: 0x30}},
		{"endless signature", append([]byte{100}, long...), comport.ToClient, comport.SignatureText{Text: long[:comport.MaxSignature]}},
	} {
		dir, got, err := comport.Parse(tt.payload)
		if err != nil || dir != tt.dir || got != tt.want {
			t.Errorf("%s: %v, %#v, %v", tt.name, dir, got, err)
		}
	}
}

func TestParseErrors(t *testing.T) {
	for _, tt := range []struct {
		payload string
		want    comport.ParseError
	}{
		{"", comport.ParseError{Err: comport.ErrEmpty}},
		{"01", comport.ParseError{Code: 1, Err: comport.ErrShort}},
		{"65 00 25 80", comport.ParseError{Code: 101, Length: 3, Err: comport.ErrShort}},
		{"06", comport.ParseError{Code: 6, Err: comport.ErrShort}},
		{"6b", comport.ParseError{Code: 107, Err: comport.ErrShort}},
		{"70", comport.ParseError{Code: 112, Err: comport.ErrShort}},
		{"0d 01", comport.ParseError{Code: 13, Length: 1, Err: comport.ErrUnknownCommand}},
		{"63", comport.ParseError{Code: 99, Err: comport.ErrUnknownCommand}},
		{"71", comport.ParseError{Code: 113, Err: comport.ErrUnknownCommand}},
		{"ff ff", comport.ParseError{Code: 255, Length: 1, Err: comport.ErrUnknownCommand}},
	} {
		_, m, err := comport.Parse(unhex(t, tt.payload))
		var pe *comport.ParseError
		if m != nil || !errors.As(err, &pe) || *pe != tt.want || !errors.Is(err, tt.want.Err) {
			t.Errorf("Parse(%s) = %v, %v, want %v", tt.payload, m, err, &tt.want)
		}
	}
}

func TestParseKeepsNothing(t *testing.T) {
	payload := []byte("\x64name")
	_, m, err := comport.Parse(payload)
	clear(payload)
	if err != nil || m != (comport.SignatureText{Text: "name"}) {
		t.Errorf("got %#v, %v", m, err)
	}
}

func TestAppendDoesNotAllocate(t *testing.T) {
	buf := make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		buf = comport.Append(buf[:0], comport.ToServer, comport.SetBaudRate{Rate: 115200})
		buf = comport.Append(buf, comport.ToServer, comport.SetDataSize{Size: 8})
		buf = comport.Append(buf, comport.ToClient, comport.SetControl{Control: comport.ControlDTROn})
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if got := comport.Append(buf[:0], comport.ToServer, nil); len(got) != 0 {
		t.Errorf("nil message appended % x", got)
	}
}

func TestControlGroups(t *testing.T) {
	// By value, from RFC 2217, section 3.
	want := []comport.ControlGroup{
		comport.GroupFlow, comport.GroupFlow, comport.GroupFlow, comport.GroupFlow,
		comport.GroupBreak, comport.GroupBreak, comport.GroupBreak,
		comport.GroupDTR, comport.GroupDTR, comport.GroupDTR,
		comport.GroupRTS, comport.GroupRTS, comport.GroupRTS,
		comport.GroupInbound, comport.GroupInbound, comport.GroupInbound, comport.GroupInbound,
		comport.GroupFlow, comport.GroupInbound, comport.GroupFlow,
	}
	queries := []comport.Control{0, 4, 7, 10, 13}
	for c := range comport.Control(255) {
		group := comport.GroupUnknown
		if int(c) < len(want) {
			group = want[c]
		}
		if c.Group() != group {
			t.Errorf("%d: group %v, want %v", c, c.Group(), group)
		}
		if c.IsQuery() != slices.Contains(queries, c) {
			t.Errorf("%d: IsQuery() = %v", c, c.IsQuery())
		}
	}
}

func TestModemDeltas(t *testing.T) {
	// 16550 modem status register: RI raises its bit only on the trailing edge.
	for _, tt := range []struct{ old, now, want comport.ModemState }{
		{0, 0, 0},
		{0, comport.ModemCTS, comport.ModemDeltaCTS},
		{comport.ModemCTS, 0, comport.ModemDeltaCTS},
		{0, comport.ModemDSR | comport.ModemDCD, comport.ModemDeltaDSR | comport.ModemDeltaDCD},
		{0, comport.ModemRI, 0},
		{comport.ModemRI, comport.ModemDCD, comport.ModemTrailingRI | comport.ModemDeltaDCD},
		{comport.ModemCTS | comport.ModemDeltaCTS, comport.ModemCTS, 0},
	} {
		if got := tt.now.DeltasSince(tt.old); got != tt.want {
			t.Errorf("%v since %v: %v, want %v", tt.now, tt.old, got, tt.want)
		}
	}
}

func TestStateSet(t *testing.T) {
	full := comport.State{
		BaudRate: 9600, DataSize: 8, Parity: comport.ParityNone, StopSize: comport.StopSize1,
		Outbound: comport.ControlFlowHardware, Inbound: comport.ControlInboundXonXoff,
		DTR: comport.ControlDTROn, RTS: comport.ControlRTSOff, Break: comport.ControlBreakOff,
	}
	var s comport.State
	var sent []comport.Message
	for m := range full.Requests() {
		sent = append(sent, m)
		if !s.Set(m) {
			t.Errorf("%v is not known", m)
		}
	}
	if s != full {
		t.Errorf("state %v, want %v", s, full)
	}
	want := []comport.Message{
		comport.SetBaudRate{Rate: 9600},
		comport.SetDataSize{Size: 8},
		comport.SetParity{Parity: 1},
		comport.SetStopSize{Size: 1},
		comport.SetControl{Control: 3},
		comport.SetControl{Control: 15},
		comport.SetControl{Control: 8},
		comport.SetControl{Control: 12},
		comport.SetControl{Control: 6},
	}
	if !reflect.DeepEqual(sent, want) {
		t.Errorf("requests %v, want %v", sent, want)
	}
	for range full.Requests() {
		break // an early stop must not panic
	}
	for _, m := range []comport.Message{
		comport.SetBaudRate{},
		comport.SetDataSize{},
		comport.SetDataSize{Size: 9},
		comport.SetParity{},
		comport.SetParity{Parity: 6},
		comport.SetStopSize{},
		comport.SetStopSize{Size: 4},
		comport.SetControl{},
		comport.SetControl{Control: 4},
		comport.SetControl{Control: 7},
		comport.SetControl{Control: 10},
		comport.SetControl{Control: 13},
		comport.SetControl{Control: 20},
		comport.NotifyModemState{State: 3},
		comport.PurgeData{What: 1},
		comport.SignatureText{Text: "x"},
		comport.FlowControlSuspend{},
		nil,
	} {
		if s.Set(m) || s != full {
			t.Errorf("%#v changed the state to %v", m, s)
		}
	}
	s.Set(comport.SetControl{Control: comport.ControlFlowNone})
	if s.Outbound != comport.ControlFlowNone || s.Inbound != 0 {
		t.Errorf("new outbound flow control left %v", s)
	}
}

func TestStateText(t *testing.T) {
	for _, tt := range []struct {
		state      comport.State
		text, line string
		halfBits   int
	}{
		{comport.State{}, "", "", 20},
		{comport.State{BaudRate: 300}, "300", "300", 20},
		{comport.State{DataSize: 7}, "7??", "7??", 18},
		{
			comport.State{BaudRate: 9600, DataSize: 8, Parity: 1, StopSize: 1, Outbound: 3, DTR: 8, RTS: 12},
			"9600-8N1 flow=hardware DTR=on RTS=off", "9600-8N1", 20,
		},
		{comport.State{BaudRate: 9600, DataSize: 7, Parity: 3, StopSize: 1}, "9600-7E1", "9600-7E1", 20},
		{comport.State{BaudRate: 50, DataSize: 5, Parity: 2, StopSize: 3, Break: 5}, "50-5O1.5 break=on", "50-5O1.5", 17},
		{comport.State{BaudRate: 19200, DataSize: 8, Parity: 4, StopSize: 2, Inbound: 18}, "19200-8M2 inbound=DTR", "19200-8M2", 24},
	} {
		if got := tt.state.String(); got != tt.text {
			t.Errorf("String() = %q, want %q", got, tt.text)
		}
		if got := tt.state.Line(); got != tt.line {
			t.Errorf("Line() = %q, want %q", got, tt.line)
		}
		if got := tt.state.CharHalfBits(); got != tt.halfBits {
			t.Errorf("%s: CharHalfBits() = %d, want %d", tt.text, got, tt.halfBits)
		}
	}
}

func TestPrintable(t *testing.T) {
	for _, tt := range []struct {
		in    string
		limit int
		want  string
	}{
		{"", 10, ""},
		{"ser2net", 10, "ser2net"},
		{"abcdef", 3, "abc..."},
		{"a\x1b]0;b\a\n", 20, `a\x1b]0;b\a\n`},
		{"\u202egnp", 20, `\u202egnp`},
		{"\xff\xfe", 20, `\xff\xfe`},
		{"aéé", 2, "a..."},
		{"\x80\x80\x80\x80\x80\x80\x80\x80", 6, `\x80\x80...`},
		{"abc", 0, "..."},
		{"abc", -1, "..."},
	} {
		if got := comport.Printable(tt.in, tt.limit); got != tt.want {
			t.Errorf("Printable(%q, %d) = %q, want %q", tt.in, tt.limit, got, tt.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, g := range golden {
		f.Add(unhex(f, g.toServer))
		f.Add(unhex(f, g.toClient))
	}
	f.Add([]byte{101, 0, 0, 0x96, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, payload []byte) {
		dir, m, err := comport.Parse(payload)
		if err != nil {
			if m != nil {
				t.Fatalf("message %v with error %v", m, err)
			}
			_ = err.Error()
			return
		}
		if text := m.String(); strings.ContainsAny(text, "\x1b\r\n\x00") {
			t.Fatalf("unsafe text %q", text)
		}
		_ = comport.IsQuery(m)
		var s comport.State
		s.Set(m)
		if got := s.CharHalfBits(); got < 14 || got > 24 {
			t.Fatalf("%d half bits in %v", got, s)
		}
		wire := comport.Append(nil, dir, m)
		if !bytes.HasPrefix(payload, wire) {
			t.Fatalf("% x was rewritten as % x", payload, wire)
		}
		dir2, m2, err := comport.Parse(wire)
		if err != nil || dir2 != dir || m2 != m {
			t.Fatalf("second pass: %v %v %v, first: %v %v", dir2, m2, err, dir, m)
		}
	})
}
