// Package wrap runs a program whose serial ioctls are answered by a port: it joins
// internal/seccomp, which sees them, internal/ioctl, which knows what they mean, and
// internal/runlink, which has the port do it.
package wrap

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/ioctl"
	"github.com/vcomd/vcomd/internal/runlink"
	"github.com/vcomd/vcomd/internal/seccomp"
)

// Options say what is run, and on which port.
type Options struct {
	// Socket is the port's for supervisors, and Name how the port is called
	// there: its name, a link or its tty's path.
	Socket, Name string
	// Argv is the program. An argument "{}" becomes Path, or the tty's path where
	// that is empty.
	Argv           []string
	Env            []string
	Path           string
	KeepPrivileges bool
	// Gone, if set, is closed when the port has gone for good. What the program asks
	// of it fails from then on. Otherwise a port whose vcomd has gone is waited for.
	Gone <-chan struct{}
}

// ErrNoTTY means that the port has no tty at the moment: its adapter is being plugged
// in again.
var ErrNoTTY = errors.New("the port has no tty now; try again in a few seconds, or give --link")

// placeholder stands for the tty's path among a program's arguments.
const placeholder = "{}"

// Run runs the program and returns its status when it, and all that it has left
// behind, has ended. The program has not run if there is an error: a
// *runlink.DialError if it was not even tried. ctx is for reaching the port; the
// program's end is its own.
func Run(ctx context.Context, o Options) (status unix.WaitStatus, err error) {
	var tty tty
	link, err := runlink.Dial(ctx, o.Socket, o.Name, tty.is)
	if err != nil {
		return 0, err
	}
	if o.Path == "" && link.Path() == "" && slices.Contains(o.Argv, placeholder) {
		return 0, ErrNoTTY
	}
	// Not with ctx: a signal that ends it is the program's, which may well go on.
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() { _ = link.Run(ctx) }) // it ends with ctx, without an error
	wg.Go(func() {
		select {
		case <-o.Gone:
			cancel()
			tty.gone()
		case <-ctx.Done():
		}
	})
	process, err := seccomp.Start(seccomp.Options{
		Argv: arguments(o, link.Path()), Env: o.Env, Requests: requests(), KeepPrivileges: o.KeepPrivileges, Adopt: true,
	})
	if err != nil {
		return 0, err
	}
	h := &handler{link: link, emulator: ioctl.New(link)}
	supervisor, err := seccomp.New(process, h)
	if err != nil {
		return 0, err
	}
	supervisor.Uncertain, supervisor.Likely, supervisor.Interruptible = link.Uncertain, h.likely, h.interruptible
	tty.watchedBy(supervisor)
	watched := make(chan error, 1)
	// Not with ctx: the program must never find nobody to answer it.
	go func() { watched <- supervisor.Run(context.WithoutCancel(ctx)) }()
	status, err = process.Wait(context.WithoutCancel(ctx))
	return status, errors.Join(err, <-watched)
}

// arguments puts the path of the tty into the program's.
func arguments(o Options, tty string) []string {
	argv := slices.Clone(o.Argv)
	for i, a := range argv {
		if a == placeholder {
			argv[i] = cmp.Or(o.Path, tty)
		}
	}
	return argv
}

// tty tells the supervisor which device the port is, which may change.
type tty struct {
	mu         sync.Mutex
	path       string
	supervisor *seccomp.Supervisor
}

func (t *tty) is(path string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.path = path
	t.tellLocked()
}

// gone leaves all calls to the kernel: it fails those on what was the port's, and
// another tty may get its number.
func (t *tty) gone() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.path = ""
	if t.supervisor != nil {
		t.supervisor.SetDevice(seccomp.Device{})
	}
}

func (t *tty) watchedBy(s *seccomp.Supervisor) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.supervisor = s
	t.tellLocked()
}

func (t *tty) tellLocked() {
	if t.supervisor == nil || t.path == "" {
		return
	}
	// A tty that has gone already is followed by another.
	d, err := seccomp.DeviceOf(t.path)
	switch {
	case err != nil:
	case !isPseudo(d):
		// The kernel's own driver does all of it (--tty usb).
		t.supervisor.SetDevice(seccomp.Device{})
	default:
		t.supervisor.SetDevice(d)
	}
}

