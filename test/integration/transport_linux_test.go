package integration

import (
	"crypto/tls"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
	"github.com/vcomd/vcomd/test/certs"
)

// serveAll has every connection to ln served by a goroutine; all have ended when the
// test has.
func serveAll(t *testing.T, ln net.Listener, serve func(net.Conn)) net.Addr {
	t.Helper()
	var (
		wg     sync.WaitGroup
		mu     sync.Mutex
		conns  []net.Conn
		closed bool
	)
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, c)
			if closed {
				_ = c.Close()
			}
			mu.Unlock()
			wg.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		mu.Lock()
		closed = true
		for _, c := range conns {
			_ = c.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return ln.Addr()
}

// listenAt is serveAll at an address, or a path.
func listenAt(t *testing.T, network, address string, serve func(net.Conn)) string {
	t.Helper()
	ln, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return serveAll(t, ln, serve).String()
}

// echoes is a raw server whose device sends back what it gets.
func echoes(c net.Conn) { carry(c, c) }

// carry copies until one of the two ends. It does not splice, whose pipes the
// runtime keeps.
func carry(to io.Writer, from io.Reader) {
	_, _ = io.Copy(struct{ io.Writer }{to}, struct{ io.Reader }{from})
}

// carries checks that a port works: what is written comes back.
func (v *vcomd) carries(text string) {
	v.t.Helper()
	tty := openTTY(v.t, v.link)
	write(v.t, tty, []byte(text))
	readUntil(v.t, tty, text)
	closeTTY(v.t, tty)
}

func TestUnixSockets(t *testing.T) {
	t.Run("ser2net", func(t *testing.T) {
		need(t, "ser2net")
		d, dir := newDevice(t), t.TempDir()
		socket, config := filepath.Join(dir, "socket"), filepath.Join(dir, "ser2net.yaml")
		text := "connection: &vcomd\n" +
			"  accepter: telnet(rfc2217),unix," + socket + "\n" +
			"  connector: serialdev," + d.path + ",9600n81,local\n"
		if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		spawn(t, "ser2net", "-n", "-u", "-c", config)
		v := start(t, "unix:"+socket, "--retry", "20ms", "--retry-max", "100ms") // it may be there before the server
		tty := openTTY(t, v.link)
		v.waitEvent("connected")
		setSpeed(t, tty, 115200)
		eventually(t, "the server acknowledges the speed", func() bool { return v.received("SET-BAUDRATE 115200") })
		if got := d.speed(t); got != 115200 {
			t.Errorf("the server's device is at %d bit/s, want 115200", got)
		}
		exchange(t, tty, d.File, allBytes(), allBytes())
	})
	t.Run("raw", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "socket")
		listenAt(t, "unix", path, echoes)
		start(t, "raw+unix:"+path).carries("there and back\xff\x00")
	})
	t.Run("not there", func(t *testing.T) {
		v := start(t, "unix:"+filepath.Join(t.TempDir(), "missing"), "--connect", "always")
		if err := v.waitEvent("disconnected").Err; !strings.Contains(err, "there is no such socket; start the server, or correct the path") {
			t.Errorf("the error is %q", err)
		}
	})
	t.Run("no permission", func(t *testing.T) {
		if os.Geteuid() != 0 {
			skip(t, "it needs root, to be another user")
		}
		dir, err := os.MkdirTemp("", "vcomd-socket-") //nolint:usetesting // another user has to reach it
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = os.RemoveAll(dir) })
		path := filepath.Join(dir, "socket")
		listenAt(t, "unix", path, echoes)
		for _, err := range []error{os.Chmod(dir, 0o755), os.Chmod(path, 0o600)} {
			if err != nil {
				t.Fatal(err)
			}
		}
		v := startOrdinary(t, "unix:"+path, "--connect", "always")
		if err := v.waitEvent("disconnected").Err; !strings.Contains(err, "permission denied; let this user write to the socket") {
			t.Errorf("the error is %q", err)
		}
	})
}

func TestBindAddress(t *testing.T) {
	from := make(chan string, 16)
	addr := listenAt(t, "tcp", "127.0.0.1:0", func(c net.Conn) {
		from <- c.RemoteAddr().String()
		echoes(c)
	})
	start(t, "tcp://"+addr, "--bind", "127.0.0.77").carries("bound")
	if got := <-from; !strings.HasPrefix(got, "127.0.0.77:") {
		t.Errorf("the connection came from %s, want 127.0.0.77", got)
	}
	v := start(t, "tcp://"+addr, "--bind", "192.0.2.1", "--connect", "always")
	if err := v.waitEvent("disconnected").Err; !strings.Contains(err, "this machine does not have the address 192.0.2.1") {
		t.Errorf("the error is %q", err)
	}
}

