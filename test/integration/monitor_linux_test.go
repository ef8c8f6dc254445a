package integration

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// monitor runs vcomd monitor on the port tty, and waits until it listens.
func (v *vcomd) monitor(flags ...string) *process {
	v.t.Helper()
	p := spawn(v.t, binary, append([]string{"monitor", "--run-dir", v.runDir(), "tty"}, flags...)...)
	p.shows("vcomd: monitoring tty, ")
	return p
}

// shows waits until a program has printed something.
func (p *process) shows(text string) {
	p.t.Helper()
	eventually(p.t, p.name+" prints "+text, func() bool {
		if strings.Contains(p.out.String(), text) {
			return true
		}
		if !p.running() {
			p.t.Fatalf("%s has ended: %v: %s", p.name, p.err, p.out.String())
		}
		return false
	})
}

// showsData waits until vcomd monitor has shown bytes of a direction, "<" or ">". How
// many lines they come on is up to whoever sends them: sredird passes a first byte on
// alone.
func (p *process) showsData(mark, want string) {
	p.t.Helper()
	eventually(p.t, fmt.Sprintf("%s shows %s %q", p.name, mark, want), func() bool {
		return strings.Contains(shownData(p.out.String(), mark), want)
	})
}

// dataLine is a line of hex and text as vcomd monitor shows it.
var dataLine = regexp.MustCompile(`(?m)^[0-9:.]+ ([<>]) ((?:[0-9a-f]{2} {1,2})+) *\|(.*)\|$`)

// shownData joins what the lines of a direction show, in hex; the text beside it must
// agree.
func shownData(out, mark string) string {
	var all []byte
	for _, line := range dataLine.FindAllStringSubmatch(out, -1) {
		data, err := hex.DecodeString(strings.ReplaceAll(line[2], " ", ""))
		if err != nil || len(data) != len(line[3]) {
			return "not a line of data: " + line[0]
		}
		for i, c := range data {
			if printable := c >= ' ' && c <= '~'; printable && line[3][i] != c || !printable && line[3][i] != '.' {
				return "hex and text disagree: " + line[0]
			}
		}
		if line[1] == mark {
			all = append(all, data...)
		}
	}
	return string(all)
}

// finish ends a program as ^C does.
func (p *process) finish() {
	p.t.Helper()
	p.stop(syscall.SIGINT)
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Errorf("%s ended with status %d after ^C, want 0", p.name, code)
	}
}

