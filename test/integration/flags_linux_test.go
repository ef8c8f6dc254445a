package integration

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// The tty itself, not the link, has the owner, group and permissions asked for,
// and the log the name.
func TestOwnerGroupModeName(t *testing.T) {
	if os.Geteuid() != 0 {
		skip(t, "it needs root, to give the tty away")
	}
	s := serve(t, &rfc2217test.Server{})
	v := start(t, s.addr, "--owner", "65534", "--group", "65533", "--mode", "0640", "--name", "the-gps")
	info, err := os.Stat(v.link)
	if err != nil {
		t.Fatal(err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatalf("no owner in %T", info.Sys())
	}
	if st.Uid != 65534 || st.Gid != 65533 || info.Mode().Perm() != 0o640 {
		t.Errorf("the tty is %d:%d %v, want 65534:65533 -rw-r-----", st.Uid, st.Gid, info.Mode().Perm())
	}
	if log := v.out.String(); !strings.Contains(log, `"port":"the-gps"`) {
		t.Errorf("the log does not name the port: %s", log)
	}
}

// vcomd sim serves where it is told to.
func TestSimListens(t *testing.T) {
	port := freePort(t)
	spawn(t, binary, "sim", "--listen", "127.0.0.1:"+port, "echo")
	listening(t, port)
	v := start(t, "127.0.0.1:"+port)
	tty := openTTY(t, v.link)
	v.waitEvent("connected")
	write(t, tty, []byte("there and back"))
	readUntil(t, tty, "there and back")
}
