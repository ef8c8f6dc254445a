package port

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/vcomd/vcomd/rfc2217client"
)

func TestLooksLikeTLS(t *testing.T) {
	for first, want := range map[string]bool{
		"\x15\x03\x01\x00\x02\x02\x46":  true, // OpenSSL 3: protocol_version
		"\x15\x03\x03\x00\x02\x02\x0a":  true, // Go: unexpected_message
		"\x15\x03\x03\x00\x02\x01\x00":  true, // close_notify
		"":                              false,
		"\x15\x03\x03\x00\x02\x02":      false,
		"\x15\x03\x03\x00\x02\x02\x0a.": false, // data that begins like one
		"\x16\x03\x03\x00\x02\x02\x0a":  false,
		"\x15\x04\x03\x00\x02\x02\x0a":  false,
		"\x15\x03\x03\x00\x02\x03\x0a":  false,
		"Port already in use\r\n":       false,
	} {
		if got := looksLikeTLS([]byte(first)); got != want {
			t.Errorf("%q looks like TLS: %v, want %v", first, got, want)
		}
	}
}

func TestSpeaksTLS(t *testing.T) {
	for _, c := range []struct{ remote, want string }{
		{"host", "write rfc2217s://host:2217"},
		{"telnet://host:1", "write telnets://host:1"},
		{"tcp://host:1", "write tls://host:1"},
		{"unix:/run/s", "EOF"},
	} {
		r, err := rfc2217client.ParseRemote(c.remote)
		if err != nil {
			t.Fatal(err)
		}
		err = speaksTLS(r, io.EOF)
		if !errors.Is(err, ErrSpeaksTLS) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v; want %s", c.remote, err, c.want)
		}
	}
}
