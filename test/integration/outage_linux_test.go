package integration

import (
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// outages is a program on a port of vcomd's whose connection breaks again and
// again. The line has a loop-back plug: what the program writes comes back.
type outages struct {
	*simulated
	*vcomd
	*wishes
	t       *testing.T
	proxy   *faultProxy
	program *echoing
}

// seed is what a run of random faults begins with: VCOMD_TEST_SEED, or another
// one each time.
func seed(t *testing.T) uint64 {
	t.Helper()
	s := uint64(time.Now().UnixNano())
	if text := os.Getenv("VCOMD_TEST_SEED"); text != "" {
		var err error
		if s, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("VCOMD_TEST_SEED: %v", err)
		}
	}
	t.Logf("VCOMD_TEST_SEED=%d repeats the choice of faults", s)
	return s
}

// newOutages starts the program, and waits until its data comes back.
func newOutages(t *testing.T, uart *rfc2217test.UART, flags ...string) *outages {
	t.Helper()
	uart.Device, uart.Unpaced = rfc2217test.NewEcho(), true
	o := &outages{t: t, simulated: serve(t, &rfc2217test.Server{UART: uart})}
	o.wishes = &wishes{t: t, rand: rand.New(rand.NewPCG(seed(t), 0))}
	o.proxy = newFaultProxy(t, o.addr)
	if len(flags) == 0 {
		flags = []string{"--retry", "20ms", "--retry-max", "100ms"}
	}
	o.vcomd = startUntraced(t, o.proxy.addr, append(flags, "--dead-after", deadAfter.String(), "--log-level", "debug")...)
	tty := openTTY(t, o.link) // held open until the first settings have arrived
	o.waitEvent("connected")
	o.change(tty)
	o.arrived()
	o.program = startEchoing(t, o.link, escapesAndReturns)
	closeTTY(t, tty)
	o.program.flowsAgain("at the start")
	return o
}

// deadAfter is the --dead-after of these tests.
const deadAfter = time.Second

// arrived waits until the UART is as the program asked.
func (o *outages) arrived() {
	o.t.Helper()
	want := o.wanted()
	o.await(o.t, "the settings asked for", func(u rfc2217test.Snapshot) bool { return settingsOf(u.State) == want })
}

// last has a fault go on for a while, which is what a fault is, and no wait for
// something.
func (o *outages) last() {
	time.Sleep(time.Duration(o.rand.Int64N(int64(40 * time.Millisecond))))
}

// tries waits until vcomd has been connected n more times.
func (o *outages) tries(n int) {
	o.t.Helper()
	n += o.proxy.connections()
	eventually(o.t, "vcomd tries again", func() bool { return o.proxy.connections() >= n })
}

// fault is one way in which a network breaks. What it has broken works again in
// the end.
type fault struct {
	name string
	slow bool // it takes longer than others
	run  func(o *outages)
}

