package integration

import (
	"encoding/json"
	"io"
	"net"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vcomd/vcomd/internal/probe"
	rc "github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
	"github.com/vcomd/vcomd/test/certs"
)

// probed runs vcomd probe with JSON.
func probed(t *testing.T, args ...string) (r probe.Report, code int) {
	t.Helper()
	cmd := exec.Command(binary, append([]string{"probe", "--json"}, args...)...)
	begin := time.Now()
	out, err := cmd.Output()
	if took := time.Since(begin); took > probe.DefaultTimeout+5*time.Second {
		t.Errorf("vcomd probe %v took %v", args, took)
	}
	if jerr := json.Unmarshal(out, &r); jerr != nil {
		t.Fatalf("vcomd probe %v: %v; %v: %s", args, err, jerr, out)
	}
	if r.Version != probe.Version {
		t.Errorf("version %d, want %d", r.Version, probe.Version)
	}
	return r, cmd.ProcessState.ExitCode()
}

// quirksShown lists the checks that a server has shown.
func quirksShown(r probe.Report) (ids []string) {
	for _, c := range r.Checks {
		if c.Verdict == probe.Shown {
			ids = append(ids, c.ID)
		}
	}
	return ids
}

func unanswered(r probe.Report) (names []string) {
	for _, c := range r.Commands {
		if c.State == probe.StateUnanswered {
			names = append(names, c.Name)
		}
	}
	return names
}

// What docs/compatibility.md says of the real servers, by vcomd probe.
func TestProbeRealServers(t *testing.T) {
	for _, tt := range []struct {
		start      func(t *testing.T) server
		signature  string // its beginning
		shown      []string
		not        []string
		unanswered []string
	}{
		{ser2net, "ser2net", []string{"mask-as-notify", "no-value"}, []string{"long-ack", "will-com-port", "signature-ends"}, nil},
		{sredird, "SRedird 2.2.1", []string{"long-ack"}, []string{"mask-as-notify", "will-com-port"}, nil},
		{pyserial, "", []string{"will-com-port", "no-ack", "no-signature", "mask-no-ack"}, []string{"long-ack"}, []string{"SET-CONTROL DTR", "SET-CONTROL RTS", "SET-CONTROL inbound"}},
		{gensiot, "", []string{"signature-ends"}, []string{"query-ends", "long-ack"}, nil},
	} {
		s := tt.start(t)
		t.Run(s.name, func(t *testing.T) {
			r, code := probed(t, "--set", s.remote)
			if code != 0 || r.Speaks != probe.SpeaksRFC2217 || r.Error != "" {
				t.Errorf("exit status %d, speaks %s, error %q", code, r.Speaks, r.Error)
			}
			switch {
			case tt.signature == "" && r.Signature != nil:
				t.Errorf("signature %q, want none", *r.Signature)
			case tt.signature != "" && (r.Signature == nil || !strings.HasPrefix(*r.Signature, tt.signature)):
				t.Errorf("signature %v, want %s", r.Signature, tt.signature)
			}
			got := quirksShown(r)
			for _, id := range tt.shown {
				if !slices.Contains(got, id) {
					t.Errorf("quirk %s is not shown", id)
				}
			}
			for _, id := range tt.not {
				if slices.Contains(got, id) {
					t.Errorf("quirk %s is shown", id)
				}
			}
			for _, name := range tt.unanswered {
				if !slices.Contains(unanswered(r), name) {
					t.Errorf("%s was answered", name)
				}
			}
			if s.name != "pyserial" && s.name != "sredird" && r.Settings.Line != "9600-8N1" {
				t.Errorf("settings %q, want 9600-8N1", r.Settings.Line)
			}
			if r.RoundTrip == nil || r.RoundTrip.MinMS <= 0 || r.RoundTrip.MedianMS < r.RoundTrip.MinMS {
				t.Errorf("round trip %+v", r.RoundTrip)
			}
			t.Logf("quirks %q, unanswered %q, lines %+v, %d modem states", got, unanswered(r), r.Lines, r.Notify.ModemState)
		})
	}
}

// A probe of a real UART's stand-in sets nothing.
func TestProbeOnlyAsks(t *testing.T) {
	s := serve(t, &rfc2217test.Server{})
	r, code := probed(t, s.addr)
	if code != 0 || len(quirksShown(r)) > 0 {
		t.Errorf("exit status %d, quirks %q", code, quirksShown(r))
	}
	messages := s.Messages()
	for _, m := range messages {
		if !comport.IsQuery(m) {
			t.Errorf("%v was sent", m)
		}
	}
	if len(messages) == 0 || messages[len(messages)-1] != (comport.SignatureText{}) {
		t.Errorf("sent were %v, want the signature last", messages)
	}
	for _, e := range s.uart.Journal() {
		if e.Kind != rfc2217test.EntryOpen && e.Kind != rfc2217test.EntryClose {
			t.Errorf("the UART has seen %v", e)
		}
	}
}

