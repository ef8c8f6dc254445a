package pty

import (
	"slices"
	"testing"
)

// Lines as proc_pid_mountinfo(5) describes them, and as a 6.18 kernel writes
// them for /dev/pts/5 and a terminal that is gone bound over one node, the newer
// one beneath: its line comes last although it is covered.
const mountTable = `22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/root rw
26 24 0:24 / /dev/pts rw,relatime - devpts devpts rw,mode=600,ptmxmode=000
31 22 0:24 /4//deleted /dev/ttyS0 rw,relatime master:1 shared:7 - devpts devpts rw
40 31 0:24 /7 /dev/ttyS0 rw,relatime - devpts devpts rw
33 40 0:24 /5 /dev/ttyS0 rw,relatime - devpts devpts rw
34 22 0:6 /ttyS1 /dev/with\040blank\134 rw - devtmpfs devtmpfs rw
nonsense
x 1 0:1 / /dev/ttyS0 rw - devpts devpts rw
50 y 0:1 / /dev/ttyS0 rw - devpts devpts rw
51 22 0:1 /
`

func TestStackOfMounts(t *testing.T) {
	table := parseMounts(mountTable)
	if len(table) != 6 {
		t.Fatalf("%d mounts of 6: %+v", len(table), table)
	}
	stack := stackAt(table, "/dev/ttyS0")
	ids, terminals := make([]int, 0, len(stack)), make([]string, 0, len(stack))
	for _, m := range stack {
		ids = append(ids, m.id)
		tty, ok := m.terminal()
		if !ok {
			t.Errorf("%+v is no terminal", m)
		}
		terminals = append(terminals, tty)
	}
	if !slices.Equal(ids, []int{33, 40, 31}) || !slices.Equal(terminals, []string{"/dev/pts/5", "/dev/pts/7", "/dev/pts/4"}) {
		t.Errorf("from the top: %v %v; want 33, 40, 31: pts 5, 7, 4", ids, terminals)
	}
	other := stackAt(table, `/dev/with blank\`)
	if len(other) != 1 || other[0].root != "/ttyS1" {
		t.Errorf("escaped name: %+v", other)
	}
	if _, ok := other[0].terminal(); ok {
		t.Error("a node of devtmpfs taken for a terminal")
	}
	if pts := stackAt(table, "/dev/pts"); len(pts) != 1 {
		t.Errorf("/dev/pts: %+v", pts)
	} else if _, ok := pts[0].terminal(); ok {
		t.Error("the whole of devpts taken for a terminal")
	}
	if none := stackAt(table, "/dev/ttyS9"); len(none) != 0 {
		t.Errorf("nothing is mounted there, but %+v", none)
	}
}

// Of a Debian 12 with USB adapters.
func TestParseDrivers(t *testing.T) {
	const text = `/dev/tty             /dev/tty        5       0 system:/dev/tty
/dev/console         /dev/console    5       1 system:console
/dev/ptmx            /dev/ptmx       5       2 system
usbserial            /dev/ttyUSB   188 0-511 serial
serial               /dev/ttyS       4 64-95 serial
pty_slave            /dev/pts      136 0-1048575 pty:slave
broken               /dev/x          4 a-b serial
short 4
`
	want := []ttyDriver{
		{"/dev/tty", 5, 0, 0, "system:/dev/tty"},
		{"/dev/console", 5, 1, 1, "system:console"},
		{"/dev/ptmx", 5, 2, 2, "system"},
		{"usbserial", 188, 0, 511, "serial"},
		{"serial", 4, 64, 95, "serial"},
		{"pty_slave", 136, 0, 1048575, "pty:slave"},
	}
	if got := parseDrivers(text); !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func FuzzParseMounts(f *testing.F) {
	f.Add(mountTable, "/dev/ttyS0")
	f.Add("1 1 0:1 /1 /a rw - devpts d d\n", "/a")
	f.Add(`1 2 0:1 /\4 \777 rw - devpts`, "")
	f.Fuzz(func(t *testing.T, text, path string) {
		table := parseMounts(text)
		stack := stackAt(table, path)
		if len(stack) > len(table) {
			t.Errorf("%d mounts of %d", len(stack), len(table))
		}
		for _, m := range stack {
			if tty, ok := m.terminal(); m.point != path || ok && tty == "" {
				t.Errorf("%+v at %q", m, path)
			}
		}
	})
}
