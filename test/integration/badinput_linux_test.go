package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// userError is one entry of testdata/errors.golden.
type userError struct {
	line    int
	command string // as written, after "$ "
	code    int
	output  string
}

func readGolden(t *testing.T) []userError {
	t.Helper()
	text, err := os.ReadFile("testdata/errors.golden")
	if err != nil {
		t.Fatal(err)
	}
	var all []userError
	lines := strings.Split(string(text), "\n")
	for i := 0; i < len(lines); i++ {
		command, ok := strings.CutPrefix(lines[i], "$ ")
		if !ok {
			if lines[i] != "" && lines[i][0] != '#' {
				t.Fatalf("errors.golden:%d: neither a comment nor a command: %q", i+1, lines[i])
			}
			continue
		}
		e := userError{line: i + 1, command: command}
		if i++; i < len(lines) {
			if e.code, err = strconv.Atoi(lines[i]); err != nil {
				t.Fatalf("errors.golden:%d: %v", i+1, err)
			}
		}
		for i++; i < len(lines) && lines[i] != ""; i++ {
			e.output += lines[i] + "\n"
		}
		all = append(all, e)
	}
	return all
}

// words splits a command line as a shell does that knows only single quotes.
func words(command string) []string {
	var all []string
	var word strings.Builder
	quoted, started := false, false
	for _, c := range command {
		switch {
		case c == '\'':
			quoted, started = !quoted, true
		case c == ' ' && !quoted:
			if started {
				all = append(all, word.String())
			}
			word.Reset()
			started = false
		default:
			word.WriteRune(c)
			started = true
		}
	}
	if started {
		all = append(all, word.String())
	}
	return all
}

// desk is the place where a user makes mistakes: see testdata/errors.golden.
type desk struct {
	t          *testing.T
	top        string // holds the rest
	dir, run   string
	binary     string
	credential *syscall.Credential
	served     int    // process id of the vcomd that serves DIR/served
	busy       string // TCP port
}

// ordinary is the user that root becomes: permissions mean nothing to root.
const ordinary = 65534

func newDesk(t *testing.T) *desk {
	t.Helper()
	// Not t.TempDir: another user has to reach it.
	top, err := os.MkdirTemp("", "vcomd-desk-") //nolint:usetesting // see above
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(top); err != nil {
			t.Error(err)
		}
	})
	d := &desk{t: t, top: top, dir: filepath.Join(top, "dir"), run: filepath.Join(top, "run"), binary: filepath.Join(top, "vcomd")}
	program, err := os.ReadFile(binary)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{
		os.Chmod(top, 0o755),
		os.WriteFile(d.binary, program, 0o755),
		os.MkdirAll(filepath.Join(d.dir, "directory"), 0o755),
		os.MkdirAll(filepath.Join(d.run, "lock"), 0o700),
		os.WriteFile(filepath.Join(d.dir, "file"), []byte("precious"), 0o644),
		os.Symlink(filepath.Join(d.dir, "file"), filepath.Join(d.dir, "other")),
		os.Mkdir(filepath.Join(d.dir, "readonly"), 0o555),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if os.Geteuid() == 0 {
		d.credential = &syscall.Credential{Uid: ordinary, Gid: ordinary}
		for _, path := range []string{d.dir, d.run, filepath.Join(d.run, "lock")} {
			if err := os.Chown(path, ordinary, ordinary); err != nil {
				t.Fatal(err)
			}
		}
	}
	return d
}

// command prepares a vcomd of the ordinary user's, in DIR.
func (d *desk) command(ctx context.Context, env, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, d.binary, args...)
	cmd.Dir = d.dir
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "VCOMD_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(append(cmd.Env, "VCOMD_RUN_DIR="+d.run), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: d.credential, Pdeathsig: syscall.SIGKILL}
	return cmd
}

// start runs a vcomd and waits until its port is there.
func (d *desk) start(env []string, args ...string) *process {
	d.t.Helper()
	p := spawnCmd(d.t, d.command(context.Background(), env, args))
	eventually(d.t, "vcomd is ready", func() bool {
		if !p.running() {
			d.t.Fatalf("vcomd has ended: %v", p.err)
		}
		return strings.Contains(p.out.String(), `"event":"ready"`)
	})
	return p
}

