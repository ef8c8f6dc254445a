// Package yama is the suite that runs programs under vcomd run with each setting of Yama's ptrace_scope, which says who may look
// into whom: 0 into processes of the same user, 1 into descendants, 2 only root. Debian's kernel has Yama; kernels in containers and many
// virtual machines have not.
package yama

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/test/vm/report"
	"github.com/vcomd/vcomd/test/vm/rig"
)

// scopePath is the setting.
const scopePath = "/proc/sys/kernel/yama/ptrace_scope"

// limit is for what takes no time.
const limit = 30 * time.Second

// What a program finds at the port.
const (
	foundUART = "a UART"
	foundPTY  = "a pseudo-terminal"
)

// users are who runs vcomd, vcomd run and the program.
var users = []struct {
	name       string
	credential *syscall.Credential
}{
	{"root", nil},
	{"nobody", &syscall.Credential{Uid: 65534, Gid: 65534}},
}

// Run makes the checks.
func Run(ctx context.Context, out *report.Writer) error {
	for _, user := range users {
		s, err := rig.Serve(ctx, true)
		if err != nil {
			return err
		}
		p, err := rig.Start(ctx, rig.Options{Name: "yama-" + user.name, Remote: s.Addr, Credential: user.credential})
		if err != nil {
			return err
		}
		for scope := range 3 {
			want := foundUART
			if scope == 2 && user.credential != nil {
				want = foundPTY // docs/configuration.md says so
			}
			for _, how := range []string{"child", "orphan"} {
				name := fmt.Sprintf("yama/scope %d/%s/%s", scope, user.name, how)
				out.Result(name, finds(ctx, scope, p, user.credential, how, want))
			}
		}
		if err := errors.Join(p.Stop(), s.Stop()); err != nil {
			return err
		}
	}
	return nil
}

// finds fails unless a program under vcomd run finds what is wanted, and what it writes arrives.
func finds(ctx context.Context, scope int, p *rig.Port, as *syscall.Credential, how, want string) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := os.WriteFile(scopePath, []byte(strconv.Itoa(scope)), 0o600); err != nil {
		return err
	}
	argv := slices.Concat(p.Wrap(), []string{"/init", "look", how, p.Link})
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:gosec // vcomd run
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	out, err := cmd.CombinedOutput()
	said := strings.TrimSpace(string(out))
	if err != nil {
		return fmt.Errorf("%w: %s", err, said)
	}
	if said != want {
		return fmt.Errorf("it finds %q, not %q", said, want)
	}
	return nil
}

// Main is the program: it says what it finds at a tty. As an orphan it looks when its parent, which vcomd run has started, has ended.
func Main(how, tty string) error {
	switch how {
	case "orphan":
		return orphan(tty)
	case "orphaned":
		_, _ = os.Stdin.Read(make([]byte, 1)) // until the parent's end of the pipe is closed
	}
	f, err := rig.OpenTTY(tty, 9600)
	if err != nil {
		return err
	}
	found := foundUART
	err = rig.Control(f, func(fd int) error {
		_, err := unix.IoctlGetInt(fd, unix.TIOCMGET)
		if errors.Is(err, unix.ENOTTY) {
			found, err = foundPTY, nil
		}
		return err
	})
	if err == nil {
		_, err = fmt.Fprintln(os.Stdout, found)
	}
	return errors.Join(err, f.Close())
}

// orphan leaves a process behind, as daemons do. A pipe tells it of this one's end.
func orphan(tty string) error {
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd := exec.Command("/proc/self/exe", "look", "orphaned", tty) //nolint:noctx // it is to outlive this process
	cmd.Stdin, cmd.Stdout, cmd.Stderr = r, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return err
	}
	runtime.KeepAlive(w) // it is closed by this process's end, and not before
	return nil
}
