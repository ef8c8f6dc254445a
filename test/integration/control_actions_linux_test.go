package integration

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	api "github.com/vcomd/vcomd/internal/control"
	"github.com/vcomd/vcomd/internal/socket"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// command runs a subcommand of vcomd on the port tty.
func (v *vcomd) command(args ...string) (out string, code int) {
	v.t.Helper()
	return run(v.t, binary, append([]string{args[0], "--run-dir", v.runDir()}, args[1:]...)...)
}

// TestReconnectAndDisconnect: the program keeps its port, and the policy says when there
// is a connection again.
func TestReconnectAndDisconnect(t *testing.T) {
	s := serve(t, &rfc2217test.Server{})
	v := startUntraced(t, s.addr, "--log-level", "debug")
	if out, code := v.command("reconnect", "tty"); code != 0 || !strings.Contains(out, "tty: no program has it open; it is connected when one opens it\n") {
		t.Errorf("a port that nobody has open: status %d, %s", code, out)
	}
	if n := len(v.events("connected")); n != 0 {
		t.Errorf("connected %d times without a program", n)
	}
	tty := openTTY(t, v.link)
	v.waitEvent("connected")
	setSpeed(t, tty, 19200)
	s.awaitCount(t, comport.SetBaudRate{Rate: 19200}, 1)
	if out, code := v.command("reconnect", "tty"); code != 0 || out != "" {
		t.Errorf("reconnect: status %d, %s", code, out)
	}
	v.waitEvents("connected", 2)
	s.awaitCount(t, comport.SetBaudRate{Rate: 19200}, 2)
	write(t, tty, []byte("after reconnect"))
	s.awaitText(t, "after reconnect")

	if out, code := v.command("disconnect", "tty"); code != 0 || out != "" {
		t.Errorf("disconnect: status %d, %s", code, out)
	}
	v.waitEvent("stopped")
	if p := v.status("tty"); p.Connected || !p.Open || !p.Disconnected || !strings.Contains(p.LastError, "vcomd reconnect") {
		t.Errorf("disconnected: %+v", p)
	}
	write(t, tty, []byte("while disconnected"))
	if _, code := v.command("reconnect", "tty"); code != 0 {
		t.Errorf("reconnect: status %d", code)
	}
	s.awaitText(t, "while disconnected")
	if p := v.status("tty"); p.Disconnected || p.LastError != "" {
		t.Errorf("connected again: %+v", p)
	}

	if _, code := v.command("disconnect", "tty"); code != 0 {
		t.Errorf("disconnect: status %d", code)
	}
	if err := tty.Close(); err != nil {
		t.Fatal(err)
	}
	v.waitEvent("closed")
	tty = openTTY(t, v.link) // the next open connects
	v.waitEvents("connected", 4)
	write(t, tty, []byte("after the next open"))
	s.awaitText(t, "after the next open")
}

// TestDisconnectAlways: with --connect always a port stays disconnected, whoever opens
// it, until it is reconnected.
func TestDisconnectAlways(t *testing.T) {
	s := serve(t, &rfc2217test.Server{})
	v := startUntraced(t, s.addr, "--connect", "always", "--log-level", "debug")
	v.waitEvent("connected")
	if _, code := v.command("disconnect", "tty"); code != 0 {
		t.Errorf("disconnect: status %d", code)
	}
	v.waitEvent("stopped")
	tty := openTTY(t, v.link)
	v.waitEvent("opened")
	if p := v.status("tty"); p.Connected || !p.Disconnected {
		t.Errorf("after an open: %+v", p)
	}
	if out, _ := v.command("status"); !strings.Contains(out, " off ") {
		t.Errorf("the table does not say that it is off:\n%s", out)
	}
	write(t, tty, []byte("at last"))
	if n := len(v.events("connected")); n != 1 {
		t.Errorf("it has connected %d times, want once", n)
	}
	if _, code := v.command("reconnect", "tty"); code != 0 {
		t.Errorf("reconnect: status %d", code)
	}
	s.awaitText(t, "at last")
}

