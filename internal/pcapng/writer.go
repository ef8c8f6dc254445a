package pcapng

import (
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// Block types and options of draft-ietf-opsawg-pcapng.
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 6 // enhanced

	byteOrder    = 0x1a2b3c4d
	linkEthernet = 1

	optionEnd         = 0
	optionApplication = 4 // of a section
	optionName        = 2 // of an interface
	optionResolution  = 9
	optionFlags       = 2 // of a packet

	nanoseconds = 9 // 10^-9 s
)

// Flags of a packet: which way it goes, as seen from the client.
const (
	inbound  = 1
	outbound = 2
)

// maxText bounds what a file says of its maker, in bytes.
const maxText = 1024

// Writer writes a file of packets, all of one interface.
type Writer struct {
	w     io.Writer
	block []byte
}

// NewWriter writes the head of a file: by which program it is made, and of what.
func NewWriter(w io.Writer, application, name string) (*Writer, error) {
	p := &Writer{w: w}
	p.begin(blockSection)
	p.uint32(byteOrder)
	p.uint16(1) // version 1.0
	p.uint16(0)
	p.block = binary.LittleEndian.AppendUint64(p.block, ^uint64(0)) // of unknown length
	p.option(optionApplication, application[:min(len(application), maxText)])
	p.uint32(optionEnd)
	p.end()
	head := append([]byte(nil), p.block...)
	p.begin(blockInterface)
	p.uint16(linkEthernet)
	p.uint16(0)
	p.uint32(0) // no packet is cut short
	p.option(optionName, name[:min(len(name), maxText)])
	p.option(optionResolution, string(rune(nanoseconds)))
	p.uint32(optionEnd)
	p.end()
	p.block = append(head, p.block...)
	if err := p.flush(); err != nil {
		return nil, err
	}
	return p, nil
}

// packet writes one packet.
func (p *Writer) packet(at time.Time, flags uint32, frame []byte) error {
	ns := uint64(max(at.UnixNano(), 0))
	p.begin(blockPacket)
	p.uint32(0) // the interface
	p.uint32(uint32(ns >> 32))
	p.uint32(uint32(ns))
	p.uint32(uint32(len(frame)))
	p.uint32(uint32(len(frame)))
	p.padded(frame)
	p.option(optionFlags, string(binary.LittleEndian.AppendUint32(nil, flags)))
	p.uint32(optionEnd)
	p.end()
	return p.flush()
}

func (p *Writer) uint16(v uint16) { p.block = binary.LittleEndian.AppendUint16(p.block, v) }
func (p *Writer) uint32(v uint32) { p.block = binary.LittleEndian.AppendUint32(p.block, v) }

// padded appends data and zeros up to the next 32 bits.
func (p *Writer) padded(data []byte) {
	p.block = append(p.block, data...)
	for n := len(data); n%4 != 0; n++ {
		p.block = append(p.block, 0)
	}
}

func (p *Writer) option(code uint16, value string) {
	p.uint16(code)
	p.uint16(uint16(len(value)))
	p.padded([]byte(value))
}

// begin begins a block. Its length comes with end.
func (p *Writer) begin(kind uint32) {
	p.block = p.block[:0]
	p.uint32(kind)
	p.uint32(0)
}

func (p *Writer) end() {
	const lengthAt = 4
	n := uint32(len(p.block) + lengthAt)
	p.uint32(n)
	binary.LittleEndian.PutUint32(p.block[lengthAt:], n)
}

func (p *Writer) flush() error {
	if _, err := p.w.Write(p.block); err != nil {
		return fmt.Errorf("write packets: %w", err)
	}
	return nil
}
