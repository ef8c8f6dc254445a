package control

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/vcomd/vcomd/internal/socket"
)

// leave makes a socket that nobody listens on, as a killed vcomd leaves it.
func leave(t *testing.T, path string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestClientFinds: nothing where there is nothing, and what is dead is passed
// over.
func TestClientFinds(t *testing.T) {
	dir := shortDir(t)
	client := Client{RunDirs: []string{filepath.Join(dir, "none"), dir}}
	if found, failed := client.All(t.Context()); len(found)+len(failed) > 0 {
		t.Errorf("found %v, %v", found, failed)
	}
	leave(t, SocketPath(dir, "stale"))
	if err := os.WriteFile(SocketPath(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if found, failed := client.All(t.Context()); len(found)+len(failed) > 0 {
		t.Errorf("found %v, %v", found, failed)
	}
	_, err := client.Find(t.Context(), "tty")
	if !errors.Is(err, ErrNoPort) || !strings.Contains(err.Error(), dir) {
		t.Errorf("%v, want where it was looked", err)
	}
}

// TestOtherServers: what answers otherwise, or not, is told, and all others are
// still found.
func TestOtherServers(t *testing.T) {
	r := newRig(t)
	for _, c := range []struct {
		name, answer, says string
	}{
		{"newer", "HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n" + `{"version":2}`, "it speaks version 2, and this program version 1"},
		{"older", "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno", "it does not answer like a vcomd"},
		{"another program", "SSH-2.0-OpenSSH\r\n", "malformed HTTP"},
		{"one that hangs up", "", "EOF"},
	} {
		l, err := socket.Socket{RunDir: r.dir, Name: "other" + suffix, UID: -1, GID: -1, Mode: 0o600}.Listen(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					_, _ = conn.Write([]byte(c.answer))
				}
				_ = conn.Close()
			}
		})
		found, failed := r.client().All(t.Context())
		if len(found) != 1 || found[0].Port.Name != "tty" {
			t.Errorf("%s: found %v", c.name, found)
		}
		if len(failed) != 1 || !strings.Contains(failed[0].Error(), c.says) || !strings.Contains(failed[0].Error(), SocketPath(r.dir, "other")) {
			t.Errorf("%s: %v, want %q", c.name, failed, c.says)
		}
		_ = l.Close()
		wg.Wait()
	}
}

// shortDir is for sockets that a test makes with an address of its own.
func shortDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "control-") //nolint:usetesting // t.TempDir is too long for an address
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