// TestReconnectAfterFailures: the pause before the next try is not waited for.
func TestReconnectAfterFailures(t *testing.T) {
	port := freePort(t)
	v := startUntraced(t, "127.0.0.1:"+port, "--connect", "always", "--retry", "10m", "--retry-max", "10m")
	v.waitEvent("disconnected")
	ln, err := net.Listen("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	serveOn(t, ln, &rfc2217test.Server{})
	if _, code := v.command("reconnect", "tty"); code != 0 {
		t.Errorf("reconnect: status %d", code)
	}
	v.waitEvent("connected")
}

// TestReconnectCountsAsNoFailure: with --retries 1 vcomd goes on.
func TestReconnectCountsAsNoFailure(t *testing.T) {
	v := startUntraced(t, serve(t, &rfc2217test.Server{}).addr, "--connect", "always", "--retries", "1")
	for n := range 3 {
		v.waitEvents("connected", n+1)
		if _, code := v.command("reconnect", "tty"); code != 0 {
			t.Fatalf("reconnect: status %d", code)
		}
	}
	v.waitEvents("connected", 4)
}

// TestPurgeCommand: what waits is dropped here and there, whatever --purge says.
func TestPurgeCommand(t *testing.T) {
	s := serve(t, &rfc2217test.Server{})
	v := startUntraced(t, s.addr, "--purge", "none", "--connect", "always", "--log-level", "debug")
	v.waitEvent("connected")
	for _, c := range []struct {
		args []string
		want comport.Purge
	}{{[]string{"purge", "tty"}, comport.PurgeBoth}, {[]string{"purge", "tty", "rx"}, comport.PurgeReceive}, {[]string{"purge", "tty", "tx"}, comport.PurgeTransmit}} {
		if out, code := v.command(c.args...); code != 0 || out != "" {
			t.Errorf("%v: status %d, %s", c.args, code, out)
		}
		s.awaitCount(t, comport.PurgeData{What: c.want}, 1)
	}
	// What a program has not read yet.
	tty := openTTY(t, v.link)
	v.waitEvent("opened")
	s.uart.Receive([]byte("old"))
	eventually(t, "it is in the tty", func() bool { return v.status("tty").Counters.ToProgram == 3 })
	if _, code := v.command("purge", "tty", "rx"); code != 0 {
		t.Errorf("purge: status %d", code)
	}
	s.awaitCount(t, comport.PurgeData{What: comport.PurgeReceive}, 2)
	eventually(t, "the purge is acknowledged", func() bool { return v.status("tty").Counters.CommandsReceived >= v.status("tty").Counters.CommandsSent })
	s.uart.Receive([]byte("new"))
	if got := string(readFull(t, tty, 3)); got != "new" {
		t.Errorf("the program reads %q", got)
	}
	// Without a connection, and without RFC 2217.
	if out, code := v.command("disconnect", "tty"); code != 0 {
		t.Errorf("disconnect: status %d, %s", code, out)
	}
	if out, code := v.command("purge", "tty"); code != 0 || !strings.Contains(out, "tty: there is no connection; ") {
		t.Errorf("without a connection: status %d, %s", code, out)
	}
	raw := startUntraced(t, "tcp://"+s.addr)
	if out, code := raw.command("purge", "tty"); code != 0 || !strings.Contains(out, "tty: what waited here was dropped; the access server cannot ") {
		t.Errorf("without RFC 2217: status %d, %s", code, out)
	}
}

// TestReloadCommand: what has changed is said, and what is wrong with a file, with its
// place; a port that could not be made can be told nothing.
func TestReloadCommand(t *testing.T) {
	dir := t.TempDir()
	one, two, three := filepath.Join(dir, "one"), filepath.Join(dir, "two"), filepath.Join(dir, "three")
	port := func(link, more string) string { return fmt.Sprintf("link = %q\nremote = \"sim:echo\"\n%s", link, more) }
	serviceOf(t, dir, port(one, ""), port(two, ""))
	reload := func(code int, want string) {
		t.Helper()
		if out, got := run(t, binary, "reload", "--run-dir", filepath.Join(dir, "run")); got != code || out != want {
			t.Errorf("reload: status %d, %q; want %d, %q", got, out, code, want)
		}
	}
	kept := openTTY(t, one)
	echo(t, kept, []byte("before"))
	reload(0, "none added, none changed, none removed, 2 as they were\n")
	writeService(t, dir, port(one, ""), port(two, "retry = \"7s\""), port(three, ""))
	reload(0, "1 added (three), 1 changed (two), none removed, 1 as they were\n")
	echo(t, openTTY(t, three), []byte("at once"))
	writeService(t, dir, port(one, ""), "link = \"x\"\nremote = \"sim:echo\"\nlnik = \"two\"")
	out, code := run(t, binary, "reload", "--run-dir", filepath.Join(dir, "run"))
	if code != 2 || !strings.HasPrefix(out, "vcomd: "+filepath.Join(dir, "vcomd.toml")+":10:1: ") {
		t.Errorf("a wrong file: status %d, %s", code, out)
	}
	if err := os.WriteFile(filepath.Join(dir, "taken"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	writeService(t, dir, port(one, ""), port(filepath.Join(dir, "taken"), ""))
	reload(1, "none added, none changed, 2 removed (two, three), 1 as they were\n"+
		"vcomd: reload: 1 could not be made (taken), and will be tried again; see vcomd status for the reason\n")
	for _, args := range [][]string{{"reconnect"}, {"disconnect"}, {"purge"}} {
		out, code := run(t, binary, args[0], "--run-dir", filepath.Join(dir, "run"), "taken")
		if code != 1 || !strings.Contains(out, "the port is not there; vcomd status says why") {
			t.Errorf("%s of a port that could not be made: status %d, %s", args[0], code, out)
		}
	}
	if out, code := run(t, binary, "status", "--run-dir", filepath.Join(dir, "run")); code != 0 || !strings.Contains(out, " missing ") {
		t.Errorf("status %d:\n%s", code, out)
	}
	echo(t, kept, []byte("after"))
}

// streamOf reads a stream of a vcomd, as any HTTP client does.
func streamOf(t *testing.T, socketPath, path string) *bufio.Scanner {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return socket.Dial(ctx, socketPath, false)
	}}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://vcomd"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = res.Body.Close()
		client.CloseIdleConnections()
	})
	if res.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(res.Body)
		t.Fatalf("%s: %s: %s", path, res.Status, text)
	}
	return bufio.NewScanner(res.Body)
}

