package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/vcomd/vcomd/internal/port"
	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/comport"
)

func TestDefaults(t *testing.T) {
	c, err := Port{Remote: "host"}.Validate()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []struct {
		what      string
		got, want any
	}{
		{"Remote", c.Remote, rfc2217client.Remote{Host: "host", Port: "2217"}},
		{"Name", c.Name, "host-2217"},
		{"Links", len(c.Links), 0},
		{"Overlay", c.Overlay, ""},
		{"Line", c.Line, comport.State{}},
		{"Connect", c.Connect, port.ConnectOnOpen},
		{"CloseDelay", c.CloseDelay, 3 * time.Second},
		{"RetryMin", c.RetryMin, time.Second},
		{"RetryMax", c.RetryMax, 30 * time.Second},
		{"NegotiateTimeout", c.NegotiateTimeout, 4 * time.Second},
		{"Settle", c.Settle, time.Second},
		{"Purge", c.Purge, port.PurgeAuto},
		{"UID", c.UID, -1},
		{"RunDir", c.RunDir, RunDir()},
	} {
		if !reflect.DeepEqual(v.got, v.want) {
			t.Errorf("%s is %v, want %v", v.what, v.got, v.want)
		}
	}
	want := os.FileMode(0o600)
	if os.Geteuid() == 0 {
		want = 0o660
	}
	if c.Mode != want {
		t.Errorf("Mode is %v, want %v", c.Mode, want)
	}
}

func TestEveryField(t *testing.T) {
	c, err := Port{
		Remote: "[2001:db8::1]:4000", Name: "gps-1", Links: []string{"/dev/ttyGPS", "a,b"}, Overlay: "/dev/ttyS0", Line: "1200-7E2", Connect: "always",
		CloseDelay: "0", Retry: "20ms", RetryMax: "1m", NegotiateTimeout: "1500ms", Settle: "0", Purge: "both",
		Owner: "0", Group: "5", Mode: "0640", RunDir: "/tmp/run",
	}.Validate()
	if err != nil {
		t.Fatal(err)
	}
	want := port.Config{
		Name: "gps-1", Links: []string{"/dev/ttyGPS", "a,b"}, Overlay: "/dev/ttyS0", RunDir: "/tmp/run",
		Remote:  rfc2217client.Remote{Host: "2001:db8::1", Port: "4000"},
		Line:    comport.State{BaudRate: 1200, DataSize: 7, Parity: comport.ParityEven, StopSize: comport.StopSize2},
		Connect: port.ConnectAlways, CloseDelay: 0, RetryMin: 20 * time.Millisecond, RetryMax: time.Minute,
		NegotiateTimeout: 1500 * time.Millisecond, Settle: 0, Purge: port.PurgeBoth, UID: 0, GID: 5, Mode: 0o640,
		Policy: port.Policy{DeadAfter: 30 * time.Second, Drain: 5 * time.Second, StaleAfter: 10 * time.Second},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got  %+v\nwant %+v", c, want)
	}
}

// Every error names the setting, quotes what was found, says what is wrong with
// it, and what to write.
func TestErrors(t *testing.T) {
	ok := Port{Remote: "host"}
	with := func(change func(*Port)) Port {
		p := ok
		change(&p)
		return p
	}
	for _, c := range []struct {
		setting, value string
		port           Port
		hint           string // a part of it
	}{
		{"--line", "9600-9N1", with(func(p *Port) { p.Line = "9600-9N1" }), "9600-7E1"},
		{"--line", "9600-7E1", with(func(p *Port) { p.Remote, p.Line = "tcp://host:1", "9600-7E1" }), "leave it out"},
		{"--line", "9600-7E1", with(func(p *Port) { p.Remote, p.Line = "telnet://host", "9600-7E1" }), "leave it out"},
		{"--line", "-", with(func(p *Port) { p.Line = "-" }), "9600-7E1"},
		{"--connect", "never", with(func(p *Port) { p.Connect = "never" }), "on-open or always"},
		{"--purge", "all", with(func(p *Port) { p.Purge = "all" }), "rx, both or none"},
		{"--close-delay", "3", with(func(p *Port) { p.CloseDelay = "3" }), "unit"},
		{"--close-delay", "-1s", with(func(p *Port) { p.CloseDelay = "-1s" }), "0s to 24h"},
		{"--retry", "9ms", with(func(p *Port) { p.Retry = "9ms" }), "10ms to 24h"},
		{"--retry", "", with(func(p *Port) { p.Retry = "" }), ""}, // the default: no error
		{"--retry-max", "25h", with(func(p *Port) { p.RetryMax = "25h" }), "10ms to 24h"},
		{"--retry-max", "500ms", with(func(p *Port) { p.RetryMax = "500ms" }), "as long"},
		{"--negotiate-timeout", "0", with(func(p *Port) { p.NegotiateTimeout = "0" }), "10ms to 24h"},
		{"--settle", "1 s", with(func(p *Port) { p.Settle = "1 s" }), "unit"},
		{"--settle", "9999999999h", with(func(p *Port) { p.Settle = "9999999999h" }), "unit"},
		{"--owner", "no such user", with(func(p *Port) { p.Owner = "no such user" }), "user"},
		{"--owner", "-1", with(func(p *Port) { p.Owner = "-1" }), "user"},
		{"--group", "no such group", with(func(p *Port) { p.Group = "no such group" }), "group"},
		{"--group", "4294967295", with(func(p *Port) { p.Group = "4294967295" }), "group"}, // it would mean: as it is
		{"--mode", "0", with(func(p *Port) { p.Mode = "0" }), "octal"},
		{"--mode", "01777", with(func(p *Port) { p.Mode = "01777" }), "octal"},
		{"--mode", "u=rw", with(func(p *Port) { p.Mode = "u=rw" }), "octal"},
		{"--name", ".hidden", with(func(p *Port) { p.Name = ".hidden" }), "letters"},
		{"--name", "a/b", with(func(p *Port) { p.Name = "a/b" }), "letters"},
		{"--name", "zwölf", with(func(p *Port) { p.Name = "zwölf" }), "letters"},
		{"--name", strings.Repeat("x", 65), with(func(p *Port) { p.Name = strings.Repeat("x", 65) }), "64"},
		{"--link", "dir/", with(func(p *Port) { p.Links = []string{"dir/"} }), "slash"},
		{"--link", "b/", with(func(p *Port) { p.Links = []string{"a", "b/"} }), "slash"},
		{"--link", "a", with(func(p *Port) { p.Links = []string{"a", "b", "a"} }), "once"},
		{"--link", "/dev/../dev/x", with(func(p *Port) { p.Links = []string{"/dev/x", "/dev/../dev/x"} }), "once"},
		{"--link", "/proc/self/cwd/x", with(func(p *Port) { p.Links = []string{"x", "/proc/self/cwd/x"} }), "once"},
		{"--overlay", "/dev/ttyS0/", with(func(p *Port) { p.Overlay = "/dev/ttyS0/" }), "ttyS0"},
		{"--overlay", "/dev/ttyS0", with(func(p *Port) { p.Links, p.Overlay = []string{"a", "/dev/ttyS0"}, "/dev/ttyS0" }), "--link"},
	} {
		t.Run(c.setting+" "+c.value, func(t *testing.T) {
			_, err := c.port.Validate()
			if c.hint == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("error %v, want an *Error", err)
			}
			if e.Setting != c.setting || e.Value != c.value || e.Found == "" || !strings.Contains(e.Hint, c.hint) {
				t.Errorf("got %+v", e)
			}
			text := err.Error()
			for _, part := range []string{e.Setting, e.Found, e.Hint} {
				if !strings.Contains(text, part) {
					t.Errorf("%q does not say %q", text, part)
				}
			}
			if strings.ContainsAny(text, "\n\x00") {
				t.Errorf("%q is not one line", text)
			}
		})
	}
	var remote *rfc2217client.RemoteError
	if _, err := (Port{Remote: "x://y"}).Validate(); !errors.As(err, &remote) {
		t.Errorf("error %v, want a *RemoteError", err)
	}
}

