package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	api "github.com/vcomd/vcomd/internal/control"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// runDir is that of a vcomd which start has run.
func (v *vcomd) runDir() string { return filepath.Join(filepath.Dir(v.link), "run") }

// status is vcomd status --json of one port.
func (v *vcomd) status(port string) api.Port {
	v.t.Helper()
	out := mustRun(v.t, binary, "status", "--run-dir", v.runDir(), "--json", port)
	var reply api.Reply
	if err := json.Unmarshal([]byte(out), &reply); err != nil || reply.Version != 1 || len(reply.Ports) != 1 {
		v.t.Fatalf("vcomd status --json: %v: %s", err, out)
	}
	return reply.Ports[0]
}

// TestStatusTellsTheTruth: each field, against the UART and the program.
func TestStatusTellsTheTruth(t *testing.T) {
	begin := time.Now().Add(-time.Second)
	s := serve(t, &rfc2217test.Server{})
	v := start(t, s.addr, "--line", "7E1")
	idle := v.status("tty")
	if idle.Open || idle.Connected || idle.Mode != "negotiating" || idle.Wanted.Line != "7E1" || idle.Reported.Line != "" || idle.DTR != "unknown" {
		t.Errorf("before a program has opened it: %+v", idle)
	}
	tty := openTTY(t, v.link)
	setSpeed(t, tty, 19200)
	write(t, tty, []byte("hello"))
	s.awaitBytes(t, 5)
	s.uart.SetModem(comport.ModemCTS | comport.ModemDCD)
	s.uart.Receive([]byte("world!!"))
	readFull(t, tty, 7)
	var p api.Port
	eventually(t, "the status is as the UART", func() bool {
		p = v.status("tty")
		return p.CTS && p.DCD && !p.DSR && !p.RI && p.Reported.Line == "19200-7E1"
	})
	target, err := os.Readlink(v.link)
	if err != nil {
		t.Fatal(err)
	}
	if p.Name != "tty" || p.PID != v.cmd.Process.Pid || p.TTY != target || len(p.Links) != 1 || p.Links[0] != v.link || p.Overlay != "" || p.Remote != "rfc2217://"+s.addr {
		t.Errorf("what it is: %+v", p)
	}
	if !p.Open || !p.Connected || p.Mode != "rfc2217" || p.Suspended || p.LastError != "" || p.Since.Before(begin) || p.Since.After(time.Now()) {
		t.Errorf("the connection: %+v", p)
	}
	if p.Wanted.Line != "19200-7E1" || p.Wanted.Flow != "none" || p.Break || p.OutQueue != 0 {
		t.Errorf("the line: %+v", p)
	}
	if c := p.Counters; c.FromProgram != 5 || c.ToProgram != 7 || c.BytesSent != 5 || c.BytesReceived != 7 || c.CommandsSent == 0 || c.CommandsReceived == 0 || c.DSR == 0 {
		t.Errorf("the counters: %+v", c)
	}
	for _, name := range []string{v.link, target} {
		if got := v.status(name); got.PID != p.PID {
			t.Errorf("%s is %+v", name, got)
		}
	}
	people := mustRun(t, binary, "status", "--run-dir", v.runDir(), "tty")
	for _, want := range []string{"tty\n", target + ", " + v.link, s.addr + ", connected for ", "a program has it open", "19200-7E1", "CTS on, DSR off, DCD on, RI off", "5 written, 7 read"} {
		if !strings.Contains(people, want) {
			t.Errorf("the status for people has no %q:\n%s", want, people)
		}
	}
}

// TestStatusSaysWhy there is no connection, and shows no byte of the network's as
// it is.
func TestStatusSaysWhy(t *testing.T) {
	closed := freePort(t)
	v := start(t, "127.0.0.1:"+closed, "--connect", "always")
	v.waitEvent("disconnected")
	if p := v.status("tty"); p.Connected || !strings.Contains(p.LastError, "connection refused") {
		t.Errorf("%+v", p)
	}
	people := mustRun(t, binary, "status", "--run-dir", v.runDir(), "tty")
	for _, want := range []string{"NOT CONNECTED for ", "connection refused", "start the server, or correct the port"} {
		if !strings.Contains(people, want) {
			t.Errorf("the status for people has no %q:\n%s", want, people)
		}
	}
}

