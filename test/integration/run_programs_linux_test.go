package integration

import (
	endian "encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// picocom toggles DTR and RTS, sends breaks and shows the lines.
func TestRunPicocom(t *testing.T) {
	need(t, "tmux", "picocom")
	s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}})
	v := start(t, s.addr)
	on := v.runOn()
	tty := newScreen(t, nil, on[0], append(on[1:], "picocom", "--baud", "57600", "--parity", "e", "--databits", "7", v.link)...)
	tty.await("Terminal ready")
	s.awaitState(t, "57600-7E1", func(u comport.State) bool {
		return u.BaudRate == 57600 && u.DataSize == 7 && u.Parity == comport.ParityEven && u.DTR == comport.ControlDTROn
	})
	tty.keys("C-a", "C-t") // toggles DTR
	s.awaitState(t, "DTR down", func(u comport.State) bool { return u.DTR == comport.ControlDTROff })
	tty.keys("C-a", "C-t")
	s.awaitState(t, "DTR up", func(u comport.State) bool { return u.DTR == comport.ControlDTROn })
	tty.keys("C-a", "C-g") // toggles RTS
	s.awaitState(t, "RTS down", func(u comport.State) bool { return u.RTS == comport.ControlRTSOff })
	tty.keys("C-a", "C-\\") // sends a break
	s.awaitCount(t, comport.SetControl{Control: comport.ControlBreakOn}, 1)
	s.awaitCount(t, comport.SetControl{Control: comport.ControlBreakOff}, 1)
	tty.typeText("typed by hand")
	s.awaitSent(t, "typed by hand")
	tty.keys("C-a", "C-x")
	tty.awaitEnd()
	v.waitEvent("closed")
}

// minicom shows whether there is a carrier.
func TestRunMinicom(t *testing.T) {
	need(t, "tmux", "minicom")
	s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}})
	v := start(t, s.addr, "--connect", "always")
	v.waitEvent("connected")
	s.uart.SetModem(comport.ModemDSR)
	home := t.TempDir()
	config := "pu baudrate 9600\npu bits 7\npu parity E\npu stopbits 1\npu rtscts No\npu minit \npu mreset \npu lock " + home + "\n"
	if err := os.WriteFile(filepath.Join(home, ".minirc.dfl"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	on := v.runOn()
	tty := newScreen(t, []string{"HOME=" + home, "MINICOM="}, on[0], append(on[1:], "minicom", "-D", v.link)...)
	tty.await("9600 7E1")
	tty.await("Offline")
	s.awaitState(t, "7E1", func(u comport.State) bool { return u.DataSize == 7 && u.Parity == comport.ParityEven })
	s.uart.SetModem(comport.ModemDSR | comport.ModemDCD)
	tty.await("Online")
	s.uart.SetModem(comport.ModemDSR)
	tty.await("Offline")
	tty.keys("C-a", "x")
	tty.await("Leave Minicom?")
	tty.keys("Enter")
	tty.awaitEnd()
}

// modbusSlave answers Modbus RTU's function 3 with the numbers of the registers,
// but only to a master whose line is set as its own: what comes otherwise has wrong
// parity or no frame, and a slave answers nothing to that (Modbus over serial line
// V1.02, 2.4.1).
type modbusSlave struct {
	uart *rfc2217test.UART
	line string
	out  chan []byte

	mu       sync.Mutex
	closed   bool // and out, which Read takes without the lock
	in       []byte
	bad      int // requests that are none of function 3, or damaged ones
	rejected int // bytes that came with the wrong settings
}

func (m *modbusSlave) Read(p []byte) (int, error) {
	b, ok := <-m.out
	if !ok {
		return 0, os.ErrClosed
	}
	return copy(p, b), nil
}

func (m *modbusSlave) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.closed {
		close(m.out)
		m.closed = true
	}
	return nil
}

