package pty

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

func TestObserveShowsWhatTheProgramSet(t *testing.T) {
	changes := []struct {
		name  string
		apply func(*unix.Termios)
		check func(unix.Termios) bool
	}{
		{
			"speed of the table", func(t *unix.Termios) { t.Cflag = t.Cflag&^uint32(unix.CBAUD) | unix.B115200 },
			func(t unix.Termios) bool { return t.Cflag&unix.CBAUD == unix.B115200 && t.Ospeed == 115200 },
		},
		{"any speed", speed(74880), func(t unix.Termios) bool { return t.Ospeed == 74880 && t.Ispeed == 74880 }},
		{"B0", func(t *unix.Termios) { t.Cflag &^= unix.CBAUD }, func(t unix.Termios) bool { return t.Cflag&unix.CBAUD == unix.B0 }},
		{"two stop bits", func(t *unix.Termios) { t.Cflag |= unix.CSTOPB }, func(t unix.Termios) bool { return t.Cflag&unix.CSTOPB != 0 }},
		{"RTS/CTS", func(t *unix.Termios) { t.Cflag |= unix.CRTSCTS }, func(t unix.Termios) bool { return t.Cflag&unix.CRTSCTS != 0 }},
		{"XON/XOFF", func(t *unix.Termios) { t.Iflag |= unix.IXON | unix.IXOFF }, func(t unix.Termios) bool { return t.Iflag&unix.IXOFF != 0 }},
		{
			"odd parity leaves its hint", func(t *unix.Termios) { t.Cflag |= unix.PARENB | unix.PARODD },
			func(t unix.Termios) bool { return t.Cflag&unix.PARODD != 0 && t.Cflag&unix.PARENB == 0 },
		},
	}
	for _, mode := range lockModes {
		for _, c := range changes {
			t.Run(mode.name+"/"+c.name, func(t *testing.T) {
				m := openMaster(t, mode.locked)
				p := openProgram(t, m)
				p.change(c.apply)
				st, err := m.ReadStatus()
				if err != nil || st&StatusIoctl == 0 {
					t.Fatalf("status %v, %v; want IOCTL", st, err)
				}
				if got := observe(t, m); !c.check(got) {
					t.Errorf("observed %+v", got)
				}
				mustStatus(t, m, 0)
			})
		}
	}
}

// A program that fills its termios from zero clears EXTPROC; its second change
// must be seen like its first.
func TestSettingsFilledFromZeroAreReportedEveryTime(t *testing.T) {
	for _, mode := range lockModes {
		t.Run(mode.name, func(t *testing.T) {
			m := openMaster(t, mode.locked)
			p := openProgram(t, m)
			for bps := uint32(1000); bps < 1100; bps++ {
				p.set(fromZero(bps))
				mustStatus(t, m, StatusIoctl)
				if got := observe(t, m); got.Ospeed != bps {
					t.Fatalf("observed %d, want %d", got.Ospeed, bps)
				}
				mustStatus(t, m, 0) // what re-arming raised is not news
			}
		})
	}
}

// The last of a burst must be seen, however fast the burst and wherever in it
// the master looks.
func TestNoSettingsChangeIsLost(t *testing.T) {
	programs := []struct {
		name string
		next func(unix.Termios, uint32) unix.Termios
		zero bool
	}{
		{name: "changed", next: func(t unix.Termios, bps uint32) unix.Termios { speed(bps)(&t); return t }},
		{name: "from zero", next: func(_ unix.Termios, bps uint32) unix.Termios { return fromZero(bps) }, zero: true},
	}
	const bursts, burst = 2000, 5
	for _, mode := range lockModes {
		for _, prog := range programs {
			t.Run(mode.name+"/"+prog.name, func(t *testing.T) {
				m := openMaster(t, mode.locked)
				p := openProgram(t, m)
				first := p.termios()
				// The program waits after each burst until the master has come
				// to rest, as it would be seen to by a loop that has no more
				// events.
				begin, rested := make(chan uint32), make(chan error)
				go func() {
					defer close(rested)
					for from := range begin {
						var err error
						for i := range uint32(burst) {
							termios := prog.next(first, from+i)
							err = errors.Join(err, unix.IoctlSetTermios(p.fd, unix.TCSETS2, &termios))
						}
						rested <- err
					}
				}()
				lost := 0
				for i := range uint32(bursts) {
					from := 1000 + i*burst
					begin <- from
					var seen unix.Termios
					look := func() bool {
						st, err := m.ReadStatus()
						if err != nil {
							t.Error(err)
						}
						if st&StatusIoctl != 0 {
							seen = observe(t, m)
						}
						return st&StatusIoctl != 0
					}
					for running := true; running; {
						select {
						case err := <-rested:
							if err != nil {
								t.Error(err)
							}
							running = false
						default:
							look()
						}
					}
					for look() {
					}
					if seen.Ospeed != from+burst-1 {
						lost++
					}
					// Overwritten or not, what is believed is what is so.
					if tty := p.termios(); tty.Ospeed != seen.Ospeed {
						t.Fatalf("the tty is at %d, believed is %d", tty.Ospeed, seen.Ospeed)
					}
				}
				close(begin)
				<-rested
				switch {
				case !mode.locked && prog.zero:
					// Nothing but the lock keeps the re-arming from overwriting
					// a change that comes within that microsecond.
					t.Logf("%d of %d bursts ended with a change that was overwritten", lost, bursts)
				case lost != 0:
					t.Errorf("%d of %d bursts lost", lost, bursts)
				}
			})
		}
	}
}

