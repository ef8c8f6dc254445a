package integration

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// What a container gets that is given the port by its device number, as docker run
// --device does, cannot be opened: a pseudo-terminal belongs to its devpts. What is
// mounted into it can.
func TestPortInContainer(t *testing.T) {
	if os.Geteuid() != 0 {
		skip(t, "only root can make a container's /dev: run as root")
	}
	need(t, "unshare", "mount", "sh", "stty", "mknod")
	v := start(t, "sim:echo")
	tty, err := filepath.EvalSymlinks(v.link)
	if err != nil {
		t.Fatal(err)
	}
	var st unix.Stat_t
	if err := unix.Stat(tty, &st); err != nil {
		t.Fatal(err)
	}
	node := filepath.Join(t.TempDir(), "ttyS0")
	if err := unix.Mknod(node, unix.S_IFCHR|0o600, int(st.Rdev)); err != nil {
		t.Fatal(err)
	}
	if f, err := os.OpenFile(node, os.O_RDWR|unix.O_NOCTTY, 0); !errors.Is(err, unix.EIO) {
		if err == nil {
			_ = f.Close()
		}
		t.Errorf("open of a node of the same number: %v, want EIO", err)
	}
	// A container: mounts of its own, a devpts of its own, and the port's tty bound to a
	// name in it.
	const inside = `
set -e
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$1/pts"
: > "$1/ttyGPS"
mount --bind "$2" "$1/ttyGPS"
mount --move "$1/pts" /dev/pts
test ! -e "$2"
stty -F "$1/ttyGPS" raw -echo 19200
exec 3<>"$1/ttyGPS"
printf 'from the container' >&3
dd bs=1 count=18 <&3 2>/dev/null
`
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "pts"), 0o700); err != nil {
		t.Fatal(err)
	}
	out := mustRun(t, "unshare", "--mount", "sh", "-c", inside, "sh", dir, tty)
	if !bytes.Equal([]byte(out), []byte("from the container")) {
		t.Errorf("the program in the container has read %q", out)
	}
	eventually(t, "its speed has arrived", func() bool { return v.received("SET-BAUDRATE 19200") })
}
