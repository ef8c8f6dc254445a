package port

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// ended reports whether f's tty was hung up: poll(2) says so and a read is at the
// end of the file or fails.
func (r *rig) ended(f *os.File) bool {
	r.t.Helper()
	var hup bool
	r.control(f, func(fd int) error {
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		_, err := unix.Poll(p, 0)
		hup = p[0].Revents&unix.POLLHUP != 0
		return err
	})
	return hup
}

// asked returns the SET-CONTROL requests for DTR and RTS that the server got.
func (r *rig) asked() []comport.Control {
	var all []comport.Control
	for _, m := range r.server.Messages() {
		if c, ok := m.(comport.SetControl); ok {
			switch c.Control.Group() {
			case comport.GroupDTR, comport.GroupRTS:
				all = append(all, c.Control)
			default:
			}
		}
	}
	return all
}

// TestOnLoss: a program keeps its port over an outage with hold, and with hangup
// sees its end, while the link leads to a port that works.
func TestOnLoss(t *testing.T) {
	for _, policy := range []OnLoss{OnLossHold, OnLossHangup} {
		dir := t.TempDir()
		link := filepath.Join(dir, "tty")
		r := newRig(t, rfc2217test.Faults{}, func(cfg *Config) {
			cfg.Links, cfg.RunDir, cfg.OnLoss = []string{link}, filepath.Join(dir, "run"), policy
		})
		f := r.program()
		r.await(KindConnected)
		r.server.Disconnect()
		r.await(KindDisconnected)
		r.eventually("the connection is back", func() bool { return len(r.of(KindConnected)) == 2 || policy == OnLossHangup })
		if policy == OnLossHold {
			if r.ended(f) {
				t.Fatal("hung up with hold")
			}
			continue
		}
		r.eventually("the program's tty is hung up", func() bool { return r.ended(f) })
		if n := len(r.of(KindHungUp)); n != 1 {
			t.Errorf("%d hang-ups are told, want 1", n)
		}
		if target, err := os.Readlink(link); err != nil || target != r.status().TTY || target == f.Name() {
			t.Errorf("the link leads to %q, %v; the tty is %s and was %s", target, err, r.status().TTY, f.Name())
		}
		again := r.program()
		r.eventually("the connection is back", func() bool { return r.status().Up })
		if _, err := again.WriteString("here I am"); err != nil {
			t.Error(err)
		}
		r.eventually("what the program writes arrives", func() bool { return string(r.uart.Sent()) == "here I am" })
	}
}

// TestDCDHangup: only a carrier that was there can drop, and only a program
// without CLOCAL minds.
func TestDCDHangup(t *testing.T) {
	for _, tt := range []struct {
		name          string
		policy, local bool
		want          bool
	}{
		{"a terminal on a modem line", true, false, true},
		{"a local line", true, true, false},
		{"not asked for", false, false, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, rfc2217test.Faults{}, func(cfg *Config) { cfg.DCDHangup = tt.policy })
			r.uart.SetModem(comport.ModemDCD | comport.ModemDSR)
			f := r.program()
			r.await(KindConnected)
			r.eventually("carrier", func() bool { return r.status().ModemState&comport.ModemDCD != 0 })
			r.control(f, func(fd int) error {
				tio, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
				if err != nil {
					return err
				}
				tio.Cflag &^= unix.CLOCAL
				if tt.local {
					tio.Cflag |= unix.CLOCAL
				}
				return unix.IoctlSetTermios(fd, unix.TCSETS2, tio)
			})
			r.uart.SetModem(comport.ModemDSR)
			r.eventually("the carrier has gone", func() bool { return r.status().ModemState&comport.ModemDCD == 0 })
			if tt.want {
				r.eventually("the program's tty is hung up", func() bool { return r.ended(f) })
				return
			}
			r.do(func() {})
			if r.ended(f) || len(r.of(KindHungUp)) > 0 {
				t.Error("the program's tty was hung up")
			}
		})
	}
}

