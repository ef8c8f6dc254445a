package pcapng

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// block is a block of a file, without type and lengths.
type block struct {
	kind uint32
	body []byte
}

// read takes a file apart as the draft says.
func read(t *testing.T, file []byte) (all []block) {
	t.Helper()
	for len(file) > 0 {
		if len(file) < 12 {
			t.Fatalf("%d bytes are left", len(file))
		}
		n := binary.LittleEndian.Uint32(file[4:])
		if n%4 != 0 || int(n) > len(file) || binary.LittleEndian.Uint32(file[n-4:]) != n {
			t.Fatalf("a block of length %d in %d bytes", n, len(file))
		}
		all = append(all, block{binary.LittleEndian.Uint32(file), file[8 : n-4]})
		file = file[n:]
	}
	return all
}

// packet is a packet of a conversation, as a receiver understands it.
type packet struct {
	at       time.Time
	src, dst uint16
	seq, ack uint32
	flags    byte
	data     string
	inbound  bool
}

// ones is the sum of 16-bit words in ones' complement (RFC 1071): 0xffff with a right
// checksum among them.
func ones(parts ...[]byte) uint16 {
	var s uint64
	for _, p := range parts {
		if len(p)%2 == 1 {
			p = append(bytes.Clone(p), 0)
		}
		for i := 0; i < len(p); i += 2 {
			s += uint64(binary.BigEndian.Uint16(p[i:]))
		}
	}
	for s > 0xffff {
		s = s&0xffff + s>>16
	}
	return uint16(s)
}

func parse(t *testing.T, b block) packet {
	t.Helper()
	le, be := binary.LittleEndian, binary.BigEndian
	if b.kind != 6 || le.Uint32(b.body) != 0 {
		t.Fatalf("no packet of interface 0: %x", b.body)
	}
	ns := uint64(le.Uint32(b.body[4:]))<<32 | uint64(le.Uint32(b.body[8:]))
	n := le.Uint32(b.body[12:])
	if le.Uint32(b.body[16:]) != n {
		t.Error("a packet is cut short")
	}
	f := b.body[20 : 20+n]
	options := b.body[20+(n+3)/4*4:]
	if !bytes.Equal(options[:4], []byte{2, 0, 4, 0}) || !bytes.Equal(options[8:], []byte{0, 0, 0, 0}) {
		t.Errorf("options %x", options)
	}
	ip := f[14:]
	if be.Uint16(f[12:]) != 0x0800 || ip[0] != 0x45 || int(be.Uint16(ip[2:])) != len(ip) || ip[9] != 6 {
		t.Fatalf("no TCP in IPv4: %x", f)
	}
	if s := ones(ip[:20]); s != 0xffff {
		t.Errorf("IP checksum: the sum is %#x", s)
	}
	tcp := ip[20:]
	if s := ones(ip[12:20], []byte{0, 6}, be.AppendUint16(nil, uint16(len(tcp))), tcp); s != 0xffff {
		t.Errorf("TCP checksum: the sum is %#x", s)
	}
	return packet{
		time.Unix(0, int64(ns)), be.Uint16(tcp), be.Uint16(tcp[2:]), be.Uint32(tcp[4:]), be.Uint32(tcp[8:]), tcp[13],
		string(tcp[tcp[12]>>4*4:]), le.Uint32(options[4:]) == 1,
	}
}

var (
	client = netip.MustParseAddrPort("192.0.2.1:50000")
	server = netip.MustParseAddrPort("192.0.2.2:23")
)

// TestConversation: what a receiver makes of the packets is what was written.
func TestConversation(t *testing.T) {
	var file bytes.Buffer
	w, err := NewWriter(&file, "vcomd", "tty")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 678901234, time.UTC)
	long := bytes.Repeat([]byte("0123456789"), 500)
	c := NewConversation(w, client, server)
	for _, err := range []error{
		c.Open(at), c.Write(at, FromClient, []byte("odd")), c.Write(at.Add(time.Second), FromServer, long), c.Write(at, FromClient, nil),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(c.Skip(at, FromServer, 100), c.Write(at, FromServer, []byte("after")), c.Close(at)); err != nil {
		t.Fatal(err)
	}
	blocks := read(t, file.Bytes())
	if blocks[0].kind != 0x0a0d0d0a || binary.LittleEndian.Uint32(blocks[0].body) != 0x1a2b3c4d || blocks[1].kind != 1 {
		t.Fatalf("the head is %x, %x", blocks[0], blocks[1])
	}
	// if_tsresol of 10^-9, behind if_name with its padding.
	if want := []byte{2, 0, 3, 0, 't', 't', 'y', 0, 9, 0, 1, 0, 9, 0, 0, 0, 0, 0, 0, 0}; !bytes.Equal(blocks[1].body[8:], want) {
		t.Errorf("the interface's options are %x, want %x", blocks[1].body[8:], want)
	}
	packets := make([]packet, 0, len(blocks))
	for _, b := range blocks[2:] {
		packets = append(packets, parse(t, b))
	}
	// Three to begin, one, four for 5,000 bytes, one, three to end.
	if len(packets) != 12 {
		t.Fatalf("%d packets", len(packets))
	}
	streams := map[uint16]*struct {
		next uint32
		data string
		gaps uint32
	}{50000: {}, 23: {}}
	for i, p := range packets {
		s, other := streams[p.src], streams[p.dst]
		switch {
		case p.flags&0x02 != 0:
			s.next = p.seq
		case p.seq != s.next:
			s.gaps += p.seq - s.next
			s.next = p.seq
		}
		if p.flags&0x10 != 0 && i != 8 && p.ack != other.next && s.gaps+other.gaps == 0 {
			t.Errorf("packet %d acknowledges %d, want %d", i, p.ack, other.next)
		}
		s.data += p.data
		s.next += uint32(len(p.data))
		if p.flags&0x03 != 0 {
			s.next++
		}
		if p.inbound != (p.src == 23) {
			t.Errorf("packet %d goes the other way", i)
		}
		if want := at; i >= 4 && i < 8 {
			if want = at.Add(time.Second); !p.at.Equal(want) {
				t.Errorf("packet %d is of %v, want %v", i, p.at, want)
			}
		} else if !p.at.Equal(want) {
			t.Errorf("packet %d is of %v, want %v", i, p.at, want)
		}
	}
	if got := streams[50000].data; got != "odd" {
		t.Errorf("the client has sent %q", got)
	}
	if got := streams[23]; got.data != string(long)+"after" || got.gaps != 100 {
		t.Errorf("the server has sent %d bytes with a gap of %d", len(got.data), got.gaps)
	}
}

