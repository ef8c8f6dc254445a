package integration

import (
	"bytes"
	"testing"
)

// Data of every byte value passes both ways through real servers, and the speed
// that a program sets is the speed of the server's device.
func TestRealServers(t *testing.T) {
	for name, run := range map[string]func(*testing.T) server{"ser2net": ser2net, "sredird": sredird, "pyserial": pyserial} {
		t.Run(name, func(t *testing.T) {
			s := run(t)
			v := start(t, s.remote)
			tty := openTTY(t, v.link)
			v.waitEvent("connected")

			setSpeed(t, tty, 115200)
			eventually(t, "the server acknowledges the speed", func() bool { return v.received("SET-BAUDRATE 115200") })
			if s.device != nil {
				if got := s.device.speed(t); got != 115200 {
					t.Errorf("the server's device is at %d bit/s, want 115200", got)
				}
			}
			if s.device == nil { // a loop: what goes up comes back
				echo(t, tty, allBytes())
			} else {
				exchange(t, tty, s.device.File, allBytes(), allBytes())
			}
			_ = tty.Close()
			v.end()

			// Much data in a session of its own: a trace of it would be larger.
			v = startUntraced(t, s.remote)
			tty = openTTY(t, v.link)
			v.waitEvent("connected")
			if s.device == nil {
				echo(t, tty, pattern(s.bytes, 1))
			} else {
				down := pattern(s.bytes, 3)
				if s.losesFF {
					down = bytes.ReplaceAll(down, []byte{0xff}, []byte{0xfe})
				}
				if s.halfDuplex {
					exchange(t, tty, s.device.File, pattern(s.bytes, 2), nil)
					exchange(t, tty, s.device.File, nil, down)
					return
				}
				exchange(t, tty, s.device.File, pattern(s.bytes, 2), down)
			}
		})
	}
}

// gensiot crashes when it is asked for a signature that it does not have: it is
// not asked.
func TestGensiotWithoutSignature(t *testing.T) {
	s := gensiot(t)
	v := start(t, s.remote)
	tty := openTTY(t, v.link)
	v.waitEvent("connected")
	setSpeed(t, tty, 115200)
	eventually(t, "the server acknowledges the speed", func() bool { return v.received("SET-BAUDRATE 115200") })
	if got := s.device.speed(t); got != 115200 {
		t.Errorf("the server's device is at %d bit/s, want 115200", got)
	}
	exchange(t, tty, s.device.File, allBytes(), allBytes())
}
