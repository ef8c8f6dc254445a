package main

import (
	"fmt"
	"net"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/vcomd/vcomd/rfc2217client"
	"github.com/vcomd/vcomd/rfc2217client/rfc2217test"
)

// simCommand is vcomd sim: the simulated access server for any client.
func simCommand() *cli.Command {
	var listen string
	devices := strings.Join(rfc2217client.SimDevices[:], "|")
	return &cli.Command{
		Name:         "sim",
		Usage:        "serve a simulated access server with a device on its UART",
		ArgsUsage:    devices,
		Description:  "gps sends NMEA 0183 once a second, echo sends back what it gets, modem understands AT commands.",
		OnUsageError: onUsageError,
		Flags: []cli.Flag{
			text(&listen, "listen", "127.0.0.1:2217", "`ADDR`ess and port to listen at"),
		},
		Action: func(c *cli.Context) error {
			if c.Args().Len() != 1 {
				return &usageError{"sim: give one device: " + devices}
			}
			return simulate(c, listen)
		},
	}
}

func simulate(c *cli.Context, listen string) error {
	device := c.Args().First()
	r, err := rfc2217client.ParseRemote("sim:" + device)
	if err != nil {
		return err
	}
	if listen == "" {
		listen = "127.0.0.1:2217"
	}
	if _, _, err := net.SplitHostPort(listen); err != nil {
		return &usageError{fmt.Sprintf("--listen %q: this is not an address and a port; write 127.0.0.1:2217 or [::1]:2217", listen)}
	}
	dev, err := rfc2217test.NewDevice(r.Sim, nil)
	if err != nil {
		return err
	}
	var lc net.ListenConfig
	ln, err := lc.Listen(c.Context, "tcp", listen)
	if err != nil {
		return fmt.Errorf("sim: listen at %s: %w; choose another with --listen", listen, err)
	}
	fmt.Fprintf(c.App.ErrWriter, "vcomd sim: %s at %s; connect with: vcomd --link ./port %s\n", device, ln.Addr(), ln.Addr())
	server := &rfc2217test.Server{UART: &rfc2217test.UART{Device: dev, JournalOff: true}}
	return server.Serve(c.Context, ln)
}
