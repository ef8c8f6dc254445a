package usbtty_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/vcomd/vcomd/internal/usbtty"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// The messages of a kernel, made word by word.

func words(w ...uint32) []byte {
	var b []byte
	for _, v := range w {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

const dev = deviceID

func submitOut(seq uint32, data string) []byte {
	return append(words(1, seq, dev, 0, 2, 0, uint32(len(data)), 0, 0, 0, 0, 0), data...)
}

func submitIn(seq, room uint32) []byte { return words(1, seq, dev, 1, 1, 0x200, room, 0, 0, 0, 0, 0) }

func unlink(seq, target uint32) []byte { return words(2, seq, dev, 0, 0, target, 0, 0, 0, 0, 0, 0) }

// control makes a control transfer from its SETUP packet: typ, code, value,
// index, length.
func control(seq uint32, typ, code byte, value, index, length uint16) []byte {
	b := words(1, seq, dev, uint32(typ>>7), 0, 0, uint32(length), 0, 0, 0)
	b = append(b, typ, code)
	for _, v := range []uint16{value, index, length} {
		b = binary.LittleEndian.AppendUint16(b, v)
	}
	return b
}

// pure is a device without a kernel. answers are what it sends, one line each:
// "ret 5 -32", "ret 5 0 len 2: 01 60", "unlink 6 -104". Which of them are for IN
// URBs it knows from what was fed.
type pure struct {
	t   testing.TB
	dev *usbtty.Device
	log *journal
	in  map[uint32]bool
}

func newPure(tb testing.TB) *pure {
	tb.Helper()
	p := &pure{t: tb, log: &journal{sent: true}, in: make(map[uint32]bool)}
	p.dev = usbtty.New(usbtty.Config{Device: dev, Serial: "GPS"}, p.log)
	return p
}

func (p *pure) feed(messages ...[]byte) {
	p.t.Helper()
	for _, m := range messages {
		p.in[binary.BigEndian.Uint32(m[4:])] = m[3] == 1 && m[15] == 1
		if err := p.dev.Feed(m); err != nil {
			p.t.Fatal(err)
		}
	}
}

func (p *pure) answers() []string {
	p.t.Helper()
	b := bytes.Clone(p.dev.Output())
	p.dev.Wrote(len(b))
	return parse(p.t, b, func(seq uint32) bool { return p.in[seq] })
}

func parse(tb testing.TB, b []byte, in func(seq uint32) bool) []string {
	tb.Helper()
	var all []string
	for len(b) > 0 {
		if len(b) < 48 {
			tb.Fatalf("%d bytes are left over", len(b))
		}
		var w [12]uint32
		for i := range w {
			w[i] = binary.BigEndian.Uint32(b[4*i:])
		}
		b = b[48:]
		for _, i := range []int{2, 3, 4, 7, 8, 9, 10, 11} {
			if w[i] != 0 {
				tb.Errorf("word %d of an answer is %#x", i, w[i])
			}
		}
		line := ""
		switch w[0] {
		case 3:
			line = fmt.Sprintf("ret %d %d", w[1], int32(w[5]))
			if w[6] > 0 {
				line += fmt.Sprintf(" len %d", w[6])
			}
			if w[6] > 0 && in(w[1]) {
				if int(w[6]) > len(b) {
					tb.Fatalf("%s, but %d bytes follow", line, len(b))
				}
				line += fmt.Sprintf(": % x", b[:w[6]])
				b = b[w[6]:]
			}
		case 4:
			line = fmt.Sprintf("unlink %d %d", w[1], int32(w[5]))
		default:
			tb.Fatalf("answer with command %d", w[0])
		}
		all = append(all, line)
	}
	return all
}

func (p *pure) expect(want ...string) {
	p.t.Helper()
	if got := p.answers(); !slices.Equal(got, want) {
		p.t.Errorf("the device answered\n\t%q, want\n\t%q", got, want)
	}
}

func (p *pure) told(want ...string) {
	p.t.Helper()
	if got := p.log.take(); !slices.Equal(got, want) {
		p.t.Errorf("the handler was told\n\t%q, want\n\t%q", got, want)
	}
}

// The first request that a kernel was seen to send, and the answer by the
// layouts of USB/IP and USB.
func TestFirstRequest(t *testing.T) {
	d := usbtty.New(usbtty.Config{Device: dev, Manufacturer: "m", Product: "p", Serial: "s"}, &journal{})
	err := d.Feed(unhex(t, "00000001 00000001 00010002 00000001 00000000 00000200 00000040 00000000 00000000 00000000 8006000100004000"))
	if err != nil {
		t.Fatal(err)
	}
	want := unhex(t, `00000003 00000001 00000000 00000000 00000000 00000000 00000012 00000000 00000000 00000000 00000000 00000000
		12 01 0002 00 00 00 40 0912 1722 0006 01 02 03 01`)
	if !bytes.Equal(d.Output(), want) {
		t.Errorf("the answer is\n\t%x, want\n\t%x", d.Output(), want)
	}
}

func TestStandardRequests(t *testing.T) {
	for _, c := range []struct {
		name                 string
		typ, code            byte
		value, index, length uint16
		want                 string
	}{
		{"device, cut", 0x80, 6, 0x0100, 0, 8, "ret 1 0 len 8: 12 01 00 02 00 00 00 40"},
		{"device of 64", 0x80, 6, 0x0100, 0, 64, "ret 1 0 len 18: 12 01 00 02 00 00 00 40 09 12 17 22 00 06 00 00 03 01"},
		{"configuration, head", 0x80, 6, 0x0200, 0, 9, "ret 1 0 len 9: 09 02 20 00 01 01 00 80 32"},
		{"configuration", 0x80, 6, 0x0200, 0, 32, "ret 1 0 len 32: 09 02 20 00 01 01 00 80 32 09 04 00 00 02 ff ff ff 00 " +
			"07 05 81 02 40 00 00 07 05 02 02 40 00 00"},
		{"second configuration", 0x80, 6, 0x0201, 0, 32, "ret 1 -32"},
		{"languages", 0x80, 6, 0x0300, 0, 255, "ret 1 0 len 4: 04 03 09 04"},
		{"serial number", 0x80, 6, 0x0303, 0x0409, 255, "ret 1 0 len 8: 08 03 47 00 50 00 53 00"},
		{"no manufacturer", 0x80, 6, 0x0301, 0x0409, 255, "ret 1 -32"},
		{"string 4", 0x80, 6, 0x0304, 0x0409, 255, "ret 1 -32"},
		{"string 255", 0x80, 6, 0x03ff, 0x0409, 255, "ret 1 -32"},
		{"qualifier", 0x80, 6, 0x0600, 0, 10, "ret 1 -32"},
		{"device status", 0x80, 0, 0, 0, 2, "ret 1 0 len 2: 00 00"},
		{"interface status", 0x81, 0, 0, 0, 2, "ret 1 0 len 2: 00 00"},
		{"endpoint status", 0x82, 0, 0, 0x81, 2, "ret 1 0 len 2: 00 00"},
		{"endpoint status of none", 0x82, 0, 0, 0x83, 2, "ret 1 -32"},
		{"clear halt", 0x02, 1, 0, 0x02, 0, "ret 1 0"},
		{"clear halt of none", 0x02, 1, 0, 0x01, 0, "ret 1 -32"},
		{"configuration before it is set", 0x80, 8, 0, 0, 1, "ret 1 0 len 1: 00"},
		{"set configuration", 0x00, 9, 1, 0, 0, "ret 1 0"},
		{"set configuration 2", 0x00, 9, 2, 0, 0, "ret 1 -32"},
		{"get interface", 0x81, 10, 0, 0, 1, "ret 1 0 len 1: 00"},
		{"set interface", 0x01, 11, 0, 0, 0, "ret 1 0"},
		{"set interface 1", 0x01, 11, 1, 0, 0, "ret 1 -32"},
		{"set address", 0x00, 5, 3, 0, 0, "ret 1 -32"},
		{"class request", 0x21, 0x20, 0, 0, 0, "ret 1 -32"},
		{"latency timer", 0xc0, 0x0a, 0, 0, 1, "ret 1 0 len 1: 10"},
		{"EEPROM", 0xc0, 0x90, 0, 0x0a, 2, "ret 1 0 len 2: ff ff"},
		{"modem status", 0xc0, 0x05, 0, 0, 2, "ret 1 0 len 2: 01 60"},
		{"modem status of one byte", 0xc0, 0x05, 0, 0, 1, "ret 1 0 len 1: 01"},
		{"bit mode", 0x40, 0x0b, 0x0101, 0, 0, "ret 1 -32"},
		{"reset 3", 0x40, 0x00, 3, 0, 0, "ret 1 -32"},
		{"event character", 0x40, 0x06, 0x010d, 0, 0, "ret 1 0"},
		{"error character", 0x40, 0x07, 0x0100, 0, 0, "ret 1 0"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPure(t)
			p.feed(control(1, c.typ, c.code, c.value, c.index, c.length))
			p.expect(c.want)
		})
	}
}

// What is set is what is asked afterwards.
func TestStoredValues(t *testing.T) {
	p := newPure(t)
	p.feed(control(1, 0x00, 9, 1, 0, 0), control(2, 0x80, 8, 0, 0, 1), control(3, 0x40, 9, 2, 0, 0), control(4, 0xc0, 0x0a, 0, 0, 1))
	p.expect("ret 1 0", "ret 2 0 len 1: 01", "ret 3 0", "ret 4 0 len 1: 02")
}

// A URB whose header and SETUP packet do not agree.
func TestControlMismatch(t *testing.T) {
	p := newPure(t)
	long := control(1, 0x80, 6, 0x0100, 0, 18)
	binary.BigEndian.PutUint32(long[24:], 5) // room for less than wLength
	p.feed(long)
	p.expect("ret 1 0 len 5: 12 01 00 02 00")

	out := control(2, 0x80, 6, 0x0100, 0, 3) // sends data with a request for data
	binary.BigEndian.PutUint32(out[12:], 0)
	p.feed(append(out, 1, 2, 3))
	p.expect("ret 2 -32")

	data := control(3, 0x40, 1, 0x0303, 0, 3) // a request with data that it does not need
	p.feed(append(data, 1, 2, 3))
	p.expect("ret 3 0 len 3")
	p.told("lines DTR|RTS of DTR|RTS")
}

func TestStrings(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"plain", "Ab", "0603 4100 6200"},
		{"beyond ASCII", "ä€", "0603 e400 ac20"},
		{"surrogates", "\U0001F600", "0603 3dd8 00de"},
		{"not UTF-8", "a\xffb", "0803 6100 fdff 6200"},
		{"control characters", "a\x00\n", "0803 6100 fdff fdff"},
		{"127 letters", strings.Repeat("x", 127), "fe03" + strings.Repeat("7800", 126)},
		{"a pair across the end", strings.Repeat("x", 125) + "\U0001F600", "fc03" + strings.Repeat("7800", 125)},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := usbtty.New(usbtty.Config{Serial: c.in}, &journal{})
			if err := d.Feed(control(1, 0x80, 6, 0x0303, 0x0409, 255)); err != nil {
				t.Fatal(err)
			}
			if got, want := d.Output()[48:], unhex(t, c.want); !bytes.Equal(got, want) {
				t.Errorf("the descriptor is\n\t%x, want\n\t%x", got, want)
			}
		})
	}
}

