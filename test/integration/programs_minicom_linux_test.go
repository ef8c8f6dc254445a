package integration

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// What a user does in minicom's menus happens at the server's UART.
func TestMinicomArrives(t *testing.T) {
	need(t, "tmux", "minicom")
	s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}})
	// Connected before minicom comes: it flushes first of all, and a flush of a
	// port that has no session yet concerns nothing at the server.
	v := start(t, s.addr, "--connect", "always")
	v.waitEvent("connected")
	// A configuration of its own, so that the machine's does not count.
	home := t.TempDir()
	config := "pu baudrate 57600\npu bits 8\npu parity N\npu stopbits 1\npu rtscts Yes\npu xonxoff No\n" +
		"pu minit \npu mreset \npu lock " + home + "\n"
	if err := os.WriteFile(filepath.Join(home, ".minirc.dfl"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	tty := newScreen(t, []string{"HOME=" + home, "MINICOM="}, "minicom", "-D", v.link)
	tty.await("57600 8N1")
	s.awaitSpeed(t, 57600)
	s.awaitStop(t, comport.StopSize1)
	s.awaitFlow(t, comport.ControlFlowHardware)
	s.awaitCount(t, comport.PurgeData{What: comport.PurgeReceive}, 1)

	// C-a p opens the menu of speed, parity and bits; e is 115200, x two stop bits.
	tty.keys("C-a", "p")
	tty.await("Comm Parameters")
	tty.keys("e")
	tty.await("115200 8N1")
	tty.keys("x")
	tty.await("115200 8N2")
	tty.keys("Enter")
	s.awaitSpeed(t, 115200)
	s.awaitStop(t, comport.StopSize2)

	// C-a o opens the configuration; the third entry has the flow control.
	tty.flow("f", "Hardware Flow Control : No")
	s.awaitFlow(t, comport.ControlFlowNone)
	tty.flow("g", "Software Flow Control : Yes")
	s.awaitFlow(t, comport.ControlFlowXonXoff)

	tty.typeText("typed by hand")
	s.awaitSent(t, "typed by hand")
	s.uart.Receive([]byte("from the line"))
	tty.await("from the line")

	tty.keys("C-a", "x")
	tty.await("Leave Minicom?")
	tty.keys("Enter")
	tty.awaitEnd()
	v.waitEvent("closed")
	// It puts back what it found.
	s.awaitSpeed(t, 9600)
	s.awaitStop(t, comport.StopSize1)
	s.awaitFlow(t, comport.ControlFlowNone)
}

// flow presses a key in minicom's serial port setup, until it shows the text
// wanted, and leaves the menus.
func (s *screen) flow(key, want string) {
	s.t.Helper()
	s.keys("C-a", "o")
	s.await("Serial port setup")
	s.keys("Down", "Down", "Enter")
	s.await("Change which setting?")
	s.keys(key)
	s.await(want)
	s.keys("Enter")
	s.awaitGone("Change which setting?")
	s.keys("Escape")
	s.awaitGone("Serial port setup")
}
