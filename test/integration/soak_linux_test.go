package integration

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// soaking reports whether `make soak` runs.
func soaking() bool { return os.Getenv("VCOMD_SOAK") != "" }

// resources are what a process uses that must not grow with what it lives through.
type resources struct {
	descriptors, threads int
	rss                  int // KiB
}

func (r resources) String() string {
	return fmt.Sprintf("%d descriptors, %d threads, VmRSS %d KiB", r.descriptors, r.threads, r.rss)
}

func (p *process) resources() resources {
	p.t.Helper()
	count := func(dir string) int {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/%s", p.cmd.Process.Pid, dir))
		if err != nil {
			p.t.Fatal(err)
		}
		return len(entries)
	}
	return resources{count("fd"), count("task"), p.rss()}
}

// A port that lives through one fault after the other uses at the end what it used
// near the beginning, and has lost no byte that is not counted. Ten seconds of
// that, or two and a half minutes with VCOMD_SOAK.
func TestSoak(t *testing.T) {
	t.Parallel()
	length, warmUp := 10*time.Second, 100
	if soaking() {
		length, warmUp = 150*time.Second, 1000
	}
	uart := &rfc2217test.UART{JournalOff: true}
	o := newOutages(t, uart, soakRetry...)
	end := time.Now().Add(length)
	// Its heap and its buffers have their size when it is measured first.
	n := o.quickFaults(func(n int) bool { return n < warmUp })
	before := o.resources()
	n += o.quickFaults(func(int) bool { return time.Now().Before(end) })
	o.arrived()
	var after resources
	eventually(t, "no more descriptors are open than before", func() bool {
		after = o.resources()
		return after.descriptors <= before.descriptors
	})
	t.Logf("%d faults; after %d: %v; at the end: %v", n, warmUp, before, after)
	// Go's runtime starts one when a system call takes long, and keeps it.
	if after.threads > before.threads+2 {
		t.Errorf("%d threads after the first faults, %d at the end", before.threads, after.threads)
	}
	if after.rss > before.rss+growth/2 {
		t.Errorf("VmRSS %d KiB after the first faults, %d KiB at the end", before.rss, after.rss)
	}
	o.account()
}

// soakRetry has vcomd come back quickly, for as many faults as possible.
var soakRetry = []string{"--retry", "10ms", "--retry-max", "20ms"}

// quickFaults has faults happen while more says so, and returns how many. The
// ones that take long come seldom.
func (o *outages) quickFaults(more func(n int) bool) (n int) {
	o.t.Helper()
	for ; more(n); n++ {
		o.breaks(o.anyFault(20))
		if o.t.Failed() {
			o.t.FailNow()
		}
	}
	return n
}

// After faults as many goroutines run as before them: SIGQUIT shows them.
func TestFaultsLeaveNoGoroutine(t *testing.T) {
	t.Parallel()
	count := 100
	if soaking() {
		count = 1000
	}
	fresh := goroutines(t, 0)
	after := goroutines(t, count)
	t.Logf("%d goroutines without a fault, %d after %d of them", fresh, after, count)
	if after != fresh {
		t.Errorf("%d goroutines without a fault, and %d after %d of them", fresh, after, count)
	}
}

// goroutines is how many vcomd has after n faults.
func goroutines(t *testing.T, n int) int {
	t.Helper()
	o := newOutages(t, &rfc2217test.UART{JournalOff: true}, soakRetry...)
	o.quickFaults(func(k int) bool { return k < n })
	o.program.stop()
	o.program.close() // the connection outlives it a little
	o.stop(syscall.SIGQUIT)
	stacks := o.out.String()
	// Go's runtime starts some of its own when there is work for them.
	return strings.Count(stacks, "\ncreated by ") - strings.Count(stacks, "\ncreated by runtime.")
}
