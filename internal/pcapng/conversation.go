package pcapng

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"
)

// Side is an end of a conversation.
type Side uint8

// The sides.
const (
	FromClient Side = iota
	FromServer
)

// other returns the other side.
func (s Side) other() Side { return 1 - s }

// TCP flags.
const (
	flagFIN = 0x01
	flagSYN = 0x02
	flagPSH = 0x08
	flagACK = 0x10
)

// Sizes, in bytes.
const (
	ethernetSize = 14
	ipSize       = 20
	tcpSize      = 20
	maxSegment   = 1460 // what an Ethernet frame has room for
)

const (
	etherTypeIPv4 = 0x0800
	protocolTCP   = 6
	dontFragment  = 0x4000
	hops          = 64
	window        = 0xffff
)

// Conversation is one TCP connection, as it would have looked.
type Conversation struct {
	w     *Writer
	ends  [2]netip.AddrPort
	next  [2]uint32 // the number of each side's next byte
	ids   [2]uint16 // of the next packet
	frame []byte

	telnet bool
	held   [2][]byte // of each side: the beginning of a command of Telnet
}

// NewConversation returns a connection of IPv4 addresses that has not begun.
func NewConversation(w *Writer, client, server netip.AddrPort) *Conversation {
	return &Conversation{w: w, ends: [2]netip.AddrPort{client, server}, next: [2]uint32{1000, 2000}}
}

// Open writes the three packets that a connection begins with.
func (c *Conversation) Open(at time.Time) error {
	for _, p := range []struct {
		from  Side
		flags byte
	}{{FromClient, flagSYN}, {FromServer, flagSYN | flagACK}, {FromClient, flagACK}} {
		if err := c.segment(at, p.from, p.flags, nil); err != nil {
			return err
		}
	}
	return nil
}

// Telnet has packets end between commands of Telnet: what Write is given of one is held
// until the rest comes, or Close, or too much.
func (c *Conversation) Telnet() { c.telnet = true }

// Write writes bytes that one side has sent, in as many packets as they take.
func (c *Conversation) Write(at time.Time, from Side, data []byte) error {
	if c.telnet {
		c.held[from] = append(c.held[from], data...)
		data = c.held[from]
		for n := whole(data, maxSegment); n > 0; n = whole(data, maxSegment) {
			if err := c.segment(at, from, flagPSH|flagACK, data[:n]); err != nil {
				return err
			}
			data = data[n:]
		}
		c.held[from] = c.held[from][:copy(c.held[from], data)]
		return nil
	}
	return c.write(at, from, data)
}

func (c *Conversation) write(at time.Time, from Side, data []byte) error {
	for len(data) > 0 {
		n := min(len(data), maxSegment)
		if err := c.segment(at, from, flagPSH|flagACK, data[:n]); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// Skip leaves out bytes that one side has sent and nobody knows: they look like packets
// that were not captured.
func (c *Conversation) Skip(at time.Time, from Side, n uint64) error {
	err := c.flush(at, from)
	c.next[from] += uint32(n) // it wraps around
	return err
}

// flush writes what is held.
func (c *Conversation) flush(at time.Time, from Side) error {
	held := c.held[from]
	c.held[from] = nil
	return c.write(at, from, held)
}

// Close writes the packets that a connection ends with.
func (c *Conversation) Close(at time.Time) error {
	if err := errors.Join(c.flush(at, FromClient), c.flush(at, FromServer)); err != nil {
		return err
	}
	for _, p := range []struct {
		from  Side
		flags byte
	}{{FromClient, flagFIN | flagACK}, {FromServer, flagFIN | flagACK}, {FromClient, flagACK}} {
		if err := c.segment(at, p.from, p.flags, nil); err != nil {
			return err
		}
	}
	return nil
}

// segment writes one packet.
func (c *Conversation) segment(at time.Time, from Side, flags byte, data []byte) error {
	src, dst := c.ends[from], c.ends[from.other()]
	b := binary.BigEndian
	f := c.frame[:0]
	f = append(f, hardware(from.other())...)
	f = append(f, hardware(from)...)
	f = b.AppendUint16(f, etherTypeIPv4)

	f = append(f, 0x45, 0) // version 4, five words
	f = b.AppendUint16(f, uint16(ipSize+tcpSize+len(data)))
	f = b.AppendUint16(f, c.ids[from])
	f = b.AppendUint16(f, dontFragment)
	f = append(f, hops, protocolTCP, 0, 0)
	f = append(f, src.Addr().AsSlice()...)
	f = append(f, dst.Addr().AsSlice()...)
	ip := f[ethernetSize:]
	b.PutUint16(ip[10:], checksum(0, ip))

	f = b.AppendUint16(f, src.Port())
	f = b.AppendUint16(f, dst.Port())
	f = b.AppendUint32(f, c.next[from])
	acknowledged := uint32(0)
	if flags&flagACK != 0 {
		acknowledged = c.next[from.other()]
	}
	f = b.AppendUint32(f, acknowledged)
	f = append(f, tcpSize/4<<4, flags)
	f = b.AppendUint16(f, window)
	f = append(f, 0, 0, 0, 0)
	f = append(f, data...)
	tcp := f[ethernetSize+ipSize:]
	pseudo := uint32(protocolTCP) + uint32(len(tcp)) + sum(ip[12:ipSize])
	b.PutUint16(tcp[16:], checksum(pseudo, tcp))

	c.frame = f
	c.ids[from]++
	c.next[from] += uint32(len(data))
	if flags&(flagSYN|flagFIN) != 0 {
		c.next[from]++
	}
	direction := uint32(outbound)
	if from == FromServer {
		direction = inbound
	}
	return c.w.packet(at, direction, f)
}

// hardware is a side's Ethernet address, one of those that everybody may give.
func hardware(s Side) []byte { return []byte{0x02, 0, 0, 0, 0, byte(s) + 1} }

// sum adds 16-bit words.
func sum(p []byte) (s uint32) {
	for ; len(p) > 1; p = p[2:] {
		s += uint32(p[0])<<8 | uint32(p[1])
	}
	if len(p) == 1 {
		s += uint32(p[0]) << 8
	}
	return s
}

// checksum is that of RFC 1071.
func checksum(s uint32, p []byte) uint16 {
	s += sum(p)
	for s>>16 != 0 {
		s = s&0xffff + s>>16
	}
	return ^uint16(s)
}