// TestDCDDropsDuringAnOutage: a carrier that was there before and is not after an
// outage has dropped, too; who opens the port then finds none and is left alone.
func TestDCDDropsDuringAnOutage(t *testing.T) {
	r := newRig(t, rfc2217test.Faults{}, func(cfg *Config) { cfg.DCDHangup, cfg.Connect = true, ConnectAlways })
	r.uart.SetModem(comport.ModemDCD | comport.ModemCTS)
	modem := func(r *rig) bool {
		f := r.program()
		r.eventually("the connection", func() bool { return r.status().Up })
		r.eventually("the modem lines", func() bool { return r.status().ModemState != 0 })
		r.control(f, func(fd int) error {
			tio, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
			if err != nil {
				return err
			}
			tio.Cflag &^= unix.CLOCAL
			return unix.IoctlSetTermios(fd, unix.TCSETS2, tio)
		})
		connected := len(r.of(KindConnected))
		r.do(func() { // no try to connect meanwhile
			r.server.Disconnect()
			r.uart.SetModem(comport.ModemCTS)
		})
		r.eventually("the connection is back", func() bool { return len(r.of(KindConnected)) > connected })
		r.eventually("the modem lines", func() bool { return r.status().ModemState == comport.ModemCTS })
		return r.ended(f)
	}
	r.eventually("carrier", func() bool { return r.status().ModemState&comport.ModemDCD != 0 })
	if !modem(r) {
		// The tty that was replaced is closed a moment later.
		r.eventually("the program's tty is hung up", func() bool { return len(r.of(KindHungUp)) == 1 })
	}
	modem(r)
	if n := len(r.of(KindHungUp)); n != 1 {
		t.Errorf("%d hang-ups, want 1: the second program found no carrier", n)
	}
}

// TestOutageMovesNoLine: a program that holds its port through an outage reads the levels that
// were there last, and no edge is counted but of what differs afterwards.
func TestOutageMovesNoLine(t *testing.T) {
	for _, tt := range []struct {
		name   string
		policy OnLoss
		after  comport.ModemState
		during comport.ModemState
		edges  Counts // besides those of the beginning
	}{
		{"hold", OnLossHold, comport.ModemCTS | comport.ModemDCD, comport.ModemCTS | comport.ModemDCD, Counts{}},
		{"hold, and a line has moved", OnLossHold, comport.ModemCTS | comport.ModemDSR, comport.ModemCTS | comport.ModemDCD, Counts{DCD: 1, DSR: 1}},
		{"hangup", OnLossHangup, comport.ModemCTS | comport.ModemDCD, 0, Counts{CTS: 1, DCD: 1}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var r *rig
			during := make(chan UART, 10)
			r = newRig(t, rfc2217test.Faults{}, func(cfg *Config) {
				events := cfg.Events
				cfg.OnLoss, cfg.Connect, cfg.Events = tt.policy, ConnectAlways, func(ev Event) {
					if ev.Kind == KindDisconnected {
						during <- r.port.UART()
					}
					events(ev)
				}
			})
			r.uart.SetModem(comport.ModemCTS | comport.ModemDCD)
			r.program()
			r.eventually("the modem lines", func() bool { return r.look().Modem != 0 })
			want := r.look().Counts
			r.do(func() { // no try to connect meanwhile
				r.server.Disconnect()
				r.uart.SetModem(tt.after)
			})
			if got := <-during; got.Modem != tt.during {
				t.Errorf("during the outage the lines are %v, want %v", got.Modem, tt.during)
			}
			r.eventually("they are told again", func() bool { return r.status().ModemState == tt.after })
			want.CTS, want.DSR, want.DCD = want.CTS+tt.edges.CTS, want.DSR+tt.edges.DSR, want.DCD+tt.edges.DCD
			u := r.look()
			if u.Modem != tt.after || u.Counts.CTS != want.CTS || u.Counts.DSR != want.DSR || u.Counts.DCD != want.DCD {
				t.Errorf("lines %v and counts %+v, want %v and %+v", u.Modem, u.Counts, tt.after, want)
			}
		})
	}
}

