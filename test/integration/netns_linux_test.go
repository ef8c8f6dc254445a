package integration

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// The addresses of a network: documentation ones (RFC 5737), inside namespaces of
// the test's own. The server's is not the cable's, so that the route to it can go.
const (
	nearAddress   = "192.0.2.1"
	farAddress    = "192.0.2.2"
	serverAddress = "198.51.100.1"
)

// network is a cable between two machines of its own: vcomd's, which is near, and
// the server's. Both are network namespaces.
type network struct {
	t         *testing.T
	near, far string // the namespaces' names
}

// networks counts the networks of this process.
var networks atomic.Uint64

// newNetwork lays a cable. It goes with the test.
func newNetwork(t *testing.T) *network {
	t.Helper()
	need(t, "ip", "nft")
	if os.Getuid() != 0 {
		skip(t, "network namespaces need root")
	}
	sweepNetworks(t)
	networksWork(t)
	n := &network{t: t}
	prefix := fmt.Sprintf("%s%d-%d-", namespacePrefix, os.Getpid(), networks.Add(1))
	n.near, n.far = n.machine(prefix+"near"), n.machine(prefix+"far")
	n.ip("link", "add", "near", "netns", n.near, "type", "veth", "peer", "name", "far", "netns", n.far)
	n.ip("-n", n.near, "address", "add", nearAddress+"/24", "dev", "near")
	n.plugIn(n.near, "near")
	n.route()
	n.serverHost(n.far)
	return n
}

// networksWork skips the test where root may not do what a network needs, as in
// many containers.
func networksWork(t *testing.T) {
	t.Helper()
	name := fmt.Sprintf("%s%d-%d-try", namespacePrefix, os.Getpid(), networks.Add(1))
	for _, args := range [][]string{
		{"ip", "netns", "add", name},
		{"ip", "-n", name, "link", "add", "near", "type", "veth", "peer", "name", "far"},
		{"ip", "netns", "exec", name, "nft", "add table inet drops"},
	} {
		if out, code := run(t, args[0], args[1:]...); code != 0 {
			_, _ = run(t, "ip", "netns", "del", name)
			skip(t, fmt.Sprintf("%s does not work here: %s", strings.Join(args, " "), strings.TrimSpace(out)))
		}
	}
	mustRun(t, "ip", "netns", "del", name)
}

// namespacePrefix begins the names of all namespaces of these tests; the process
// follows.
const namespacePrefix = "vcomd-"

