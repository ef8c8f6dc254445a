package pty

import (
	"os"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/pty/ptytest"
)

// First the real thing: the suite asks for nothing that a plain
// pseudo-terminal does not do.
func TestConformanceOfAPlainPTY(t *testing.T) {
	ptytest.Run(t, func(t *testing.T) ptytest.Port {
		t.Helper()
		far, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := far.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		m := &Master{} // for openSlave only
		err = raw.Control(func(fd uintptr) {
			m.fd = int(fd)
			if err := unix.IoctlSetPointerInt(m.fd, unix.TIOCSPTLCK, 0); err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		number, err := unix.IoctlGetUint32(m.fd, unix.TIOCGPTN)
		if err != nil {
			t.Fatal(err)
		}
		// One more slave keeps the master from reading EIO between programs.
		slave, err := m.openSlave()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { slave.close() })
		return ptytest.Port{Path: "/dev/pts/" + itoa(number), Far: far}
	})
}

func TestConformance(t *testing.T) {
	for _, mode := range lockModes {
		t.Run(mode.name, func(t *testing.T) {
			ptytest.Run(t, func(t *testing.T) ptytest.Port {
				t.Helper()
				p := startPump(t, mode.locked)
				return ptytest.Port{Path: p.master.Path(), Far: p.far, Gaps: map[string]string{
					"flow/XOFF and XON are not data": "under EXTPROC the line discipline leaves XON/XOFF to the remote UART",
				}}
			})
		})
	}
}