// The majors of pseudo-terminals' slaves (include/uapi/linux/major.h).
const (
	slaveMajorFirst = 136 // UNIX98_PTY_SLAVE_MAJOR
	slaveMajorLast  = 143
)

// isPseudo reports whether a device is a pseudo-terminal.
func isPseudo(d seccomp.Device) bool {
	major := unix.Major(d.Rdev)
	return slaveMajorFirst <= major && major <= slaveMajorLast
}

// left are the requests that the kernel does for a pseudo-terminal as well as
// anybody: output stopped and started by the program itself, and exclusive mode.
var left = map[uint32]bool{tcxonc: true, tiocExcl: true, tiocNxcl: true, tiocGexcl: true}

// The requests that are treated one by one (include/uapi/asm-generic/ioctls.h).
const (
	tcsbrk        = 0x5409
	tcxonc        = 0x540a
	tiocExcl      = 0x540c
	tiocNxcl      = 0x540d
	tiocOutq      = 0x5411
	tcsbrkp       = 0x5425
	tiocSerGetLSR = 0x5459
	tiocGexcl     = 0x80045440
)

// requests are those that the filter notifies of.
func requests() []uint32 {
	var all []uint32
	for _, r := range ioctl.Requests() {
		if !left[r] {
			all = append(all, r)
		}
	}
	return all
}

// handler answers calls.
type handler struct {
	link     *runlink.Client
	emulator *ioctl.Emulator
}

var _ seccomp.Handler = (*handler)(nil)

// likely reports whether a tty may be that of a vcomd that has come back and has not been heard of yet: the names of the
// port then lead to it already.
func (h *handler) likely(d seccomp.Device) bool {
	paths := h.link.Paths()
	return len(paths) == 0 || slices.ContainsFunc(paths, func(path string) bool {
		there, err := seccomp.DeviceOf(path)
		return err == nil && there == d
	})
}

// Decide implements seccomp.Handler. What a State answers is answered at once, unless it
// is from before the open; what the port is asked may have to wait for it.
func (h *handler) Decide(c seccomp.Call) seccomp.Action {
	switch {
	case !ioctl.Known(c.Request) || left[c.Request]:
		return seccomp.Continue
	case reads(c.Request) && h.link.Open():
		return seccomp.Now
	default:
		return seccomp.Later
	}
}

// reads reports whether a request is answered from the state that the port has sent:
// all that only read, but how much output waits changes without anybody telling.
func reads(request uint32) bool {
	return ioctl.Reads(request) && request != tiocOutq && request != tiocSerGetLSR
}

// Do implements seccomp.Handler.
func (h *handler) Do(ctx context.Context, c seccomp.Call, m *seccomp.Memory) (int64, uint16) {
	if ioctl.Reads(c.Request) && (!reads(c.Request) || !h.link.Open()) {
		// The first call after an open may come before it is known that the lines
		// have gone up.
		if err := h.link.Refresh(ctx); err != nil {
			return 0, uint16(errno(err))
		}
	}
	value, e := h.emulator.Do(ctx, ioctl.Call{
		Arch: c.Arch, Request: c.Request, Arg: c.Arg,
		Admin: true, // close_delay and closing_wait mean nothing here: anybody may set them
	}, m)
	return value, uint16(e)
}

// interruptible reports whether a signal ends a call: what waits for the line, for
// output to leave, or for a vcomd that has gone, and nothing else. The rest is done
// before a signal is looked at.
func (h *handler) interruptible(c seccomp.Call) bool {
	return ioctl.Restarts(c.Request) || breaks(c.Request) || h.link.Uncertain() != nil
}

// breaks reports whether a request waits and fails with EINTR in a real driver, too.
func breaks(request uint32) bool { return request == tcsbrk || request == tcsbrkp }

// Restart implements seccomp.Handler. What has waited for a vcomd has not been done.
func (h *handler) Restart(c seccomp.Call) bool { return !breaks(c.Request) }

func errno(err error) ioctl.Errno {
	if e, ok := errors.AsType[ioctl.Errno](err); ok {
		return e
	}
	if errors.Is(err, context.Canceled) {
		return ioctl.EINTR
	}
	return ioctl.EIO
}
