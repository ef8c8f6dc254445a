package integration

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
	"github.com/vcomd/vcomd/test/certs"
)

// callers connects to vcomd's socket as often as one likes. The test's end closes what
// is left.
func (v *vcomd) callers(n int) []net.Conn {
	v.t.Helper()
	link := filepath.Join(v.t.TempDir(), "s") // an address has 107 bytes
	if err := os.Symlink(filepath.Join(v.runDir(), "tty.sock"), link); err != nil {
		v.t.Fatal(err)
	}
	all := make([]net.Conn, 0, n)
	for range n {
		c, err := net.Dial("unix", link)
		if err != nil {
			v.t.Fatal(err)
		}
		v.t.Cleanup(func() { _ = c.Close() })
		all = append(all, c)
	}
	return all
}

// promptly runs vcomd status, which must not take long.
func (v *vcomd) promptly() {
	v.t.Helper()
	begin := time.Now()
	v.status("tty")
	if took := time.Since(begin); took > 3*time.Second {
		v.t.Errorf("vcomd status took %v", took)
	}
}

// maxConnections is how many connections vcomd keeps at the most.
const maxConnections = 128

// TestThousandConnections that say nothing, or say it slowly, take no more than their
// share, and keep nobody out.
func TestThousandConnections(t *testing.T) {
	for _, c := range []struct{ name, says string }{
		{"silent", ""},
		{"half a head", "GET /v1/ports HTTP/1.1\r\nHost: x\r\nX-Slow: "},
		{"half a body", "PATCH /v1/ports/tty HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"},
		{"half a body of an action", "POST /v1/ports/tty/disconnect HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := startUntraced(t, "sim:echo", "--connect", "always")
			v.waitEvent("connected")
			tty := openTTY(t, v.link)
			v.promptly()
			before := v.descriptors()
			const batch, times = 100, 10
			all := make([]net.Conn, 0, batch*times)
			for range times {
				some := v.callers(batch)
				for _, conn := range some {
					_, _ = io.WriteString(conn, c.says)
				}
				all = append(all, some...)
				v.promptly()
			}
			if now := v.descriptors(); now > before+maxConnections+10 {
				t.Errorf("%d descriptors before, %d with %d connections", before, now, len(all))
			}
			echo(t, tty, pattern(200, 7))
			// The last one was not served, and is not kept for ever, though it says a
			// little all the time.
			last := all[len(all)-1]
			if c.says != "" {
				eventually(t, "it is ended", func() bool {
					time.Sleep(50 * time.Millisecond)
					_, err := io.WriteString(last, "x")
					return err != nil
				})
			}
			for _, conn := range all {
				_ = conn.Close()
			}
			eventually(t, "no descriptor is left", func() bool { return v.descriptors() <= before })
			v.promptly()
		})
	}
}

// TestGiantRequests are refused at their bounds, and cost nothing.
func TestGiantRequests(t *testing.T) {
	v := startUntraced(t, "sim:echo")
	v.promptly()
	before := v.rss()
	for _, c := range []struct{ name, head, more, answer string }{
		{"head", "GET /v1/ports HTTP/1.1\r\nHost: x\r\n", "X-Filling: 0123456789012345678901234567890123456789\r\n", "HTTP/1.1 431 "},
		{"address", "GET /v1/", "0123456789012345678901234567890123456789", "HTTP/1.1 431 "},
		{"body", "PATCH /v1/ports/tty HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n", strings.Repeat("[", 4096), "HTTP/1.1 400 "},
		{"body in pieces", "POST /v1/ports/tty/purge HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", "1000\r\n" + strings.Repeat("[", 4096) + "\r\n", "HTTP/1.1 400 "},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn := v.callers(1)[0]
			if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			go func() {
				_, _ = io.WriteString(conn, c.head)
				more := bytes.Repeat([]byte(c.more), 100)
				for range 10_000 {
					if _, err := conn.Write(more); err != nil {
						return
					}
				}
			}()
			answer := make([]byte, len(c.answer))
			if _, err := io.ReadFull(conn, answer); err != nil || string(answer) != c.answer {
				t.Errorf("the answer is %q, %v; want %q", answer, err, c.answer)
			}
		})
	}
	if after := v.rss(); after > before+16<<10 {
		t.Errorf("VmRSS %d KiB before, %d KiB after", before, after)
	}
	v.promptly()
}

