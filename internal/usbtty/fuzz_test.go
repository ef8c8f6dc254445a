package usbtty_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/vcomd/vcomd/internal/usbtty"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// model is a kernel that sends anything well formed, and knows what may be
// answered.
type model struct {
	t       testing.TB
	dev     *usbtty.Device
	log     *journal
	seq     uint32
	pending map[uint32]bool   // submitted and not answered: whether it is for bytes from the device
	unlinks map[uint32]uint32 // not answered: their targets
	lost    map[uint32]bool   // targets that had not come, and are more than the device keeps
	first   map[uint32]bool   // unlinks that came before any URB: they are for another device
	buf     []byte            // of an answer that is not complete
	begun   bool              // a URB has been submitted
	open    bool
}

// input takes values from the fuzzer's bytes; it has zeros at the end.
type input struct{ b []byte }

func (in *input) byte() byte {
	if len(in.b) == 0 {
		return 0
	}
	v := in.b[0]
	in.b = in.b[1:]
	return v
}

func (in *input) word() uint16 { return uint16(in.byte())<<8 | uint16(in.byte()) }

// feed feeds a message in two pieces.
func (m *model) feed(message []byte, cut int) {
	cut %= len(message) + 1
	if err := m.dev.Feed(message[:cut]); err != nil {
		m.t.Fatalf("%x: %v", message, err)
	}
	if err := m.dev.Feed(message[cut:]); err != nil {
		m.t.Fatalf("%x: %v", message, err)
	}
}

func (m *model) submit(direction, endpoint, length, packets uint32, setup uint64, cut int) {
	m.seq++
	m.begun = true
	b := words(1, m.seq, dev, direction, endpoint, 0, length, 0, packets, 0)
	b = binary.BigEndian.AppendUint64(b, setup)
	follows := 0
	if direction == 0 {
		follows = int(length)
	}
	if packets != 0xffffffff {
		follows += int(packets) * 16
	}
	m.pending[m.seq] = direction == 1
	m.feed(append(b, make([]byte, follows)...), cut)
}

func (m *model) unlink(target uint32, cut int) {
	m.seq++
	if _, waits := m.pending[target]; !waits && len(m.unlinks) >= 16 {
		m.lost[target] = true
	}
	m.unlinks[m.seq] = target
	m.first[m.seq] = !m.begun
	m.feed(unlink(m.seq, target), cut)
}

// take reads n bytes of output.
func (m *model) take(n int) {
	out := m.dev.Output()
	n = min(n, len(out))
	m.buf = append(m.buf, out[:n]...)
	m.dev.Wrote(n)
	done := 0
	for size := m.answer(m.buf); size > 0; size = m.answer(m.buf[done:]) {
		done += size
	}
	m.buf = append(m.buf[:0], m.buf[done:]...)
}

// answer takes one answer from b, if it is complete, and gives its size.
func (m *model) answer(b []byte) int {
	if len(b) < 48 {
		return 0
	}
	command, seq := binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:])
	status, length := int32(binary.BigEndian.Uint32(b[20:])), int(binary.BigEndian.Uint32(b[24:]))
	size := 48
	switch command {
	case 3:
		in, ok := m.pending[seq]
		if !ok {
			m.t.Fatalf("%d is answered, and was not asked, or was answered before", seq)
		}
		if in {
			size += length
		}
		if len(b) < size {
			return 0
		}
		if status != 0 && length != 0 {
			m.t.Fatalf("status %d with %d bytes", status, length)
		}
		delete(m.pending, seq)
	case 4:
		target, ok := m.unlinks[seq]
		if !ok {
			m.t.Fatalf("unlink %d is answered, and was not asked", seq)
		}
		delete(m.unlinks, seq)
		_, waits := m.pending[target]
		switch {
		case m.first[seq]:
			if status != -104 {
				m.t.Fatalf("unlink %d, before any URB, has status %d", seq, status)
			}
		case status == -104 && waits:
			delete(m.pending, target)
		case status == -104:
			m.t.Fatalf("%d is cancelled after its answer", target)
		case status != 0:
			m.t.Fatalf("unlink %d has status %d", seq, status)
		case waits && !m.lost[target]:
			m.t.Fatalf("%d is said to have been answered", target)
		}
	default:
		m.t.Fatalf("answer with command %d", command)
	}
	return size
}

// check looks at what must always be so.
func (m *model) check() {
	if n := m.dev.Readable(); n < 0 || n > usbtty.MaxStored {
		m.t.Fatalf("%d bytes wait", n)
	}
	if n := len(m.dev.Output()); n > usbtty.MaxOutput+(usbtty.MaxURBs+1)*(usbtty.MaxFill+48) {
		m.t.Fatalf("%d bytes of output wait", n)
	}
	for _, l := range m.log.take() {
		switch l {
		case "opened":
			if m.open {
				m.t.Fatal("opened twice")
			}
			m.open = true
		case "closed":
			if !m.open {
				m.t.Fatal("closed twice")
			}
			m.open = false
		}
	}
	if m.open != m.dev.Open() {
		m.t.Fatalf("open is %t, and the handler was told %t", m.dev.Open(), m.open)
	}
}