// TestLines: what DTR and RTS are told at open and close.
func TestLines(t *testing.T) {
	const dtrOn, dtrOff, rtsOn, rtsOff = comport.ControlDTROn, comport.ControlDTROff, comport.ControlRTSOn, comport.ControlRTSOff
	for _, tt := range []struct {
		name     string
		lines    Lines
		dtr, rts comport.Control
		hupcl    bool
		want     []comport.Control
	}{
		{"leave", LinesLeave, 0, 0, true, nil},
		{"raise", LinesRaise, 0, 0, true, []comport.Control{dtrOn, rtsOn, dtrOff, rtsOff}},
		{"raise, without HUPCL", LinesRaise, 0, 0, false, []comport.Control{dtrOn, rtsOn}},
		{"fixed", LinesLeave, dtrOff, 0, true, []comport.Control{dtrOff}},
		{"raise, but one", LinesRaise, 0, rtsOff, true, []comport.Control{dtrOn, rtsOff, dtrOff}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := newRig(t, rfc2217test.Faults{}, func(cfg *Config) { cfg.Lines, cfg.DTR, cfg.RTS = tt.lines, tt.dtr, tt.rts })
			f := r.program()
			r.await(KindConnected)
			if !tt.hupcl {
				r.control(f, func(fd int) error {
					tio, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
					if err != nil {
						return err
					}
					tio.Cflag &^= unix.HUPCL
					return unix.IoctlSetTermios(fd, unix.TCSETS2, tio)
				})
				r.await(KindWanted)
			}
			if _, err := f.WriteString("x"); err != nil {
				t.Fatal(err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
			r.await(KindStopped)
			if got := r.asked(); !slices.Equal(got, tt.want) {
				t.Errorf("the server was told %v, want %v", got, tt.want)
			}
		})
	}
}

// TestLinesAlways: a UART that nobody has open has its lines down.
func TestLinesAlways(t *testing.T) {
	r := newRig(t, rfc2217test.Faults{}, func(cfg *Config) { cfg.Lines, cfg.Connect = LinesRaise, ConnectAlways })
	r.await(KindConnected)
	r.eventually("the lines go down", func() bool { return r.uart.State().DTR == comport.ControlDTROff })
	f := r.program()
	r.eventually("and up", func() bool { return r.uart.State().DTR == comport.ControlDTROn })
	r.server.Disconnect()
	r.eventually("and up again", func() bool { return len(r.of(KindConnected)) == 2 && r.uart.State().RTS == comport.ControlRTSOn })
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	r.eventually("and down", func() bool { return r.uart.State().RTS == comport.ControlRTSOff })
}

// TestB0: the speed 0 drops the lines and is no speed; the next one raises them.
func TestB0(t *testing.T) {
	r := newRig(t, rfc2217test.Faults{}, nil)
	f := r.program()
	r.await(KindConnected)
	r.setSpeed(f, 19200)
	r.eventually("the speed", func() bool { return r.uart.State().BaudRate == 19200 })
	r.setSpeed(f, 0)
	r.eventually("DTR drops", func() bool { return r.uart.State().DTR == comport.ControlDTROff })
	if got := r.uart.State(); got.RTS != comport.ControlRTSOff || got.BaudRate != 19200 {
		t.Errorf("at B0 the UART is %v", got)
	}
	r.server.Disconnect()
	r.eventually("B0 holds over an outage", func() bool {
		return len(r.of(KindConnected)) == 2 && r.uart.State().DTR == comport.ControlDTROff
	})
	r.setSpeed(f, 38400)
	r.eventually("and back", func() bool {
		s := r.uart.State()
		return s.DTR == comport.ControlDTROn && s.RTS == comport.ControlRTSOn && s.BaudRate == 38400
	})
}

// TestPurgeOnOpen: each first open has the server forget what it holds, at once or
// when there is a connection; a reconnect does not.
func TestPurgeOnOpen(t *testing.T) {
	r := newRig(t, rfc2217test.Faults{}, func(cfg *Config) { cfg.PurgeOnOpen, cfg.Connect = true, ConnectAlways })
	r.await(KindConnected)
	f := r.program()
	r.eventually("the first purge", func() bool { return len(r.purges()) == 1 })
	r.server.Disconnect()
	r.eventually("the connection is back", func() bool { return len(r.of(KindConnected)) == 2 })
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	r.await(KindClosed)
	r.program()
	r.eventually("the second purge", func() bool { return len(r.purges()) == 2 })
	if got := r.purges(); !slices.Equal(got, []comport.Purge{comport.PurgeReceive, comport.PurgeReceive}) {
		t.Errorf("purged %v", got)
	}

	r = newRig(t, rfc2217test.Faults{}, func(cfg *Config) { cfg.PurgeOnOpen = true })
	r.program()
	r.eventually("the purge with the connection", func() bool { return len(r.purges()) == 1 })
}

// TestFlushBeforeTheConnection is not forgotten.
func TestFlushBeforeTheConnection(t *testing.T) {
	down := make(chan struct{})
	r := newRig(t, rfc2217test.Faults{}, func(cfg *Config) {
		dial := cfg.Dial
		cfg.Dial = func(ctx context.Context, remote rfc2217client.Remote) (net.Conn, error) {
			<-down
			return dial(ctx, remote)
		}
	})
	f := r.program()
	r.await(KindOpened)
	r.control(f, func(fd int) error { return unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH) })
	r.setSpeed(f, 300)
	r.await(KindWanted)
	close(down)
	r.eventually("the purge", func() bool { return slices.Equal(r.purges(), []comport.Purge{comport.PurgeReceive}) })
}

