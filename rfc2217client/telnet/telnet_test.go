package telnet_test

import (
	"testing"

	"github.com/vcomd/vcomd/rfc2217client/telnet"
)

func TestNames(t *testing.T) {
	for c, want := range map[telnet.Command]string{
		telnet.SE: "SE", telnet.SB: "SB", telnet.WILL: "WILL", telnet.DONT: "DONT", telnet.IAC: "IAC", 7: "Command(7)",
	} {
		if got := c.String(); got != want {
			t.Errorf("Command(%d).String() = %q, want %q", byte(c), got, want)
		}
	}
	for o, want := range map[telnet.Option]string{
		telnet.Binary: "BINARY", telnet.ComPort: "COM-PORT", 200: "Option(200)",
	} {
		if got := o.String(); got != want {
			t.Errorf("Option(%d).String() = %q, want %q", byte(o), got, want)
		}
	}
}
