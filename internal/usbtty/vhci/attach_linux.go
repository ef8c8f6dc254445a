package vhci

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"sync"

	"golang.org/x/sys/unix"
)

// Port is a device that was attached. Its methods, and those of Host on it, may be
// called from several goroutines.
type Port struct {
	Number int    // of the port, over all controllers
	Device uint32 // as given to Attach

	since  uint64 // CLOCK_MONOTONIC just before the attachment, in microseconds
	mu     sync.Mutex
	socket int // a duplicate of the kernel's end; -1 after Detach
}

// Attach attaches the device that speaks at the other end of fd, one end of a
// connected stream socket, to the first free port. device is the id that the
// kernel puts into its requests: no other vcomd's, see [DeviceID]. The caller
// closes fd when he likes. The kernel asks for the device's descriptors at once,
// and logs what it thinks of a device that does not answer.
//
// The error is an *Error of kind ErrNoFreePort, ErrUnavailable, ErrPermission,
// or of none.
func (h *Host) Attach(fd int, device uint32, speed Speed) (*Port, error) {
	if kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || kind != unix.SOCK_STREAM {
		return nil, &Error{Op: opAttach, Found: "descriptor " + strconv.Itoa(fd) + " is no stream socket", Err: failed(err, "getsockopt")}
	}
	socket, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, &Error{Op: opAttach, Found: "its socket cannot be kept", Err: failed(err, "fcntl")}
	}
	since := monotonic()
	number, err := h.attach(fd, device, speed)
	if err != nil {
		_ = unix.Close(socket)
		return nil, err
	}
	return &Port{Number: number, Device: device, socket: socket, since: since}, nil
}

// attach tries ports until the kernel takes one.
func (h *Host) attach(fd int, device uint32, speed Speed) (int, error) {
	// A refusal for a port that is free afterwards is not somebody else's doing,
	// unless he came and went in between.
	const mostRefusals = 3
	var (
		taken    []int // between a look and a write
		refusals int
		last     error
	)
	for {
		ports, err := h.Ports()
		if err != nil {
			return 0, err
		}
		i := slices.IndexFunc(ports, func(p PortStatus) bool {
			return p.Hub == HubHighSpeed && p.State == StateFree && !slices.Contains(taken, p.Number)
		})
		if i < 0 && refusals == 0 {
			return 0, noFreePort(ports)
		}
		if i < 0 || refusals == mostRefusals {
			return 0, &Error{Op: opAttach, Found: "the kernel refuses it", Err: last, Advice: "see what dmesg says"}
		}
		number := ports[i].Number
		last = h.write(h.controller("attach"), fmt.Sprintf("%d %d %d %d", number, fd, device, speed))
		switch {
		case last == nil:
			return number, nil
		case errors.Is(last, unix.EBUSY), errors.Is(last, unix.EINVAL), errors.Is(last, unix.EAGAIN):
			// EBUSY, or EINVAL in older kernels: somebody was quicker. EAGAIN: the
			// port's controller is not ready.
			taken = append(taken, number)
			if p, ok, err := h.status(number); errors.Is(last, unix.EINVAL) && err == nil && ok && p.State == StateFree {
				refusals++
			}
		case errors.Is(last, fs.ErrPermission), errors.Is(last, unix.EROFS):
			return 0, h.denied(h.controller("attach"), last)
		default:
			return 0, &Error{Op: opAttach, Found: portName(number) + " of vhci_hcd cannot be had", Err: cause(last)}
		}
	}
}

func noFreePort(ports []PortStatus) error {
	n := 0
	for _, p := range ports {
		if p.Hub == HubHighSpeed {
			n++
		}
	}
	return &Error{
		Op: opAttach, Found: fmt.Sprintf("all %d high-speed ports of vhci_hcd are in use", n),
		Advice: "detach a device (usbip port lists them), or load vhci_hcd of a kernel with a larger CONFIG_USBIP_VHCI_HC_PORTS, or use --tty pty",
		Kind:   ErrNoFreePort,
	}
}

// Detach has the kernel take the device away, and nobody else's, whatever has
// become of the port. Programs that have the tty open see it hang up. It may
// be called again, and with nil.
func (h *Host) Detach(p *Port) error {
	if p == nil {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.socket < 0 {
		return nil
	}
	err := unix.Shutdown(p.socket, unix.SHUT_RDWR)
	if errors.Is(err, unix.ENOTCONN) {
		err = nil
	}
	err = errors.Join(err, unix.Close(p.socket))
	p.socket = -1
	if err != nil {
		return &Error{Op: "detach the USB serial adapter from " + portName(p.Number), Found: "its socket cannot be closed", Err: err}
	}
	return nil
}

// Attached reports whether the connection between kernel and device is there:
// neither side has ended it.
func (p *Port) Attached() bool {
	if p == nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.socket < 0 {
		return false
	}
	poll := []unix.PollFd{{Fd: int32(p.socket)}} // POLLHUP is told without asking for it
	for {
		_, err := unix.Poll(poll, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		return err == nil && poll[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) == 0
	}
}

// Status returns what the kernel says of the device's port. The error is an
// *Error of kind ErrGone if the device is not there any more.
func (h *Host) Status(p *Port) (PortStatus, error) {
	if !p.Attached() {
		return PortStatus{}, gone("the connection has ended")
	}
	s, ok, err := h.status(p.Number)
	switch {
	case err != nil:
		return s, err
	case !ok:
		return s, gone("there is no " + portName(p.Number) + " any more")
	case s.State == StateFree:
		return s, gone("the kernel has detached it from " + portName(p.Number))
	case s.State == StateError:
		return s, gone("the kernel reports a failure of " + portName(p.Number))
	case s.State == StateUsed && s.Device != p.Device:
		return s, gone("another device has " + portName(p.Number))
	}
	return s, nil
}

// Released reports whether the kernel has let go of a device after Detach, so
// that its tty's number is free if no program has it open. With a port that
// somebody attaches to at this moment the answer is false once or twice more.
func (h *Host) Released(p *Port) (bool, error) {
	s, ok, err := h.status(p.Number)
	if err != nil {
		return errors.Is(err, ErrUnavailable), err
	}
	ours := s.State == StateUsed && s.Device == p.Device || s.State == StateNotAssigned || s.State == StateError
	return !ok || !ours, nil
}

func gone(found string) error { return &Error{Op: opFind, Found: found, Kind: ErrGone} }

func failed(err error, call string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", call, err)
}

// monotonic is the clock of udev's records, in microseconds.
func monotonic() uint64 {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0
	}
	return uint64(t.Nano()) / 1000
}