// TestDropBanner: what the server says before the negotiation is over reaches the
// program, or does not.
func TestDropBanner(t *testing.T) {
	const banner = "welcome to the serial port\r\n"
	for _, drop := range []bool{false, true} {
		var r *rig
		var serving sync.WaitGroup
		t.Cleanup(serving.Wait)
		r = newRig(t, rfc2217test.Faults{}, func(cfg *Config) {
			cfg.DropBanner = drop
			cfg.Dial = func(context.Context, rfc2217client.Remote) (net.Conn, error) {
				near, far := net.Pipe()
				serving.Go(func() {
					_, _ = far.Write([]byte(banner))
					_ = r.server.ServeConn(t.Context(), far)
				})
				return near, nil
			}
		})
		f := r.program()
		r.await(KindConnected)
		// Until its first answer all that the server says is its greeting.
		r.eventually("the server has answered", func() bool { return r.status().Reported.BaudRate != 0 })
		r.uart.Receive([]byte("data"))
		want, dropped := banner+"data", uint64(0)
		if drop {
			want, dropped = "data", uint64(len(banner))
		}
		var got []byte
		r.eventually("what the program reads", func() bool {
			buf := make([]byte, 100)
			_ = f.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			if n, err := f.Read(buf); err == nil {
				got = append(got, buf[:n]...)
			}
			return len(got) >= len(want)
		})
		if string(got) != want || r.status().DroppedBanner != dropped {
			t.Errorf("drop %v: the program reads %q, and %d bytes are counted", drop, got, r.status().DroppedBanner)
		}
		r.server.Disconnect()
	}
}

// TestPortInUse is an error, and not data.
func TestPortInUse(t *testing.T) {
	for _, protocol := range []rfc2217client.Protocol{rfc2217client.ProtocolRFC2217, rfc2217client.ProtocolRaw} {
		r := newRig(t, rfc2217test.Faults{PortInUse: true}, func(cfg *Config) { cfg.Remote.Protocol = protocol })
		r.program()
		r.await(KindDisconnected)
		if err := r.of(KindDisconnected)[0].Err; !errors.Is(err, ErrInUse) {
			t.Errorf("%v: disconnected for %v", protocol, err)
		}
		r.eventually("it is tried again", func() bool { return r.server.Stats().Connections > 3 })
		if n := r.status().Bytes.ToProgram; n > 0 {
			t.Errorf("%v: the program was given %d bytes", protocol, n)
		}
		if n, c := len(r.of(KindDisconnected)), len(r.of(KindConnected)); n > 1 || c > 1 {
			t.Errorf("%v: it is told %d times, and %d connections", protocol, n, c)
		}
		r.server.SetFaults(rfc2217test.Faults{})
		r.eventually("the port is free, and that is told", func() bool { return r.status().LastError == nil && r.status().Up })
	}
}