// TestTelnet: packets end between commands, however the bytes came.
func TestTelnet(t *testing.T) {
	long := "\xff\xfa\x2c" + string(bytes.Repeat([]byte{'x'}, 3000)) + "\xff\xf0"
	for _, c := range []struct {
		name  string
		comes []string
		want  []string
	}{
		{"data", []string{"ab", "c"}, []string{"ab", "c"}},
		{"a verb in three", []string{"\xff", "\xfb", "\x2c"}, []string{"\xff\xfb\x2c"}},
		{"data before a part", []string{"ab\xff", "\xff"}, []string{"ab", "\xff\xff"}},
		{"a command of two", []string{"\xff\xf3a"}, []string{"\xff\xf3a"}},
		{"a message in two", []string{"\xff\xfa\x2c\x01\xff\xff", "\x00\xff", "\xf0b"}, []string{"\xff\xfa\x2c\x01\xff\xff\x00\xff\xf0b"}},
		{"one that never ends", []string{"\xff\xfa\x2c", "\xff\xfb\x2c"}, []string{"\xff\xfa\x2c\xff\xfb\x2c"}},
		{"the end of the last", []string{"\xff\xfa\x2c"}, []string{"\xff\xfa\x2c"}},
		{"one too long", []string{long}, []string{long[:1460], long[1460:2920], long[2920:]}},
		{"one at the end of a packet", []string{string(bytes.Repeat([]byte{'y'}, 1459)) + "\xff\xfb\x2c"}, []string{string(bytes.Repeat([]byte{'y'}, 1459)), "\xff\xfb\x2c"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var file bytes.Buffer
			w, err := NewWriter(&file, "", "")
			if err != nil {
				t.Fatal(err)
			}
			conversation := NewConversation(w, client, server)
			conversation.Telnet()
			for _, p := range c.comes {
				if err := conversation.Write(time.Now(), FromServer, []byte(p)); err != nil {
					t.Fatal(err)
				}
			}
			if err := conversation.Close(time.Now()); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, b := range read(t, file.Bytes())[2:] {
				if p := parse(t, b); p.data != "" {
					got = append(got, p.data)
				}
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("packets %q, want %q", got, c.want)
			}
		})
	}
}

// TestEndOfDisk: a file that cannot be written is told.
func TestEndOfDisk(t *testing.T) {
	full := errors.New("no space left")
	w := &failing{left: 2, err: full}
	p, err := NewWriter(w, "", "")
	if err != nil {
		t.Fatal(err)
	}
	c := NewConversation(p, client, server)
	if err := c.Open(time.Now()); !errors.Is(err, full) {
		t.Errorf("%v, want %v", err, full)
	}
	if _, err := NewWriter(&failing{err: full}, "", ""); !errors.Is(err, full) {
		t.Errorf("%v, want %v", err, full)
	}
}

// failing is a file with room for so many writes.
type failing struct {
	left int
	err  error
}

func (f *failing) Write(p []byte) (int, error) {
	if f.left--; f.left < 0 {
		return 0, f.err
	}
	return len(p), nil
}

// FuzzConversation: whatever passes, the file can be read.
func FuzzConversation(f *testing.F) {
	f.Add([]byte{0, 1, 2}, uint64(3), int64(0))
	f.Add(bytes.Repeat([]byte{0xff}, 4000), uint64(1)<<40, int64(-1))
	f.Fuzz(func(t *testing.T, data []byte, skip uint64, at int64) {
		var file bytes.Buffer
		w, err := NewWriter(&file, string(data), string(data))
		if err != nil {
			t.Fatal(err)
		}
		c := NewConversation(w, client, server)
		when := time.Unix(at, 0)
		if skip%2 == 0 {
			c.Telnet()
		}
		_ = c.Write(when, FromClient, data)
		_ = c.Skip(when, FromServer, skip)
		for _, b := range data {
			_ = c.Write(when, FromServer, []byte{b})
		}
		_ = c.Close(when)
		var got [2]string
		for _, b := range read(t, file.Bytes())[2:] {
			p := parse(t, b)
			if p.inbound {
				got[1] += p.data
			} else {
				got[0] += p.data
			}
		}
		if got != [2]string{string(data), string(data)} {
			t.Errorf("%d and %d bytes, want %d each", len(got[0]), len(got[1]), len(data))
		}
	})
}