var faults = []fault{
	{"end in good order", false, func(o *outages) { o.proxy.cut() }},
	{"reset", false, func(o *outages) { o.proxy.reset() }},
	{"reset under load", false, func(o *outages) {
		o.program.flood()
		o.last()
		o.proxy.reset()
	}},
	{"end under load", false, func(o *outages) {
		o.program.flood()
		o.last()
		o.proxy.cut()
	}},
	{"refused, and new settings meanwhile", false, func(o *outages) {
		o.proxy.refuse()
		o.change(o.program.tty)
		o.last()
		o.change(o.program.tty)
		o.proxy.admit()
		o.arrived()
	}},
	{"stalled up", false, func(o *outages) { o.stall(passesNotAtAll, up) }},
	{"stalled down", false, func(o *outages) { o.stall(passesNotAtAll, down) }},
	{"stalled both ways", false, func(o *outages) { o.stall(passesNotAtAll, up, down) }},
	{"late", false, func(o *outages) { o.stall(passesLate, up, down) }},
	{"one byte at a time up", false, func(o *outages) { o.stall(passesTrickled, up) }},
	{"one byte at a time down", false, func(o *outages) { o.stall(passesTrickled, down) }},
	{"stalled, then reset", false, func(o *outages) {
		o.proxy.pass(up, passesNotAtAll)
		o.proxy.pass(down, passesNotAtAll)
		o.program.flood()
		o.change(o.program.tty)
		o.last()
		o.proxy.reset()
		o.proxy.pass(up, passesAtOnce)
		o.proxy.pass(down, passesAtOnce)
		o.arrived()
	}},
	{"a few packets lost", true, func(o *outages) {
		o.proxy.silence(true)
		o.last()
		o.proxy.silence(false)
	}},
	{"no acknowledgements", true, func(o *outages) {
		o.proxy.dropAcks(true)
		o.change(o.program.tty)
		o.arrived()
		o.last()
		o.proxy.dropAcks(false)
	}},
	{"connections that end at once", false, func(o *outages) {
		o.proxy.endNewAfter(1 + o.rand.IntN(200))
		o.proxy.reset()
		o.tries(3)
		o.change(o.program.tty)
		o.tries(1)
		o.proxy.endNewAfter(0)
		o.arrived()
	}},
	{"gone without a word", true, func(o *outages) {
		o.proxy.abandon()
		o.program.flood()
		o.change(o.program.tty)
		o.tries(1)
		o.arrived()
	}},
}

// anyFault chooses one. Of those that take long only one in seldom stays chosen.
func (o *outages) anyFault(seldom int) fault {
	for {
		f := faults[o.rand.IntN(len(faults))]
		if !f.slow || o.rand.IntN(seldom) == 0 {
			return f
		}
	}
}

// stall has bytes pass otherwise for a while.
func (o *outages) stall(how passage, ways ...way) {
	for _, w := range ways {
		o.proxy.pass(w, how)
	}
	if o.rand.IntN(2) == 1 {
		o.program.flood()
	}
	o.last()
	for _, w := range ways {
		o.proxy.pass(w, passesAtOnce)
	}
}

// breaks has one fault happen, and waits until data flows again.
func (o *outages) breaks(f fault) {
	o.t.Helper()
	f.run(o)
	o.program.flowsAgain("after: " + f.name)
	if !o.running() {
		o.t.Fatal("vcomd has ended")
	}
}

// account ends all, and has every byte accounted for.
func (o *outages) account() {
	t := o.t
	t.Helper()
	o.program.stop()
	o.arrived()
	o.program.close()
	o.waitEvent("closed")
	o.stop(syscall.SIGTERM)
	total := o.waitEnded()
	o.proxy.bury()
	eventually(t, "the proxy has no connection left", func() bool {
		o.proxy.mu.Lock()
		defer o.proxy.mu.Unlock()
		return len(o.proxy.links) == 0
	})
	written, read := o.program.written, o.program.read
	taken := o.proxy.data(func(r *proxyRecord) []byte { return r.taken[up] })
	passedUp := o.proxy.data(func(r *proxyRecord) []byte { return r.passed[up] })
	passedDown := o.proxy.data(func(r *proxyRecord) []byte { return r.passed[down] })
	unheard := 0
	for _, r := range o.proxy.records {
		unheard += r.unheard
	}

	pieces, missing := inOrder(t, "sent by vcomd", taken, written)
	t.Logf("%d connections; up %d bytes, %d of them missing in %d pieces, tx_unconfirmed %d",
		len(o.proxy.records), len(written), missing, pieces, total.TxUnconfirmed)
	if uint64(missing) > total.TxUnconfirmed+total.DroppedUnsent {
		t.Errorf("%d bytes of the program's never left vcomd, but tx_unconfirmed is %d and dropped_unsent %d",
			missing, total.TxUnconfirmed, total.DroppedUnsent)
	}
	if pieces > len(o.proxy.records) {
		t.Errorf("%d pieces are missing with %d connections", pieces, len(o.proxy.records))
	}
	if total.FromProgram != uint64(len(written)) {
		t.Errorf("from_program is %d, want %d", total.FromProgram, len(written))
	}

	_, missing = inOrder(t, "read by the program", read, passedDown)
	t.Logf("down %d bytes, %d of them missing, %d not acknowledged", len(passedDown), missing, unheard)
	if missing > unheard+int(total.RxUndelivered) {
		t.Errorf("%d bytes of the server's never reached the program, but only %d were not acknowledged and rx_undelivered is %d",
			missing, unheard, total.RxUndelivered)
	}
	if total.ToProgram != uint64(len(read)) {
		t.Errorf("to_program is %d, want %d", total.ToProgram, len(read))
	}
	inOrder(t, "the program's own bytes", read, written)
	if sent := o.uart.Snapshot().Total; sent.Bytes != uint64(len(passedUp)) || sent.Sum != rfc2217test.Sum(passedUp) {
		t.Errorf("the UART has sent %d bytes of checksum %08x, want the %d that were passed on, of checksum %08x",
			sent.Bytes, sent.Sum, len(passedUp), rfc2217test.Sum(passedUp))
	}
	if !o.uart.JournalOff {
		o.wishes.account(o.uart)
	}
}

