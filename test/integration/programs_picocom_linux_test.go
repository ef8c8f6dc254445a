package integration

import (
	"testing"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// What a user does in picocom happens at the server's UART.
func TestPicocomArrives(t *testing.T) {
	need(t, "tmux", "picocom")
	s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}})
	v := start(t, s.addr)
	tty := newScreen(t, nil, "picocom", "--baud", "57600", "--stopbits", "2", "--flow", "h", v.link)
	tty.await("Terminal ready")
	s.awaitSpeed(t, 57600)
	s.awaitStop(t, comport.StopSize2)
	s.awaitFlow(t, comport.ControlFlowHardware)

	// C-a C-u and C-a C-d go to the next higher and lower speed.
	tty.keys("C-a", "C-u")
	s.awaitSpeed(t, 115200)
	tty.keys("C-a", "C-d")
	s.awaitSpeed(t, 57600)
	// C-a C-b asks for any speed.
	tty.keys("C-a", "C-b")
	tty.await("*** baud:")
	tty.typeText("250000")
	tty.keys("Enter")
	s.awaitSpeed(t, 250000)
	// C-a C-j turns one stop bit into two, and back.
	tty.keys("C-a", "C-j")
	s.awaitStop(t, comport.StopSize1)
	// C-a C-f goes from hardware to XON/XOFF and to none.
	flushed := s.count(comport.PurgeData{What: comport.PurgeReceive})
	tty.keys("C-a", "C-f")
	s.awaitFlow(t, comport.ControlFlowXonXoff)
	tty.keys("C-a", "C-f")
	s.awaitFlow(t, comport.ControlFlowNone)
	// Each change of it is a tcsetattr that flushes.
	s.awaitCount(t, comport.PurgeData{What: comport.PurgeReceive}, flushed+2)

	tty.typeText("typed by hand")
	s.awaitSent(t, "typed by hand")
	s.uart.Receive([]byte("from the line"))
	tty.await("from the line")

	tty.keys("C-a", "C-x")
	tty.awaitEnd()
	v.waitEvent("closed")
}
