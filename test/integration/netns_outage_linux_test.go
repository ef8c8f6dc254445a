package integration

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// The times of these tests: what --dead-after says, and what may come on top of it
// on a busy machine.
const (
	netnsDeadAfter = 6 * time.Second
	netnsSlack     = 2 * time.Second
)

// networkFault is one way in which a network breaks without a word.
type networkFault struct {
	name          string
	breaks, mends func(n *network)
	// hears: what the server sends arrives, and shows that it lives. It sends
	// again what is not acknowledged, more and more seldom.
	hears bool
	// unheard: what vcomd sends arrives, and the server's acknowledgements do not.
	unheard bool
}

var networkFaults = []networkFault{
	{
		"cable pulled here",
		func(n *network) { n.pull(n.near, "near") },
		func(n *network) { n.plugIn(n.near, "near"); n.route() },
		false, false,
	},
	{
		"cable pulled there",
		func(n *network) { n.pull(n.far, "far") },
		func(n *network) { n.plugIn(n.far, "far") },
		false, false,
	},
	{
		"packets to the server dropped",
		func(n *network) { n.drop(n.far, nearAddress) },
		func(n *network) { n.admit(n.far) },
		true, false,
	},
	{
		"packets from the server dropped",
		func(n *network) { n.drop(n.near, serverAddress) },
		func(n *network) { n.admit(n.near) },
		false, true,
	},
	{
		"packets dropped both ways",
		func(n *network) { n.drop(n.far, nearAddress); n.drop(n.near, serverAddress) },
		func(n *network) { n.admit(n.near); n.admit(n.far) },
		false, false,
	},
	{
		"route gone",
		func(n *network) { n.noRoute() },
		func(n *network) { n.route() },
		true, false,
	},
}

// A network that breaks without a word is found to be broken in --dead-after,
// whether the port is idle or a program is writing, and when it works again, so
// does the open port.
func TestNetworkBreaks(t *testing.T) {
	t.Parallel()
	for _, c := range networkFaults {
		for _, writing := range []bool{false, true} {
			name := c.name + ", idle"
			if writing {
				name = c.name + ", writing"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				n := newNetwork(t)
				// Of a client that has vanished a server learns late, or never: this one
				// takes the next one nevertheless.
				s, _ := n.serve(&rfc2217test.Server{Shared: true, UART: &rfc2217test.UART{Unpaced: true, Device: rfc2217test.NewEcho()}})
				b := newBroken(t, n, s, netnsDeadAfter, writing)
				c.breaks(n)
				limit := netnsDeadAfter
				if c.hears && writing {
					limit += netnsDeadAfter + netnsDeadAfter/2
				}
				b.found(limit)
				c.mends(n)
				b.worksAgain(c.unheard)
			})
		}
	}
}

// A server that loses its power and comes back with the same address, and knows
// nothing of the connection.
func TestServerHostReplaced(t *testing.T) {
	t.Parallel()
	for _, writing := range []bool{false, true} {
		name := map[bool]string{false: "idle", true: "writing"}[writing]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := newNetwork(t)
			uart := &rfc2217test.UART{Unpaced: true, Device: rfc2217test.NewEcho()}
			s, _ := n.serve(&rfc2217test.Server{Shared: true, UART: uart})
			b := newBroken(t, n, s, netnsDeadAfter, writing)
			n.replaceServer()
			b.simulated, _ = n.serve(&rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true, Device: rfc2217test.NewEcho()}})
			b.uarts = append(b.uarts, b.uart)
			b.found(netnsDeadAfter)
			b.worksAgain(false)
		})
	}
}

// broken is a port of vcomd's whose network breaks.
type broken struct {
	*simulated
	*vcomd
	t       *testing.T
	program *echoing // nil: idle
	uarts   []*rfc2217test.UART
	since   time.Time // when the connection was found dead
}

// brokenSpeed is what the program of these tests asks for, in bit/s.
const brokenSpeed = 1_500_000

func newBroken(t *testing.T, n *network, s *simulated, deadAfter time.Duration, writing bool, flags ...string) *broken {
	t.Helper()
	flags = append([]string{"--retry", "20ms", "--retry-max", "100ms", "--dead-after", deadAfter.String(), "--log-level", "debug"}, flags...)
	v := n.start(s.addr, flags...)
	b := &broken{simulated: s, vcomd: v, t: t, uarts: []*rfc2217test.UART{s.uart}}
	tty := openTTY(t, v.link)
	v.waitEvent("connected")
	setSpeed(t, tty, brokenSpeed)
	s.awaitSpeed(t, brokenSpeed)
	b.echoes(tty.Name())
	if writing {
		b.program = startEchoing(t, v.link, escapes)
		b.program.flowsAgain("at the start")
		return b
	}
	n.quiet(n.near)
	n.quiet(n.far)
	return b
}

