package seccomp

import (
	"strings"
	"testing"
)

// As proc_pid_status(5) shows them, shortened.
const exampleStatus = `Name:	a: Threads:	7
State:	S (sleeping)
Tgid:	4711
Pid:	%D
Groups:	4 20 24
Threads:	%T
SigQ:	1/15000
SigPnd:	%P
ShdPnd:	%S
SigBlk:	%B
SigIgn:	%I
SigCgt:	0000000000000200
`

func status(threads, pending, shared, blocked, ignored string) []byte {
	return statusOf("4712", threads, pending, shared, blocked, ignored)
}

func statusOf(tid, threads, pending, shared, blocked, ignored string) []byte {
	return []byte(strings.NewReplacer("%D", tid, "%T", threads, "%P", pending, "%S", shared, "%B", blocked, "%I", ignored).Replace(exampleStatus))
}

func TestInterrupted(t *testing.T) {
	const none, usr1, both = "0000000000000000", "0000000000000200", "0000000000000a00"
	for _, c := range []struct {
		name                                       string
		threads, pending, shared, blocked, ignored string
		want                                       bool
	}{
		{"nothing", "1", none, none, none, none, false},
		{"its own", "1", usr1, none, none, none, true},
		{"the process's", "1", none, usr1, none, none, true},
		{"its own, of two", "2", usr1, none, none, none, true},
		{"the process's, of two", "2", none, usr1, none, none, false},
		{"its own, blocked", "1", usr1, none, usr1, none, false},
		{"the process's, blocked", "1", none, usr1, usr1, none, false},
		{"its own, ignored", "1", usr1, none, none, usr1, false},
		{"one blocked, another not", "1", both, none, usr1, none, true},
		{"another blocked", "1", usr1, none, "0000000000000800", none, true},
		{"signal 64", "1", "8000000000000000", none, none, none, true},
	} {
		s, err := parseTaskStatus(status(c.threads, c.pending, c.shared, c.blocked, c.ignored))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		} else if got := s.interrupted(); got != c.want || s.tgid != 4711 {
			t.Errorf("%s: %v of %d, want %v of 4711", c.name, got, s.tgid, c.want)
		}
	}
}

// A process's first thread counts signals that are sent to processes, whatever other threads there are.
func TestInterruptedLeader(t *testing.T) {
	const none = "0000000000000000"
	for shared, want := range map[string]bool{
		none:               false,
		"0000000000000002": true,  // SIGINT
		"0000000000000200": true,  // SIGUSR1
		"0000000000040000": true,  // SIGSTOP
		"0000000000080000": true,  // SIGTSTP
		"0000000008000000": true,  // SIGWINCH
		"0000000000010000": false, // SIGCHLD
		"0000000002000000": false, // SIGVTALRM
		"0000000004000000": false, // SIGPROF
		"0000000010000000": false, // SIGIO
		"8000000000000000": false, // SIGRTMAX
	} {
		s, err := parseTaskStatus(statusOf("4711", "2", none, shared, none, none))
		if err != nil || s.interrupted() != want {
			t.Errorf("%s: %v, %v, want %v", shared, s.interrupted(), err, want)
		}
		s, err = parseTaskStatus(statusOf("4711", "2", none, shared, shared, none))
		if err != nil || s.interrupted() {
			t.Errorf("%s, blocked: %v, %v", shared, s.interrupted(), err)
		}
	}
}

func TestTaskStatusIncomplete(t *testing.T) {
	for _, b := range [][]byte{
		nil, []byte("Tgid:\t1\n"), status("x", "0", "0", "0", "0"), status("1", "g", "0", "0", "0"), status("1", "0", "", "0", "0"),
		status("1", "0", "0", "00000000000000000", "10000000000000000"),
	} {
		if s, err := parseTaskStatus(b); err == nil {
			t.Errorf("%q gives %+v", b, s)
		}
	}
}

func TestSigset(t *testing.T) {
	s := sigset(1<<63 | 1)
	for n, want := range map[int]bool{-1: false, 0: false, 1: true, 2: false, 63: false, 64: true, 65: false} {
		if s.has(n) != want {
			t.Errorf("signal %d: %v", n, s.has(n))
		}
	}
}

func TestTaskStat(t *testing.T) {
	got, err := parseTaskStat([]byte("12 (a) R 9 (b) T 34 56 78 34816 90 4194304 1"))
	if want := (taskStat{'T', 34, 56, 78, 90}); err != nil || got != want {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
	for _, b := range []string{"", "12", "12 (a)", "12 (a) S 1 2 3 4", "12 (a) SS 1 2 3 4 5", "12 (a) S x 2 3 4 5", "12 (a) S 1 2 3 4 -"} {
		if s, err := parseTaskStat([]byte(b)); err == nil {
			t.Errorf("%q gives %+v", b, s)
		}
	}
}

func FuzzTaskStatus(f *testing.F) {
	f.Add(status("1", "0000000000000200", "0", "0", "0"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		if s, err := parseTaskStatus(b); err == nil {
			_ = s.interrupted()
		}
	})
}

func FuzzTaskStat(f *testing.F) {
	f.Add([]byte("12 (a) T 34 56 78 34816 90 4194304 1"))
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = parseTaskStat(b) })
}
