package handover

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/port"
)

// child has this test binary be the next vcomd: it takes over, and says what it found.
const child = "VCOMD_HANDOVER_TEST"

func TestMain(m *testing.M) {
	if os.Getenv(child) == "" {
		goleak.VerifyTestMain(m)
		return
	}
	if os.Getenv(signalled) != "" {
		showSignals()
		return
	}
	ports, err := Take()
	fmt.Println("error", err)
	for _, p := range ports {
		fmt.Println("port", p.Name, p.Fingerprint, p.State.Left, contents(p.Handles.TTY), contents(p.Handles.Connection))
		for _, fd := range []int{p.Handles.TTY, p.Handles.Connection} {
			if flags, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); fd >= 0 && (err != nil || flags&unix.FD_CLOEXEC == 0) {
				fmt.Println("descriptor", fd, "would be inherited", err)
			}
		}
	}
	fmt.Println("environment", os.Getenv(variable), os.Getenv("LISTEN_FDS"))
	if err := Close(ports); err != nil {
		fmt.Println(err)
	}
}

// contents is what is in a file of the test's.
func contents(fd int) string {
	if fd < 0 {
		return "none"
	}
	b := make([]byte, 64)
	n, err := unix.Pread(fd, b, 0)
	if err != nil {
		return err.Error()
	}
	return string(b[:n])
}

// file is a descriptor with a text in it.
func file(t *testing.T, text string) int {
	t.Helper()
	fd, err := unix.MemfdCreate("test", unix.MFD_CLOEXEC)
	if err == nil {
		_, err = unix.Write(fd, []byte(text))
	}
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

func two(t *testing.T) []Port {
	t.Helper()
	return []Port{
		{Name: "a", Fingerprint: "fa", State: port.Saved{Left: 7}, Handles: port.Handles{TTY: file(t, "tty-a"), Connection: file(t, "net-a")}},
		{Name: "b", Fingerprint: "fb", Handles: port.Handles{TTY: file(t, "tty-b"), Connection: -1}},
	}
}

const found = "error <nil>\nport a fa 7 tty-a net-a\nport b fb 0 tty-b none\nenvironment  \n"

// run runs the child with descriptors from 3 on.
func run(t *testing.T, env []string, files ...*os.File) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, child+"=1")...)
	cmd.ExtraFiles = files
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

// inText writes a text, as write does.
func inText(t *testing.T, s string) *os.File {
	t.Helper()
	f := os.NewFile(uintptr(file(t, s)), "text")
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// A text of another version, or none at all, is not used, and says so.
func TestTakeRefuses(t *testing.T) {
	for text, want := range map[string]string{
		`{"version":999,"ports":"of another kind"}`: "of another version",
		`{"version":1,"ports":"of another kind"}`:   "cannot be read",
		``:   "cannot be read",
		`[]`: "cannot be read",
	} {
		out := run(t, []string{variable + "=3"}, inText(t, text))
		if first, _, _ := strings.Cut(out, "\n"); !strings.Contains(first, want) || strings.Contains(out, "port ") {
			t.Errorf("%q: %s", text, out)
		}
	}
	// Numbers that no descriptor has, or that are somebody else's.
	out := run(t, []string{variable + "=3"}, inText(t, `{"version":1,"ports":[{"name":"a","fingerprint":"f","handles":{"TTY":77,"Connection":0}}]}`))
	if !strings.Contains(out, "port a f 0 none none") {
		t.Errorf("descriptors that were not handed over: %s", out)
	}
	if out := run(t, []string{variable + "=x"}); !strings.Contains(out, "cannot be read") {
		t.Errorf("%s", out)
	}
}

func TestNothingWasLeft(t *testing.T) {
	if out := run(t, nil); out != "error <nil>\nenvironment  \n" {
		t.Errorf("%s", out)
	}
}

// A program that cannot be executed leaves the caller what he had.
func TestExecFails(t *testing.T) {
	ports := two(t)
	if err := Exec(filepath.Join(t.TempDir(), "none"), []string{"none"}, nil, ports); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v, want ErrNotExist", err)
	}
	if got := contents(ports[0].Handles.TTY); got != "tty-a" {
		t.Errorf("the descriptor has %q", got)
	}
	if flags, err := unix.FcntlInt(uintptr(ports[0].Handles.TTY), unix.F_GETFD, 0); err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("the descriptor would be inherited by every program now: %v", err)
	}
	if err := Close(ports); err != nil {
		t.Error(err)
	}
}

// fakeManager is what of a service manager is needed.
type fakeManager struct {
	conn *net.UnixConn
	mu   sync.Mutex
	said []string
	kept map[string]*os.File
	done chan struct{}
}

func newManager(t *testing.T) *fakeManager {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	m := &fakeManager{conn: conn, kept: make(map[string]*os.File), done: make(chan struct{})}
	go m.read()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Cleanup(func() {
		_ = conn.Close()
		<-m.done
		for _, f := range m.kept {
			_ = f.Close()
		}
	})
	return m
}