func TestCanonicalProgramGetsTheLineDiscipline(t *testing.T) {
	for _, mode := range lockModes {
		t.Run(mode.name, func(t *testing.T) {
			m := openMaster(t, mode.locked)
			p := openProgram(t, m)
			raw := p.termios()
			for round := range 3 {
				p.change(func(t *unix.Termios) { t.Lflag |= unix.ICANON | unix.ECHO; t.Iflag |= unix.ICRNL })
				mustStatus(t, m, StatusIoctl)
				if got := observe(t, m); got.Lflag&unix.ICANON == 0 {
					t.Fatal("ICANON was not observed")
				}
				if !m.Polled() || m.Exact() {
					t.Fatalf("Polled() = %v, Exact() = %v; want EXTPROC released", m.Polled(), m.Exact())
				}
				if p.termios().Lflag&unix.EXTPROC != 0 {
					t.Fatal("EXTPROC is still set")
				}
				write(t, m, "li")
				write(t, m, "ne\r")
				if got := p.read(5); got != "line\n" {
					t.Fatalf("program read %q", got)
				}
				buf := make([]byte, 64)
				waitFor(t, m.Fd(), unix.POLLIN)
				if echo, _, err := m.Read(buf); len(echo) == 0 || err != nil {
					t.Fatalf("echo: %q, %v", echo, err)
				}
				for {
					if _, _, err := m.Read(buf); errors.Is(err, ErrWouldBlock) {
						break
					}
				}

				// A saved termios may hold EXTPROC or not.
				back := raw
				if round == 1 {
					back.Lflag &^= unix.EXTPROC
				}
				p.set(back)
				if got := observe(t, m); got.Lflag != 0 || got.Iflag != 0 {
					t.Fatalf("observed %+v after raw was restored", got)
				}
				if m.Polled() || m.Exact() != mode.locked {
					t.Fatalf("Polled() = %v, Exact() = %v; want EXTPROC taken back", m.Polled(), m.Exact())
				}
				if _, err := m.ReadStatus(); err != nil {
					t.Fatal(err)
				}
				p.change(speed(uint32(2000 + round)))
				mustStatus(t, m, StatusIoctl)
				if got := observe(t, m); got.Ospeed != uint32(2000+round) {
					t.Fatalf("observed %d", got.Ospeed)
				}
			}
		})
	}
}

func TestEachLineDisciplineFlagReleasesEXTPROC(t *testing.T) {
	flags := map[string]func(*unix.Termios){
		"ICANON": func(t *unix.Termios) { t.Lflag |= unix.ICANON },
		"ECHO":   func(t *unix.Termios) { t.Lflag |= unix.ECHO },
		"ISIG":   func(t *unix.Termios) { t.Lflag |= unix.ISIG },
		"ICRNL":  func(t *unix.Termios) { t.Iflag |= unix.ICRNL },
		"INLCR":  func(t *unix.Termios) { t.Iflag |= unix.INLCR },
		"IGNCR":  func(t *unix.Termios) { t.Iflag |= unix.IGNCR },
	}
	for name, set := range flags {
		t.Run(name, func(t *testing.T) {
			m := openPort(t)
			p := openProgram(t, m)
			p.change(set)
			observe(t, m)
			if !m.Polled() {
				t.Error("not released")
			}
		})
	}
	for name, set := range map[string]func(*unix.Termios){
		"OPOST": func(t *unix.Termios) { t.Oflag |= unix.OPOST }, "IXON": func(t *unix.Termios) { t.Iflag |= unix.IXON },
		"IEXTEN": func(t *unix.Termios) { t.Lflag |= unix.IEXTEN }, "IGNBRK": func(t *unix.Termios) { t.Iflag |= unix.IGNBRK },
	} {
		t.Run(name, func(t *testing.T) {
			m := openPort(t)
			p := openProgram(t, m)
			p.change(set)
			observe(t, m)
			if m.Polled() {
				t.Error("released for nothing")
			}
		})
	}
}

