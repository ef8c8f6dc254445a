package integration

import (
	"maps"
	"slices"
	"strconv"
	"testing"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// serialCheck is what a program may expect of a serial port.
type serialCheck struct {
	name string
	// before is done first, if there is something; then the port is closed, and opened
	// again without a setting.
	before string
	feed   string // received by the port, and not read, before holds is looked at
	// holds is an expression of Python: fd is the port, open and raw. The check is
	// not met if it is false or raises an exception.
	holds string
}

// serialChecks are met by a port with a UART behind it.
var serialChecks = []serialCheck{
	{name: "isatty", holds: "os.isatty(fd)"},
	{name: "bytes are written", holds: "os.write(fd, bytes(range(256))) == 256"},
	{name: "bytes are read", feed: "\x00\x11\x13\xff\r\n", holds: `os.read(fd, 99) == b'\x00\x11\x13\xff\r\n'`},

	{name: "speed is read back", holds: "change(speed=termios.B19200)[5] == termios.B19200"},
	{name: "speed of BOTHER is read back", holds: "bother(250000) == 250000"},
	{name: "stop bits are read back", holds: "change(termios.CSTOPB, termios.CSTOPB)[2] & termios.CSTOPB != 0"},
	{name: "flow control is read back", holds: "change(termios.CRTSCTS, termios.CRTSCTS)[2] & termios.CRTSCTS != 0"},
	{name: "parity is read back", holds: "change(termios.PARENB, termios.PARENB)[2] & termios.PARENB != 0"},
	{name: "odd parity is read back", holds: "change(odd, odd)[2] & odd == odd"},
	{name: "data bits are read back", holds: "change(termios.CSIZE, termios.CS7)[2] & termios.CSIZE == termios.CS7"},
	{name: "data bits outlive a close", before: "change(termios.CSIZE, termios.CS6)", holds: "attributes()[2] & termios.CSIZE == termios.CS6"},
	{name: "stop bits outlive a close", before: "change(termios.CSTOPB, termios.CSTOPB)", holds: "attributes()[2] & termios.CSTOPB != 0"},

	{name: "both lines are up after the open", holds: "number(termios.TIOCMGET) & 6 == 6"},
	{name: "lines are up again at the next open", before: "check(lambda: number(termios.TIOCMBIC, 6))", holds: "number(termios.TIOCMGET) & 6 == 6"},
	{name: "TIOCMBIC drops a line", holds: "number(termios.TIOCMBIC, 2) and number(termios.TIOCMGET) & 6 == 4"},
	{name: "TIOCMBIS raises a line", holds: "number(termios.TIOCMBIC, 6) and number(termios.TIOCMBIS, 4) and number(termios.TIOCMGET) & 6 == 4"},
	{name: "TIOCMSET sets both", holds: "number(termios.TIOCMSET, 2) and number(termios.TIOCMGET) & 6 == 2"},
	{name: "B0 drops both lines", holds: "change(speed=termios.B0) and number(termios.TIOCMGET) & 6 == 0"},
	{name: "TIOCGICOUNT counts characters", holds: "sent() + 3 == (os.write(fd, b'abc'), termios.tcdrain(fd), sent())[2]"},
	{name: "TIOCGSERIAL has a base", holds: "struct.unpack('16I', fcntl.ioctl(fd, 0x541e, bytes(72))[:64])[7] > 0"},
	{name: "TIOCGSOFTCAR is CLOCAL", holds: "change(termios.CLOCAL, 0) and number(termios.TIOCGSOFTCAR) == 0 and " +
		"change(termios.CLOCAL, termios.CLOCAL) and number(termios.TIOCGSOFTCAR) == 1"},

	{name: "tcsendbreak takes a quarter of a second", holds: "took(lambda: fcntl.ioctl(fd, 0x5409, 0)) >= 0.25"},
	{name: "TCSBRKP takes its tenths of a second", holds: "took(lambda: fcntl.ioctl(fd, 0x5425, 4)) >= 0.4"},
	{name: "TIOCSBRK and TIOCCBRK", holds: "fcntl.ioctl(fd, 0x5427) == 0 and fcntl.ioctl(fd, 0x5428) == 0"},
	{name: "after tcdrain nothing waits", holds: "os.write(fd, b'x') and termios.tcdrain(fd) is None and number(termios.TIOCOUTQ) == 0"},
	{name: "TCSADRAIN keeps input", feed: "abc", holds: "change(when=termios.TCSADRAIN) and number(termios.FIONREAD) == 3"},
	{name: "TCSAFLUSH drops input", feed: "abc", holds: "change(when=termios.TCSAFLUSH) and number(termios.FIONREAD) == 0"},
	{name: "TCIFLUSH drops input", feed: "abc", holds: "termios.tcflush(fd, termios.TCIFLUSH) is None and number(termios.FIONREAD) == 0"},
	{name: "TCOFLUSH", holds: "termios.tcflush(fd, termios.TCOFLUSH) is None"},
	{name: "exclusive mode is read back", holds: "fcntl.ioctl(fd, termios.TIOCEXCL) == 0 and number(exclusive) == 1 and " +
		"fcntl.ioctl(fd, termios.TIOCNXCL) == 0 and number(exclusive) == 0"},

	{name: "TCGETS with a bad pointer", holds: "error(0x5401, 16) == errno.EFAULT"},
	{name: "TCSETS with a bad pointer", holds: "error(0x5402, 16) == errno.EFAULT"},
	{name: "TIOCMGET with a bad pointer", holds: "error(0x5415, 16) == errno.EFAULT"},
	{name: "TIOCMSET with a bad pointer", holds: "error(0x5418, 16) == errno.EFAULT"},
	{name: "TIOCGICOUNT with a bad pointer", holds: "error(0x545d, 16) == errno.EFAULT"},
	{name: "TCFLSH with a bad argument", holds: "error(0x540b, 7) == errno.EINVAL"},
	{name: "an unknown request", holds: "error(0x54ff, 0) == errno.ENOTTY"},
}

// serialPrelude is what the checks are written with.
const serialPrelude = `
import errno, fcntl, os, struct, termios, time, tty
fd = -1
odd = termios.PARENB | termios.PARODD
exclusive = 0x80045440  # TIOCGEXCL
def shut():
    os.close(fd)
def reopen():
    global fd
    fd = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
def fresh():
    tty.setraw(fd)
    a = termios.tcgetattr(fd)
    a[2] = termios.CS8 | termios.CREAD | termios.CLOCAL | termios.HUPCL
    a[4] = a[5] = termios.B9600
    termios.tcsetattr(fd, termios.TCSANOW, a)
def attributes():
    return termios.tcgetattr(fd)
def change(mask=0, bits=0, speed=None, when=termios.TCSANOW):
    a = attributes()
    a[2] = a[2] & ~mask | bits
    if speed is not None:
        a[4] = a[5] = speed
    termios.tcsetattr(fd, when, a)
    return attributes()
def bother(speed):
    t = list(struct.unpack('4I20s2I', fcntl.ioctl(fd, 0x802c542a, bytes(44))))
    t[2] = t[2] & ~0x100f | 0x1000
    t[5] = t[6] = speed
    fcntl.ioctl(fd, 0x402c542b, struct.pack('4I20s2I', *t))
    return struct.unpack('4I20s2I', fcntl.ioctl(fd, 0x802c542a, bytes(44)))[6]
def number(request, value=0):
    return struct.unpack('I', fcntl.ioctl(fd, request, struct.pack('I', value)))[0]
def sent():
    return struct.unpack('20i', fcntl.ioctl(fd, 0x545d, bytes(80)))[5]
def took(f):
    begin = time.monotonic()
    f()
    return time.monotonic() - begin
def error(request, argument):
    try:
        fcntl.ioctl(fd, request, argument)
        return 0
    except OSError as e:
        return e.errno
def check(f):
    try:
        return bool(f())
    except Exception as e:
        return repr(e)
`

// ptyGaps are what a pseudo-terminal has no place for, by the checks' names.
var ptyGaps = map[string]string{
	"parity is read back":                     "the kernel strips PARENB",
	"odd parity is read back":                 "the kernel strips PARENB",
	"data bits are read back":                 "the kernel strips CSIZE",
	"data bits outlive a close":               "the kernel strips CSIZE",
	"both lines are up after the open":        "no modem lines",
	"lines are up again at the next open":     "no modem lines",
	"TIOCMBIC drops a line":                   "no modem lines",
	"TIOCMBIS raises a line":                  "no modem lines",
	"TIOCMSET sets both":                      "no modem lines",
	"B0 drops both lines":                     "no modem lines",
	"TIOCGICOUNT counts characters":           "no counters",
	"TIOCGSERIAL has a base":                  "no serial_struct",
	"tcsendbreak takes a quarter of a second": "a break is nothing",
	"TCSBRKP takes its tenths of a second":    "a break is nothing",
	"TIOCMGET with a bad pointer":             "ENOTTY",
	"TIOCMSET with a bad pointer":             "ENOTTY",
	"TIOCGICOUNT with a bad pointer":          "ENOTTY",
}

// conformed is a port that the checks are made on.
type conformed struct {
	p    *pythonProcess
	path string
	feed func(string)
	v    *vcomd     // nil: it is none of vcomd's
	s    *simulated // the server, then
	n    int        // opens so far
}

// open has the program open the port, and vcomd notice it: what is received before it
// has is dropped.
func (c *conformed) open() {
	c.p.do("reopen()")
	c.n++
	if c.v != nil {
		c.v.waitEvents("opened", c.n)
	}
}

// shut has the program close the port, and vcomd notice it: of a port that is opened
// again before, it notices neither.
func (c *conformed) shut() {
	c.p.do("shut()")
	if c.v != nil {
		c.v.waitEvents("closed", c.n)
	}
}

// fresh has the program begin with a raw port, and vcomd pass its flush on: what is
// received before the server knows of that is flushed, too.
func (c *conformed) fresh() {
	flushed := 0
	if c.s != nil {
		flushed = c.s.count(comport.PurgeData{What: comport.PurgeReceive})
	}
	c.p.do("fresh()")
	if c.s != nil {
		c.s.awaitCount(c.p.t, comport.PurgeData{What: comport.PurgeReceive}, flushed+1)
	}
}

// look makes a check on the port, and returns "True" if it is met.
func (c *conformed) look(check serialCheck) string {
	t := c.p.t
	t.Helper()
	c.open()
	c.fresh()
	if check.before != "" {
		c.p.do("check(lambda: %s)", check.before)
		c.shut()
		c.open()
	}
	if check.feed != "" {
		c.feed(check.feed)
		want := strconv.Itoa(len(check.feed))
		eventually(t, want+" bytes wait", func() bool { return c.p.value("number(termios.FIONREAD)") == want })
	}
	defer c.shut()
	return c.p.value("check(lambda: " + check.holds + ")")
}

// The same checks on a bare pseudo-terminal, on vcomd's and under vcomd run: the last
// one meets them all.
func TestRunConformance(t *testing.T) {
	for _, kind := range []struct {
		name string
		open func(t *testing.T) *conformed
		gaps map[string]string
	}{
		{"pseudo-terminal", conformedDevice, ptyGaps},
		{"vcomd", conformedPort, ptyGaps},
		{"vcomd run", conformedRun, nil},
	} {
		t.Run(kind.name, func(t *testing.T) {
			c := kind.open(t)
			c.p.do("path = %q", c.path)
			c.p.do("exec(%q)", serialPrelude)
			gaps := make(map[string]string)
			maps.Copy(gaps, kind.gaps)
			for _, check := range serialChecks {
				got := c.look(check)
				why, gap := gaps[check.name]
				delete(gaps, check.name)
				switch {
				case gap && got == "True":
					t.Errorf("%s: expected to fail (%s), and did not", check.name, why)
				case !gap && got != "True":
					t.Errorf("%s: %s", check.name, got)
				}
			}
			for _, name := range slices.Sorted(maps.Keys(gaps)) {
				t.Errorf("a gap is named %q, and no check is", name)
			}
		})
	}
}

// conformedDevice is a pseudo-terminal of nobody's.
func conformedDevice(t *testing.T) *conformed {
	t.Helper()
	d := newDevice(t)
	return &conformed{p: startPython(t), path: d.path, feed: func(b string) { write(t, d.File, []byte(b)) }}
}

// conformedPort is vcomd's, and conformedRun is too, with the program under vcomd run.
func conformedPort(t *testing.T) *conformed { t.Helper(); return conformedBy(t, false) }
func conformedRun(t *testing.T) *conformed  { t.Helper(); return conformedBy(t, true) }

func conformedBy(t *testing.T, run bool) *conformed {
	t.Helper()
	s := serve(t, &rfc2217test.Server{UART: &rfc2217test.UART{Unpaced: true}})
	v := start(t, s.addr, "--connect", "always")
	v.waitEvent("connected")
	var by []string
	if run {
		by = v.runOn()
	}
	return &conformed{p: startPythonBy(t, by), path: v.link, v: v, s: s, feed: func(b string) { s.uart.Receive([]byte(b)) }}
}