// tshark reads a file of packets.
func tshark(t *testing.T, file string, args ...string) string {
	t.Helper()
	need(t, "tshark")
	cmd := exec.Command("tshark", append([]string{"-r", file}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark %v: %v: %s", args, err, errs.String())
	}
	return string(out)
}

// TestMonitor: what passes between vcomd and real servers is shown decoded, and as
// packets that tshark decodes by itself.
func TestMonitor(t *testing.T) {
	for name, run := range map[string]func(*testing.T) server{"ser2net": ser2net, "sredird": sredird, "pyserial": pyserial, "simulated": simulatedServer} {
		t.Run(name, func(t *testing.T) {
			s := run(t)
			v := startUntraced(t, s.remote, "--connect", "always")
			v.waitEvent("connected")
			file := filepath.Join(t.TempDir(), "file.pcapng")
			m := v.monitor("--pcapng", file)
			mustRun(t, binary, "reconnect", "--run-dir", v.runDir(), "tty") // so that all of a connection is seen
			v.waitEvents("connected", 2)
			tty := openTTY(t, v.link)
			setSpeed(t, tty, 19200)
			m.shows("< SET-BAUDRATE 19200\n")
			write(t, tty, []byte("to the UART \xff\r"))
			m.showsData(">", "to the UART \xff\r")
			if s.device != nil {
				write(t, s.device.File, []byte("from the UART"))
				m.showsData("<", "from the UART")
			}
			mustRun(t, binary, "set", "--run-dir", v.runDir(), "tty", "dtr=off", "line=7E1")
			mustRun(t, binary, "purge", "--run-dir", v.runDir(), "tty", "rx")
			mustRun(t, binary, "disconnect", "--run-dir", v.runDir(), "tty")
			m.shows(" * stopped")
			m.finish()
			out := m.out.String()
			for _, want := range []string{
				" > WILL COM-PORT\n", " < DO COM-PORT\n", " > SET-BAUDRATE 19200\n", " > SET-CONTROL DTR=off\n", " > SET-PARITY even\n", " > PURGE-DATA ",
				" * disconnected: ", " * connected: rfc2217, ", " * opened\n", " * wanted: ",
			} {
				if !strings.Contains(out, want) {
					t.Errorf("vcomd monitor has not shown %q:\n%s", want, out)
				}
			}
			// Nothing about the packets is odd.
			if odd := tshark(t, file, "-o", "ip.check_checksum:TRUE", "-o", "tcp.check_checksum:TRUE",
				"-Y", "tcp.analysis.flags or _ws.malformed or tcp.checksum.status == 0 or ip.checksum.status == 0"); odd != "" {
				t.Errorf("tshark finds odd:\n%s", odd)
			}
			for _, c := range []struct{ filter, what string }{
				{"tcp.dstport == 23 and telnet.comport_subopt.baud_rate == 19200", "the speed asked for"},
				{"tcp.srcport == 23 and telnet.comport_subopt.baud_rate == 19200", "the speed acknowledged"},
				{"tcp.dstport == 23 and telnet.comport_subopt.control == 9", "DTR off asked for"},
				{"tcp.dstport == 23 and telnet.comport_subopt.parity == 3", "the parity asked for"},
				{"tcp.dstport == 23 and telnet.comport_subopt.purge == 1", "the purge asked for"},
				{`tcp.dstport == 23 and telnet.data contains "to the UART"`, "data"},
			} {
				if tshark(t, file, "-Y", c.filter) == "" {
					t.Errorf("tshark does not find %s (%s):\n%s", c.what, c.filter, tail(tshark(t, file, "-O", "telnet"), 6000))
				}
			}
		})
	}
}

// simulatedServer is the simulated access server as one of many.
func simulatedServer(t *testing.T) server {
	t.Helper()
	return server{name: "simulated", remote: serve(t, &rfc2217test.Server{}).addr}
}

// tapped stands between vcomd and a server, and keeps what passes.
type tapped struct {
	addr string

	mu       sync.Mutex
	up, down [][]byte // of each connection
}

func recordWire(t *testing.T, to string) *tapped {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &tapped{addr: ln.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			s, err := net.Dial("tcp", to)
			if err != nil {
				_ = c.Close()
				continue
			}
			r.mu.Lock()
			i := len(r.up)
			r.up, r.down = append(r.up, nil), append(r.down, nil)
			r.mu.Unlock()
			carry := func(dst, src net.Conn, into *[][]byte) {
				_, _ = io.Copy(dst, io.TeeReader(src, writerFunc(func(p []byte) {
					r.mu.Lock()
					(*into)[i] = append((*into)[i], p...)
					r.mu.Unlock()
				})))
				_, _ = dst.Close(), src.Close()
			}
			wg.Go(func() { carry(s, c, &r.up) })
			wg.Go(func() { carry(c, s, &r.down) })
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		wg.Wait()
	})
	return r
}

type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

// stream returns the bytes of one TCP connection, each way, as tshark puts them
// together.
func stream(t *testing.T, file, index string) (up, down []byte) {
	t.Helper()
	begun := false
	for line := range strings.Lines(tshark(t, file, "-q", "-z", "follow,tcp,raw,"+index)) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "Node 1"):
			begun = true
			continue
		case !begun || strings.HasPrefix(line, "=") || line == "":
			continue
		}
		p, err := hex.DecodeString(strings.TrimPrefix(line, "\t"))
		if err != nil {
			t.Fatalf("tshark follows %q", line)
		}
		if strings.HasPrefix(line, "\t") {
			down = append(down, p...)
		} else {
			up = append(up, p...)
		}
	}
	return up, down
}

// TestMonitorWritesTheWire: the packets of two connections have, byte by byte, what a
// proxy has seen, escapes and negotiation included; also what goes around the encoder.
func TestMonitorWritesTheWire(t *testing.T) {
	s := serve(t, &rfc2217test.Server{})
	r := recordWire(t, s.addr)
	v := startUntraced(t, r.addr, "--log-level", "debug")
	file := filepath.Join(t.TempDir(), "file.pcapng")
	m := v.monitor("--pcapng", file, "--text")
	for i := range 2 {
		tty := openTTY(t, v.link)
		write(t, tty, pattern(3000, 1))
		write(t, tty, bytes.Repeat([]byte("plain text "), 200))
		write(t, tty, bytes.Repeat([]byte{0xff, '\r', 0, 0xff}, 100))
		s.awaitBytes(t, (i+1)*(3000+2200+400))
		s.uart.Receive(bytes.Repeat([]byte{0xff, '\r', '\n', 0xff, 'x'}, 500))
		readFull(t, tty, 2500)
		mustRun(t, binary, "disconnect", "--run-dir", v.runDir(), "tty")
		if err := tty.Close(); err != nil {
			t.Fatal(err)
		}
		v.waitEvents("closed", i+1)
	}
	eventually(t, "both connections have ended", func() bool { return strings.Count(m.out.String(), " * stopped") == 2 })
	m.finish()
	for i, index := range []string{"0", "1"} {
		up, down := stream(t, file, index)
		r.mu.Lock()
		wantUp, wantDown := r.up[i], r.down[i]
		r.mu.Unlock()
		if !bytes.Equal(up, wantUp) || len(up) < 5600 {
			t.Errorf("connection %s: to the server are %d bytes, and were %d", index, len(up), len(wantUp))
		}
		if !bytes.Equal(down, wantDown) || len(down) < 2500 {
			t.Errorf("connection %s: from the server are %d bytes, and were %d", index, len(down), len(wantDown))
		}
	}
}