// FuzzFeed sends URBs of all kinds, cancels any of them, and reads, writes and
// changes lines in between: every URB is answered once, or cancelled.
func FuzzFeed(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d"))
	f.Add(bytes.Repeat([]byte{1, 0, 2, 5, 3, 3, 1}, 40))
	f.Add(bytes.Repeat([]byte{1, 7, 1, 9, 0x23, 2, 4, 0, 6, 0x10}, 60))
	f.Add(bytes.Repeat([]byte{2, 200, 0, 2, 3, 1, 5, 30, 3, 2, 0}, 60))
	f.Add(bytes.Repeat([]byte{1}, 300))
	f.Add(bytes.Repeat([]byte{2, 255, 255, 0}, 100))
	f.Add(bytes.Repeat([]byte{12, 0, 1, 9, 4, 4}, 50))
	f.Add([]byte("$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0$0&000"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := &model{t: t, log: &journal{sent: true}, pending: make(map[uint32]bool), unlinks: make(map[uint32]uint32), lost: make(map[uint32]bool), first: make(map[uint32]bool)}
		m.dev = usbtty.New(usbtty.Config{Device: dev}, m.log)
		busy := false // the handler's own calls
		m.log.hook = func(line string) {
			if !busy {
				return
			}
			var b [7]byte
			m.dev.Read(b[:])
			m.dev.Write(b[:])
			m.dev.SetModem(comport.ModemState(len(line)) << 4)
		}
		for in := (&input{data}); len(in.b) > 0; m.check() {
			op := in.byte()
			cut := int(op >> 4)
			switch op & 15 {
			case 0:
				m.submit(1, 1, uint32(in.byte())*4, 0, 0, cut)
			case 1:
				m.submit(1, 1, 512, 0, 0, cut)
			case 2:
				m.submit(0, 2, uint32(in.word())*2, 0, 0, cut)
			case 3:
				m.submit(0, 2, uint32(in.byte()&3), 0xffffffff, 0, cut)
			case 4:
				m.unlink(m.seq-uint32(in.byte()&7), cut)
			case 5:
				m.unlink(m.seq-uint32(in.byte()), cut)
			case 6:
				m.unlink(m.seq+2+uint32(in.byte()&3), cut)
			case 7: // vendor requests
				typ := uint64(0x40)
				direction := uint32(0)
				code := in.byte()
				if code&0x10 != 0 {
					typ, direction = 0xc0, 1
				}
				m.submit(direction, 0, uint32(in.byte()&3), 0, typ<<56|uint64(code&15)<<48|uint64(in.word())<<32|uint64(in.word())<<16|0x0200, cut)
			case 8: // any control transfer
				setup := uint64(in.word())<<48 | uint64(in.word())<<32 | uint64(in.word())<<16 | uint64(in.word())
				m.submit(uint32(in.byte()&1), 0, uint32(in.byte()), 0, setup, cut)
			case 9: // anything
				m.submit(uint32(in.byte()&1), uint32(in.byte()&3), uint32(in.word()), uint32(in.byte()&3), 0, cut)
			case 10:
				m.dev.Read(make([]byte, in.word()))
			case 11:
				m.dev.Write(make([]byte, in.word()))
			case 12:
				m.dev.WriteWith(in.byte(), comport.LineState(in.byte()))
			case 13:
				m.dev.SetModem(comport.ModemState(in.byte()))
			case 14:
				m.take(int(in.byte()))
			case 15:
				busy = !busy
			}
			if len(m.dev.Output()) > usbtty.MaxOutput/2 {
				m.take(usbtty.MaxOutput)
			}
		}
		m.take(2 * usbtty.MaxOutput)
		if n := len(m.pending); n > 2*usbtty.MaxURBs {
			t.Fatalf("%d URBs wait", n)
		}
		// A close: nothing is left.
		for seq := range m.pending {
			m.unlink(seq, 0)
		}
		m.take(2 * usbtty.MaxOutput)
		m.check()
		if len(m.pending) > 0 || m.dev.Readable() > 0 || m.dev.Writable() || len(m.buf) > 0 {
			t.Fatalf("left: URBs %v, %d bytes, writable %t, % x", m.pending, m.dev.Readable(), m.dev.Writable(), m.buf)
		}
	})
}

// FuzzStream sends bytes that mean nothing.
func FuzzStream(f *testing.F) {
	f.Add(submitIn(1, 512), submitOut(2, "x"), uint8(3))
	f.Add(control(1, 0xc0, 5, 0, 0, 2), words(1, 2, dev, 0, 2, 0, 0x7fffffff, 0, 0x7fffffff, 0, 0, 0), uint8(0))
	f.Fuzz(func(t *testing.T, a, b []byte, read uint8) {
		log := &journal{}
		d := usbtty.New(usbtty.Config{}, log)
		errA := d.Feed(a)
		d.Read(make([]byte, read))
		d.Write(make([]byte, read))
		errB := d.Feed(b)
		if errA != nil && errB == nil {
			t.Fatalf("%v is forgotten", errA)
		}
		d.Wrote(int(read) - 3)
		if n := len(d.Output()); n > len(a)*64+len(b)*64+usbtty.MaxFill*usbtty.MaxURBs {
			t.Fatalf("%d bytes of output", n)
		}
	})
}
