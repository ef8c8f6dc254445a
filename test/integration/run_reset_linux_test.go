package integration

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// lineTimes is a device that notes when DTR and RTS change.
type lineTimes struct {
	*recorder

	mu    sync.Mutex
	known bool
	last  [2]bool // DTR, RTS
	edges []lineEdge
}

// lineEdge is a change of an output: "DTR up", say.
type lineEdge struct {
	what string
	at   time.Time
}

func (l *lineTimes) SetLines(dtr, rts bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := [2]bool{dtr, rts}
	for i, name := range []string{"DTR", "RTS"} {
		if l.known && now[i] != l.last[i] {
			l.edges = append(l.edges, lineEdge{name + map[bool]string{true: " up", false: " down"}[now[i]], time.Now()})
		}
	}
	l.known, l.last = true, now
}

func (l *lineTimes) NotifyModem(f func(comport.ModemState)) { f(comport.ModemDSR) }

// forget drops what was noted so far.
func (l *lineTimes) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.edges = nil
}

func (l *lineTimes) noted() []lineEdge {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.edges)
}

// resets are how programs put a board into its boot loader, as lines of Python: s is
// a serial.Serial with both lines up.
var resets = []struct {
	name   string
	script []string
	want   []string
}{
	{
		name: "esptool, classic", // esptool/reset.py, ClassicReset
		script: []string{
			"s.dtr = False; s.rts = True", "time.sleep(0.1)", "s.dtr = True; s.rts = False", "time.sleep(0.05)", "s.dtr = False",
		},
		want: []string{"DTR down", "DTR up", "RTS down", "DTR down"},
	},
	{
		name: "esptool, both lines in one call", // esptool/reset.py, UnixTightReset
		script: []string{
			"both(0, 0)", "both(1, 1)", "both(0, 1)", "time.sleep(0.1)", "both(1, 0)", "time.sleep(0.05)", "both(0, 0)",
		},
		want: []string{
			"DTR down", "RTS down", "DTR up", "RTS up", "DTR down", "DTR up", "RTS down", "DTR down",
		},
	},
	{
		name: "avrdude", // arduino.c, arduino_open: both off and on again, one call each (ser_posix.c)
		script: []string{
			"both(0, 0)", "time.sleep(0.05)", "both(1, 1)", "time.sleep(0.05)",
		},
		want: []string{"DTR down", "RTS down", "DTR up", "RTS up"},
	},
}

// Reset sequences arrive in their order, with at least about their gaps, and no edge
// waits for the acknowledgement of the one before.
func TestRunReset(t *testing.T) {
	for _, tt := range resets {
		for _, acks := range []string{"acknowledged", "never acknowledged"} {
			t.Run(tt.name+", "+acks, func(t *testing.T) {
				device := &lineTimes{recorder: newRecorder()}
				s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Device: device, Unpaced: true}})
				v := start(t, s.addr, "--connect", "always")
				v.waitEvent("connected")
				p := startPythonBy(t, v.runOn(), "serial", "time", "fcntl", "struct")
				p.do("s = serial.Serial(%q, 115200)", v.link)
				p.do("both = lambda dtr, rts: fcntl.ioctl(s.fd, 0x5418, struct.pack('I', dtr * 2 | rts * 4))")
				p.do("s.rts = s.dtr = True")
				s.awaitState(t, "both up", func(u comport.State) bool {
					return u.DTR == comport.ControlDTROn && u.RTS == comport.ControlRTSOn
				})
				if acks != "acknowledged" {
					s.SetFaults(rfc2217test.Faults{NoAck: rfc2217test.Commands(comport.CommandSetControl)})
				}
				device.forget()
				p.do("%s", "begin = time.monotonic(); "+strings.Join(tt.script, "; ")+"; took = time.monotonic() - begin")
				var got []lineEdge
				eventually(t, "all edges are there", func() bool {
					got = device.noted()
					return len(got) >= len(tt.want)
				})
				names := make([]string, 0, len(got))
				for _, e := range got {
					names = append(names, e.what)
				}
				if !slices.Equal(names, tt.want) {
					t.Fatalf("the edges were %q, want %q", names, tt.want)
				}
				// An acknowledgement that does not come is waited for a second at least,
				// where one is waited for.
				var took float64
				if _, err := fmt.Sscan(p.value("took"), &took); err != nil {
					t.Fatal(err)
				}
				here := got[len(got)-1].at.Sub(got[0].at)
				if limit := time.Duration(took*float64(time.Second)) + 900*time.Millisecond; here > limit {
					t.Errorf("from the first edge to the last it took %v, and the program %.3f s", here, took)
				}
			})
		}
	}
}