func (m *fakeManager) read() {
	defer close(m.done)
	b, oob := make([]byte, 4096), make([]byte, 4096)
	for {
		n, oobn, _, _, err := m.conn.ReadMsgUnix(b, oob)
		if err != nil {
			return
		}
		var fds []int
		if messages, err := unix.ParseSocketControlMessage(oob[:oobn]); err == nil && len(messages) > 0 {
			fds, _ = unix.ParseUnixRights(&messages[0])
		}
		m.take(string(b[:n]), fds)
	}
}

func (m *fakeManager) take(text string, fds []int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.said = append(m.said, text)
	lines := strings.Split(text, "\n")
	name := ""
	for _, l := range lines {
		if v, ok := strings.CutPrefix(l, "FDNAME="); ok {
			name = v
		}
	}
	switch {
	case slices.Contains(lines, "FDSTORE=1"):
		m.kept[name] = os.NewFile(uintptr(fds[0]), name)
	case slices.Contains(lines, "FDSTOREREMOVE=1"):
		if f := m.kept[name]; f != nil {
			_ = f.Close()
			delete(m.kept, name)
		}
	default:
		for _, fd := range fds {
			_ = unix.Close(fd)
		}
	}
}

// What is stored is found by the next process, which has the manager forget it.
func TestStore(t *testing.T) {
	m := newManager(t)
	if err := Store(two(t)); err != nil {
		t.Fatal(err)
	}
	m.mu.Lock()
	names, files := make([]string, 0, len(m.kept)), make([]*os.File, 0, len(m.kept))
	defer func() {
		for _, f := range files {
			_ = f.Close()
		}
	}()
	for name, f := range m.kept {
		// A duplicate: the manager closes its own while the next one runs.
		fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		passed := os.NewFile(uintptr(fd), name)
		names, files = append(names, name), append(files, passed)
	}
	for _, s := range m.said {
		if strings.Contains(s, "FDSTORE=1") && !strings.Contains(s, "\nFDPOLL=0") {
			t.Errorf("%q: the manager would drop a terminal that no program has open", s)
		}
	}
	m.mu.Unlock()
	if slices.Sort(slices.Clone(names)); len(names) != 4 {
		t.Fatalf("kept %v", names)
	}
	// LISTEN_PID has to be the child's own: a shell knows it.
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0"`, os.Args[0])
	cmd.Env = append(os.Environ(), child+"=1", fmt.Sprintf("LISTEN_FDS=%d", len(files)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	cmd.ExtraFiles = files
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != found {
		t.Errorf("%v\n%s, want\n%s", err, out, found)
	}
	_ = m.conn.Close()
	<-m.done
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.kept) != 0 {
		t.Errorf("the manager still keeps %v", m.kept)
	}
}

func TestStoreWithoutManager(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	ports := two(t)
	if err := Store(ports); !errors.Is(err, ErrNoStore) {
		t.Errorf("error %v, want ErrNoStore", err)
	}
	if err := Close(ports); err != nil {
		t.Error(err)
	}
}

// Exec replaces the process, so another one does it: a child that is told to.
func TestExec(t *testing.T) {
	if os.Getenv("VCOMD_HANDOVER_EXEC") != "" {
		env := append(os.Environ(), child+"=1")
		t.Fatal(Exec(os.Args[0], os.Args[:1], env, two(t)))
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestExec$")
	cmd.Env = append(os.Environ(), "VCOMD_HANDOVER_EXEC=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Equal(out, []byte(found)) {
		t.Errorf("%v\n%s, want\n%s", err, out, found)
	}
}

// signalled tells the child to show what happens to signals that came before it.
const signalled = "VCOMD_HANDOVER_SIGNALLED"

// showSignals sends the process a signal before anything asks for it, and shows that it
// is not lost.
func showSignals() {
	if err := unix.Kill(os.Getpid(), unix.SIGUSR2); err != nil {
		fmt.Println(err)
	}
	got := make(chan os.Signal, 1)
	signal.Notify(got, unix.SIGUSR2)
	select {
	case s := <-got:
		fmt.Println(s)
	case <-time.After(5 * time.Second):
		fmt.Println("it is lost")
	}
}

// A request for another restart that comes while the program is not ready for it waits,
// and does not end it.
func TestExecBlocksSignals(t *testing.T) {
	if os.Getenv(signalled) != "" {
		t.Fatal(Exec(os.Args[0], os.Args[:1], append(os.Environ(), child+"=1"), nil))
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestExecBlocksSignals$")
	cmd.Env = append(os.Environ(), signalled+"=1")
	out, err := cmd.CombinedOutput()
	if want := "user defined signal 2\n"; err != nil || string(out) != want {
		t.Errorf("%v: %s, want %s", err, out, want)
	}
}