// serve adds what the entries need that is alive.
func (d *desk) serve() {
	d.t.Helper()
	d.served = d.start(nil, "--link", "served", "sim:echo").cmd.Process.Pid
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = ln.Close() })
	_, d.busy, _ = net.SplitHostPort(ln.Addr().String())
}

// listing is all that is on disk: kinds, permissions, contents.
func (d *desk) listing() string {
	d.t.Helper()
	var all strings.Builder
	err := filepath.WalkDir(d.top, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == d.binary {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		fmt.Fprintf(&all, "%s %v", path, info.Mode())
		switch mode := info.Mode(); {
		case mode.IsRegular():
			content, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&all, " %q", content)
		case mode&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			all.WriteString(" -> " + target)
		}
		all.WriteByte('\n')
		return nil
	})
	if err != nil {
		d.t.Fatal(err)
	}
	return all.String()
}

// execute runs a command line to its end.
func (d *desk) execute(line string) (stdout, stderr string, code int) {
	d.t.Helper()
	line = strings.ReplaceAll(line, "BUSY", d.busy)
	var env []string
	args := words(line)
	for len(args) > 0 && args[0] != "vcomd" {
		env = append(env, args[0])
		args = args[1:]
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := d.command(ctx, env, args[1:])
	cmd.WaitDelay = time.Second
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		d.t.Fatal(err)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

var ptsNumber = regexp.MustCompile(`/dev/pts/\d+`)

// anonymous replaces what differs from run to run.
func (d *desk) anonymous(s string) string {
	s = strings.NewReplacer(d.dir, "DIR", d.run, "RUN", d.busy, "BUSY", "process "+strconv.Itoa(d.served), "process PID").Replace(s)
	return ptsNumber.ReplaceAllString(s, "/dev/pts/N")
}

func TestUserErrors(t *testing.T) {
	d := newDesk(t)
	d.serve()
	before := d.listing()
	for _, want := range readGolden(t) {
		t.Run(want.command, func(t *testing.T) {
			stdout, stderr, code := d.execute(want.command)
			if code != want.code {
				t.Errorf("errors.golden:%d: exit status %d, want %d", want.line, code, want.code)
			}
			if got := d.anonymous(stderr); got != want.output {
				t.Errorf("errors.golden:%d: got  %swant %s", want.line, got, want.output)
			}
			if stdout != "" {
				t.Errorf("an error's standard output: %q, want none", stdout)
			}
			if after := d.listing(); after != before {
				t.Errorf("the disk has changed. Before:\n%sAfter:\n%s", before, after)
			}
		})
	}
}

// Every flag has an entry.
func TestUserErrorsCoverEveryFlag(t *testing.T) {
	golden, err := os.ReadFile("testdata/errors.golden")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		command []string
		fewest  int    // flags
		within  string // the text that an entry begins with
	}{
		{nil, 10, ""},
		{[]string{"serve"}, 4, "vcomd serve "},
		{[]string{"check"}, 4, "vcomd check "},
		{[]string{"udev"}, 6, "vcomd udev "},
		{[]string{"status"}, 3, "vcomd status "},
		{[]string{"set"}, 1, "vcomd set "},
		{[]string{"monitor"}, 4, "vcomd monitor "},
		{[]string{"reconnect"}, 1, "vcomd reconnect "},
		{[]string{"disconnect"}, 1, "vcomd disconnect "},
		{[]string{"purge"}, 1, "vcomd purge "},
		{[]string{"reload"}, 1, "vcomd reload "},
		{[]string{"probe"}, 11, "vcomd probe "},
		{[]string{"install"}, 4, "vcomd install "},
	} {
		help, code := run(t, binary, append(c.command, "--help")...)
		if code != 0 {
			t.Fatalf("vcomd %v --help: exit status %d", c.command, code)
		}
		flags := regexp.MustCompile(`(?m)^ +--([a-z0-9-]+)`).FindAllStringSubmatch(help, -1)
		if len(flags) < c.fewest {
			t.Fatalf("%d flags found in the help; the test does not understand it:\n%s", len(flags), help)
		}
		for _, f := range flags {
			entry := regexp.MustCompile(regexp.QuoteMeta(c.within) + `.*--` + f[1] + `[ =\n]`)
			if f[1] != "help" && !entry.Match(golden) {
				t.Errorf("vcomd %v: --%s has no entry in testdata/errors.golden", c.command, f[1])
			}
		}
	}
}

// What is there and not ours stays; what is nobody's any more is replaced.
func TestDanglingLinkIsReplaced(t *testing.T) {
	d := newDesk(t)
	link := filepath.Join(d.dir, "tty")
	if err := os.Symlink("/nonexistent/pts", link); err != nil {
		t.Fatal(err)
	}
	p := d.start(nil, "--link", "tty", "sim:echo")
	if target, err := os.Readlink(link); err != nil || !strings.HasPrefix(target, "/dev/pts/") {
		t.Errorf("the link leads to %q, %v", target, err)
	}
	p.stop(syscall.SIGTERM)
	if _, err := os.Lstat(link); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the end: %v, want the link gone", err)
	}
}