// Of a name's addresses only one is served, whichever it is. The name stands in an
// /etc/hosts of the test's own.
func TestNameWithTwoAddresses(t *testing.T) {
	need(t, "unshare", "mount")
	if os.Geteuid() != 0 {
		skip(t, "a mount namespace of its own needs root")
	}
	hosts := filepath.Join(t.TempDir(), "hosts")
	if err := os.WriteFile(hosts, []byte("127.0.0.1 both.example\n::1 both.example\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	by := []string{"unshare", "--mount", "sh", "-c", `mount --bind "$0" /etc/hosts && exec "$@"`, hosts}
	for _, address := range []string{"127.0.0.1:0", "[::1]:0"} {
		_, port, err := net.SplitHostPort(listenAt(t, "tcp", address, echoes))
		if err != nil {
			t.Fatal(err)
		}
		startBy(t, by, "tcp://both.example:"+port).carries("found at " + address)
	}
}

// socks serves one connection as a SOCKS 5 proxy does (RFC 1928) that knows one
// name, gps.example, which is target.
func socks(c net.Conn, target, password string, asked chan<- string) {
	buf := make([]byte, 256)
	read := func(n int) []byte {
		if _, err := io.ReadFull(c, buf[:n]); err != nil {
			return make([]byte, n)
		}
		return buf[:n]
	}
	read(int(read(2)[1]))
	method := byte(0)
	if password != "" {
		method = 2
	}
	_, _ = c.Write([]byte{5, method})
	if password != "" {
		given := string(read(int(read(2)[1]))) + ":"
		given += string(read(int(read(1)[0])))
		status := byte(0)
		if given != password {
			status = 1
		}
		_, _ = c.Write([]byte{1, status})
		if status != 0 {
			return
		}
	}
	host := ""
	switch read(4)[3] {
	case 1:
		host = net.IP(read(4)).String()
	case 3:
		host = string(read(int(read(1)[0])))
	}
	read(2)
	asked <- host
	if host == "refused.example" {
		_, _ = c.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	far, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer far.Close()
	_, _ = c.Write([]byte{5, 0, 0, 1, 127, 0, 0, 1, 0, 1})
	var wg sync.WaitGroup
	wg.Go(func() {
		carry(far, c)
		_ = far.(*net.TCPConn).CloseWrite()
	})
	carry(c, far)
	_ = c.Close()
	wg.Wait()
}

func TestSOCKSProxy(t *testing.T) {
	s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}})
	asked := make(chan string, 64)
	plain := listenAt(t, "tcp", "127.0.0.1:0", func(c net.Conn) { socks(c, s.addr, "", asked) })
	guarded := listenAt(t, "tcp", "127.0.0.1:0", func(c net.Conn) { socks(c, s.addr, "me:p@ss", asked) })
	works := func(t *testing.T, v *vcomd, host string) {
		t.Helper()
		tty := openTTY(t, v.link)
		v.waitEvent("connected")
		if got := <-asked; got != host {
			t.Errorf("the proxy was asked for %q, want %q", got, host)
		}
		setSpeed(t, tty, 4800)
		s.await(t, "the speed", func(u rfc2217test.Snapshot) bool { return u.State.BaudRate == 4800 })
		setSpeed(t, tty, unix.B9600)
		closeTTY(t, tty)
		v.end()
	}
	fails := func(t *testing.T, v *vcomd, want string) {
		t.Helper()
		err := v.waitEvent("disconnected").Err
		if !strings.Contains(err, want) || !strings.Contains(err, "proxy") || strings.Contains(err, "wrong") {
			t.Errorf("the error is %q, want %q", err, want)
		}
	}
	t.Run("name looked up there", func(t *testing.T) {
		works(t, start(t, "gps.example", "--proxy", "socks5h://"+plain), "gps.example")
	})
	t.Run("name looked up here", func(t *testing.T) {
		t.Setenv("NO_PROXY", "*") // is for ALL_PROXY
		works(t, start(t, "rfc2217://192.0.2.7:2217", "--proxy", "socks5://"+plain), "192.0.2.7")
	})
	t.Run("password", func(t *testing.T) {
		works(t, start(t, "gps.example", "--proxy", "socks5h://me:p%40ss@"+guarded), "gps.example")
	})
	t.Run("environment", func(t *testing.T) {
		t.Setenv("ALL_PROXY", "socks5h://"+plain)
		works(t, start(t, "gps.example"), "gps.example")
	})
	t.Run("environment, not for this host", func(t *testing.T) {
		t.Setenv("ALL_PROXY", "socks5h://"+plain)
		t.Setenv("NO_PROXY", "localhost,127.0.0.0/8")
		v := start(t, s.addr, "--connect", "always")
		v.waitEvent("connected")
		v.end()
		if len(asked) > 0 {
			t.Errorf("the proxy was asked for %q", <-asked)
		}
	})
	t.Run("environment ignored", func(t *testing.T) {
		t.Setenv("all_proxy", "socks5h://"+plain)
		v := start(t, s.addr, "--connect", "always", "--proxy", "none")
		v.waitEvent("connected")
		v.end()
	})
	t.Run("TLS behind it", func(t *testing.T) {
		ca := certs.NewAuthority(t, "the authority")
		far := recordTLS(t, &tls.Config{Certificates: []tls.Certificate{ca.Issue(certs.Options{Names: []string{"gps.example"}}).TLS}})
		proxy := listenAt(t, "tcp", "127.0.0.1:0", func(c net.Conn) { socks(c, far.addr, "", asked) })
		v := start(t, "tls://gps.example:7", "--proxy", "socks5h://"+proxy, "--tls-ca", ca.CertFile(t))
		v.carries("there and back")
		if got := <-asked; got != "gps.example" {
			t.Errorf("the proxy was asked for %q", got)
		}
	})
	t.Run("wrong password", func(t *testing.T) {
		fails(t, start(t, "gps.example", "--connect", "always", "--proxy", "socks5h://me:wrong@"+guarded), "refuses the user or the password")
	})
	t.Run("refused", func(t *testing.T) {
		fails(t, start(t, "refused.example", "--connect", "always", "--proxy", "socks5h://"+plain), "the proxy says: connection refused")
	})
	t.Run("no proxy there", func(t *testing.T) {
		fails(t, start(t, "gps.example", "--connect", "always", "--proxy", "socks5h://127.0.0.1:"+freePort(t)), "connection refused: nobody listens there; start the proxy")
	})
}

