package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// compiled is testdata/uart.c as a program; flags may make it a 32-bit one.
func compiled(t *testing.T, flags ...string) string {
	t.Helper()
	need(t, "gcc")
	program := filepath.Join(t.TempDir(), "uart")
	args := append([]string{"-O1", "-pthread", "-o", program, "testdata/uart.c"}, flags...)
	if out, err := exec.Command("gcc", args...).CombinedOutput(); err != nil {
		skip(t, fmt.Sprintf("gcc %v: %v: %s", flags, err, out))
	}
	return program
}

// startUART is a served port with the program on it.
func startUART(t *testing.T, program string, args ...string) (*simulated, *process) {
	t.Helper()
	s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}})
	v := startUntraced(t, s.addr, "--connect", "always", "--log-level", "debug")
	v.waitEvent("connected")
	v.waitEvent("modem-state") // those of a device that is there
	s.uart.SetModem(0)
	v.waitEvents("modem-state", 2)
	on := v.runOn()
	return s, spawn(t, on[0], append(append(on[1:], program, v.link), args...)...)
}

func (p *process) awaitOutput(what string) {
	p.t.Helper()
	eventually(p.t, "it prints "+what, func() bool { return strings.Contains(p.out.String(), what) })
}

// child is the process id of the program that a vcomd run has started.
func (p *process) child() int {
	p.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", p.cmd.Process.Pid, p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for _, task := range taskIDs(p) {
		more, _ := os.ReadFile(fmt.Sprintf("/proc/%d/task/%s/children", p.cmd.Process.Pid, task))
		b = append(append(b, ' '), more...)
	}
	fields := strings.Fields(string(b))
	if len(fields) == 0 {
		p.t.Fatal("vcomd run has no child")
	}
	pid, err := strconv.Atoi(fields[0])
	if err != nil {
		p.t.Fatal(err)
	}
	return pid
}

func taskIDs(p *process) (all []string) {
	entries, _ := os.ReadDir(fmt.Sprintf("/proc/%d/task", p.cmd.Process.Pid))
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return all
}

// TIOCMIWAIT is woken by each line, by RI at its trailing edge, and TIOCGICOUNT
// counts them. A 32-bit program is served as well.
func TestRunModemWait(t *testing.T) {
	for _, flags := range [][]string{nil, {"-m32"}} {
		name := "64 bits"
		if flags != nil {
			name = "32 bits"
		}
		t.Run(name, func(t *testing.T) {
			program := compiled(t, flags...)
			for _, tt := range []struct {
				mask    int // TIOCM_*
				changes []comport.ModemState
				want    string
			}{
				{0x020, []comport.ModemState{comport.ModemCTS}, "cts 1 dsr 0 rng 0 dcd 0"},
				{0x100, []comport.ModemState{comport.ModemDSR}, "cts 0 dsr 1 rng 0 dcd 0"},
				{0x040, []comport.ModemState{comport.ModemDCD}, "cts 0 dsr 0 rng 0 dcd 1"},
				{0x080, []comport.ModemState{comport.ModemRI, 0}, "cts 0 dsr 0 rng 1 dcd 0"},
			} {
				s, p := startUART(t, program, "wait", strconv.Itoa(tt.mask))
				p.awaitOutput("waiting")
				time.Sleep(50 * time.Millisecond) // nothing tells that the call has reached vcomd
				for _, c := range tt.changes {
					s.uart.SetModem(c)
				}
				p.wait()
				if out := p.out.String(); !strings.Contains(out, "wait: ok") || !strings.Contains(out, tt.want) {
					t.Errorf("mask %#x: it printed %q, want %q", tt.mask, out, tt.want)
				}
			}
		})
	}
}

