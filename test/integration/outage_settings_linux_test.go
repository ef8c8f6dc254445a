package integration

import (
	"math/rand/v2"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// lineSettings are the ones that a pseudo-terminal carries.
type lineSettings struct {
	speed uint32 // bit/s
	stop  comport.StopSize
	flow  comport.Control
}

func settingsOf(s comport.State) lineSettings {
	return lineSettings{s.BaudRate, s.StopSize, s.Outbound}
}

// settingsOn are those that a tty shows.
func settingsOn(t *testing.T, tty *os.File) lineSettings {
	t.Helper()
	tio := getTermios(t, tty)
	s := lineSettings{tio.Ospeed, comport.StopSize1, comport.ControlFlowNone}
	if tio.Cflag&unix.CSTOPB != 0 {
		s.stop = comport.StopSize2
	}
	if tio.Cflag&unix.CRTSCTS != 0 {
		s.flow = comport.ControlFlowHardware
	}
	return s
}

// wishes are the settings that a program has asked for, oldest first.
type wishes struct {
	t    *testing.T
	rand *rand.Rand
	all  []lineSettings
}

// wanted are the last ones.
func (w *wishes) wanted() lineSettings { return w.all[len(w.all)-1] }

// change asks for settings that nobody has asked for before.
func (w *wishes) change(tty *os.File) {
	w.t.Helper()
	// Fast ones: a change waits until the UART has sent what came before.
	want := lineSettings{4_000_000 + uint32(1000*len(w.all)), comport.StopSize1, comport.ControlFlowNone}
	tio := getTermios(w.t, tty)
	tio.Cflag = tio.Cflag&^(unix.CBAUD|unix.CBAUDEX|unix.CSTOPB|unix.CRTSCTS) | unix.BOTHER
	tio.Ispeed, tio.Ospeed = want.speed, want.speed
	if w.rand.IntN(2) == 1 {
		tio.Cflag |= unix.CSTOPB
		want.stop = comport.StopSize2
	}
	if w.rand.IntN(2) == 1 {
		tio.Cflag |= unix.CRTSCTS
		want.flow = comport.ControlFlowHardware
	}
	// Before the program asks: what it writes next may come with them.
	w.all = append(w.all, want)
	setTermios(w.t, tty, tio)
}

// account checks that each byte left the UART with settings that the program had
// asked for by then, and no older ones.
func (w *wishes) account(uart *rfc2217test.UART) {
	w.t.Helper()
	if n := uart.Snapshot().Total.Dropped; n > 0 {
		w.t.Fatalf("the journal has no room: %d entries or bytes too many", n)
	}
	now := 0
	for _, e := range uart.Journal() {
		if e.Kind != rfc2217test.EntryData {
			continue
		}
		i := now
		for i < len(w.all) && w.all[i] != settingsOf(e.State) {
			i++
		}
		if i == len(w.all) {
			w.t.Errorf("%q left at %s; the program has asked for %v or later", e.Data[:min(len(e.Data), sampleSize)],
				e.State.Line(), w.all[now])
			return
		}
		now = i
	}
}
