package port

import (
	"context"
	"net"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// What is to be shown survives a change of something else, which asks the server
// nothing that it would answer again.
func TestWriteBackOutlivesAnotherSetting(t *testing.T) {
	r := newRig(t, clumsy, nil)
	f := r.program()
	r.await(KindConnected)
	r.setSpeed(f, 250_000)
	r.await(KindDiffers)
	r.control(f, func(fd int) error {
		tio, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
		if err != nil {
			return err
		}
		tio.Cflag |= unix.CRTSCTS
		return unix.IoctlSetTermios(fd, unix.TCSETS2, tio)
	})
	r.await(KindShown)
	if got := r.speed(f); got != 230_400 {
		t.Errorf("the tty shows %d bit/s, want 230400", got)
	}
}

// An answer that was overtaken is not shown with a later one to another request.
func TestWriteBackForgetsWhatWasOvertaken(t *testing.T) {
	r := newRig(t, rfc2217test.Faults{AckOther: func(m comport.Message) comport.Message {
		if s, ok := m.(comport.SetStopSize); ok && s.Size == comport.StopSize2 {
			return comport.SetStopSize{Size: comport.StopSize1}
		}
		return clumsy.AckOther(m)
	}}, nil)
	f := r.program()
	r.await(KindConnected)
	r.setSpeed(f, 250_000)
	r.await(KindDiffers)
	r.control(f, func(fd int) error {
		tio, err := unix.IoctlGetTermios(fd, unix.TCGETS2)
		if err != nil {
			return err
		}
		tio.Cflag = tio.Cflag&^(unix.CBAUD|unix.CBAUDEX) | unix.B9600 | unix.CSTOPB
		return unix.IoctlSetTermios(fd, unix.TCSETS2, tio)
	})
	r.await(KindShown)
	if got := r.speed(f); got != 9600 {
		t.Errorf("the tty shows %d bit/s, want 9600, as asked for and acknowledged", got)
	}
}

// What a program wrote and nobody could be sent is told when the port ends.
func TestCloseCountsWhatWaits(t *testing.T) {
	r := newRig(t, rfc2217test.Faults{}, func(cfg *Config) {
		cfg.Dial = func(context.Context, rfc2217client.Remote) (net.Conn, error) { return nil, net.ErrClosed }
	})
	f := r.program()
	r.await(KindOpened)
	if _, err := f.WriteString("never sent"); err != nil {
		t.Fatal(err)
	}
	r.do(func() {
		if err := r.port.Close(); err != nil {
			t.Error(err)
		}
	})
	if got := r.status().Bytes; got.DroppedUnsent != 10 || got.FromProgram != 10 {
		t.Errorf("counted %+v, want 10 bytes taken and dropped", got)
	}
	if ev := r.of(KindDropped); len(ev) != 1 || ev[0].New != "10" {
		t.Errorf("events %v, want one of 10 bytes", ev)
	}
}
