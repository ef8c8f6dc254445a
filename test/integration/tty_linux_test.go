package integration

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openTTY opens the slave at a path, which the test or its vcomd has made.
func openTTY(t *testing.T, path string) *os.File {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("open %s: %v", path, err)
	}
	f := os.NewFile(uintptr(fd), path)
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// control runs f with the descriptor.
func control(t *testing.T, f *os.File, do func(fd int) error) {
	t.Helper()
	raw, err := f.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = do(int(fd)) }); err != nil {
		t.Fatal(err)
	}
	if failed != nil {
		t.Fatalf("%s: %v", f.Name(), failed)
	}
}

func getTermios(t *testing.T, f *os.File) *unix.Termios {
	t.Helper()
	var tio *unix.Termios
	control(t, f, func(fd int) (err error) {
		tio, err = unix.IoctlGetTermios(fd, unix.TCGETS2)
		return err
	})
	return tio
}

func setTermios(t *testing.T, f *os.File, tio *unix.Termios) {
	t.Helper()
	control(t, f, func(fd int) error { return unix.IoctlSetTermios(fd, unix.TCSETS2, tio) })
}

// setSpeed sets any speed, as a program that knows BOTHER does.
func setSpeed(t *testing.T, f *os.File, speed uint32) {
	t.Helper()
	tio := getTermios(t, f)
	tio.Cflag = tio.Cflag&^(unix.CBAUD|unix.CBAUDEX) | unix.BOTHER
	tio.Ispeed, tio.Ospeed = speed, speed
	setTermios(t, f, tio)
}

// device is a pseudo-terminal for an access server to use as its serial device:
// the far end of the line is in the test's hands.
type device struct {
	*os.File        // the master: what the device behind the line sends and gets
	path     string // the slave, which the server opens
	keep     *os.File
}

func newDevice(t *testing.T) *device {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatalf("open /dev/ptmx: %v", err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	d := &device{path: fmt.Sprintf("/dev/pts/%d", n), File: os.NewFile(uintptr(fd), "/dev/ptmx")}
	t.Cleanup(func() { _ = d.Close() })
	// Held open, so that the master never hangs up between two sessions of the
	// server, and raw.
	d.keep = openTTY(t, d.path)
	tio := getTermios(t, d.keep)
	tio.Iflag, tio.Oflag, tio.Lflag = 0, 0, 0
	tio.Cc[unix.VMIN], tio.Cc[unix.VTIME] = 1, 0
	setTermios(t, d.keep, tio)
	return d
}

// speed is the speed the server has set on its device: the witness of a
// SET-BAUDRATE.
func (d *device) speed(t *testing.T) uint32 {
	t.Helper()
	return getTermios(t, d.keep).Ospeed
}

// readFull reads n bytes.
func readFull(t *testing.T, f *os.File, n int) []byte {
	t.Helper()
	if err := f.SetReadDeadline(time.Now().Add(2 * patience)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, n)
	got, err := io.ReadFull(f, b)
	if err != nil {
		t.Fatalf("%s: %d of %d bytes, then %v: …%q", f.Name(), got, n, err, tail(string(b[:got]), 200))
	}
	return b
}

// readUntil reads until a text has come.
func readUntil(t *testing.T, f *os.File, want string) string {
	t.Helper()
	if err := f.SetReadDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	var got []byte
	buf := make([]byte, 4096)
	for !bytes.Contains(got, []byte(want)) {
		n, err := f.Read(buf)
		got = append(got, buf[:n]...)
		if err != nil {
			t.Fatalf("%s: %q has not come, but %q and %v", f.Name(), want, got, err)
		}
	}
	return string(got)
}

func write(t *testing.T, f *os.File, p []byte) {
	t.Helper()
	if _, err := f.Write(p); err != nil {
		t.Fatalf("write to %s: %v", f.Name(), err)
	}
}

// exchange sends p from one end and reads it at the other, in both directions at
// the same time, and compares.
func exchange(t *testing.T, a, b *os.File, ab, ba []byte) {
	t.Helper()
	var wg sync.WaitGroup
	deadline := time.Now().Add(4 * patience)
	send := func(f *os.File, p []byte) {
		if err := f.SetWriteDeadline(deadline); err != nil {
			t.Error(err)
		}
		for len(p) > 0 {
			n, err := f.Write(p[:min(len(p), 4096)])
			if err != nil {
				t.Errorf("write to %s with %d bytes to go: %v", f.Name(), len(p), err)
				return
			}
			p = p[n:]
		}
	}
	receive := func(f *os.File, want []byte) {
		if err := f.SetReadDeadline(deadline); err != nil {
			t.Error(err)
		}
		got := make([]byte, len(want))
		n, err := io.ReadFull(f, got)
		if err != nil {
			t.Errorf("read from %s: %d of %d bytes, then %v", f.Name(), n, len(want), err)
			return
		}
		if i := firstDifference(got, want); i >= 0 {
			t.Errorf("%s: byte %d of %d differs: …% x, want …% x", f.Name(), i, len(want),
				got[max(i-4, 0):min(i+8, len(got))], want[max(i-4, 0):min(i+8, len(want))])
		}
	}
	wg.Go(func() { send(a, ab) })
	wg.Go(func() { send(b, ba) })
	wg.Go(func() { receive(b, ab) })
	wg.Go(func() { receive(a, ba) })
	wg.Wait()
}

func firstDifference(a, b []byte) int {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return i
		}
	}
	if len(a) != len(b) {
		return min(len(a), len(b))
	}
	return -1
}

// pattern is n bytes in which every byte value comes, 0xFF in runs too, and no
// place looks like another.
func pattern(n int, seed uint64) []byte {
	p := make([]byte, n)
	x := seed*2862933555777941757 + 3037000493
	for i := range p {
		x = x*6364136223846793005 + 1442695040888963407
		p[i] = byte(x >> 56)
		if i%97 < 3 {
			p[i] = 0xff
		}
	}
	return p
}

func allBytes() []byte {
	p := make([]byte, 256)
	for i := range p {
		p[i] = byte(i)
	}
	return p
}

// echo sends p and reads it back on the same tty.
func echo(t *testing.T, tty *os.File, p []byte) {
	t.Helper()
	exchange(t, tty, tty, p, nil)
}
