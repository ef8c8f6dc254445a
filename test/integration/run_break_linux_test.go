package integration

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

var (
	breakOn  = comport.SetControl{Control: comport.ControlBreakOn}
	breakOff = comport.SetControl{Control: comport.ControlBreakOff}
)

// traced are the times at which vcomd has sent a message.
func (v *vcomd) traced(m comport.Message) (at []time.Time) {
	v.t.Helper()
	trace, err := os.ReadFile(v.trace)
	if err != nil {
		v.t.Fatal(err)
	}
	for line := range strings.Lines(string(trace)) {
		stamp, rest, _ := strings.Cut(line, " ")
		if strings.HasSuffix(rest, " > "+m.String()+"\n") {
			sent, err := time.Parse("2006-01-02T15:04:05.999999", stamp)
			if err != nil {
				v.t.Fatal(err)
			}
			at = append(at, sent)
		}
	}
	return at
}

// A break lasts at the UART at least as long as the program asks, however it asks,
// and what is written before and after it is whole.
func TestRunBreaks(t *testing.T) {
	t.Parallel()
	const times = 3
	for _, tt := range []struct {
		name string
		call string // a line of Python: s is a serial.Serial
		asks time.Duration
	}{
		{"tcsendbreak", "termios.tcsendbreak(s.fd, 0)", 250 * time.Millisecond},
		// Of which pyserial and the C library make a tenth of a second.
		{"send_break", "s.send_break(0.5)", 100 * time.Millisecond},
		{"TCSBRKP", "fcntl.ioctl(s.fd, 0x5425, 4)", 400 * time.Millisecond},
		{"break_condition", "s.break_condition = True; time.sleep(0.15); s.break_condition = False", 150 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s, v, p := startRun(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}}, "serial", "termios", "fcntl", "time")
			// A fast line: a break waits for what is still being sent.
			p.do("s = serial.Serial(%q, 4000000)", v.link)
			v.waitEvent("connected")
			for range times {
				p.do("s.write(b'before')")
				p.do("begin = time.monotonic(); %s; took = time.monotonic() - begin", tt.call)
				if took := p.seconds("took"); took < tt.asks.Seconds() {
					t.Errorf("the program was back after %.3f s, and has asked for %v", took, tt.asks)
				}
				p.do("s.write(b'after')")
			}
			s.awaitBytes(t, times*len("beforeafter"))

			// What vcomd sends is never closer together.
			on, off := v.traced(breakOn), v.traced(breakOff)
			if len(on) != times || len(off) != times {
				t.Fatalf("%d breaks were begun and %d ended, want %d", len(on), len(off), times)
			}
			for i := range on {
				if lasts := off[i].Sub(on[i]); lasts < tt.asks {
					t.Errorf("the end of a break was sent after %v, the program has asked for %v", lasts, tt.asks)
				}
			}

			// A busy machine may be late with a message, with both of them alike: the
			// longest counts.
			var begin time.Time
			var longest time.Duration
			var did []string
			for _, e := range s.uart.Journal() {
				switch {
				case e.Kind == rfc2217test.EntryData:
					did = append(did, string(e.Data))
				case e.Kind == rfc2217test.EntrySpoiled:
					t.Errorf("%d bytes have met a break", e.Count)
				case e.Message == breakOn:
					begin = e.Time
					did = append(did, "<")
				case e.Message == breakOff:
					longest = max(longest, e.Time.Sub(begin))
					did = append(did, ">")
				}
			}
			if longest < tt.asks {
				t.Errorf("the longest break at the UART took %v, the program has asked for %v", longest, tt.asks)
			}
			if got, want := strings.Join(did, ""), strings.Repeat("before<>after", times); got != want {
				t.Errorf("the UART has %q, want %q", got, want)
			}
		})
	}
}

// At 300 bit/s the break that TIOCSBRK begins waits (--settle) for what is still being
// sent; the call must not return before, or TIOCCBRK follows at once.
func TestRunBreakAfterSlowOutput(t *testing.T) {
	const asks = 150 * time.Millisecond
	s, v, p := startRun(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}}, "serial", "time")
	p.do("s = serial.Serial(%q, 300)", v.link)
	v.waitEvent("connected")
	p.do("s.write(b'before'); s.flush()")
	p.do("s.break_condition = True; time.sleep(%f); s.break_condition = False", asks.Seconds())
	p.do("s.write(b'after')")
	s.awaitBytes(t, len("beforeafter"))
	on, off := v.traced(breakOn), v.traced(breakOff)
	if lasts := off[0].Sub(on[0]); lasts < asks {
		t.Errorf("the end of the break was sent after %v, the program has asked for %v", lasts, asks)
	}
}