// TestPortInUseIsCountedOnce, whether a banner is to be dropped or not.
func TestPortInUseIsCountedOnce(t *testing.T) {
	const told = inUse + "\r\n"
	for _, drop := range []bool{false, true} {
		r := newRig(t, rfc2217test.Faults{}, func(cfg *Config) {
			cfg.DropBanner, cfg.RetryMin, cfg.RetryMax = drop, time.Hour, time.Hour
			cfg.Dial = func(context.Context, rfc2217client.Remote) (net.Conn, error) {
				near, far := net.Pipe()
				go func() {
					_, _ = far.Write([]byte(told))
					_ = far.Close()
				}()
				return near, nil
			}
		})
		r.program()
		r.await(KindDisconnected)
		if n := r.status().DroppedBanner; n != uint64(len(told)) {
			t.Errorf("drop %v: %d bytes are counted, want %d", drop, n, len(told))
		}
	}
}

// TestDrainIsTooShort: what a slow line does not carry in time is dropped, and the
// server that is well is not blamed for it.
func TestDrainIsTooShort(t *testing.T) {
	r := newRig(t, rfc2217test.Faults{}, func(cfg *Config) {
		cfg.Pace, cfg.Drain = true, 50*time.Millisecond
		cfg.Line = comport.State{BaudRate: 300, DataSize: 8, Parity: comport.ParityNone, StopSize: comport.StopSize1}
	})
	f := r.program()
	r.await(KindConnected)
	if _, err := f.Write(make([]byte, 300)); err != nil { // ten seconds
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	r.await(KindStopped)
	if told := r.of(KindDropped); len(told) != 1 || !strings.Contains(told[0].Text, "--drain") {
		t.Errorf("told %v", told)
	}
}

// TestTelnetServerTakenForRaw is told once, and forgotten when it is none any more.
func TestTelnetServerTakenForRaw(t *testing.T) {
	r := newRig(t, rfc2217test.Faults{}, func(cfg *Config) {
		cfg.Remote.Protocol, cfg.Connect = rfc2217client.ProtocolRaw, ConnectAlways
	})
	r.await(KindMismatch)
	r.eventually("another connection", func() bool {
		r.server.Disconnect()
		return len(r.of(KindConnected)) > 2
	})
	if got := r.of(KindMismatch); len(got) != 1 {
		t.Errorf("told %v", got)
	}
}

// TestNoMoreTries ends the port.
func TestNoMoreTries(t *testing.T) {
	failed := make(chan error, 1)
	refused := errors.New("refused")
	r := newRig(t, rfc2217test.Faults{}, func(cfg *Config) {
		cfg.Tries = 3
		cfg.Dial = func(context.Context, rfc2217client.Remote) (net.Conn, error) { return nil, refused }
		cfg.Failed = func(err error) { failed <- err }
	})
	r.program()
	select {
	case err := <-failed:
		if !errors.Is(err, rfc2217client.ErrNoMoreTries) || !errors.Is(err, refused) {
			t.Errorf("failed with %v", err)
		}
	case <-time.After(patience):
		t.Fatal("it tries without end")
	}
	if len(r.of(KindGaveUp)) != 1 {
		t.Errorf("events %v", r.all())
	}
}

// TestReplay: after a reconnect all that was asked for is in force before the
// first byte, and what the server now refuses is told.
func TestReplay(t *testing.T) {
	r := newRig(t, rfc2217test.Faults{}, func(cfg *Config) { cfg.DTR = comport.ControlDTROff })
	f := r.program()
	r.await(KindConnected)
	r.control(f, func(fd int) error {
		tio, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
		if err != nil {
			return err
		}
		tio.Cflag = tio.Cflag&^(unix.CBAUD|unix.CBAUDEX) | unix.BOTHER | unix.CSTOPB | unix.CRTSCTS
		tio.Ispeed, tio.Ospeed = 250_000, 250_000
		return unix.IoctlSetTermios(fd, unix.TCSETS2, tio)
	})
	want := comport.State{
		BaudRate: 250_000, DataSize: 8, Parity: comport.ParityNone, StopSize: comport.StopSize2,
		Outbound: comport.ControlFlowHardware, DTR: comport.ControlDTROff,
	}
	holds := func(s comport.State) bool {
		return s.BaudRate == want.BaudRate && s.StopSize == want.StopSize && s.Outbound == want.Outbound && s.DTR == want.DTR
	}
	r.eventually("the settings", func() bool { return holds(r.uart.State()) })
	r.server.SetFaults(clumsy)
	r.server.Disconnect()
	r.await(KindDisconnected)
	if _, err := f.WriteString("first byte"); err != nil {
		t.Fatal(err)
	}
	r.eventually("the byte", func() bool { return string(r.uart.Sent()) == "first byte" })
	for _, e := range r.uart.Journal() {
		if e.Kind == rfc2217test.EntryData && !holds(e.State) {
			t.Errorf("%q left with %v", e.Data, e.State)
		}
	}
	r.await(KindDiffers)
	if d := r.of(KindDiffers)[0]; d.Old != (comport.SetBaudRate{Rate: 250_000}).String() {
		t.Errorf("told that %s became %s", d.Old, d.New)
	}
}

// TestModemMask is sent at each connection if there is one, and not otherwise.
func TestModemMask(t *testing.T) {
	for _, set := range []bool{false, true} {
		r := newRig(t, rfc2217test.Faults{}, func(cfg *Config) { cfg.SetModemMask, cfg.ModemMask = set, 0x30 })
		r.program()
		r.await(KindConnected)
		r.eventually("the queries", func() bool { return len(r.server.Messages()) >= 4 })
		if got := slices.Contains(r.server.Messages(), comport.Message(comport.SetModemStateMask{Mask: 0x30})); got != set {
			t.Errorf("set %v: the server was told %v", set, r.server.Messages())
		}
	}
}

// TestStaleBytesAreTold once an outage.
func TestStaleBytesAreTold(t *testing.T) {
	up := make(chan struct{})
	r := newRig(t, rfc2217test.Faults{}, func(cfg *Config) {
		cfg.StaleAfter = 50 * time.Millisecond
		dial := cfg.Dial
		cfg.Dial = func(ctx context.Context, remote rfc2217client.Remote) (net.Conn, error) {
			<-up
			return dial(ctx, remote)
		}
	})
	f := r.program()
	if _, err := f.WriteString("old"); err != nil {
		t.Fatal(err)
	}
	r.eventually("they are stale", func() bool { return r.status().Bytes.DroppedStale == 3 })
	close(up)
	r.await(KindConnected)
	if _, err := f.WriteString("new"); err != nil {
		t.Fatal(err)
	}
	r.eventually("the new ones arrive", func() bool { return string(r.uart.Sent()) == "new" })
	if d := r.of(KindDropped); len(d) != 1 || d[0].New != "3" {
		t.Errorf("told %v", d)
	}
}

// TestDrainAtTheEnd waits for what is in flight, and for nothing when there is
// nobody to take it.
func TestDrainAtTheEnd(t *testing.T) {
	r := newRig(t, rfc2217test.Faults{}, nil)
	f := r.program()
	r.await(KindConnected)
	if _, err := f.WriteString("last words"); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	r.do(func() { r.port.Drain(func() { close(done) }) })
	<-done
	r.eventually("they arrive", func() bool { return string(r.uart.Sent()) == "last words" })
}
