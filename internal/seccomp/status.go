package seccomp

import (
	"bytes"
	"fmt"
	"strconv"
)

// sigset is a set of signals as the kernel prints it: bit n-1 is signal n.
type sigset uint64

func (s sigset) has(signal int) bool { return signal > 0 && signal <= 64 && s>>(signal-1)&1 != 0 }

// taskStatus is what /proc/TID/status tells of a task's signals (proc_pid_status(5)).
type taskStatus struct {
	tgid    int
	tid     int
	threads int    // of its process
	pending sigset // for this task alone (SigPnd)
	shared  sigset // for its process (ShdPnd)
	blocked sigset
	ignored sigset
}

// statusFields is how many fields taskStatus has.
const statusFields = 7

// parseTaskStatus reads /proc/TID/status. Every field must be there.
func parseTaskStatus(b []byte) (taskStatus, error) {
	var s taskStatus
	var seen int
	for line := range bytes.Lines(b) {
		key, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			continue
		}
		v := string(bytes.TrimSpace(value))
		var err error
		switch string(key) {
		case "Tgid":
			s.tgid, err = strconv.Atoi(v)
		case "Pid":
			s.tid, err = strconv.Atoi(v)
		case "Threads":
			s.threads, err = strconv.Atoi(v)
		case "SigPnd":
			err = parseSigset(v, &s.pending)
		case "ShdPnd":
			err = parseSigset(v, &s.shared)
		case "SigBlk":
			err = parseSigset(v, &s.blocked)
		case "SigIgn":
			err = parseSigset(v, &s.ignored)
		default:
			continue
		}
		if err != nil {
			return taskStatus{}, fmt.Errorf("%s in a task's status: %w", key, err)
		}
		seen++
	}
	if seen != statusFields {
		return taskStatus{}, fmt.Errorf("a task's status has %d of %d fields", seen, statusFields)
	}
	return s, nil
}

func parseSigset(v string, to *sigset) error {
	n, err := strconv.ParseUint(v, 16, 64)
	*to = sigset(n)
	return err
}

// toLeader are the signals that are sent to a process, and not to one of its threads, by terminals, timers and other
// processes: HUP, INT, QUIT, USR1, USR2, ALRM, TERM, CONT, STOP, TSTP, TTIN, TTOU and WINCH. SIGCHLD is not among them: it is
// for the thread that has forked. Nor are those for the thread that has used up its time.
const toLeader sigset = 1<<0 | 1<<1 | 1<<2 | 1<<9 | 1<<11 | 1<<13 | 1<<14 | 1<<17 | 1<<18 | 1<<19 | 1<<20 | 1<<21 | 1<<27

// interrupted reports whether the task will certainly look for a signal when its system call returns. It must be certain:
// ERESTARTSYS is for the kernel's signal code, and if that does not run, it is the program that gets error 512.
//
// It looks if TIF_SIGPENDING is set, and in a task that waits only that task itself clears it (kernel/signal.c). The flag is
// set with every signal for the task alone. One for its process sets it in a thread that can take it: in the one to which
// it was sent, for kill(2) the leader, if that does not block it (complete_signal). If another thread takes it first, or
// SIGCONT withdraws a stop signal, the task still looks, finds nothing, and makes its call again.
func (s taskStatus) interrupted() bool {
	p := s.pending
	switch {
	case s.threads == 1:
		p |= s.shared
	case s.tid == s.tgid:
		p |= s.shared & toLeader
	}
	return p&^s.blocked&^s.ignored != 0
}

// taskStat is what /proc/PID/stat tells of a process's place among others (proc_pid_stat(5)).
type taskStat struct {
	state      byte // 'T': stopped
	parent     int
	group      int
	session    int
	foreground int // process group of the controlling terminal, -1: there is none
}

// parseTaskStat reads /proc/PID/stat.
func parseTaskStat(b []byte) (taskStat, error) {
	// The name may have anything in it, also ") ".
	end := bytes.LastIndexByte(b, ')')
	f := bytes.Fields(b[end+1:])
	if end < 0 || len(f) < 6 || len(f[0]) != 1 {
		return taskStat{}, fmt.Errorf("a task's stat has no fields after its name")
	}
	s := taskStat{state: f[0][0]}
	for i, to := range map[int]*int{1: &s.parent, 2: &s.group, 3: &s.session, 5: &s.foreground} {
		n, err := strconv.Atoi(string(f[i]))
		if err != nil {
			return taskStat{}, fmt.Errorf("field %d of a task's stat: %w", i+3, err)
		}
		*to = n
	}
	return s, nil
}

// stateStopped is taskStat.state of a task that a signal has stopped.
const stateStopped = 'T'
