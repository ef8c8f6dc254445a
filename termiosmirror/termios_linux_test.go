package termiosmirror

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client/comport"
)

// need skips the test for a missing prerequisite, unless VCOMD_TEST_REQUIRE=all forbids it.
func need(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if os.Getenv("VCOMD_TEST_REQUIRE") == "all" {
		t.Fatalf("%s: %v", what, err)
	}
	t.Skipf("%s: %v", what, err)
}

// openSlave opens a pseudo-terminal of its own and returns the slave.
func openSlave(t *testing.T) int {
	t.Helper()
	master, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	need(t, "open /dev/ptmx", err)
	t.Cleanup(func() { unix.Close(master) })
	if err := unix.IoctlSetPointerInt(master, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetUint32(master, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err := unix.Open(fmt.Sprintf("/dev/pts/%d", n), unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	need(t, "open the slave", err)
	t.Cleanup(func() { unix.Close(slave) })
	return slave
}

func get(t *testing.T, fd int) unix.Termios {
	t.Helper()
	got, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
	if err != nil {
		t.Fatal(err)
	}
	return *got
}

func set(t *testing.T, fd int, to unix.Termios) {
	t.Helper()
	if err := unix.IoctlSetTermios(fd, unix.TCSETS2, &to); err != nil {
		t.Fatal(err)
	}
}

// speeds holds every B constant with the number in its name.
var speeds = map[uint32]uint32{
	unix.B50: 50, unix.B75: 75, unix.B110: 110, unix.B134: 134, unix.B150: 150, unix.B200: 200, unix.B300: 300,
	unix.B600: 600, unix.B1200: 1200, unix.B1800: 1800, unix.B2400: 2400, unix.B4800: 4800, unix.B9600: 9600,
	unix.B19200: 19200, unix.B38400: 38400, unix.B57600: 57600, unix.B115200: 115200, unix.B230400: 230400,
	unix.B460800: 460800, unix.B500000: 500000, unix.B576000: 576000, unix.B921600: 921600, unix.B1000000: 1000000,
	unix.B1152000: 1152000, unix.B1500000: 1500000, unix.B2000000: 2000000, unix.B2500000: 2500000,
	unix.B3000000: 3000000, unix.B3500000: 3500000, unix.B4000000: 4000000,
}

// TestSpeedOfStandardSpeeds has the kernel for a witness: what it makes of a B constant is c_ospeed.
func TestSpeedOfStandardSpeeds(t *testing.T) {
	fd := openSlave(t)
	for code, rate := range speeds {
		asked := raw9600()
		asked.Cflag = asked.Cflag&^unix.CBAUD | code
		set(t, fd, asked)
		got := get(t, fd)
		if Speed(got) != rate || got.Ospeed != rate {
			t.Errorf("B%d: Speed %d, c_ospeed %d", rate, Speed(got), got.Ospeed)
		}
		applied := Apply(raw9600(), comport.State{BaudRate: rate})
		if applied.Cflag&unix.CBAUD != code || applied.Ospeed != rate || applied.Ispeed != rate {
			t.Errorf("Apply of %d: %#o, c_ispeed %d, c_ospeed %d", rate, applied.Cflag, applied.Ispeed, applied.Ospeed)
		}
	}
}

func TestSpeedsOfEveryKindOnAPTY(t *testing.T) {
	fd := openSlave(t)
	rates := []uint32{1, 2, 49, 51, 12345, 74880, 250000, 256000, 4000001, 16777215, 65280, 1<<31 - 1, 1 << 31, 4294967294, 4294967295}
	for _, rate := range rates {
		set(t, fd, Apply(get(t, fd), comport.State{BaudRate: rate}))
		if got := Speed(get(t, fd)); got != rate {
			t.Errorf("%d: read back %d", rate, got)
		}
	}
}

func TestSpeedB0(t *testing.T) {
	fd := openSlave(t)
	set(t, fd, withSpeed(raw9600(), unix.B0, 0))
	got := get(t, fd)
	if Speed(got) != 0 {
		t.Errorf("B0: %d", Speed(got))
	}
	if again := Apply(got, comport.State{BaudRate: 300}); Speed(again) != 300 {
		t.Errorf("Apply on B0: %d, want 300", Speed(again))
	}
}

func TestApplyChangesOnlyWhatIsKnown(t *testing.T) {
	before := with(raw9600(), unix.CSTOPB|unix.CRTSCTS|unix.PARODD, unix.IXON|unix.IXANY|unix.ICRNL)
	if got := Apply(before, comport.State{DTR: comport.ControlDTROff, Break: comport.ControlBreakOn}); got != before {
		t.Errorf("nothing known: %+v became %+v", before, got)
	}
	// Outside its flags Apply leaves everything alone.
	r := rand.New(rand.NewPCG(1, 2))
	const cflags = unix.CBAUD | unix.CIBAUD | unix.CSIZE | unix.PARENB | unix.PARODD | unix.CMSPAR | unix.CSTOPB | unix.CRTSCTS
	for range 10000 {
		from := unix.Termios{Iflag: r.Uint32(), Oflag: r.Uint32(), Cflag: r.Uint32(), Lflag: r.Uint32()}
		got := Apply(from, randomState(r))
		if (got.Cflag^from.Cflag)&^cflags != 0 || (got.Iflag^from.Iflag)&^(unix.IXON|unix.IXOFF) != 0 ||
			got.Oflag != from.Oflag || got.Lflag != from.Lflag || got.Cc != from.Cc || got.Line != from.Line {
			t.Fatalf("%+v became %+v", from, got)
		}
	}
}

func TestApplyFlow(t *testing.T) {
	const hw, ixon, ixoff = unix.CRTSCTS, unix.IXON, unix.IXOFF
	for _, tt := range []struct {
		out, in      comport.Control
		cflag, iflag uint32
	}{
		{comport.ControlFlowNone, 0, 0, 0},
		{comport.ControlFlowXonXoff, 0, 0, ixon | ixoff},
		{comport.ControlFlowHardware, 0, hw, 0},
		{comport.ControlFlowXonXoff, comport.ControlInboundNone, 0, ixon},
		{comport.ControlFlowNone, comport.ControlInboundXonXoff, 0, ixoff},
		{comport.ControlFlowNone, comport.ControlInboundHardware, hw, 0},
		{comport.ControlFlowHardware, comport.ControlInboundHardware, hw, 0},
	} {
		for _, before := range []unix.Termios{raw9600(), with(raw9600(), hw, ixon|ixoff)} {
			got := Apply(before, comport.State{Outbound: tt.out, Inbound: tt.in})
			if got.Cflag&hw != tt.cflag || got.Iflag&(ixon|ixoff) != tt.iflag {
				t.Errorf("out %d, in %d: CRTSCTS %#x, IXON|IXOFF %#x; want %#x, %#x",
					tt.out, tt.in, got.Cflag&hw, got.Iflag&(ixon|ixoff), tt.cflag, tt.iflag)
			}
		}
	}
}

// TestApplyThenObserve writes every frame into a termios and reads it back with a mirror that sees every bit.
func TestApplyThenObserve(t *testing.T) {
	for _, rate := range []uint32{1, 9600, 74880, 4294967295} {
		for size := comport.DataSize(5); size <= 8; size++ {
			for parity := comport.ParityNone; parity <= comport.ParitySpace; parity++ {
				for _, stop := range []comport.StopSize{comport.StopSize1, comport.StopSize2, comport.StopSize15} {
					for out := comport.ControlFlowNone; out <= comport.ControlFlowHardware; out++ {
						state := comport.State{BaudRate: rate, DataSize: size, Parity: parity, StopSize: stop, Outbound: out}
						m := NewExact(comport.State{})
						got, _ := m.Observe(Apply(unix.Termios{}, state))
						if stop != comport.StopSize1 { // one bit for both: the data size decides
							state.StopSize = comport.StopSize2
							if size == 5 {
								state.StopSize = comport.StopSize15
							}
						}
						if got != state {
							t.Fatalf("got %+v, want %+v", got, state)
						}
					}
				}
			}
		}
	}
}

// TestAPTYStrips is the fact on which hints and --line rest: size and PARENB are lost in the kernel, the rest survives.
func TestAPTYStrips(t *testing.T) {
	fd := openSlave(t)
	asked := comport.State{
		BaudRate: 74880, DataSize: 7, Parity: comport.ParityMark, StopSize: comport.StopSize2,
		Outbound: comport.ControlFlowHardware,
	}
	set(t, fd, Apply(raw9600(), asked))
	got := get(t, fd)
	if dataSize(got) != 8 || got.Cflag&unix.PARENB != 0 {
		t.Errorf("c_cflag %#o: the kernel kept size or PARENB", got.Cflag)
	}
	if got.Cflag&parityHints != parityHints {
		t.Errorf("c_cflag %#o: the kernel stripped the hints", got.Cflag)
	}
	var m Mirror
	m.Start(raw9600())
	seen, _ := m.Observe(got)
	asked.DataSize = 0
	if seen != asked {
		t.Errorf("observed %+v, want %+v", seen, asked)
	}
}
