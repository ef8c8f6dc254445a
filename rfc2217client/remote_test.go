package rfc2217client_test

import (
	"errors"
	"strings"
	"testing"

	rc "github.com/vcomd/vcomd/rfc2217client"
)

func TestParseRemote(t *testing.T) {
	tests := []struct {
		text string
		want rc.Remote
		back string // String, if it is not the text
	}{
		{"host", rc.Remote{Host: "host", Port: "2217"}, "rfc2217://host:2217"},
		{"host:4001", rc.Remote{Host: "host", Port: "4001"}, "rfc2217://host:4001"},
		{"rfc2217://host:2217", rc.Remote{Host: "host", Port: "2217"}, ""},
		{"rfc2217://host/", rc.Remote{Host: "host", Port: "2217"}, "rfc2217://host:2217"},
		{"RFC2217://Host.Example", rc.Remote{Host: "Host.Example", Port: "2217"}, "rfc2217://Host.Example:2217"},
		{"telnet://host", rc.Remote{Protocol: rc.ProtocolTelnet, Host: "host", Port: "23"}, "telnet://host:23"},
		{"telnet://host:1", rc.Remote{Protocol: rc.ProtocolTelnet, Host: "host", Port: "1"}, ""},
		{"tcp://host:65535", rc.Remote{Protocol: rc.ProtocolRaw, Host: "host", Port: "65535"}, ""},
		{"192.0.2.1:7", rc.Remote{Host: "192.0.2.1", Port: "7"}, "rfc2217://192.0.2.1:7"},
		{"[2001:db8::1]", rc.Remote{Host: "2001:db8::1", Port: "2217"}, "rfc2217://[2001:db8::1]:2217"},
		{"tcp://[2001:db8::1]:7", rc.Remote{Protocol: rc.ProtocolRaw, Host: "2001:db8::1", Port: "7"}, ""},
		{"[fe80::1%eth0]:7", rc.Remote{Host: "fe80::1%eth0", Port: "7"}, "rfc2217://[fe80::1%eth0]:7"},
		{"bücher.example", rc.Remote{Host: "bücher.example", Port: "2217"}, "rfc2217://bücher.example:2217"},
		{"rfc2217s://host", rc.Remote{TLS: true, Host: "host", Port: "2217"}, "rfc2217s://host:2217"},
		{"telnets://host", rc.Remote{Protocol: rc.ProtocolTelnet, TLS: true, Host: "host", Port: "992"}, "telnets://host:992"},
		{"TLS://[2001:db8::1]:7/", rc.Remote{Protocol: rc.ProtocolRaw, TLS: true, Host: "2001:db8::1", Port: "7"}, "tls://[2001:db8::1]:7"},
		{"unix:/run/ser2net.sock", rc.Remote{Path: "/run/ser2net.sock"}, ""},
		{"unix:///run/s", rc.Remote{Path: "///run/s"}, ""},
		{"UNIX:s", rc.Remote{Path: "s"}, "unix:s"},
		{"unix:@abstract", rc.Remote{Path: "@abstract"}, ""},
		{"unix:a b:c", rc.Remote{Path: "a b:c"}, ""},
		{"telnet+unix:/run/s", rc.Remote{Protocol: rc.ProtocolTelnet, Path: "/run/s"}, ""},
		{"raw+unix:/run/qemu.sock", rc.Remote{Protocol: rc.ProtocolRaw, Path: "/run/qemu.sock"}, ""},
		{"unix:" + strings.Repeat("x", 107), rc.Remote{Path: strings.Repeat("x", 107)}, ""},
		{"sim:gps", rc.Remote{Sim: "gps"}, ""},
		{"sim:echo", rc.Remote{Sim: "echo"}, ""},
		{"sim:modem", rc.Remote{Sim: "modem"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			got, err := rc.ParseRemote(tt.text)
			if err != nil || got != tt.want {
				t.Fatalf("%+v, %v; want %+v", got, err, tt.want)
			}
			back := tt.back
			if back == "" {
				back = tt.text
			}
			if got.String() != back {
				t.Errorf("as text %q, want %q", got.String(), back)
			}
		})
	}
}