func (m *modbusSlave) Write(p []byte) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	// The server hands on what it has read before it changes a setting.
	if m.uart.State().Line() != m.line {
		m.rejected += len(p)
		return len(p), nil
	}
	m.in = append(m.in, p...)
	for len(m.in) >= 8 && !m.closed {
		request := m.in[:8]
		m.in = m.in[8:]
		if endian.LittleEndian.Uint16(request[6:]) != modbusCRC(request[:6]) || request[1] != 3 {
			m.bad++
			continue
		}
		first, n := endian.BigEndian.Uint16(request[2:]), endian.BigEndian.Uint16(request[4:])
		answer := []byte{request[0], 3, byte(2 * n)}
		for i := range n {
			answer = endian.BigEndian.AppendUint16(answer, first+i+100)
		}
		m.out <- endian.LittleEndian.AppendUint16(answer, modbusCRC(answer))
	}
	return len(p), nil
}

// modbusCRC is CRC-16/MODBUS (Modbus over serial line V1.02, 6.2.2).
func modbusCRC(p []byte) uint16 {
	crc := uint16(0xffff)
	for _, b := range p {
		crc ^= uint16(b)
		for range 8 {
			odd := crc&1 != 0
			if crc >>= 1; odd {
				crc ^= 0xa001
			}
		}
	}
	return crc
}

// seen is how many requests the slave could not read, and how many bytes it has
// rejected.
func (m *modbusSlave) seen() (bad, rejected int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.bad, m.rejected
}

// mbpoll reads registers at 19200-8E1, which a pseudo-terminal alone cannot ask
// for. The slave answers to nothing else, so mbpoll has nothing to read with
// another parity or number of stop bits.
func TestRunModbus(t *testing.T) {
	need(t, "mbpoll")
	for _, tt := range []struct {
		line  string // as the slave sees it
		frame []string
		reads bool
	}{
		{"19200-8E1", []string{"-P", "even"}, true},
		{"19200-8N1", []string{"-P", "none"}, false},
		{"19200-8O1", []string{"-P", "odd"}, false},
		{"19200-8E2", []string{"-P", "even", "-s", "2"}, false},
	} {
		t.Run(tt.line, func(t *testing.T) {
			slave := &modbusSlave{out: make(chan []byte, 16), line: "19200-8E1"}
			slave.uart = &rfc2217test.UART{Device: slave, Unpaced: true}
			s := serve(t, &rfc2217test.Server{UART: slave.uart})
			v := start(t, s.addr, "--connect", "always")
			v.waitEvent("connected")
			timeout := "5"
			if !tt.reads {
				timeout = "0.5" // no answer comes, however long it waits
			}
			on := v.runOn()
			args := slices.Concat(on[1:], []string{"mbpoll", "-m", "rtu", "-b", "19200"}, tt.frame,
				[]string{"-a", "1", "-r", "5", "-c", "3", "-t", "4", "-1", "-o", timeout, v.link})
			out, code := run(t, on[0], args...)
			for _, e := range s.uart.Journal() {
				if e.Kind == rfc2217test.EntryData && e.State.Line() != tt.line {
					t.Errorf("a request left at %s", e.State.Line())
				}
			}
			bad, rejected := slave.seen()
			if !tt.reads {
				if code == 0 || !strings.Contains(out, "timed out") || strings.Contains(out, "]: \t") {
					t.Errorf("exit status %d, want a timeout: %s", code, out)
				}
				if rejected == 0 {
					t.Error("the slave has rejected nothing")
				}
				return
			}
			if code != 0 {
				t.Fatalf("exit status %d: %s", code, out)
			}
			for _, want := range []string{"[5]: \t104", "[6]: \t105", "[7]: \t106"} {
				if !strings.Contains(out, want) {
					t.Errorf("nothing of %q in %s", want, out)
				}
			}
			if bad != 0 || rejected != 0 {
				t.Errorf("the slave could not read %d requests, and has rejected %d bytes", bad, rejected)
			}
		})
	}
}