// A port under two hundred random faults: the same open descriptor carries data
// again after each, settings are what the program asked for, and no byte is out
// of order, comes twice or is missing without being counted.
func TestRandomFaults(t *testing.T) {
	t.Parallel()
	o := newOutages(t, &rfc2217test.UART{})
	done := make([]string, 0, 200)
	each := o.rand.Perm(len(faults))
	for i := range cap(done) {
		f := o.anyFault(4)
		if i < len(each) {
			f = faults[each[i]] // none is left out
		}
		done = append(done, f.name)
		o.breaks(f)
		if t.Failed() {
			t.Fatalf("after these faults: %s", strings.Join(done, "; "))
		}
	}
	o.account()
}

// A server that hangs, on a machine that is well: TCP sees nothing of it, but it
// does not answer any more when --probe asks.
func TestHungServerIsFoundByProbe(t *testing.T) {
	t.Parallel()
	const probe, deadAfter = 500 * time.Millisecond, time.Second
	for _, probing := range []bool{true, false} {
		name := map[bool]string{true: "with a probe", false: "without"}[probing]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, &rfc2217test.Server{})
			p := newFaultProxy(t, s.addr)
			flags := []string{"--retry", "20ms", "--retry-max", "100ms", "--dead-after", deadAfter.String()}
			if probing {
				flags = append(flags, "--probe", probe.String())
			}
			v := start(t, p.addr, flags...)
			tty := openTTY(t, v.link)
			v.waitEvent("connected")
			if probing {
				// It is known to answer when it has: the first question is vcomd's own.
				s.awaitCount(t, comport.SetBaudRate{}, 3)
			}
			p.pass(up, passesNotAtAll)
			p.pass(down, passesNotAtAll)
			if !probing {
				time.Sleep(3 * deadAfter) // what is tested is that nothing happens
				if l := v.events("disconnected"); len(l) > 0 {
					t.Errorf("a connection that is only silent was given up: %s", l[0].Err)
				}
				return
			}
			begin := time.Now()
			l := v.waitEvent("disconnected")
			took := time.Since(begin)
			t.Logf("found after %.1f s: %s", took.Seconds(), l.Err)
			if took > probe+deadAfter+netnsSlack {
				t.Errorf("the server was found to hang after %v, want %v", took, probe+deadAfter)
			}
			p.pass(up, passesAtOnce)
			p.pass(down, passesAtOnce)
			v.waitEvents("connected", 2)
			write(t, tty, []byte("again"))
			s.awaitText(t, "again")
		})
	}
}
