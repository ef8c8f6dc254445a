package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	api "github.com/vcomd/vcomd/internal/control"
	"github.com/vcomd/vcomd/internal/socket"
)

// TestStatusWatch: in place and within the terminal's size; without one, one after the
// other and no escape; ^C ends it well.
func TestStatusWatch(t *testing.T) {
	v := startUntraced(t, "sim:echo", "--connect", "always")
	v.waitEvent("connected")
	watch := func(d *device, env ...string) string {
		t.Helper()
		cmd := exec.Command(binary, "status", "--run-dir", v.runDir(), "--watch")
		var out output
		cmd.Stdout = &out
		if d != nil {
			tty, err := os.OpenFile(d.path, os.O_RDWR|unix.O_NOCTTY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer tty.Close()
			if err := unix.IoctlSetWinsize(int(tty.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 10, Col: 60}); err != nil {
				t.Fatal(err)
			}
			cmd.Stdout = tty
		}
		cmd.Env = append(append(os.Environ(), "TERM=xterm", "NO_COLOR="), env...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		shown := func() string {
			if d != nil {
				buf := make([]byte, 4096)
				_ = d.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
				n, _ := d.Read(buf)
				_, _ = out.Write(buf[:n])
			}
			return out.String()
		}
		eventually(t, "it is shown twice", func() bool { return strings.Count(shown(), "LINK") >= 2 })
		if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("vcomd status --watch: %v", err)
		}
		return shown()
	}
	if out := watch(nil); strings.Contains(out, "\x1b") || strings.Contains(out, "\r") {
		t.Errorf("not on a terminal: %q", out)
	}
	d := newDevice(t)
	out := watch(d)
	if !strings.HasPrefix(out, "\x1b[2J\x1b[H") || strings.Count(out, "\x1b[H") < 2 || !strings.Contains(out, "\x1b[32mup\x1b[0m") {
		t.Errorf("on a terminal: %q", out)
	}
	plain := regexp.MustCompile("\x1b\\[[0-9]*[A-Za-z]").ReplaceAllString(out, "")
	for line := range strings.Lines(plain) {
		if n := len([]rune(strings.TrimRight(line, "\r\n"))); n > 60 {
			t.Errorf("a line of %d columns: %q", n, line)
		}
	}
	if out := watch(newDevice(t), "NO_COLOR=1"); strings.Contains(out, "\x1b[32m") {
		t.Errorf("colours though NO_COLOR is set: %q", out)
	}
}

// TestAPIDocumentation: each example of docs/api.md is answered as it says.
func TestAPIDocumentation(t *testing.T) {
	text, err := os.ReadFile("../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	serviceOf(t, dir, "link = \""+filepath.Join(dir, "ttyGPS")+"\"\nremote = \"sim:gps\"")
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return socket.Dial(ctx, filepath.Join(dir, "run", "vcomd.sock"), false)
	}}}
	examples := regexp.MustCompile(`(?s)curl (?:-N )?--unix-socket /run/vcomd/vcomd.sock '?(http://vcomd/v1/[^\s']+)'?(?: -X ([A-Z]+))?(?:[ \\\n]+-d '([^']*)')?`).FindAllStringSubmatch(string(text), -1)
	if len(examples) < 10 {
		t.Fatalf("%d examples found; the test does not understand the document", len(examples))
	}
	for _, e := range examples {
		method := http.MethodGet
		if e[2] != "" {
			method = e[2]
		}
		req, err := http.NewRequestWithContext(t.Context(), method, e[1], strings.NewReader(e[3]))
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatalf("%s %s: %v", method, e[1], err)
		}
		first := make([]byte, 1<<16)
		n, _ := res.Body.Read(first)
		_ = res.Body.Close()
		var reply struct {
			Version int `json:"version"`
		}
		if err := json.NewDecoder(bytes.NewReader(first[:n])).Decode(&reply); err != nil || reply.Version != 1 {
			t.Errorf("%s %s: %v: %s", method, e[1], err, first[:n])
		}
		// A break needs a connection.
		if res.StatusCode != http.StatusOK && !strings.Contains(e[3], "break") {
			t.Errorf("%s %s %s: %s: %s", method, e[1], e[3], res.Status, first[:n])
		}
	}
	// Every answer's fields, and every code, are in the document.
	for _, code := range []api.Code{
		api.CodeVersion, api.CodeNotFound, api.CodeBadRequest, api.CodeRefused, api.CodeCannot, api.CodeFailed, api.CodeEnding, api.CodeBusy, api.CodeConfiguration,
	} {
		if !strings.Contains(string(text), "| `"+string(code)+"` |") {
			t.Errorf("docs/api.md does not explain %s", code)
		}
	}
	port, err := json.Marshal(api.Port{Overlay: "x", Disconnected: true, LastError: "x"})
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(port, &fields); err != nil {
		t.Fatal(err)
	}
	for name := range fields {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("docs/api.md does not explain the field %s", name)
		}
	}
}