// A signal interrupts TIOCMIWAIT with EINTR, or not with SA_RESTART. 512 is never
// seen, with threads either: the kernel gives a signal of the process to the first
// one, which waits here.
func TestRunModemWaitAndSignals(t *testing.T) {
	program := compiled(t)
	for how, restarted := range map[string]bool{"-": false, "r": true, "t": false, "rt": true} {
		t.Run(how, func(t *testing.T) {
			s, p := startUART(t, program, "signal", how)
			p.awaitOutput("waiting")
			time.Sleep(50 * time.Millisecond) // nothing tells that the call has reached vcomd
			if err := syscall.Kill(p.child(), syscall.SIGUSR1); err != nil {
				t.Fatal(err)
			}
			if !restarted {
				p.wait()
				if out := p.out.String(); !strings.Contains(out, "handled 1") || !strings.Contains(out, "(4)") {
					t.Errorf("it printed %q, want EINTR", out)
				}
				return
			}
			time.Sleep(100 * time.Millisecond) // several looks at the signals
			if !p.running() {
				t.Fatalf("the wait has ended: %s", p.out.String())
			}
			s.uart.SetModem(comport.ModemDCD)
			p.wait()
			if out := p.out.String(); !strings.Contains(out, "wait: ok") || strings.Contains(out, "512") {
				t.Errorf("it printed %q", out)
			}
		})
	}
}

// 100,000 changes of DTR under 5,000 signals a second: each is done once.
func TestRunSignalStorm(t *testing.T) {
	t.Parallel()
	n := 100_000
	if slices.Contains(buildFlags, "-race") {
		n = 10_000
	}
	program := compiled(t)
	device := &edges{recorder: newRecorder()}
	s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Device: device, Unpaced: true, JournalOff: true}})
	v := startUntraced(t, s.addr, "--connect", "always")
	v.waitEvent("connected")
	on := v.runOn()
	p := spawn(t, on[0], append(on[1:], program, v.link, "storm", strconv.Itoa(n))...)
	eventuallyWithin(t, 4*patience, "the storm is over", func() bool { return !p.running() })
	if out := p.out.String(); !strings.Contains(out, "failed 0, signals many") {
		t.Fatalf("it printed %q", out)
	}
	// It ends with DTR up, and the close drops it: once more than the program.
	eventually(t, "the server has been told all of it", func() bool { return device.falls.Load() >= int64(n/2+1) })
	if got := device.falls.Load(); got != int64(n/2+1) {
		t.Errorf("DTR fell %d times, want %d", got, n/2+1)
	}
}

// edges is a device that counts how often DTR falls.
type edges struct {
	*recorder
	dtr   atomic.Bool
	falls atomic.Int64
}

func (e *edges) SetLines(dtr, _ bool) {
	if e.dtr.Swap(dtr) && !dtr {
		e.falls.Add(1)
	}
}

func (e *edges) NotifyModem(f func(comport.ModemState)) { f(comport.ModemDSR) }

// A wrong pointer is EFAULT, and nothing is done.
func TestRunBadPointers(t *testing.T) {
	program := compiled(t)
	s, p := startUART(t, program, "bad")
	p.wait()
	for _, what := range []string{"TIOCMGET", "TCSETS", "TIOCMSET", "TIOCGICOUNT"} {
		if !strings.Contains(p.out.String(), what+": Bad address (14)") {
			t.Errorf("%s: it printed %q", what, p.out.String())
		}
	}
	if n := s.count(comport.SetControl{Control: comport.ControlDTROff}); n > 1 { // the close
		t.Errorf("DTR was dropped %d times", n)
	}
}

// A program that is killed in TIOCMIWAIT, and 200 children at once, leave nothing
// behind.
func TestRunChildren(t *testing.T) {
	program := compiled(t)
	t.Run("killed", func(t *testing.T) {
		_, p := startUART(t, program, "wait", "64")
		p.awaitOutput("waiting")
		if err := syscall.Kill(p.child(), syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		p.wait()
		if code := p.cmd.ProcessState.ExitCode(); code != 128+int(syscall.SIGKILL) {
			t.Errorf("exit status %d", code)
		}
	})
	t.Run("200 at once", func(t *testing.T) {
		need(t, "sh", "stty")
		s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}})
		v := startUntraced(t, s.addr, "--connect", "always")
		v.waitEvent("connected")
		on := v.runOn()
		out, code := run(t, on[0], append(on[1:], "sh", "-c",
			`i=0; while [ $i -lt 200 ]; do stty -F "$0" cs7 parenb & i=$((i+1)); done; wait; stty -F "$0" -a`, v.link)...)
		if code != 0 || !strings.Contains(out, "cs7") {
			t.Errorf("exit status %d: %s", code, tail(out, 1000))
		}
	})
}