// TestStreamsThatNobodyReads: they cost the port nothing and vcomd little, there are only
// so many of them, and they do not keep vcomd from ending.
func TestStreamsThatNobodyReads(t *testing.T) {
	const streams, kept = 40, 32
	s := serve(t, &rfc2217test.Server{})
	v := startUntraced(t, s.addr, "--connect", "always")
	v.waitEvent("connected")
	tty := openTTY(t, v.link)
	all := v.callers(streams)
	full := 0
	for i, conn := range all {
		path := "/v1/events"
		if i%2 == 1 {
			path = "/v1/ports/tty/monitor?show=data,command,event,wire"
		}
		if _, err := io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		head := make([]byte, len("HTTP/1.1 200"))
		if _, err := io.ReadFull(conn, head); err != nil {
			t.Fatal(err)
		}
		if string(head) == "HTTP/1.1 503" {
			full++
			if text, _ := io.ReadAll(conn); !bytes.Contains(text, []byte(`"code":"busy"`)) {
				t.Errorf("it is refused with %q", text)
			}
		}
	}
	if full != streams-kept {
		t.Errorf("%d streams were refused, want %d", full, streams-kept)
	}
	before := v.rss()
	const size = 8 << 20
	chunk := bytes.Repeat([]byte("0123456789abcdef"), 1<<12)
	for range size / len(chunk) {
		write(t, tty, chunk)
	}
	s.awaitBytes(t, size)
	setSpeed(t, tty, 4800)
	s.awaitCount(t, comport.SetBaudRate{Rate: 4800}, 1)
	// 1 MiB each, as it is and as JSON, and what the garbage collector leaves.
	if after := v.rss(); after > before+kept*(4<<10) {
		t.Errorf("VmRSS %d KiB before, %d KiB after", before, after)
	}
	v.promptly()
	begin := time.Now()
	v.end()
	if took := time.Since(begin); took > 10*time.Second {
		t.Errorf("vcomd took %v to end", took)
	}
}

// TestTextOfTheNetwork: a server that says what terminals obey says it in vain: in the
// log, in both forms of the status, in events and in errors.
func TestTextOfTheNetwork(t *testing.T) {
	const evil = "evil\x1b]0;title\a\x1b[2J"
	ca := certs.NewAuthority(t, evil)
	own := ca.Issue(certs.Options{Names: []string{evil}})
	pair, err := tls.LoadX509KeyPair(own.CertFile(t), own.KeyFile(t))
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, evil)
			_ = c.Close()
		}
	})
	t.Cleanup(func() {
		_ = ln.Close()
		serving.Wait()
	})
	v := startUntraced(t, "rfc2217s://"+ln.Addr().String(), "--connect", "always", "--tls-ca", ca.CertFile(t), "--retry", "50ms", "--retry-max", "50ms")
	v.waitEvent("disconnected")
	m := v.monitor()
	mustRun(t, binary, "disconnect", "--run-dir", v.runDir(), "tty")
	mustRun(t, binary, "reconnect", "--run-dir", v.runDir(), "tty")
	m.shows("*")
	m.finish()
	eventually(t, "the status has the server's words", func() bool { return strings.Contains(v.status("tty").LastError, "evil") })
	shown := map[string]string{"the log": v.out.String(), "monitor": m.out.String()}
	for _, args := range [][]string{{"status"}, {"status", "tty"}, {"status", "--json"}, {"set", "tty", "break=10ms"}, {"status", "no\x1b[2J\u009bport"}} {
		out, _ := v.command(args...)
		shown[strings.Join(args, " ")] = out
	}
	for what, text := range shown {
		if strings.ContainsAny(text, "\x1b\a\u009b\r") || strings.Contains(text, "\xff") {
			t.Errorf("%s shows %q", what, text)
		}
	}
	for _, what := range []string{"status", "status tty", "status --json", "the log"} {
		if !strings.Contains(shown[what], "evil") {
			t.Errorf("%s does not say why:\n%s", what, shown[what])
		}
	}
	for line := range strings.Lines(shown["status"]) {
		if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > 100 {
			t.Errorf("a line of the table has %d columns: %s", n, line)
		}
	}
}