func TestParseRemoteErrors(t *testing.T) {
	tests := []struct{ text, found string }{
		{"", "no host"},
		{":2217", "no host"},
		{"rfc2217://", "no host"},
		{"rfc2217://:2217", "no host"},
		{"tcp://host", "no port"},
		{"tls://host", "no port"},
		{"rfc2217s://", "no host"},
		{"rfc2217ss://host", `unknown scheme "rfc2217ss"`},
		{"unix:", "no path"},
		{"unix:@", "no path"},
		{"raw+unix:", "no path"},
		{"tls+unix:/run/s", `unknown scheme "tls+unix"`},
		{"unix:a\nb", "cannot be printed"},
		{"unix:a\x00b", "cannot be printed"},
		{"unix:a\xffb", "cannot be printed"},
		{"unix:" + strings.Repeat("x", 108), "108 bytes"},
		{"/run/ser2net.sock", "this is a path"},
		{"./socket", "this is a path"},
		{"ftp://host", `unknown scheme "ftp"`},
		{"://host", `unknown scheme ""`},
		{"host:", "the port is not a number"},
		{"host:0", "the port is not a number"},
		{"host:65536", "the port is not a number"},
		{"host:-1", "the port is not a number"},
		{"host:http", "the port is not a number"},
		{"2001:db8::1", "more than one colon"},
		{"[::1", "brackets"},
		{"[::1]x", "brackets"},
		{"[::1]x:7", "brackets"},
		{"::1]:7", "colon"},
		{"host/path", "more than a host and a port"},
		{"user@host", "more than a host and a port"},
		{"host?x", "more than a host and a port"},
		{"host name", "more than a host and a port"},
		{"host\n", "more than a host and a port"},
		{"host\x1b[2J", "more than a host and a port"},
		{"host\xff", "more than a host and a port"},
		{"sim:", "no such simulated device"},
		{"sim:toaster", "no such simulated device"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			got, err := rc.ParseRemote(tt.text)
			var remote *rc.RemoteError
			if !errors.As(err, &remote) {
				t.Fatalf("%+v, %v; want a *RemoteError", got, err)
			}
			if remote.Text != tt.text || !strings.Contains(remote.Found, tt.found) || remote.Hint == "" {
				t.Errorf("%+v, want %q found", remote, tt.found)
			}
			if strings.ContainsFunc(err.Error(), func(c rune) bool { return c < ' ' }) {
				t.Errorf("the error is not safe to print: %q", err)
			}
		})
	}
}

func TestNames(t *testing.T) {
	for m, want := range map[rc.Mode]string{
		rc.ModeNegotiating: "negotiating", rc.ModeComPort: "rfc2217", rc.ModeTelnet: "telnet", rc.ModeRaw: "raw", 99: "?",
	} {
		if got := m.String(); got != want {
			t.Errorf("mode %d is %q, want %q", m, got, want)
		}
	}
	if got := rc.Protocol(99).String(); got != "?" {
		t.Errorf("protocol 99 is %q", got)
	}
}

// FuzzParseRemote: what is taken can be written and read again, and an error is
// one line that is safe to print.
func FuzzParseRemote(f *testing.F) {
	for _, s := range []string{
		"host", "host:1", "rfc2217://[::1]:2217/", "telnet://h", "tcp://h:1", "sim:gps", "[::1", "unix:/run/s", "raw+unix:@s", "telnets://h", "tls://h:1", "rfc2217s://[::1]", "[::1]x", "a:b:c", "h%\x00", "://", "[%25]",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := rc.ParseRemote(text)
		if err != nil {
			if strings.ContainsFunc(err.Error(), func(c rune) bool { return c < ' ' }) {
				t.Errorf("%q", err)
			}
			return
		}
		back, err := rc.ParseRemote(r.String())
		if err != nil || back != r {
			t.Errorf("%q is %+v, is %q, is %+v, %v", text, r, r.String(), back, err)
		}
	})
}
