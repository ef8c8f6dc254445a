package integration

import (
	"crypto/tls"
	"net"
	"testing"

	"github.com/vcomd/vcomd/rfc2217client/comport"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
	"github.com/vcomd/vcomd/test/certs"
)

// asked reports whether, and how often, the server was sent m.
func (s *simulated) asked(m comport.Message) (n int) {
	for _, got := range s.Messages() {
		if got == m {
			n++
		}
	}
	return n
}

// What flags have the server told at a connection and at an open: the modem mask,
// a purge, and lines with a fixed value.
func TestWhatFlagsTellTheServer(t *testing.T) {
	s := serve(t, &rfc2217test.Server{})
	v := start(t, s.addr, "--connect", "always", "--modem-mask", "0x8f", "--purge-on-open", "--dtr", "off", "--rts", "on")
	v.waitEvent("connected")
	mask := comport.SetModemStateMask{Mask: 0x8f}
	dtr, rts := comport.SetControl{Control: comport.ControlDTROff}, comport.SetControl{Control: comport.ControlRTSOn}
	eventually(t, "the mask and the lines", func() bool { return s.asked(mask) == 1 && s.asked(dtr) == 1 && s.asked(rts) == 1 })
	purge := comport.PurgeData{What: comport.PurgeReceive}
	if n := s.asked(purge); n > 0 {
		t.Errorf("%d purges before an open", n)
	}
	tty := openTTY(t, v.link)
	eventually(t, "a purge at the open", func() bool { return s.asked(purge) == 1 })
	s.Disconnect()
	v.waitEvents("connected", 2)
	eventually(t, "the mask and the lines again", func() bool { return s.asked(mask) == 2 && s.asked(dtr) == 2 && s.asked(rts) == 2 })
	if n := s.asked(purge); n != 1 {
		t.Errorf("%d purges with one open", n)
	}
	closeTTY(t, tty)
}

// Telnet in TLS: data both ways, and COM-PORT not offered to a server that has it.
func TestTelnetInTLS(t *testing.T) {
	ca := certs.NewAuthority(t, "the authority")
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	own := ca.Issue(certs.Options{})
	s := serveOn(t, tls.NewListener(plain, &tls.Config{Certificates: []tls.Certificate{own.TLS}, MinVersion: tls.VersionTLS12}),
		&rfc2217test.Server{UART: &rfc2217test.UART{Device: rfc2217test.NewEcho(), Unpaced: true}})
	v := start(t, "telnets://"+s.addr, "--tls-ca", ca.CertFile(t))
	tty := openTTY(t, v.link)
	if l := v.waitEvent("connected"); l.New != "telnet" {
		t.Errorf("connected as %q", l.New)
	}
	write(t, tty, []byte("\xff\r\x00there and back"))
	readUntil(t, tty, "\xff\r\x00there and back")
	if got := s.Messages(); len(got) > 0 {
		t.Errorf("the server was sent %v", got)
	}
}