// echoes checks that a program's bytes come back.
func (b *broken) echoes(path string) {
	b.t.Helper()
	tty := openTTY(b.t, path)
	defer tty.Close()
	echo(b.t, tty, allBytes())
}

// found waits until vcomd has found the connection dead.
func (b *broken) found(limit time.Duration) {
	b.t.Helper()
	begin := time.Now()
	l := b.waitEvent("disconnected")
	took := time.Since(begin)
	b.t.Logf("found after %.1f s: %s", took.Seconds(), l.Err)
	if took > limit+netnsSlack {
		b.t.Errorf("the connection was found dead after %v, want %v", took, limit)
	}
	b.since = time.Now()
}

// worksAgain waits for the new connection, and checks the settings at the server
// and the program's bytes. Those that vcomd gave up may have arrived, if arrived
// says so.
func (b *broken) worksAgain(arrived bool) {
	b.t.Helper()
	b.waitEvents("connected", 2)
	b.t.Logf("connected again %.1f s after that", time.Since(b.since).Seconds())
	b.awaitSpeed(b.t, brokenSpeed)
	if b.program == nil {
		b.echoes(b.link)
	}
	unconfirmed, missing := b.account()
	for _, e := range b.uart.Journal() {
		if e.Kind == rfc2217test.EntryData && e.State.BaudRate != brokenSpeed {
			b.t.Errorf("%d bytes left at %d bit/s, want %d", len(e.Data), e.State.BaudRate, brokenSpeed)
		}
	}
	// What was given up must not arrive behind what came after it.
	if missing < unconfirmed/2 && !arrived {
		b.t.Errorf("of %d bytes that were given up %d have arrived after all", unconfirmed, unconfirmed-missing)
	}
}

// account ends vcomd. It checks that no byte of the program's comes twice, out of
// order, or is missing without being counted, and returns how many were counted
// and how many are missing.
func (b *broken) account() (unconfirmed, missing int) {
	b.t.Helper()
	if b.program != nil {
		b.program.stop()
		b.program.close()
	}
	b.stop(syscall.SIGTERM)
	total := b.waitEnded()
	if b.program == nil {
		return 0, 0
	}
	var sent []byte
	for _, u := range b.uarts {
		sent = append(sent, u.Sent()...)
	}
	sent = sent[len(allBytes()):] // before the program
	inOrder(b.t, "read by the program", b.program.read, b.program.written)
	_, missing = inOrder(b.t, "sent by the UART", sent, b.program.written)
	unconfirmed = int(total.TxUnconfirmed) // a little more, with escapes
	b.t.Logf("%d of %d bytes are missing, tx_unconfirmed is %d", missing, len(b.program.written), unconfirmed)
	if missing > unconfirmed {
		b.t.Errorf("%d bytes are missing, but only %d are counted", missing, unconfirmed)
	}
	return unconfirmed, missing
}

// 200 faults of the network, some short enough for TCP to repair and some not, 50 each
// under an open port: after each, data flows again and the UART is set as the tty is,
// whatever the program asked for meanwhile; no byte is out of order, comes twice or is
// missing without being counted.
func TestRandomNetworkFaults(t *testing.T) {
	t.Parallel()
	const ports, faultsEach = 4, 50
	first := seed(t)
	for port := range ports {
		t.Run(strconv.Itoa(port+1), func(t *testing.T) {
			t.Parallel() // they wait most of the time
			randomNetworkFaults(t, rand.New(rand.NewPCG(first, uint64(port))), faultsEach)
		})
	}
}