// What cannot be served is refused, and the stream stays in step.
func TestRefused(t *testing.T) {
	iso := func(seq, direction, endpoint, length, packets uint32) []byte {
		n := packets * 16
		if direction == 0 {
			n += length
		}
		return append(words(1, seq, dev, direction, endpoint, 0, length, 0, packets, 0, 0, 0), make([]byte, n)...)
	}
	for _, c := range []struct {
		name    string
		message []byte
		want    string
	}{
		{"isochronous in", iso(1, 1, 1, 512, 3), "ret 1 -22"},
		{"isochronous out", iso(1, 0, 2, 100, 2), "ret 1 -22"},
		{"no packets, the newer way", append(words(1, 1, dev, 0, 2, 0, 1, 0, 0xffffffff, 0, 0, 0), 'x'), ""},
		{"64 KiB", submitOut(1, strings.Repeat("x", 64<<10)), ""},
		{"more than 64 KiB", submitOut(1, strings.Repeat("x", 64<<10+1)), "ret 1 -90"},
		{"other endpoint out", append(words(1, 1, dev, 0, 3, 0, 4, 0, 0, 0, 0, 0), "abcd"...), "ret 1 -32"},
		{"other endpoint in", words(1, 1, dev, 1, 3, 0, 64, 0, 0, 0, 0, 0), "ret 1 -32"},
		{"the IN endpoint, out", append(words(1, 1, dev, 0, 1, 0, 4, 0, 0, 0, 0, 0), "abcd"...), "ret 1 -32"},
		{"the OUT endpoint, in", words(1, 1, dev, 1, 2, 0, 64, 0, 0, 0, 0, 0), "ret 1 -32"},
		{"room for less than a packet", submitIn(1, 63), "ret 1 -75"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := newPure(t)
			p.feed(c.message)
			if c.want == "" {
				p.expect()
			} else {
				p.expect(c.want)
				if n := p.dev.Counters(); n.Stalls+n.Refused != 1 {
					t.Errorf("counted: %+v", n)
				}
			}
			p.feed(control(2, 0xc0, 5, 0, 0, 2))
			if got := p.answers(); len(got) != 1 || !strings.HasPrefix(got[0], "ret 2 0 len 2: ") {
				t.Errorf("afterwards: %q", got)
			}
		})
	}
}