// TestMonitorToAPipe: what goes to standard output is packets and nothing else, as they
// come.
func TestMonitorToAPipe(t *testing.T) {
	need(t, "tshark")
	v := startUntraced(t, "sim:echo", "--connect", "always")
	v.waitEvent("connected")
	pr, pw, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer pr.Close()
	m := exec.Command(binary, "monitor", "--run-dir", v.runDir(), "tty", "--pcapng", "-")
	m.Stdout = pw
	var errs output
	m.Stderr = &errs
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	_ = pw.Close()
	eventually(t, "it listens", func() bool { return strings.Contains(errs.String(), "monitoring") })
	mustRun(t, binary, "set", "--run-dir", v.runDir(), "tty", "speed=38400")
	if err := m.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(pr)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Wait(); err != nil {
		t.Errorf("vcomd monitor: %v", err)
	}
	file := filepath.Join(t.TempDir(), "file.pcapng")
	if err := os.WriteFile(file, all, 0o600); err != nil {
		t.Fatal(err)
	}
	if tshark(t, file, "-Y", "telnet.comport_subopt.baud_rate == 38400") == "" {
		t.Errorf("tshark does not find the speed in %d bytes", len(all))
	}
}

// TestMonitorShowsNoControlCharacter of what a server says: neither data nor its
// signature reaches a terminal as it is.
func TestMonitorShowsNoControlCharacter(t *testing.T) {
	s := serve(t, &rfc2217test.Server{})
	v := startUntraced(t, s.addr, "--connect", "always")
	v.waitEvent("connected")
	tty := openTTY(t, v.link)
	for _, flags := range [][]string{nil, {"--hex"}, {"--text"}} {
		m := v.monitor(flags...)
		s.uart.Receive([]byte("\x1b]0;evil\a\x1b[2J\u009b31m\xff"))
		s.Send(comport.SignatureText{Text: "evil \x1b[2J\u009b31m"})
		write(t, tty, []byte("marker"))
		m.shows(map[bool]string{true: `"marker"`, false: "6d 61 72 6b 65 72"}[slices.Contains(flags, "--text")])
		m.shows("evil")
		m.finish()
		if out := m.out.String(); strings.ContainsAny(out, "\x1b\a\u009b") || strings.Contains(out, "\xff") {
			t.Errorf("%v shows %q", flags, out)
		}
	}
}

// TestMonitorEndsWithItsVcomd, and says so.
func TestMonitorEndsWithItsVcomd(t *testing.T) {
	v := startUntraced(t, "sim:echo")
	m := v.monitor()
	v.end()
	if code := m.wait(); code != 1 || !strings.Contains(m.out.String(), "vcomd: monitor: the vcomd that serves the port has ended\n") {
		t.Errorf("status %d: %s", code, m.out.String())
	}
}

// TestMonitorThatIsStopped costs the port nothing, and is told what it has missed.
func TestMonitorThatIsStopped(t *testing.T) {
	const size = 8 << 20
	s := serve(t, &rfc2217test.Server{})
	v := startUntraced(t, s.addr)
	m := v.monitor("--text")
	if err := m.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	tty := openTTY(t, v.link)
	v.waitEvent("connected")
	before := v.rss()
	chunk := bytes.Repeat([]byte("0123456789abcde\n"), 1<<12)
	for range size / len(chunk) {
		write(t, tty, chunk)
	}
	s.awaitBytes(t, size)
	if after := v.rss(); after > before+16<<10 {
		t.Errorf("VmRSS %d KiB before, %d KiB while the monitor does not read", before, after)
	}
	if err := m.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	m.shows(" entries are missing: this reader was too slow; ")
	write(t, tty, []byte("the end"))
	m.shows(`"the end"`)
	m.finish()
}