// TestStatusOfAll: several vcomds of one directory, and names that terminals would
// obey.
func TestStatusOfAll(t *testing.T) {
	d := newDesk(t)
	d.busy = "no port"
	d.start(nil, "--link", "gps", "sim:gps")
	d.start(nil, "--link", "two words \x1b[2J", "sim:echo")
	out, errs, code := d.execute("vcomd status")
	if code != 0 || errs != "" || !strings.Contains(out, "/gps  ") || !strings.Contains(out, `two words \x1b[2J`) || strings.Contains(out, "\x1b") {
		t.Errorf("status %d, %q, %q", code, out, errs)
	}
	out, errs, code = d.execute("vcomd status --json")
	var reply api.Reply
	if err := json.Unmarshal([]byte(out), &reply); err != nil || code != 0 || len(reply.Ports) != 2 || reply.Ports[1].Name != "two words \x1b[2J" {
		t.Errorf("status %d, %v, %q, %q", code, err, out, errs)
	}
	if out, _, code := d.execute("vcomd status --json 'two words \x1b[2J'"); code != 0 || !strings.Contains(out, "sim:echo") {
		t.Errorf("by name: status %d, %q", code, out)
	}
}

// TestStatusLeavesNothing: neither descriptors nor goroutines' worth of memory.
func TestStatusLeavesNothing(t *testing.T) {
	v := startUntraced(t, "sim:echo", "--connect", "always")
	client := api.Client{RunDirs: []string{v.runDir()}}
	fds := func() int {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", v.cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	ask := func() {
		if _, err := client.Find(t.Context(), "tty"); err != nil {
			t.Fatal(err)
		}
	}
	ask()
	v.waitEvent("connected")
	eventually(t, "the first connection is gone", func() bool { before := fds(); ask(); return fds() <= before })
	before := fds()
	for range 1000 {
		ask()
	}
	eventually(t, "no descriptor is left", func() bool { return fds() <= before })
}

