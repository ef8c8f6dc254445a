package main

import (
	"github.com/urfave/cli/v2"

	"github.com/vcomd/vcomd/internal/config"
)

// transportFlags are the flags about how the connection is made.
func transportFlags(t *config.Transport) []cli.Flag {
	return []cli.Flag{
		text(&t.Bind, "bind", "the system's choice", "local `ADDRESS` that the connection comes from"),
		text(&t.Proxy, "proxy", "$ALL_PROXY", "`URL` of a SOCKS 5 proxy to connect through: socks5://[user:password@]host[:1080], or socks5h:// "+
			"to have it look up names; none: connect directly"),
		text(&t.TLSCA, "tls-ca", "the system's", "`FILE` of certificates (PEM) of the authorities that the server's certificate is checked against"),
		text(&t.TLSCert, "tls-cert", "", "`FILE` of the certificate (PEM) that a server is shown that asks for one; with --tls-key"),
		text(&t.TLSKey, "tls-key", "", "`FILE` of that certificate's private key (PEM)"),
		text(&t.TLSServerName, "tls-server-name", "the REMOTE's host", "`NAME` that the server's certificate must be for"),
		text(&t.TLSPin, "tls-pin", "", "`SHA256` of the key that the server must have, as sha256:HEX, besides a valid certificate; with --tls-insecure "+
			"instead of one"),
		&cli.BoolFlag{
			Name: "tls-insecure", EnvVars: []string{variable("tls-insecure")}, Destination: &t.TLSInsecure,
			Usage: "do not check the server's certificate: anybody on the way can read and change what passes",
		},
	}
}