func TestManyURBs(t *testing.T) {
	p := newPure(t)
	for seq := range uint32(usbtty.MaxURBs) {
		p.feed(submitIn(seq+1, 512), submitOut(seq+1001, "x"))
	}
	p.expect()
	p.feed(submitIn(2001, 512), submitOut(2002, "x"))
	p.expect("ret 2001 -12", "ret 2002 -12")

	q := newPure(t)
	for seq := range uint32(4) {
		q.feed(submitOut(seq+1, strings.Repeat("x", 64<<10)))
	}
	q.expect()
	q.feed(submitOut(5, "x"))
	q.expect("ret 5 -12")
	if n := q.dev.Readable(); n != usbtty.MaxStored {
		t.Errorf("%d bytes wait", n)
	}
}

func TestStreamErrors(t *testing.T) {
	good := control(1, 0xc0, 5, 0, 0, 2)
	for _, c := range []struct {
		name    string
		message []byte
		want    error
	}{
		{"command 0", words(0, 2, dev, 0, 0, 0, 0, 0, 0, 0, 0, 0), usbtty.ErrCommand},
		{"an answer", words(3, 2, dev, 0, 0, 0, 0, 0, 0, 0, 0, 0), usbtty.ErrCommand},
		{"other device", words(1, 2, 0x00010003, 0, 2, 0, 0, 0, 0, 0, 0, 0), usbtty.ErrDevice},
		{"third direction", words(1, 2, dev, 2, 2, 0, 0, 0, 0, 0, 0, 0), usbtty.ErrDirection},
		{"negative length", words(1, 2, dev, 0, 2, 0, 0x80000000, 0, 0, 0, 0, 0), usbtty.ErrLength},
		{"negative packets", words(1, 2, dev, 0, 2, 0, 0, 0, 0xfffffffe, 0, 0, 0), usbtty.ErrLength},
	} {
		t.Run(c.name, func(t *testing.T) {
			for cut := range 48 {
				p := newPure(t)
				p.feed(good)
				first := p.dev.Feed(c.message[:cut])
				err := p.dev.Feed(c.message[cut:])
				var at *usbtty.StreamError
				if first != nil || !errors.Is(err, c.want) || !errors.As(err, &at) || at.Offset != 48 {
					t.Fatalf("cut at %d: %v, %v", cut, first, err)
				}
				p.expect("ret 1 0 len 2: 01 60")
				if again := p.dev.Feed(good); !errors.Is(again, err) {
					t.Errorf("afterwards: %v", again)
				}
				p.expect()
			}
		})
	}
}