// TestControlSocketPermissions: who may not open the tty may not control it, also
// where the file lets him in.
func TestControlSocketPermissions(t *testing.T) {
	if os.Geteuid() != 0 {
		skip(t, "only root can be another user")
	}
	d := newDesk(t) // its vcomd is one that every user may execute
	s := serve(t, &rfc2217test.Server{})
	run := filepath.Join(d.top, "roots")
	v := &vcomd{link: filepath.Join(d.top, "tty")}
	v.process = spawn(t, binary, "--link", v.link, "--run-dir", run, "--group", "20", "--connect", "always", s.addr)
	v.waitEvent("connected")
	t.Cleanup(v.end)
	socket := filepath.Join(run, "tty.sock")
	info, err := os.Lstat(socket)
	if err != nil {
		t.Fatal(err)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || info.Mode().Perm() != 0o660 || st.Gid != 20 || st.Uid != 0 {
		t.Errorf("the socket is %v of %+v", info.Mode(), info.Sys())
	}
	as := func(c syscall.Credential, args ...string) (string, int) {
		t.Helper()
		cmd := exec.Command(d.binary, args...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &c}
		out, err := cmd.CombinedOutput()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			t.Fatal(err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	stranger := syscall.Credential{Uid: ordinary, Gid: ordinary}
	member := syscall.Credential{Uid: ordinary, Gid: ordinary, Groups: []uint32{20}}
	set := []string{"set", "--run-dir", run, "tty", "dtr=off"}
	for _, args := range [][]string{set, {"status", "--run-dir", run}} {
		if out, code := as(stranger, args...); code != 1 || !strings.Contains(out, "permission denied; only root, its owner and the group ") {
			t.Errorf("another user's %s: status %d, %s", args[0], code, out)
		}
	}
	// The file's mode is not all that protects.
	if err := os.Chmod(socket, 0o666); err != nil {
		t.Fatal(err)
	}
	if out, code := as(stranger, set...); code != 1 || !strings.Contains(out, "user 65534 may not control this port") {
		t.Errorf("another user let in by the file: status %d, %s", code, out)
	}
	refused := v.waitEvent("control")
	if refused.Level != "warn" || !strings.Contains(refused.Err, "user 65534 may not") {
		t.Errorf("logged: %+v", refused)
	}
	if s.count(comport.SetControl{Control: comport.ControlDTROff}) != 0 {
		t.Error("DTR was dropped all the same")
	}
	if err := os.Chmod(socket, 0o660); err != nil {
		t.Fatal(err)
	}
	if out, code := as(member, set...); code != 0 {
		t.Errorf("a member of the group: status %d, %s", code, out)
	}
	s.awaitCount(t, comport.SetControl{Control: comport.ControlDTROff}, 1)
	if done := v.waitEvents("control", 2)[1]; done.Level != "info" || done.New != "dtr=off" {
		t.Errorf("logged: %+v", done)
	}
}

// TestControlSocketOfAKilledVcomdIsReplaced, and one that lives is not.
func TestControlSocketOfAKilledVcomdIsReplaced(t *testing.T) {
	d := newDesk(t)
	d.busy = "no port"
	socket := filepath.Join(d.run, "tty.sock")
	for range 3 {
		p := d.start(nil, "--link", "tty", "sim:echo")
		p.stop(syscall.SIGKILL)
		if _, err := os.Lstat(socket); err != nil {
			t.Fatalf("nothing is left of a vcomd that was killed: %v", err)
		}
		if out, _, code := d.execute("vcomd status"); code != 0 || !strings.Contains(out, "no ports") {
			t.Errorf("status %d, %q, want that there are no ports", code, out)
		}
	}
	p := d.start(nil, "--link", "tty", "sim:echo")
	d.served = p.cmd.Process.Pid
	before := d.listing()
	_, errs, code := d.execute("vcomd --link another --name tty sim:gps")
	if want := "vcomd: cannot make the socket RUN/tty.sock: the name is taken by process PID; choose another with --name\n"; code != 1 ||
		d.anonymous(errs) != want {
		t.Errorf("another with the same name: status %d, %s", code, errs)
	}
	if after := d.listing(); after != before {
		t.Errorf("the disk has changed. Before:\n%sAfter:\n%s", before, after)
	}
	if out, _, code := d.execute("vcomd status tty"); code != 0 || !strings.Contains(out, "sim:echo") {
		t.Errorf("the first: status %d, %q", code, out)
	}
	p.stop(syscall.SIGTERM)
	if _, err := os.Lstat(socket); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the end: %v, want the socket gone", err)
	}
}

// TestStatusOfAStoppedVcomd: one that hangs is told, and the others are shown.
func TestStatusOfAStoppedVcomd(t *testing.T) {
	d := newDesk(t)
	d.busy = "no port"
	d.start(nil, "--link", "well", "sim:echo")
	stopped := d.start(nil, "--link", "hangs", "sim:echo")
	if err := stopped.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stopped.cmd.Process.Signal(syscall.SIGCONT) }()
	out, errs, code := d.execute("vcomd status")
	if code != 1 || !strings.Contains(out, "/well  pts/") || !strings.Contains(d.anonymous(errs), "cannot ask the vcomd at RUN/hangs.sock: it does not answer; see whether it is stopped") {
		t.Errorf("status %d, %q, %q", code, out, errs)
	}
	if err := stopped.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if out, errs, code := d.execute("vcomd status hangs"); code != 0 {
		t.Errorf("when it goes on: status %d, %q, %q", code, out, errs)
	}
}

// TestControlClientsHinderNothing: clients that say nothing, or nonsense, cost the
// port nothing.
func TestControlClientsHinderNothing(t *testing.T) {
	v := startUntraced(t, "sim:echo", "--connect", "always")
	tty := openTTY(t, v.link)
	link := filepath.Join(t.TempDir(), "s") // an address has 107 bytes
	if err := os.Symlink(filepath.Join(v.runDir(), "tty.sock"), link); err != nil {
		t.Fatal(err)
	}
	const clients = 100
	idle := make([]net.Conn, 0, clients)
	defer func() {
		for _, c := range idle {
			_ = c.Close()
		}
	}()
	for i := range clients {
		c, err := net.Dial("unix", link)
		if err != nil {
			t.Fatal(err)
		}
		if i%2 == 0 {
			_, _ = c.Write([]byte("PATCH /v1/ports/tty HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"))
		}
		idle = append(idle, c)
	}
	echo(t, tty, pattern(500, 7)) // at 9600 bit/s
	v.end()
}