func randomNetworkFaults(t *testing.T, random *rand.Rand, count int) {
	t.Helper()
	const deadAfter, longest = time.Second, 2 * time.Second
	n := newNetwork(t)
	s, _ := n.serve(&rfc2217test.Server{Shared: true, UART: &rfc2217test.UART{Unpaced: true, Device: rfc2217test.NewEcho()}})
	b := newBroken(t, n, s, deadAfter, true, "--retry", "200ms", "--retry-max", "200ms")
	wishes := &wishes{t: t, rand: random, all: []lineSettings{settingsOf(s.uart.State())}}
	losses := 0
	// As a server that looks for signs of life itself, before vcomd is back. With the
	// old session it would still have the settings, and need no new ones; and what
	// arrives late in that would come behind what arrives in the new one.
	endOld := func() {
		if l := len(b.events("disconnected")); l > losses {
			s.Disconnect()
			s.await(t, "no session", func(u rfc2217test.Snapshot) bool { return u.Sessions == 0 })
			losses = l
		}
	}
	for i := range count {
		f := networkFaults[random.IntN(len(networkFaults))]
		if random.IntN(2) == 1 {
			wishes.change(b.program.tty)
		}
		f.breaks(n)
		short := random.Float64()
		time.Sleep(time.Duration(short * short * float64(longest))) // the fault itself
		if random.IntN(2) == 1 {
			wishes.change(b.program.tty)
		}
		endOld()
		f.mends(n)
		begin, after := time.Now(), b.program.position()
		eventually(t, "data flows again after: "+f.name, func() bool {
			endOld()
			return b.program.seen() > after
		})
		t.Logf("%d, %s: data flows again after %.1f s", i+1, f.name, time.Since(begin).Seconds())
		want := wishes.wanted()
		s.await(t, "the settings asked for", func(u rfc2217test.Snapshot) bool { return settingsOf(u.State) == want })
		if shown := settingsOn(t, b.program.tty); shown != want {
			t.Fatalf("the UART is set to %v, the tty shows %v", want, shown)
		}
	}
	b.account()
	wishes.account(s.uart)
	t.Logf("%d connections", s.Stats().Connections)
	if losses == 0 {
		t.Error("no fault was long enough")
	}
}

// A server that reads nothing for three times --dead-after is slow, not dead: it
// keeps its connection and gets every byte.
func TestClosedWindowIsNotDead(t *testing.T) {
	t.Parallel()
	s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}})
	v := startUntraced(t, s.addr, "--dead-after", netnsDeadAfter.String(), "--log-level", "debug")
	tty := openTTY(t, v.link)
	v.waitEvent("connected")
	s.SetFaults(rfc2217test.Faults{Stalled: true})
	data := pattern(flood/8, 21)
	sent := make(chan error, 1)
	go func() {
		_, err := tty.Write(data)
		sent <- err
	}()
	select {
	case err := <-sent:
		t.Fatalf("%d bytes were taken from the program though the server reads none (%v)", len(data), err)
	case <-time.After(3 * netnsDeadAfter): // what is tested is that nothing happens
	}
	if l := v.events("disconnected"); len(l) > 0 {
		t.Fatalf("disconnected: %s", l[0].Err)
	}
	s.SetFaults(rfc2217test.Faults{})
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	s.awaitBytes(t, len(data))
	if got, want := s.uart.Snapshot().Total.Sum, rfc2217test.Sum(data); got != want {
		t.Errorf("checksum %08x, want %08x", got, want)
	}
	if n := s.Stats().Connections; n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// A server that reads nothing, and then is gone: the window is closed and nothing
// is on its way, but its probes are not answered any more.
func TestNetworkBreaksBehindAClosedWindow(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	s, _ := n.serve(&rfc2217test.Server{Shared: true, UART: &rfc2217test.UART{Unpaced: true}})
	v := n.start(s.addr, "--retry", "20ms", "--retry-max", "100ms", "--dead-after", netnsDeadAfter.String(), "--log-level", "debug")
	tty := openTTY(t, v.link)
	v.waitEvent("connected")
	s.SetFaults(rfc2217test.Faults{Stalled: true})
	data := pattern(flood/8, 22)
	var progress atomic.Int64
	sent := make(chan error, 1)
	go func() { sent <- trickle(tty, data, &progress) }()
	stalled(t, progress.Load)
	n.pull(n.far, "far")
	b := &broken{simulated: s, vcomd: v, t: t}
	b.found(netnsDeadAfter)
	s.SetFaults(rfc2217test.Faults{})
	n.plugIn(n.far, "far")
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	end := data[len(data)-1000:]
	eventually(t, "the end of what was written has arrived", func() bool { return bytes.HasSuffix(s.uart.Sent(), end) })
	v.stop(syscall.SIGTERM)
	total := v.waitEnded()
	missing := len(data) - len(s.uart.Sent())
	if missing <= 0 || uint64(missing) > total.TxUnconfirmed {
		t.Errorf("%d of %d bytes are missing, tx_unconfirmed is %d", missing, len(data), total.TxUnconfirmed)
	}
}