// A retry longer than the default's longest lengthens that, too.
func TestRetryAboveTheDefaultMaximum(t *testing.T) {
	c, err := Port{Remote: "host", Retry: "2m"}.Validate()
	if err != nil || c.RetryMax != 2*time.Minute {
		t.Errorf("RetryMax is %v, %v; want 2m", c.RetryMax, err)
	}
}

func TestNames(t *testing.T) {
	for _, c := range []struct {
		port Port
		want string
	}{
		{Port{Remote: "host", Links: []string{"/dev/ttyGPS"}}, "ttyGPS"},
		{Port{Remote: "host", Links: []string{"tty"}}, "tty"},
		{Port{Remote: "host", Links: []string{"/dev/ttyGPS"}, Name: "mine"}, "mine"},
		{Port{Remote: "host", Links: []string{"/dev/ttyB", "/dev/ttyA"}, Overlay: "/dev/ttyS0"}, "ttyB"},
		{Port{Remote: "host", Overlay: "/dev/ttyS0"}, "ttyS0"},
		{Port{Remote: "sim:gps"}, "sim-gps"},
		{Port{Remote: "192.0.2.7:4000"}, "192.0.2.7-4000"},
		{Port{Remote: "[2001:db8::1]"}, "2001-db8--1-2217"},
	} {
		got, err := c.port.Validate()
		if err != nil || got.Name != c.want {
			t.Errorf("%+v is called %q, %v; want %q", c.port, got.Name, err, c.want)
		}
	}
}

func TestRunDir(t *testing.T) {
	if os.Geteuid() == 0 {
		if got := RunDir(); got != "/run/vcomd" {
			t.Errorf("root's is %s, want /run/vcomd", got)
		}
		return
	}
	t.Setenv("XDG_RUNTIME_DIR", "/run/user/1000")
	if got := RunDir(); got != "/run/user/1000/vcomd" {
		t.Errorf("with XDG_RUNTIME_DIR it is %s", got)
	}
	t.Setenv("XDG_RUNTIME_DIR", "")
	if got := RunDir(); filepath.Dir(got) != filepath.Clean(os.TempDir()) {
		t.Errorf("without XDG_RUNTIME_DIR it is %s", got)
	}
}

// Whatever is written, the answer is a valid configuration or an error that says
// why.
func FuzzValidate(f *testing.F) {
	f.Add("host", "9600-8N1", "3s", "0660", "name")
	f.Add("tcp://[::1]:1", "8X9", "-1h", "9", ".")
	f.Fuzz(func(t *testing.T, remote, line, retry, mode, name string) {
		c, err := Port{Remote: remote, Line: line, Retry: retry, Mode: mode, Name: name}.Validate()
		if err != nil {
			if !strings.Contains(err.Error(), ";") {
				t.Errorf("%q does not say what to do", err)
			}
			return
		}
		if c.Name == "" || c.RetryMin <= 0 || c.RetryMax < c.RetryMin || c.Mode == 0 || c.Mode > 0o777 {
			t.Errorf("not valid: %+v", c)
		}
	})
}