// next reads entries until one of an event.
func next(t *testing.T, lines *bufio.Scanner, event string) api.Entry {
	t.Helper()
	for lines.Scan() {
		var e api.Entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("%v: %s", err, lines.Text())
		}
		if e.Event == event {
			return e
		}
	}
	t.Fatalf("the stream has ended before %q: %v", event, lines.Err())
	return api.Entry{}
}

// TestEventStream: what happens to all ports, or to one, as it happens; also to ports
// that a reload makes.
func TestEventStream(t *testing.T) {
	dir := t.TempDir()
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	v := serviceOf(t, dir, fmt.Sprintf("link = %q\nremote = \"sim:echo\"", one))
	path := filepath.Join(dir, "run", "vcomd.sock")
	all, ones := streamOf(t, path, "/v1/events"), streamOf(t, path, "/v1/events?port=one")
	tty := openTTY(t, one)
	for _, lines := range []*bufio.Scanner{all, ones} {
		if e := next(t, lines, "opened"); e.Port != "one" || e.Kind != api.KindEvent || time.Since(e.Time) > time.Minute {
			t.Errorf("%+v", e)
		}
		if e := next(t, lines, "connected"); e.New != "rfc2217" {
			t.Errorf("%+v", e)
		}
	}
	writeService(t, dir, fmt.Sprintf("link = %q\nremote = \"sim:echo\"", one), fmt.Sprintf("link = %q\nremote = \"sim:echo\"", two))
	v.signal(syscall.SIGHUP)
	if e := next(t, all, "ready"); e.Port != "two" {
		t.Errorf("%+v", e)
	}
	if e := next(t, all, "reloaded"); e.Port != "" || e.Text != "1 added, 0 changed, 0 removed, 0 failed, 1 kept" {
		t.Errorf("%+v", e)
	}
	writeService(t, dir, "nonsense = 1")
	v.signal(syscall.SIGHUP)
	if e := next(t, all, "not-reloaded"); !strings.Contains(e.Error, "nonsense") {
		t.Errorf("%+v", e)
	}
	openTTY(t, two)
	if e := next(t, all, "opened"); e.Port != "two" {
		t.Errorf("%+v", e)
	}
	setSpeed(t, tty, 4800)
	for ones.Scan() {
		var e api.Entry
		if err := json.Unmarshal(ones.Bytes(), &e); err != nil || e.Port != "one" {
			t.Fatalf("%v: %s", err, ones.Text())
		}
		if e.Event == "wanted" {
			break
		}
	}
}
