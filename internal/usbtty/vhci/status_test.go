package vhci

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// As a stock Debian 12 kernel (6.1) prints it.
const status61 = `hub port sta spd dev      sockfd local_busid
hs  0000 006 002 00010002 000004 1-1
hs  0001 004 000 00000000 000000 0-0
hs  0002 005 000 00000000 000000 0-0
ss  0015 004 000 00000000 000000 0-0
`

func TestParseStatus(t *testing.T) {
	used := PortStatus{Number: 0, State: StateUsed, Speed: SpeedFull, Device: 0x10002, Socket: 4, BusID: "1-1"}
	for _, c := range []struct {
		name, text string
		want       []PortStatus
	}{
		{"Linux 6.1", status61, []PortStatus{
			used,
			{Number: 1, State: StateFree},
			{Number: 2, State: StateNotAssigned},
			{Number: 15, Hub: HubSuperSpeed, State: StateFree},
		}},
		{
			"a controller that is not ready", "hub port sta spd dev      sockfd local_busid\nhs  0030 005 000 00000000 0000000000000000 0-0\n",
			[]PortStatus{{Number: 30, State: StateNotAssigned}},
		},
		{
			"Linux 4.9", "port sta spd dev      socket           local_busid\n0000 006 003 0001000a ffff8800c5a7bb80 3-2.4\n0001 004 000 00000000 0000000000000000 0-0\n",
			[]PortStatus{{Number: 0, State: StateUsed, Speed: SpeedHigh, Device: 0x1000a, Socket: -1, BusID: "3-2.4"}, {Number: 1, State: StateFree}},
		},
		{
			"Linux 3.17", "prt sta spd bus dev socket           local_busid\n000 004 000 000 000 0000000000000000 0-0\n",
			[]PortStatus{{Number: 0, State: StateFree}},
		},
		{
			"wide columns, another order", "hub  port   sta dev sockfd spd local_busid more\nhs 00000 6 10002 1000000 2 1-1 x\n",
			[]PortStatus{{Number: 0, State: StateUsed, Speed: SpeedFull, Device: 0x10002, Socket: 1000000, BusID: "1-1"}},
		},
		{"in error", "hub port sta spd dev sockfd local_busid\nhs 0003 007 000 00000000 000000 0-0\n", []PortStatus{{Number: 3, State: StateError}}},
		{"a hub of another kind", "hub port sta spd dev sockfd local_busid\nxs 0003 004 000 00000000 000000 0-0\n", nil},
		{"a path for a bus id", "hub port sta spd dev sockfd local_busid\nhs 0000 006 002 00010002 000004 ../..\n", nil},
		{"no port", "hub port sta spd dev sockfd local_busid\nhs\n\nhs xxxx 004 000 00000000 000000 0-0\nhs 4294967295 004 000 0 0 0-0\n", nil},
		{"empty", "", nil},
		{"something else", "no such device\nat all\n", nil},
	} {
		if got := parseStatus(c.text); !cmp.Equal(got, c.want) {
			t.Errorf("%s: %s", c.name, cmp.Diff(c.want, got))
		}
	}
}

func TestBusID(t *testing.T) {
	for s, want := range map[string]bool{
		"1-1": true, "12-3.4.5": true, "0-0": true,
		"": false, "1": false, "1-": false, "-1": false, "1-1/..": false, "..": false, "1-1.": false, "usb1": false, "1-1:1.0": false, "1--1": false, "+1-1": false,
	} {
		if got := isBusID(s); got != want {
			t.Errorf("isBusID(%q) is %t", s, got)
		}
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add(status61)
	f.Add("port sta spd dev socket local_busid\n0000 004 000 0 0 0-0")
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range parseStatus(text) {
			if p.Number < 0 || p.Number >= maxPort {
				t.Errorf("port %d", p.Number)
			}
			switch p.State {
			case StateFree, StateNotAssigned, StateError, StateUsed:
			default:
				t.Errorf("state %d", p.State)
			}
			if strings.ContainsAny(p.BusID, "/ \n") || p.State == StateUsed && p.BusID == "" {
				t.Errorf("bus id %q", p.BusID)
			}
		}
	})
}

func TestListsModule(t *testing.T) {
	const dep = "kernel/drivers/usb/usbip/vhci-hcd.ko.zst: kernel/drivers/usb/usbip/usbip-core.ko.zst\n" +
		"kernel/drivers/usb/serial/ftdi_sio.ko: kernel/drivers/usb/serial/usbserial.ko\n"
	for name, want := range map[string]bool{"vhci_hcd": true, "ftdi_sio": true, "usbip_core": false, "vhci": false, "": false, "usbserial": false} {
		if got := listsModule(dep, name); got != want {
			t.Errorf("%q: %t", name, got)
		}
	}
}

func TestDistribution(t *testing.T) {
	for text, want := range map[string]string{
		"NAME=\"Debian GNU/Linux\"\nVERSION_ID=\"12\"\nID=debian\n": "debian", "ID=\"ubuntu\"": "ubuntu", "ID='x'\n": "x", "": "", "VERSION_ID=3\n": "",
	} {
		if got := distribution(text); got != want {
			t.Errorf("%q: %q", text, got)
		}
	}
}
