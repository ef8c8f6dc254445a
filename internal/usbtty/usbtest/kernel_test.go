package usbtest_test

import (
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/vcomd/vcomd/internal/usbtty/usbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// ret makes an answer.
func ret(command, seq uint32, status int32, length uint32) []byte {
	var b []byte
	for _, w := range []uint32{command, seq, 0, 0, 0, uint32(status), length, 0, 0, 0, 0, 0} {
		b = binary.BigEndian.AppendUint32(b, w)
	}
	return b
}

// What vhci_hcd ends the connection for is found.
func TestWrongAnswers(t *testing.T) {
	for _, c := range []struct {
		name   string
		cancel bool
		answer []byte // to the URB 1, or to it and the unlink 2
	}{
		{"unknown command", false, ret(7, 1, 0, 0)},
		{"unknown URB", false, ret(3, 9, 0, 0)},
		{"two answers", false, append(ret(3, 1, 0, 0), ret(3, 1, 0, 0)...)},
		{"too long", false, ret(3, 1, 0, 65)},
		{"unknown unlink", false, ret(4, 9, 0, 0)},
		{"cancelled after its answer", true, append(ret(3, 1, 0, 0), ret(4, 2, -104, 0)...)},
		{"answered after its cancellation", true, append(ret(4, 2, -104, 0), ret(3, 1, 0, 0)...)},
		{"not cancelled and not answered", true, ret(4, 2, 0, 0)},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ours, theirs := net.Pipe()
				k := usbtest.NewKernel(theirs, 1)
				u := k.Submit(1, true, [8]byte{}, make([]byte, 64))
				read := make([]byte, 96)
				_, _ = ours.Read(read[:48])
				if c.cancel {
					go k.Kill(u)
					_, _ = ours.Read(read[48:])
				}
				_, _ = ours.Write(c.answer)
				synctest.Wait()
				_ = ours.Close()
				var wrong *usbtest.ProtocolError
				if err := k.Close(); !errors.As(err, &wrong) {
					t.Errorf("the kernel says %v", err)
				}
				_, _ = u.Wait()
			})
		})
	}
}