// A vhangup puts the driver's first settings in, EXTPROC off, under the lock.
func TestEXTPROCComesBackAfterTheTerminalIsReset(t *testing.T) {
	m := openMaster(t, true)
	p := openProgram(t, m)
	const tiocvhangup = 0x5437 // include/uapi/asm-generic/ioctls.h
	if err := unix.IoctlSetInt(p.fd, tiocvhangup, 0); err != nil {
		need(t, !errors.Is(err, unix.EPERM), "TIOCVHANGUP is not permitted")
		t.Fatal(err)
	}
	p.close()
	p = openProgram(t, m)
	observe(t, m)
	p.set(fromZero(4321))
	if got := observe(t, m); got.Ospeed != 4321 || m.Polled() {
		t.Fatalf("observed %d, Polled() = %v", got.Ospeed, m.Polled())
	}
	if _, err := m.ReadStatus(); err != nil {
		t.Fatal(err)
	}
	p.set(fromZero(4322))
	mustStatus(t, m, StatusIoctl)
}

func TestShow(t *testing.T) {
	for _, mode := range lockModes {
		t.Run(mode.name, func(t *testing.T) {
			m := openMaster(t, mode.locked)
			p := openProgram(t, m)
			p.change(speed(250000))
			mustStatus(t, m, StatusIoctl)
			truth := observe(t, m)
			speed(115200)(&truth)
			truth.Cflag |= unix.CSTOPB
			truth.Cflag = truth.Cflag&^uint32(unix.CSIZE) | unix.CS7 | unix.PARENB // cannot be shown
			truth.Iflag |= unix.IXON
			if err := m.Show(truth); err != nil {
				t.Fatal(err)
			}
			mustStatus(t, m, 0)
			got := p.termios()
			if got.Ospeed != 115200 || got.Cflag&unix.CSTOPB == 0 || got.Cflag&unix.CSIZE != unix.CS8 {
				t.Errorf("program sees %+v", got)
			}
			if got.Lflag&unix.EXTPROC == 0 {
				t.Error("EXTPROC was lost")
			}
			if err := m.Show(observe(t, m)); err != nil {
				t.Errorf("a second time: %v", err)
			}
			p.change(speed(300))
			mustStatus(t, m, StatusIoctl)
			if got := observe(t, m); got.Ospeed != 300 {
				t.Errorf("then observed %d", got.Ospeed)
			}
		})
	}
}

func TestShowDoesNotOverwriteNews(t *testing.T) {
	for _, readBefore := range []bool{false, true} {
		t.Run(fmt.Sprint("status read before: ", readBefore), func(t *testing.T) {
			m := openPort(t)
			p := openProgram(t, m)
			old := observe(t, m)
			p.change(speed(1234))
			if readBefore {
				mustStatus(t, m, StatusIoctl)
			}
			if err := m.Show(old); !errors.Is(err, ErrStale) {
				t.Fatalf("Show: %v, want ErrStale", err)
			}
			if !m.Pending() {
				t.Error("nothing is pending")
			}
			mustStatus(t, m, StatusIoctl)
			if m.Pending() {
				t.Error("still pending")
			}
			if got := observe(t, m); got.Ospeed != 1234 {
				t.Errorf("observed %d: the program's change is gone", got.Ospeed)
			}
		})
	}
}

// Every change by the program must be seen, or have been overwritten before
// anybody could know: the tty never differs from what was last observed or
// shown without a status that says so.
func TestShowAgainstATightLoop(t *testing.T) {
	m := openPort(t)
	p := openProgram(t, m)
	const rounds = 3000
	first := p.termios()
	done := make(chan error)
	go func() {
		var err error
		for i := range uint32(rounds) {
			termios := first
			speed(1000 + i)(&termios)
			err = errors.Join(err, unix.IoctlSetTermios(p.fd, unix.TCSETS2, &termios))
		}
		done <- err
	}()
	believed := observe(t, m)
	shown := uint32(500_000)
	check := func() {
		st, err := m.ReadStatus()
		if err != nil {
			t.Error(err)
		}
		if st&StatusIoctl != 0 {
			believed = observe(t, m)
		}
	}
	for running := true; running; {
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
			running = false
		default:
		}
		check()
		truth := believed
		speed(shown)(&truth)
		switch err := m.Show(truth); {
		case err == nil:
			believed = truth
			shown++
		case !errors.Is(err, ErrStale):
			t.Fatal(err)
		}
		check()
	}
	for {
		st, err := m.ReadStatus()
		if err != nil {
			t.Fatal(err)
		}
		if st&StatusIoctl == 0 {
			break
		}
		believed = observe(t, m)
	}
	if got := p.termios(); got.Ospeed != believed.Ospeed {
		t.Errorf("the tty is at %d, believed is %d", got.Ospeed, believed.Ospeed)
	}
}

func TestShowKeepsOtherStatus(t *testing.T) {
	m := openPort(t)
	p := openProgram(t, m)
	if err := unix.IoctlSetInt(p.fd, unix.TCFLSH, unix.TCIFLUSH); err != nil {
		t.Fatal(err)
	}
	truth := observe(t, m)
	speed(600)(&truth)
	if err := m.Show(truth); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 8)
	if _, st, err := m.Read(buf); st != StatusFlushRead || err != nil {
		t.Errorf("Read: %v, %v; want the program's FLUSHREAD", st, err)
	}
}
