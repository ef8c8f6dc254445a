package integration

import (
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// A file goes by ZMODEM from one port to another, through two access servers
// whose serial lines are joined, and arrives as it was.
func TestLrzsz(t *testing.T) {
	need(t, "sz", "rz", "sh")
	near, far := ser2net(t), ser2net(t)
	nullModem(t, near.device, far.device)
	sender, receiver := startUntraced(t, near.remote), startUntraced(t, far.remote)

	dir := t.TempDir()
	source := filepath.Join(dir, "a file")
	data := pattern(1<<20, 11)
	if err := os.WriteFile(source, data, 0o600); err != nil {
		t.Fatal(err)
	}
	inbox := filepath.Join(dir, "inbox")
	if err := os.Mkdir(inbox, 0o700); err != nil {
		t.Fatal(err)
	}

	// Standard input and output are one open of the port, as a shell has them.
	const onPort = `port=$1; shift; exec "$@" 0<>"$port" 1>&0`
	rz := exec.Command("sh", "-c", onPort, "sh", receiver.link, "rz", "--binary", "--quiet")
	rz.Dir = inbox
	receiving := spawnCmd(t, rz)
	sending := spawn(t, "sh", "-c", onPort, "sh", sender.link, "sz", "--binary", "--quiet", source)
	if code := sending.wait(); code != 0 {
		t.Errorf("sz ended with status %d", code)
	}
	if code := receiving.wait(); code != 0 {
		t.Errorf("rz ended with status %d", code)
	}

	got, err := os.ReadFile(filepath.Join(inbox, "a file"))
	if err != nil {
		t.Fatal(err)
	}
	if have, want := sha256.Sum256(got), sha256.Sum256(data); have != want {
		t.Errorf("%d bytes with SHA-256 %x arrived, want %d with %x; byte %d differs",
			len(got), have, len(data), want, firstDifference(got, data))
	}
}

// nullModem joins two devices until the test ends: what goes out at one comes in
// at the other.
func nullModem(t *testing.T, a, b *device) {
	t.Helper()
	done := make(chan error, 2)
	join := func(dst, src *device) {
		_, err := io.Copy(dst.File, src.File)
		done <- err
	}
	go join(a, b)
	go join(b, a)
	t.Cleanup(func() {
		_, _ = a.Close(), b.Close()
		for range 2 {
			if err := <-done; err != nil && !errors.Is(err, os.ErrClosed) {
				t.Errorf("the null modem: %v", err)
			}
		}
	})
}
