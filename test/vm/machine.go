package vm

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/vcomd/vcomd/test/vm/report"
)

// ErrUnfinished means that a machine has ended without having said that it had tried everything.
var ErrUnfinished = errors.New("the virtual machine has not come to its end")

// Machine is a virtual machine without a disk and without a network.
type Machine struct {
	Kernel    string   // path of a kernel
	Initramfs string   // path of a cpio archive
	Words     []string // KEY=VALUE each, for the kernel's command line
	Memory    int      // in MiB; 0 means 512
	// SecondUART adds /dev/ttyS1, whose line leads to a second one: see package doc.
	SecondUART string // a path for the socket between the two; "" for none
	Console    io.Writer
}

// emulator is the program, of Debian's package qemu-system-x86.
const emulator = "qemu-system-x86_64"

// arguments are the emulator's. There is no KVM where these tests run, so it translates every instruction.
func (m *Machine) arguments() []string {
	// Messages of the kernel would stand in the middle of results: only its last words are wanted on the console.
	words := append([]string{"console=ttyS0", "panic=-1", "quiet", "loglevel=1"}, m.Words...)
	args := []string{ //nolint:prealloc // once, and not long
		"-accel", "tcg", "-cpu", "max", "-m", strconv.Itoa(cmp.Or(m.Memory, 512)), "-smp", "1", "-nodefaults", "-display", "none", "-no-reboot", "-net", "none",
		"-kernel", m.Kernel, "-initrd", m.Initramfs, "-append", strings.Join(words, " "),
		"-chardev", "stdio,id=console,signal=off", "-device", "isa-serial,chardev=console",
	}
	if m.SecondUART == "" {
		return args
	}
	// A line from one to the other: QEMU connects to itself.
	return append(args,
		"-chardev", "socket,id=near,path="+m.SecondUART+",server=on,wait=off", "-device", "isa-serial,chardev=near",
		"-chardev", "socket,id=far,path="+m.SecondUART, "-device", "pci-serial,chardev=far")
}

// Run boots the machine, gives each record to take, and returns when it has ended or ctx does. What is on the console besides
// is written to Console.
func (m *Machine) Run(ctx context.Context, take func(report.Record)) error {
	cmd := exec.CommandContext(ctx, emulator, m.arguments()...) //nolint:gosec // what this package has put together
	console, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	var complaints strings.Builder
	cmd.Stderr = &complaints
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start a virtual machine: %w", err)
	}
	done, readErr := read(console, m.Console, take)
	err = cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %w", ErrUnfinished, context.Cause(ctx))
	case err != nil:
		return fmt.Errorf("%s: %w: %s", emulator, err, strings.TrimSpace(complaints.String()))
	case readErr != nil:
		return readErr
	case !done:
		return ErrUnfinished
	}
	return nil
}

// read reads a console to its end, and reports whether the machine has said that it was done.
func read(console io.Reader, rest io.Writer, take func(report.Record)) (done bool, err error) {
	lines := bufio.NewReader(console)
	for {
		line, err := lines.ReadString('\n')
		r, ok := report.Parse(line)
		switch r.(type) {
		case report.Done:
			done = true
		default:
			if ok {
				take(r)
			} else if _, err := io.WriteString(rest, strings.ReplaceAll(line, "\r", "")); err != nil {
				return done, err
			}
		}
		if errors.Is(err, io.EOF) {
			return done, nil
		} else if err != nil {
			return done, err
		}
	}
}

// Tail keeps the last bytes that are written to it, for a report of what went wrong.
type Tail struct {
	Limit int // in bytes
	mu    sync.Mutex
	kept  []byte
}

// Write keeps p. It never fails.
func (t *Tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - t.Limit; over > 0 {
		t.kept = slices.Delete(t.kept, 0, over)
	}
	return len(p), nil
}

// String gives what was kept.
func (t *Tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.kept)
}