func TestBacklog(t *testing.T) {
	d := usbtty.New(usbtty.Config{}, &journal{})
	m := control(1, 0x80, 6, 0x0200, 0, 255)
	var err error
	fed := 0
	for ; err == nil && fed < 100_000; fed++ {
		err = d.Feed(m)
	}
	if !errors.Is(err, usbtty.ErrBacklog) {
		t.Fatalf("after %d requests: %v", fed, err)
	}
	if n := len(d.Output()); n <= usbtty.MaxOutput || n > usbtty.MaxOutput+4096 {
		t.Errorf("%d bytes wait", n)
	}
}

// A session, in pieces of all kinds, has one outcome.
func TestSplit(t *testing.T) {
	session := slices.Concat(
		control(1, 0x80, 6, 0x0100, 0, 64), control(2, 0x00, 9, 1, 0, 0), control(3, 0x40, 0, 0, 0, 0),
		control(4, 0x40, 4, 0x0207, 0, 0), control(5, 0x40, 3, 0x4138, 0, 0), submitIn(6, 512), submitIn(7, 512),
		control(8, 0x40, 1, 0x0303, 0, 0), submitOut(9, "hello"), submitOut(10, ""),
		words(1, 11, dev, 0, 2, 0, 3, 0, 1, 0, 0, 0), []byte("xyz0123456789abcdef"), submitOut(12, " world"),
		append(control(13, 0x40, 1, 0x0202, 0, 2), 1, 2),
		unlink(14, 12), control(15, 0x40, 1, 0x0300, 0, 0), unlink(16, 6), unlink(17, 7),
	)
	run := func(cuts ...int) (string, []byte) {
		log := &journal{}
		d := usbtty.New(usbtty.Config{Device: dev}, log)
		log.hook = func(line string) {
			switch line {
			case "written":
				var b [3]byte
				n := d.Read(b[:])
				log.lines = append(log.lines, fmt.Sprintf("read %q", b[:n]))
			case "room":
				d.SetModem(comport.ModemCTS)
			}
		}
		rest := session
		for _, c := range cuts {
			if err := d.Feed(rest[:c]); err != nil {
				t.Fatal(err)
			}
			rest = rest[c:]
		}
		if err := d.Feed(rest); err != nil {
			t.Fatal(err)
		}
		return strings.Join(log.lines, "\n"), bytes.Clone(d.Output())
	}
	told, output := run()
	want := []string{
		"opened", "settings 9600 7E1 flow none", // by the format
		"settings 9600 7E1 flow none", // by the speed
		"room", "room",                // the first IN URB went for CTS
		"lines DTR|RTS of DTR|RTS",
		"written", `read "hel"`, "lines RTS of RTS", "lines 0 of DTR|RTS", "closed",
	}
	if told != strings.Join(want, "\n") {
		t.Errorf("the handler was told\n%s", told)
	}
	in := func(seq uint32) bool { return seq == 1 || seq == 6 || seq == 7 }
	answers := parse(t, output, in)
	wantAnswers := []string{
		"ret 1 0 len 18: 12 01 00 02 00 00 00 40 09 12 17 22 00 06 00 00 00 01", "ret 2 0", "ret 3 0", "ret 4 0", "ret 5 0",
		"ret 6 0 len 2: 11 60", "ret 8 0", "ret 11 -22", "ret 13 0 len 2", "unlink 14 -104", "ret 15 0",
		"unlink 16 0", "unlink 17 -104",
	}
	if !slices.Equal(answers, wantAnswers) {
		t.Errorf("the answers are\n\t%q, want\n\t%q", answers, wantAnswers)
	}
	for i := range session {
		if a, b := run(i); a != told || !bytes.Equal(b, output) {
			t.Fatalf("cut at %d, it is another session", i)
		}
	}
	if a, b := run(slices.Repeat([]int{1}, len(session))...); a != told || !bytes.Equal(b, output) {
		t.Error("byte by byte, it is another session")
	}
}
