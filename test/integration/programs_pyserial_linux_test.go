package integration

import (
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// python is the distribution's: the one that has the pyserial package.
const python = "/usr/bin/python3"

// pythonProcess is a Python interpreter that runs a line at a time.
type pythonProcess struct {
	*process
	stdin io.Writer
	lines int
}

// startPython starts an interpreter, and imports modules; a test without one of
// them is skipped.
func startPython(t *testing.T, modules ...string) *pythonProcess {
	t.Helper()
	return startPythonBy(t, nil, modules...)
}

// startPythonBy is startPython with a command in front.
func startPythonBy(t *testing.T, by []string, modules ...string) *pythonProcess {
	t.Helper()
	need(t, python)
	for _, m := range modules {
		if err := exec.Command(python, "-c", "import "+m).Run(); err != nil {
			skip(t, "Python's "+m+" is not installed: scripts/deps.sh installs it")
		}
	}
	argv := slices.Concat(by, []string{python, "-c", `
import sys
names = {}
for line in sys.stdin:
    try:
        if line.startswith("= "):
            print("=", repr(eval(line[2:], names)), flush=True)
        else:
            exec(line, names)
            print("=", flush=True)
    except BaseException as e:
        print("!", repr(e), flush=True)
`})
	cmd := exec.Command(argv[0], argv[1:]...)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &pythonProcess{process: spawnCmd(t, cmd), stdin: in}
	for _, m := range modules {
		p.do("import %s", m)
	}
	return p
}

// do runs one line, which must not raise an exception.
func (p *pythonProcess) do(format string, args ...any) {
	p.t.Helper()
	p.line(fmt.Sprintf(format, args...))
}

// value evaluates an expression and gives its representation.
func (p *pythonProcess) value(expression string) string {
	p.t.Helper()
	return p.line("= " + expression)
}

func (p *pythonProcess) line(line string) string {
	p.t.Helper()
	if _, err := io.WriteString(p.stdin, line+"\n"); err != nil {
		p.t.Fatal(err)
	}
	p.lines++
	var answer string
	eventually(p.t, "Python has run "+line, func() bool {
		answers := strings.SplitAfter(p.out.String(), "\n")
		if len(answers) <= p.lines {
			if !p.running() {
				p.t.Fatal("Python has ended")
			}
			return false
		}
		answer = strings.TrimSpace(answers[p.lines-1])
		return true
	})
	if failed, ok := strings.CutPrefix(answer, "!"); ok {
		p.t.Fatalf("%s raised %s", line, failed)
	}
	return strings.TrimSpace(strings.TrimPrefix(answer, "="))
}

// What a pyserial program does to its port happens at the server's UART.
func TestPyserialArrives(t *testing.T) {
	p := startPython(t, "serial")
	s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}})
	v := start(t, s.addr, "--purge", "both")
	p.do("port = serial.Serial(%q, 19200, timeout=30)", v.link)
	s.awaitSpeed(t, 19200)

	// 250000 and 74880 are in no table of speeds: termios2 carries them.
	for _, speed := range []uint32{1200, 115200, 250000, 74880, 921600, 9600} {
		p.do("port.baudrate = %d", speed)
		s.awaitSpeed(t, speed)
	}
	p.do("port.stopbits = serial.STOPBITS_TWO")
	s.awaitStop(t, comport.StopSize2)
	p.do("port.stopbits = serial.STOPBITS_ONE")
	s.awaitStop(t, comport.StopSize1)

	p.do("port.rtscts = True")
	s.awaitFlow(t, comport.ControlFlowHardware)
	p.do("port.rtscts = False")
	s.awaitFlow(t, comport.ControlFlowNone)
	p.do("port.xonxoff = True")
	s.awaitFlow(t, comport.ControlFlowXonXoff)
	p.do("port.xonxoff = False")
	s.awaitFlow(t, comport.ControlFlowNone)

	flushed := s.count(comport.PurgeData{What: comport.PurgeReceive})
	p.do("port.reset_input_buffer()")
	s.awaitCount(t, comport.PurgeData{What: comport.PurgeReceive}, flushed+1)
	p.do("port.reset_output_buffer()")
	s.awaitCount(t, comport.PurgeData{What: comport.PurgeTransmit}, 1)

	all := string(allBytes())
	p.do("written = port.write(bytes(range(256)))")
	s.awaitSent(t, all)
	s.uart.Receive([]byte(all))
	if got := p.value("port.read(256) == bytes(range(256))"); got != "True" {
		t.Error("pyserial did not read the 256 byte values that the UART received")
	}
	p.do("port.close()")
	v.waitEvent("closed")
}

// A flush of output stays here by default: the remote UART has what a program
// believes to be sent.
func TestOutputFlushStaysByDefault(t *testing.T) {
	p := startPython(t, "serial")
	s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}})
	v := start(t, s.addr)
	p.do("port = serial.Serial(%q, 19200, timeout=30)", v.link)
	s.awaitSpeed(t, 19200)
	flushed := s.count(comport.PurgeData{What: comport.PurgeReceive})
	p.do("port.reset_output_buffer()")
	p.do("port.reset_input_buffer()") // passes in order: the other would be there
	s.awaitCount(t, comport.PurgeData{What: comport.PurgeReceive}, flushed+1)
	for _, kind := range []comport.Purge{comport.PurgeTransmit, comport.PurgeBoth} {
		if n := s.count(comport.PurgeData{What: kind}); n != 0 {
			t.Errorf("%v was sent %d times", comport.PurgeData{What: kind}, n)
		}
	}
}
