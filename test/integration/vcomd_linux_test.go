package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

func hexPort(port string) string {
	n, err := strconv.Atoi(port)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%04X", n)
}

// vcomd is the program under test with one port.
type vcomd struct {
	*process
	link  string
	trace string

	parsed   map[string][]logLine // the log so far, by event
	parsedTo int
}

// start runs vcomd with a link in the test's directory, and waits until the port
// is there.
func start(t *testing.T, remote string, flags ...string) *vcomd {
	t.Helper()
	trace := filepath.Join(t.TempDir(), "trace")
	v := startUntraced(t, remote, append([]string{"--trace", trace, "--log-level", "debug"}, flags...)...)
	v.trace = trace
	return v
}

// startUntraced is start without a trace, for megabytes.
func startUntraced(t *testing.T, remote string, flags ...string) *vcomd {
	t.Helper()
	return startBy(t, nil, remote, flags...)
}

// startBy is startUntraced with a command in front.
func startBy(t *testing.T, by []string, remote string, flags ...string) *vcomd {
	t.Helper()
	dir := t.TempDir()
	v := &vcomd{link: filepath.Join(dir, "tty")}
	args := append([]string{"--link", v.link, "--run-dir", filepath.Join(dir, "run")}, flags...)
	argv := slices.Concat(by, []string{binary}, args, []string{remote})
	cmd := exec.Command(argv[0], argv[1:]...)
	// A binary with the race detector sleeps a second before it ends, if not told.
	cmd.Env = append(os.Environ(), "GOTRACEBACK=all", "GORACE=atexit_sleep_ms=0")
	v.process = spawnCmd(t, cmd)
	v.waitEvent("ready")
	t.Cleanup(func() {
		if t.Failed() {
			trace, _ := os.ReadFile(v.trace)
			t.Logf("trace of %s:\n%s", v.link, tail(string(trace), 6000))
		}
		v.end()
	})
	return v
}

// end has vcomd leave, as a user would, and checks that it does so cleanly.
func (v *vcomd) end() {
	v.t.Helper()
	if !v.running() {
		return
	}
	v.stop(syscall.SIGTERM)
	if code := v.cmd.ProcessState.ExitCode(); code != 0 {
		v.t.Errorf("vcomd ended with status %d after SIGTERM, want 0", code)
	}
	if _, err := os.Lstat(v.link); err == nil {
		v.t.Errorf("the link %s is still there after the end", v.link)
	}
}

// logLine is one line of vcomd's log.
type logLine struct {
	Level, Event, Old, New, Err, Detail, Message string

	ToProgram     uint64 `json:"to_program"`
	FromProgram   uint64 `json:"from_program"`
	DroppedClosed uint64 `json:"dropped_closed"`
	DroppedUnsent uint64 `json:"dropped_unsent"`
	DroppedStale  uint64 `json:"dropped_stale"`
	DroppedDown   uint64 `json:"dropped_down"`
	Broken        uint64 `json:"broken_messages"`
	Unknown       uint64 `json:"unknown_messages"`
	Ignored       uint64 `json:"ignored_commands"`
	Refused       uint64 `json:"refused_options"`
	TxUnconfirmed uint64 `json:"tx_unconfirmed"`
	RxUndelivered uint64 `json:"rx_undelivered"`
}

// events returns the log's lines of one kind.
func (v *vcomd) events(kind string) []logLine {
	v.t.Helper()
	if v.parsed == nil {
		v.parsed = make(map[string][]logLine)
	}
	// Only what is new: tests of thousands of rounds look after each.
	log := v.out.String()[v.parsedTo:]
	for {
		line, rest, ok := strings.Cut(log, "\n")
		if !ok {
			return v.parsed[kind]
		}
		v.parsedTo += len(line) + 1
		log = rest
		var l logLine
		if json.Unmarshal([]byte(line), &l) == nil {
			v.parsed[l.Event] = append(v.parsed[l.Event], l)
		}
	}
}

// waitEvent waits for the first line of one kind.
func (v *vcomd) waitEvent(kind string) logLine {
	v.t.Helper()
	return v.waitEvents(kind, 1)[0]
}

// waitEvents waits until n lines of one kind are there.
func (v *vcomd) waitEvents(kind string, n int) []logLine {
	v.t.Helper()
	var found []logLine
	eventually(v.t, fmt.Sprintf("vcomd logs %q %d times", kind, n), func() bool {
		found = v.events(kind)
		if len(found) < n && !v.running() {
			v.t.Fatalf("vcomd has ended: %v", v.err)
		}
		return len(found) >= n
	})
	return found
}

// rss returns the resident memory of a process, in KiB.
func (p *process) rss() int {
	p.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				p.t.Fatal(err)
			}
			return n
		}
	}
	p.t.Fatal("no VmRSS in the status of the process")
	return 0
}

// waitEnded returns the totals that vcomd logs at its end; it has been stopped.
func (v *vcomd) waitEnded() logLine {
	v.t.Helper()
	v.wait()
	ended := v.events("ended")
	if len(ended) != 1 {
		v.t.Fatalf("%d lines of totals at the end, want 1", len(ended))
	}
	return ended[0]
}

// received reports whether a command has come from the server.
func (v *vcomd) received(command string) bool {
	v.t.Helper()
	trace, err := os.ReadFile(v.trace)
	if err != nil {
		v.t.Fatal(err)
	}
	return strings.Contains(string(trace), " < "+command+"\n")
}