// startKnowing runs vcomd where a file of the test's, in place of /etc/hosts, is all
// that is known of names: in a mount namespace of its own.
func startKnowing(t *testing.T, hosts, remote string, flags ...string) *vcomd {
	t.Helper()
	if os.Geteuid() != 0 {
		skip(t, "it needs root, to mount over /etc/hosts")
	}
	need(t, "unshare", "mount")
	dir := t.TempDir()
	order := filepath.Join(dir, "nsswitch.conf")
	if err := os.WriteFile(order, []byte("hosts: files\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	v := &vcomd{link: filepath.Join(dir, "tty")}
	args := append([]string{
		"--mount", "sh", "-ec", `mount --bind "$1" /etc/hosts; mount --bind "$2" /etc/nsswitch.conf; shift 2; exec "$@"`, "sh", hosts, order,
		binary, "--link", v.link, "--run-dir", filepath.Join(dir, "run"), "--log-level", "debug", "--connect", "always",
	}, flags...)
	cmd := exec.Command("unshare", append(args, remote)...)
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	v.process = spawnCmd(t, cmd)
	v.waitEvent("ready")
	t.Cleanup(v.end)
	return v
}

// A name is looked up at every try, and all that it stands for is tried.
func TestNamesAreLookedUpAgain(t *testing.T) {
	hosts := filepath.Join(t.TempDir(), "hosts")
	know := func(text string) {
		// In place: the file that is mounted is this one.
		if err := os.WriteFile(hosts, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	know("127.0.0.1 localhost\n")
	_, port, err := net.SplitHostPort(listenAt(t, "tcp", "127.0.0.99:0", echoes))
	if err != nil {
		t.Fatal(err)
	}
	v := startKnowing(t, hosts, "tcp://gps.example:"+port, "--retry", "20ms", "--retry-max", "50ms")
	if l := v.waitEvent("disconnected"); !strings.Contains(l.Err, "no such host") || !strings.Contains(l.Err, "; correct the name") {
		t.Errorf("the error is %q", l.Err)
	}
	// Go's resolver looks at the file every 5 s.
	know("127.0.0.98 gps.example\n127.0.0.97 gps.example\n127.0.0.99 gps.example\n")
	v.waitEvent("connected")
	v.carries("found")
}
