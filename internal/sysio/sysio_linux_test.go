package sysio_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/internal/sysio"
)

func socketpair(t *testing.T) (a, b int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = unix.Close(fds[0])
		_ = unix.Close(fds[1])
	})
	return fds[0], fds[1]
}

func TestPasses(t *testing.T) {
	a, b := socketpair(t)
	for _, f := range []func(int, []byte) (int, unix.Errno){sysio.Write, sysio.Send} {
		if n, err := f(a, []byte("hello")); n != 5 || err != 0 {
			t.Fatalf("%d, %v; want 5 bytes sent", n, err)
		}
		buf := make([]byte, 16)
		if n, err := sysio.Read(b, buf); string(buf[:n]) != "hello" || err != 0 {
			t.Errorf("read %q, %v", buf[:n], err)
		}
	}
	if n, err := sysio.Write(a, nil); n != 0 || err != 0 {
		t.Errorf("an empty write: %d, %v", n, err)
	}
}

func TestErrors(t *testing.T) {
	a, b := socketpair(t)
	if _, err := sysio.Read(b, make([]byte, 1)); err != unix.EAGAIN {
		t.Errorf("nothing to read: %v, want EAGAIN", err)
	}
	if err := unix.Shutdown(b, unix.SHUT_RDWR); err != nil {
		t.Fatal(err)
	}
	if _, err := sysio.Send(a, []byte("x")); err != unix.EPIPE {
		t.Errorf("send to nobody: %v, want EPIPE and no signal", err)
	}
	if _, err := sysio.Read(-1, make([]byte, 1)); err != unix.EBADF {
		t.Errorf("no descriptor: %v, want EBADF", err)
	}
}