// What is not RFC 2217, or not there.
func TestProbeOthers(t *testing.T) {
	t.Parallel()
	listen := func(t *testing.T, serve func(net.Conn)) string {
		t.Helper()
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan struct{})
		go func() {
			defer close(done)
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			serve(conn)
			_ = conn.Close()
		}()
		t.Cleanup(func() { _ = ln.Close(); <-done })
		return ln.Addr().String()
	}
	for _, tt := range []struct {
		name   string
		remote func(t *testing.T) string
		speaks probe.Speaks
		errs   string
	}{
		{"raw", func(t *testing.T) string {
			t.Helper()
			return listen(t, func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
		}, probe.SpeaksNothing, ""},
		{"echo", func(t *testing.T) string {
			t.Helper()
			// Not by splice(2), whose pipe would live on for a while.
			return listen(t, func(c net.Conn) { _, _ = io.Copy(c, struct{ io.Reader }{c}) })
		}, probe.SpeaksNothing, ""},
		{"closed port", func(t *testing.T) string {
			t.Helper()
			return "127.0.0.1:" + freePort(t)
		}, probe.SpeaksUnknown, "connection refused"},
		{"in use", func(t *testing.T) string {
			t.Helper()
			return serve(t, &rfc2217test.Server{Faults: rfc2217test.Faults{PortInUse: true}}).addr
		}, probe.SpeaksUnknown, "Port already in use"},
		{"escapes", func(t *testing.T) string {
			t.Helper()
			return listen(t, func(c net.Conn) {
				_, _ = c.Write([]byte("\x1b]0;evil\a\x9b2J"))
				_, _ = io.Copy(io.Discard, c)
			})
		}, probe.SpeaksNothing, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			remote := tt.remote(t)
			r, code := probed(t, remote)
			if code != 1 || r.Speaks != tt.speaks || (r.Error == "") != (tt.errs == "") || !strings.Contains(r.Error, tt.errs) {
				t.Errorf("exit status %d, speaks %s, error %q; want 1, %s, %q", code, r.Speaks, r.Error, tt.speaks, tt.errs)
			}
			if tt.name == "escapes" && !strings.Contains(r.Said, `\x1b]0;evil\a\x9b2J`) {
				t.Errorf("it said %q", r.Said)
			}
		})
	}
}

// The text for people, with a hostile server's name: nothing of it reaches the terminal
// unescaped, and it fits into 100 columns but for single words.
func TestProbeText(t *testing.T) {
	s := serve(t, &rfc2217test.Server{Name: "\x1b[2J\u009b\u202e evil\r\n"})
	out := mustRun(t, binary, "probe", s.addr)
	for _, c := range out {
		if c != '\n' && (c < ' ' || c >= 0x7f && c < 0xa0 || c == 0x202e) {
			t.Fatalf("there is a %q in %q", c, out)
		}
	}
	if !strings.Contains(out, " speaks RFC 2217\n") || !strings.Contains(out, `\x1b[2J\u009b\u202e evil\r\n`) {
		t.Errorf("vcomd probe prints\n%s", out)
	}
	for line := range strings.Lines(out) {
		if len([]rune(line)) > probe.Width+1 && len(strings.Fields(line)) > 2 {
			t.Errorf("a line is too long: %q", line)
		}
	}
}

// In TLS it tells with whom it spoke, and without TLS that it is needed.
func TestProbeTLS(t *testing.T) {
	ca := certs.NewAuthority(t, "the authority")
	own := ca.Issue(certs.Options{})
	s := ser2netTLS(t, own, "")
	r, code := probed(t, "--tls-ca", ca.CertFile(t), s.remote)
	if code != 0 || r.Connection == nil || r.Connection.TLS == nil {
		t.Fatalf("exit status %d, connection %+v, error %q", code, r.Connection, r.Error)
	}
	if c := r.Connection.TLS; c.Version != "TLS 1.3" || c.Pin != rc.PinOf(own.X509).String() || c.Unverified || c.NotAfter.Before(time.Now()) {
		t.Errorf("TLS %+v", c)
	}
	plain, code := probed(t, strings.TrimPrefix(s.remote, "rfc2217s://"))
	if code != 1 || !strings.Contains(plain.Error, "TLS (rfc2217s://") {
		t.Errorf("without TLS: exit status %d, error %q", code, plain.Error)
	}
}