// A vcomd that was killed leaves its link; the next one takes it over.
func TestLinkOfAKilledVcomdIsTakenOver(t *testing.T) {
	d := newDesk(t)
	link := filepath.Join(d.dir, "tty")
	p := d.start(nil, "--link", "tty", "sim:echo")
	p.stop(syscall.SIGKILL)
	if _, err := os.Lstat(link); err != nil {
		t.Fatalf("nothing is left of a vcomd that was killed: %v", err)
	}
	left, err := os.ReadDir(filepath.Join(d.run, "lock"))
	if err != nil || len(left) != 1 {
		t.Fatalf("locks left: %v, %v; want one", left, err)
	}
	p = d.start(nil, "--link", "tty", "sim:echo")
	p.stop(syscall.SIGTERM)
	if left, err = os.ReadDir(filepath.Join(d.run, "lock")); err != nil || len(left) != 0 {
		t.Errorf("locks left at the end: %v, %v; want none", left, err)
	}
	if _, err := os.Lstat(link); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after the end: %v, want the link gone", err)
	}
}

// Flags stand where the user puts them, and win over the environment.
func TestArguments(t *testing.T) {
	for _, c := range []struct {
		name string
		env  []string
		args []string
		link string
	}{
		{"flag before", nil, []string{"--link", "tty", "sim:echo"}, "tty"},
		{"flag after", nil, []string{"sim:echo", "--link", "tty"}, "tty"},
		{"with an equals sign", nil, []string{"sim:echo", "--link=tty"}, "tty"},
		{"short", nil, []string{"sim:echo", "-l", "tty"}, "tty"},
		{"flags end", nil, []string{"--link", "tty", "--", "sim:echo"}, "tty"},
		{"environment", []string{"VCOMD_LINK=tty"}, []string{"sim:echo"}, "tty"},
		{"flag over environment", []string{"VCOMD_LINK=wrong", "VCOMD_RETRY=nonsense"}, []string{"sim:echo", "--link", "tty", "--retry", "1s"}, "tty"},
		{"empty variable", []string{"VCOMD_LINE="}, []string{"sim:echo", "--link", "tty"}, "tty"},
		{"link that starts with a dash", nil, []string{"sim:echo", "--link=-tty"}, "-tty"},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(t)
			before := d.listing()
			p := d.start(c.env, c.args...)
			if _, err := os.Readlink(filepath.Join(d.dir, c.link)); err != nil {
				t.Error(err)
			}
			if _, err := os.Lstat(filepath.Join(d.dir, "wrong")); err == nil {
				t.Error("the environment has won over the flag")
			}
			p.stop(syscall.SIGINT)
			if code := p.cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("exit status %d after SIGINT, want 0", code)
			}
			if after := d.listing(); after != before {
				t.Errorf("something is left behind. Before:\n%sAfter:\n%s", before, after)
			}
		})
	}
}

func TestHelpAndVersionSucceed(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"-h"}, {"sim", "--help"}, {"version"}, {"version", "--help"}, {"sim:gps", "--help"}} {
		out, code := run(t, binary, args...)
		if code != 0 || !strings.Contains(out, "vcomd") {
			t.Errorf("vcomd %s: exit status %d, printed %q", strings.Join(args, " "), code, out)
		}
	}
}