// sweepNetworks removes what tests have left that were killed.
func sweepNetworks(t *testing.T) {
	t.Helper()
	left, err := filepath.Glob("/run/netns/" + namespacePrefix + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range left {
		name := filepath.Base(path)
		pid, _, _ := strings.Cut(strings.TrimPrefix(name, namespacePrefix), "-")
		if _, err := strconv.Atoi(pid); err != nil {
			continue
		}
		if _, err := os.Stat("/proc/" + pid); os.IsNotExist(err) {
			_, _ = run(t, "ip", "netns", "del", name)
		}
	}
}

func (n *network) ip(args ...string) {
	n.t.Helper()
	mustRun(n.t, "ip", args...)
}

// machine makes a namespace.
func (n *network) machine(name string) string {
	n.t.Helper()
	n.ip("netns", "add", name)
	n.t.Cleanup(func() { n.ip("netns", "del", name) })
	n.ip("-n", name, "link", "set", "lo", "up")
	return name
}

// serverHost gives a machine that has the far end of the cable the server's
// address.
func (n *network) serverHost(machine string) {
	n.t.Helper()
	n.ip("-n", machine, "address", "add", serverAddress+"/32", "dev", "lo")
	n.ip("-n", machine, "address", "add", farAddress+"/24", "dev", "far")
	n.plugIn(machine, "far")
}

// replaceServer puts another machine with the server's address in the place of the
// first, which hears nothing of it.
func (n *network) replaceServer() {
	n.t.Helper()
	other := n.machine(n.far + "2")
	n.ip("-n", n.far, "link", "set", "far", "netns", other)
	n.far = other
	n.serverHost(other)
}

// plugIn and pull are for an end of the cable.
func (n *network) plugIn(machine, end string) {
	n.t.Helper()
	n.ip("-n", machine, "link", "set", end, "up")
}

func (n *network) pull(machine, end string) {
	n.t.Helper()
	n.ip("-n", machine, "link", "set", end, "down")
}

// route makes the way to the server known to vcomd's machine; noRoute has it
// forgotten.
func (n *network) route() {
	n.t.Helper()
	n.ip("-n", n.near, "route", "replace", serverAddress+"/32", "via", farAddress)
}

func (n *network) noRoute() {
	n.t.Helper()
	n.ip("-n", n.near, "route", "del", serverAddress+"/32")
}

// drop has a machine drop the packets that come from an address; admit ends all
// that.
func (n *network) drop(machine, from string) {
	n.t.Helper()
	n.nft(machine, "add table inet drops")
	n.nft(machine, "add chain inet drops input { type filter hook input priority 0 ; }")
	n.nft(machine, "add rule inet drops input ip saddr "+from+" drop")
}

func (n *network) admit(machine string) {
	n.t.Helper()
	n.nft(machine, "delete table inet drops")
}

func (n *network) nft(machine, command string) {
	n.t.Helper()
	mustRun(n.t, "ip", "netns", "exec", machine, "nft", command)
}

// quiet waits until a machine has nothing to send or to have acknowledged: what is
// on its way when the network breaks is sent again and again, and is a sign of
// life for whom it reaches.
func (n *network) quiet(machine string) {
	n.t.Helper()
	eventually(n.t, "nothing is on its way", func() bool {
		for line := range strings.Lines(mustRun(n.t, "ip", "netns", "exec", machine, "cat", "/proc/net/tcp")) {
			// sl local remote state tx:rx …; 01 is an established connection.
			fields := strings.Fields(line)
			if len(fields) > 4 && fields[3] == "01" && fields[4] != "00000000:00000000" {
				return false
			}
		}
		return true
	})
}

// inside does something on a machine: the sockets that it makes and the programs
// that it starts belong there.
func (n *network) inside(machine string, do func()) {
	n.t.Helper()
	runtime.LockOSThread()
	here, err := os.Open("/proc/thread-self/ns/net")
	if err != nil {
		n.t.Fatal(err)
	}
	defer here.Close()
	there, err := os.Open("/run/netns/" + machine)
	if err != nil {
		n.t.Fatal(err)
	}
	defer there.Close()
	if err := unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err != nil {
		n.t.Fatalf("enter %s: %v", machine, err)
	}
	defer func() {
		// A thread that cannot come back is not used again: it stays locked.
		if err := unix.Setns(int(here.Fd()), unix.CLONE_NEWNET); err != nil {
			n.t.Errorf("leave %s: %v", machine, err)
			return
		}
		runtime.UnlockOSThread()
	}()
	do()
}

// serve runs an access server on the server's machine until the test ends, or it
// is stopped.
func (n *network) serve(s *rfc2217test.Server) (server *simulated, stop func()) {
	n.t.Helper()
	var ln net.Listener
	n.inside(n.far, func() {
		var err error
		if ln, err = net.Listen("tcp", serverAddress+":2217"); err != nil {
			n.t.Fatal(err)
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, ln) }()
	var stopped atomic.Bool
	stop = func() {
		cancel()
		if !stopped.CompareAndSwap(false, true) {
			return
		}
		if err := <-done; err != nil {
			n.t.Errorf("the simulated server: %v", err)
		}
	}
	n.t.Cleanup(stop)
	return &simulated{Server: s, uart: s.Port(), addr: ln.Addr().String()}, stop
}

// start runs vcomd on its machine.
func (n *network) start(remote string, flags ...string) (v *vcomd) {
	n.t.Helper()
	n.inside(n.near, func() { v = startUntraced(n.t, remote, flags...) })
	return v
}
