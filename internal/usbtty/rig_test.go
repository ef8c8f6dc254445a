package usbtty_test

import (
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"

	"github.com/vcomd/vcomd/internal/usbtty"
	"github.com/vcomd/vcomd/internal/usbtty/usbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// journal is a handler that writes down what it is told.
type journal struct {
	lines []string
	sent  bool
	hook  func(line string) // called for each line
}

func (j *journal) add(format string, args ...any) {
	j.lines = append(j.lines, fmt.Sprintf(format, args...))
	if j.hook != nil {
		j.hook(j.lines[len(j.lines)-1])
	}
}

func (j *journal) Opened() { j.add("opened") }
func (j *journal) Closed() { j.add("closed") }
func (j *journal) SetSettings(s usbtty.Settings) {
	j.add("settings %d %d%c%s flow %s", s.Speed, s.DataBits, s.Parity.Letter(), s.StopBits, s.Flow)
}
func (j *journal) SetLines(mask, on usbtty.Lines) { j.add("lines %s of %s", on, mask) }
func (j *journal) SetBreak(on bool)               { j.add("break %t", on) }
func (j *journal) Purge(receive, transmit bool)   { j.add("purge %t %t", receive, transmit) }
func (j *journal) Written()                       { j.add("written") }
func (j *journal) Room()                          { j.add("room") }
func (j *journal) Sent() bool                     { return j.sent }
func (j *journal) take() (lines []string)         { lines, j.lines = j.lines, nil; return lines }

// device is the default one of the tests.
const deviceID = 0x00010002

// rig joins a device and a kernel. It is used within a synctest bubble: after
// synctest.Wait, everything that could happen has happened.
type rig struct {
	t *testing.T
	k *usbtest.Kernel

	mu   sync.Mutex
	dev  *usbtty.Device
	log  *journal
	conn net.Conn
}

func newRig(t *testing.T, cfg usbtty.Config) *rig {
	t.Helper()
	ours, theirs := net.Pipe()
	cfg.Device = deviceID
	r := &rig{t: t, log: &journal{sent: true}, conn: ours}
	r.dev = usbtty.New(cfg, r.log)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.serve()
	}()
	r.k = usbtest.NewKernel(theirs, deviceID)
	t.Cleanup(func() {
		if err := r.k.Close(); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return r
}

// serve feeds the device until the connection ends.
func (r *rig) serve() {
	defer r.conn.Close()
	var b [4096]byte
	for {
		n, err := r.conn.Read(b[:])
		if err != nil {
			return
		}
		r.do(func() { err = r.dev.Feed(b[:n]) })
		if err != nil {
			return
		}
	}
}

// do calls f with the device, and sends what comes of it.
func (r *rig) do(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	for len(r.dev.Output()) > 0 {
		n, err := r.conn.Write(r.dev.Output())
		r.dev.Wrote(n)
		if err != nil {
			return
		}
	}
}

// expect compares what the handler was told since the last time.
func (r *rig) expect(want ...string) {
	r.t.Helper()
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if got := r.log.take(); !slices.Equal(got, want) {
		r.t.Errorf("the handler was told\n\t%q, want\n\t%q", got, want)
	}
}

// read reads until nothing more comes.
func (r *rig) read() string {
	var all []byte
	for {
		synctest.Wait()
		var b [1000]byte
		var n int
		r.do(func() { n = r.dev.Read(b[:]) })
		if n == 0 {
			return string(all)
		}
		all = append(all, b[:n]...)
	}
}

func (r *rig) open() *usbtest.TTY {
	r.t.Helper()
	f, err := r.k.Open()
	if err != nil {
		r.t.Fatal(err)
	}
	return f
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
