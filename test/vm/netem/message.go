package netem

import (
	"encoding/binary"
	"math"
	"time"
)

// Fault is what happens to packets that leave an interface. The zero value is a good network.
type Fault struct {
	Delay   time.Duration // each is so much later
	Jitter  time.Duration // give or take
	Loss    float64       // so many of 1 are lost
	Reorder float64       // so many of 1 are not delayed, and overtake others; needs a Delay
}

// Constants of <linux/rtnetlink.h>, <linux/pkt_sched.h> and <linux/netlink.h>.
const (
	attributeKind    = 1 // TCA_KIND
	attributeOptions = 2 // TCA_OPTIONS

	netemReorder   = 3  // TCA_NETEM_REORDER: struct tc_netem_reorder, probability and correlation
	netemLatency64 = 10 // TCA_NETEM_LATENCY64: ns
	netemJitter64  = 11 // TCA_NETEM_JITTER64: ns

	root      = 0xffffffff // TC_H_ROOT
	queueSize = 10000      // packets: none is lost because too many are late

	kind = "netem\x00"
)

// order is that of the machine that asks its own kernel.
var order = binary.NativeEndian

// message is struct tcmsg and its attributes, for the interface with an index; nil options are left out.
func message(index int, options []byte) []byte {
	m := make([]byte, 20) // family u8, padding, interface s32, handle u32, parent u32, info u32
	order.PutUint32(m[4:], uint32(index))
	order.PutUint32(m[12:], root)
	m = attribute(m, attributeKind, []byte(kind))
	if options != nil {
		m = attribute(m, attributeOptions, options)
	}
	return m
}

// options are struct tc_netem_qopt and the attributes behind it.
func (f Fault) options() []byte {
	// latency u32 (in ticks; overridden below), limit u32, loss u32, gap u32, duplicate u32, jitter u32
	o := make([]byte, 24)
	order.PutUint32(o[4:], queueSize)
	order.PutUint32(o[8:], probability(f.Loss))
	if f.Reorder > 0 {
		order.PutUint32(o[12:], 1) // gap: any packet may overtake
	}
	o = attribute(o, netemLatency64, order.AppendUint64(nil, uint64(f.Delay)))
	o = attribute(o, netemJitter64, order.AppendUint64(nil, uint64(f.Jitter)))
	if f.Reorder > 0 {
		o = attribute(o, netemReorder, order.AppendUint32(order.AppendUint32(nil, probability(f.Reorder)), 0))
	}
	return o
}

// probability is p of 1 as the kernel has it: of 2^32-1.
func probability(p float64) uint32 { return uint32(math.Round(min(max(p, 0), 1) * math.MaxUint32)) }

// attribute appends a netlink attribute: its length u16, type u16 and value, filled up to four bytes.
func attribute(m []byte, kind uint16, value []byte) []byte {
	m = order.AppendUint16(m, uint16(4+len(value)))
	m = order.AppendUint16(m, kind)
	m = append(m, value...)
	for len(m)%4 != 0 {
		m = append(m, 0)
	}
	return m
}
